//! Estimates how well a calibration predicts errors on other films: it is fitted to a random half of the films and tested on the other.

use ndarray::{ArrayView2, Axis};
use onemark_models::confidence::{Calibration, Reliability, WRONG_MM};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::fit::fit_alone;

/// The number of random halves, and their seed.
const DRAWS: usize = 200;
const SEED: u64 = 1;
/// The number of groups of equal size, of points with similar confidence. In each, confidence is compared with the share of right points.
const GROUPS: usize = 10;

/// Estimates the reliability from scores and errors in mm, `[films, landmarks]`, all finite. Films with the same number in `patients`
/// are in the same half.
pub(super) fn estimate(
    scores: ArrayView2<'_, f32>,
    errors_mm: ArrayView2<'_, Option<f64>>,
    patients: &[usize],
) -> Reliability {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut order = patients.to_vec();
    order.sort_unstable();
    order.dedup();
    let mut sum = Reliability::default();
    for _ in 0..DRAWS {
        order.shuffle(&mut random);
        let half = &order[..order.len() / 2];
        let (fitted, judged): (Vec<usize>, Vec<usize>) =
            (0..patients.len()).partition(|film| half.contains(&patients[*film]));
        let of = |films: &[usize]| (scores.select(Axis(0), films), errors_mm.select(Axis(0), films));
        let ((scores, errors), (new_scores, new_errors)) = (of(&fitted), of(&judged));
        let one = judge(&fit_alone(scores.view(), errors.view()).calibration, new_scores.view(), new_errors.view());
        sum.coverage += one.coverage;
        sum.auroc += one.auroc;
        sum.calibration_error += one.calibration_error;
        sum.lost += one.lost;
        sum.out_of_distribution += one.out_of_distribution;
    }
    let mean = |sum: f64| sum / DRAWS as f64;
    Reliability {
        draws: DRAWS,
        coverage: mean(sum.coverage),
        auroc: mean(sum.auroc),
        calibration_error: mean(sum.calibration_error),
        lost: mean(sum.lost),
        out_of_distribution: mean(sum.out_of_distribution),
    }
}

/// The reliability of a calibration on other films.
fn judge(
    calibration: &Calibration,
    scores: ArrayView2<'_, f32>,
    errors_mm: ArrayView2<'_, Option<f64>>,
) -> Reliability {
    let (mut points, mut covered, mut lost) = (Vec::with_capacity(scores.len()), 0, 0);
    for ((film, landmark), &score) in scores.indexed_iter() {
        let Some(error) = errors_mm[[film, landmark]] else { continue };
        let right = error <= WRONG_MM;
        covered += usize::from(error <= calibration.landmarks[landmark].radius_mm);
        lost += usize::from(right && !calibration.is_found(landmark, score));
        points.push((calibration.confidence(landmark, score), right));
    }
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    let right = points.iter().filter(|(_, right)| *right).count();
    let out_of_distribution = scores
        .axis_iter(Axis(0))
        .zip(errors_mm.axis_iter(Axis(0)))
        .filter(|(scores, errors)| {
            let annotated = scores.iter().copied().enumerate().zip(errors).filter(|(_, error)| error.is_some());
            calibration.is_out_of_distribution(annotated.map(|(point, _)| point))
        })
        .count();
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    Reliability {
        draws: 1,
        coverage: share(covered, points.len()),
        auroc: auroc(&points),
        calibration_error: calibration_error(&points),
        lost: share(lost, right),
        out_of_distribution: share(out_of_distribution, scores.nrows()),
    }
}

/// The area under the receiver operating characteristic, of points (confidence, whether right) in ascending order: the share of pairs
/// of a right and a wrong point in which the right point has the higher confidence. Ties count half.
fn auroc(points: &[(f64, bool)]) -> f64 {
    let (mut wrong_below, mut in_order) = (0.0, 0.0);
    for tied in points.chunk_by(|one, other| one.0 == other.0) {
        let right = tied.iter().filter(|(_, right)| *right).count() as f64;
        let wrong = tied.len() as f64 - right;
        in_order += right * (wrong_below + wrong / 2.0);
        wrong_below += wrong;
    }
    let pairs = wrong_below * (points.len() as f64 - wrong_below);
    if pairs > 0.0 { in_order / pairs } else { 0.5 }
}

/// The expected calibration error of points (confidence, whether right) in ascending order.
fn calibration_error(points: &[(f64, bool)]) -> f64 {
    let size = points.len().div_ceil(GROUPS).max(1);
    let gaps = points.chunks(size).map(|group| {
        let promised: f64 = group.iter().map(|(confidence, _)| confidence).sum();
        (promised - group.iter().filter(|(_, right)| *right).count() as f64).abs()
    });
    gaps.sum::<f64>() / points.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_with_ties() {
        assert_eq!(auroc(&[(0.1, false), (0.2, true), (0.3, true)]), 1.0);
        assert_eq!(auroc(&[(0.1, true), (0.2, false)]), 0.0);
        assert_eq!(auroc(&[(0.5, true), (0.5, false)]), 0.5);
        assert_eq!(auroc(&[(0.1, false), (0.5, true), (0.5, false), (0.9, true)]), 0.875);
        assert_eq!(auroc(&[(0.1, true)]), 0.5);
    }

    #[test]
    fn promises_and_what_came_of_them() {
        // Two groups of ten points: all right with confidence 0.5, and nine right with confidence 0.9.
        let points = |confidence: f64, right: usize| (0..100).map(move |point| (confidence, point < right));
        let all: Vec<_> = points(0.5, 100).chain(points(0.9, 90)).collect();
        let fifths = all.chunks(20).map(|group| {
            let promised: f64 = group.iter().map(|point| point.0).sum();
            (promised - group.iter().filter(|point| point.1).count() as f64).abs()
        });
        let expected: f64 = fifths.sum::<f64>() / 200.0;
        assert!((calibration_error(&all) - expected).abs() < 1e-12 && expected > 0.25);
    }
}
