//! A shape prior: where a landmark can lie, given the positions of the other landmarks. It is a Gaussian over all landmarks of a
//! film, fitted to the pseudo-labels of the training films, so it needs no annotation except the template's.
//!
//! Points are (row, column) on the network's grid, in cells.

use nalgebra::{DMatrix, DVector, Matrix2, Matrix2xX, Vector2};
use onemark_film::geometry::GridPoint;
use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::statistics::{USABLE, is_usable, upper_median};

/// The landmarks of several films: `points[film][landmark]`.
pub type PointSets = Vec<Vec<GridPoint>>;

/// The weight of the logarithm of a score, relative to the logarithm of the prior's density, when both choose a point. It is not
/// 1, because a score is a product of five cosines, which are not probabilities.
pub const SCORE_WEIGHT: f64 = 6.0;
/// Added to scores before the logarithm, because many scores are 0.
pub const SCORE_FLOOR: f64 = 1e-6;
/// A landmark farther than this from its expected place, in standard deviations, is not used to predict other landmarks.
pub const TRUST: f64 = 3.5;
/// The number of rounds. Each computes every landmark's expected place from the landmarks that the previous round trusts.
pub const TRUST_ROUNDS: usize = 3;

/// Standard deviation of a found point's error, as a share of the grid's side: about 1 mm on a head film.
const NOISE: f64 = 0.0045;
/// A point farther than this from its expected place, in standard deviations, is left out when the prior is fitted.
const OUTLIER: f64 = 3.0;
/// Half of the points of a Gaussian in two dimensions lie nearer to its mean, in standard deviations: √(2 ln 2).
const MEDIAN_DISTANCE: f64 = 1.177;
/// The number of rounds of fitting the prior and leaving points out.
const ROUNDS: usize = 4;
/// The least number of films per coordinate. With fewer, the covariance describes these films rather than the anatomy.
const FILMS_PER_COORDINATE: usize = 2;

/// A Gaussian over the landmarks of a film. Serialises into a bundle's manifest; its rules are checked when it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct ShapePrior {
    /// The mean of each landmark, (row, column) in cells.
    pub mean: Vec<GridPoint>,
    /// The covariance of all coordinates, row by row: landmark 1's row, landmark 1's column, landmark 2's row, …
    pub covariance: Vec<Vec<f64>>,
    /// Variance of a found coordinate's error, in cells squared; added wherever found points are used.
    pub noise: f64,
}

/// Where the other landmarks expect a landmark: a Gaussian on the grid.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    mean: Vector2<f64>,
    precision: Matrix2<f64>,
}

impl Expected {
    /// The mean: the expected place.
    pub fn mean(&self) -> GridPoint {
        GridPoint { row: self.mean.x, column: self.mean.y }
    }

    /// The inverse of the covariance, axes (row, column).
    pub fn precision(&self) -> [[f64; 2]; 2] {
        let p = self.precision;
        [[p[(0, 0)], p[(0, 1)]], [p[(1, 0)], p[(1, 1)]]]
    }

    /// Logarithm of the density at `point`, minus the logarithm at the mean.
    pub fn log_density(&self, point: GridPoint) -> f64 {
        let from_mean = Vector2::new(point.row, point.column) - self.mean;
        -0.5 * (self.precision * from_mean).dot(&from_mean).max(0.0)
    }

    /// How many standard deviations `point` lies from its expected place (Mahalanobis distance).
    pub fn distance(&self, point: GridPoint) -> f64 {
        (-2.0 * self.log_density(point)).sqrt()
    }
}

/// A prior over all points of a film together.
#[derive(Clone, Debug)]
pub struct Joint {
    mean: DVector<f64>,
    precision: DMatrix<f64>,
}

impl Joint {
    /// The squared Mahalanobis distance of all `points` together from the mean. If it is smaller by 2, the shape is e times as
    /// likely.
    pub fn mahalanobis_squared(&self, points: &[GridPoint]) -> f64 {
        let from_mean = flat(points) - &self.mean;
        (&self.precision * &from_mean).dot(&from_mean)
    }
}

impl ShapePrior {
    /// The prior over some of its landmarks, by index: the marginal distribution.
    #[must_use]
    pub fn marginal(&self, landmarks: &[usize]) -> Self {
        let axes = || landmarks.iter().flat_map(|landmark| [2 * landmark, 2 * landmark + 1]);
        Self {
            mean: landmarks.iter().map(|landmark| self.mean[*landmark]).collect(),
            covariance: axes().map(|row| axes().map(|column| self.covariance[row][column]).collect()).collect(),
            noise: self.noise,
        }
    }

    /// Fits the prior to `shapes[film][landmark]` on a grid of side `side`. Points far from their expected place are left out,
    /// and medians are used as means, so a few wrong pseudo-labels do no harm. `None` if there are too few films.
    pub fn fit(shapes: &[Vec<GridPoint>], side: usize) -> Option<Self> {
        let landmarks = shapes.first()?.len();
        if landmarks < 2 || shapes.len() < Self::films_needed(landmarks) {
            return None;
        }
        let noise = (NOISE * side as f64).powi(2);
        let mut kept = vec![vec![true; landmarks]; shapes.len()];
        let mut prior = Self::of(shapes, noise);
        for _ in 1..ROUNDS {
            let distances: Vec<Vec<f64>> =
                shapes.iter().zip(&kept).map(|(shape, kept)| prior.distances(shape, kept)).collect();
            for landmark in 0..landmarks {
                // Wrong points widen the Gaussian until they no longer look wrong. The median of all distances is not affected.
                let limit = OUTLIER * upper_median(distances.iter().map(|film| film[landmark])) / MEDIAN_DISTANCE;
                kept.iter_mut().zip(&distances).for_each(|(kept, film)| kept[landmark] = film[landmark] <= limit);
            }
            // A point that was left out is moved to its expected place, so every film counts for all of its landmarks.
            let whole = |(shape, kept): (&Vec<GridPoint>, &Vec<bool>)| -> Vec<GridPoint> {
                let point = |index: usize| match kept[index] {
                    true => shape[index],
                    false => prior.expected(index, shape, kept).mean(),
                };
                (0..landmarks).map(point).collect()
            };
            let whole: PointSets = shapes.iter().zip(&kept).map(whole).collect();
            prior = Self::of(&whole, noise);
        }
        Some(prior)
    }

    /// The number of films needed to fit a prior over `landmarks` landmarks.
    pub fn films_needed(landmarks: usize) -> usize {
        FILMS_PER_COORDINATE * 2 * landmarks
    }

    /// The Gaussian of some shapes, with their medians as its mean.
    fn of(shapes: &[Vec<GridPoint>], noise: f64) -> Self {
        let landmarks = shapes[0].len();
        let centre = |axis: fn(&GridPoint) -> f64, landmark: usize| {
            upper_median(shapes.iter().map(|shape| axis(&shape[landmark])))
        };
        let mean: Vec<GridPoint> =
            (0..landmarks).map(|index| GridPoint::new(centre(|p| p.row, index), centre(|p| p.column, index))).collect();
        // Half of the noise keeps the matrix positive definite if coordinates depend on each other.
        let mut covariance = DMatrix::identity(2 * landmarks, 2 * landmarks) * (noise / 2.0);
        for shape in shapes {
            let from_mean = flat(shape) - flat(&mean);
            covariance += &from_mean * from_mean.transpose() / shapes.len() as f64;
        }
        let covariance = covariance.row_iter().map(|row| row.iter().copied().collect()).collect();
        Self { mean, covariance, noise }
    }

    /// Where the other `trusted` landmarks among `points` expect `landmark` (0-based). Entries of `points` that are not trusted
    /// are not read.
    pub fn expected(&self, landmark: usize, points: &[GridPoint], trusted: &[bool]) -> Expected {
        let others: Vec<usize> = (0..points.len())
            .filter(|other| *other != landmark && trusted[*other])
            .flat_map(|other| [2 * other, 2 * other + 1])
            .collect();
        let own = [2 * landmark, 2 * landmark + 1];
        let entry = |row: usize, column: usize| self.covariance[row][column];
        let mean = flat(&self.mean);
        let own_mean = Vector2::from_fn(|row, _| mean[own[row]]);
        let own_covariance = Matrix2::from_fn(|row, column| entry(own[row], own[column]));
        let of_noise = Matrix2::identity() * self.noise;
        let others_covariance = DMatrix::from_fn(others.len(), others.len(), |row, column| {
            entry(others[row], others[column]) + if row == column { self.noise } else { 0.0 }
        });
        let between = Matrix2xX::from_fn(others.len(), |row, column| entry(own[row], others[column]));
        // A covariance plus noise is positive definite. If it is not, the mean is the expected place.
        let gain = others_covariance.cholesky().map(|cholesky| cholesky.solve(&between.transpose()).transpose());
        let (mean, covariance) = match gain {
            Some(gain) => {
                let points = flat(points);
                let from_mean = DVector::from_fn(others.len(), |row, _| points[others[row]] - mean[others[row]]);
                (own_mean + &gain * from_mean, own_covariance - &gain * between.transpose())
            }
            None => (own_mean, own_covariance),
        };
        let precision = (covariance + of_noise).try_inverse().unwrap_or_else(|| Matrix2::identity() / self.noise);
        Expected { mean, precision }
    }

    /// For each point, its distance from where the other trusted points expect it, in standard deviations.
    pub fn distances(&self, points: &[GridPoint], trusted: &[bool]) -> Vec<f64> {
        points.iter().enumerate().map(|(index, point)| self.expected(index, points, trusted).distance(*point)).collect()
    }

    /// Which points lie within `limit` standard deviations of where the other trusted points expect them.
    pub fn plausible(&self, points: &[GridPoint], trusted: &[bool], limit: f64) -> Vec<bool> {
        self.distances(points, trusted).into_iter().map(|distance| distance < limit).collect()
    }

    /// The prior over all points of a film together. `None` if the covariance is not positive definite.
    pub fn joint(&self) -> Option<Joint> {
        let size = 2 * self.mean.len();
        let of_noise = |row: usize, column: usize| if row == column { self.noise } else { 0.0 };
        let covariance =
            DMatrix::from_fn(size, size, |row, column| self.covariance[row][column] + of_noise(row, column));
        let precision = covariance.cholesky()?.inverse();
        Some(Joint { mean: flat(&self.mean), precision })
    }

    /// Checks that the numbers form a prior over `landmarks` landmarks.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self, landmarks: usize) -> Result<(), Invalid> {
        let size = 2 * landmarks;
        let numbers =
            self.covariance.iter().flatten().chain(self.mean.iter().flat_map(|point| [&point.row, &point.column]));
        let matrix = || DMatrix::from_fn(size, size, |row, column| self.covariance[row][column]);
        if self.mean.len() != landmarks {
            Err(Invalid::new("mean", format!("must have a (row, column) for each of {landmarks} landmarks")))
        } else if self.covariance.len() != size || self.covariance.iter().any(|row| row.len() != size) {
            Err(Invalid::new("covariance", "must have an entry for each pair of coordinates"))
        } else if !numbers.chain([&self.noise]).all(|number| is_usable(*number)) {
            Err(Invalid::new("", USABLE))
        } else if self.noise <= 0.0 {
            Err(Invalid::new("noise", "must be above 0"))
        } else if matrix() != matrix().transpose() || matrix().cholesky().is_none() {
            Err(Invalid::new("covariance", "must be symmetric and positive definite"))
        } else {
            Ok(())
        }
    }
}

/// A prior as it is written in a manifest, before its rules are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    mean: Vec<GridPoint>,
    covariance: Vec<Vec<f64>>,
    noise: f64,
}

impl TryFrom<Unchecked> for ShapePrior {
    type Error = Invalid;

    fn try_from(Unchecked { mean, covariance, noise }: Unchecked) -> Result<Self, Invalid> {
        let prior = Self { mean, covariance, noise };
        match prior.validate(prior.mean.len()) {
            Ok(()) => Ok(prior),
            Err(invalid) => Err(invalid.within("shape prior")),
        }
    }
}

fn flat(points: &[GridPoint]) -> DVector<f64> {
    DVector::from_iterator(2 * points.len(), points.iter().flat_map(|point| [point.row, point.column]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const SIDE: usize = 384;
    const HEXAGON: [(f64, f64); 6] =
        [(100.0, 100.0), (100.0, 200.0), (220.0, 150.0), (160.0, 80.0), (160.0, 220.0), (80.0, 150.0)];
    const TRUSTED: [bool; 6] = [true; 6];
    /// The difference between two ways of solving the same equations in f64.
    const ROUNDING: f64 = 1e-9;

    /// A hexagon that is moved by up to 40 cells and scaled by up to a tenth, with errors of up to a cell.
    fn shapes() -> Vec<Vec<GridPoint>> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let corners = HEXAGON;
        let shape = |rng: &mut ChaCha8Rng| {
            let (down, right, scale) =
                (rng.random_range(-40.0..40.0), rng.random_range(-40.0..40.0), rng.random_range(0.9..1.1));
            let mut error = || rng.random_range(-1.0..1.0);
            corners
                .map(|(row, column)| GridPoint::new(scale * row + down + error(), scale * column + right + error()))
                .to_vec()
        };
        (0..120).map(|_| shape(&mut rng)).collect()
    }

    #[test]
    fn a_point_is_expected_where_the_others_put_it() {
        let prior = ShapePrior::fit(&shapes(), SIDE).unwrap();
        // Moved and not scaled.
        let moved = HEXAGON.map(|(row, column)| GridPoint::new(row + 30.0, column - 20.0));
        assert!(prior.distances(&moved, &TRUSTED).iter().all(|distance| *distance < 1.0));
        let expected = prior.expected(2, &moved, &TRUSTED);
        assert!(expected.distance(GridPoint::new(250.0, 160.0)) > 5.0);
        // Without other landmarks, it may lie wherever it has been seen.
        assert!(prior.expected(2, &moved, &[false; 6]).distance(GridPoint::new(250.0, 160.0)) < 3.0);
    }

    #[test]
    fn wrong_points_do_no_harm() {
        let clean = ShapePrior::fit(&shapes(), SIDE).unwrap();
        let mut shapes = shapes();
        for shape in shapes.iter_mut().step_by(10) {
            shape[2] = GridPoint::new(20.0, 350.0);
        }
        let prior = ShapePrior::fit(&shapes, SIDE).unwrap();
        let spread = |prior: &ShapePrior| prior.covariance[5][5].sqrt();
        assert!((spread(&prior) / spread(&clean) - 1.0).abs() < 0.1, "{} {}", spread(&prior), spread(&clean));
        let without = [true, true, false, true, true, true];
        assert_eq!(prior.plausible(&shapes[0], &without, OUTLIER), without);
    }

    #[test]
    fn all_points_at_once_are_each_given_those_before_it() {
        let prior = ShapePrior::fit(&shapes(), SIDE).unwrap();
        let joint = prior.joint().unwrap();
        for shape in shapes().iter().take(5) {
            let before = |index: usize| -> Vec<bool> { (0..6).map(|other| other < index).collect() };
            let each = (0..6).map(|index| prior.expected(index, shape, &before(index)).distance(shape[index]).powi(2));
            let (each, all) = (each.sum::<f64>(), joint.mahalanobis_squared(shape));
            assert!((each / all - 1.0).abs() < ROUNDING, "{each} {all}");
        }
    }

    #[test]
    fn a_prior_over_some_landmarks_expects_what_the_whole_expects_by_them() {
        let prior = ShapePrior::fit(&shapes(), SIDE).unwrap();
        let some = prior.marginal(&[0, 2, 5]);
        assert_eq!(some.validate(3), Ok(()));
        for shape in shapes().iter().take(5) {
            let whole = prior.expected(2, shape, &[true, false, false, false, false, true]);
            let part = some.expected(1, &[shape[0], shape[2], shape[5]], &[true; 3]);
            assert!((whole.distance(shape[2]) / part.distance(shape[2]) - 1.0).abs() < ROUNDING);
        }
    }

    #[test]
    fn too_few_films_give_no_prior() {
        assert!(ShapePrior::fit(&shapes()[..23], SIDE).is_none());
        assert!(ShapePrior::fit(&shapes()[..ShapePrior::films_needed(6)], SIDE).is_some());
        assert!(ShapePrior::fit(&[], SIDE).is_none());
    }

    #[test]
    fn what_is_no_prior_is_refused() {
        let good = ShapePrior::fit(&shapes(), SIDE).unwrap();
        assert_eq!(good.validate(6), Ok(()));
        assert!(good.validate(5).is_err());
        let mut ragged = good.clone();
        ragged.covariance[3].pop();
        assert!(ragged.validate(6).is_err());
        let mut infinite = good.clone();
        infinite.mean[0].row = f64::INFINITY;
        assert!(infinite.validate(6).is_err());
        let mut indefinite = good.clone();
        indefinite.covariance[0][0] = -1.0;
        assert!(indefinite.validate(6).is_err());
        assert!(ShapePrior { noise: 0.0, ..good }.validate(6).is_err());
    }
}
