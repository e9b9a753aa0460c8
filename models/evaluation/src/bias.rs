//! The part of a landmark's errors that is the same on all films, and the part that is not.

use onemark_film::Spacing;
use onemark_film::geometry::Point;

/// How one landmark's found positions lie around the true ones, at full resolution. In numbers, x is to the right and y down.
///
/// A bias comes from the landmark itself: where the template's annotation is, or where the training has drifted to. It can be mended
/// with further annotated films. Scatter comes from the films.
#[derive(Debug, Clone, PartialEq)]
pub struct Bias {
    /// The landmark's name.
    pub name: String,
    /// The number of films on which it is annotated; without any, all numbers are NaN.
    pub points: usize,
    /// Mean radial error, mm.
    pub mre_mm: f64,
    /// The mean of found minus true position, mm: (x, y).
    pub mean_mm: [f64; 2],
    /// The standard deviation of found minus true position, mm: (x, y). NaN for a single film.
    pub sd_mm: [f64; 2],
    /// The mean radial error that would be left without the mean, mm. On few films it is too small, because the mean is theirs.
    pub rest_mm: f64,
}

/// Found minus true position in mm: (x, y). `truth` and `found` are in film px.
pub fn offset_mm(spacing: &Spacing, truth: Point, found: Point) -> [f64; 2] {
    [(found.x - truth.x) * spacing.x(), (found.y - truth.y) * spacing.y()]
}

impl Bias {
    /// From found minus true positions in mm.
    ///
    /// ```
    /// use onemark_evaluation::bias::Bias;
    ///
    /// // On both films 3 mm too far to the right; on one of them 1 mm too high, on the other 1 mm too low.
    /// let nasion = Bias::of("nasion", [[3.0, -1.0], [3.0, 1.0]]);
    /// assert_eq!((nasion.mean_mm, nasion.rest_mm), ([3.0, 0.0], 1.0));
    /// ```
    pub fn of(name: &str, offsets: impl IntoIterator<Item = [f64; 2]>) -> Self {
        let offsets: Vec<[f64; 2]> = offsets.into_iter().collect();
        let count = offsets.len() as f64;
        let mean = |of: &dyn Fn(&[f64; 2]) -> f64| offsets.iter().map(of).sum::<f64>() / count;
        let mean_mm = [0, 1].map(|axis| mean(&|offset| offset[axis]));
        let squares = [0, 1].map(|axis| mean(&|offset| (offset[axis] - mean_mm[axis]).powi(2)));
        Self {
            name: name.to_owned(),
            points: offsets.len(),
            mre_mm: mean(&|offset| offset[0].hypot(offset[1])),
            mean_mm,
            sd_mm: squares.map(|square| (square * count / (count - 1.0)).sqrt()),
            rest_mm: mean(&|offset| (offset[0] - mean_mm[0]).hypot(offset[1] - mean_mm[1])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_and_scatter_are_told_apart() {
        let exact = Bias::of("exact", [[0.0, 0.0]; 3]);
        assert_eq!((exact.mre_mm, exact.mean_mm, exact.sd_mm, exact.rest_mm), (0.0, [0.0; 2], [0.0; 2], 0.0));
        // Corners of a square with sides of 2 mm, 5 mm up.
        let square = Bias::of("square", [[-1.0, -6.0], [1.0, -6.0], [-1.0, -4.0], [1.0, -4.0]]);
        assert_eq!((square.mean_mm, square.rest_mm), ([0.0, -5.0], 2_f64.sqrt()));
        assert!(square.sd_mm.iter().all(|sd| (sd - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12), "{square:?}");
        assert!(Bias::of("nowhere", []).mre_mm.is_nan() && Bias::of("once", [[1.0, 1.0]]).sd_mm[0].is_nan());
    }
}
