//! How far a bundle's points can be trusted, learnt from annotated films that training did not use.
//!
//! All of it rests on one number per point: its score, compared with what the landmark has on those films. So it costs nothing
//! at detection, and is the same however little of a head was run. How well it holds on films that it was not fitted to is
//! measured in `reliability.rs`.

mod reliability;

use nalgebra::{DMatrix, DVector};
use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

pub use self::reliability::Reliability;
use crate::metrics::SDR_RADII_MM;
use crate::shape::SCORE_FLOOR;

/// A point farther than this from the truth, in mm, is wrong: the outermost radius of the field's detection rates.
pub const WRONG_MM: f64 = 4.0;
/// The share of films on which a landmark lies within its radius.
pub const COVERAGE: f64 = 0.9;
/// Fewer films say too little about one in ten.
pub const FEWEST_FILMS: usize = 20;

/// The share of right points that may be called not found.
const LOST: f64 = 0.005;
/// The share of films that may be called unusual though they are not.
const FALSE_ALARMS: f64 = 0.01;
/// Evidence farther than this from a landmark's median, in standard deviations, says no more than this does.
const FARTHEST: f64 = 10.0;
/// Standard deviations of a Gaussian per median absolute deviation.
const MAD: f64 = 1.4826;
/// The least standard deviation of a landmark's evidence: scores are f32.
const LEAST_DEVIATION: f64 = 1e-3;
/// Weight of the prior that draws landmarks' odds together: as that of one point at one standard deviation.
const RIDGE: f64 = 1.0;
/// Steps of Newton's method: it converges in six or so.
const STEPS: usize = 25;

/// What scores are worth, per landmark. Part of a bundle's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Which films it was fitted to, in words.
    pub films: String,
    /// Per landmark, landmark 1 first.
    pub landmarks: Vec<LandmarkCalibration>,
    /// By how much the logarithm of the odds of being right rises per standard deviation of evidence.
    pub slope: f64,
    /// Evidence below this, in standard deviations, is too weak for a point.
    pub weakest: f64,
    /// A film whose median evidence is below this, in standard deviations, looks unlike those that it was fitted to.
    pub unusual: f64,
    /// How well it holds on films that it was not fitted to.
    pub reliability: Reliability,
}

/// What a landmark's scores are worth. Evidence is ln(score + 1e-6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandmarkCalibration {
    /// The median of its evidence.
    pub median: f64,
    /// The standard deviation of its evidence, from the median of distances to the median.
    pub deviation: f64,
    /// The logarithm of the odds of being right at the median.
    pub log_odds: f64,
    /// The mean of its errors in mm.
    pub mean_error_mm: f64,
    /// The share of its errors below 2 mm.
    pub within_2_mm: f64,
    /// The radius in mm that covers the truth on [`COVERAGE`] of films (split conformal prediction).
    pub radius_mm: f64,
}

/// Why there is no calibration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// Too few films.
    #[error("{films} annotated films are too few to calibrate a bundle: give at least {FEWEST_FILMS}")]
    TooFew {
        /// How many there are.
        films: usize,
    },
    /// Scores and errors of different films or landmarks.
    #[error("scores are {scores:?} and errors {errors:?}: both must be [films, landmarks]")]
    Shapes {
        /// Films and landmarks of the scores.
        scores: [usize; 2],
        /// Films and landmarks of the errors.
        errors: [usize; 2],
    },
    /// A number that is none.
    #[error("a score or an error is no finite number, so nothing can be calibrated by it")]
    NotFinite,
}

impl Calibration {
    /// Fits it to scores in [0, 1] and errors in mm, both `[films, landmarks]`; `patients[film]` numbers the patients, so that
    /// two films of one never stand on both sides when its reliability is measured. `films` says which films these are.
    ///
    /// # Errors
    /// See [`CalibrationError`].
    pub fn fit(
        films: String,
        scores: ArrayView2<'_, f32>,
        errors_mm: ArrayView2<'_, f64>,
        patients: &[usize],
    ) -> Result<Self, CalibrationError> {
        if scores.nrows() < FEWEST_FILMS {
            return Err(CalibrationError::TooFew { films: scores.nrows() });
        }
        if scores.dim() != errors_mm.dim() || patients.len() != scores.nrows() {
            let sides = |(films, landmarks): (usize, usize)| [films, landmarks];
            return Err(CalibrationError::Shapes { scores: sides(scores.dim()), errors: sides(errors_mm.dim()) });
        }
        if !scores.iter().all(|score| score.is_finite()) || !errors_mm.iter().all(|error| error.is_finite()) {
            return Err(CalibrationError::NotFinite);
        }
        let mut fitted = Self::of(scores, errors_mm);
        fitted.films = films;
        fitted.reliability = Reliability::measure(scores, errors_mm, patients);
        Ok(fitted)
    }

    /// The fit alone.
    fn of(scores: ArrayView2<'_, f32>, errors_mm: ArrayView2<'_, f64>) -> Self {
        let landmarks = scores.axis_iter(Axis(1)).zip(errors_mm.axis_iter(Axis(1))).map(|(scores, errors)| {
            let evidence = sorted(scores.iter().map(|score| evidence(*score)));
            let median = quantile(&evidence, 0.5);
            let distances = sorted(evidence.iter().map(|evidence| (evidence - median).abs()));
            let deviation = (MAD * quantile(&distances, 0.5)).max(LEAST_DEVIATION);
            let radius_mm = conformal(&sorted(errors.iter().copied()), COVERAGE);
            let count = errors.len() as f64;
            LandmarkCalibration {
                median,
                deviation,
                log_odds: 0.0,
                mean_error_mm: errors.sum() / count,
                within_2_mm: errors.iter().filter(|error| **error < SDR_RADII_MM[0]).count() as f64 / count,
                radius_mm,
            }
        });
        let mut fitted = Self {
            films: String::new(),
            landmarks: landmarks.collect(),
            slope: 0.0,
            weakest: 0.0,
            unusual: 0.0,
            reliability: Reliability::default(),
        };
        let mut points = Vec::with_capacity(scores.len());
        for ((film, landmark), score) in scores.indexed_iter() {
            points.push((landmark, fitted.strength(landmark, *score), errors_mm[[film, landmark]] <= WRONG_MM));
        }
        let (slope, log_odds) = logistic(&points, scores.ncols());
        fitted.slope = slope;
        fitted.landmarks.iter_mut().zip(log_odds).for_each(|(landmark, odds)| landmark.log_odds = odds);
        let right = points.iter().filter(|(_, _, right)| *right).map(|(_, strength, _)| *strength);
        fitted.weakest = lowest(&sorted(right), LOST);
        let films = scores.axis_iter(Axis(0)).map(|film| fitted.film_strength(film.iter().copied().enumerate()));
        fitted.unusual = lowest(&sorted(films), FALSE_ALARMS);
        fitted
    }

    /// How probable it is that the landmark at this index, found with this score, is at most [`WRONG_MM`] off.
    pub fn confidence(&self, landmark: usize, score: f32) -> f64 {
        let odds = self.landmarks[landmark].log_odds + self.slope * self.strength(landmark, score);
        1.0 / (1.0 + (-odds).exp())
    }

    /// Whether the score is enough for the landmark at this index to be there at all.
    pub fn is_found(&self, landmark: usize, score: f32) -> bool {
        self.strength(landmark, score) >= self.weakest
    }

    /// Whether a film with these (landmark's index, score) looks unlike those that this was fitted to.
    pub fn is_unusual(&self, scores: impl IntoIterator<Item = (usize, f32)>) -> bool {
        self.film_strength(scores) < self.unusual
    }

    /// How the evidence compares with the landmark's usual one, in standard deviations.
    fn strength(&self, landmark: usize, score: f32) -> f64 {
        let LandmarkCalibration { median, deviation, .. } = self.landmarks[landmark];
        ((evidence(score) - median) / deviation).clamp(-FARTHEST, FARTHEST)
    }

    /// The median over landmarks.
    fn film_strength(&self, scores: impl IntoIterator<Item = (usize, f32)>) -> f64 {
        quantile(&sorted(scores.into_iter().map(|(landmark, score)| self.strength(landmark, score))), 0.5)
    }

    /// The mean error in mm over all landmarks and films that it was fitted to, and the share below 2 mm.
    pub fn accuracy(&self) -> (f64, f64) {
        let mean = |of: fn(&LandmarkCalibration) -> f64| {
            self.landmarks.iter().map(of).sum::<f64>() / self.landmarks.len().max(1) as f64
        };
        (mean(|landmark| landmark.mean_error_mm), mean(|landmark| landmark.within_2_mm))
    }

    /// What is wrong with it, for a bundle of so many landmarks.
    pub(crate) fn broken_rule(&self, landmarks: usize) -> Option<&'static str> {
        let numbers = self
            .landmarks
            .iter()
            .flat_map(|l| [l.median, l.log_odds, l.deviation, l.mean_error_mm, l.within_2_mm, l.radius_mm]);
        if self.landmarks.len() != landmarks {
            Some("must have an entry for each landmark")
        } else if !numbers.chain([self.slope, self.weakest, self.unusual]).all(f64::is_finite) {
            Some("must hold finite numbers")
        } else if self.landmarks.iter().any(|landmark| landmark.deviation <= 0.0 || landmark.radius_mm < 0.0) {
            Some("deviations must be positive and radii not negative")
        } else {
            None
        }
    }
}

fn evidence(score: f32) -> f64 {
    (f64::from(score) + SCORE_FLOOR).ln()
}

fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// The number below which this share of the sorted ones lies; 0 where there are none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64).round() as usize).copied().unwrap_or_default()
}

/// The least of the sorted numbers that another draw exceeds with probability 1 - `share` at most.
fn conformal(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * (sorted.len() + 1) as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// The greatest of the sorted numbers that another draw is below with probability `share` at most, or the lowest of all.
fn lowest(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * (sorted.len() + 1) as f64).floor() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

/// Logistic regression of being right on (landmark, strength): one slope, and log odds per landmark drawn to their mean.
fn logistic(points: &[(usize, f64, bool)], landmarks: usize) -> (f64, Vec<f64>) {
    // Slope, mean log odds, and each landmark's difference from there.
    let mut weights = DVector::<f64>::zeros(2 + landmarks);
    for _ in 0..STEPS {
        let mut gradient = DVector::zeros(weights.len());
        let mut curvature = DMatrix::zeros(weights.len(), weights.len());
        for own in 0..weights.len() {
            gradient[own] = -RIDGE * weights[own];
            curvature[(own, own)] = RIDGE;
        }
        for &(landmark, strength, right) in points {
            let active = [(0, strength), (1, 1.0), (2 + landmark, 1.0)];
            let odds: f64 = active.iter().map(|(index, value)| weights[*index] * value).sum();
            let probability = 1.0 / (1.0 + (-odds).exp());
            let (surprise, spread) = (f64::from(right) - probability, probability * (1.0 - probability));
            for (row, value) in active {
                gradient[row] += surprise * value;
                active.iter().for_each(|(column, other)| curvature[(row, *column)] += spread * value * other);
            }
        }
        // The prior makes it positive definite.
        let Some(factors) = curvature.cholesky() else { break };
        weights += factors.solve(&gradient);
    }
    (weights[0], (0..landmarks).map(|landmark| weights[1] + weights[2 + landmark]).collect())
}

#[cfg(test)]
mod tests;
