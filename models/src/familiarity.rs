//! Whether a film is of the kind that a network was trained on: the scores of its training films as data, and their use.
//!
//! It needs no annotated films, so every trained bundle has it. On a film of another kind (another part of the body, a film that
//! lies on its side, nothing at all) the evidence for most landmarks is weak at the same time.

use ndarray::{ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::confidence::evidence;
use crate::invalid::Invalid;
use crate::statistics::upper_median;

/// The least number of training films: the median of fewer depends on single films.
const FEWEST_FILMS: usize = 8;
/// A film whose typical score is at least a quarter of the usual one is never of another kind.
const QUARTER: f64 = 4.0;
/// Nor is a film of at most so many times the distance of the least typical training film.
const MARGIN: f64 = 2.0;

/// The evidence of the training films, ln(score + 1e-6). Part of a bundle's manifest.
///
/// A film's *distance* is by how much its evidence is lower than the median of the training films, in the median over its
/// landmarks.
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
    /// assert!(known.knows([(0, 0.5), (1, 0.2), (2, 0.001)]));
    /// assert!(!known.knows([(0, 0.01), (1, 0.7), (2, 0.001)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fit(scores: ArrayView2<'_, f32>) -> Option<Self> {
        let median = |landmark: ArrayView1<'_, f32>| upper_median(landmark.iter().map(|score| evidence(*score)));
        let medians = scores.axis_iter(Axis(1)).map(median).collect();
        let mut fitted = Self { films: scores.nrows(), medians, farthest: QUARTER.ln() };
        for film in scores.rows() {
            let distance = fitted.distance(film.iter().copied().enumerate());
            fitted.farthest = fitted.farthest.max(MARGIN * distance);
        }
        (fitted.films >= FEWEST_FILMS).then_some(fitted)
    }

    /// Whether a film with these (landmark's index, score) is of the kind of the training films.
    pub fn knows(&self, scores: impl IntoIterator<Item = (usize, f32)>) -> bool {
        self.distance(scores) <= self.farthest
    }

    fn distance(&self, scores: impl IntoIterator<Item = (usize, f32)>) -> f64 {
        upper_median(scores.into_iter().map(|(landmark, score)| self.medians[landmark] - evidence(score)))
    }

    /// Checks it against its rules, for a bundle with this number of landmarks.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn validate(&self, landmarks: usize) -> Result<(), Invalid> {
        if self.medians.len() != landmarks {
            Err(Invalid::new("medians", "must have a number for each landmark"))
        } else if self.medians.iter().any(|median| !median.is_finite()) {
            Err(Invalid::new("medians", "must be finite numbers"))
        } else if !(self.farthest.is_finite() && self.farthest > 0.0) {
            Err(Invalid::new("farthest", "must be a positive number"))
        } else {
            Ok(())
        }
    }
}
