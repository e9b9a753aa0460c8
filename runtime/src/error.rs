//! What can go wrong between a bundle and its landmarks.

use onemark_film::FilmError;
use onemark_models::bundle::BundleError;

/// Why a bundle can't be opened or a film not be read by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The bundle is refused before any parser of ONNX saw it.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The film can't be resized to the network's grid.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// No backend has this name.
    #[error("no backend is called `{name}`{}; there are {known}", .nearest.as_ref().map_or(String::new(), |word| format!("; did you mean `{word}`?")))]
    UnknownBackend {
        /// The name asked for.
        name: String,
        /// The nearest one.
        nearest: Option<String>,
        /// All of them.
        known: String,
    },
    /// The backend is known, and not compiled in.
    #[error("this program is built without the backend `{name}`; it has {known}")]
    NotCompiled {
        /// The name asked for.
        name: &'static str,
        /// The names of those that are compiled in; empty if none is.
        known: String,
    },
    /// No way of making points of score maps has this name.
    #[error("no decoding is called `{name}`{}; there are {known}", .nearest.as_ref().map_or(String::new(), |word| format!("; did you mean `{word}`?")))]
    UnknownDecoding {
        /// The name asked for.
        name: String,
        /// The nearest one.
        nearest: Option<String>,
        /// All of them.
        known: String,
    },
    /// ONNX Runtime's library can't be used.
    #[error("ONNX Runtime can't be used: {why}")]
    Library {
        /// What was looked for or what the loader said.
        why: String,
    },
    /// CUDA was asked for and can't be had. Nothing else is taken instead.
    #[error("CUDA was asked for and can't be used: {why}")]
    Cuda {
        /// What is missing, and where it would come from.
        why: String,
    },
    /// A graph of the bundle can't be prepared for running.
    #[error("graph {graph} of the bundle can't be opened: {why}")]
    Graph {
        /// The graph's file.
        graph: String,
        /// What is wrong with it.
        why: String,
    },
    /// Running a graph failed.
    #[error("graph {graph} failed on {backend}: {why}")]
    Run {
        /// The graph's file.
        graph: String,
        /// The backend's name.
        backend: &'static str,
        /// What the backend said.
        why: String,
    },
    /// A tensor can't be brought to a backend or back.
    #[error("a tensor can't be copied to or from {backend}: {why}")]
    Tensor {
        /// The backend's name.
        backend: &'static str,
        /// What the backend said.
        why: String,
    },
    /// The bundle has no such landmark.
    #[error("there is no landmark {landmark}: the bundle has 1 to {last}")]
    NoLandmark {
        /// The number asked for.
        landmark: usize,
        /// The last one.
        last: usize,
    },
    /// A graph's result is not what the bundle's format promises.
    #[error("graph {graph} gave {found} for {tensor}, expected {expected}")]
    Output {
        /// The graph's file.
        graph: String,
        /// The tensor.
        tensor: String,
        /// What the format says.
        expected: String,
        /// What came.
        found: String,
    },
}
