//! `onemark points`: points in the files of other programs. The forms are in [`onemark_evaluation::points`].

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use onemark_evaluation::points::{self, FilmIdentity, FilmPoints, Form, PointsFile};
use onemark_film::{Film, Spacing, without_extension};
use onemark_models::files::{is_inside, validate_place};
use onemark_models::landmarks::LandmarkSet;

use super::said::Said;
use crate::console;
use crate::points::{SetOptions, about, missing};

/// Converts points that a person placed on films
#[derive(Subcommand)]
pub enum Points {
    Convert(Convert),
}

impl Points {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Convert(command) => command.run(),
        }
    }
}

/// Converts points from one form to another: tables, Onemark's JSON and CSV, labelme, COCO keypoints, CVAT for images 1.1 and
/// 3D Slicer's markups
///
/// The form of the input is found by its content. docs/FORMATS.md describes the forms.
#[derive(Args)]
pub struct Convert {
    /// Files of points
    #[arg(required = true, value_name = "IN")]
    files: Vec<PathBuf>,
    /// The form to write
    #[arg(long, value_name = "FORM", value_parser = PossibleValuesParser::new(Form::NAMES.map(|(name, _)| name)).try_map(|name| name.parse::<Form>()))]
    to: Form,
    /// The file to write; a folder for forms of one film per file, if there are several films
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// The film, for its name, size and spacing. Several films: of one file of points, those that are written; of several files,
    /// one film for each, in the same order
    #[arg(long = "film", value_name = "FILM")]
    films: Vec<PathBuf>,
    /// Take the points also if they were placed on a film of another name or with other pixels
    #[arg(long)]
    any_film: bool,
    /// Pixel spacing of all films, for forms in mm: mm per pixel, or x,y; replaces what the films state
    #[arg(long, value_name = "MM|X,Y", value_parser = console::spacing)]
    spacing: Option<Spacing>,
    #[command(flatten)]
    set: SetOptions,
}

/// A film that was given.
struct Given {
    identity: FilmIdentity,
    spacing: Option<Spacing>,
}

/// The points of a film, the spacing for forms in mm, and the file that has the points.
struct Converted<'a> {
    points: FilmPoints,
    spacing: Option<Spacing>,
    from: &'a Path,
}

impl Converted<'_> {
    fn name(&self) -> Option<&str> {
        self.points.film.name.as_deref()
    }
}

impl Convert {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        self.validate()?;
        let films = self.given_films()?;
        let (all, set) = self.read(&films)?;
        refuse_repeats(&all)?;
        if !all.iter().any(|film| film.points.points.iter().any(Option::is_some)) {
            bail!("no landmark is annotated, so nothing is written");
        }
        // All of them are made before the first is written.
        for (path, bytes) in self.outputs(&all, &set)? {
            console::write_text(&path, str::from_utf8(&bytes)?)?;
        }
        for film in &all {
            warn_of_points_outside(&film.points, &set);
        }
        if let Some(missing) = missing(&set, all.iter().map(|film| film.points.points.as_slice())) {
            console::note(format_args!("{missing}"));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses, before anything is read, what can't be done.
    fn validate(&self) -> anyhow::Result<()> {
        let (films, files) = (self.films.len(), self.files.len());
        if films > 0 && files > 1 && films != files {
            bail!(
                "{films} films and {files} files of points: give one --film for each file, in the same order, or one file with the \
                 points of all films"
            );
        }
        if self.any_film && films > files {
            bail!(
                "--any-film takes one --film for each file of points: which points are for which film is not known otherwise"
            );
        }
        self.refuse_input(&self.out)?;
        if self.to.is_of_one_film() && self.out.is_dir() {
            return validate_place(&self.out.join("file"))
                .with_context(|| format!("writing into {}", self.out.display()));
        }
        self.refuse_file_for(films.max(files))?;
        console::validate_output(&self.out)
    }

    /// Refuses a place where a file that was given would be replaced.
    fn refuse_input(&self, place: &Path) -> anyhow::Result<()> {
        let set = self.set.files();
        match self.files.iter().chain(&self.films).chain(&set).find(|file| is_inside(place, file)) {
            Some(same) => bail!("{} would be replaced; choose another --out", same.display()),
            None => Ok(()),
        }
    }

    /// Refuses to write several films to a file of a form that has one film per file.
    fn refuse_file_for(&self, films: usize) -> anyhow::Result<()> {
        if self.to.is_of_one_film() && films > 1 && !self.out.is_dir() {
            bail!("{} takes a file for each of {films} films: make the folder {}", self.to, self.out.display());
        }
        Ok(())
    }

    /// Reads the films that were given, each once, and prints warnings about them.
    fn given_films(&self) -> anyhow::Result<Vec<Given>> {
        let mut said = Said::default();
        let mut read = |path: &PathBuf| -> anyhow::Result<Given> {
            let film = Film::open(path)?.with_stated(None, self.spacing.as_ref());
            let spacing = film.spacing().cloned();
            for warning in film.warnings().iter().filter(|warning| spacing.is_some() || !warning.is_about_spacing()) {
                said.add_warning(&path.display().to_string(), warning.to_string());
            }
            Ok(Given { identity: FilmIdentity::of(&film, path), spacing })
        };
        let films = self.films.iter().map(&mut read).collect::<anyhow::Result<Vec<_>>>();
        said.warn();
        films
    }

    /// The points of all films, and the set that their landmarks belong to.
    fn read(&self, films: &[Given]) -> anyhow::Result<(Vec<Converted<'_>>, LandmarkSet)> {
        let mut set = self.set.open()?;
        let mut all: Vec<Converted<'_>> = Vec::new();
        for (index, from) in self.files.iter().enumerate() {
            let file = points::read(from)?;
            let set = match &mut set {
                Some(set) => set,
                none => none.insert(file.built_in_set().context("give --landmarks or --bundle")?),
            };
            // Of several files, each has its film.
            let films = if self.files.len() > 1 { films.get(index..=index).unwrap_or_default() } else { films };
            if films.is_empty() {
                let found = file.films(set, self.spacing.as_ref()).map_err(|error| about(from, error))?;
                all.extend(found.into_iter().map(|points| Converted { points, spacing: self.spacing.clone(), from }));
            }
            for film in films {
                let points = self.of_film(from, &file, film, films.len(), set)?;
                all.push(Converted { points, spacing: film.spacing.clone(), from });
            }
        }
        if let (true, Some(nameless)) = (all.len() > 1, all.iter().find(|film| film.name().is_none())) {
            let from = nameless.from.display();
            bail!(
                "{from}: its points name no film, and there are several films; give --film for each file, in the same order"
            );
        }
        Ok((all, set.context("there are no points")?))
    }

    /// The points of a film, one of `films` that were given, among those of a file.
    fn of_film(
        &self,
        from: &Path,
        file: &PointsFile,
        film: &Given,
        films: usize,
        set: &LandmarkSet,
    ) -> anyhow::Result<FilmPoints> {
        let found = file.films(set, film.spacing.as_ref()).map_err(|error| about(from, error))?;
        let is_nameless = |points: &FilmPoints| points.film.name.is_none() && points.film.sha256.is_none();
        if films > 1 && found.iter().any(is_nameless) {
            bail!(
                "{}: its points name no film, and {films} films were given; give a file of points for each, in the same order",
                from.display()
            );
        }
        let found = points::for_film(found, &film.identity, self.any_film).map_err(|error| about(from, error))?;
        Ok(FilmPoints { film: film.identity.clone(), ..found })
    }

    /// The files to write and their bytes.
    fn outputs(&self, all: &[Converted<'_>], set: &LandmarkSet) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
        if !(self.to.is_of_one_film() && self.out.is_dir()) {
            self.refuse_file_for(all.len())?;
            let films: Vec<FilmPoints> = all.iter().map(|film| film.points.clone()).collect();
            let spacing = all.first().and_then(|film| film.spacing.as_ref());
            return Ok(vec![(self.out.clone(), points::write(self.to, &films, set, spacing)?)]);
        }
        let mut outputs: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        let mut places: HashSet<String> = HashSet::new();
        for film in all {
            let name = film.name().unwrap_or("points");
            let stem = without_extension(Path::new(name));
            let stem = stem.file_name().map_or(name.into(), OsStr::to_string_lossy);
            let file = format!("{stem}.{}", ending(self.to));
            let path = self.out.join(&file);
            // Many file systems take A.json and a.json for one file.
            if !places.insert(file.to_lowercase()) {
                bail!("two films would both be {}; convert them one by one", path.display());
            }
            self.refuse_input(&path)?;
            let bytes = points::write(self.to, std::slice::from_ref(&film.points), set, film.spacing.as_ref())?;
            outputs.push((path, bytes));
        }
        Ok(outputs)
    }
}

/// Refuses two films of one name, and a film that is there twice by its pixels: nobody could tell their points apart.
fn refuse_repeats(all: &[Converted<'_>]) -> anyhow::Result<()> {
    let mut known: HashMap<String, &Converted<'_>> = HashMap::new();
    for film in all {
        let identity = &film.points.film;
        let name = identity.name.as_deref().map(|name| format!("called {}", name.to_lowercase()));
        let pixels = identity.sha256.as_ref().map(|digest| format!("with the pixels {digest}"));
        for key in name.into_iter().chain(pixels) {
            if let Some(other) = known.insert(key, film) {
                let [one, two] = [other, film].map(|film| film.name().unwrap_or("a film without a name"));
                let [by, and] = [other, film].map(|film| film.from.display());
                bail!(
                    "a film is there twice: {one} in {by}, and {two} in {and}; leave one out, or convert them one by one"
                );
            }
        }
    }
    Ok(())
}

/// Prints which points are not on their film, if its size is known.
fn warn_of_points_outside(FilmPoints { film, points, .. }: &FilmPoints, set: &LandmarkSet) {
    let Some(size) = film.size else { return };
    let outside =
        set.landmarks.iter().zip(points).filter(|(_, point)| point.is_some_and(|point| !point.is_inside(size)));
    let names: Vec<String> = outside.map(|(landmark, _)| landmark.name.clone()).collect();
    if !names.is_empty() {
        let film = film.name.as_deref().unwrap_or("the film");
        console::note(format_args!("warning: {film}: not on its {size} px: {}; check them", console::few(&names)));
    }
}

/// How files of a form end.
fn ending(form: Form) -> &'static str {
    match form {
        Form::Slicer => "mrk.json",
        Form::SlicerTable => "fcsv",
        _ => "json",
    }
}
