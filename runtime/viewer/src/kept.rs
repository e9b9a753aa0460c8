//! Keeps a person's corrections in a file as they are made, so that the end of the viewer, or of the machine, loses none.
//!
//! The file is what `onemark detect --json` writes, with the corrected films only: every reader of points takes it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use onemark_models::files::{read_file_at_most, validate_place, write_whole};
use onemark_models::landmarks::LandmarkSet;
use onemark_models::lock::Lock;
use onemark_results::json::{Document, FilmReport, to_text};
use onemark_runtime::{Detection, Detections, Status};

use crate::ViewerError;

type Why = Box<dyn std::error::Error + Send + Sync>;

/// Largest file that is read and written, in bytes: more than a thousand corrected films.
const MOST_BYTES: u64 = 64 << 20;

/// A file of corrections, which no other viewer writes at the same time.
pub struct Kept {
    path: PathBuf,
    /// The reports of corrected films, by the SHA-256 of their grey values.
    films: BTreeMap<String, FilmReport>,
    _lock: Lock,
}

impl Kept {
    /// Opens a file of corrections, or begins one.
    ///
    /// # Errors
    /// [`ViewerError::Kept`]: it can't be read or written, holds something else or corrections of other landmarks, or another viewer
    /// has it.
    pub fn open(path: &Path, set: &LandmarkSet) -> Result<Self, ViewerError> {
        let fault = |why: Why| ViewerError::Kept { path: path.to_owned(), source: why };
        validate_place(path).map_err(|error| fault(error.into()))?;
        let lock = Lock::try_new(path).map_err(|error| fault(error.into()))?;
        let lock = lock.ok_or_else(|| fault("another viewer keeps its corrections there".into()))?;
        let films = match read_file_at_most(path, MOST_BYTES) {
            Ok(bytes) => read(&bytes, set).map_err(fault)?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(fault(error.into())),
        };
        Ok(Self { path: path.to_owned(), films, _lock: lock })
    }

    /// The number of films that have corrections.
    pub fn len(&self) -> usize {
        self.films.len()
    }

    /// Repeats the corrections of a film on what was found on it.
    ///
    /// # Errors
    /// The bundle has no such landmark.
    pub fn repeat_on(&self, detections: &mut Detections, set: &LandmarkSet) -> Result<(), ViewerError> {
        let kept = detections.film_sha256().and_then(|film| self.films.get(film)).map(by_hand);
        for landmark in kept.into_iter().flatten() {
            detections.correct(landmark.number(), landmark.position(), set)?;
        }
        Ok(())
    }

    /// Notes a film's report, and writes the file: all of it, or nothing.
    ///
    /// # Errors
    /// [`ViewerError::Kept`]; the report is not noted then.
    pub fn note(&mut self, report: FilmReport) -> Result<(), ViewerError> {
        let fault = |why: Why| ViewerError::Kept { path: self.path.clone(), source: why };
        let Some(film) = film_sha256(&report).map(str::to_owned) else { return Ok(()) };
        let mut films = self.films.clone();
        if by_hand(&report).next().is_some() {
            films.insert(film, report);
        } else {
            films.remove(&film);
        }
        let document = Document::new(films.values().cloned().collect());
        let text = to_text(&document, true).map_err(|error| fault(error.into()))?;
        if text.len() as u64 > MOST_BYTES {
            return Err(fault(format!("it would have more than {MOST_BYTES} bytes").into()));
        }
        write_whole(&self.path, text.as_bytes()).map_err(|error| fault(error.into()))?;
        self.films = films;
        Ok(())
    }
}

/// The reports of a file of corrections, by the SHA-256 of their films' grey values. Anything else would be lost when the file is
/// written again, so it is refused.
fn read(bytes: &[u8], set: &LandmarkSet) -> Result<BTreeMap<String, FilmReport>, Why> {
    let document = Document::read(str::from_utf8(bytes)?)?;
    let mut films = BTreeMap::new();
    for report in document.films {
        let is_known = |one: &Detection| {
            set.landmarks.get(one.number().wrapping_sub(1)).is_some_and(|landmark| landmark.name == one.name())
        };
        if by_hand(&report).next().is_none() {
            return Err("it is not a file of corrections: a film in it has none".into());
        }
        if !by_hand(&report).all(is_known) {
            return Err("it holds corrections of landmarks that this bundle does not have".into());
        }
        let film = film_sha256(&report).ok_or("it is not a file of corrections: a film in it has no film_sha256")?;
        if films.insert(film.to_owned(), report).is_some() {
            return Err("it is not a file of corrections: a film is in it twice".into());
        }
    }
    Ok(films)
}

/// The landmarks that a person placed.
fn by_hand(report: &FilmReport) -> impl Iterator<Item = &Detection> {
    let landmarks = match report {
        FilmReport::Done { detections, .. } => detections.landmarks(),
        _ => &[],
    };
    landmarks.iter().filter(|landmark| is_by_hand(landmark))
}

/// Whether a person placed it.
pub fn is_by_hand(landmark: &Detection) -> bool {
    landmark.status() == Status::EditedByHand
}

fn film_sha256(report: &FilmReport) -> Option<&str> {
    let FilmReport::Done { detections, .. } = report else { return None };
    detections.film_sha256()
}
