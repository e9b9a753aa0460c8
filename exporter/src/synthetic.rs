//! The film that every export is checked on: drawn by a formula, so that the self-check needs no file.

use ndarray::Array2;

/// The film of the self-check, `[size, size]` in [0, 1], axes [row, column]: soft shapes of many sizes over the whole grey scale.
pub fn synthetic_film(size: usize) -> Array2<f32> {
    Array2::from_shape_fn((size, size), |(row, column)| {
        let (y, x) = (row as f32 / size as f32, column as f32 / size as f32);
        let waves =
            (7.0 * x + 3.0 * y).sin() + (23.0 * x * y).cos() + (41.0 * (y - x * x)).sin() + (90.0 * x - 60.0 * y).sin();
        let ring = (-((x - 0.6).hypot(y - 0.4) - 0.25).powi(2) * 400.0).exp();
        (0.5 + 0.1 * waves + 0.3 * ring).clamp(0.0, 1.0)
    })
}
