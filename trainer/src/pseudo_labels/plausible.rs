//! Pseudo-labels at places that are anatomically possible: scores and the shape prior together.

use onemark_film::geometry::GridPoint;
use onemark_models::shape_prior::{Expected, SCORE_FLOOR, SCORE_WEIGHT, ShapePrior, TRUST, TRUST_ROUNDS};
use tch::{Kind, Tensor};

use super::best;
use crate::TrainError;

/// The centre of the best cell in each map of one film, by its score and by the position that the other landmarks predict.
/// `found` are the best by score alone.
pub(super) fn plausible(maps: &Tensor, prior: &ShapePrior, found: &[GridPoint]) -> Result<Vec<GridPoint>, TrainError> {
    let device = maps.device();
    let (landmarks, rows, columns) = maps.size3()?;
    let logarithms = maps.f_add_scalar(SCORE_FLOOR)?.f_log()?.f_mul_scalar(SCORE_WEIGHT)?;
    let per_landmark = |values: Vec<f64>| -> Result<Tensor, TrainError> {
        Ok(Tensor::f_from_slice(&values)?.f_to_kind(Kind::Float)?.f_view([landmarks, 1, 1])?.f_to_device(device)?)
    };
    let centres = |count: i64, shape: [i64; 3]| -> Result<Tensor, TrainError> {
        Ok(Tensor::f_arange(count, (Kind::Float, device))?.f_add_scalar(0.5)?.f_view(shape)?)
    };
    let (row, column) = (centres(rows, [1, rows, 1])?, centres(columns, [1, 1, columns])?);
    let (mut points, mut trusted) = (found.to_vec(), vec![true; found.len()]);
    for _ in 0..TRUST_ROUNDS {
        trusted = prior.plausible(&points, &trusted, TRUST);
        let expected: Vec<Expected> = (0..points.len()).map(|index| prior.expected(index, &points, &trusted)).collect();
        let of = |value: fn(&Expected) -> f64| per_landmark(expected.iter().map(value).collect());
        let down = row.f_sub(&of(|expected| expected.mean().row)?)?;
        let right = column.f_sub(&of(|expected| expected.mean().column)?)?;
        let [vertical, diagonal, horizontal] = [
            of(|expected| -0.5 * expected.precision()[0][0])?,
            of(|expected| -expected.precision()[0][1])?,
            of(|expected| -0.5 * expected.precision()[1][1])?,
        ];
        let density = logarithms
            .f_add(&down.f_square()?.f_mul(&vertical)?)?
            .f_add(&right.f_square()?.f_mul(&horizontal)?)?
            .f_add(&down.f_mul(&diagonal)?.f_mul(&right)?)?;
        points = best(&density)?;
    }
    Ok(points)
}
