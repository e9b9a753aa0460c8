//! ONNX Runtime, on the CPU or on CUDA: the library is found and loaded when first needed, never linked.
//!
//! ONNX Runtime allows one environment per process, for good; it is the one global that Onemark has.

use std::any::Any;
use std::env;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use etcetera::BaseStrategy as _;
use ndarray::{Array4, ArrayView4};
use ort::ep::{self, ExecutionProvider as _};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session as OrtSession;
use ort::session::builder::SessionBuilder;
use ort::value::{DynValue, Tensor as OrtTensor};
use prost::Message as _;

use super::{Backend, GraphBytes, Outputs, Session, Tensor, probe, weights};
use crate::RuntimeError;
use onemark_models::bundle::WEIGHTS;

/// The GPU in use, with CUDA: the first.
const DEVICE: i32 = 0;

/// The ONNX Runtime in use.
#[derive(Clone, Debug)]
pub struct Library {
    /// Its file.
    pub path: PathBuf,
    /// Its version, as far as `ort` tells it: "1.31".
    pub version: String,
    /// Whether it was built with CUDA; a driver and a device may still be missing.
    pub cuda: bool,
}

/// Finds and loads ONNX Runtime: `ORT_DYLIB_PATH`, then beside the executable, then
/// `${XDG_CACHE_HOME:-~/.cache}/onemark/onnxruntime`, where `cargo xtask setup` puts it.
///
/// # Errors
/// [`RuntimeError::Library`] with the places that were looked at, or what the loader said.
pub fn library() -> Result<&'static Library, RuntimeError> {
    runtime().map(|(_, library)| library)
}

fn runtime() -> Result<&'static (ort::environment::Environment, Library), RuntimeError> {
    static RUNTIME: OnceLock<Result<(ort::environment::Environment, Library), String>> = OnceLock::new();
    let load = || {
        let path = find()?;
        // Nothing else of `ort` may be called before this succeeds: it would panic for want of the library.
        let builder = ort::init_from(&path).map_err(|error| error.to_string())?;
        let environment = builder.with_name("onemark").with_telemetry(false).build().map_err(text)?;
        // What goes wrong comes back as an error; nothing is to be written past it.
        environment.set_log_level(ort::logging::LogLevel::Fatal);
        let version = ort::util::probe(&path).map_or("of unknown version".into(), |minor| format!("1.{minor}"));
        let cuda = ep::CUDA::is_available().unwrap_or(false);
        Ok((environment, Library { path, version, cuda }))
    };
    RUNTIME.get_or_init(load).as_ref().map_err(|why| RuntimeError::Library { why: why.clone() })
}

fn find() -> Result<PathBuf, String> {
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return path.canonicalize().map_err(|error| format!("ORT_DYLIB_PATH is {}: {error}", path.display()));
    }
    let beside = env::current_exe().ok().and_then(|executable| Some(executable.parent()?.to_owned()));
    let cache = etcetera::choose_base_strategy().ok().map(|folders| folders.cache_dir());
    let folders = [beside, cache.map(|cache| cache.join("onemark/onnxruntime"))];
    let file = format!("{}onnxruntime{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let places: Vec<PathBuf> = folders.into_iter().flatten().map(|folder| folder.join(&file)).collect();
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| {
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        format!(
            "ORT_DYLIB_PATH is not set and there is no {} (`cargo xtask setup` puts it there)",
            places.join(" nor ")
        )
    })
}

/// ONNX Runtime with one execution provider.
pub(super) struct OnnxRuntime {
    environment: ort::environment::Environment,
    library: &'static Library,
    cuda: bool,
}

impl OnnxRuntime {
    /// On the CPU.
    pub(super) fn cpu() -> Result<Self, RuntimeError> {
        let (environment, library) = runtime()?;
        Ok(Self { environment: environment.clone(), library, cuda: false })
    }

    /// On CUDA, after a first small run there: a library built with CUDA may still lack a driver, a device or cuDNN.
    pub(super) fn cuda() -> Result<Self, RuntimeError> {
        let backend = Self { cuda: true, ..Self::cpu()? };
        if !backend.library.cuda {
            let path = backend.library.path.display();
            let why = format!("{path} was built without it; `cargo xtask setup --cuda` fetches one that has it");
            return Err(RuntimeError::Cuda { why });
        }
        probe::run(&backend).map_err(|error| RuntimeError::Cuda { why: error.to_string() })?;
        Ok(backend)
    }

    /// Everything that changes numbers or speed is said here, none of it left to ONNX Runtime's defaults.
    fn builder(&self, threads: usize) -> Result<SessionBuilder, String> {
        let builder = SessionBuilder::new(&self.environment).map_err(text)?;
        let builder = builder.with_no_environment_execution_providers().map_err(text)?;
        let builder = builder.with_intra_threads(threads).map_err(text)?.with_inter_threads(1).map_err(text)?;
        // A waiting pool that spins takes its cores from the heads, which run on threads of their own.
        let builder = builder.with_intra_op_spinning(false).map_err(text)?;
        let builder = builder.with_deterministic_compute(true).map_err(text)?;
        // Each session would keep its largest working memory for good, twenty times what one of them needs at a time.
        let cpu = ep::CPU::default().with_arena_allocator(false).build().error_on_failure();
        if !self.cuda {
            return builder.with_execution_providers([cpu]).map_err(text);
        }
        let cuda = ep::CUDA::default()
            .with_device_id(DEVICE)
            .with_tf32(false)
            // The exhaustive search takes whatever is fastest that day, and so gives other last digits another day.
            .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
            .build()
            .error_on_failure();
        builder.with_execution_providers([cuda]).map_err(text)
    }

    /// Where tensors stay between graphs.
    fn device(&self) -> AllocationDevice<'static> {
        if self.cuda { AllocationDevice::CUDA } else { AllocationDevice::CPU }
    }
}

impl Backend for OnnxRuntime {
    fn name(&self) -> &'static str {
        if self.cuda { "onnxruntime-cuda" } else { "onnxruntime" }
    }

    fn about(&self) -> String {
        let device = if self.cuda { "CUDA" } else { "CPU" };
        format!("ONNX Runtime {} on {device}, {}", self.library.version, self.library.path.display())
    }

    fn open(&self, graph: GraphBytes<'_>, threads: usize) -> Result<Box<dyn Session>, RuntimeError> {
        // Written anew from what was checked: ONNX Runtime can't read anything into it that the check did not see.
        let onnx = weights::check(graph)?.encode_to_vec();
        let open = || {
            let builder = self.builder(threads)?;
            let mut builder =
                builder.with_external_initializer_file_in_memory(WEIGHTS, graph.weights.clone()).map_err(text)?;
            let memory = MemoryInfo::new(self.device(), DEVICE, AllocatorType::Device, MemoryType::Default);
            Ok((builder.commit_from_memory(&onnx).map_err(text)?, memory.map_err(text)?))
        };
        let (session, memory) = open().map_err(|why| RuntimeError::Graph { graph: graph.file.to_owned(), why })?;
        let (graph, backend) = (graph.file.to_owned(), self.name());
        Ok(Box::new(LoadedGraph { graph, backend, memory, session: Mutex::new(session) }))
    }

    fn keep(&self, numbers: Array4<f32>) -> Result<Box<dyn Tensor>, RuntimeError> {
        let keep = || {
            let value = OrtTensor::from_array(numbers).map_err(text)?;
            if self.cuda { value.to(self.device(), DEVICE).map_err(text) } else { Ok(value) }
        };
        let value = keep().map_err(|why| RuntimeError::Tensor { backend: self.name(), why })?;
        Ok(Box::new(Kept { value, backend: self.name(), host: OnceLock::new() }))
    }
}

/// A tensor of ONNX Runtime's, on the CPU or on the GPU.
struct Kept {
    value: OrtTensor<f32>,
    backend: &'static str,
    /// Its copy, where it is on the GPU and was looked at.
    host: OnceLock<OrtTensor<f32>>,
}

impl Kept {
    fn host(&self) -> Result<&OrtTensor<f32>, String> {
        if self.value.memory_info().is_cpu_accessible() {
            return Ok(&self.value);
        }
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let host = self.value.to(AllocationDevice::CPU, 0).map_err(text)?;
        Ok(self.host.get_or_init(|| host))
    }
}

impl Tensor for Kept {
    fn array(&self) -> Result<ArrayView4<'_, f32>, RuntimeError> {
        let array = || {
            let array = self.host()?.extract_array();
            array.into_dimensionality().map_err(|error| error.to_string())
        };
        array().map_err(|why| RuntimeError::Tensor { backend: self.backend, why })
    }
}

struct LoadedGraph {
    graph: String,
    backend: &'static str,
    /// Where its outputs go.
    memory: MemoryInfo<'static>,
    // Its `run` is not safe to enter twice, whatever ONNX Runtime's manual says; see `ort`'s own remark there.
    session: Mutex<OrtSession>,
}

impl Session for LoadedGraph {
    fn run(&self, inputs: &[(&str, &dyn Tensor)]) -> Result<Outputs, RuntimeError> {
        let failed = |error: ort::Error| RuntimeError::Run {
            graph: self.graph.clone(),
            backend: self.backend,
            why: error.to_string(),
        };
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let mut binding = session.create_binding().map_err(failed)?;
        for (name, tensor) in inputs {
            match (*tensor as &dyn Any).downcast_ref::<Kept>() {
                Some(kept) => binding.bind_input(*name, &kept.value),
                None => OrtTensor::from_array(tensor.array()?.to_owned())
                    .and_then(|value| binding.bind_input(*name, &value)),
            }
            .map_err(failed)?;
        }
        for output in session.outputs() {
            binding.bind_output_to_device(output.name(), &self.memory).map_err(failed)?;
        }
        let kept = |(name, value): (&str, DynValue)| {
            let value = value.downcast().map_err(failed)?;
            let kept = Kept { value, backend: self.backend, host: OnceLock::new() };
            Ok((name.to_owned(), Box::new(kept) as Box<dyn Tensor>))
        };
        session.run_binding(&binding).map_err(failed)?.into_iter().map(kept).collect()
    }
}

fn text<R>(error: ort::Error<R>) -> String {
    error.to_string()
}
