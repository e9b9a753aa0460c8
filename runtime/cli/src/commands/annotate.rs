//! `onemark annotate`: a person marks landmarks on films, in a browser on this machine.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use indicatif::ProgressBar;
use onemark_evaluation::dataset::points_files;
use onemark_evaluation::points::{self, FilmIdentity, FilmPoints, PointsError};
use onemark_film::{Film, Spacing};
use onemark_models::files::is_inside;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::parallel::in_parallel;
use onemark_runtime::{Detector, Options};
use onemark_viewer::{AnnotationDesk, FilmSource, FilmToAnnotate, Server};

use crate::console;
use crate::inputs;
use crate::points::{SetOptions, about};

/// The file of points of a dataset.
const OF_DATASET: &str = "landmarks.json";
/// The file of points of films in several folders, in the current folder.
const OF_OTHERS: &str = "onemark-points.json";

/// Opens films in a browser on this machine, where a person marks their landmarks
///
/// Prints a link to open. Each change is saved at once, as Onemark's JSON of points, which training reads. With
/// --bundle, its points are proposed, to be accepted or moved. The page connects to this
/// program only, and this program to no other machine. End it with Ctrl-C.
#[derive(Args)]
pub struct Annotate {
    /// Films (DICOM, PNG, JPEG, BMP, TIFF), folders of films, patterns like 'films/*.dcm', or a disc's DICOMDIR
    #[arg(required = true, value_name = "FILM|DIR|PATTERN")]
    films: Vec<PathBuf>,
    #[command(flatten)]
    set: SetOptions,
    /// Keep the points in this JSON file; those that it has already are shown [default: landmarks.json where
    /// training finds it, in the folder that has the films, or beside it if it is called images; for films in several folders,
    /// onemark-points.json in the current folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Begin with the points of these files, in any form that `points convert` reads, for films that have none yet: one file for
    /// all films, or one for each film
    #[arg(long, value_name = "FILE", num_args = 1..)]
    points: Vec<PathBuf>,
    /// Show another person's points beside, to compare with; they stay as they are
    #[arg(long, value_name = "FILE")]
    second_reader: Option<PathBuf>,
    /// Pixel spacing of all films, for distances in mm: mm per pixel, or x,y; replaces what films state
    #[arg(long, value_name = "MM|X,Y", value_parser = console::spacing)]
    spacing: Option<Spacing>,
    /// The port to listen on [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
}

/// A film that can be read.
struct Known {
    path: PathBuf,
    identity: FilmIdentity,
    spacing: Option<Spacing>,
}

impl Annotate {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = self.set.bundle()?;
        let set = match &bundle {
            Some(bundle) => bundle.manifest().landmark_set.clone(),
            None => self.set.open()?.context("give --landmarks or --bundle: which landmarks the films have")?,
        };
        let paths = inputs::find(&self.films, None)?;
        let out = match self.out {
            Some(out) => out,
            None => default_place(&paths)?,
        };
        console::validate_output(&out)?;
        let of_set = self.set.files();
        let mut inputs = self.points.iter().chain(&self.second_reader).chain(&of_set);
        if let Some(same) = inputs.find(|file| is_inside(&out, file)) {
            bail!("{} would be replaced; choose another --out", same.display());
        }
        let films = read(paths, self.spacing.as_ref())?;
        refuse_repeats(&films)?;
        let earlier = read_points(&self.points, &films, &set)?;
        let second = read_points(self.second_reader.as_slice(), &films, &set)?;

        let to_annotate = |Known { path, identity, .. }| FilmToAnnotate {
            source: FilmSource::File(path),
            spacing: self.spacing.clone(),
            identity,
        };
        let mut desk = AnnotationDesk::new(set, films.into_iter().map(to_annotate).collect(), &out)?;
        if let Some(bundle) = bundle {
            desk.propose_by(Detector::new(&bundle, Options::default())?);
        }
        if let Some(file) = &self.second_reader {
            desk.compare_with(file.display().to_string(), second);
        }
        let known = desk.annotated();
        let added = desk.add(earlier)?;
        console::note(format_args!(
            "points are kept in {}: {known} of {} films have some{}",
            out.display(),
            desk.films().len(),
            if added > 0 { format!(", {added} more from --points") } else { String::new() }
        ));
        let server = Server::open(desk, self.port)?;
        console::print(format_args!("{}\n", server.link()))?;
        console::note(format_args!("open this link in a browser; end with Ctrl-C"));
        server.run()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Where training looks for the points of films that are in one folder: there, or beside it if it is called `images`. For films in
/// several folders, a file in the current folder.
fn default_place(films: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let here = Path::new(".");
    let folders: HashSet<&Path> = films.iter().filter_map(|film| film.parent()).collect();
    let folder = match folders.into_iter().collect::<Vec<_>>().as_slice() {
        [folder] if folder.as_os_str().is_empty() => here,
        [folder] => folder,
        _ => return Ok(OF_OTHERS.into()),
    };
    // Only an absolute path has all its folders.
    let is_images = std::path::absolute(folder)?.file_name() == Some(OsStr::new("images"));
    let root = match is_images {
        true if folder == here => Path::new(".."),
        true => folder.parent().unwrap_or(here),
        false => folder,
    };
    let place = root.join(OF_DATASET);
    if let Some(other) = points_files(root).into_iter().find(|file| !file.ends_with(OF_DATASET)) {
        bail!(
            "{} has points of these films already, and in a dataset they are in one place: convert them by `onemark points convert \
             {0} --to json --out {}` and move {0} away, or choose another --out",
            other.display(),
            place.display()
        );
    }
    Ok(place)
}

/// Reads all films, to recognise each by its pixels.
fn read(paths: Vec<PathBuf>, spacing: Option<&Spacing>) -> anyhow::Result<Vec<Known>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let bar = ProgressBar::new(paths.len() as u64);
    let films = in_parallel(threads, &paths, |path| {
        let film = Film::open(path)?.with_stated(None, spacing);
        bar.inc(1);
        Ok(Known { path: path.clone(), identity: FilmIdentity::of(&film, path), spacing: film.spacing().cloned() })
    });
    bar.finish_and_clear();
    films.into_iter().collect()
}

/// Refuses two films of one name, and a film that is there twice by its pixels: nobody could tell their points apart.
fn refuse_repeats(films: &[Known]) -> anyhow::Result<()> {
    let mut known: HashMap<String, &Known> = HashMap::new();
    for film in films {
        let name = film.identity.name.as_deref().map(str::to_lowercase);
        for key in name.into_iter().chain(film.identity.sha256.clone()) {
            if let Some(other) = known.insert(key, film) {
                let [one, two] = [other, film].map(|film| film.path.display());
                bail!("a film is there twice, by its name or its pixels: {one} and {two}; leave one out");
            }
        }
    }
    Ok(())
}

/// The points of each film in files of points. A file is for the films that it names; if it names none, for the only film, or for the
/// one at its place if there are as many.
fn read_points(files: &[PathBuf], films: &[Known], set: &LandmarkSet) -> anyhow::Result<Vec<Option<FilmPoints>>> {
    let mut all: Vec<Option<FilmPoints>> = films.iter().map(|_| None).collect();
    for (index, from) in files.iter().enumerate() {
        let failed = |error| failed(from, error);
        let file = points::read(from)?;
        let any_spacing = films.iter().find_map(|film| film.spacing.as_ref());
        let found = file.films(set, any_spacing).map_err(failed)?;
        let names_none = found.iter().any(|points| points.film.name.is_none() && points.film.sha256.is_none());
        if names_none && films.len() > 1 && films.len() != files.len() {
            bail!(
                "{}: its points name no film, and {} films were given; give a file of points for each, in the same order",
                from.display(),
                films.len()
            );
        }
        let is_for = |film: &usize| !names_none || films.len() == 1 || *film == index;
        let mut other = None;
        let mut is_taken = false;
        for film in (0..films.len()).filter(is_for) {
            let Known { path, identity, spacing } = &films[film];
            // Points in mm are elsewhere on a film with another spacing.
            let found =
                if file.form().is_in_mm() { file.films(set, spacing.as_ref()).map_err(failed)? } else { found.clone() };
            match points::for_film(found, identity, false) {
                Ok(_) if all[film].is_some() => {
                    bail!(
                        "{}: {} has points in another of these files; keep one of the two",
                        from.display(),
                        path.display()
                    );
                }
                Ok(found) => {
                    all[film] = Some(found);
                    is_taken = true;
                }
                Err(error @ PointsError::OtherFilm { .. }) => other = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        if let Some(error) = other.filter(|_| !is_taken) {
            return Err(failed(error));
        }
    }
    Ok(all)
}

/// An error about the points of a file, without the option that other commands have against it.
fn failed(from: &Path, error: PointsError) -> anyhow::Error {
    match error {
        PointsError::OtherFilm { .. } | PointsError::OtherPixels { .. } => anyhow!("{}: {error}", from.display()),
        error => about(from, error),
    }
}
