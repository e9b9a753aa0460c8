//! What runs the graphs of a bundle: one trait, one table of the backends behind it.
//!
//! A backend gets verified bytes and never a path, so no parser can leave the bundle (`weights.rs`). What the graphs mean
//! is not known here (see [`crate::Detector`]).

#[cfg(not(target_family = "wasm"))]
mod onnxruntime;
mod probe;
mod tract;
mod weights;

use std::any::Any;
use std::sync::Arc;

use ndarray::{Array4, ArrayView4};

use crate::RuntimeError;

#[cfg(not(target_family = "wasm"))]
pub use onnxruntime::{Library, library};

/// One graph of a bundle, in verified bytes.
#[derive(Clone, Copy, Debug)]
pub struct GraphBytes<'a> {
    /// The graph's file in the bundle, for messages.
    pub file: &'a str,
    /// The ONNX file.
    pub onnx: &'a [u8],
    /// The one file that its initialisers may refer to, `weights.bin`.
    pub weights: &'a Arc<[u8]>,
}

/// Something that can run graphs.
pub trait Backend: Send + Sync {
    /// Its name in [`BACKENDS`].
    fn name(&self) -> &'static str;

    /// Name, version and place, for people; where `auto` could not take the faster one, why.
    fn about(&self) -> String;

    /// Prepares a graph for running with `threads` threads (at least one).
    ///
    /// # Errors
    /// The graph is none, asks for data outside the bundle, or needs what the backend does not have.
    fn open(&self, graph: GraphBytes<'_>, threads: usize) -> Result<Box<dyn Session>, RuntimeError>;

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

/// One row of [`BACKENDS`].
pub struct Choice {
    /// The name that options and reports use.
    pub name: &'static str,
    /// One line for `--help` and the manual.
    pub about: &'static str,
    open: fn() -> Result<Box<dyn Backend>, RuntimeError>,
}

/// All that can be asked for: command-line choices, their help and their validation come from here.
pub const BACKENDS: &[Choice] = &[
    Choice { name: "auto", about: "onnxruntime where its library is found, tract otherwise", open: auto },
    #[cfg(not(target_family = "wasm"))]
    Choice {
        name: "onnxruntime",
        about: "ONNX Runtime on the CPU: the faster of the two there",
        open: || Ok(Box::new(onnxruntime::OnnxRuntime::cpu()?)),
    },
    #[cfg(not(target_family = "wasm"))]
    Choice {
        name: "onnxruntime-cuda",
        about: "ONNX Runtime on an NVIDIA GPU; an error where that is not possible",
        open: || Ok(Box::new(onnxruntime::OnnxRuntime::cuda()?)),
    },
    Choice { name: "tract", about: "built in: needs no library", open: || Ok(Box::new(tract::Tract::default())) },
];

/// Opens the backend with this name.
///
/// # Errors
/// [`RuntimeError::UnknownBackend`] with the nearest name; [`RuntimeError::Library`] and [`RuntimeError::Cuda`] where the
/// named backend can't run here: no other one is taken instead.
pub fn open(name: &str) -> Result<Box<dyn Backend>, RuntimeError> {
    let Some(choice) = BACKENDS.iter().find(|choice| choice.name == name) else {
        return Err(RuntimeError::UnknownBackend {
            name: name.to_owned(),
            nearest: onemark_models::spelling::nearest(name, BACKENDS.iter().map(|choice| choice.name)),
            known: BACKENDS.iter().map(|choice| choice.name).collect::<Vec<_>>().join(", "),
        });
    };
    (choice.open)()
}

/// Opens the backend with this name and has it run a small graph; tells what it is.
///
/// # Errors
/// As [`open`], and whatever goes wrong in the run.
pub fn check(name: &str) -> Result<String, RuntimeError> {
    let backend = open(name)?;
    probe::run(backend.as_ref())?;
    Ok(backend.about())
}

#[cfg(target_family = "wasm")]
fn auto() -> Result<Box<dyn Backend>, RuntimeError> {
    Ok(Box::new(tract::Tract::default()))
}

#[cfg(not(target_family = "wasm"))]
fn auto() -> Result<Box<dyn Backend>, RuntimeError> {
    Ok(match onnxruntime::OnnxRuntime::cpu() {
        Ok(backend) => Box::new(backend),
        Err(why) => Box::new(tract::Tract { instead_of: Some(why.to_string()) }),
    })
}

#[cfg(test)]
mod tests;
