//! Changed copies of whole films: affine maps (METHOD.md sec. 2c), optionally combined with smooth bends and moved joints.
//!
//! Points are (row, column) in cells of the film at hand, the centre of its first cell being (0, 0). Nothing here rounds a point.

use ndarray::{Array1, Array2};
use onemark_film::Film;
use onemark_models::recipe::{AffineRange, Border, Elastic};
use rand::Rng;

use crate::data::augment::{spline_taps, symmetric};
use crate::data::motion::{Motion, minus};

/// An affine map from points of a changed film to points of its source: `source = matrix * point + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Row-major, on (row, column).
    pub matrix: [[f64; 2]; 2],
    /// (row, column), cells.
    pub offset: [f64; 2],
}

impl Affine {
    /// A random map for films of `size` = (rows, columns): rotation about the centre, then scale, then shift, each uniform
    /// within `range` (METHOD.md sec. 2c). Positive angles turn the image counter-clockwise.
    pub fn random(range: &AffineRange, size: (usize, usize), rng: &mut impl Rng) -> Self {
        let angle = symmetric(range.degrees, rng).to_radians();
        let scale = 1.0 + symmetric(range.scale, rng);
        let scales = [scale, if range.anisotropic { 1.0 + symmetric(range.scale, rng) } else { scale }];
        let sides = [size.0 as f64, size.1 as f64];
        let shift = sides.map(|side| side * symmetric(range.shift, rng));
        Self::about_centre(angle, scales, shift, size)
    }

    /// The map that turns a film of `size` = (rows, columns) by `angle` radians counter-clockwise about its centre, then
    /// scales it by `scales` per axis, then shifts it by `shift` cells (rows, columns). Scales must not be 0.
    #[must_use]
    pub fn about_centre(angle: f64, scales: [f64; 2], shift: [f64; 2], size: (usize, usize)) -> Self {
        let (sin, cos) = angle.sin_cos();
        let centre = [(size.0 as f64 - 1.0) / 2.0, (size.1 as f64 - 1.0) / 2.0];
        let turn_back =
            Self { matrix: [[cos / scales[0], sin / scales[1]], [-sin / scales[0], cos / scales[1]]], offset: centre };
        let (row, column) = turn_back.apply((-centre[0] - shift[0], -centre[1] - shift[1]));
        Self { offset: [row, column], ..turn_back }
    }

    /// The source point that shows at `point` of the changed film.
    #[must_use]
    pub fn apply(&self, point: (f64, f64)) -> (f64, f64) {
        let [[a, b], [c, d]] = self.matrix;
        (a * point.0 + b * point.1 + self.offset[0], c * point.0 + d * point.1 + self.offset[1])
    }

    /// The map from source points to points of the changed film; not finite if the matrix is singular.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let [[a, b], [c, d]] = self.matrix;
        let determinant = a * d - b * c;
        let matrix = [[d / determinant, -b / determinant], [-c / determinant, a / determinant]];
        let (row, column) = Self { matrix, offset: [0.0; 2] }.apply((-self.offset[0], -self.offset[1]));
        Self { matrix, offset: [row, column] }
    }
}

/// A smooth displacement of a film's points: cubic B-splines over a lattice that spans the film.
#[derive(Clone, Debug, PartialEq)]
pub struct Bend {
    /// The splines' coefficients for rows and for columns, in cells.
    lattice: [Array2<f64>; 2],
    /// The film's cells from one lattice point to the next, per axis.
    spacing: (f64, f64),
}

impl Bend {
    /// A random bend of films of `size` = (rows, columns), each coefficient uniform within `range`.
    pub fn random(range: &Elastic, size: (usize, usize), rng: &mut impl Rng) -> Self {
        let side = range.lattice;
        let spacing = |cells: usize| (cells.max(2) - 1) as f64 / (side - 1) as f64;
        let lattice = [size.0, size.1]
            .map(|cells| Array2::from_shape_simple_fn((side, side), || cells as f64 * symmetric(range.shift, rng)));
        Self { lattice, spacing: (spacing(size.0), spacing(size.1)) }
    }

    /// The displacement at a point; outside the film, the displacement at its edge.
    fn at(&self, (row, column): (f64, f64)) -> (f64, f64) {
        self.across(&self.along(row), column)
    }

    /// The lattice on one row of the film: what [`Bend::across`] reads.
    fn along(&self, row: f64) -> [Array1<f64>; 2] {
        let taps = lattice_taps(row / self.spacing.0, self.lattice[0].nrows());
        let zero = Array1::zeros(self.lattice[0].ncols());
        self.lattice
            .each_ref()
            .map(|axis| taps.iter().fold(zero.clone(), |sum, (index, weight)| sum + &(&axis.row(*index) * *weight)))
    }

    fn across(&self, [rows, columns]: &[Array1<f64>; 2], column: f64) -> (f64, f64) {
        let taps = lattice_taps(column / self.spacing.1, rows.len());
        let sum = |axis: &Array1<f64>| taps.iter().map(|(index, weight)| weight * axis[*index]).sum();
        (sum(rows), sum(columns))
    }
}

fn lattice_taps(at: f64, points: usize) -> [(usize, f64); 4] {
    spline_taps(at.clamp(0.0, (points - 1) as f64), points)
}

/// The map from a copy's points to those of its film: bent, mapped, and joints moved back.
#[derive(Clone, Debug, PartialEq)]
pub struct Warp {
    motions: Vec<Motion>,
    affine: Affine,
    bend: Option<Bend>,
}

impl From<Affine> for Warp {
    fn from(affine: Affine) -> Self {
        Self { motions: Vec::new(), affine, bend: None }
    }
}

impl Warp {
    /// A map with a bend of the same film, after its joints have moved, one after the other.
    #[must_use]
    pub fn new(motions: Vec<Motion>, affine: Affine, bend: Option<Bend>) -> Self {
        Self { motions, affine, bend }
    }

    /// Where a point of the source shows on the copy; not a number where a moved joint hides it.
    #[must_use]
    pub fn from_source(&self, point: (f64, f64)) -> (f64, f64) {
        let point = self.motions.iter().fold(point, |point, motion| motion.target(point));
        let straight = self.affine.inverse().apply(point);
        let Some(bend) = &self.bend else { return straight };
        // A bend changes by far less than a cell per cell, so each round shrinks the remaining error.
        (0..INVERSE_ROUNDS).fold(straight, |at, _| minus(straight, bend.at(at)))
    }

    /// The source points that show along a row of the copy, by column.
    fn row(&self, row: usize) -> impl Fn(usize) -> (f64, f64) {
        let row = row as f64;
        let bend = self.bend.as_ref().map(|bend| (bend, bend.along(row)));
        move |column| {
            let column = column as f64;
            let (down, right) = bend.as_ref().map_or((0.0, 0.0), |(bend, along)| bend.across(along, column));
            let point = self.affine.apply((row + down, column + right));
            self.motions.iter().rev().fold(point, |point, motion| motion.source(point))
        }
    }
}

const INVERSE_ROUNDS: usize = 40;

/// The changed film: each cell has the bilinear value of the source at the point that `warp` maps to it.
#[must_use]
pub fn warp(film: &Array2<f32>, warp: &Warp, border: Border) -> Array2<f32> {
    let size = film.dim();
    let mut copy = Array2::zeros(size);
    for (i, mut cells) in copy.outer_iter_mut().enumerate() {
        let source = warp.row(i);
        cells.indexed_iter_mut().for_each(|(j, cell)| *cell = bilinear(|at| film[at], size, source(j), border));
    }
    copy
}

/// As [`warp()`], for a film at its full resolution: 8-bit grey, row after row, rounded. `warp` is in pixels.
#[must_use]
pub fn warp_film(film: &Film, warp: &Warp, border: Border) -> Vec<u8> {
    let size = (film.height() as usize, film.width() as usize);
    let grey = |[row, column]: [usize; 2]| f32::from(film.grey()[row * size.1 + column]);
    let mut copy = Vec::with_capacity(film.grey().len());
    for i in 0..size.0 {
        let source = warp.row(i);
        copy.extend((0..size.1).map(|j| (bilinear(grey, size, source(j), border) + 0.5) as u8));
    }
    copy
}

/// Bilinear interpolation. `border` gives the neighbours outside the film, so black blends in over one cell.
fn bilinear(at: impl Fn([usize; 2]) -> f32, size: (usize, usize), (row, column): (f64, f64), border: Border) -> f32 {
    let (last_row, last_column) = (size.0 as isize - 1, size.1 as isize - 1);
    let value = |i: isize, j: isize| {
        let nearest = (i.clamp(0, last_row), j.clamp(0, last_column));
        if border == Border::Zero && nearest != (i, j) { 0.0 } else { at([nearest.0 as usize, nearest.1 as usize]) }
    };
    let (top, left) = (row.floor(), column.floor());
    let (down, right) = ((row - top) as f32, (column - left) as f32);
    let (i, j) = (top as isize, left as isize);
    let across = |i: isize| value(i, j) * (1.0 - right) + value(i, j.saturating_add(1)) * right;
    across(i) * (1.0 - down) + across(i.saturating_add(1)) * down
}

#[cfg(test)]
mod tests {
    use onemark_models::landmarks::LandmarkSet;
    use onemark_models::recipe::AffineRange;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn points_go_through_bends_and_back() {
        let (size, mut rng) = ((90, 120), ChaCha8Rng::seed_from_u64(3));
        let range = AffineRange { degrees: 20.0, shift: 0.05, scale: 0.1, anisotropic: true };
        // The largest bend that a recipe may have.
        let elastic = Elastic { shift: 0.033, lattice: 6 };
        let mut farthest: f64 = 0.0;
        for _ in 0..20 {
            let affine = Affine::random(&range, size, &mut rng);
            let bent = Warp::new(Vec::new(), affine, Some(Bend::random(&elastic, size, &mut rng)));
            for (row, column) in [(0, 0), (40, 65), (89, 30), (12, 119)] {
                let source = bent.row(row)(column);
                let back = bent.from_source(source);
                assert!((back.0 - row as f64).hypot(back.1 - column as f64) < 1e-6, "{back:?}");
                let straight = affine.apply((row as f64, column as f64));
                farthest = farthest.max((source.0 - straight.0).hypot(source.1 - straight.1));
            }
        }
        assert!(farthest > 1.5, "bends of up to {farthest} cells");
    }

    #[test]
    fn a_moved_landmark_is_where_the_copy_shows_it() {
        let set = LandmarkSet::named("isbi19").unwrap_or_else(|error| unreachable!("{error}"));
        let (size, mut rng) = ((240, 200), ChaCha8Rng::seed_from_u64(5));
        let at = |index: usize| Some((20.0 + 11.0 * index as f64, 150.0 - 6.0 * (index % 7) as f64));
        let points: Vec<_> = (0..set.len()).map(at).collect();
        let range = AffineRange { degrees: 10.0, shift: 0.05, scale: 0.1, anisotropic: true };
        let mut compared = 0;
        for _ in 0..20 {
            let motions = Motion::random(&set, &points, Some((1.0, 1.0)), &mut rng);
            let bend = Bend::random(&Elastic { shift: 0.02, lattice: 6 }, size, &mut rng);
            let copy = Warp::new(motions, Affine::random(&range, size, &mut rng), Some(bend));
            for point in points.iter().flatten() {
                let (row, column) = copy.from_source(*point);
                if row < 0.0 || column < 0.0 {
                    continue;
                }
                // Nowhere is a copy's scale far from 1.
                let shown = copy.row(row.round() as usize)(column.round() as usize);
                let distance = (shown.0 - point.0).hypot(shown.1 - point.1);
                assert!(distance < 2.0, "{point:?} shows at {row}, {column}, which shows {shown:?}");
                compared += 1;
            }
        }
        assert!(compared > 300, "{compared} of 380 landmarks");
    }
}
