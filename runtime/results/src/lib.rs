//! What was found on a film, written down for others: a table, a picture, a page, files for viewers and archives.
//!
//! Each format is a function from results to bytes, without a look at the disk; [`FORMATS`] lists those that make one file
//! per film. [`json`] and [`csv`] hold all films in one. What is in each, with units and axes: `docs/OUTPUTS.md`.

pub mod csv;
pub mod dicom_sr;
pub mod html;
pub mod json;
pub mod mrk_json;
pub mod overlay;
mod picture;

use chrono::{DateTime, Local};
use onemark_models::film::Film;

use crate::{Detection, Detections, Status};

/// The program as results name it.
pub const PROGRAM: &str = concat!("onemark ", env!("CARGO_PKG_VERSION"));

/// What every page that people read must say.
const INTENDED_USE: &str = "For research. Not a medical device.";

/// Beyond so many standard deviations from where the other landmarks expect it, somebody should look at a landmark.
const SURPRISING: f64 = 3.0;

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
    fn error(&self, format: &'static str, reason: impl ToString) -> ResultsError {
        ResultsError::Write { film: self.name.to_owned(), format, reason: reason.to_string() }
    }

    /// What must be known before any of the points is believed, in sentences, the gravest first.
    pub fn cautions(&self) -> Vec<String> {
        let Detections { unusual, landmarks, spacing, calibration, .. } = self.detections;
        let mut cautions = Vec::new();
        if *unusual == Some(true) {
            cautions.push("The film looks unlike those that the bundle was calibrated on: check every point.".into());
        }
        let lost: Vec<_> =
            landmarks.iter().filter(|one| one.status == Status::NotFound).map(|one| &*one.title).collect();
        if !lost.is_empty() {
            cautions.push(format!("Not found: {}.", lost.join(", ")));
        }
        for landmark in landmarks.iter().filter(|one| one.status == Status::Found) {
            if let Some(surprise) = landmark.surprise.filter(|surprise| *surprise > SURPRISING) {
                let title = &landmark.title;
                cautions.push(format!(
                    "{title} is not where the other landmarks expect it ({surprise:.1} standard deviations)."
                ));
            }
        }
        if calibration.is_none() {
            cautions.push("The bundle is not calibrated: nobody knows how probable its points are.".into());
        }
        if spacing.is_none() {
            cautions.push("Nobody stated how large the film's pixels are: there are no mm.".into());
        }
        cautions.extend_from_slice(self.film.warnings());
        cautions
    }
}

impl Detection {
    /// What there is to say about its position in a few words: "confidence 93 %, within 1.9 mm on 90 % of films".
    pub fn remark(&self) -> String {
        match self.status {
            Status::NotFound => "not found".into(),
            Status::EditedByHand => "edited by hand".into(),
            Status::Found => {
                let confidence = self.confidence.map(|confidence| format!("confidence {}", percent(confidence)));
                let radius = self.radius_mm.map(|radius| format!("within {radius:.1} mm on 90 % of films"));
                confidence.into_iter().chain(radius).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// A share as people read it.
fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}
