//! Why a bundle can't be opened, or a film not be read by it.

use std::error::Error;

use onemark_film::FilmError;
use onemark_models::bundle::BundleError;
use onemark_models::bundle::second_look::PREFIX;

/// Why a bundle can't be opened, or landmarks not be found with it.
///
/// A message says nothing of its cause; [`Chain`](crate::Chain) displays both.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The bundle is refused. No ONNX parser has seen it.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The film can't be resized to the network's grid.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// No backend has this name.
    #[error("no backend is called `{name}`{}; there are {known}", .nearest.as_ref().map_or(String::new(), |word| format!("; did you mean `{word}`?")))]
    #[non_exhaustive]
    UnknownBackend {
        /// The name asked for.
        name: String,
        /// The most similar one.
        nearest: Option<String>,
        /// All of them.
        known: String,
    },
    /// The backend is known, and not compiled in.
    #[error("this program is built without the backend `{name}`; it has {known}")]
    #[non_exhaustive]
    NotCompiled {
        /// The name asked for.
        name: &'static str,
        /// The names of those that are compiled in; empty if none is.
        known: String,
    },
    /// No decoding has this name.
    #[error("no decoding is called `{name}`{}; there are {known}", .nearest.as_ref().map_or(String::new(), |word| format!("; did you mean `{word}`?")))]
    #[non_exhaustive]
    UnknownDecoding {
        /// The name asked for.
        name: String,
        /// The most similar one.
        nearest: Option<String>,
        /// All of them.
        known: String,
    },
    /// ONNX Runtime's library can't be loaded.
    #[error("ONNX Runtime can't be used")]
    #[non_exhaustive]
    Library {
        /// Where it was searched for, or what the loader said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// CUDA was asked for by name and does not work. No other backend takes its place.
    #[error("CUDA was asked for and can't be used")]
    #[non_exhaustive]
    Cuda {
        /// What is missing, or how the first small run failed.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A graph of the bundle can't be prepared for running. Made by [`RuntimeError::graph`].
    #[error("graph {graph} of the bundle can't be opened")]
    #[non_exhaustive]
    Graph {
        /// The graph's file.
        graph: String,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A run of a graph failed. Made by [`RuntimeError::run`].
    #[error("graph {graph} failed on {backend}")]
    #[non_exhaustive]
    Run {
        /// The graph's file.
        graph: String,
        /// The backend's name.
        backend: &'static str,
        /// What the backend said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A tensor can't be copied to a backend or back. Made by [`RuntimeError::tensor`].
    #[error("a tensor can't be copied to or from {backend}")]
    #[non_exhaustive]
    Tensor {
        /// The backend's name.
        backend: &'static str,
        /// What the backend said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The landmark is not in the bundle, or not among those that were asked for.
    #[error("there is no landmark {landmark}: the bundle has 1 to {last}")]
    #[non_exhaustive]
    NoLandmark {
        /// The number asked for.
        landmark: usize,
        /// The largest number of the bundle's landmark set.
        last: usize,
    },
    /// A graph's output is not what the bundle's format promises.
    #[error("graph {graph} gave {found} for {tensor}, expected {expected}")]
    #[non_exhaustive]
    Output {
        /// The graph's file.
        graph: String,
        /// The output's name.
        tensor: String,
        /// The shape or value that the format promises.
        expected: String,
        /// What the graph made.
        found: String,
    },
    /// A graph's output has numbers that are not finite, so nothing can be found with it.
    #[error(
        "the network gave no number for {tensor} of graph {graph} (NaN or infinity); export the bundle again, or choose another backend"
    )]
    #[non_exhaustive]
    NotFinite {
        /// The graph's file.
        graph: String,
        /// The output's name.
        tensor: String,
    },
    /// The graphs of the second look can't be opened, or one of them failed.
    #[error("second look (the files whose names begin with `{}`)", PREFIX)]
    #[non_exhaustive]
    SecondLook {
        /// What happened; it names files without that beginning.
        source: Box<Self>,
    },
    /// The job was cancelled, by [`Cancel::cancel`](crate::Cancel::cancel).
    #[error("the detection was cancelled")]
    Cancelled,
}

/// For backends of a host, which can't make these variants otherwise. A cause is an error or a text.
impl RuntimeError {
    /// The graph in this file of the bundle can't be prepared for running.
    pub fn graph(graph: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Graph { graph: graph.into(), source: cause.into() }
    }

    /// A run of the graph in this file failed on this backend.
    pub fn run(
        graph: impl Into<String>,
        backend: &'static str,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Run { graph: graph.into(), backend, source: cause.into() }
    }

    /// A tensor can't be copied to this backend or back.
    ///
    /// ```
    /// use onemark_runtime::{Chain, RuntimeError};
    /// let error = RuntimeError::tensor("our-npu", "its memory is full");
    /// assert_eq!(Chain(&error).to_string(), "a tensor can't be copied to or from our-npu: its memory is full");
    /// ```
    pub fn tensor(backend: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Tensor { backend, source: cause.into() }
    }

    /// The same error, said to be about the second look.
    pub(crate) fn in_second_look(self) -> Self {
        match self {
            Self::Cancelled => self,
            source => Self::SecondLook { source: source.into() },
        }
    }
}
