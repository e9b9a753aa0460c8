//! The table of backends: choices on the command line, their help and their validation come from here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Backend, probe};
#[cfg(all(feature = "onnxruntime", feature = "tract", not(target_family = "wasm")))]
use crate::Chain;
use crate::RuntimeError;

/// A backend that can be asked for by name.
///
/// A program may be built without some of them: [`BackendKind::compiled`] lists the others.
///
/// ```
/// use onemark_runtime::BackendKind;
/// let kind: BackendKind = "onnxruntime".parse()?;
/// assert_eq!(kind, BackendKind::OnnxRuntime);
/// assert_eq!(kind.to_string(), "onnxruntime");
/// let error = "onxruntime".parse::<BackendKind>().unwrap_err();
/// assert!(error.to_string().contains("did you mean `onnxruntime`?"));
/// # Ok::<(), onemark_runtime::RuntimeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// ONNX Runtime where its library is found, tract otherwise.
    #[default]
    Auto,
    /// ONNX Runtime on the CPU.
    OnnxRuntime,
    /// ONNX Runtime on an NVIDIA GPU.
    OnnxRuntimeCuda,
    /// tract, which is built in.
    Tract,
}

const ALL: [BackendKind; 4] =
    [BackendKind::Auto, BackendKind::OnnxRuntime, BackendKind::OnnxRuntimeCuda, BackendKind::Tract];

impl BackendKind {
    /// The backends that this program was built with.
    ///
    /// ```
    /// use onemark_runtime::BackendKind;
    /// assert!(BackendKind::compiled().iter().all(|kind| !kind.about().is_empty()));
    /// ```
    pub fn compiled() -> &'static [BackendKind] {
        &[
            #[cfg(any(feature = "tract", all(feature = "onnxruntime", not(target_family = "wasm"))))]
            Self::Auto,
            #[cfg(all(feature = "onnxruntime", not(target_family = "wasm")))]
            Self::OnnxRuntime,
            #[cfg(all(feature = "cuda", not(target_family = "wasm")))]
            Self::OnnxRuntimeCuda,
            #[cfg(feature = "tract")]
            Self::Tract,
        ]
    }

    /// The name that options and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::OnnxRuntime => "onnxruntime",
            Self::OnnxRuntimeCuda => "onnxruntime-cuda",
            Self::Tract => "tract",
        }
    }

    /// One line for `--help` and the manual.
    pub fn about(self) -> &'static str {
        match self {
            Self::Auto if !Self::compiled().contains(&Self::OnnxRuntime) => "tract",
            Self::Auto if !Self::compiled().contains(&Self::Tract) => "onnxruntime",
            Self::Auto => "onnxruntime where its library is found, tract otherwise",
            Self::OnnxRuntime => "ONNX Runtime on the CPU: faster than tract",
            Self::OnnxRuntimeCuda => "ONNX Runtime on an NVIDIA GPU; an error where that is not possible",
            Self::Tract => "built in: needs no library",
        }
    }

    /// Opens the backend. One that is asked for by name is never replaced by another.
    ///
    /// # Errors
    /// [`RuntimeError::NotCompiled`]; [`RuntimeError::Library`] and [`RuntimeError::Cuda`] where it can't run on this machine.
    pub fn open(self) -> Result<Arc<dyn Backend>, RuntimeError> {
        match self {
            Self::Auto => auto(),
            #[cfg(all(feature = "onnxruntime", not(target_family = "wasm")))]
            Self::OnnxRuntime => Ok(Arc::new(super::OnnxRuntime::new()?)),
            #[cfg(all(feature = "cuda", not(target_family = "wasm")))]
            Self::OnnxRuntimeCuda => Ok(Arc::new(super::OnnxRuntime::new()?.on_cuda()?)),
            #[cfg(feature = "tract")]
            Self::Tract => Ok(Arc::new(super::tract::Tract::default())),
            #[allow(unreachable_patterns, reason = "reached where a backend is not compiled in")]
            other => Err(other.not_compiled()),
        }
    }

    /// Opens the backend and has it run a small graph; gives its name, version and place.
    ///
    /// # Errors
    /// As [`BackendKind::open`], or the run fails.
    pub fn probe(self) -> Result<String, RuntimeError> {
        let backend = self.open()?;
        probe::run(backend.as_ref())?;
        Ok(backend.about())
    }

    fn not_compiled(self) -> RuntimeError {
        RuntimeError::NotCompiled { name: self.name(), known: names() }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for BackendKind {
    type Err = RuntimeError;

    /// Reads a name. A backend that is not compiled in has one too; opening it fails.
    fn from_str(name: &str) -> Result<Self, RuntimeError> {
        let unknown = || RuntimeError::UnknownBackend {
            name: name.to_owned(),
            nearest: onemark_models::spelling::nearest(name, Self::compiled().iter().map(|kind| kind.name())),
            known: names(),
        };
        ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)
    }
}

/// The names of the backends that are compiled in.
fn names() -> String {
    BackendKind::compiled().iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(all(feature = "onnxruntime", not(target_family = "wasm")))]
fn auto() -> Result<Arc<dyn Backend>, RuntimeError> {
    match super::OnnxRuntime::new() {
        Ok(backend) => Ok(Arc::new(backend)),
        #[cfg(feature = "tract")]
        Err(why) => Ok(Arc::new(super::tract::Tract { instead_of: Some(Chain(&why).to_string()) })),
        #[cfg(not(feature = "tract"))]
        Err(why) => Err(why),
    }
}

#[cfg(not(all(feature = "onnxruntime", not(target_family = "wasm"))))]
fn auto() -> Result<Arc<dyn Backend>, RuntimeError> {
    match BackendKind::compiled() {
        [] => Err(BackendKind::Auto.not_compiled()),
        _ => BackendKind::Tract.open(),
    }
}
