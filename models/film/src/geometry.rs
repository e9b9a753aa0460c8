//! Points on a film, cells of a grid, and the map between the two.
//!
//! A network sees a film resized to a grid (384x384 in the paper), each axis by its own factor. Everything that converts
//! between the two lives here and nowhere else; pixels themselves are in [`crate::Film`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A position on a film in film pixels: `x` to the right, `y` down, from the film's top-left corner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f64,
    /// Pixels from the top edge.
    pub y: f64,
}

impl Point {
    /// The point `x` pixels from the left edge and `y` pixels from the top edge.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    /// Whether the point lies on a film of `width` x `height` px.
    pub fn is_inside(self, width: u32, height: u32) -> bool {
        (0.0..f64::from(width)).contains(&self.x) && (0.0..f64::from(height)).contains(&self.y)
    }

    /// Distance to `other` in px, or in mm where `unit` is the spacing `[x, y]` in mm per px (`[1.0, 1.0]` keeps px).
    pub fn distance(self, other: Self, unit: [f64; 2]) -> f64 {
        ((self.x - other.x) * unit[0]).hypot((self.y - other.y) * unit[1])
    }
}

/// The size of a grid in cells; rows first, as in every tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GridSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl GridSize {
    /// A grid of `height` rows and `width` columns.
    pub const fn new(height: usize, width: usize) -> Self {
        Self { height, width }
    }
}

/// The map between one film's pixels and the cells of a grid laid over it, with one scale per axis.
///
/// A cell stands for its centre: `(q + 0.5) * scale`. A point belongs to the cell that contains it: `trunc(p / scale)`
/// (METHOD.md sec. 1e). So film -> cell -> film moves a point by at most half a cell per axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridMap {
    /// Film width and height in px.
    pub film: (u32, u32),
    /// The grid that covers the film.
    pub grid: GridSize,
}

impl GridMap {
    /// The map for a film of `film` = (width, height) px under `grid`.
    pub const fn new(film: (u32, u32), grid: GridSize) -> Self {
        Self { film, grid }
    }

    /// Film pixels per cell, `[x, y]`.
    pub fn scale(&self) -> [f64; 2] {
        [f64::from(self.film.0) / self.grid.width as f64, f64::from(self.film.1) / self.grid.height as f64]
    }

    /// The centre of cell (`cell_y`, `cell_x`) in film px.
    pub fn to_film(&self, cell_y: usize, cell_x: usize) -> Point {
        self.to_film_at(cell_y as f64, cell_x as f64)
    }

    /// The film position of a sub-cell position, where the whole number `q` is the centre of cell `q`.
    pub fn to_film_at(&self, cell_y: f64, cell_x: f64) -> Point {
        let [scale_x, scale_y] = self.scale();
        Point::new((cell_x + 0.5) * scale_x, (cell_y + 0.5) * scale_y)
    }

    /// The cell (row, column) that contains `point`; a point beyond the film goes to the nearest border cell.
    pub fn to_cell(&self, point: Point) -> (usize, usize) {
        (cell_of(point.y, self.film.1, self.grid.height), cell_of(point.x, self.film.0, self.grid.width))
    }
}

/// One axis of [`GridMap::to_cell`]. Multiplies before it divides: the quotient of two exact integers is the nearest
/// double, so a point on a cell border never falls to the wrong side by rounding.
fn cell_of(position: f64, film: u32, cells: usize) -> usize {
    let cell = position * cells as f64 / f64::from(film);
    // `as` saturates: negative and NaN become 0, infinity the last cell.
    (cell as usize).min(cells.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Slack in film px for a few roundings of doubles on films of up to 10,000 px.
    const ROUNDING_PX: f64 = 1e-9;

    #[test]
    fn method_example() {
        // METHOD.md sec. 1e: (x, y) = (835, 996) on a 1935x2400 film is cell (y, x) = (159, 165) of 384x384.
        let map = GridMap::new((1935, 2400), GridSize::new(384, 384));
        assert_eq!(map.to_cell(Point::new(835.0, 996.0)), (159, 165));
    }

    #[test]
    fn points_beyond_the_film_are_clamped() {
        let map = GridMap::new((100, 50), GridSize::new(5, 10));
        assert_eq!(map.to_cell(Point::new(-3.0, 1e9)), (4, 0));
        assert_eq!(map.to_cell(Point::new(100.0, 50.0)), (4, 9));
        assert_eq!(map.to_cell(Point::new(f64::NAN, f64::INFINITY)), (4, 0));
    }

    fn any_map() -> impl Strategy<Value = GridMap> {
        (1u32..10_000, 1u32..10_000, 1usize..1024, 1usize..1024)
            .prop_map(|(w, h, rows, columns)| GridMap::new((w, h), GridSize::new(rows, columns)))
    }

    proptest! {
        #[test]
        fn film_to_cell_to_film_is_within_half_a_cell(map in any_map(), fx in 0.0..1.0f64, fy in 0.0..1.0f64) {
            let point = Point::new(fx * f64::from(map.film.0), fy * f64::from(map.film.1));
            let (row, column) = map.to_cell(point);
            let back = map.to_film(row, column);
            let [scale_x, scale_y] = map.scale();
            prop_assert!((back.x - point.x).abs() <= scale_x / 2.0 + ROUNDING_PX);
            prop_assert!((back.y - point.y).abs() <= scale_y / 2.0 + ROUNDING_PX);
        }

        #[test]
        fn cell_to_film_to_cell_is_exact(map in any_map(), fx in 0.0..1.0f64, fy in 0.0..1.0f64) {
            let cell = ((fy * map.grid.height as f64) as usize, (fx * map.grid.width as f64) as usize);
            prop_assert_eq!(map.to_cell(map.to_film(cell.0, cell.1)), cell);
        }

        #[test]
        fn both_directions_are_monotone(map in any_map(), a in -0.5..1.5f64, b in -0.5..1.5f64) {
            let (low, high) = if a <= b { (a, b) } else { (b, a) };
            let at = |f: f64| Point::new(f * f64::from(map.film.0), f * f64::from(map.film.1));
            let ((low_row, low_column), (high_row, high_column)) = (map.to_cell(at(low)), map.to_cell(at(high)));
            prop_assert!(low_row <= high_row && low_column <= high_column);
            let (p, q) = (map.to_film(low_row, low_column), map.to_film(high_row, high_column));
            prop_assert!(p.x <= q.x && p.y <= q.y);
        }
    }
}
