//! Label errors: landmarks with exchanged numbers, exchanged x and y, and points far from their expected places. A prior over the
//! shapes of the annotated films detects them (see [`onemark_models::shape_prior`]).

use super::{FilmFacts, Finding, Kind, by};
use crate::dataset::Case;
use onemark_film::Size;
use onemark_film::geometry::{GridMap, GridPoint, GridSize, Point};
use onemark_models::shape_prior::{Joint, ShapePrior};

/// A landmark farther than this from its expected place, in standard deviations, is reported. On ISBI 2015, this applies to 8 of the
/// 11400 points of the two readers.
pub const FAR: f64 = 6.0;

/// An exchange is a label error if it reduces the squared distance of the whole film from the mean by this much, which makes the film
/// e^10 times as likely. On ISBI 2015, exchanging right points reduces the squared distance by 12 at most. A wrong exchange increases
/// it by more than 20 for 99 of 100 pairs of landmarks, and by less only for neighbours such as the two incisors.
const GAIN: f64 = 20.0;

/// The number of groups of films. The films of a group are compared with a prior of all other groups.
const GROUPS: usize = 5;
/// The side of the prior's grid. The results do not depend on it.
const SIDE: usize = 384;

/// An exchange that may correct a film's annotation; landmarks are 0-based.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Exchange {
    Landmarks(usize, usize),
    Axes(usize),
    AllAxes,
}

impl Exchange {
    /// All possible exchanges on a film with this number of landmarks.
    fn all(landmarks: usize) -> impl Iterator<Item = Self> {
        let pairs = (0..landmarks).flat_map(move |one| (one + 1..landmarks).map(move |two| Self::Landmarks(one, two)));
        pairs.chain((0..landmarks).map(Self::Axes)).chain([Self::AllAxes])
    }

    /// The landmarks that it moves, on a film with this number of landmarks.
    fn moved(self, landmarks: usize) -> Vec<usize> {
        match self {
            Self::Landmarks(one, two) => vec![one, two],
            Self::Axes(one) => vec![one],
            Self::AllAxes => (0..landmarks).collect(),
        }
    }

    fn apply(self, points: &[Point]) -> Vec<Point> {
        let mut points = points.to_vec();
        match self {
            Self::Landmarks(one, two) => points.swap(one, two),
            _ => self.moved(points.len()).into_iter().for_each(|index| {
                points[index] = Point::new(points[index].y, points[index].x);
            }),
        }
        points
    }
}

/// The prior of some annotated films, for single landmarks and for whole films.
struct Reference {
    prior: ShapePrior,
    joint: Joint,
}

/// The label errors of one reading.
#[derive(Debug, Default, PartialEq)]
struct LabelErrors {
    exchanges: Vec<Exchange>,
    /// Landmarks (0-based) that are far from their expected places after the exchanges, with the distance in standard deviations.
    far: Vec<(usize, f64)>,
}

/// The findings of all readings, and the films that were not checked, in words; or why this check is impossible. Every film is
/// compared with a prior of other groups only, because a prior that was fitted to the film itself would hide its errors. Films are
/// checked if all their landmarks are annotated.
pub(super) fn findings(films: &[(&Case, FilmFacts)]) -> Result<(Vec<Finding>, Option<String>), String> {
    let annotated: Vec<(&Case, Size, Vec<GridPoint>)> = films
        .iter()
        .filter_map(|(case, facts)| Some((*case, facts.size, on_grid(&case.complete().ok()?, facts.size))))
        .collect();
    let incomplete = films.iter().filter(|(case, _)| case.points.is_some()).count() - annotated.len();
    let incomplete = (incomplete > 0)
        .then(|| format!("swapped and far landmarks of films on which landmarks are missing: {incomplete}"));
    let Some(landmarks) = annotated.first().map(|(.., shape)| shape.len()) else {
        return Ok((Vec::new(), incomplete));
    };
    let mut of_film: Vec<Vec<Finding>> = vec![Vec::new(); annotated.len()];
    for group in 0..GROUPS {
        let others = annotated.iter().enumerate().filter(|(index, _)| index % GROUPS != group);
        let others: Vec<Vec<GridPoint>> = others.map(|(_, (.., shape))| shape.clone()).collect();
        let reference = Reference::of(&others).ok_or_else(|| {
            let (needed, there) = ((ShapePrior::films_needed(landmarks) * GROUPS).div_ceil(GROUPS - 1), annotated.len());
            format!(
                "swapped and far landmarks: it takes {needed} annotated films to know where {landmarks} landmarks belong, \
                 and there are {there}"
            )
        })?;
        for ((case, size, _), findings) in annotated.iter().zip(&mut of_film).skip(group).step_by(GROUPS) {
            *findings = reference.findings(case, *size);
        }
    }
    Ok((of_film.concat(), incomplete))
}

/// Points of a film of this size, on the prior's grid.
fn on_grid(points: &[Point], size: Size) -> Vec<GridPoint> {
    let map = GridMap::new(size, GridSize::new(SIDE, SIDE));
    points.iter().map(|point| map.to_grid(*point)).collect()
}

impl Reference {
    /// The prior of these shapes on the grid; `None` if there are too few.
    fn of(shapes: &[Vec<GridPoint>]) -> Option<Self> {
        let prior = ShapePrior::fit(shapes, SIDE)?;
        Some(Self { joint: prior.joint()?, prior })
    }

    /// The findings about the readings of a film of this size.
    fn findings(&self, case: &Case, size: Size) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (reader, points) in case.readings() {
            let Some(points) = points.iter().copied().collect::<Option<Vec<Point>>>() else { continue };
            let LabelErrors { exchanges, far } = self.label_errors(&points, size);
            let mut find = |kind, landmarks: &[usize], what: &str| {
                let numbers: Vec<usize> = landmarks.iter().map(|index| index + 1).collect();
                findings.push(Finding::new(kind, &[&case.id], &numbers, format!("{}: {what}", by(reader))));
            };
            for exchange in exchanges {
                let (kind, what) = match exchange {
                    Exchange::Landmarks(..) => (Kind::SwappedLandmarks, "much more likely if these two are exchanged"),
                    _ => (Kind::SwappedAxes, "much more likely if x and y are exchanged"),
                };
                find(kind, &exchange.moved(points.len()), what);
            }
            for (index, deviations) in far {
                let what = format!("{deviations:.1} standard deviations from where the other landmarks expect it");
                find(Kind::FarLandmark, &[index], &what);
            }
        }
        findings
    }

    /// Corrects `points` by one exchange after the other, each time by the one that makes the film most likely. Then finds the landmarks
    /// that are still far from their expected places.
    fn label_errors(&self, points: &[Point], size: Size) -> LabelErrors {
        let distance = |points: &[Point]| self.joint.mahalanobis_squared(&on_grid(points, size));
        let mut points = points.to_vec();
        let mut exchanges = Vec::new();
        for _ in 0..points.len() {
            let now = distance(&points);
            let gain = |exchange: &Exchange| now - distance(&exchange.apply(&points));
            let best = Exchange::all(points.len()).map(|exchange| (gain(&exchange), exchange));
            let Some((gain, exchange)) = best.max_by(|(one, _), (other, _)| one.total_cmp(other)) else { break };
            if gain < GAIN {
                break;
            }
            let after = exchange.apply(&points);
            // An exchange may move a misplaced point nearer to its expected place by chance. It is accepted only if it moves more than
            // half of its points to plausible places.
            let trusted = self.trusted(&on_grid(&after, size));
            let moved = exchange.moved(after.len());
            let astray = moved.iter().filter(|index| !trusted[**index]).count();
            if 2 * astray >= moved.len() {
                break;
            }
            points = after;
            exchanges.push(exchange);
        }
        let shape = on_grid(&points, size);
        let trusted = self.trusted(&shape);
        let distances = self.prior.distances(&shape, &trusted).into_iter().enumerate();
        LabelErrors { exchanges, far: distances.filter(|(index, _)| !trusted[*index]).collect() }
    }

    /// Which points are near their expected places. The worst point is excluded first and is then not used to predict the others.
    fn trusted(&self, shape: &[GridPoint]) -> Vec<bool> {
        let mut trusted = vec![true; shape.len()];
        loop {
            let distances = self.prior.distances(shape, &trusted);
            let worst = (0..shape.len()).filter(|index| trusted[*index] && distances[*index] > FAR);
            match worst.max_by(|one, other| distances[*one].total_cmp(&distances[*other])) {
                Some(worst) => trusted[worst] = false,
                None => return trusted,
            }
        }
    }
}
