//! Backends run the graphs of a bundle. There is a trait for a backend, one for an opened graph and one for tensors, and a table of
//! the backends that are compiled in.
//!
//! A backend opens a [`CheckedGraph`] and never a path, so no parser can leave the bundle. It does not know what a graph is for;
//! [`crate::Detector`] does. A host implements [`Backend`] for a backend of its own and passes it to
//! [`crate::Detector::with_backend`]. The traits use types of `ndarray`.

mod kind;
#[cfg(all(feature = "onnxruntime", not(target_family = "wasm")))]
mod onnxruntime;
mod probe;
#[cfg(feature = "tract")]
mod tract;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::{Array4, ArrayView4};
use onemark_models::bundle::{Bundle, GraphEntry, TensorEntry, WEIGHTS};
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
    checked(bundle, file, &weights(bundle)?)
}

/// Checks all graphs of a bundle, also those that nothing uses: each can be opened, and has the inputs and outputs that the manifest
/// states for it. All weights that a graph uses are finite. [`Detector::new`](crate::Detector::new) does the same for the landmarks
/// to find.
///
/// ```
/// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
/// use onemark_runtime::{Chain, backend};
///
/// # let (bundle, harmed) = (spot::bundle(1.0), spot::bundle(f32::NAN));
/// backend::check_graphs(&bundle)?;
/// let error = backend::check_graphs(&harmed).unwrap_err();
/// assert!(Chain(&error).to_string().contains("tensor kernel: it holds a number that is not finite"));
/// # Ok::<(), onemark_runtime::RuntimeError>(())
/// ```
///
/// # Errors
/// [`RuntimeError::Graph`] for the first graph that is refused, within [`RuntimeError::SecondLook`] for one of the second look.
pub fn check_graphs(bundle: &Bundle) -> Result<(), RuntimeError> {
    let weights = weights(bundle)?;
    bundle.manifest().graphs().try_for_each(|entry| stated_graph(bundle, entry, &weights).map(drop))?;
    bundle.unused().try_for_each(|file| checked(bundle, file, &weights).map(drop))?;
    let second = bundle.second_look().map_or(Ok(()), |(_, second)| check_graphs(second));
    second.map_err(RuntimeError::in_second_look)
}

/// The weights of a bundle, for its graphs to share.
pub(crate) fn weights(bundle: &Bundle) -> Result<Weights, RuntimeError> {
    Ok(Weights::new(WEIGHTS, bundle.bytes(WEIGHTS)?.clone()))
}

/// Checks the graph of an entry of the manifest, and that it has the inputs and outputs of the entry.
pub(crate) fn stated_graph(
    bundle: &Bundle,
    entry: &GraphEntry,
    weights: &Weights,
) -> Result<CheckedGraph, RuntimeError> {
    let graph = checked(bundle, &entry.file, weights)?;
    let agree = agree(&entry.inputs, graph.inputs()) && agree(&entry.outputs, graph.outputs());
    let why = "it has other inputs or outputs than the manifest states; export the bundle again";
    if agree { Ok(graph) } else { Err(RuntimeError::graph(&entry.file, why)) }
}

fn checked(bundle: &Bundle, file: &str, weights: &Weights) -> Result<CheckedGraph, RuntimeError> {
    onemark_onnx::check(file, bundle.bytes(file)?, weights).map_err(|error| RuntimeError::graph(file, error))
}

/// Whether these are the same tensors, in any order. The manifest names none of its tensors twice.
fn agree<'a>(stated: &[TensorEntry], mut found: impl Iterator<Item = (&'a str, &'a [usize])>) -> bool {
    let stated: BTreeMap<&str, &[usize]> =
        stated.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice())).collect();
    let mut count = 0;
    let all = found.all(|(name, shape)| {
        count += 1;
        stated.get(name) == Some(&shape)
    });
    all && count == stated.len()
}

/// [`graph`] for the bytes of a graph's file and of the weights.
pub(crate) fn check(file: &str, onnx: &[u8], weights: &Arc<[u8]>) -> Result<CheckedGraph, RuntimeError> {
    onemark_onnx::check(file, onnx, &Weights::new(WEIGHTS, weights.clone()))
        .map_err(|error| RuntimeError::graph(file, error))
}

/// Runs graphs.
pub trait Backend: Send + Sync {
    /// Its name in reports: that of a [`BackendKind`], or one that a host chooses.
    fn name(&self) -> &'static str;

    /// Name, version and file, for people; for tract also why `auto` could not take ONNX Runtime.
    fn about(&self) -> String;

    /// Prepares a graph for running with `threads` threads (at least one).
    ///
    /// # Errors
    /// The graph is inconsistent, or uses what the backend does not support. [`RuntimeError::graph`] makes such an error.
    fn open(&self, graph: &CheckedGraph, threads: usize) -> Result<Box<dyn Session>, RuntimeError>;

    /// Copies an array to the backend's memory, for any number of runs; axes `[1, channel, row, column]`.
    ///
    /// # Errors
    /// The memory is full, for example. [`RuntimeError::tensor`] makes such an error.
    fn keep(&self, numbers: Array4<f32>) -> Result<Box<dyn Tensor>, RuntimeError>;
}

/// An array in a backend's memory: a GPU's, for CUDA. An ndarray array is a tensor too; each run copies it to the backend.
pub trait Tensor: Any + Send + Sync {
    /// The numbers, axes `[1, channel, row, column]`. The first call copies them if they are in another memory.
    ///
    /// # Errors
    /// They can't be copied, or do not have four axes.
    fn array(&self) -> Result<ArrayView4<'_, f32>, RuntimeError>;

    /// Whether the numbers are in the host's memory, so that [`Tensor::array`] copies nothing. Then they are checked after every run:
    /// one that is not finite is an error.
    fn is_on_host(&self) -> bool {
        true
    }
}

impl Tensor for Array4<f32> {
    fn array(&self) -> Result<ArrayView4<'_, f32>, RuntimeError> {
        Ok(self.view())
    }
}

/// Tensors by name.
pub type Outputs = Vec<(String, Box<dyn Tensor>)>;

/// A graph that is ready to run. The backend does runs from several threads one after the other or at the same time; the numbers
/// are the same either way.
pub trait Session: Send + Sync {
    /// Runs the graph on inputs by name; gives all outputs in the graph's order. The backend's own tensors are not copied, others
    /// are.
    ///
    /// # Errors
    /// An input is missing or has another shape, or the backend fails. [`RuntimeError::run`] makes such an error.
    fn run(&self, inputs: &[(&str, &dyn Tensor)]) -> Result<Outputs, RuntimeError>;
}

#[cfg(all(test, feature = "onnxruntime", feature = "tract"))]
mod tests;
