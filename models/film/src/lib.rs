//! One radiograph: its pixels, its [`Spacing`], warnings about how it was read ([`FilmWarning`]), and the [`geometry`] between a
//! film and a network's input grid. [`visible`] makes text from films and bundles safe to show on a terminal or in a table.
//!
//! ```
//! use onemark_film::geometry::{GridSize, Size};
//! use onemark_film::{Film, Pixels, Spacing};
//!
//! // 12-bit pixels from a viewer's memory, two bytes each, row after row.
//! let bytes = vec![0; 2 * 1935 * 2400];
//! let pixels = Pixels::grey16(&bytes, Size { width: 1935, height: 2400 })?.with_bits(12);
//! let film = Film::from_pixels(pixels)?.with_spacing(Spacing::new(0.1, 0.1, "scanner manual")?);
//!
//! let grid = film.to_grid(GridSize::new(384, 384))?;
//! assert_eq!(grid.dim(), (384, 384));
//! # Ok::<(), onemark_film::FilmError>(())
//! ```
//!
//! # Features
//! No feature is on by default; all are additive. If a build does not read a file's format, the error of [`Film::open`] names the
//! format.
//!
//! | feature | what it adds |
//! |---|---|
//! | `raster` | PNG, JPEG, BMP and TIFF |
//! | `dicom` | DICOM and DICOMDIR |
//! | `schema` | `schemars::JsonSchema` for the types in published JSON |
#![cfg_attr(docsrs, feature(doc_cfg))]

mod alignment;
mod content;
mod dicom;
mod error;
#[cfg(any(feature = "dicom", feature = "raster"))]
mod fault;
mod film;
pub mod geometry;
#[cfg(any(feature = "dicom", feature = "raster"))]
mod jpeg;
mod pixels;
#[cfg(feature = "raster")]
mod raster;
mod read;
mod resize;
mod signature;
mod spacing;
pub mod visible;
mod warning;

pub use alignment::Alignment;
pub use dicom::DicomIdentity;
#[cfg(feature = "dicom")]
pub use dicom::directory_films;
pub use error::{FilmError, PixelFault};
pub use film::{Film, MAX_FILM_PIXELS, MAX_FILM_SIDE};
pub use geometry::Size;
pub use pixels::{GreyWindow, Pixels};
pub use read::{FILM_EXTENSIONS, has_film_extension, without_extension};
pub use signature::holds_dicom;
pub use spacing::{Spacing, SpacingWarning};
pub use warning::FilmWarning;
