//! From a score map to a point in it: the first maximum, then its place within the cell.
//!
//! Positions here are in cells, whole numbers at centres. Film pixels are [`onemark_models::geometry::GridMap`]'s matter.

use ndarray::ArrayView2;
use serde::Serialize;

/// How a score map becomes a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoding {
    /// The first maximum in row-major order, moved to the peak of a parabola through the logarithms of its neighbours'
    /// scores, per axis.
    #[default]
    Subpixel,
    /// The centre of the first maximum's cell, as in the paper (METHOD.md sec. 1c).
    Argmax,
}

/// The best place in a score map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Peak {
    /// Row and column of the first maximum.
    pub cell: (usize, usize),
    /// Row and column after refinement, at most half a cell from there per axis.
    pub at: (f64, f64),
    /// The maximum.
    pub score: f32,
}

/// The peak of a map, axes [row, column]; `None` where a score is no number, or there is none.
pub(crate) fn peak(map: ArrayView2<'_, f32>, decoding: Decoding) -> Option<Peak> {
    let (mut cell, mut score) = (None, f32::NEG_INFINITY);
    for (place, &value) in map.indexed_iter() {
        if value.is_nan() {
            return None;
        }
        if value > score {
            (cell, score) = (Some(place), value);
        }
    }
    let (row, column) = cell?;
    let shift = |before: Option<(usize, usize)>, after: Option<(usize, usize)>| {
        let neighbours = before.and_then(|place| map.get(place)).zip(after.and_then(|place| map.get(place)));
        neighbours.map_or(0.0, |(&before, &after)| vertex(before, score, after))
    };
    let at = match decoding {
        Decoding::Argmax => (row as f64, column as f64),
        Decoding::Subpixel => (
            row as f64 + shift(row.checked_sub(1).map(|row| (row, column)), Some((row + 1, column))),
            column as f64 + shift(column.checked_sub(1).map(|column| (row, column)), Some((row, column + 1))),
        ),
    };
    Some(Peak { cell: (row, column), at, score })
}

/// Where the parabola through (-1, ln before), (0, ln centre) and (1, ln after) is highest: at most half a cell away.
/// Scores are products of cosines, so their logarithms add up over levels and are nearer to parabolas than they are.
fn vertex(before: f32, centre: f32, after: f32) -> f64 {
    let [before, centre, after] = [before, centre, after].map(|score| f64::from(score).ln());
    let curvature = before - 2.0 * centre + after;
    let shift = (before - after) / (2.0 * curvature);
    // Not finite on a plateau and beside a score of 0, which has no logarithm.
    if shift.is_finite() && curvature.is_finite() { shift.clamp(-0.5, 0.5) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ndarray::{Array2, array};

    /// Scores are f32: the logarithm of one is known to about 1e-7, a peak of this width to a few of those.
    const ROUNDING_CELLS: f64 = 1e-5;

    #[test]
    fn ties_go_to_the_first_in_row_major_order() {
        let map = array![[0.1, 0.2, 0.7], [0.7, 0.1, 0.7]];
        let peak = peak(map.view(), Decoding::Argmax).unwrap();
        assert_eq!((peak.cell, peak.at, peak.score), ((0, 2), (0.0, 2.0), 0.7));
    }

    #[test]
    fn a_gaussian_is_found_to_a_fraction_of_a_cell() {
        let (row, column) = (4.3_f64, 6.85_f64);
        let gaussian = |(y, x)| {
            let (dy, dx): (f64, f64) = (y as f64 - row, x as f64 - column);
            (-(dy * dy / 2.0 + dx * dx / 8.0)).exp() as f32
        };
        let map = Array2::from_shape_fn((9, 12), gaussian);
        let peak = peak(map.view(), Decoding::Subpixel).unwrap();
        assert_eq!(peak.cell, (4, 7));
        assert!((peak.at.0 - row).abs() < ROUNDING_CELLS && (peak.at.1 - column).abs() < ROUNDING_CELLS, "{peak:?}");
    }

    #[test]
    fn an_axis_without_both_neighbours_is_not_refined() {
        let map = array![[0.5, 0.9, 0.8], [0.1, 0.2, 0.3]];
        let peak = peak(map.view(), Decoding::Subpixel).unwrap();
        assert_eq!(peak.at.0, 0.0);
        assert!(peak.at.1 > 1.0 && peak.at.1 < 1.5, "{peak:?}");
    }

    #[test]
    fn plateaus_and_zeros_stay_where_they_are() {
        for map in [Array2::zeros((3, 3)), Array2::ones((3, 3)), array![[0.0, 0.5, 0.4]]] {
            let refined = peak(map.view(), Decoding::Subpixel).unwrap();
            assert_eq!(refined.at, peak(map.view(), Decoding::Argmax).unwrap().at);
        }
    }

    #[test]
    fn no_number_no_peak() {
        assert_eq!(peak(array![[0.9, f32::NAN]].view(), Decoding::Argmax), None);
        assert_eq!(peak(Array2::zeros((0, 3)).view(), Decoding::Argmax), None);
    }
}
