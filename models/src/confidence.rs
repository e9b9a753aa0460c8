//! How far a bundle's points can be trusted: a calibration as data, and its use. `onemark-evaluation` fits it to annotated films.
//!
//! Every result here follows from one number per point: its score, compared with the scores of the same landmark on annotated
//! films that training did not use. So confidence needs no extra computation at detection, and it does not depend on how much of
//! a head was run.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::shape_prior::SCORE_FLOOR;
use crate::statistics::{USABLE, is_usable, nearest_rank_quantile, sorted};

/// A point farther than this from the truth, in mm, is wrong: the outermost radius of the field's detection rates.
pub const WRONG_MM: f64 = 4.0;
/// The share of films on which a landmark lies within its radius.
pub const COVERAGE: f64 = 0.9;

/// Evidence is clamped to this distance from the landmark's median, in standard deviations.
const FARTHEST: f64 = 10.0;

/// How scores become confidence, per landmark. Part of a bundle's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The films it was fitted to, in words.
    pub films: String,
    /// Per landmark, landmark 1 first.
    pub landmarks: Vec<LandmarkCalibration>,
    /// The increase of the log odds that a point is right, per standard deviation of evidence.
    pub slope: f64,
    /// Evidence below this, in standard deviations, means that the landmark was not found.
    pub weakest: f64,
    /// A film whose median evidence is below this, in standard deviations, is out of distribution: unlike the calibration films.
    #[serde(rename = "unusual")]
    pub out_of_distribution: f64,
    /// How well it predicts errors on films that it was not fitted to.
    pub reliability: Reliability,
}

/// How one landmark's scores become confidence. Evidence is ln(score + 1e-6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandmarkCalibration {
    /// The median of its evidence.
    pub median: f64,
    /// The standard deviation of its evidence, estimated from the median absolute deviation.
    pub deviation: f64,
    /// The log odds that a point with the median evidence is right.
    pub log_odds: f64,
    /// The mean of its errors in mm.
    pub mean_error_mm: f64,
    /// The share of its errors below 2 mm.
    pub within_2_mm: f64,
    /// The radius in mm that covers the truth on [`COVERAGE`] of films (split conformal prediction).
    pub radius_mm: f64,
}

/// How well a calibration predicts errors: means over random halves of the films. All films of a patient are in one half.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reliability {
    /// The number of halves that were drawn.
    pub draws: usize,
    /// The share of true positions within their landmark's radius.
    pub coverage: f64,
    /// How often a right point has a higher confidence than a wrong one (area under the receiver operating characteristic); 0.5
    /// if no point is wrong.
    pub auroc: f64,
    /// The mean difference between confidence and the share of right points, over ten groups of points with similar confidence
    /// (expected calibration error).
    pub calibration_error: f64,
    /// The share of right points that are reported as not found.
    pub lost: f64,
    /// The share of films that are reported as out of distribution.
    #[serde(rename = "unusual")]
    pub out_of_distribution: f64,
}

impl Calibration {
    /// The probability that the landmark at this index, found with this score, lies at most [`WRONG_MM`] from the truth.
    pub fn confidence(&self, landmark: usize, score: f32) -> f64 {
        let odds = self.landmarks[landmark].log_odds + self.slope * self.strength(landmark, score);
        1.0 / (1.0 + (-odds).exp())
    }

    /// Whether the score is high enough to say that the landmark at this index is on the film.
    pub fn is_found(&self, landmark: usize, score: f32) -> bool {
        self.strength(landmark, score) >= self.weakest
    }

    /// Whether a film with these (landmark's index, score) is unlike the calibration films.
    pub fn is_out_of_distribution(&self, scores: impl IntoIterator<Item = (usize, f32)>) -> bool {
        self.film_strength(scores) < self.out_of_distribution
    }

    /// The difference of the evidence from the median of the landmark at this index, in standard deviations.
    pub fn strength(&self, landmark: usize, score: f32) -> f64 {
        let LandmarkCalibration { median, deviation, .. } = self.landmarks[landmark];
        ((evidence(score) - median) / deviation).clamp(-FARTHEST, FARTHEST)
    }

    /// The median over a film's landmarks of the evidence's difference from its usual value, in standard deviations.
    pub fn film_strength(&self, scores: impl IntoIterator<Item = (usize, f32)>) -> f64 {
        nearest_rank_quantile(&sorted(scores.into_iter().map(|(landmark, score)| self.strength(landmark, score))), 0.5)
    }

    /// The mean error in mm over all landmarks and all films that it was fitted to, and the share of errors below 2 mm.
    pub fn accuracy(&self) -> (f64, f64) {
        let mean = |of: fn(&LandmarkCalibration) -> f64| {
            self.landmarks.iter().map(of).sum::<f64>() / self.landmarks.len().max(1) as f64
        };
        (mean(|landmark| landmark.mean_error_mm), mean(|landmark| landmark.within_2_mm))
    }

    /// Checks the calibration against its rules, for a bundle with this number of landmarks.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self, landmarks: usize) -> Result<(), Invalid> {
        let numbers = self
            .landmarks
            .iter()
            .flat_map(|l| [l.median, l.log_odds, l.deviation, l.mean_error_mm, l.within_2_mm, l.radius_mm]);
        let Reliability { coverage, auroc, calibration_error, lost, out_of_distribution, .. } = self.reliability;
        let shares = [coverage, auroc, calibration_error, lost, out_of_distribution];
        let mut shares = shares.into_iter().chain(self.landmarks.iter().map(|landmark| landmark.within_2_mm));
        let why = if self.landmarks.len() != landmarks {
            "must have an entry for each landmark"
        } else if !numbers.chain([self.slope, self.weakest, self.out_of_distribution]).all(is_usable) {
            USABLE
        } else if !shares.all(|share| (0.0..=1.0).contains(&share)) {
            "shares must lie between 0 and 1"
        } else if self.landmarks.iter().any(|landmark| landmark.deviation <= 0.0 || landmark.radius_mm < 0.0) {
            "deviations must be positive and radii not negative"
        } else {
            return Ok(());
        };
        Err(Invalid::new("", why))
    }
}

/// The evidence of a score in [0, 1] that the landmark is present: ln(score + 1e-6).
pub fn evidence(score: f32) -> f64 {
    (f64::from(score) + SCORE_FLOOR).ln()
}
