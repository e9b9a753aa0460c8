//! Points on a film, cells of a grid, and the map between the two.
//!
//! A film is resized to a network's input grid (384x384 in the paper), each axis by its own factor. All conversions of positions
//! between film and grid are here; pixels are in [`crate::Film`]. In JSON and manifests, [`Cell`] and [`GridPoint`] are pairs
//! `[row, column]`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Spacing;

/// A position on a film in film pixels: `x` to the right, `y` down, from the film's top-left corner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

    /// Whether the point lies on a film of this size.
    ///
    /// ```
    /// use onemark_film::geometry::{Point, Size};
    ///
    /// let size = Size { width: 1935, height: 2400 };
    /// assert!(Point::new(0.0, 2399.9).is_inside(size));
    /// assert!(!Point::new(1935.0, 0.0).is_inside(size));
    /// ```
    pub fn is_inside(self, size: Size) -> bool {
        (0.0..f64::from(size.width)).contains(&self.x) && (0.0..f64::from(size.height)).contains(&self.y)
    }

    /// The distance to `other` in px.
    pub fn distance_px(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// The distance to `other` in mm.
    ///
    /// ```
    /// use onemark_film::{Spacing, geometry::Point};
    ///
    /// let (sella, nasion) = (Point::new(0.0, 0.0), Point::new(30.0, 20.0));
    /// let spacing = Spacing::new(0.1, 0.2, "scanner manual")?;
    /// assert!((sella.distance_mm(nasion, &spacing) - 5.0).abs() < 1e-12);
    /// assert!((sella.distance_px(nasion) - 1300_f64.sqrt()).abs() < 1e-12);
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    pub fn distance_mm(self, other: Self, spacing: &Spacing) -> f64 {
        ((self.x - other.x) * spacing.x()).hypot((self.y - other.y) * spacing.y())
    }
}

/// The size of a film in px.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// The number of pixels.
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

/// As `1935x2400`, width first.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
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

/// A cell of a grid, counted from 0 at the top left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "[usize; 2]", into = "[usize; 2]")]
pub struct Cell {
    /// The row, from the top.
    pub row: usize,
    /// The column, from the left.
    pub column: usize,
}

impl Cell {
    /// The cell at this row and column.
    pub const fn new(row: usize, column: usize) -> Self {
        Self { row, column }
    }

    /// The cell's centre.
    ///
    /// ```
    /// use onemark_film::geometry::{Cell, GridPoint};
    ///
    /// assert_eq!(Cell::new(0, 7).centre(), GridPoint::new(0.5, 7.5));
    /// ```
    pub const fn centre(self) -> GridPoint {
        GridPoint { row: self.row as f64 + 0.5, column: self.column as f64 + 0.5 }
    }

    /// The index of this cell in an array with axes [row, column].
    pub const fn index(self) -> [usize; 2] {
        [self.row, self.column]
    }
}

impl From<[usize; 2]> for Cell {
    fn from([row, column]: [usize; 2]) -> Self {
        Self { row, column }
    }
}

impl From<Cell> for [usize; 2] {
    fn from(cell: Cell) -> Self {
        cell.index()
    }
}

/// A position on a grid, in cells from the film's top-left corner: the centre of the first cell is at 0.5, as for pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct GridPoint {
    /// Rows, downwards.
    pub row: f64,
    /// Columns, to the right.
    pub column: f64,
}

impl GridPoint {
    /// The position at this row and column.
    pub const fn new(row: f64, column: f64) -> Self {
        Self { row, column }
    }
}

impl From<[f64; 2]> for GridPoint {
    fn from([row, column]: [f64; 2]) -> Self {
        Self { row, column }
    }
}

impl From<GridPoint> for [f64; 2] {
    fn from(point: GridPoint) -> Self {
        [point.row, point.column]
    }
}

/// The map between one film's pixels and the cells of a grid laid over it, with one scale per axis.
///
/// A cell stands for its centre: `(q + 0.5) * scale`. A point belongs to the cell that contains it: `trunc(p / scale)`
/// (METHOD.md sec. 1e). So film -> cell -> film moves a point by at most half a cell per axis.
///
/// ```
/// use onemark_film::geometry::{Cell, GridMap, GridSize, Point, Size};
///
/// let map = GridMap::new(Size { width: 1935, height: 2400 }, GridSize::new(384, 384));
/// let cell = map.to_cell(Point::new(835.0, 996.0));
/// assert_eq!(cell, Cell::new(159, 165));
/// assert!(map.to_film(cell).distance_px(Point::new(835.0, 996.0)) < 4.1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridMap {
    /// The film's size.
    pub film: Size,
    /// The grid that covers the film.
    pub grid: GridSize,
}

impl GridMap {
    /// The map for a film of this size under `grid`.
    pub const fn new(film: Size, grid: GridSize) -> Self {
        Self { film, grid }
    }

    /// Film pixels per column: the width of a cell.
    pub fn scale_x(&self) -> f64 {
        f64::from(self.film.width) / self.grid.width as f64
    }

    /// Film pixels per row: the height of a cell.
    pub fn scale_y(&self) -> f64 {
        f64::from(self.film.height) / self.grid.height as f64
    }

    /// The centre of a cell in film px.
    pub fn to_film(&self, cell: Cell) -> Point {
        self.to_film_at(cell.centre())
    }

    /// The position in film px of a position on the grid.
    pub fn to_film_at(&self, at: GridPoint) -> Point {
        Point::new(at.column * self.scale_x(), at.row * self.scale_y())
    }

    /// The position on the grid of a position in film px.
    pub fn to_grid(&self, point: Point) -> GridPoint {
        GridPoint { row: point.y / self.scale_y(), column: point.x / self.scale_x() }
    }

    /// The cell that contains `point`. For a point outside the film, the nearest border cell.
    pub fn to_cell(&self, point: Point) -> Cell {
        Cell {
            row: cell_of(point.y, self.film.height, self.grid.height),
            column: cell_of(point.x, self.film.width, self.grid.width),
        }
    }
}

/// One axis of [`GridMap::to_cell`]. It multiplies before it divides: the quotient of two exact integers is the nearest double, so
/// rounding never moves a point on a cell border to the wrong side.
fn cell_of(position: f64, film: u32, cells: usize) -> usize {
    let cell = position * cells as f64 / f64::from(film);
    // `as` saturates: negative and NaN become 0, infinity the last cell.
    (cell as usize).min(cells.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tolerance in film px for a few roundings of doubles on films of up to 10,000 px.
    const ROUNDING_PX: f64 = 1e-9;

    fn map(width: u32, height: u32, rows: usize, columns: usize) -> GridMap {
        GridMap::new(Size { width, height }, GridSize::new(rows, columns))
    }

    #[test]
    fn method_example() {
        // METHOD.md sec. 1e: (x, y) = (835, 996) on a 1935x2400 film is cell (y, x) = (159, 165) of 384x384.
        assert_eq!(map(1935, 2400, 384, 384).to_cell(Point::new(835.0, 996.0)), Cell::new(159, 165));
    }

    #[test]
    fn points_beyond_the_film_are_clamped() {
        let map = map(100, 50, 5, 10);
        assert_eq!(map.to_cell(Point::new(-3.0, 1e9)), Cell::new(4, 0));
        assert_eq!(map.to_cell(Point::new(100.0, 50.0)), Cell::new(4, 9));
        assert_eq!(map.to_cell(Point::new(f64::NAN, f64::INFINITY)), Cell::new(4, 0));
    }

    #[test]
    fn cells_and_grid_points_are_pairs_in_json() -> serde_json::Result<()> {
        let (cell, point) = (Cell::new(1, 2), GridPoint::new(0.5, 1.25));
        assert_eq!(serde_json::to_string(&(cell, point))?, "[[1,2],[0.5,1.25]]");
        assert_eq!(serde_json::from_str::<(Cell, GridPoint)>("[[1,2],[0.5,1.25]]")?, (cell, point));
        Ok(())
    }

    fn any_map() -> impl Strategy<Value = GridMap> {
        (1u32..10_000, 1u32..10_000, 1usize..1024, 1usize..1024)
            .prop_map(|(w, h, rows, columns)| map(w, h, rows, columns))
    }

    fn any_point() -> impl Strategy<Value = Point> {
        (-1e4..1e4, -1e4..1e4).prop_map(|(x, y)| Point::new(x, y))
    }

    proptest! {
        #[test]
        fn film_to_cell_to_film_is_within_half_a_cell(map in any_map(), fx in 0.0..1.0f64, fy in 0.0..1.0f64) {
            let point = Point::new(fx * f64::from(map.film.width), fy * f64::from(map.film.height));
            let back = map.to_film(map.to_cell(point));
            prop_assert!((back.x - point.x).abs() <= map.scale_x() / 2.0 + ROUNDING_PX);
            prop_assert!((back.y - point.y).abs() <= map.scale_y() / 2.0 + ROUNDING_PX);
        }

        #[test]
        fn cell_to_film_to_cell_is_exact(map in any_map(), fx in 0.0..1.0f64, fy in 0.0..1.0f64) {
            let cell = Cell {
                row: (fy * map.grid.height as f64) as usize,
                column: (fx * map.grid.width as f64) as usize,
            };
            prop_assert_eq!(map.to_cell(map.to_film(cell)), cell);
            let back = map.to_grid(map.to_film(cell));
            prop_assert!((back.row - cell.centre().row).abs() + (back.column - cell.centre().column).abs() < ROUNDING_PX);
        }

        #[test]
        fn both_directions_are_monotone(map in any_map(), a in -0.5..1.5f64, b in -0.5..1.5f64) {
            let (low, high) = if a <= b { (a, b) } else { (b, a) };
            let at = |f: f64| Point::new(f * f64::from(map.film.width), f * f64::from(map.film.height));
            let (low, high) = (map.to_cell(at(low)), map.to_cell(at(high)));
            prop_assert!(low.row <= high.row && low.column <= high.column);
            let (p, q) = (map.to_film(low), map.to_film(high));
            prop_assert!(p.x <= q.x && p.y <= q.y);
        }

        #[test]
        fn distances_are_symmetric_and_scale_with_the_spacing(a in any_point(), b in any_point(), mm in 0.01..1.0f64) {
            let Ok(spacing) = Spacing::new(mm, mm, "a test") else { return Err(TestCaseError::fail("a valid spacing")) };
            prop_assert_eq!(a.distance_mm(b, &spacing), b.distance_mm(a, &spacing));
            prop_assert!((a.distance_mm(b, &spacing) - mm * a.distance_px(b)).abs() < ROUNDING_PX);
        }
    }
}
