//! One radiograph: its pixels, its [`Spacing`], what a person should know about how it was read, and the [`geometry`] between a
//! film and the grid that a network sees. Reads DICOM, PNG, JPEG, BMP and TIFF by content.

mod dicom;
mod film;
pub mod geometry;
mod pixels;
mod raster;

pub use dicom::{DicomIdentity, directory_films, holds_dicom};
pub use film::{FILM_EXTENSIONS, Film, FilmError, MAX_FILM_PIXELS, Spacing};
pub use pixels::{Pixels, Window};
