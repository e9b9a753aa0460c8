//! The state of the viewer: films, the landmarks found on them, and a person's corrections. Requests are handled in `routes`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::Local;
use onemark_film::geometry::{Point, Size};
use onemark_film::{Film, Spacing, without_extension};
use onemark_models::bundle::limits::LARGEST_MANIFEST;
use onemark_models::bundle::{Bundle, MANIFEST};
use onemark_models::files::{read_file_at_most, sha256};
use onemark_models::landmarks::{LandmarkSet, Measurement};
use onemark_models::lock::Lock;

use crate::kept::{Kept, is_by_hand};
use crate::{FilmSource, ViewerError};
use onemark_results::json::{self, Document, FilmReport};
use onemark_results::{FORMATS, FilmResults, csv};
use onemark_runtime::adapt::{Example, adapt_with_backend};
use onemark_runtime::backend::Backend;
use onemark_runtime::{Detection, Detections, Detector, FilmSize, Options, RuntimeError};

/// Formats whose files can hold many films (here one): name and ending.
const TABLES: [(&str, &str); 2] = [("json", "json"), ("csv", "csv")];

/// Films, their detections and corrections, and the detector.
pub struct Desk {
    films: Vec<(FilmSource, Option<Spacing>)>,
    backend: Arc<dyn Backend>,
    options: Options,
    /// Where a bundle adapted to corrected films is written.
    adapt_to: Option<PathBuf>,
    engine: Mutex<Engine>,
    /// Held while the bundle is adapted: the digest of what was written last, if anything was.
    written: Mutex<Option<String>>,
    /// Detections by film, for the films that have been opened.
    seen: Mutex<BTreeMap<usize, Seen>>,
    /// Where corrections are kept.
    kept: Option<Mutex<Kept>>,
    /// Spacings that a person took from rulers, by the SHA-256 of the films' grey values.
    rulers: Mutex<BTreeMap<String, Spacing>>,
}

#[derive(Clone)]
struct Engine {
    bundle: Bundle,
    detector: Arc<Detector>,
}

/// The detections on a film, and the same with a person's corrections.
#[derive(Clone)]
struct Seen {
    seconds: f64,
    found: Detections,
    corrected: Detections,
}

/// A film's results, and what a person should know before relying on them.
pub(super) struct LookedAt {
    pub file: String,
    pub seconds: f64,
    pub warnings: Vec<String>,
    pub detections: Detections,
    pub cautions: Vec<String>,
}

/// A file with a film's results.
pub(super) struct Saved {
    /// The file's name.
    pub name: String,
    /// The file's content.
    pub bytes: Vec<u8>,
}

impl Desk {
    /// An empty desk with a bundle's detector. If `adapt_to` is given, the page may adapt the bundle to corrected films; the new
    /// bundle is written there.
    ///
    /// # Errors
    /// As [`Detector::new`].
    pub fn new(bundle: Bundle, options: Options, adapt_to: Option<PathBuf>) -> Result<Self, RuntimeError> {
        let backend = options.backend().open()?;
        Self::with_backend(bundle, backend, options, adapt_to)
    }

    /// The same with this backend, instead of the one that the options name: one that the host implements.
    ///
    /// # Errors
    /// As [`Detector::with_backend`].
    pub fn with_backend(
        bundle: Bundle,
        backend: Arc<dyn Backend>,
        options: Options,
        adapt_to: Option<PathBuf>,
    ) -> Result<Self, RuntimeError> {
        let detector = Arc::new(Detector::with_backend(&bundle, backend.clone(), options.clone())?);
        let engine = Mutex::new(Engine { bundle, detector });
        Ok(Self {
            films: Vec::new(),
            backend,
            options,
            adapt_to,
            engine,
            written: Mutex::default(),
            seen: Mutex::default(),
            kept: None,
            rulers: Mutex::default(),
        })
    }

    /// Keeps corrections in a file as they are made, and repeats those that it has already, each on its film. Returns the number of
    /// films that have some. The file is what `onemark detect --json` writes.
    ///
    /// # Errors
    /// [`ViewerError::Kept`]: it can't be read or written, holds something else or corrections of other landmarks, or another viewer
    /// has it.
    pub fn keep_in(&mut self, path: &Path) -> Result<usize, ViewerError> {
        let kept = Kept::open(path, &self.landmark_set())?;
        let films = kept.len();
        self.rulers = kept.rulers().into();
        self.kept = Some(kept.into());
        Ok(films)
    }

    /// Adds a film, without reading it yet. A `spacing` (mm per px) replaces the one that the file states.
    pub fn put(&mut self, film: FilmSource, spacing: Option<Spacing>) {
        self.films.push((film, spacing));
    }

    /// The names of the films' files, as they were given.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.films.iter().map(|(film, _)| film.name())
    }

    /// The current detector.
    pub(super) fn detector(&self) -> Arc<Detector> {
        lock(&self.engine).detector.clone()
    }

    /// The landmarks of the bundle.
    fn landmark_set(&self) -> LandmarkSet {
        self.detector().landmark_set().clone()
    }

    /// The file in which corrections are kept as they are made, if there is one.
    pub(super) fn kept_in(&self) -> Option<PathBuf> {
        self.kept.as_ref().map(|kept| lock(kept).path().to_owned())
    }

    /// Whether the bundle may be adapted.
    pub(super) fn can_adapt(&self) -> bool {
        self.adapt_to.is_some()
    }

    /// The formats in which results can be saved: name and ending of each.
    pub(super) fn formats() -> impl Iterator<Item = (&'static str, &'static str)> {
        TABLES.into_iter().chain(FORMATS.iter().map(|format| (format.name, format.extension)))
    }

    /// Reads a film.
    pub(super) fn film(&self, index: usize) -> Result<Film, ViewerError> {
        let (film, given) = self.place(index)?;
        let film = film.read()?;
        let rulers = lock(&self.rulers);
        let ruler = if rulers.is_empty() { None } else { rulers.get(&sha256(film.grey())) };
        // What a person measures on this film replaces what was given for all films, and warnings name both.
        Ok(if ruler.is_some() {
            film.with_stated(given.as_ref(), ruler)
        } else {
            film.with_stated(None, given.as_ref())
        })
    }

    /// A film's results with its corrections. Detects the landmarks if that has not been done yet.
    pub(super) fn look_at(&self, index: usize) -> Result<LookedAt, ViewerError> {
        let film = self.film(index)?;
        let Seen { seconds, corrected: detections, .. } = self.seen(index, &film)?;
        let file = self.place(index)?.0.name();
        let cautions = results(&film, &detections, &file).cautions();
        let warnings = film.warnings().iter().map(ToString::to_string).collect();
        Ok(LookedAt { file, seconds, warnings, detections, cautions })
    }

    /// Moves a landmark to a position that a person gives; `None` restores the detected position. If that person's window shows
    /// the landmark elsewhere than it `was`, another window has moved it, and nothing is changed.
    pub(super) fn correct(
        &self,
        index: usize,
        number: usize,
        position: Option<Point>,
        was: Option<Point>,
    ) -> Result<(), ViewerError> {
        let film = self.film(index)?;
        position.map_or(Ok(()), |position| validate_inside(position, film.size()))?;
        let before = self.seen(index, &film)?;
        let set = self.landmark_set();
        // Another window may correct the same film, so the film's detections are changed where they are.
        let mut all = lock(&self.seen);
        let seen = all.entry(index).or_insert(before);
        let now = seen.corrected.landmark(number).map(Detection::position);
        if now.zip(was).is_some_and(|(now, was)| is_stale(now, was)) {
            return Err(ViewerError::Stale);
        }
        let mut corrected = seen.corrected.clone();
        match position {
            Some(position) => corrected.correct(number, position, &set)?,
            None => corrected.restore(number, &seen.found, &set)?,
        }
        self.keep(index, &film, seen.seconds, corrected.clone())?;
        seen.corrected = corrected;
        Ok(())
    }

    /// The measurements as they would be with a landmark at another position. Nothing is changed.
    pub(super) fn try_at(&self, index: usize, number: usize, position: Point) -> Result<Vec<Measurement>, ViewerError> {
        let seen = lock(&self.seen).get(&index).map(|seen| seen.corrected.clone());
        let mut tried = if let Some(seen) = seen { seen } else { self.look_at(index)?.detections };
        let FilmSize { width, height } = tried.film();
        validate_inside(position, Size { width, height })?;
        tried.correct(number, position, &self.landmark_set())?;
        Ok(tried.measurements().to_vec())
    }

    /// States a film's spacing by a ruler on it; `None` takes the ruler away.
    pub(super) fn rule(&self, index: usize, ruler: Option<Spacing>) -> Result<(), ViewerError> {
        let key = sha256(self.film(index)?.grey());
        let put = |ruler: Option<Spacing>| match ruler {
            Some(ruler) => lock(&self.rulers).insert(key.clone(), ruler),
            None => lock(&self.rulers).remove(&key),
        };
        let before = put(ruler);
        let film = self.film(index)?;
        let keep = |_| {
            // Another window may have corrected the film since.
            let all = lock(&self.seen);
            all.get(&index).map_or(Ok(()), |seen| self.keep(index, &film, seen.seconds, seen.corrected.clone()))
        };
        self.seen(index, &film).and_then(keep).inspect_err(|_| _ = put(before))
    }

    /// Keeps a film's corrections, if there is a file for them.
    fn keep(&self, index: usize, film: &Film, seconds: f64, corrected: Detections) -> Result<(), ViewerError> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let warnings = film.warnings().iter().map(ToString::to_string).collect();
        let name = self.place(index)?.0.name();
        lock(kept).note(FilmReport::done(name, seconds, warnings, corrected))
    }

    /// A film's results in one of the formats.
    pub(super) fn save(&self, index: usize, format: &str) -> Result<Saved, ViewerError> {
        let LookedAt { file, seconds, warnings, detections, .. } = self.look_at(index)?;
        let path = without_extension(Path::new(&file));
        let stem = path.file_name().map_or("film".into(), OsStr::to_string_lossy);
        let extension = Self::formats().find(|(name, _)| *name == format).map(|(_, extension)| extension);
        let name = format!("{stem}.{}", extension.ok_or_else(|| ViewerError::NoFormat { name: format.to_owned() })?);
        let report = |detections| vec![FilmReport::done(&file, seconds, warnings, detections)];
        let bytes = match FORMATS.iter().find(|one| one.name == format) {
            Some(one) => (one.write)(&results(&self.film(index)?, &detections, &file))?,
            None if format == "csv" => csv::write(&report(detections))?,
            None => json::to_text(&Document::new(report(detections)), true)?.into_bytes(),
        };
        Ok(Saved { name, bytes })
    }

    /// Adapts the bundle to a corrected film, writes it, and uses it from then on for all films except those that a person has
    /// corrected. Returns the outcome in a sentence.
    pub(super) fn adapt(&self, index: usize) -> Result<String, ViewerError> {
        let target = self.adapt_to.as_ref().ok_or(ViewerError::MayNotAdapt)?;
        // A second window waits, and adds its film to the bundle of the first. Another program's bundle is never replaced.
        let mut written = lock(&self.written);
        let _lock = lock_unchanged(target, written.as_deref())?;
        let film = self.film(index)?;
        let corrected = self.seen(index, &film)?.corrected;
        let known = corrected.landmarks().iter().map(|landmark| landmark.unless_guess().map(Detection::position));
        let points: Vec<Option<Point>> = known.collect();
        let bundle = lock(&self.engine).bundle.clone();
        let examples = [Example { film: &film, points: &points }];
        let (bundle, _) = adapt_with_backend(&bundle, &examples, None, self.backend.clone(), self.options.clone())?;
        bundle.write(target, true)?;
        *written = Some(bundle.digest());
        let films = bundle.manifest().adapted.as_ref().map_or(0, |adapted| adapted.films.len());
        let detector = Arc::new(Detector::with_backend(&bundle, self.backend.clone(), self.options.clone())?);
        *lock(&self.engine) = Engine { bundle, detector };
        lock(&self.seen).retain(|_, seen| seen.corrected.landmarks().iter().any(is_by_hand));
        Ok(format!("The bundle uses its template and {films} more: {}", target.display()))
    }

    fn place(&self, index: usize) -> Result<&(FilmSource, Option<Spacing>), ViewerError> {
        self.films.get(index).ok_or(ViewerError::NoFilm { index })
    }

    fn seen(&self, index: usize, film: &Film) -> Result<Seen, ViewerError> {
        let is_current = |seen: &&Seen| seen.found.spacing() == film.spacing();
        if let Some(seen) = lock(&self.seen).get(&index).filter(is_current) {
            return Ok(seen.clone());
        }
        // The wall clock, because Rust has no other clock in browsers.
        let start = Local::now();
        let found = self.detector().detect(film)?;
        let seconds = (Local::now() - start).as_seconds_f64().max(0.0);
        let (mut corrected, set) = (found.clone(), self.landmark_set());
        let mut all = lock(&self.seen);
        match (all.get(&index), &self.kept) {
            (Some(seen), _) if is_current(&seen) => return Ok(seen.clone()),
            // A ruler has given the film another spacing: the corrections stay.
            (Some(seen), _) => {
                for landmark in seen.corrected.landmarks().iter().filter(|landmark| is_by_hand(landmark)) {
                    corrected.correct(landmark.number(), landmark.position(), &set)?;
                }
            }
            (None, Some(kept)) => lock(kept).repeat_on(&mut corrected, &set)?,
            (None, None) => {}
        }
        let seen = Seen { seconds, corrected, found };
        all.insert(index, seen.clone());
        Ok(seen)
    }
}

/// The lock on the bundle at `target`, if nothing is there, or what this viewer has written last, with this digest.
fn lock_unchanged(target: &Path, written: Option<&str>) -> Result<Lock, ViewerError> {
    let path = || target.to_owned();
    let failed = |source| ViewerError::Target { path: path(), source };
    let held = Lock::try_new(target).map_err(failed)?.ok_or_else(|| ViewerError::Busy { path: path() })?;
    match read_file_at_most(&target.join(MANIFEST), LARGEST_MANIFEST) {
        Ok(manifest) if written == Some(&sha256(&manifest)) => Ok(held),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(held),
        Err(error) if error.kind() != ErrorKind::NotADirectory => Err(failed(error)),
        _ => Err(ViewerError::Changed { path: path() }),
    }
}

fn results<'a>(film: &'a Film, detections: &'a Detections, name: &'a str) -> FilmResults<'a> {
    FilmResults { detections, film, name, time: Local::now() }
}

/// How far apart, px, two numbers for the same position may be: JSON's readers differ in the last digit.
const SAME_POSITION: f64 = 1e-6;

fn validate_inside(position: Point, size: Size) -> Result<(), ViewerError> {
    let Point { x, y } = position;
    if position.is_inside(size) { Ok(()) } else { Err(ViewerError::OutsideFilm { x, y }) }
}

/// Whether a landmark has been moved since a window showed it where it `was`.
pub(super) fn is_stale(now: Point, was: Point) -> bool {
    now.distance_px(was) > SAME_POSITION
}

/// Ignores poisoning: values are replaced in one step, so a thread that panicked leaves them whole.
pub(super) fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
