//! What can go wrong between the page and the desk.

use onemark_film::FilmError;
use onemark_models::bundle::BundleError;
use onemark_results::ResultsError;
use onemark_runtime::RuntimeError;
use onemark_runtime::adapt::AdaptError;

/// Why a request of the page can't be answered, or the page not be served.
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
    /// The film's pixels can't be packed.
    #[error("the film can't be packed as PNG")]
    Image(#[from] image::ImageError),
    /// An answer can't be written as JSON.
    #[error("the answer can't be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The request's path has a word where a number is due.
    #[error("`{text}` is not a number")]
    NotANumber { text: String, source: std::num::ParseIntError },
    /// The request's body is not a position.
    #[error("a position is {{\"x\": …, \"y\": …}} in px")]
    Position { source: serde_json::Error },
    /// The position lies outside of the film; px from its top-left corner.
    #[error("{x:.1}, {y:.1} px is outside of the film")]
    OutsideFilm { x: f64, y: f64 },
    /// The desk has no such film.
    #[error("there is no film {index}")]
    NoFilm { index: usize },
    /// The bundle has no such landmark.
    #[error("there is no landmark {number}")]
    NoLandmark { number: usize },
    /// There is no such kind of file.
    #[error("there is no format {name}")]
    NoFormat { name: String },
    /// The desk has no place for an adapted bundle.
    #[error("this viewer may not adapt its bundle: it was given no place for the new one")]
    MayNotAdapt,
    /// The port can't be listened on.
    #[error("can't listen on port {port} of this machine: {why}; choose another port")]
    Listen { port: u16, why: String },
}

impl ViewerError {
    /// The HTTP status that goes with it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Json(_) | Self::Image(_) => 500,
            _ => 400,
        }
    }
}
