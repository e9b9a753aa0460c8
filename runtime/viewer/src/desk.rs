//! The films on a reader's desk: what was found on them, and what the reader corrected. Knows nothing of requests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::Local;
use onemark_film::geometry::Point;
use onemark_film::{Film, FilmError, Spacing};
use onemark_models::bundle::Bundle;
use onemark_models::landmarks::LandmarkSet;

use crate::ViewerError;
use onemark_results::json::{Document, FilmReport};
use onemark_results::{FORMATS, FilmResults, csv};
use onemark_runtime::adapt::{Example, adapt};
use onemark_runtime::{Detections, Detector, Options, RuntimeError, Status};

/// Kinds of file that hold all films, here one: name and ending.
const TABLES: [(&str, &str); 2] = [("json", "json"), ("csv", "csv")];

/// Where a film comes from.
pub enum Source {
    /// A file, read whenever it is needed: many would not fit into memory.
    File(PathBuf),
    /// The bytes of a file, where there are no files.
    Bytes {
        /// What the file is called.
        name: String,
        /// What is in it.
        bytes: Vec<u8>,
    },
}

impl Source {
    /// The file's name, as it was given.
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes { name, .. } => name.clone(),
        }
    }

    fn read(&self) -> Result<Film, FilmError> {
        match self {
            Self::File(path) => Film::open(path),
            Self::Bytes { name, bytes } => Film::from_bytes(bytes, Path::new(name)),
        }
    }
}

/// Films, and the engine that looks at them.
pub struct Desk {
    films: Vec<(Source, Option<Spacing>)>,
    options: Options,
    /// Where a bundle that learnt from corrected films is written.
    learn_to: Option<PathBuf>,
    engine: Mutex<Engine>,
    /// By film, those that were looked at.
    seen: Mutex<BTreeMap<usize, Seen>>,
}

#[derive(Clone)]
struct Engine {
    bundle: Bundle,
    detector: Arc<Detector>,
}

/// What was found on a film, and the same as a person corrected it.
#[derive(Clone)]
struct Seen {
    seconds: f64,
    found: Detections,
    corrected: Detections,
}

/// A file made of a film's results.
pub(super) struct Saved {
    /// What it should be called.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Desk {
    /// An empty desk, and a bundle's engine. With `learn_to` it may learn from corrected films, and writes the new bundle there.
    ///
    /// # Errors
    /// As [`Detector::new`].
    pub fn new(bundle: Bundle, options: Options, learn_to: Option<PathBuf>) -> Result<Self, RuntimeError> {
        let detector = Arc::new(Detector::new(&bundle, options.clone())?);
        let engine = Mutex::new(Engine { bundle, detector });
        Ok(Self { films: Vec::new(), options, learn_to, engine, seen: Mutex::default() })
    }

    /// Puts a film on the desk; it is not read yet. `spacing` is how large its pixels are, whatever its file says.
    pub fn put(&mut self, film: Source, spacing: Option<Spacing>) {
        self.films.push((film, spacing));
    }

    /// The films' files, as they were given.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.films.iter().map(|(film, _)| film.name())
    }

    /// The engine as it is now.
    pub(super) fn detector(&self) -> Arc<Detector> {
        lock(&self.engine).detector.clone()
    }

    /// The landmarks that are looked for.
    fn landmark_set(&self) -> LandmarkSet {
        self.detector().landmark_set().clone()
    }

    /// Whether it is allowed to learn.
    pub(super) fn learns(&self) -> bool {
        self.learn_to.is_some()
    }

    /// What results can be saved as: name and ending of each kind.
    pub(super) fn formats() -> impl Iterator<Item = (&'static str, &'static str)> {
        TABLES.into_iter().chain(FORMATS.iter().map(|format| (format.name, format.extension)))
    }

    /// A film, read anew.
    pub(super) fn film(&self, index: usize) -> Result<Film, ViewerError> {
        let (film, spacing) = self.place(index)?;
        let film = film.read()?;
        Ok(match spacing {
            None => film,
            Some(spacing) => film.with_spacing(spacing.clone()),
        })
    }

    /// What is known of a film: found now, or before, or corrected. Gives the film's warnings and cautions too.
    pub(super) fn report(&self, index: usize) -> Result<(FilmReport, Vec<String>), ViewerError> {
        let film = self.film(index)?;
        let seen = self.seen(index, &film)?;
        let file = self.place(index)?.0.name();
        let cautions = results(&film, &seen.corrected, &file).cautions();
        let detections = Box::new(seen.corrected);
        Ok((
            FilmReport::Done {
                file,
                seconds: seen.seconds,
                warnings: film.warnings().iter().map(ToString::to_string).collect(),
                detections,
            },
            cautions,
        ))
    }

    /// Puts a landmark where a person says it is, or back where it was found.
    pub(super) fn correct(&self, index: usize, number: usize, position: Option<Point>) -> Result<(), ViewerError> {
        let film = self.film(index)?;
        let mut seen = self.seen(index, &film)?;
        let set = self.landmark_set();
        match position {
            Some(position) if !position.is_inside(film.size()) => {
                return Err(ViewerError::OutsideFilm { x: position.x, y: position.y });
            }
            Some(position) => seen.corrected.correct(number, position, &set)?,
            None => {
                let found = seen.found.landmarks.iter().find(|landmark| landmark.number == number);
                let found = found.ok_or(ViewerError::NoLandmark { number })?.clone();
                let place = seen.corrected.landmarks.iter_mut().find(|landmark| landmark.number == number);
                place.ok_or(ViewerError::NoLandmark { number })?.clone_from(&found);
                seen.corrected.measure(&set);
            }
        }
        lock(&self.seen).insert(index, seen);
        Ok(())
    }

    /// A film's results in one of the formats.
    pub(super) fn save(&self, index: usize, format: &str) -> Result<Saved, ViewerError> {
        let (report, _) = self.report(index)?;
        let FilmReport::Done { file, detections, .. } = &report else { return Err(ViewerError::NoFilm { index }) };
        let stem =
            Path::new(file).file_stem().map_or_else(|| "film".into(), |stem| stem.to_string_lossy().into_owned());
        let extension = Self::formats().find(|(name, _)| *name == format).map(|(_, extension)| extension);
        let name = format!("{stem}.{}", extension.ok_or_else(|| ViewerError::NoFormat { name: format.to_owned() })?);
        let bytes = match FORMATS.iter().find(|one| one.name == format) {
            Some(one) => (one.write)(&results(&self.film(index)?, detections, file))?,
            None if format == "csv" => csv::write(&[report])?,
            None => serde_json::to_vec_pretty(&Document::new(vec![report]))?,
        };
        Ok(Saved { name, bytes })
    }

    /// Teaches the bundle by a film as it is corrected, writes it, and looks at all films anew with it. Points that a person has
    /// put on films stay. Gives what became of it in a sentence.
    pub(super) fn learn(&self, index: usize) -> Result<String, ViewerError> {
        let target = self.learn_to.as_ref().ok_or(ViewerError::MayNotAdapt)?;
        let film = self.film(index)?;
        let corrected = self.seen(index, &film)?.corrected;
        let points: Vec<Option<Point>> = corrected
            .landmarks
            .iter()
            .map(|landmark| (landmark.status != Status::NotFound).then_some(landmark.position))
            .collect();
        let bundle = lock(&self.engine).bundle.clone();
        let (bundle, _) = adapt(&bundle, &[Example { film: &film, points: &points }], None, self.options.clone())?;
        bundle.write(target, true)?;
        let films = bundle.manifest().adapted.as_ref().map_or(0, |adapted| adapted.films.len());
        let detector = Arc::new(Detector::new(&bundle, self.options.clone())?);
        *lock(&self.engine) = Engine { bundle, detector };
        lock(&self.seen)
            .retain(|_, seen| seen.corrected.landmarks.iter().any(|landmark| landmark.status == Status::EditedByHand));
        Ok(format!("The bundle rests on its template and {films} more: {}", target.display()))
    }

    fn place(&self, index: usize) -> Result<&(Source, Option<Spacing>), ViewerError> {
        self.films.get(index).ok_or(ViewerError::NoFilm { index })
    }

    fn seen(&self, index: usize, film: &Film) -> Result<Seen, ViewerError> {
        if let Some(seen) = lock(&self.seen).get(&index) {
            return Ok(seen.clone());
        }
        // By the clock on the wall: browsers have no other that Rust knows.
        let start = Local::now();
        let found = self.detector().detect(film)?;
        let seconds = (Local::now() - start).as_seconds_f64().max(0.0);
        let seen = Seen { seconds, corrected: found.clone(), found };
        Ok(lock(&self.seen).entry(index).or_insert(seen).clone())
    }
}

fn results<'a>(film: &'a Film, detections: &'a Detections, name: &'a str) -> FilmResults<'a> {
    FilmResults { detections, film, name, time: Local::now() }
}

/// What a thread that panicked left behind is whole: it is replaced in one step, or not at all.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
