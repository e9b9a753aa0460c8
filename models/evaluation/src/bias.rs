//! The part of a landmark's errors that is the same on all films, and the part that is not.

use onemark_film::Spacing;
use onemark_film::geometry::Point;
use onemark_models::statistics::median;

/// How one landmark's found positions lie around the true ones, at full resolution. In numbers, x is to the right and y down.
///
/// Most films share the bias. It is a median, so a landmark that is far off on a few films has none by that. It comes from where the
/// template's annotation is, or from where the training has drifted to; further annotated films can mend it. The rest comes from the films.
#[derive(Debug, Clone, PartialEq)]
pub struct Bias {
    /// The landmark's name.
    pub name: String,
    /// The number of films on which it is annotated; without any, all numbers are NaN.
    pub points: usize,
    /// Mean radial error, mm.
    pub mre_mm: f64,
    /// The median of found minus true position, mm: (x, y), each by itself.
    pub median_mm: [f64; 2],
    /// The standard deviation of found minus true position, mm: (x, y). NaN for a single film.
    pub sd_mm: [f64; 2],
    /// The mean radial error that would be left without the bias, mm. On few films it is too small, because the bias is theirs.
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
    /// assert_eq!((nasion.median_mm, nasion.rest_mm), ([3.0, 0.0], 1.0));
    /// ```
    pub fn of(name: &str, offsets: impl IntoIterator<Item = [f64; 2]>) -> Self {
        let offsets: Vec<[f64; 2]> = offsets.into_iter().collect();
        let along = |axis: usize| offsets.iter().map(move |offset| offset[axis]);
        let mean = |of: &dyn Fn(&[f64; 2]) -> f64| offsets.iter().map(of).sum::<f64>() / offsets.len() as f64;
        let median_mm = [0, 1].map(|axis| median(along(axis)));
        Self {
            name: name.to_owned(),
            points: offsets.len(),
            mre_mm: mean(&|offset| offset[0].hypot(offset[1])),
            median_mm,
            sd_mm: [0, 1].map(|axis| standard_deviation(along(axis))),
            rest_mm: mean(&|offset| (offset[0] - median_mm[0]).hypot(offset[1] - median_mm[1])),
        }
    }
}

/// That of a sample; NaN for fewer than two values.
fn standard_deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    (values.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(0.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bias_and_scatter_are_told_apart() {
        let exact = Bias::of("exact", [[0.0, 0.0]; 3]);
        assert_eq!((exact.mre_mm, exact.median_mm, exact.sd_mm, exact.rest_mm), (0.0, [0.0; 2], [0.0; 2], 0.0));
        // Corners of a square with sides of 2 mm, 5 mm up.
        let square = Bias::of("square", [[-1.0, -6.0], [1.0, -6.0], [-1.0, -4.0], [1.0, -4.0]]);
        assert_eq!((square.median_mm, square.rest_mm), ([0.0, -5.0], 2_f64.sqrt()));
        assert!(square.sd_mm.iter().all(|sd| (sd - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12), "{square:?}");
        let mut missed = vec![[0.0, 0.0]; 9];
        missed.push([90.0, 0.0]);
        assert_eq!(Bias::of("missed", missed).median_mm, [0.0; 2]);
        assert!(Bias::of("nowhere", []).mre_mm.is_nan() && Bias::of("once", [[1.0, 1.0]]).sd_mm[0].is_nan());
    }
}
