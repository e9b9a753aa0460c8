//! The state of annotation: films, and what a person says of each landmark on them. Requests are handled in `annotation_routes`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use onemark_evaluation::points::{self, FilmIdentity, FilmPoints, Form, PointsError};
use onemark_film::geometry::Point;
use onemark_film::{Film, Size, Spacing};
use onemark_models::landmarks::LandmarkSet;
use onemark_runtime::{Detection, Detector};
use serde::{Deserialize, Serialize};

use crate::desk::{is_stale, lock};
use crate::kept_file::{KeptFile, Why};
use crate::{FilmSource, ViewerError};

/// What a person says of a landmark on a film.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// It is here, in film px.
    Placed(Point),
    /// It can't be seen.
    NotVisible,
}

/// A film to annotate.
pub struct FilmToAnnotate {
    /// Where it is read from.
    pub source: FilmSource,
    /// mm per px; replaces what the film states.
    pub spacing: Option<Spacing>,
    /// What tells it from other films.
    pub identity: FilmIdentity,
}

/// Films, what a person says of their landmarks, and the file that keeps it.
pub struct AnnotationDesk {
    set: LandmarkSet,
    films: Vec<FilmToAnnotate>,
    kept: Mutex<KeptPoints>,
    second_reader: Option<SecondReader>,
    detector: Option<Detector>,
    /// By film, for those on which points have been proposed.
    proposals: Mutex<BTreeMap<usize, Arc<Proposals>>>,
}

/// A file of points, and its content.
struct KeptPoints {
    file: KeptFile,
    /// In the order of the desk's films. Of most, at first, nothing is said.
    films: Vec<FilmPoints>,
    /// Films of the file that the desk does not have. They stay in it.
    others: Vec<FilmPoints>,
}

/// Another person's points, to compare with.
struct SecondReader {
    name: String,
    /// By film.
    films: Vec<Option<FilmPoints>>,
}

/// The points that a bundle proposes for a film.
#[derive(Serialize)]
pub(super) struct Proposals {
    /// In the order of the set; `None` where it finds nothing.
    points: Vec<Option<Point>>,
    /// Why it proposes none at all, if it refuses the film.
    refusal: Option<String>,
}

/// A landmark of a film as the page shows it.
#[derive(Serialize)]
pub(super) struct Shown {
    mark: Option<Mark>,
    second_reader: Option<Point>,
}

impl AnnotationDesk {
    /// A desk for films, each there once, whose points are kept in the file `out` as Onemark's JSON. What the file has already is
    /// shown again. It is written when something changes.
    ///
    /// # Errors
    /// [`ViewerError::Points`]: the file can't be read or written, another desk has it, or it holds something that would be lost when
    /// it is written again.
    pub fn new(set: LandmarkSet, films: Vec<FilmToAnnotate>, out: &Path) -> Result<Self, ViewerError> {
        let fault = |source: Why| ViewerError::Points { path: out.to_owned(), source };
        let (file, bytes) = KeptFile::open(out).map_err(fault)?;
        let others = bytes.map_or_else(|| Ok(Vec::new()), |bytes| read(out, &bytes, &set)).map_err(fault)?;
        let unmarked = |film: &FilmToAnnotate| FilmPoints::none(film.identity.clone(), set.len());
        let mut kept = KeptPoints { file, films: films.iter().map(unmarked).collect(), others };
        for film in &mut kept.films {
            let found = match points::for_film(kept.others.clone(), &film.film, false) {
                Ok(found) => found,
                Err(PointsError::OtherFilm { .. } | PointsError::NoFilm) => continue,
                Err(error) => return Err(fault(error.into())),
            };
            kept.others.retain(|other| other.film != found.film);
            *film = FilmPoints { film: film.film.clone(), ..found };
        }
        let proposals = Mutex::default();
        Ok(Self { set, films, kept: kept.into(), second_reader: None, detector: None, proposals })
    }

    /// The films, in their order.
    pub fn films(&self) -> &[FilmToAnnotate] {
        &self.films
    }

    /// The file that keeps the points.
    pub fn path(&self) -> std::path::PathBuf {
        lock(&self.kept).file.path().to_owned()
    }

    /// Number of films of which something is said.
    pub fn annotated(&self) -> usize {
        lock(&self.kept).films.iter().filter(|film| marks(film) > 0).count()
    }

    /// Adds earlier points of the films, in their order, and writes the file. A film of which something is said already stays as it
    /// is. Returns the number of films that have got points.
    ///
    /// # Errors
    /// [`ViewerError::OutsideFilm`]; [`ViewerError::Points`] if the file can't be written.
    pub fn add(&mut self, earlier: Vec<Option<FilmPoints>>) -> Result<usize, ViewerError> {
        let mut kept = lock(&self.kept);
        let mut films = kept.films.clone();
        let mut added = 0;
        for (film, earlier) in films.iter_mut().zip(earlier) {
            let Some(earlier) = earlier.filter(|earlier| marks(earlier) > 0 && marks(film) == 0) else { continue };
            for point in earlier.points.iter().flatten() {
                validate_inside(*point, film.film.size)?;
            }
            *film = FilmPoints { film: film.film.clone(), ..earlier };
            added += 1;
        }
        if added > 0 {
            kept.write(films, &self.set)?;
        }
        Ok(added)
    }

    /// Shows another person's points of the films, in their order, beside the own.
    pub fn compare_with(&mut self, name: String, films: Vec<Option<FilmPoints>>) {
        self.second_reader = Some(SecondReader { name, films });
    }

    /// Proposes points that this detector, for the same landmarks, finds. They are kept only when a person accepts them.
    pub fn propose_by(&mut self, detector: Detector) {
        self.detector = Some(detector);
    }

    pub(super) fn set(&self) -> &LandmarkSet {
        &self.set
    }

    pub(super) fn second_reader(&self) -> Option<&str> {
        self.second_reader.as_ref().map(|reader| reader.name.as_str())
    }

    pub(super) fn bundle(&self) -> Option<&str> {
        self.detector.as_ref().map(|detector| detector.bundle().name.as_str())
    }

    /// Of each film, its file's name, and how many landmarks are placed and can't be seen.
    pub(super) fn counts(&self) -> Vec<(String, usize, usize)> {
        let kept = lock(&self.kept);
        let counts = |(film, points): (&FilmToAnnotate, &FilmPoints)| {
            (film.source.name(), placed(points), points.not_visible.len())
        };
        self.films.iter().zip(&kept.films).map(counts).collect()
    }

    /// Reads a film.
    pub(super) fn film(&self, index: usize) -> Result<Film, ViewerError> {
        let FilmToAnnotate { source, spacing, .. } = self.place(index)?;
        Ok(source.read()?.with_stated(None, spacing.as_ref()))
    }

    /// What is said of a film's landmarks, in the order of the set.
    pub(super) fn shown(&self, index: usize) -> Result<Vec<Shown>, ViewerError> {
        self.place(index)?;
        let kept = lock(&self.kept);
        let second = self.second_reader.as_ref().and_then(|reader| reader.films.get(index)?.as_ref());
        let shown = |landmark: usize| Shown {
            mark: mark_of(&kept.films[index], landmark),
            second_reader: second.and_then(|film| film.points[landmark]),
        };
        Ok((0..self.set.len()).map(shown).collect())
    }

    /// Notes what a person says of a landmark, `None` for nothing, and writes the file. If that person's window shows something else
    /// than is noted, another window has changed it, and nothing is noted.
    pub(super) fn mark(
        &self,
        index: usize,
        number: usize,
        now: Option<Mark>,
        was: Option<Mark>,
    ) -> Result<(), ViewerError> {
        let size = self.place(index)?.identity.size;
        let landmark = number.checked_sub(1).filter(|landmark| *landmark < self.set.len());
        let landmark = landmark.ok_or(ViewerError::NoLandmark { number, most: self.set.len() })?;
        if let Some(Mark::Placed(point)) = now {
            validate_inside(point, size)?;
        }
        let mut kept = lock(&self.kept);
        let is_changed = match (mark_of(&kept.films[index], landmark), was) {
            (Some(Mark::Placed(now)), Some(Mark::Placed(was))) => is_stale(now, was),
            (now, was) => now != was,
        };
        if is_changed {
            return Err(ViewerError::Stale);
        }
        let mut films = kept.films.clone();
        let film = &mut films[index];
        film.points[landmark] = match now {
            Some(Mark::Placed(point)) => Some(point),
            _ => None,
        };
        film.not_visible.remove(&landmark);
        if now == Some(Mark::NotVisible) {
            film.not_visible.insert(landmark);
        }
        kept.write(films, &self.set)
    }

    /// The points that the detector finds on a film, if there is a detector.
    pub(super) fn proposals(&self, index: usize) -> Result<Arc<Proposals>, ViewerError> {
        if let Some(proposals) = lock(&self.proposals).get(&index) {
            return Ok(proposals.clone());
        }
        let film = self.film(index)?;
        let proposals = match &self.detector {
            None => Proposals { points: vec![None; self.set.len()], refusal: None },
            Some(detector) => {
                let found = detector.detect(&film)?;
                let point = |landmark: &Detection| landmark.unless_guess().map(Detection::position);
                let is_inside = |point: &Point| point.is_inside(film.size());
                let points = found.landmarks().iter().map(|landmark| point(landmark).filter(is_inside)).collect();
                Proposals { points, refusal: found.refusal().map(str::to_owned) }
            }
        };
        Ok(lock(&self.proposals).entry(index).or_insert(proposals.into()).clone())
    }

    fn place(&self, index: usize) -> Result<&FilmToAnnotate, ViewerError> {
        self.films.get(index).ok_or(ViewerError::NoFilm { index })
    }
}

impl KeptPoints {
    /// Writes the file with these points of the desk's films, which become its content if that succeeds.
    fn write(&mut self, films: Vec<FilmPoints>, set: &LandmarkSet) -> Result<(), ViewerError> {
        let fault = |source: Why| ViewerError::Points { path: self.file.path().to_owned(), source };
        let annotated = films.iter().chain(&self.others).filter(|film| marks(film) > 0).cloned();
        let bytes = points::write(Form::Json, &annotated.collect::<Vec<_>>(), set, None);
        self.file.write(&bytes.map_err(|error| fault(error.into()))?).map_err(fault)?;
        self.films = films;
        Ok(())
    }
}

/// The points of a file that is written again. Whatever is not written again would be lost, so it is refused.
fn read(path: &Path, bytes: &[u8], set: &LandmarkSet) -> Result<Vec<FilmPoints>, Why> {
    let file = points::parse(path, bytes)?;
    if !file.is_annotation() {
        return Err(format!(
            "it is {}, and not made by annotation; its points can be opened as earlier ones",
            file.form().about()
        )
        .into());
    }
    Ok(file.films(set, None)?)
}

/// Number of landmarks of which a person has said something.
fn marks(film: &FilmPoints) -> usize {
    placed(film) + film.not_visible.len()
}

fn placed(film: &FilmPoints) -> usize {
    film.points.iter().flatten().count()
}

fn mark_of(film: &FilmPoints, landmark: usize) -> Option<Mark> {
    match film.points.get(landmark)? {
        Some(point) => Some(Mark::Placed(*point)),
        None => film.not_visible.contains(&landmark).then_some(Mark::NotVisible),
    }
}

/// The corner itself stands for "not annotated" in files of points.
fn validate_inside(point @ Point { x, y }: Point, size: Option<Size>) -> Result<(), ViewerError> {
    let is_inside = size.is_none_or(|size| point.is_inside(size)) && point != Point::new(0.0, 0.0);
    if is_inside { Ok(()) } else { Err(ViewerError::OutsideFilm { x, y }) }
}
