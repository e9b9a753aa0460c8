//! ONNX Runtime, on the CPU or on CUDA: the library is found and loaded when first needed, never linked.
//!
//! ONNX Runtime allows one environment per process, for good; it is the one global that Onemark has.

use std::env;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use ndarray::{Array4, ArrayView4};
use ort::ep::{self, ExecutionProvider as _};
use ort::session::builder::SessionBuilder;
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::TensorRef;
use prost::Message as _;

use super::{Backend, GraphBytes, Outputs, Session, probe, weights};
use crate::RuntimeError;
use onemark_models::bundle::WEIGHTS;

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
    let cache = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache")));
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
            .with_tf32(false)
            // The exhaustive search takes whatever is fastest that day, and so gives other last digits another day.
            .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
            .build()
            .error_on_failure();
        builder.with_execution_providers([cuda]).map_err(text)
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
            builder.commit_from_memory(&onnx).map_err(text)
        };
        let session = open().map_err(|why| RuntimeError::Graph { graph: graph.file.to_owned(), why })?;
        let (graph, backend) = (graph.file.to_owned(), self.name());
        Ok(Box::new(LoadedGraph { graph, backend, session: Mutex::new(session) }))
    }
}

struct LoadedGraph {
    graph: String,
    backend: &'static str,
    // Its `run` is not safe to enter twice, whatever ONNX Runtime's manual says; see `ort`'s own remark there.
    session: Mutex<OrtSession>,
}

impl Session for LoadedGraph {
    fn run(&self, inputs: &[(&str, ArrayView4<'_, f32>)]) -> Result<Outputs, RuntimeError> {
        let run = || {
            let arrays: Vec<_> = inputs.iter().map(|(name, view)| (*name, view.as_standard_layout())).collect();
            let mut values: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(arrays.len());
            for (name, array) in &arrays {
                let numbers = array.as_slice().unwrap_or_default();
                values.push((name, TensorRef::from_array_view((array.shape(), numbers)).map_err(text)?.into()));
            }
            let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            let outputs = session.run(values).map_err(text)?;
            let array = |(name, value): (&str, ort::value::ValueRef<'_>)| {
                let (shape, numbers) = value.try_extract_tensor::<f32>().map_err(text)?;
                let shape: Vec<usize> = shape.iter().filter_map(|side| usize::try_from(*side).ok()).collect();
                let shape: [usize; 4] = shape.try_into().map_err(|shape| format!("{name} has shape {shape:?}"))?;
                let array = Array4::from_shape_vec(shape, numbers.to_vec()).map_err(|error| error.to_string())?;
                Ok((name.to_owned(), array))
            };
            outputs.iter().map(array).collect::<Result<Outputs, String>>()
        };
        run().map_err(|why| RuntimeError::Run { graph: self.graph.clone(), backend: self.backend, why })
    }
}

fn text<R>(error: ort::Error<R>) -> String {
    error.to_string()
}
