//! Keeps a person's corrections in a file as they are made, so that the end of the viewer, or of the machine, loses none.
//!
//! The file is what `onemark detect --json` writes, with the corrected films only: every reader of points takes it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use onemark_models::files::{read_at_most, write_whole};
use onemark_models::landmarks::LandmarkSet;
use onemark_models::lock::Lock;
use onemark_results::json::{Document, FilmReport, to_text};
use onemark_runtime::{Detection, Detections, Status};

use crate::ViewerError;

/// Largest file that is read, in bytes: more than a thousand corrected films.
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
    /// [`ViewerError::Kept`]: it can't be read, holds something else, or another viewer has it.
    pub fn open(path: &Path) -> Result<Self, ViewerError> {
        let fault =
            |source: Box<dyn std::error::Error + Send + Sync>| ViewerError::Kept { path: path.to_owned(), source };
        let lock = Lock::try_new(path).map_err(|error| fault(error.into()))?;
        let lock =
            lock.ok_or_else(|| fault("another viewer keeps its corrections there; choose another file".into()))?;
        let films = match read_at_most(path, MOST_BYTES) {
            Ok(bytes) => {
                let document = Document::read(&String::from_utf8_lossy(&bytes)).map_err(|error| fault(error.into()))?;
                document
                    .films
                    .into_iter()
                    .filter_map(|report| Some((film_sha256(&report)?.to_owned(), report)))
                    .collect()
            }
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
        let kept = detections.film_sha256().and_then(|film| self.films.get(film));
        let Some(FilmReport::Done { detections: kept, .. }) = kept else { return Ok(()) };
        for landmark in kept.landmarks().iter().filter(|landmark| is_by_hand(landmark)) {
            // Another bundle may have other landmarks.
            if let Some(same) = set.landmarks.iter().find(|one| one.name == landmark.name()) {
                detections.correct(same.number.number(), landmark.position(), set)?;
            }
        }
        Ok(())
    }

    /// Notes a film's report, and writes the file: all of it, or nothing.
    ///
    /// # Errors
    /// [`ViewerError::Kept`].
    pub fn note(&mut self, report: FilmReport) -> Result<(), ViewerError> {
        let (Some(film), FilmReport::Done { detections, .. }) = (film_sha256(&report), &report) else { return Ok(()) };
        let film = film.to_owned();
        if detections.landmarks().iter().any(is_by_hand) {
            self.films.insert(film, report);
        } else {
            self.films.remove(&film);
        }
        let document = Document::new(self.films.values().cloned().collect());
        let fault = |source| ViewerError::Kept { path: self.path.clone(), source };
        let text = to_text(&document, true).map_err(|error| fault(error.into()))?;
        write_whole(&self.path, text.as_bytes()).map_err(|error| fault(error.into()))
    }
}

/// Whether a person placed it.
pub fn is_by_hand(landmark: &Detection) -> bool {
    landmark.status() == Status::EditedByHand
}

fn film_sha256(report: &FilmReport) -> Option<&str> {
    let FilmReport::Done { detections, .. } = report else { return None };
    detections.film_sha256()
}
