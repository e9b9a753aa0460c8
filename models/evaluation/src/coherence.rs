//! Agreement without annotations: the distances of landmarks from where the other landmarks of their film expect them.

use onemark_film::geometry::GridPoint;
use onemark_models::shape_prior::{PointSets, ShapePrior, TRUST};

/// The number of parts into which films are split. Each part is compared with a prior that is fitted to the other parts.
const FOLDS: usize = 5;

/// The mean distance in cells, per landmark, from where the other landmarks of its film expect it, by a prior fitted to other films.
///
/// `shapes[film][landmark]` are (row, column) in cells of a grid of side `side`. Part of the distance is anatomy, which differs
/// between skulls; the rest is error. So of two sets of landmarks on the same films, both found without a prior, the set with the
/// smaller distances is better. Errors that are the same on all films do not affect the distances. `None` if there are too few
/// films for a prior.
///
/// ```
/// use onemark_evaluation::coherence::incoherence;
/// use onemark_film::geometry::GridPoint;
///
/// // Two landmarks that move together, on twenty films.
/// let film = |down: f64| [100.0, 140.0].map(|row| GridPoint::new(row + down, 90.0)).to_vec();
/// let films: Vec<Vec<GridPoint>> = (0..20).map(|index| film(f64::from(index * index % 7))).collect();
/// let distances = incoherence(&films, 384).ok_or("too few films")?;
/// assert!(distances.iter().all(|cells| *cells < 2.0), "{distances:?}");
/// # Ok::<(), &str>(())
/// ```
pub fn incoherence(shapes: &[Vec<GridPoint>], side: usize) -> Option<Vec<f64>> {
    let mut sums = vec![0.0; shapes.first()?.len()];
    for fold in 0..FOLDS {
        let of_fold = |index: usize| index % FOLDS == fold;
        let others: PointSets =
            shapes.iter().enumerate().filter(|(index, _)| !of_fold(*index)).map(|(_, shape)| shape.clone()).collect();
        let prior = ShapePrior::fit(&others, side)?;
        for (_, shape) in shapes.iter().enumerate().filter(|(index, _)| of_fold(*index)) {
            let trusted = prior.plausible(shape, &vec![true; shape.len()], TRUST);
            for (landmark, (sum, point)) in sums.iter_mut().zip(shape).enumerate() {
                let expected = prior.expected(landmark, shape, &trusted).mean();
                *sum += (expected.row - point.row).hypot(expected.column - point.column);
            }
        }
    }
    Some(sums.into_iter().map(|sum| sum / shapes.len() as f64).collect())
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

    /// A hexagon that is moved by up to 40 cells and scaled by up to a tenth, with errors of up to a cell.
    fn shapes() -> PointSets {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let shape = |rng: &mut ChaCha8Rng| {
            let (down, right, scale) =
                (rng.random_range(-40.0..40.0), rng.random_range(-40.0..40.0), rng.random_range(0.9..1.1));
            let mut error = || rng.random_range(-1.0..1.0);
            HEXAGON
                .map(|(row, column)| GridPoint::new(scale * row + down + error(), scale * column + right + error()))
                .to_vec()
        };
        (0..120).map(|_| shape(&mut rng)).collect()
    }

    #[test]
    fn landmarks_with_errors_are_less_coherent() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let good = shapes();
        let mut bad = good.clone();
        bad.iter_mut().for_each(|shape| shape[3].row += rng.random_range(-9.0..9.0));
        let [good, bad] = [&good, &bad].map(|shapes| incoherence(shapes, SIDE).unwrap());
        assert!(bad[3] > 3.0 * good[3], "{good:?} {bad:?}");
        assert!((0..6).all(|index| index == 3 || bad[index] < 1.5 * good[index]), "{good:?} {bad:?}");
        assert!(incoherence(&shapes()[..20], SIDE).is_none());
    }
}
