//! Few-shot adaptation: adapts a bundle to further annotated films, for example a clinic's own, in seconds and without training.
//! The network finds a landmark by five template vectors. After adaptation these are means of the unit vectors of the template
//! and of the films.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::Array2;
use onemark_film::geometry::{GridMap, GridPoint, Point, Size};
use onemark_film::{Film, FilmError};
use onemark_models::bundle::limits::MOST_ADAPTED_FILMS;
use onemark_models::bundle::{AdaptedFilm, Bundle, BundleError, names};
use onemark_models::files::sha256;
use onemark_models::graph::Level;
use onemark_models::invalid::Invalid;
use onemark_models::landmarks::LandmarkId;
use onemark_models::parallel::in_parallel;
use onemark_models::text::validate_text;

use crate::backend::Backend;
use crate::detector::Detector;
use crate::embeddings::{Embeddings, Scorer, Vectors};
use crate::job::{Cancel, Progress};
use crate::look::Look;
use crate::second_look::SecondLook;
use crate::{Options, RuntimeError};

/// An annotated film.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// The film.
    pub film: &'a Film,
    /// In film px, landmark 1 first; `None` where a landmark is not annotated.
    pub points: &'a [Option<Point>],
}

/// The radial error of a landmark on one of the films, before and after adaptation to the other films: in mm if the film's spacing
/// is known, otherwise in px.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The landmark's number.
    pub landmark: usize,
    /// With the bundle's vectors.
    pub before: f64,
    /// With vectors that are adapted to the other films.
    pub after: f64,
}

/// Why a bundle can't be adapted to films.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdaptError {
    /// The bundle can't be opened or run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The new bundle can't be made.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A film can't be resized.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// There is no film, or it has no landmark.
    #[error("film {film} of the examples has no landmark; annotate at least one")]
    #[non_exhaustive]
    Nothing {
        /// Which one, from 1.
        film: usize,
    },
    /// The points do not match the bundle's landmark set.
    #[error(
        "film {film} of the examples has {found} points, but the bundle has {expected} landmarks; give one point for each, in order"
    )]
    #[non_exhaustive]
    Count {
        /// Which one, from 1.
        film: usize,
        /// Points given.
        found: usize,
        /// Landmarks of the bundle.
        expected: usize,
    },
    /// A point is not on the film.
    #[error(
        "landmark {landmark} at {x:.1}, {y:.1} px lies outside of film {film} of the examples ({width}x{height} px)"
    )]
    #[non_exhaustive]
    Outside {
        /// Which film, from 1.
        film: usize,
        /// The landmark's number.
        landmark: usize,
        /// px from the left.
        x: f64,
        /// px from the top.
        y: f64,
        /// Width in px.
        width: u32,
        /// Height in px.
        height: u32,
    },
    /// The bundle would be adapted to more films than a bundle can record.
    #[error(
        "with these examples, the bundle would be adapted to {films} films; at most {MOST_ADAPTED_FILMS} are possible"
    )]
    #[non_exhaustive]
    TooMany {
        /// The films so far and the examples.
        films: usize,
    },
    /// The text that says where the films come from breaks a rule.
    #[error(transparent)]
    Source(Invalid),
    /// The bundle was adapted to the film before, or the film is given twice.
    #[error("film {film} of the examples was used before; a film counts once")]
    #[non_exhaustive]
    Again {
        /// Which one, from 1.
        film: usize,
    },
}

/// Adapts a bundle to `examples`. Gives the new bundle and, per film, the changes of its landmarks' errors by adaptation to the
/// other films; none if there is one film only. `source` says where the films come from, for the bundle's record. Other vectors give
/// other scores. So the new bundle is not calibrated and refuses no films of another kind, until the adaptation is undone.
///
/// ```
/// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
/// use onemark_runtime::adapt::{Example, adapt};
/// use onemark_runtime::film::geometry::Point;
/// use onemark_runtime::{BackendKind, Options};
///
/// # let bundle = spot::adaptable();
/// # let (one, other) = (spot::film(), spot::film_with(Point::new(60.0, 20.0)));
/// let (ours, theirs) = ([Some(Point::new(33.0, 41.5)), None], [Some(Point::new(60.0, 20.0)), None]);
/// let examples = [Example { film: &one, points: &ours }, Example { film: &other, points: &theirs }];
/// let options = Options::default().with_backend(BackendKind::Tract);
/// let (adapted, changes) = adapt(&bundle, &examples, Some("ward 7"), options)?;
///
/// let record = adapted.manifest().adapted.as_ref().ok_or("no record")?;
/// assert_eq!((record.films.len(), changes[0][0].landmark), (2, 1));
/// // The original vectors are kept, so that an adaptation can be undone.
/// assert_eq!(adapted.without_adaptation()?.manifest(), bundle.manifest());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// See [`AdaptError`].
pub fn adapt(
    bundle: &Bundle,
    examples: &[Example<'_>],
    source: Option<&str>,
    options: Options,
) -> Result<(Bundle, Vec<Vec<Change>>), AdaptError> {
    adapt_by(bundle, examples, source, |bundle| Detector::new(bundle, options.with_all_landmarks()))
}

/// [`adapt`] with this backend, instead of the one that the options name: one that the host implements, or one that is open already.
///
/// # Errors
/// As [`adapt`].
pub fn adapt_with_backend(
    bundle: &Bundle,
    examples: &[Example<'_>],
    source: Option<&str>,
    backend: Arc<dyn Backend>,
    options: Options,
) -> Result<(Bundle, Vec<Vec<Change>>), AdaptError> {
    adapt_by(bundle, examples, source, |bundle| Detector::with_backend(bundle, backend, options.with_all_landmarks()))
}

/// Opens the detector only after everything was checked that takes no time.
fn adapt_by(
    bundle: &Bundle,
    examples: &[Example<'_>],
    source: Option<&str>,
    open: impl FnOnce(&Bundle) -> Result<Detector, RuntimeError>,
) -> Result<(Bundle, Vec<Vec<Change>>), AdaptError> {
    validate(bundle, examples)?;
    source.map_or(Ok(()), |source| validate_text("source", source)).map_err(AdaptError::Source)?;
    let digests: Vec<String> = examples.iter().map(|example| sha256(example.film.grey())).collect();
    let adapted = bundle.manifest().adapted.as_ref();
    for (index, sha256) in digests.iter().enumerate() {
        let known = adapted.iter().flat_map(|adapted| &adapted.films).map(|film| &film.sha256);
        if known.chain(&digests[..index]).any(|known| known == sha256) {
            return Err(AdaptError::Again { film: index + 1 });
        }
    }
    let detector = open(bundle)?;
    let first = Lesson::new(bundle, detector.first(), examples.iter().copied().map(Some))?;
    let second = detector.second().zip(bundle.second_look());
    let second = second.map(|(look, (_, bundle))| {
        let aligned =
            examples.iter().map(|example| aligned(&detector, look, example)).collect::<Result<Vec<_>, _>>()?;
        let examples = aligned.iter().map(|one| one.as_ref().map(|(film, points)| Example { film, points }));
        Lesson::new(bundle, look.look(), examples)
    });
    let second = second.transpose()?;
    let vectors =
        |without: Option<usize>| (first.vectors(without), second.as_ref().map(|second| second.vectors(without)));
    let mut changes = Vec::with_capacity(examples.len());
    if examples.len() > 1 {
        let before = (first.before.clone(), second.as_ref().map(|second| second.before.clone()));
        // Embeddings are computed a second time, because those of many films would not fit into memory.
        for (film, example) in examples.iter().enumerate() {
            changes.push(compare(&detector, example, &before, &vectors(Some(film)))?);
        }
    }
    let new = first.bundle(&digests, source)?;
    let new = match second {
        Some(second) => new.with_second(&second.bundle(&digests, source)?)?,
        None => new,
    };
    Ok((new, changes))
}

/// What one look sees at the annotated points of the examples.
struct Lesson<'a> {
    bundle: &'a Bundle,
    /// The bundle's vectors, landmark 1 first.
    before: Vec<Vectors>,
    /// Of each example and landmark; `None` where it is not annotated.
    seen: Vec<Vec<Option<Vectors>>>,
}

impl<'a> Lesson<'a> {
    /// The look's graphs are those of `bundle`. An example may be `None`, where the look can't see the film.
    fn new<'e>(
        bundle: &'a Bundle,
        look: &Look,
        examples: impl Iterator<Item = Option<Example<'e>>>,
    ) -> Result<Self, AdaptError> {
        let before = vectors(bundle)?;
        let seen = examples.map(|example| match example {
            Some(example) => annotated(look, &example),
            None => Ok(vec![None; before.len()]),
        });
        let seen = seen.collect::<Result<Vec<_>, RuntimeError>>()?;
        Ok(Self { bundle, before, seen })
    }

    /// The vectors after adaptation, to all films but this one.
    fn vectors(&self, without: Option<usize>) -> Vec<Vectors> {
        let adapted = self.bundle.manifest().adapted.as_ref();
        let of = |(landmark, before): (usize, &Vectors)| {
            let others = self.seen.iter().enumerate().filter(|(film, _)| Some(*film) != without);
            let films = adapted.map_or(1, |adapted| adapted.films_with(landmark + 1));
            mean(before, films, others.filter_map(|(_, film)| film[landmark].as_ref()))
        };
        self.before.iter().enumerate().map(of).collect()
    }

    /// The bundle after adaptation to all films, whose pixels have these digests. It records what this look has seen of them.
    fn bundle(&self, digests: &[String], source: Option<&str>) -> Result<Bundle, BundleError> {
        let films = digests.iter().zip(&self.seen).map(|(sha256, film)| AdaptedFilm {
            sha256: sha256.clone(),
            source: source.map(str::to_owned),
            landmarks: (1..).zip(film).filter(|(_, vectors)| vectors.is_some()).map(|(number, _)| number).collect(),
        });
        let named = |(index, vectors): (usize, Vectors)| {
            let landmark = LandmarkId::from_index(index);
            let levels = Level::COARSE_TO_FINE.into_iter().zip(vectors);
            levels.map(move |(level, vector)| (names::vector(landmark, level), vector))
        };
        let replaced: BTreeMap<String, Vec<f32>> = self.vectors(None).into_iter().enumerate().flat_map(named).collect();
        self.bundle.with_template_vectors(&replaced, films.collect())
    }
}

/// An aligned film and its landmarks, in px of it.
type Aligned = (Film, Vec<Option<Point>>);

/// An example as the second look sees it; `None` if the first look's landmarks do not say how it lies.
fn aligned(
    detector: &Detector,
    look: &SecondLook,
    Example { film, points }: &Example<'_>,
) -> Result<Option<Aligned>, RuntimeError> {
    let map = GridMap::new(film.size(), detector.grid());
    let seen = detector.first().see(film, &Cancel::new(), &Progress::silent())?;
    let found: Vec<Point> = seen.iter().map(|seen| map.to_film_at(seen.peak.at)).collect();
    let Some(alignment) = look.alignment(film, &found) else { return Ok(None) };
    let film = look.aligned(film, &alignment)?;
    let points = points.iter().map(|point| alignment.to_aligned((*point)?, film.width())).collect();
    Ok(Some((film, points)))
}

/// Whether the points belong to the bundle's landmarks and lie on their films.
fn validate(bundle: &Bundle, examples: &[Example<'_>]) -> Result<(), AdaptError> {
    if examples.is_empty() {
        return Err(AdaptError::Nothing { film: 1 });
    }
    let films = bundle.manifest().adapted.as_ref().map_or(0, |adapted| adapted.films.len()) + examples.len();
    if films > MOST_ADAPTED_FILMS {
        return Err(AdaptError::TooMany { films });
    }
    let expected = bundle.manifest().landmark_set.len();
    for (film, Example { film: pixels, points }) in (1..).zip(examples) {
        if points.len() != expected {
            return Err(AdaptError::Count { film, found: points.len(), expected });
        }
        if points.iter().all(Option::is_none) {
            return Err(AdaptError::Nothing { film });
        }
        let size = pixels.size();
        for (landmark, point) in (1..).zip(*points) {
            if let Some(Point { x, y }) = point.filter(|point| !point.is_inside(size)) {
                let Size { width, height } = size;
                return Err(AdaptError::Outside { film, landmark, x, y, width, height });
            }
        }
    }
    Ok(())
}

/// The vectors at a film's annotated landmarks, by the whole heads.
fn annotated(look: &Look, Example { film, points }: &Example<'_>) -> Result<Vec<Option<Vectors>>, RuntimeError> {
    let map = GridMap::new(film.size(), look.grid());
    let all = look.embeddings(film)?.into_iter().zip(*points);
    Ok(all.map(|((_, embeddings), point)| point.map(|point| embeddings.at(map.to_cell(point)))).collect())
}

/// A bundle's vectors, landmark 1 first.
fn vectors(bundle: &Bundle) -> Result<Vec<Vectors>, BundleError> {
    let mut all = bundle.template_vectors()?;
    let mut of = |landmark, level| all.remove(&names::vector(landmark, level)).unwrap_or_default();
    let landmarks = LandmarkId::up_to(bundle.manifest().landmark_set.len());
    Ok(landmarks.map(|landmark| Level::COARSE_TO_FINE.map(|level| of(landmark, level))).collect())
}

/// The mean of unit vectors: of those of `films` films, whose mean is `before`, and of the added ones. Vectors of a single film are
/// not normalised yet, so only their direction counts.
fn mean<'a>(before: &Vectors, films: usize, added: impl Iterator<Item = &'a Vectors> + Clone) -> Vectors {
    let count = added.clone().count();
    if count == 0 {
        return before.clone();
    }
    std::array::from_fn(|level| {
        let scale = if films == 1 { 1.0 / length(&before[level]) } else { films as f32 };
        let mut sum: Vec<f32> = before[level].iter().map(|number| number * scale).collect();
        for vectors in added.clone() {
            let scale = 1.0 / length(&vectors[level]);
            sum.iter_mut().zip(&vectors[level]).for_each(|(sum, number)| *sum += number * scale);
        }
        sum.iter().map(|number| number / (films + count) as f32).collect()
    })
}

/// The Euclidean length; 1 for a vector of zeros, which has no direction.
fn length(vector: &[f32]) -> f32 {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 { length } else { 1.0 }
}

/// The vectors of the first look, and of the second if there is one.
type OfLooks = (Vec<Vectors>, Option<Vec<Vectors>>);

/// The errors on a film with the bundle's vectors, and with those adapted to the `others`.
fn compare(
    detector: &Detector,
    Example { film, points }: &Example<'_>,
    before: &OfLooks,
    others: &OfLooks,
) -> Result<Vec<Change>, RuntimeError> {
    let embeddings = Sight::new(detector.first(), film)?;
    let (before, after) = (found(detector, film, &embeddings, before)?, found(detector, film, &embeddings, others)?);
    let error = |truth: Point, found: Point| match film.spacing() {
        Some(spacing) => truth.distance_mm(found, spacing),
        None => truth.distance_px(found),
    };
    let all = (1..).zip(*points).zip(before.into_iter().zip(after));
    let changes = all.filter_map(|((landmark, truth), (before, after))| {
        truth.map(|truth| Change { landmark, before: error(truth, before), after: error(truth, after) })
    });
    Ok(changes.collect())
}

/// Where landmarks with these vectors are found on a film, in px, by one look or by both.
fn found(detector: &Detector, film: &Film, sight: &Sight<'_>, vectors: &OfLooks) -> Result<Vec<Point>, RuntimeError> {
    let map = GridMap::new(film.size(), detector.grid());
    let mut points: Vec<Point> = sight.find(&vectors.0)?.into_iter().map(|at| map.to_film_at(at)).collect();
    if let (Some(look), (_, Some(vectors))) = (detector.second(), vectors)
        && let Some(alignment) = look.alignment(film, &points)
    {
        let aligned = look.aligned(film, &alignment)?;
        for (index, at) in Sight::new(look.look(), &aligned)?.find(vectors)?.into_iter().enumerate() {
            let both = [points[index], look.to_film(&alignment, at)];
            points[index] = look.together(index, both, &alignment, film.size()).0;
        }
    }
    Ok(points)
}

/// A film's embeddings by one look.
struct Sight<'a> {
    look: &'a Look,
    embeddings: Vec<Embeddings>,
}

impl<'a> Sight<'a> {
    fn new(look: &'a Look, film: &Film) -> Result<Self, RuntimeError> {
        Ok(Self { look, embeddings: look.embeddings(film)?.into_iter().map(|(_, embeddings)| embeddings).collect() })
    }

    /// Where landmarks with these vectors are, on the look's grid.
    fn find(&self, vectors: &[Vectors]) -> Result<Vec<GridPoint>, RuntimeError> {
        let Some(first) = self.embeddings.first() else { return Ok(Vec::new()) };
        let scorer = Scorer::new(self.look.grid().height, first)?;
        let all = self.embeddings.iter().zip(vectors);
        let maps = in_parallel(self.look.threads(), all, |(embeddings, vectors)| scorer.score(embeddings, vectors));
        let peaks = self.look.peaks(maps.into_iter().collect::<Result<Vec<Array2<f32>>, RuntimeError>>()?)?;
        Ok(peaks.iter().map(|peak| peak.at).collect())
    }
}
