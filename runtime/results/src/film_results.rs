//! What a file about one film needs, and the kinds of file that there are.

use chrono::{DateTime, Local};
use onemark_film::Film;

use onemark_runtime::Detections;

use crate::{dicom_sr, html, mrk_json, overlay};

/// The program as results name it.
pub const PROGRAM: &str = concat!("onemark ", env!("CARGO_PKG_VERSION"));

/// What every page that people read must say.
pub(crate) const INTENDED_USE: &str = "For research. Not a medical device.";

/// What was found on one film, and all that a file about it needs besides.
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
pub struct Format {
    /// What its option is called: `--NAME`.
    pub name: &'static str,
    /// What its files' names end with, without the dot before it.
    pub extension: &'static str,
    /// Makes the file's bytes.
    pub write: fn(&FilmResults<'_>) -> Result<Vec<u8>, ResultsError>,
}

/// The kinds of file that there are.
pub const FORMATS: [Format; 4] = [
    Format { name: "overlay", extension: "png", write: overlay::write },
    Format { name: "mrk-json", extension: "mrk.json", write: mrk_json::write },
    // Not ".dcm" alone: beside a film of the same name, it would replace the film.
    Format { name: "dicom-sr", extension: "sr.dcm", write: dicom_sr::write },
    Format { name: "report", extension: "html", write: html::write },
];

/// Why results can't be written in a format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// The format has mm only, and there are none.
    #[error("{film}: {format} is in mm, and nobody stated how large the film's pixels are; give --spacing")]
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
    NoDicom {
        /// The film's name.
        film: String,
        /// What is missing.
        lacks: String,
    },
    /// The bytes can't be made; nothing about the film explains it.
    #[error("{film}: {format} can't be written: {reason}")]
    Write {
        /// The film's name.
        film: String,
        /// The format's name.
        format: &'static str,
        /// What the writer said.
        reason: String,
    },
}

impl FilmResults<'_> {
    pub(crate) fn error(&self, format: &'static str, reason: impl ToString) -> ResultsError {
        ResultsError::Write { film: self.name.to_owned(), format, reason: reason.to_string() }
    }
}
