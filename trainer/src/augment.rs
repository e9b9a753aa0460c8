//! Random changes of films, and where a point goes with them: grey values (METHOD.md sec. 1b), the rotation of patches
//! (sec. 1b), affine copies of whole films (sec. 2c). How much of each is the recipe's; when, the caller's.
//!
//! Films are `[row, column]`, grey values in [0, 1]. Points are (row, column) in cells of the film at hand, the centre of its
//! first cell being (0, 0). Nothing here rounds a point.

use image::{GrayImage, Luma};
use ndarray::{Array2, ArrayViewMut1, Axis};
use onemark_models::recipe::{AffineRange, Border, Jitter};
use rand::Rng;

/// Changes brightness and contrast at random, as torchvision's `ColorJitter` does to an 8-bit picture (METHOD.md sec. 1b):
/// both factors are uniform in `1 +- range`, and either may come first.
pub fn jitter(film: &mut Array2<f32>, range: &Jitter, rng: &mut impl Rng) {
    let brightness = 1.0 + symmetric(range.brightness, rng);
    let contrast = 1.0 + symmetric(range.contrast, rng);
    adjust(film, brightness as f32, contrast as f32, rng.random());
}

/// What [`jitter`] does once its factors are drawn. Every step leaves whole 8-bit values, cut off rather than rounded, as
/// Pillow's `Image.blend` does.
pub fn adjust(film: &mut Array2<f32>, brightness: f32, contrast: f32, contrast_first: bool) {
    film.mapv_inplace(|grey| quantise(255.0 * grey));
    for change_contrast in [contrast_first, !contrast_first] {
        let (anchor, factor) = if change_contrast { (rounded_mean(film), contrast) } else { (0.0, brightness) };
        film.mapv_inplace(|grey| quantise(anchor + factor * (grey - anchor)));
    }
    film.mapv_inplace(|grey| grey / 255.0);
}

fn quantise(grey: f32) -> f32 {
    grey.clamp(0.0, 255.0).trunc()
}

fn rounded_mean(film: &Array2<f32>) -> f32 {
    let sum: f64 = film.iter().copied().map(f64::from).sum();
    (sum / film.len().max(1) as f64 + 0.5).floor() as f32
}

/// Rotates a square patch about its centre by `angle` radians as batchgenerators does (METHOD.md sec. 1b): cubic B-spline
/// interpolation, 0 where the source lies outside, clipped to [0, 1]. The contents also move by half a cell to the top left.
/// [`rotate_point`] says where a point ends up.
#[must_use]
pub fn rotate_patch(patch: &Array2<f32>, angle: f64) -> Array2<f32> {
    let (rows, columns) = patch.dim();
    let (half_rows, half_columns) = (rows as f64 / 2.0, columns as f64 / 2.0);
    let (sin, cos) = angle.sin_cos();
    let coefficients = spline_coefficients(patch);
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        // The centre is removed with (n-1)/2 but added back as n/2: so the original.
        let (y, x) = (i as f64 - (half_rows - 0.5), j as f64 - (half_columns - 0.5));
        let source = (y * cos + x * sin + half_rows, x * cos - y * sin + half_columns);
        spline_value(&coefficients, source).clamp(0.0, 1.0) as f32
    })
}

/// Where [`rotate_patch`] takes `point` of a patch of side `n`: the exact inverse of its map. May lie outside the patch.
#[must_use]
pub fn rotate_point(point: (f64, f64), n: usize, angle: f64) -> (f64, f64) {
    let half = n as f64 / 2.0;
    let (u, v) = (point.0 - half, point.1 - half);
    let (sin, cos) = angle.sin_cos();
    (u * cos - v * sin + (half - 0.5), u * sin + v * cos + (half - 0.5))
}

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
    /// within `range` (METHOD.md sec. 2c). Positive angles turn what the film shows counter-clockwise.
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

/// The changed film: each cell is the source's value where `affine` sends it, bilinear.
#[must_use]
pub fn warp(film: &Array2<f32>, affine: &Affine, border: Border) -> Array2<f32> {
    let size = film.dim();
    Array2::from_shape_fn(size, |(i, j)| {
        let source = affine.apply((i as f64, j as f64));
        bilinear(|cell| film[cell], size, source, border)
    })
}

/// As [`warp`], for a film at its full resolution; grey values are rounded. `affine` is in pixels.
#[must_use]
pub fn warp_film(film: &GrayImage, affine: &Affine, border: Border) -> GrayImage {
    let size = (film.height() as usize, film.width() as usize);
    GrayImage::from_fn(film.width(), film.height(), |x, y| {
        let source = affine.apply((f64::from(y), f64::from(x)));
        let grey = bilinear(|[row, column]| film.as_raw()[row * size.1 + column].into(), size, source, border);
        Luma([(grey + 0.5) as u8])
    })
}

/// Bilinear interpolation; neighbours beyond the border are what `border` says, so that black blends in over one cell.
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

/// Coefficients of the cubic B-spline through the film's cells, mirrored at the borders: SciPy's `spline_filter`.
fn spline_coefficients(film: &Array2<f32>) -> Array2<f64> {
    let mut coefficients = film.mapv(f64::from);
    for axis in [Axis(0), Axis(1)] {
        coefficients.lanes_mut(axis).into_iter().for_each(filter_lane);
    }
    coefficients
}

/// One recursion forth and one back along a line; see Unser, "Splines: a perfect fit", 1999.
fn filter_lane(mut line: ArrayViewMut1<f64>) {
    let n = line.len();
    if n < 2 {
        return;
    }
    let pole = 3.0_f64.sqrt() - 2.0;
    line *= 6.0; // (1 - pole) * (1 - 1/pole)
    // The mirrored line has period 2n-2, over which the start of the first recursion is a geometric sum.
    let period = 2 * n - 2;
    let sum: f64 = (0..period).map(|k| pole.powi(k as i32) * line[k.min(period - k)]).sum();
    line[0] = sum / (1.0 - pole.powi(period as i32));
    for k in 1..n {
        line[k] += pole * line[k - 1];
    }
    line[n - 1] = (pole * line[n - 2] + line[n - 1]) * pole / (pole * pole - 1.0);
    for k in (0..n - 1).rev() {
        line[k] = pole * (line[k + 1] - line[k]);
    }
}

/// The spline's value at `(row, column)`, 0 outside the film: SciPy's `map_coordinates` in mode "constant".
fn spline_value(coefficients: &Array2<f64>, (row, column): (f64, f64)) -> f64 {
    let (rows, columns) = coefficients.dim();
    let inside = |at: f64, n: usize| (0.0..=n as f64 - 1.0).contains(&at);
    if !(inside(row, rows) && inside(column, columns)) {
        return 0.0;
    }
    let (row_taps, column_taps) = (spline_taps(row, rows), spline_taps(column, columns));
    let across = |i: usize| column_taps.iter().map(|(j, weight)| weight * coefficients[[i, *j]]).sum::<f64>();
    row_taps.iter().map(|(i, weight)| weight * across(*i)).sum()
}

/// The four cells, mirrored into `0..n`, whose B-splines reach `at`, and their values there.
fn spline_taps(at: f64, n: usize) -> [(usize, f64); 4] {
    let first = at.floor();
    let (t, s) = (at - first, 1.0 - (at - first));
    let weights = [
        s * s * s / 6.0,
        (t * t * (t - 2.0) * 3.0 + 4.0) / 6.0,
        (s * s * (s - 2.0) * 3.0 + 4.0) / 6.0,
        t * t * t / 6.0,
    ];
    let last = n as isize - 1;
    let mut cell = first as isize - 1;
    weights.map(|weight| {
        let mirrored = (last - (last - cell.abs()).abs()).max(0);
        cell += 1;
        (mirrored as usize, weight)
    })
}

/// Uniform in `+-bound`.
fn symmetric(bound: f64, rng: &mut impl Rng) -> f64 {
    bound * rng.random_range(-1.0..=1.0)
}
