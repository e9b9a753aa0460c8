//! What a file about one film needs, and the kinds of file that there are.

use std::error::Error;

use chrono::{DateTime, Local};
use onemark_film::Film;
use onemark_runtime::Detections;

#[cfg(feature = "dicom-sr")]
use crate::dicom_sr;
#[cfg(feature = "html")]
use crate::html;
use crate::mrk_json;
#[cfg(feature = "overlay")]
use crate::overlay;

/// The program as results name it.
pub const PROGRAM: &str = concat!("onemark ", env!("CARGO_PKG_VERSION"));

/// What every page that people read must say.
#[cfg(feature = "html")]
pub(crate) const INTENDED_USE: &str = "For research. Not a medical device.";

/// What was found on one film, and what else a file about it needs.
///
/// ```
/// use onemark_film::Film;
/// use onemark_results::{FORMATS, FilmResults, json::{Document, FilmReport}};
///
/// let document = Document::read(&std::fs::read_to_string("tests/films.json")?)?;
/// let [FilmReport::Done { file, detections, .. }, ..] = document.films.as_slice() else { return Err("no film".into()) };
/// let film = Film::open("tests/film.png")?;
/// let results = FilmResults { detections, film: &film, name: file, time: chrono::Local::now() };
/// for format in FORMATS.iter().filter(|format| format.name != "dicom-sr") {
///     let bytes = (format.write)(&results)?;
///     println!("{file}.{}: {} bytes", format.extension, bytes.len());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FilmResults<'a> {
    /// What was found.
    pub detections: &'a Detections,
    /// The film it was found on.
    pub film: &'a Film,
    /// What the film is called: its file.
    pub name: &'a str,
    /// When it was found.
    pub time: DateTime<Local>,
}

/// A kind of file that can be made of each film's results.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Format {
    /// What its option is called: `--NAME`.
    pub name: &'static str,
    /// What its files' names end with, without the dot before it.
    pub extension: &'static str,
    /// Makes the file's bytes.
    pub write: fn(&FilmResults<'_>) -> Result<Vec<u8>, ResultsError>,
}

/// The kinds of file that are compiled in.
pub const FORMATS: &[Format] = &[
    #[cfg(feature = "overlay")]
    Format { name: "overlay", extension: "png", write: overlay::write },
    Format { name: "mrk-json", extension: "mrk.json", write: mrk_json::write },
    // Not ".dcm" alone: beside a film of the same name, it would replace the film.
    #[cfg(feature = "dicom-sr")]
    Format { name: "dicom-sr", extension: "sr.dcm", write: dicom_sr::write },
    #[cfg(feature = "html")]
    Format { name: "report", extension: "html", write: html::write },
];

/// Why results can't be written in a format, or not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// The format has mm only, and there are none.
    #[error("{film}: {format} is in mm, and the film states no spacing")]
    #[non_exhaustive]
    NoSpacing {
        /// The film's name.
        film: String,
        /// The format's name.
        format: &'static str,
    },
    /// A structured report must name the image that it is about.
    #[error(
        "{film}: a DICOM report must name the DICOM image that it is about, and the film {lacks}; give the film as DICOM"
    )]
    #[non_exhaustive]
    NoDicom {
        /// The film's name.
        film: String,
        /// What is missing.
        lacks: String,
    },
    /// The bytes can't be made; nothing about the film explains it.
    #[error("{film}: {format} can't be written")]
    #[non_exhaustive]
    Write {
        /// The film's name.
        film: String,
        /// The format's name.
        format: &'static str,
        /// What the writer said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The text is not JSON, or a field is missing or of another type.
    #[error("the text is not a JSON document of detections")]
    NotADocument(#[source] serde_json::Error),
    /// The document is of another version.
    #[error("the document is `{found}`; this version reads `{expected}`")]
    #[non_exhaustive]
    OtherSchema {
        /// What the document says.
        found: String,
        /// What is read.
        expected: &'static str,
    },
}

impl FilmResults<'_> {
    pub(crate) fn error(&self, format: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> ResultsError {
        ResultsError::Write { film: self.name.to_owned(), format, source: source.into() }
    }
}
