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
        fitted.farthest = distances.into_iter().fold(fitted.farthest, with_margin);
        (fitted.films >= FEWEST_FILMS).then_some(fitted)
    }

    /// Lets films of these distances be of the same kind, and films that are little farther, because a person has annotated them, but
    /// none beyond [`Familiarity::widest`]: films that lie farther are more likely to be wrong ones, and change nothing.
    ///
    /// ```
    /// # use ndarray::Array2;
    /// # use onemark_models::familiarity::Familiarity;
    /// # let mut known = Familiarity::fit(Array2::from_elem((20, 3), 0.6).view()).ok_or("too few films")?;
    /// let distance = known.distance(&[0.1, 0.1, 0.1]);
    /// assert!(!known.is_near(distance));
    /// known.widen([distance]);
    /// assert!(known.is_near(distance) && !known.is_near(2.0 * distance));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn widen(&mut self, distances: impl IntoIterator<Item = f64>) {
        let widest = self.widest();
        let believed = distances.into_iter().filter(|distance| *distance <= widest);
        self.farthest = believed.fold(self.farthest, with_margin).min(widest);
    }

    /// The largest limit that [`Familiarity::widen`] sets: ln 4 beyond half of the present limit. However often it widens, the limit
    /// stays below twice ln 4, or is what the training made of it.
    pub fn widest(&self) -> f64 {
        self.farthest.max(self.farthest / MARGIN - LEAST_SHARE.ln())
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

/// The limit, if a film of this distance is of the same kind.
fn with_margin(limit: f64, distance: f64) -> f64 {
    limit.max(MARGIN * distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LN_4: f64 = 1.386;

    fn known(farthest: f64) -> Familiarity {
        Familiarity { films: 8, medians: vec![0.0], farthest }
    }

    #[test]
    fn one_wrong_film_does_not_end_the_refusal_of_others() {
        for wrong in [2.1, 3.3, 13.0, f64::INFINITY, f64::NAN] {
            let mut limit = known(LN_4);
            limit.widen([0.2, wrong]);
            assert_eq!(limit.farthest, LN_4, "{wrong}");
        }
        // Films that are little farther are believed, with less margin.
        let mut limit = known(LN_4);
        limit.widen([0.2, 1.9]);
        assert!(limit.is_near(1.9) && !limit.is_near(2.1), "{}", limit.farthest);
        let mut limit = known(LN_4);
        limit.widen([0.8]);
        assert_eq!(limit.farthest, 1.6);
    }

    #[test]
    fn no_number_of_calibrations_widens_without_end() {
        let mut limit = known(LN_4);
        for _ in 0..100 {
            limit.widen([limit.widest()]);
        }
        assert!(limit.farthest < 2.0 * LN_4 + 0.01, "{}", limit.farthest);
        // What the training has made of it stays.
        let mut limit = known(5.0);
        limit.widen([4.9, 5.1]);
        assert_eq!(limit.farthest, 5.0);
    }
}
