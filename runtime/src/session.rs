//! Graphs of a bundle, run on tensors in the order of the manifest's entry. Only this file compares the names of tensors in
//! every run.

use std::sync::{Arc, OnceLock};

use onemark_models::bundle::{Bundle, GraphEntry, WEIGHTS};
use onemark_models::network::SCORE;

use crate::RuntimeError;
use crate::backend::{self, Backend, Session, Tensor};

/// Inputs or outputs of a graph, in the order of its entry in the manifest.
pub(crate) type Tensors = Vec<Box<dyn Tensor>>;

/// Runs a session on the inputs of the graph's entry; gives the outputs of the entry.
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
        Ok(made.swap_remove(index).1)
    });
    outputs.collect()
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

/// A graph that its backend prepares when it is first needed: whole heads may never be.
pub(crate) struct LazySession {
    entry: GraphEntry,
    onnx: Arc<[u8]>,
    weights: Arc<[u8]>,
    threads: usize,
    session: OnceLock<Box<dyn Session>>,
}

impl LazySession {
    /// A graph of the bundle, to be run with this many threads.
    pub(crate) fn new(bundle: &Bundle, entry: &GraphEntry, threads: usize) -> Result<Self, RuntimeError> {
        let (onnx, weights) = (bundle.bytes(&entry.file)?.clone(), bundle.bytes(WEIGHTS)?.clone());
        Ok(Self { entry: entry.clone(), onnx, weights, threads, session: OnceLock::new() })
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
        let graph = backend::check(&self.entry.file, &self.onnx, &self.weights)?;
        let session = backend.open(&graph, self.threads)?;
        // Another thread may have prepared it in the meantime.
        Ok(self.session.get_or_init(|| session).as_ref())
    }

    /// Runs the graph.
    pub(crate) fn run(&self, backend: &dyn Backend, inputs: &[&dyn Tensor]) -> Result<Tensors, RuntimeError> {
        run(self.open(backend)?, &self.entry, inputs)
    }
}
