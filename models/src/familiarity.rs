//! Whether a film is of the kind that a network was trained on: the scores of its training films as data, and their use.
//!
//! It needs no annotated films, so every trained bundle has it. On a film of another kind (another part of the body, a film that
//! lies on its side, nothing at all) the evidence for most landmarks is weak at the same time.

use ndarray::{ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::confidence::evidence;
use crate::invalid::Invalid;
use crate::statistics::{USABLE, is_usable, upper_median};

/// The least number of training films: the median of fewer depends on single films.
const FEWEST_FILMS: usize = 8;
/// A film whose typical score is at least this share of the usual one is never of another kind.
const LEAST_SHARE: f64 = 0.25;
/// Nor is a film of at most so many times the distance of a film that is known to be of the same kind.
const MARGIN: f64 = 2.0;

/// The evidence of the training films, ln(score + 1e-6). Part of a bundle's manifest.
///
/// A film's *distance* is by how much its evidence is lower than the median of the training films, in the median over all
/// landmarks. A landmark's score is its best one on the film, whatever a prior over shapes makes of it later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Familiarity {
    /// The number of training films.
    pub films: usize,
    /// The median evidence of each landmark over the films, landmark 1 first.
    pub medians: Vec<f64>,
    /// The largest distance of a film that is of the same kind.
    pub farthest: f64,
}

impl Familiarity {
    /// From the scores in [0, 1] of the training films, `[films, landmarks]`. None for fewer than eight films.
    ///
    /// ```
    /// use ndarray::Array2;
    /// use onemark_models::familiarity::Familiarity;
    ///
    /// let scores = Array2::from_elem((20, 3), 0.6);
    /// let known = Familiarity::fit(scores.view()).ok_or("too few films")?;
    /// assert!(known.is_near(known.distance(&[0.5, 0.2, 0.001])));
    /// assert!(!known.is_near(known.distance(&[0.01, 0.7, 0.001])));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fit(scores: ArrayView2<'_, f32>) -> Option<Self> {
        let median = |landmark: ArrayView1<'_, f32>| upper_median(landmark.iter().map(|score| evidence(*score)));
        let medians = scores.axis_iter(Axis(1)).map(median).collect();
        let mut fitted = Self { films: scores.nrows(), medians, farthest: -LEAST_SHARE.ln() };
        let distances: Vec<f64> = scores.rows().into_iter().map(|film| fitted.distance(&film.to_vec())).collect();
        fitted.widen(distances);
        (fitted.films >= FEWEST_FILMS).then_some(fitted)
    }

    /// Lets films of these distances be of the same kind, and films that are little farther, because somebody knows that they are:
    /// those of the training, and those of a calibration.
    ///
    /// ```
    /// # use ndarray::Array2;
    /// # use onemark_models::familiarity::Familiarity;
    /// # let mut known = Familiarity::fit(Array2::from_elem((20, 3), 0.6).view()).ok_or("too few films")?;
    /// let distance = known.distance(&[0.1, 0.1, 0.1]);
    /// assert!(!known.is_near(distance));
    /// known.widen([distance]);
    /// assert!(known.is_near(distance) && !known.is_near(3.0 * distance));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn widen(&mut self, distances: impl IntoIterator<Item = f64>) {
        self.farthest = distances.into_iter().fold(self.farthest, |farthest, distance| farthest.max(MARGIN * distance));
    }

    /// Whether a film of this distance is of the kind of the training films.
    pub fn is_near(&self, distance: f64) -> bool {
        distance <= self.farthest
    }

    /// The distance of a film on which the landmarks have these scores in [0, 1], landmark 1 first.
    pub fn distance(&self, scores: &[f32]) -> f64 {
        upper_median(self.medians.iter().zip(scores).map(|(median, score)| median - evidence(*score)))
    }

    /// Checks it against its rules, for a bundle with this number of landmarks.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn validate(&self, landmarks: usize) -> Result<(), Invalid> {
        if self.medians.len() != landmarks {
            Err(Invalid::new("medians", "must have a number for each landmark"))
        } else if !self.medians.iter().all(|median| is_usable(*median)) {
            Err(Invalid::new("medians", USABLE))
        } else if !is_usable(self.farthest) {
            Err(Invalid::new("farthest", USABLE))
        } else if self.farthest <= 0.0 {
            Err(Invalid::new("farthest", "must be above 0"))
        } else {
            Ok(())
        }
    }
}
