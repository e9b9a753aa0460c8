//! Tiles and windows: the small parts of a film on which the fine part of a head runs, and the matrices and masks with which it
//! computes the same there as on the whole field.
//!
//! The grid is divided into square tiles. To score a tile, the fine part reads a window of each level: the tile and the cells around
//! it that the convolutions reach. The positions of windows are data, which the exporter computes and the bundle contains. The
//! runtime decides which windows to run.

use ndarray::{Array2, Array4, ArrayView4, s};
use serde::{Deserialize, Serialize};

use crate::graph::{CoordinateMode, interpolation};
use crate::invalid::Invalid;

/// The most levels that a tiling has: the grid and the network's five.
pub const MAX_LEVELS: usize = 6;

/// The most tiles along an axis.
pub const MOST_TILES: usize = 128;
/// The most elements of all matrices of a tiling together.
pub const MOST_MATRIX_ELEMENTS: usize = 1 << 25;

/// Tiles of a grid, and the window of each tile on each level. Its rules are checked when it is read.
///
/// ```
/// use ndarray::Array4;
/// use onemark_models::bundle::tiling::{LevelWindows, Tiling};
///
/// // 2 x 2 tiles of 4 x 4 cells; each window also has the cells around its tile.
/// let tiling = Tiling { size: 8, tile: 4, levels: vec![LevelWindows { cells: 6, starts: vec![-1, 3] }] };
/// tiling.validate()?;
/// assert_eq!((tiling.count(), tiling.covers(1)), (2, 4..8));
/// assert_eq!(tiling.inside(0, 0), [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]); // the first cell lies outside the film
/// let window = tiling.cut(0, (0, 0), &Array4::ones((1, 1, 8, 8)).view());
/// assert_eq!((window.dim(), window.sum()), ((1, 1, 6, 6), 25.0));
/// # Ok::<(), onemark_models::invalid::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Tiling {
    /// Rows and columns of the grid.
    pub size: usize,
    /// Rows and columns of a tile. The last tiles may extend beyond the grid.
    pub tile: usize,
    /// The windows of level 0 (the grid), level 1 and so on: at most [`MAX_LEVELS`] levels. They are the same for rows and columns.
    pub levels: Vec<LevelWindows>,
}

/// A tiling as it is written in a manifest, before its rules are checked.
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

/// The windows of one level, which has `size / 2^level` rows and columns of cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelWindows {
    /// Rows and columns of a window: the same for all tiles.
    pub cells: usize,
    /// The first cell of the window for each row (or column) of tiles. It is negative if the window begins outside the film.
    pub starts: Vec<i64>,
}

/// The coordinate mode of an up-sampling to level `to` (METHOD.md sec. 1): similarity maps are up-sampled to level 0, the decoder's
/// tensors to other levels.
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
        if self.count() > MOST_TILES {
            let why = format!("there are {} along an axis; at most {MOST_TILES} are read", self.count());
            return Err(Invalid::new("tile", why));
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
            None if self.matrix_elements() > MOST_MATRIX_ELEMENTS => {
                Err(Invalid::new("levels", "the windows are so large that their matrices do not fit into memory"))
            }
            None => Ok(()),
        }
    }

    /// The number of elements of the matrices between all levels, for all tiles along an axis.
    fn matrix_elements(&self) -> usize {
        let cells = |level: usize| self.levels[level].cells;
        let pairs = (0..self.levels.len()).flat_map(|to| (to + 1..self.levels.len()).map(move |from| (from, to)));
        let pairs = pairs.map(|(from, to)| cells(from).saturating_mul(cells(to)));
        pairs.fold(0, usize::saturating_add).saturating_mul(self.count())
    }

    /// The matrix that interpolates the window of level `to` from the window of level `from`, for one row (or column) of tiles:
    /// `[to's cells, from's cells]`. It is a slice of the matrix for the whole field. Rows and columns of cells outside the film are
    /// zero.
    pub fn matrix(&self, from: usize, to: usize, tile: usize) -> Array2<f32> {
        self.slice(&self.whole_matrix(from, to), (from, to), tile)
    }

    /// [`Tiling::matrix`] for each row (or column) of tiles.
    pub fn matrices(&self, from: usize, to: usize) -> impl Iterator<Item = Array2<f32>> {
        let whole = self.whole_matrix(from, to);
        (0..self.count()).map(move |tile| self.slice(&whole, (from, to), tile))
    }

    fn whole_matrix(&self, from: usize, to: usize) -> Array2<f32> {
        interpolation(self.size >> from, 1 << (from - to), coordinate_mode(to))
    }

    fn slice(&self, whole: &Array2<f32>, (from, to): (usize, usize), tile: usize) -> Array2<f32> {
        let [to, from] = [to, from].map(|level| &self.levels[level]);
        Array2::from_shape_fn((to.cells, from.cells), |(row, column)| {
            let place = |windows: &LevelWindows, cell: usize| usize::try_from(windows.starts[tile] + cell as i64).ok();
            let place = place(to, row).zip(place(from, column));
            place.and_then(|place| whole.get(place)).copied().unwrap_or(0.0)
        })
    }

    /// 1 for each cell of a window that lies on the film, 0 for others, along an axis.
    pub fn inside(&self, level: usize, tile: usize) -> Vec<f32> {
        let windows = &self.levels[level];
        let film = 0..(self.size >> level) as i64;
        let cells = (0..windows.cells as i64).map(|cell| windows.starts[tile] + cell);
        cells.map(|cell| f32::from(u8::from(film.contains(&cell)))).collect()
    }

    /// The window of a level's tensor for the tile (row, column); zero outside the film.
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
