//! Resizes a film to a network's input grid: bilinear, as Pillow does.

use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use ndarray::Array2;

use crate::geometry::GridSize;
use crate::{Film, FilmError, MAX_FILM_PIXELS};

impl Film {
    /// The film resized to `grid`, each axis by its own factor, as 8-bit grey: row after row, one byte per cell.
    ///
    /// Bilinear as Pillow does it (a triangle filter that widens with the reduction, fixed-point, rounded to 8 bit),
    /// because the published methods were trained on films that Pillow resized (METHOD.md sec. 1e).
    ///
    /// ```
    /// use onemark_film::Film;
    /// use onemark_film::geometry::{GridSize, Size};
    ///
    /// let film = Film::from_grey(Size { width: 4, height: 1 }, vec![10, 20, 200, 220])?;
    /// assert_eq!(film.resized(GridSize::new(1, 4))?, [10, 20, 200, 220]);
    /// assert_eq!(film.resized(GridSize::new(2, 1))?.len(), 2);
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    ///
    /// # Errors
    /// [`FilmError::Grid`] for a grid without cells, and for a grid so large that the film, resized along one axis or both, would
    /// have more than [`MAX_FILM_PIXELS`].
    pub fn resized(&self, grid: GridSize) -> Result<Vec<u8>, FilmError> {
        let grid_error = |reason: String| FilmError::Grid { grid, reason };
        let cells = grid.height.saturating_mul(grid.width);
        let half_resized = grid.width.saturating_mul(self.height() as usize);
        if cells == 0 || cells.max(half_resized) as u64 > MAX_FILM_PIXELS {
            return Err(grid_error(format!(
                "sides must be at least 1, and a film is never resized to more than {MAX_FILM_PIXELS} px"
            )));
        }
        // Both sides fit into u32, because neither is larger than the number of cells.
        let (width, height) = (grid.width as u32, grid.height as u32);
        // As in Pillow, each row is resized and rounded to 8 bit first, then each column. The 8-bit path of fast_image_resize has
        // less precise weights and differs by one level in a tenth of the cells. Its f32 path differs in two cells of a thousand:
        // those whose value lies almost exactly between two levels.
        let pixels = self.grey().iter().map(|grey| F32::new(f32::from(*grey))).collect();
        let film = TypedImage::from_pixels(self.width(), self.height(), pixels);
        let mut film = film.map_err(|e| grid_error(e.to_string()))?;
        let bilinear = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        for (width, height) in [(width, self.height()), (width, height)] {
            let mut target = TypedImage::new(width, height);
            Resizer::new().resize_typed(&film, &mut target, &bilinear).map_err(|e| grid_error(e.to_string()))?;
            target.pixels_mut().iter_mut().for_each(|p| p.0 = (p.0 + 0.5).floor());
            film = target;
        }
        Ok(film.pixels().iter().map(|p| p.0 as u8).collect())
    }

    /// The film as a network sees it: [`Film::resized`], as numbers in [0, 1], axes [row, column].
    ///
    /// ```
    /// use onemark_film::Film;
    /// use onemark_film::geometry::{GridSize, Size};
    ///
    /// let film = Film::from_grey(Size { width: 100, height: 50 }, vec![255; 5000])?;
    /// let grid = film.to_grid(GridSize::new(8, 8))?;
    /// assert_eq!((grid.dim(), grid[(7, 0)]), ((8, 8), 1.0));
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Film::resized`].
    pub fn to_grid(&self, grid: GridSize) -> Result<Array2<f32>, FilmError> {
        let resized = self.resized(grid)?;
        let at = |(row, column)| f32::from(resized[row * grid.width + column]) / 255.0;
        Ok(Array2::from_shape_fn((grid.height, grid.width), at))
    }
}
