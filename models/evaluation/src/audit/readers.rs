//! Inter-reader disagreement: the distances between two readers' points for each landmark, and films with unusually large ones.

use serde::Serialize;

use super::{FilmFacts, Finding, Kind};
use crate::dataset::Case;
use onemark_models::statistics::upper_median;

/// The distance of two readers is unusually large if it is more than this many times the landmark's median distance …
const TIMES_MEDIAN: f64 = 5.0;
/// … and more than this, in mm: the error that is acceptable in clinical practice (METHOD.md sec. 1e: the first radius of SDR).
const TOLERATED_MM: f64 = 2.0;

/// The distances between two readers' points for a landmark, in mm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    /// The landmark's number, from 1.
    pub landmark: usize,
    /// Mean over the films.
    pub mean_mm: f64,
    /// Median over the films.
    pub median_mm: f64,
    /// Distances above this limit are reported: five times the median, and at least 2 mm.
    pub limit_mm: f64,
    /// The films above the limit, the largest distance first.
    pub beyond: Vec<Apart>,
}

/// The distance between two readers' points on one film.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Apart {
    /// The film's id.
    pub film: String,
    /// The distance in mm.
    pub mm: f64,
}

/// The disagreement per landmark, over the films with two readers and a known spacing.
pub(super) fn disagreements(films: &[(&Case, FilmFacts)]) -> Vec<Disagreement> {
    let apart: Vec<(&str, Vec<Option<f64>>)> = films
        .iter()
        .filter_map(|(case, facts)| {
            let ([senior, junior], spacing) = (case.readers.as_ref()?, facts.spacing.as_ref()?);
            let both = senior.iter().zip(junior).map(|(one, other)| one.zip(*other));
            Some((
                case.id.as_str(),
                both.map(|both| both.map(|(one, other)| one.distance_mm(other, spacing))).collect(),
            ))
        })
        .collect();
    let landmarks = apart.first().map_or(0, |(_, distances)| distances.len());
    let of = |index: usize| {
        let films = || apart.iter().filter_map(move |(film, distances)| Some((*film, distances[index]?)));
        let distances = || films().map(|(_, mm)| mm);
        let median_mm = upper_median(distances());
        let limit_mm = TOLERATED_MM.max(TIMES_MEDIAN * median_mm);
        let beyond = films().filter(|(_, mm)| *mm > limit_mm);
        let mut beyond: Vec<Apart> = beyond.map(|(film, mm)| Apart { film: film.to_owned(), mm }).collect();
        beyond.sort_by(|one, other| other.mm.total_cmp(&one.mm));
        Disagreement {
            landmark: index + 1,
            mean_mm: distances().sum::<f64>() / distances().count().max(1) as f64,
            median_mm,
            limit_mm,
            beyond,
        }
    };
    (0..landmarks).map(of).collect()
}

/// A finding for each film with landmarks above their limits.
pub(super) fn findings(cases: &[Case], disagreements: &[Disagreement]) -> Vec<Finding> {
    let of = |case: &Case| {
        let beyond = disagreements.iter().filter_map(|landmark| {
            let apart = landmark.beyond.iter().find(|apart| apart.film == case.id)?;
            Some((landmark.landmark, format!("{} by {:.1} mm", landmark.landmark, apart.mm)))
        });
        let (landmarks, words): (Vec<usize>, Vec<String>) = beyond.unzip();
        let message = format!("much more than usual: {}", words.join(", "));
        (!landmarks.is_empty()).then(|| Finding::new(Kind::ReadersDisagree, &[&case.id], &landmarks, message))
    };
    cases.iter().filter_map(of).collect()
}
