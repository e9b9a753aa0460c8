//! Errors of the viewer.

use std::path::PathBuf;

use onemark_film::FilmError;
use onemark_models::bundle::BundleError;
use onemark_results::ResultsError;
use onemark_runtime::RuntimeError;
use onemark_runtime::adapt::AdaptError;

/// Why a request of the page can't be answered, or the page can't be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names of the fields say all")]
pub enum ViewerError {
    /// The film can't be read.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// The bundle can't be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Detection failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The bundle can't be adapted to the corrected film.
    #[error(transparent)]
    Adapt(#[from] AdaptError),
    /// The film's results can't be written in this format.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The film's pixels can't be encoded.
    #[error("the film can't be encoded as PNG")]
    Image(#[from] image::ImageError),
    /// A response can't be written as JSON.
    #[error("the response can't be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The request's path has text where a number is expected.
    #[error("`{text}` is not a number")]
    NotANumber { text: String, source: std::num::ParseIntError },
    /// The request's body is not a position.
    #[error("a position is {{\"x\": …, \"y\": …}} in px")]
    Position { source: serde_json::Error },
    /// The request's body is not a ruler.
    #[error("a ruler is {{\"from\": {{\"x\": …, \"y\": …}}, \"to\": …, \"mm\": …}} in px, with its length in mm")]
    Ruler { source: serde_json::Error },
    /// The request's body does not say what a person says of a landmark.
    #[error("a landmark is {{\"placed\": {{\"x\": …, \"y\": …}}}} in px, \"not-visible\", or null")]
    Mark { source: serde_json::Error },
    /// The position lies outside of the film; px from its top-left corner.
    #[error("{x:.1}, {y:.1} px is outside of the film")]
    OutsideFilm { x: f64, y: f64 },
    /// The desk has no such film.
    #[error("there is no film {index}")]
    NoFilm { index: usize },
    /// The set has no such landmark.
    #[error("there is no landmark {number}; the set has 1 to {most}")]
    NoLandmark { number: usize, most: usize },
    /// There is no such file format.
    #[error("there is no format {name}")]
    NoFormat { name: String },
    /// No place for adapted bundles was given.
    #[error("this viewer may not adapt its bundle: no place for the new bundle was given")]
    MayNotAdapt,
    /// The page shows a landmark where it no longer is.
    #[error("another window has moved this landmark since: look where it is now, and move it again if that is wrong")]
    Stale,
    /// Corrections can't be kept.
    #[error("corrections can't be kept in {path}")]
    Kept { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// Points can't be kept.
    #[error("points can't be kept in {path}")]
    Points { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// Another program is writing the adapted bundle.
    #[error("another command is writing {path}; try again when it has ended")]
    Busy { path: PathBuf },
    /// The adapted bundle is not the one that this viewer wrote last.
    #[error(
        "{path} was changed by another program since this viewer last wrote it: nothing is written, so that nothing of it is lost; \
         open the viewer again with this bundle, or with another place for the new one"
    )]
    Changed { path: PathBuf },
    /// The adapted bundle can't be locked or read.
    #[error("can't look at {path}")]
    Target { path: PathBuf, source: std::io::Error },
    /// The server can't listen on the port.
    #[error("can't listen on port {port} of this machine")]
    Listen { port: u16, source: std::io::Error },
}

impl ViewerError {
    /// The HTTP status for this error.
    pub fn status(&self) -> u16 {
        match self {
            Self::Json(_) | Self::Image(_) | Self::Kept { .. } | Self::Points { .. } => 500,
            Self::Stale | Self::Busy { .. } | Self::Changed { .. } => 409,
            _ => 400,
        }
    }
}
