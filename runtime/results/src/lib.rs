//! Writes the landmarks of a film for others to read: a table, a picture, a page, files for viewers and archives.
//!
//! Each format is a function from results to bytes and does not touch the disk. [`FORMATS`] lists the formats with one file
//! per film; [`json`] and `csv` hold all films in one file. `docs/OUTPUTS.md` describes them, with units and axes.
//!
//! | feature | adds |
//! |---|---|
//! | none | [`json`], both ways; [`mrk_json`], 3D Slicer's markups |
//! | `csv` | a table with a row for each landmark |
//! | `overlay` | a picture of the film with its landmarks |
//! | `html` | a page for reading and printing |
//! | `dicom-sr` | a DICOM structured report |
//! | `schema` | the JSON Schema of all documents |
//!
//! ```
//! use onemark_results::json::{Document, FilmReport};
//!
//! // What `onemark detect --json` wrote, perhaps years ago.
//! let document = Document::read(&std::fs::read_to_string("tests/films.json")?)?;
//! for report in &document.films {
//!     match report {
//!         FilmReport::Done { file, detections, .. } => println!("{file}: {} landmarks", detections.landmarks().len()),
//!         FilmReport::Failed { file, error, .. } => println!("{file}: {error}"),
//!         _ => println!("something that a later version reports"),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod cautions;
#[cfg(feature = "csv")]
pub mod csv;
#[cfg(feature = "dicom-sr")]
pub mod dicom_sr;
mod film_results;
#[cfg(feature = "html")]
pub mod html;
pub mod json;
pub mod mrk_json;
#[cfg(feature = "overlay")]
pub mod overlay;
#[cfg(feature = "overlay")]
mod picture;
#[cfg(any(feature = "html", feature = "overlay"))]
mod png;

pub use cautions::{percent, remark, status};
pub use film_results::{FORMATS, FilmResults, Format, PROGRAM, ResultsError};
#[cfg(feature = "overlay")]
#[doc(hidden)]
pub use picture::{LETTER, letters};
