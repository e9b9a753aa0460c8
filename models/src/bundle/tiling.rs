//! Windows: the small parts of a film on which a head's fine part is run, and the numbers that it needs to give the same there
//! as on the whole field.
//!
//! The grid is cut into square tiles. To score one, the fine part sees a window of each level that it touches, with what its
//! convolutions reach for beyond the tile. Where such a window lies is data, made by the exporter and kept in the bundle; which
//! windows are worth running is the runtime's matter.

use ndarray::{Array2, Array4, ArrayView4, s};
use serde::{Deserialize, Serialize};

use crate::graph::{CoordinateMode, interpolation};
use crate::invalid::Invalid;

/// The most levels that a tiling has: the grid and the network's five.
pub const MAX_LEVELS: usize = 6;

/// Tiles of a grid, and the window of each tile on each level. Held against its rules when it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Tiling {
    /// Rows and columns of the grid.
    pub size: usize,
    /// Rows and columns of a tile. The last ones may reach beyond the grid.
    pub tile: usize,
    /// From level 0, the grid itself, downwards: at most [`MAX_LEVELS`]. Rows and columns are alike.
    pub levels: Vec<LevelWindows>,
}

/// A tiling as a manifest gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    size: usize,
    tile: usize,
    levels: Vec<LevelWindows>,
}

impl TryFrom<Unchecked> for Tiling {
    type Error = Invalid;

    fn try_from(Unchecked { size, tile, levels }: Unchecked) -> Result<Self, Invalid> {
        let tiling = Self { size, tile, levels };
        match tiling.validate() {
            Ok(()) => Ok(tiling),
            Err(invalid) => Err(invalid.within("tiling")),
        }
    }
}

/// The windows of one level: cells of `size / 2^level`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelWindows {
    /// Rows and columns of a window: the same for all tiles.
    pub cells: usize,
    /// The first row (or column) of each row (or column) of tiles; beyond the film's edge where a tile lies at it.
    pub starts: Vec<i64>,
}

/// How the decoder and the similarity maps are up-sampled (METHOD.md sec. 1): maps go to level 0, and nothing else does.
pub fn coordinate_mode(to: usize) -> CoordinateMode {
    if to == 0 { CoordinateMode::HalfPixel } else { CoordinateMode::Aligned }
}

impl Tiling {
    /// Tiles along an axis.
    pub fn count(&self) -> usize {
        self.size.div_ceil(self.tile.max(1))
    }

    /// The cells of the grid that a tile covers along an axis.
    pub fn covers(&self, tile: usize) -> std::ops::Range<usize> {
        tile * self.tile..((tile + 1) * self.tile).min(self.size)
    }

    /// Checks that there are one to [`MAX_LEVELS`] levels, and that each has a window for each tile, near the grid.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.tile == 0 {
            return Err(Invalid::new("tile", "must be at least 1"));
        }
        if !(1..=MAX_LEVELS).contains(&self.levels.len()) {
            return Err(Invalid::new("levels", format!("there must be 1 to {MAX_LEVELS}, not {}", self.levels.len())));
        }
        let limit = self.size.saturating_mul(2);
        let fits = |windows: &LevelWindows| {
            (1..=limit).contains(&windows.cells)
                && windows.starts.len() == self.count()
                && windows.starts.iter().all(|start| start.unsigned_abs() <= limit as u64)
        };
        match self.levels.iter().position(|windows| !fits(windows)) {
            Some(level) => Err(Invalid::new(
                format!("levels[{level}]"),
                "must have a window for each tile, on the grid or near it",
            )),
            None => Ok(()),
        }
    }

    /// The slice of the whole field's interpolation that makes the window of level `to` of that of level `from`, for one row (or
    /// column) of tiles: `[to's cells, from's cells]`. Rows and columns of cells
    /// outside the film are zero.
    pub fn matrix(&self, from: usize, to: usize, tile: usize) -> Array2<f32> {
        let whole = interpolation(self.size >> from, 1 << (from - to), coordinate_mode(to));
        let [to, from] = [to, from].map(|level| &self.levels[level]);
        Array2::from_shape_fn((to.cells, from.cells), |(row, column)| {
            let place = |windows: &LevelWindows, cell: usize| usize::try_from(windows.starts[tile] + cell as i64).ok();
            let place = place(to, row).zip(place(from, column));
            place.and_then(|place| whole.get(place)).copied().unwrap_or(0.0)
        })
    }

    /// Which of a level's cells lie on the film, along an axis: 1 or 0.
    pub fn inside(&self, level: usize, tile: usize) -> Vec<f32> {
        let windows = &self.levels[level];
        let film = 0..(self.size >> level) as i64;
        let cells = (0..windows.cells as i64).map(|cell| windows.starts[tile] + cell);
        cells.map(|cell| f32::from(u8::from(film.contains(&cell)))).collect()
    }

    /// The window of a tensor of a level for the tile (row, column), zero beyond the film.
    pub fn cut(&self, level: usize, (row, column): (usize, usize), tensor: &ArrayView4<'_, f32>) -> Array4<f32> {
        let windows = &self.levels[level];
        let (batch, channels, rows, columns) = tensor.dim();
        let mut window = Array4::zeros((batch, channels, windows.cells, windows.cells));
        let overlap = |tile: usize, side: usize| {
            let start = windows.starts[tile];
            let first = start.clamp(0, side as i64);
            let last = (start + windows.cells as i64).clamp(first, side as i64);
            ((first - start) as usize..(last - start) as usize, first as usize..last as usize)
        };
        let ((to_rows, from_rows), (to_columns, from_columns)) = (overlap(row, rows), overlap(column, columns));
        window.slice_mut(s![.., .., to_rows, to_columns]).assign(&tensor.slice(s![.., .., from_rows, from_columns]));
        window
    }
}
