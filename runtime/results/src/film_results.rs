//! The input of every file about one film, and the table of file formats.

use std::error::Error;

use chrono::{DateTime, Local};
use onemark_film::Film;
#[cfg(any(feature = "overlay", feature = "html"))]
use onemark_film::geometry::Point;
#[cfg(any(feature = "overlay", feature = "html"))]
use onemark_models::landmarks::StrokeKind;
use onemark_runtime::Detections;

#[cfg(feature = "dicom-sr")]
use crate::dicom_sr;
#[cfg(feature = "html")]
use crate::html;
use crate::mrk_json;
#[cfg(feature = "overlay")]
use crate::overlay;

/// The program's name and version, as results state them.
pub const PROGRAM: &str = concat!("onemark ", env!("CARGO_PKG_VERSION"));

/// Every page for people must state this.
#[cfg(feature = "html")]
pub(crate) const INTENDED_USE: &str = "For research. Not a medical device.";

/// The detections on one film and everything else that a file about it needs.
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
    /// The landmarks and measurements.
    pub detections: &'a Detections,
    /// The film on which they were found.
    pub film: &'a Film,
    /// The film's file, as it was given.
    pub name: &'a str,
    /// The time of the detection.
    pub time: DateTime<Local>,
}

/// A file format with one file per film.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Format {
    /// The format's name, also that of its option on the command line: `--NAME`.
    pub name: &'static str,
    /// The ending of its files' names, without the leading dot.
    pub extension: &'static str,
    /// Makes the bytes of the file.
    pub write: fn(&FilmResults<'_>) -> Result<Vec<u8>, ResultsError>,
    /// What a person should know before opening the file in another program, if anything.
    pub note: fn(&FilmResults<'_>) -> Option<String>,
}

/// The formats that are compiled in.
pub const FORMATS: &[Format] = &[
    #[cfg(feature = "overlay")]
    Format { name: "overlay", extension: "png", write: overlay::write, note: nothing },
    Format { name: "mrk-json", extension: "mrk.json", write: mrk_json::write, note: mrk_json::note },
    // Not ".dcm": in the film's folder, the report would replace a film of the same name.
    #[cfg(feature = "dicom-sr")]
    Format { name: "dicom-sr", extension: "sr.dcm", write: dicom_sr::write, note: nothing },
    #[cfg(feature = "html")]
    Format { name: "report", extension: "html", write: html::write, note: nothing },
];

/// The note of a format that needs none.
#[cfg(any(feature = "overlay", feature = "dicom-sr", feature = "html"))]
fn nothing(_: &FilmResults<'_>) -> Option<String> {
    None
}

/// Why results can't be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// The format needs millimetres, and the film has no spacing.
    #[error("{film}: {format} is in mm, and the film states no spacing")]
    #[non_exhaustive]
    NoSpacing {
        /// The film's name.
        film: String,
        /// The format's name.
        format: &'static str,
    },
    /// A structured report must refer to its DICOM image, and the film does not identify one.
    #[error("{film}: a DICOM report must refer to a DICOM image, and the film {lacks}; give the film as DICOM")]
    #[non_exhaustive]
    NoDicom {
        /// The film's name.
        film: String,
        /// What the film lacks, with its verb: "is not DICOM", "has no StudyInstanceUID".
        lacks: String,
    },
    /// The writer of the format failed.
    #[error("{film}: {format} can't be written")]
    #[non_exhaustive]
    Write {
        /// The film's name.
        film: String,
        /// The format's name.
        format: &'static str,
        /// The writer's error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The text is not JSON, or a field is missing or of another type.
    #[error("the text is not a JSON document of detections")]
    NotADocument(#[source] serde_json::Error),
    /// The document is of another version.
    #[error("the document is `{found}`; this version reads `{expected}`")]
    #[non_exhaustive]
    OtherSchema {
        /// The version that the document states.
        found: String,
        /// The version that this crate reads.
        expected: &'static str,
    },
}

impl FilmResults<'_> {
    /// The ends of the lines from which something is measured, in film px, each line once.
    #[cfg(any(feature = "overlay", feature = "html"))]
    pub(crate) fn planes(&self) -> Vec<[Point; 2]> {
        let strokes = self.detections.measurements().iter().flat_map(|measurement| &measurement.drawing);
        let lines = strokes.filter(|stroke| stroke.kind == StrokeKind::Line);
        let mut planes = Vec::new();
        for ends in lines.filter_map(|line| Some([*line.points.first()?, *line.points.last()?])) {
            if !planes.contains(&ends) {
                planes.push(ends);
            }
        }
        planes
    }

    pub(crate) fn error(&self, format: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> ResultsError {
        ResultsError::Write { film: self.name.to_owned(), format, source: source.into() }
    }
}
