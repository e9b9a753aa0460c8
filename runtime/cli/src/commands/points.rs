//! `onemark points`: points in the files of other programs. The forms are in [`onemark_evaluation::points`].

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use onemark_evaluation::points::{self, FilmIdentity, FilmPoints, Form};
use onemark_film::{Film, Spacing, without_extension};
use onemark_models::landmarks::LandmarkSet;

use crate::console;
use crate::points::{SetOptions, about, missing};

/// Works with points that a person placed on films
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
    /// The film, for its name, size and spacing; several may be given, and then only their points are written
    #[arg(long = "film", value_name = "FILM")]
    films: Vec<PathBuf>,
    /// Take points that were placed on a film of another name
    #[arg(long)]
    any_film: bool,
    /// mm per pixel, or x,y, for forms in mm
    #[arg(long, value_name = "MM|X,Y", value_parser = console::spacing)]
    spacing: Option<Spacing>,
    #[command(flatten)]
    set: SetOptions,
}

impl Convert {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(same) = self.files.iter().chain(&self.films).find(|file| is_same(file, &self.out)) {
            bail!("{} would be replaced; choose another --out", same.display());
        }
        let mut set = self.set.open()?;
        let mut all: Vec<(FilmPoints, Option<Spacing>)> = Vec::new();
        for path in &self.files {
            let file = points::read(path)?;
            let set = match &mut set {
                Some(set) => set,
                none => none.insert(file.built_in_set().context("give --landmarks or --bundle")?),
            };
            if self.films.is_empty() {
                let found = file.films(set, self.spacing.as_ref()).map_err(|error| about(path, error))?;
                all.extend(found.into_iter().map(|points| (points, self.spacing.clone())));
            } else {
                all.extend(self.of_films(path, &file, set)?);
            }
        }
        let Some(set) = set else { bail!("there are no points") };
        if !all.iter().any(|(film, _)| film.points.iter().any(Option::is_some)) {
            bail!("no landmark is annotated, so nothing is written");
        }
        self.write(&all, &set)?;
        if let Some(missing) = missing(&set, all.iter().map(|(film, _)| film.points.as_slice())) {
            console::note(format_args!("{missing}"));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The points of the films that were given, among those of a file.
    fn of_films(
        &self,
        path: &Path,
        file: &points::PointsFile,
        set: &LandmarkSet,
    ) -> anyhow::Result<Vec<(FilmPoints, Option<Spacing>)>> {
        let of = |film_file: &PathBuf| {
            let film = Film::open(film_file)?.with_stated(None, self.spacing.as_ref());
            let spacing = film.spacing().cloned();
            for warning in film.warnings().iter().filter(|warning| spacing.is_some() || !warning.is_about_spacing()) {
                console::note(format_args!("warning: {}: {warning}", film_file.display()));
            }
            let identity = FilmIdentity::of(&film, film_file);
            let found = file.films(set, spacing.as_ref());
            let found = found.and_then(|found| points::for_film(found, &identity, self.any_film));
            let points = found.map_err(|error| about(path, error))?.points;
            anyhow::Ok((FilmPoints { film: identity, points }, spacing))
        };
        self.films.iter().map(of).collect()
    }

    fn write(&self, all: &[(FilmPoints, Option<Spacing>)], set: &LandmarkSet) -> anyhow::Result<()> {
        if !self.to.is_of_one_film() || (all.len() == 1 && !self.out.is_dir()) {
            let films: Vec<FilmPoints> = all.iter().map(|(film, _)| film.clone()).collect();
            let spacing = all.first().and_then(|(_, spacing)| spacing.as_ref());
            return console::write_bytes(&self.out, &points::write(self.to, &films, set, spacing)?);
        }
        if !self.out.is_dir() {
            bail!("{} takes a file for each of {} films: make the folder {}", self.to, all.len(), self.out.display());
        }
        let mut written: Vec<PathBuf> = Vec::new();
        for (film, spacing) in all {
            let name = film.film.name.as_deref().unwrap_or("points");
            let stem = without_extension(Path::new(name));
            let stem = stem.file_name().map_or(name.into(), OsStr::to_string_lossy);
            let path = self.out.join(format!("{stem}.{}", ending(self.to)));
            if written.contains(&path) {
                bail!("two films would both be {}; convert them one by one", path.display());
            }
            let bytes = points::write(self.to, std::slice::from_ref(film), set, spacing.as_ref())?;
            console::write_file(&path, &bytes)?;
            written.push(path);
        }
        Ok(())
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

/// Whether two paths are the same file, which exists.
fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
