//! The pairs of points that a step trains on, and the cells of the network's grid that they lie in.

use ndarray::{Array2, ArrayView2, s};
use onemark_film::geometry::GridPoint;

/// A cell (row, column) of the network's grid, before any level's stride.
pub type Cell = (i64, i64);

/// A point on a source image and the same point on a target image; images are numbered within their batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Image of the source batch and cell there: gives the template vector.
    pub source: (usize, Cell),
    /// Image of the target batch and cell there: the positive of the similarity map.
    pub target: (usize, Cell),
    /// Weight in the sum. The weights of a pair's points usually add up to the pair's.
    pub weight: f32,
}

/// The cell that holds a point.
pub fn cell(point: GridPoint) -> Cell {
    (point.row.floor() as i64, point.column.floor() as i64)
}

/// The nearest point whose cell lies on a grid of side `side`.
pub fn clamp(point: GridPoint, side: usize) -> GridPoint {
    let last = side as f64 - 0.5;
    GridPoint::new(point.row.clamp(0.0, last), point.column.clamp(0.0, last))
}

/// Where a crop of side `patch` about the cell `at` starts on a film of side `size` (METHOD.md sec. 4, item 11).
pub fn patch_origin(at: i64, patch: usize, size: usize) -> i64 {
    (at - patch as i64 / 2).clamp(0, (size - patch) as i64)
}

/// The crop of side `side` that starts at `origin` (row, column), inside the film.
pub fn crop(film: ArrayView2<f32>, origin: (i64, i64), side: usize) -> Array2<f32> {
    let (top, left) = (origin.0 as usize, origin.1 as usize);
    film.slice(s![top..top + side, left..left + side]).to_owned()
}
