//! How far a bundle's points can be trusted: a calibration as data, and its use. `onemark-evaluation` fits it to annotated films.
//!
//! All of it rests on one number per point: its score, compared with what the landmark has on annotated films that training did
//! not use. So it costs nothing at detection, and is the same however little of a head was run.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::shape_prior::SCORE_FLOOR;
use crate::statistics::{nearest_rank_quantile, sorted};

/// A point farther than this from the truth, in mm, is wrong: the outermost radius of the field's detection rates.
pub const WRONG_MM: f64 = 4.0;
/// The share of films on which a landmark lies within its radius.
pub const COVERAGE: f64 = 0.9;

/// Evidence farther than this from a landmark's median, in standard deviations, says no more than this does.
const FARTHEST: f64 = 10.0;

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
    /// A film whose median evidence is below this, in standard deviations, is out of distribution: unlike the calibration films.
    #[serde(rename = "unusual")]
    pub out_of_distribution: f64,
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

/// Means over random halves of the films; all films of a patient stay together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reliability {
    /// How many halves were drawn.
    pub draws: usize,
    /// The share of truths within their landmark's radius.
    pub coverage: f64,
    /// How often a right point has more confidence than a wrong one (area under the receiver operating characteristic); 0.5
    /// where there are no wrong ones.
    pub auroc: f64,
    /// How far confidence is from the share of right points, over ten groups of points of like confidence (expected
    /// calibration error).
    pub calibration_error: f64,
    /// The share of right points that are called not found.
    pub lost: f64,
    /// The share of films that are called out of distribution.
    #[serde(rename = "unusual")]
    pub out_of_distribution: f64,
}

impl Calibration {
    /// How probable it is that the landmark at this index, found with this score, is at most [`WRONG_MM`] off.
    pub fn confidence(&self, landmark: usize, score: f32) -> f64 {
        let odds = self.landmarks[landmark].log_odds + self.slope * self.strength(landmark, score);
        1.0 / (1.0 + (-odds).exp())
    }

    /// Whether the score is enough for the landmark at this index to be there at all.
    pub fn is_found(&self, landmark: usize, score: f32) -> bool {
        self.strength(landmark, score) >= self.weakest
    }

    /// Whether a film with these (landmark's index, score) is unlike the calibration films.
    pub fn is_out_of_distribution(&self, scores: impl IntoIterator<Item = (usize, f32)>) -> bool {
        self.film_strength(scores) < self.out_of_distribution
    }

    /// How the evidence of the landmark at this index compares with its usual one, in standard deviations.
    pub fn strength(&self, landmark: usize, score: f32) -> f64 {
        let LandmarkCalibration { median, deviation, .. } = self.landmarks[landmark];
        ((evidence(score) - median) / deviation).clamp(-FARTHEST, FARTHEST)
    }

    /// The median over landmarks of how a film's evidence compares with the usual one, in standard deviations.
    pub fn film_strength(&self, scores: impl IntoIterator<Item = (usize, f32)>) -> f64 {
        nearest_rank_quantile(&sorted(scores.into_iter().map(|(landmark, score)| self.strength(landmark, score))), 0.5)
    }

    /// The mean error in mm over all landmarks and films that it was fitted to, and the share below 2 mm.
    pub fn accuracy(&self) -> (f64, f64) {
        let mean = |of: fn(&LandmarkCalibration) -> f64| {
            self.landmarks.iter().map(of).sum::<f64>() / self.landmarks.len().max(1) as f64
        };
        (mean(|landmark| landmark.mean_error_mm), mean(|landmark| landmark.within_2_mm))
    }

    /// Checks it for a bundle of so many landmarks.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self, landmarks: usize) -> Result<(), Invalid> {
        let numbers = self
            .landmarks
            .iter()
            .flat_map(|l| [l.median, l.log_odds, l.deviation, l.mean_error_mm, l.within_2_mm, l.radius_mm]);
        let why = if self.landmarks.len() != landmarks {
            "must have an entry for each landmark"
        } else if !numbers.chain([self.slope, self.weakest, self.out_of_distribution]).all(f64::is_finite) {
            "must hold finite numbers"
        } else if self.landmarks.iter().any(|landmark| landmark.deviation <= 0.0 || landmark.radius_mm < 0.0) {
            "deviations must be positive and radii not negative"
        } else {
            return Ok(());
        };
        Err(Invalid::new("", why))
    }
}

/// What a score in [0, 1] says of a landmark's presence: ln(score + 1e-6).
pub fn evidence(score: f32) -> f64 {
    (f64::from(score) + SCORE_FLOOR).ln()
}
