//! Films: reading a radiograph from a file and laying it under a grid.
//!
//! Here live the film itself, what is refused, and the resize; `raster` reads PNG, JPEG, BMP and TIFF, `dicom` DICOM.
//! Coordinates live in [`crate::geometry`].

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::GrayImage;
use ndarray::Array2;
use schemars::JsonSchema;
use serde::Serialize;

use crate::geometry::GridSize;
use crate::{DicomIdentity, dicom, raster};

/// The most pixels a film may have; the largest detectors in use deliver about a quarter of this.
pub const MAX_FILM_PIXELS: u64 = 100_000_000;

/// The most bytes a film's file may have, and the most its decoder may allocate: [`MAX_FILM_PIXELS`] of 16-bit RGBA.
pub(crate) const MAX_FILM_BYTES: u64 = 8 * MAX_FILM_PIXELS;

/// File name extensions (lower case) under which a folder is searched for films. [`Film::open`] itself goes by content.
pub const FILM_EXTENSIONS: [&str; 8] = ["bmp", "dcm", "dicom", "jpeg", "jpg", "png", "tif", "tiff"];

/// Why a film could not be read or resized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilmError {
    /// The operating system would not give us the file.
    #[error("cannot read film {path}: {source}")]
    Read {
        /// The film's file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is none of the formats we read.
    #[error("{path} is not a film Onemark can read: it looks like {looks_like}; {advice}")]
    WrongType {
        /// The film's file.
        path: PathBuf,
        /// What the content looks like.
        looks_like: &'static str,
        /// What to do about it.
        advice: &'static str,
    },
    /// The file ends too early or its content contradicts its header.
    #[error("film {path} is damaged or cut short ({reason}); copy or export it again from its source")]
    Damaged {
        /// The film's file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// The file is sound, but what it holds is not read as a film.
    #[error("{path} is not read as a film: {what}; {advice}")]
    Unsupported {
        /// The film's file.
        path: PathBuf,
        /// What it holds.
        what: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The film has more pixels than [`MAX_FILM_PIXELS`], or its file more bytes than such a film can need.
    #[error("film {path} is too large: {found} where at most {limit} are read; export it at a lower resolution")]
    TooLarge {
        /// The film's file.
        path: PathBuf,
        /// What the file has, with its unit.
        found: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// The film has no pixels.
    #[error("film {path} is empty ({width}x{height} px); export it again from its source")]
    ZeroSize {
        /// The film's file.
        path: PathBuf,
        /// Width in px.
        width: u32,
        /// Height in px.
        height: u32,
    },
    /// The sizes of pixels in memory contradict each other, or a value its bits.
    #[error("these pixels are no film: {reason}; check the description that goes with them")]
    Pixels {
        /// What is wrong.
        reason: String,
    },
    /// The grid has no cells or too many (see [`Film::resized`]).
    #[error("cannot resize a film to {height}x{width} cells ({reason}); check the input size of the recipe or bundle")]
    Grid {
        /// Rows asked for.
        height: usize,
        /// Columns asked for.
        width: usize,
        /// What is wrong with them.
        reason: String,
    },
}

/// One radiograph: 8-bit grey pixels, at least one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Film {
    pub(crate) grey: GrayImage,
    pub(crate) spacing: Option<Spacing>,
    pub(crate) warnings: Vec<String>,
    /// So many of them, the first, are about the spacing.
    pub(crate) about_spacing: usize,
    pub(crate) dicom: Option<DicomIdentity>,
}

/// How large a pixel is, and who says so.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Spacing {
    /// mm per px, x then y: both positive.
    pub mm_per_px: [f64; 2],
    /// Where that was stated.
    pub source: String,
}

/// Reads `MM` or `X,Y`, as `--spacing` takes it.
impl FromStr for Spacing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse().ok().filter(|mm: &f64| mm.is_finite() && *mm > 0.0);
        let (x, y) = text.split_once(',').unwrap_or((text, text));
        match (number(x), number(y)) {
            (Some(x), Some(y)) => Ok(Self { mm_per_px: [x, y], source: "--spacing".into() }),
            _ => Err("give mm per pixel, one positive number or two (x,y)".into()),
        }
    }
}

impl Film {
    /// Reads a DICOM, PNG, JPEG, BMP or TIFF, decided by the file's content, never by its name.
    ///
    /// 16-bit films are scaled to 8 bit; coloured pixels become grey (see [`Film::from_bytes`]). What is taken from DICOM is
    /// in docs/FORMATS.md.
    ///
    /// # Errors
    /// See [`FilmError`]. Sizes are checked from the header, before pixels are decoded.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FilmError> {
        let path = path.as_ref();
        let read_error = |source| FilmError::Read { path: path.to_owned(), source };
        let file = fs::metadata(path).map_err(read_error)?;
        if file.len() > MAX_FILM_BYTES {
            return Err(FilmError::TooLarge {
                path: path.to_owned(),
                found: format!("a file of {} bytes", file.len()),
                limit: format!("{MAX_FILM_BYTES} bytes"),
            });
        }
        Self::from_bytes(&fs::read(path).map_err(read_error)?, path)
    }

    /// Reads a film from the bytes of a file; `name` only appears in messages.
    ///
    /// DICOM is shown as its window or lookup table says. Elsewhere, colour becomes grey by ITU-R 601 (JPEG's own luma, and Pillow's "L"); an alpha channel is dropped.
    ///
    /// # Errors
    /// As [`Film::open`].
    pub fn from_bytes(bytes: &[u8], name: &Path) -> Result<Self, FilmError> {
        if dicom::is_dicom(bytes) { dicom::read(bytes, name) } else { Self::from_grey(raster::read(bytes, name)?) }
    }

    /// A film from pixels already in memory.
    ///
    /// # Errors
    /// [`FilmError::ZeroSize`] where there are none.
    pub fn from_grey(grey: GrayImage) -> Result<Self, FilmError> {
        let (width, height) = grey.dimensions();
        if width == 0 || height == 0 {
            return Err(FilmError::ZeroSize { path: PathBuf::from("(in memory)"), width, height });
        }
        Ok(Self { grey, spacing: None, warnings: Vec::new(), about_spacing: 0, dicom: None })
    }

    /// The same film, its pixels as large as `spacing` says, whatever its file says.
    #[must_use]
    pub fn with_spacing(mut self, spacing: Spacing) -> Self {
        self.spacing = Some(spacing);
        self.warnings.drain(..std::mem::take(&mut self.about_spacing));
        self
    }

    /// How large its pixels are, where the file or somebody states it.
    pub fn spacing(&self) -> Option<&Spacing> {
        self.spacing.as_ref()
    }

    /// The same film, that of a DICOM image.
    #[must_use]
    pub fn with_dicom(mut self, identity: DicomIdentity) -> Self {
        self.dicom = Some(identity);
        self
    }

    /// Which DICOM image it is, where it is one.
    pub fn dicom(&self) -> Option<&DicomIdentity> {
        self.dicom.as_ref()
    }

    /// What a person should know about how the file was read, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Width in px.
    pub fn width(&self) -> u32 {
        self.grey.width()
    }

    /// Height in px.
    pub fn height(&self) -> u32 {
        self.grey.height()
    }

    /// The pixels.
    pub fn grey(&self) -> &GrayImage {
        &self.grey
    }

    /// The film resized to `grid`, each axis by its own factor, as 8-bit grey.
    ///
    /// Bilinear as Pillow does it (a triangle filter that widens with the reduction, fixed-point, rounded to 8 bit),
    /// because the published methods were trained on what Pillow makes (METHOD.md sec. 1e).
    ///
    /// # Errors
    /// [`FilmError::Grid`] for a grid without cells, or one so large that the film, resized along one axis or both, would
    /// have more than [`MAX_FILM_PIXELS`].
    pub fn resized(&self, grid: GridSize) -> Result<GrayImage, FilmError> {
        let grid_error = |reason: String| FilmError::Grid { height: grid.height, width: grid.width, reason };
        let cells = grid.height.saturating_mul(grid.width);
        let half_resized = grid.width.saturating_mul(self.height() as usize);
        if cells == 0 || cells.max(half_resized) as u64 > MAX_FILM_PIXELS {
            return Err(grid_error(format!(
                "sides must be at least 1, and a film is never resized to more than {MAX_FILM_PIXELS} px"
            )));
        }
        // Both fit into u32: neither side is larger than the number of cells.
        let (width, height) = (grid.width as u32, grid.height as u32);
        // As Pillow does, each row is resized and rounded to 8 bit first, then each column. fast_image_resize's own 8-bit
        // path has shorter weights and differs by a level in a tenth of the cells; its f32 path only where a value lies
        // all but exactly between two levels, in two cells of a thousand.
        let pixels = self.grey.iter().map(|grey| F32::new(f32::from(*grey))).collect();
        let film = TypedImage::from_pixels(self.width(), self.height(), pixels);
        let mut film = film.map_err(|e| grid_error(e.to_string()))?;
        let bilinear = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        for (width, height) in [(width, self.height()), (width, height)] {
            let mut target = TypedImage::new(width, height);
            Resizer::new().resize_typed(&film, &mut target, &bilinear).map_err(|e| grid_error(e.to_string()))?;
            target.pixels_mut().iter_mut().for_each(|p| p.0 = (p.0 + 0.5).floor());
            film = target;
        }
        let grey = film.pixels().iter().map(|p| p.0 as u8).collect();
        GrayImage::from_raw(width, height, grey)
            .ok_or_else(|| grid_error("the resized film has the wrong size".to_owned()))
    }

    /// The film as a network sees it: [`Film::resized`], as numbers in [0, 1], axes [row, column].
    ///
    /// # Errors
    /// As [`Film::resized`].
    pub fn to_grid(&self, grid: GridSize) -> Result<Array2<f32>, FilmError> {
        let resized = self.resized(grid)?;
        Ok(Array2::from_shape_fn((grid.height, grid.width), |(y, x)| {
            f32::from(resized.get_pixel(x as u32, y as u32).0[0]) / 255.0
        }))
    }
}

/// Refuses a film by its size, before its pixels are decoded.
pub(crate) fn check_size(width: u32, height: u32, name: &Path) -> Result<(), FilmError> {
    let path = name.to_owned();
    match u64::from(width) * u64::from(height) {
        0 => Err(FilmError::ZeroSize { path, width, height }),
        pixels if pixels > MAX_FILM_PIXELS => Err(FilmError::TooLarge {
            path,
            found: format!("{width}x{height} px"),
            limit: format!("{MAX_FILM_PIXELS} px in all"),
        }),
        _ => Ok(()),
    }
}
