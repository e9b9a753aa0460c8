//! What was found on a film, written for others: a table, a picture, a page, files for viewers and archives.
//!
//! Each format is a function from results to bytes that does not touch the disk; [`FORMATS`] lists those that make one file
//! per film. [`json`] and [`csv`] hold all films in one. What is in each, with units and axes: `docs/OUTPUTS.md`.

mod cautions;
pub mod csv;
pub mod dicom_sr;
mod film_results;
pub mod html;
pub mod json;
pub mod mrk_json;
pub mod overlay;
mod picture;

pub use cautions::remark;
pub use film_results::{FORMATS, FilmResults, Format, PROGRAM, ResultsError};
