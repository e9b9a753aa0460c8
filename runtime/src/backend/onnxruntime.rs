//! ONNX Runtime, on the CPU or on CUDA: the library is found and loaded when first needed, never linked.
//!
//! ONNX Runtime allows one environment per process, which can't be replaced. It is Onemark's only global state.

use std::any::Any;
use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use etcetera::BaseStrategy as _;
use ndarray::{Array4, ArrayView4};
use ort::environment::Environment;
use ort::ep;
#[cfg(feature = "cuda")]
use ort::ep::ExecutionProvider as _;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session as RawSession;
use ort::session::builder::SessionBuilder;
use ort::value::{DynValue, Tensor as OrtTensor};

#[cfg(feature = "cuda")]
use super::probe;
use super::{Backend, BackendKind, CheckedGraph, Outputs, Session, Tensor};
use crate::RuntimeError;

/// Why something failed: an error, or a text.
type Cause = Box<dyn Error + Send + Sync>;

/// The GPU in use, with CUDA: the first.
const DEVICE: i32 = 0;

/// The ONNX Runtime in use.
#[derive(Clone, Debug)]
pub struct Library {
    /// Its file.
    pub path: PathBuf,
    /// Its version, as far as `ort` tells it: "1.31".
    pub version: String,
    /// Whether it was built with CUDA; a driver and a device may still be missing. Always false without the feature `cuda`.
    pub cuda: bool,
}

/// Finds and loads ONNX Runtime, unless that was done before: `ORT_DYLIB_PATH`, then beside the executable, then
/// `${XDG_CACHE_HOME:-~/.cache}/onemark/onnxruntime`.
///
/// # Errors
/// [`RuntimeError::Library`] with the places where it was searched for, or what the loader said.
pub fn library() -> Result<&'static Library, RuntimeError> {
    runtime(find).map(|(_, library)| library)
}

/// The process's one ONNX Runtime; if none is loaded yet, the one that `find` finds.
fn runtime(find: impl FnOnce() -> Result<PathBuf, Cause>) -> Result<&'static (Environment, Library), RuntimeError> {
    static RUNTIME: OnceLock<(Environment, Library)> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());
    let _loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = RUNTIME.get() {
        return Ok(loaded);
    }
    let loaded = find().and_then(load).map_err(|source| RuntimeError::Library { source })?;
    Ok(RUNTIME.get_or_init(|| loaded))
}

/// The oldest ONNX Runtime 1.x in which sessions can be made without execution providers of the environment's choice.
const OLDEST_MINOR: u32 = 23;

fn load(path: PathBuf) -> Result<(Environment, Library), Cause> {
    let minor = ort::util::probe(&path);
    if let Some(minor) = minor.filter(|minor| *minor < OLDEST_MINOR) {
        // Its first session would end the whole program.
        let path = path.display();
        return Err(
            format!("{path} is version 1.{minor}, which does not work here: use 1.{OLDEST_MINOR} or newer").into()
        );
    }
    // Nothing else of `ort` may be called before this succeeds: it would panic without the library.
    let builder = ort::init_from(&path)?;
    let environment = builder.with_name("onemark").with_telemetry(false).build()?;
    // Failures come back as errors; nothing is printed.
    environment.set_log_level(ort::logging::LogLevel::Fatal);
    let version = minor.map_or("of unknown version".into(), |minor| format!("1.{minor}"));
    Ok((environment, Library { path, version, cuda: has_cuda() }))
}

/// Whether the library that is loaded was built with CUDA.
fn has_cuda() -> bool {
    #[cfg(feature = "cuda")]
    return ep::CUDA::is_available().unwrap_or(false);
    #[cfg(not(feature = "cuda"))]
    return false;
}

fn find() -> Result<PathBuf, Cause> {
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return path.canonicalize().map_err(|error| format!("ORT_DYLIB_PATH is {}: {error}", path.display()).into());
    }
    let beside = env::current_exe().ok().and_then(|executable| Some(executable.parent()?.to_owned()));
    let cache = etcetera::choose_base_strategy().ok().map(|folders| folders.cache_dir());
    let folders = [beside, cache.map(|cache| cache.join("onemark/onnxruntime"))];
    let file = format!("{}onnxruntime{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let places: Vec<PathBuf> = folders.into_iter().flatten().map(|folder| folder.join(&file)).collect();
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| {
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        format!("ORT_DYLIB_PATH is not set and there is no {}", places.join(" nor ")).into()
    })
}

/// ONNX Runtime with one execution provider.
///
/// [`BackendKind`] opens it with the library that [`library`] finds. A host with an ONNX Runtime of its own makes it from that and
/// passes it to [`crate::Detector::with_backend`].
pub struct OnnxRuntime {
    environment: Environment,
    /// For people, as `place` is.
    version: String,
    place: String,
    cuda: bool,
}

impl OnnxRuntime {
    /// On the CPU, with the library that [`library`] finds.
    ///
    /// # Errors
    /// As [`library`].
    pub fn new() -> Result<Self, RuntimeError> {
        runtime(find).map(Self::loaded)
    }

    /// On the CPU, with the library in this file.
    ///
    /// ```
    /// use onemark_runtime::backend::OnnxRuntime;
    /// let error = OnnxRuntime::from_library("nowhere/libonnxruntime.so").err().unwrap();
    /// assert!(error.to_string().starts_with("ONNX Runtime can't be used"));
    /// ```
    ///
    /// # Errors
    /// [`RuntimeError::Library`]: it can't be loaded, or the process has loaded another one, which can't be replaced.
    pub fn from_library(path: impl AsRef<Path>) -> Result<Self, RuntimeError> {
        let refuse = |why: String| RuntimeError::Library { source: why.into() };
        let path = path.as_ref();
        let path = path.canonicalize().map_err(|error| refuse(format!("{}: {error}", path.display())))?;
        let loaded = runtime(|| Ok(path.clone()))?;
        let before = &loaded.1.path;
        if before.canonicalize().ok().as_ref() != Some(&path) {
            return Err(refuse(format!("{} is loaded already, and a process can load one only", before.display())));
        }
        Ok(Self::loaded(loaded))
    }

    /// On the CPU, in an environment that the host has made with `ort`, of the version that this crate depends on, and with ONNX
    /// Runtime 1.23 or newer: older ones end the program.
    pub fn from_environment(environment: Environment) -> Self {
        Self { environment, version: "of the host".into(), place: String::new(), cuda: false }
    }

    fn loaded((environment, library): &(Environment, Library)) -> Self {
        let (version, place) = (library.version.clone(), format!(", {}", library.path.display()));
        Self { environment: environment.clone(), version, place, cuda: false }
    }

    /// The same on CUDA, after a first small run there: a library built with CUDA may still lack a driver, a device or cuDNN.
    ///
    /// # Errors
    /// [`RuntimeError::Cuda`]: the library was built without CUDA, or the run fails.
    #[cfg(feature = "cuda")]
    pub fn on_cuda(self) -> Result<Self, RuntimeError> {
        let backend = Self { cuda: true, ..self };
        if !has_cuda() {
            let library = library().map_or("ONNX Runtime".into(), |library| library.path.display().to_string());
            let why = format!("{library} was built without it");
            return Err(RuntimeError::Cuda { source: why.into() });
        }
        probe::run(&backend).map_err(|error| RuntimeError::Cuda { source: error.into() })?;
        Ok(backend)
    }

    /// Sets all that changes numbers or speed; nothing of it is left to ONNX Runtime's defaults.
    fn builder(&self, threads: usize) -> ort::Result<SessionBuilder> {
        let builder = SessionBuilder::new(&self.environment)?;
        let builder = builder.with_no_environment_execution_providers()?;
        let builder = builder.with_intra_threads(threads)?.with_inter_threads(1)?;
        // A pool that spins while it waits takes cores from the heads, which run on threads of their own.
        let builder = builder.with_intra_op_spinning(false)?;
        let builder = builder.with_deterministic_compute(true)?;
        // With an arena, each session keeps its largest working memory: twenty times what one of them needs at a time.
        let cpu = ep::CPU::default().with_arena_allocator(false).build().error_on_failure();
        #[cfg(feature = "cuda")]
        if self.cuda {
            let cuda = ep::CUDA::default()
                .with_device_id(DEVICE)
                .with_tf32(false)
                // The exhaustive search takes what is fastest at that moment, so the last digits may change from run to run.
                .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
                .build()
                .error_on_failure();
            return Ok(builder.with_execution_providers([cuda])?);
        }
        Ok(builder.with_execution_providers([cpu])?)
    }

    /// Where tensors stay between graphs.
    fn device(&self) -> AllocationDevice<'static> {
        if self.cuda { AllocationDevice::CUDA } else { AllocationDevice::CPU }
    }
}

impl Backend for OnnxRuntime {
    fn name(&self) -> &'static str {
        if self.cuda { BackendKind::OnnxRuntimeCuda.name() } else { BackendKind::OnnxRuntime.name() }
    }

    fn about(&self) -> String {
        let device = if self.cuda { "CUDA" } else { "CPU" };
        format!("ONNX Runtime {} on {device}{}", self.version, self.place)
    }

    fn open(&self, graph: &CheckedGraph, threads: usize) -> Result<Box<dyn Session>, RuntimeError> {
        let open = || {
            let (builder, weights) = (self.builder(threads)?, graph.weights());
            let mut builder =
                builder.with_external_initializer_file_in_memory(weights.name(), weights.bytes().clone())?;
            let memory = MemoryInfo::new(self.device(), DEVICE, AllocatorType::Device, MemoryType::Default)?;
            Ok((builder.commit_from_memory(graph.bytes())?, memory))
        };
        let (session, memory) = open().map_err(|error: ort::Error| RuntimeError::graph(graph.file(), error))?;
        let (graph, session) = (graph.file().to_owned(), Mutex::new(session));
        Ok(Box::new(OrtSession { graph, backend: self.name(), memory, session }))
    }

    fn keep(&self, numbers: Array4<f32>) -> Result<Box<dyn Tensor>, RuntimeError> {
        let keep = || {
            let value = OrtTensor::from_array(numbers)?;
            if self.cuda { value.to(self.device(), DEVICE) } else { Ok(value) }
        };
        let value = keep().map_err(|error| RuntimeError::tensor(self.name(), error))?;
        Ok(Box::new(BackendTensor { value, backend: self.name(), host: OnceLock::new() }))
    }
}

/// A tensor of ONNX Runtime's, on the CPU or on the GPU.
struct BackendTensor {
    value: OrtTensor<f32>,
    backend: &'static str,
    /// Its copy in the host's memory, if it is on the GPU and was read.
    host: OnceLock<OrtTensor<f32>>,
}

impl BackendTensor {
    fn host(&self) -> ort::Result<&OrtTensor<f32>> {
        if self.value.memory_info().is_cpu_accessible() {
            return Ok(&self.value);
        }
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let host = self.value.to(AllocationDevice::CPU, 0)?;
        Ok(self.host.get_or_init(|| host))
    }
}

impl Tensor for BackendTensor {
    fn array(&self) -> Result<ArrayView4<'_, f32>, RuntimeError> {
        let array = || Ok(self.host()?.extract_array().into_dimensionality()?);
        array().map_err(|cause: Cause| RuntimeError::tensor(self.backend, cause))
    }

    fn is_on_host(&self) -> bool {
        self.value.memory_info().is_cpu_accessible()
    }
}

/// A graph that ONNX Runtime has prepared.
struct OrtSession {
    graph: String,
    backend: &'static str,
    /// Where outputs are put.
    memory: MemoryInfo<'static>,
    // `run` must not be entered twice, despite ONNX Runtime's manual; `ort` explains it there.
    session: Mutex<RawSession>,
}

impl Session for OrtSession {
    fn run(&self, inputs: &[(&str, &dyn Tensor)]) -> Result<Outputs, RuntimeError> {
        let failed = |error: ort::Error| RuntimeError::run(&self.graph, self.backend, error);
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let mut binding = session.create_binding().map_err(failed)?;
        for (name, tensor) in inputs {
            match (*tensor as &dyn Any).downcast_ref::<BackendTensor>() {
                Some(tensor) => binding.bind_input(*name, &tensor.value),
                None => OrtTensor::from_array(tensor.array()?.to_owned())
                    .and_then(|value| binding.bind_input(*name, &value)),
            }
            .map_err(failed)?;
        }
        for output in session.outputs() {
            binding.bind_output_to_device(output.name(), &self.memory).map_err(failed)?;
        }
        let named = |(name, value): (&str, DynValue)| {
            let value = value.downcast().map_err(failed)?;
            let tensor = BackendTensor { value, backend: self.backend, host: OnceLock::new() };
            Ok((name.to_owned(), Box::new(tensor) as Box<dyn Tensor>))
        };
        session.run_binding(&binding).map_err(failed)?.into_iter().map(named).collect()
    }
}
