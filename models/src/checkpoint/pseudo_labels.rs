//! Converts pseudo-labels to and from a tensor of a checkpoint.

use ndarray::{Array3, ArrayD, ArrayView1, Ix3};
use onemark_film::geometry::GridPoint;

use crate::shape_prior::PointSets;

/// Points as a tensor `[films, landmarks, 2]`, (row, column) on the grid.
pub fn to_tensor(points: &[Vec<GridPoint>]) -> ArrayD<f32> {
    let landmarks = points.first().map_or(0, Vec::len);
    let coordinate = |(film, landmark, axis): (usize, usize, usize)| {
        let GridPoint { row, column } = points[film][landmark];
        if axis == 0 { row as f32 } else { column as f32 }
    };
    Array3::from_shape_fn((points.len(), landmarks, 2), coordinate).into_dyn()
}

/// The points of a tensor that [`to_tensor`] made; `None` if the tensor has another shape.
pub fn from_tensor(tensor: &ArrayD<f32>) -> Option<PointSets> {
    let tensor = tensor.view().into_dimensionality::<Ix3>().ok().filter(|tensor| tensor.dim().2 == 2)?;
    let point = |point: ArrayView1<'_, f32>| GridPoint::new(f64::from(point[0]), f64::from(point[1]));
    Some(tensor.outer_iter().map(|film| film.outer_iter().map(point).collect()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tensors_keep_points() {
        let film = |points: [(f64, f64); 3]| points.map(|(row, column)| GridPoint { row, column }).to_vec();
        let points = vec![film([(1.5, 2.5), (3.0, 4.0), (5.25, 6.0)]), film([(0.0, 1.0); 3])];
        assert_eq!(from_tensor(&to_tensor(&points)).unwrap(), points);
        assert_eq!(from_tensor(&ArrayD::zeros(vec![2, 3])), None);
        assert_eq!(from_tensor(&ArrayD::zeros(vec![2, 3, 4])), None);
    }
}
