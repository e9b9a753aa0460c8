//! tract: pure Rust, compiled in, so it needs no library.

use std::any::Any;
use std::collections::HashMap;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ndarray::{Array4, ArrayView4, Ix4};
use tract_linalg::multithread::Executor;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::knobs::KnobScope;

use super::{Backend, BackendKind, CheckedGraph, Outputs, Session, Tensor};
use crate::RuntimeError;

mod winograd;

/// tract on the CPU.
#[derive(Default)]
pub(super) struct Tract {
    /// Why `auto` could not take ONNX Runtime.
    pub(super) instead_of: Option<String>,
}

impl Backend for Tract {
    fn name(&self) -> &'static str {
        BackendKind::Tract.name()
    }

    fn about(&self) -> String {
        let because = self.instead_of.as_ref().map(|why| format!(", because {why}"));
        format!("tract, built in{}", because.unwrap_or_default())
    }

    fn open(&self, graph: &CheckedGraph, threads: usize) -> Result<Box<dyn Session>, RuntimeError> {
        let opened = caught(|| {
            let model = decode(graph)?;
            let main = || model.graph.iter();
            let is_constant = |name: &str| main().flat_map(|main| &main.initializer).any(|tensor| tensor.name == name);
            let inputs = main().flat_map(|main| &main.input).map(|input| input.name.clone());
            let inputs = inputs.filter(|name| !is_constant(name)).collect();
            let outputs = main().flat_map(|main| &main.output).map(|output| output.name.clone()).collect();
            Ok((inputs, outputs, plan(&model, threads)?))
        });
        let (inputs, outputs, plan) = opened.map_err(|cause| RuntimeError::graph(graph.file(), cause))?;
        Ok(Box::new(TractSession { graph: graph.file().to_owned(), inputs, outputs, plan }))
    }

    fn keep(&self, numbers: Array4<f32>) -> Result<Box<dyn Tensor>, RuntimeError> {
        Ok(Box::new(BackendTensor(numbers.into_tvalue())))
    }
}

/// The graph in tract's messages, with all numbers inside, since tract would look for other files on disk.
fn decode(graph: &CheckedGraph) -> TractResult<ModelProto> {
    let mut model = tract_onnx::onnx().proto_model_for_read(&mut graph.bytes())?;
    let external: HashMap<&str, &[u8]> = graph.external().collect();
    for tensor in model.graph.iter_mut().flat_map(|main| &mut main.initializer) {
        if let Some(bytes) = external.get(tensor.name.as_str()) {
            tensor.raw_data = bytes.to_vec();
            tensor.data_location = None;
            tensor.external_data.clear();
        }
    }
    Ok(model)
}

fn plan(model: &ModelProto, threads: usize) -> TractResult<Arc<TypedSimplePlan>> {
    let executor = if threads > 1 { Executor::multithread(threads) } else { Executor::SingleThread };
    let options = RunOptions { executor: Some(executor), ..RunOptions::default() };
    let mut model = tract_onnx::onnx().model_for_proto_model(model)?.into_typed()?.into_decluttered()?;
    let model = knobs()?.enter(|| {
        winograd::rewrite(&mut model)?;
        model.into_optimized()
    });
    model?.into_runnable_with_options(&options)
}

/// A tensor in tract's own layout; copies of it share its memory.
struct BackendTensor(TValue);

impl Tensor for BackendTensor {
    fn array(&self) -> Result<ArrayView4<'_, f32>, RuntimeError> {
        let array = || self.0.to_plain_array_view::<f32>()?.into_dimensionality::<Ix4>().map_err(TractError::from);
        array().map_err(|error: TractError| RuntimeError::tensor(BackendKind::Tract.name(), error))
    }
}

/// How tract computes. Its direct convolution uses AVX2 at most; with AVX-512 its matrix product is faster.
fn knobs() -> TractResult<KnobScope> {
    #[cfg(target_arch = "x86_64")]
    let product_is_faster = is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    let product_is_faster = false;
    KnobScope::new(product_is_faster.then_some(("TRACT_DISABLE_DIRECT_SPATIAL", "1")))
}

struct TractSession {
    graph: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    plan: Arc<TypedSimplePlan>,
}

impl Session for TractSession {
    fn run(&self, inputs: &[(&str, &dyn Tensor)]) -> Result<Outputs, RuntimeError> {
        let tensor = |wanted: &String| {
            let given = inputs.iter().find(|(name, _)| name == wanted);
            let given = given.ok_or_else(|| self.failed(format!("input {wanted} is missing").into()))?.1;
            Ok(match (given as &dyn Any).downcast_ref::<BackendTensor>() {
                Some(BackendTensor(tensor)) => tensor.clone(),
                None => given.array()?.to_owned().into_tvalue(),
            })
        };
        let inputs = self.inputs.iter().map(tensor).collect::<Result<TVec<TValue>, RuntimeError>>()?;
        let outputs = caught(|| self.plan.run(inputs)).map_err(|cause| self.failed(cause))?;
        let named =
            |(name, tensor): (&String, TValue)| (name.clone(), Box::new(BackendTensor(tensor)) as Box<dyn Tensor>);
        Ok(self.outputs.iter().zip(outputs).map(named).collect())
    }
}

impl TractSession {
    fn failed(&self, cause: Box<dyn Error + Send + Sync>) -> RuntimeError {
        RuntimeError::run(&self.graph, BackendKind::Tract.name(), cause)
    }
}

/// Runs tract, whose rare panics must not reach a host: it panics on some malformed graphs and if threads are refused.
fn caught<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, Box<dyn Error + Send + Sync>> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err("tract panicked".into()),
    }
}
