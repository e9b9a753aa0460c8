//! Fits a calibration to annotated films that training did not use.

use nalgebra::{DMatrix, DVector};
use ndarray::{ArrayView2, Axis};
use onemark_models::confidence::{COVERAGE, Calibration, LandmarkCalibration, Reliability, WRONG_MM, evidence};
use onemark_models::statistics::{conformal_lower, conformal_upper, nearest_rank_quantile, sorted};

use super::reliability;
use crate::metrics::SDR_RADII_MM;

/// The least number of films. With fewer, the radius that covers [`COVERAGE`] of films would be too uncertain.
pub const FEWEST_FILMS: usize = 20;

/// The share of right points that may be reported as not found.
const LOST: f64 = 0.005;
/// The share of ordinary films that may be reported as out of distribution.
const FALSE_ALARMS: f64 = 0.01;
/// Standard deviations of a Gaussian per median absolute deviation.
const MAD: f64 = 1.4826;
/// The least standard deviation of a landmark's evidence. Smaller differences are rounding errors of f32 scores.
const LEAST_DEVIATION: f64 = 1e-3;
/// The weight of the prior that pulls the log odds of all landmarks towards their mean: that of one point at one standard deviation.
const RIDGE: f64 = 1.0;
/// A slope below 0 by more than this many of its standard errors is no chance.
const CHANCE: f64 = 3.0;
/// Steps of Newton's method, which converges in about six.
const STEPS: usize = 25;

/// Why a calibration can't be fitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// Too few films.
    #[error("{films} annotated films are too few to calibrate a bundle: give at least {FEWEST_FILMS}")]
    TooFew {
        /// The number of annotated films.
        films: usize,
    },
    /// Scores and errors are for different numbers of films or landmarks.
    #[error("scores are {scores:?} and errors {errors:?}: both must be [films, landmarks]")]
    Shapes {
        /// Films and landmarks of the scores.
        scores: [usize; 2],
        /// Films and landmarks of the errors.
        errors: [usize; 2],
    },
    /// A landmark is annotated on too few films.
    #[error(
        "landmark {landmark} is annotated on {films} films, too few to calibrate a bundle: annotate it on at least {FEWEST_FILMS}"
    )]
    TooFewOf {
        /// The landmark's number, from 1.
        landmark: usize,
        /// The number of films on which it is annotated.
        films: usize,
    },
    /// Points with lower scores are right more often than others.
    #[error(
        "on these films, points with low scores are right more often than points with high scores (slope {slope:.2}; chance \
         explains {least:.2}), so scores would mislead on new films; check the annotations, the spacing and the landmark set"
    )]
    UpsideDown {
        /// The increase of the log odds of being right per standard deviation of evidence.
        slope: f64,
        /// The least slope that chance explains.
        least: f64,
    },
    /// A score or an error is infinite or NaN.
    #[error("a score or an error is not a finite number; a calibration needs finite numbers")]
    NotFinite,
}

/// Fits a calibration to scores in [0, 1] and errors in mm, both `[films, landmarks]`; an error is `None` where the landmark is not
/// annotated. `patients[film]` is a number for the film's patient: when reliability is estimated, all films of a patient are in the
/// same half. `films` describes the films in words.
///
/// # Errors
/// See [`CalibrationError`].
pub fn fit(
    films: String,
    scores: ArrayView2<'_, f32>,
    errors_mm: ArrayView2<'_, Option<f64>>,
    patients: &[usize],
) -> Result<Calibration, CalibrationError> {
    if scores.nrows() < FEWEST_FILMS {
        return Err(CalibrationError::TooFew { films: scores.nrows() });
    }
    if scores.dim() != errors_mm.dim() || patients.len() != scores.nrows() {
        let sides = |(films, landmarks): (usize, usize)| [films, landmarks];
        return Err(CalibrationError::Shapes { scores: sides(scores.dim()), errors: sides(errors_mm.dim()) });
    }
    if !scores.iter().all(|score| score.is_finite()) || !errors_mm.iter().flatten().all(|error| error.is_finite()) {
        return Err(CalibrationError::NotFinite);
    }
    for (landmark, errors) in (1..).zip(errors_mm.columns()) {
        let films = errors.iter().flatten().count();
        if films < FEWEST_FILMS {
            return Err(CalibrationError::TooFewOf { landmark, films });
        }
    }
    let Fit { mut calibration, slope, slope_error } = fit_alone(scores, errors_mm);
    let least = -CHANCE * slope_error;
    if slope < least {
        return Err(CalibrationError::UpsideDown { slope, least });
    }
    calibration.films = films;
    calibration.reliability = reliability::estimate(scores, errors_mm, patients);
    Ok(calibration)
}

/// A calibration, and the slope that its films show. It is not below 0 in the calibration: a lower score never makes a point surer.
pub(super) struct Fit {
    pub(super) calibration: Calibration,
    slope: f64,
    /// The standard error of the slope, with the points of a film taken as independent.
    slope_error: f64,
}

/// Fits the calibration without estimating its reliability.
pub(super) fn fit_alone(scores: ArrayView2<'_, f32>, errors_mm: ArrayView2<'_, Option<f64>>) -> Fit {
    let landmarks = scores.axis_iter(Axis(1)).zip(errors_mm.axis_iter(Axis(1))).map(|(scores, errors)| {
        let annotated = scores.iter().zip(errors).filter_map(|(score, error)| Some((*score, (*error)?)));
        let evidence = sorted(annotated.clone().map(|(score, _)| evidence(score)));
        let errors: Vec<f64> = annotated.map(|(_, error)| error).collect();
        let median = nearest_rank_quantile(&evidence, 0.5);
        let distances = sorted(evidence.iter().map(|evidence| (evidence - median).abs()));
        let deviation = (MAD * nearest_rank_quantile(&distances, 0.5)).max(LEAST_DEVIATION);
        let radius_mm = conformal_upper(&sorted(errors.iter().copied()), COVERAGE);
        let count = errors.len().max(1) as f64;
        LandmarkCalibration {
            median,
            deviation,
            log_odds: 0.0,
            mean_error_mm: errors.iter().sum::<f64>() / count,
            within_2_mm: errors.iter().filter(|error| **error < SDR_RADII_MM[0]).count() as f64 / count,
            radius_mm,
        }
    });
    let mut fitted = Calibration {
        films: String::new(),
        landmarks: landmarks.collect(),
        slope: 0.0,
        weakest: 0.0,
        out_of_distribution: 0.0,
        reliability: Reliability::default(),
    };
    let mut points = Vec::with_capacity(scores.len());
    for (((_, landmark), score), error) in scores.indexed_iter().zip(errors_mm) {
        if let Some(error) = error {
            points.push((landmark, fitted.strength(landmark, *score), *error <= WRONG_MM));
        }
    }
    let Logistic { slope, slope_error, mut log_odds } = logistic(&points, scores.ncols());
    if slope < 0.0 {
        // The scores say nothing: then the odds are those of the landmark alone.
        let flat: Vec<_> = points.iter().map(|(landmark, _, right)| (*landmark, 0.0, *right)).collect();
        log_odds = logistic(&flat, scores.ncols()).log_odds;
    }
    fitted.slope = slope.max(0.0);
    fitted.landmarks.iter_mut().zip(log_odds).for_each(|(landmark, odds)| landmark.log_odds = odds);
    let right = points.iter().filter(|(_, _, right)| *right).map(|(_, strength, _)| *strength);
    fitted.weakest = conformal_lower(&sorted(right), LOST);
    let films = scores.axis_iter(Axis(0)).zip(errors_mm.axis_iter(Axis(0))).map(|(scores, errors)| {
        let annotated = scores.into_iter().copied().enumerate().zip(errors).filter(|(_, error)| error.is_some());
        fitted.film_strength(annotated.map(|(point, _)| point))
    });
    fitted.out_of_distribution = conformal_lower(&sorted(films), FALSE_ALARMS);
    Fit { calibration: fitted, slope, slope_error }
}

/// A logistic regression: the slope with its standard error, and the log odds per landmark.
struct Logistic {
    slope: f64,
    slope_error: f64,
    log_odds: Vec<f64>,
}

/// Logistic regression for the probability that a point is right, on (landmark, strength): one slope, and log odds per landmark that
/// are pulled towards their mean.
fn logistic(points: &[(usize, f64, bool)], landmarks: usize) -> Logistic {
    // Slope, mean log odds, and each landmark's difference from the mean.
    let mut weights = DVector::<f64>::zeros(2 + landmarks);
    let mut slope_error = 0.0;
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
            let (residual, spread) = (f64::from(right) - probability, probability * (1.0 - probability));
            for (row, value) in active {
                gradient[row] += residual * value;
                active.iter().for_each(|(column, other)| curvature[(row, *column)] += spread * value * other);
            }
        }
        // The prior makes the matrix positive definite.
        let Some(factors) = curvature.cholesky() else { break };
        weights += factors.solve(&gradient);
        slope_error = factors.inverse()[(0, 0)].sqrt();
    }
    let log_odds = (0..landmarks).map(|landmark| weights[1] + weights[2 + landmark]).collect();
    Logistic { slope: weights[0], slope_error, log_odds }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
