//! Graphs of a bundle, run on tensors in the order of the manifest's entry. Only this file compares the names of tensors in
//! every run.

use std::sync::OnceLock;

use ndarray::ArrayView4;
use onemark_models::bundle::{Bundle, GraphEntry};
use onemark_models::network::SCORE;
use onemark_onnx::Weights;

use crate::RuntimeError;
use crate::backend::{self, Backend, CheckedGraph, Session, Tensor};

/// Inputs or outputs of a graph, in the order of its entry in the manifest.
pub(crate) type Tensors = Vec<Box<dyn Tensor>>;

/// Runs a session on the inputs of the graph's entry; gives the outputs of the entry. Numbers that are not finite are an error here,
/// because the next graph may turn them into zeros. On a GPU, this holds for the numbers that are read from it.
pub(crate) fn run(session: &dyn Session, entry: &GraphEntry, inputs: &[&dyn Tensor]) -> Result<Tensors, RuntimeError> {
    let names = entry.inputs.iter().map(|input| input.name.as_str());
    let inputs: Vec<(&str, &dyn Tensor)> = names.zip(inputs.iter().copied()).collect();
    let mut made = session.run(&inputs)?;
    let outputs = entry.outputs.iter().map(|output| {
        let index = made.iter().position(|(name, _)| *name == output.name);
        let index = index.ok_or_else(|| RuntimeError::Output {
            graph: entry.file.clone(),
            tensor: output.name.clone(),
            expected: format!("{:?}", output.shape),
            found: "nothing".into(),
        })?;
        let tensor = made.swap_remove(index).1;
        if tensor.is_on_host() && !all_finite(&tensor.array()?) {
            return Err(RuntimeError::NotFinite { graph: entry.file.clone(), tensor: output.name.clone() });
        }
        Ok(tensor)
    });
    outputs.collect()
}

fn all_finite(numbers: &ArrayView4<'_, f32>) -> bool {
    match numbers.as_slice_memory_order() {
        // Without a branch per number, the compiler makes wide instructions of this loop.
        Some(numbers) => numbers.iter().fold(true, |good, number| good & number.is_finite()),
        None => numbers.iter().all(|number| number.is_finite()),
    }
}

/// A score map with another shape than `[1, 1, side, side]`, or with scores that are not numbers.
pub(crate) fn wrong_score(graph: &GraphEntry, side: usize, found: impl Into<String>) -> RuntimeError {
    RuntimeError::Output {
        graph: graph.file.clone(),
        tensor: SCORE.into(),
        expected: format!("[1, 1, {side}, {side}] of numbers"),
        found: found.into(),
    }
}

/// A graph that its backend prepares when it is first needed: whole heads may never be. It was checked before.
pub(crate) struct LazySession {
    entry: GraphEntry,
    graph: CheckedGraph,
    threads: usize,
    session: OnceLock<Box<dyn Session>>,
}

impl LazySession {
    /// A graph of the bundle, to be run with this many threads. The bundle's graphs share `weights`.
    pub(crate) fn new(
        bundle: &Bundle,
        entry: &GraphEntry,
        weights: &Weights,
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let graph = backend::stated_graph(bundle, entry, weights)?;
        Ok(Self { entry: entry.clone(), graph, threads, session: OnceLock::new() })
    }

    /// The graph's entry in the manifest.
    pub(crate) fn entry(&self) -> &GraphEntry {
        &self.entry
    }

    /// Prepares the graph, unless that was done before.
    pub(crate) fn open(&self, backend: &dyn Backend) -> Result<&dyn Session, RuntimeError> {
        if let Some(session) = self.session.get() {
            return Ok(session.as_ref());
        }
        let session = backend.open(&self.graph, self.threads)?;
        // Another thread may have prepared it in the meantime.
        Ok(self.session.get_or_init(|| session).as_ref())
    }

    /// Runs the graph.
    pub(crate) fn run(&self, backend: &dyn Backend, inputs: &[&dyn Tensor]) -> Result<Tensors, RuntimeError> {
        run(self.open(backend)?, &self.entry, inputs)
    }
}
