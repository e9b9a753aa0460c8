//! Keeps a person's corrections in a file as they are made, so that the end of the viewer, or of the machine, loses none.
//!
//! The file is what `onemark detect --json` writes, with the corrected films only: every reader of points takes it. A film whose
//! spacing a person took from a ruler is in it too, without landmarks if none of them was corrected.

use std::collections::BTreeMap;
use std::path::Path;

use onemark_film::Spacing;
use onemark_models::landmarks::LandmarkSet;
use onemark_results::json::{Document, FilmReport, to_text};
use onemark_runtime::{Detection, Detections, Status};

use crate::ViewerError;
use crate::kept_file::{KeptFile, Why};

/// A file of corrections, which no other viewer writes at the same time.
pub struct Kept {
    file: KeptFile,
    /// The reports of corrected films and of films with a ruler, by the SHA-256 of their grey values.
    films: BTreeMap<String, FilmReport>,
}

impl Kept {
    /// Opens a file of corrections, or begins one.
    ///
    /// # Errors
    /// [`ViewerError::Kept`]: it can't be read or written, holds something else or corrections of other landmarks, or another viewer
    /// has it.
    pub fn open(path: &Path, set: &LandmarkSet) -> Result<Self, ViewerError> {
        let fault = |why: Why| ViewerError::Kept { path: path.to_owned(), source: why };
        let (file, bytes) = KeptFile::open(path).map_err(fault)?;
        let films = bytes.map_or_else(|| Ok(BTreeMap::new()), |bytes| read(&bytes, set)).map_err(fault)?;
        Ok(Self { file, films })
    }

    /// The number of films that have corrections.
    pub fn len(&self) -> usize {
        self.films.len()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The spacings that a person took from rulers, by the SHA-256 of their films' grey values.
    pub fn rulers(&self) -> BTreeMap<String, Spacing> {
        self.films.iter().filter_map(|(film, report)| Some((film.clone(), ruler(report)?.clone()))).collect()
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
        let fault = |why: Why| ViewerError::Kept { path: self.file.path().to_owned(), source: why };
        let Some(film) = film_sha256(&report).map(str::to_owned) else { return Ok(()) };
        let mut films = self.films.clone();
        match report {
            report if by_hand(&report).next().is_some() => films.insert(film, report),
            // Nobody has looked at its points, so they are not kept: they would be taken for a person's.
            FilmReport::Done { file, seconds, warnings, detections, .. }
                if detections.spacing().is_some_and(Spacing::is_from_ruler) =>
            {
                films.insert(film, FilmReport::done(file, seconds, warnings, detections.without_landmarks()))
            }
            _ => films.remove(&film),
        };
        let document = Document::new(films.values().cloned().collect());
        let text = to_text(&document, true).map_err(|error| fault(error.into()))?;
        self.file.write(text.as_bytes()).map_err(fault)?;
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
        if by_hand(&report).next().is_none() && ruler(&report).is_none() {
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

/// The spacing that a person took from a ruler on a report's film.
fn ruler(report: &FilmReport) -> Option<&Spacing> {
    let FilmReport::Done { detections, .. } = report else { return None };
    detections.spacing().filter(|spacing| spacing.is_from_ruler())
}

/// Whether a person placed it.
pub fn is_by_hand(landmark: &Detection) -> bool {
    landmark.status() == Status::EditedByHand
}

fn film_sha256(report: &FilmReport) -> Option<&str> {
    let FilmReport::Done { detections, .. } = report else { return None };
    detections.film_sha256()
}
