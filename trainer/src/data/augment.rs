//! Random changes of grey values and random rotations of patches, with their maps of points (METHOD.md sec. 1b). The recipe gives
//! the ranges. [`crate::data::warp`] makes changed copies of whole films.
//!
//! Films are `[row, column]`, grey values in [0, 1]. Points are (row, column) in cells of the film at hand, the centre of its
//! first cell being (0, 0). Nothing here rounds a point.

use ndarray::{Array2, ArrayViewMut1, Axis};
use onemark_models::recipe::Jitter;
use rand::Rng;

/// Changes brightness and contrast at random, as torchvision's `ColorJitter` does to an 8-bit picture (METHOD.md sec. 1b):
/// both factors are uniform in `1 +- range`, and either may come first. Before them, where the range has a `gamma`, grey values
/// are raised to a power whose logarithm is uniform in `+-ln(1 + gamma)`.
pub fn jitter(film: &mut Array2<f32>, range: &Jitter, rng: &mut impl Rng) {
    if range.gamma > 0.0 {
        let power = symmetric(range.gamma.ln_1p(), rng).exp() as f32;
        film.mapv_inplace(|grey| grey.max(0.0).powf(power));
    }
    let brightness = 1.0 + symmetric(range.brightness, rng);
    let contrast = 1.0 + symmetric(range.contrast, rng);
    adjust(film, brightness as f32, contrast as f32, rng.random());
}

/// Applies the factors that [`jitter`] draws. Every step leaves whole 8-bit values, truncated and not rounded, as in Pillow's
/// `Image.blend`.
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
/// [`rotate_point`] maps points in the same way.
#[must_use]
pub fn rotate_patch(patch: &Array2<f32>, angle: f64) -> Array2<f32> {
    let (rows, columns) = patch.dim();
    let (half_rows, half_columns) = (rows as f64 / 2.0, columns as f64 / 2.0);
    let (sin, cos) = angle.sin_cos();
    let coefficients = spline_coefficients(patch);
    Array2::from_shape_fn((rows, columns), |(i, j)| {
        // The centre is subtracted as (n-1)/2 but added as n/2, as in the original.
        let (y, x) = (i as f64 - (half_rows - 0.5), j as f64 - (half_columns - 0.5));
        let source = (y * cos + x * sin + half_rows, x * cos - y * sin + half_columns);
        spline_value(&coefficients, source).clamp(0.0, 1.0) as f32
    })
}

/// The point to which [`rotate_patch`] moves `point` of a patch of side `n`: the exact inverse of its map. It may lie outside the
/// patch.
#[must_use]
pub fn rotate_point(point: (f64, f64), n: usize, angle: f64) -> (f64, f64) {
    let half = n as f64 / 2.0;
    let (u, v) = (point.0 - half, point.1 - half);
    let (sin, cos) = angle.sin_cos();
    (u * cos - v * sin + (half - 0.5), u * sin + v * cos + (half - 0.5))
}

/// Coefficients of the cubic B-spline through the film's cells, mirrored at the borders: SciPy's `spline_filter`.
fn spline_coefficients(film: &Array2<f32>) -> Array2<f64> {
    let mut coefficients = film.mapv(f64::from);
    for axis in [Axis(0), Axis(1)] {
        coefficients.lanes_mut(axis).into_iter().for_each(filter_lane);
    }
    coefficients
}

/// One recursion forward and one backward along a line; see Unser, "Splines: a perfect fit", 1999.
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
pub(crate) fn spline_taps(at: f64, n: usize) -> [(usize, f64); 4] {
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
pub(crate) fn symmetric(bound: f64, rng: &mut impl Rng) -> f64 {
    bound * rng.random_range(-1.0..=1.0)
}
