//! What runs the graphs of a bundle: a trait for the backend, one for an opened graph, one for tensors, and the table of the
//! backends that are compiled in.
//!
//! A backend opens a [`CheckedGraph`] and never a path, so no parser can leave the bundle. What the graphs mean is not known
//! here (see [`crate::Detector`]). A host implements [`Backend`] for a backend of its own and passes it to
//! [`crate::Detector::with_backend`].

mod kind;
#[cfg(all(feature = "onnxruntime", not(target_family = "wasm")))]
mod onnxruntime;
mod probe;
#[cfg(feature = "tract")]
mod tract;

use std::any::Any;
use std::sync::Arc;

use ndarray::{Array4, ArrayView4};
use onemark_models::bundle::{Bundle, WEIGHTS};
use onemark_onnx::Weights;

use crate::RuntimeError;

pub use kind::BackendKind;
pub use onemark_onnx::CheckedGraph;
#[cfg(all(feature = "onnxruntime", not(target_family = "wasm")))]
pub use onnxruntime::{Library, OnnxRuntime, library};

/// Checks a graph of a bundle by the name of its file, so that a backend can open it.
///
/// # Errors
/// The bundle has no such file, or [`RuntimeError::Graph`]: it is not an ONNX graph, or uses what a bundle must not use.
pub fn graph(bundle: &Bundle, file: &str) -> Result<CheckedGraph, RuntimeError> {
    check(file, bundle.bytes(file)?, bundle.bytes(WEIGHTS)?)
}

/// The same for the bytes of a graph's file and of the weights.
pub(crate) fn check(file: &str, onnx: &[u8], weights: &Arc<[u8]>) -> Result<CheckedGraph, RuntimeError> {
    onemark_onnx::check(file, onnx, &Weights::new(WEIGHTS, weights.clone()))
        .map_err(|error| RuntimeError::graph(file, error))
}

/// Something that can run graphs.
pub trait Backend: Send + Sync {
    /// Its name in reports: that of a [`BackendKind`], or one that a host chooses.
    fn name(&self) -> &'static str;

    /// Name, version and place, for people; where `auto` could not take the faster one, why.
    fn about(&self) -> String;

    /// Prepares a graph for running with `threads` threads (at least one).
    ///
    /// # Errors
    /// The graph contradicts itself, or needs what the backend does not have.
    fn open(&self, graph: &CheckedGraph, threads: usize) -> Result<Box<dyn Session>, RuntimeError>;

    /// Puts numbers where the backend computes, for as many runs as they are wanted for; axes `[1, channel, row, column]`.
    ///
    /// # Errors
    /// There is no room for them.
    fn keep(&self, numbers: Array4<f32>) -> Result<Box<dyn Tensor>, RuntimeError>;
}

/// Numbers where a backend keeps them: in a GPU's memory, for CUDA. An array is one, too, which each run copies to its backend.
pub trait Tensor: Any + Send + Sync {
    /// The numbers, axes `[1, channel, row, column]`; copied, at the first time, where they are in another memory.
    ///
    /// # Errors
    /// They can't be copied, or have other than four axes.
    fn array(&self) -> Result<ArrayView4<'_, f32>, RuntimeError>;
}

impl Tensor for Array4<f32> {
    fn array(&self) -> Result<ArrayView4<'_, f32>, RuntimeError> {
        Ok(self.view())
    }
}

/// Tensors by name.
pub type Outputs = Vec<(String, Box<dyn Tensor>)>;

/// A graph ready to run. Runs from several threads are answered one after the other or at the same time, as the backend
/// can; the numbers are the same either way.
pub trait Session: Send + Sync {
    /// Runs the graph on inputs by name; gives all outputs in the graph's order. The backend's own tensors are used where they
    /// lie, others are copied to it.
    ///
    /// # Errors
    /// An input is missing or has another shape, or the backend fails.
    fn run(&self, inputs: &[(&str, &dyn Tensor)]) -> Result<Outputs, RuntimeError>;
}

#[cfg(all(test, feature = "onnxruntime", feature = "tract"))]
mod tests;
