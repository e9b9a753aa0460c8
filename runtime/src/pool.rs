//! Sessions of one graph for several threads.

use std::sync::{Condvar, Mutex, PoisonError};

use onemark_models::bundle::{Bundle, GraphEntry};
use onemark_onnx::Weights;

use crate::RuntimeError;
use crate::backend::{self, Backend, Session, Tensor};
use crate::session::{self, Tensors};

/// As many sessions of one graph as there are threads, since a session may answer one thread at a time.
pub(crate) struct Pool {
    entry: GraphEntry,
    free: Mutex<Vec<Box<dyn Session>>>,
    returned: Condvar,
}

impl Pool {
    /// Opens the graph `count` times, for one thread each.
    pub(crate) fn open(
        bundle: &Bundle,
        entry: &GraphEntry,
        weights: &Weights,
        backend: &dyn Backend,
        count: usize,
    ) -> Result<Self, RuntimeError> {
        let graph = backend::stated_graph(bundle, entry, weights)?;
        let sessions = (0..count).map(|_| backend.open(&graph, 1)).collect::<Result<_, _>>()?;
        Ok(Self { entry: entry.clone(), free: Mutex::new(sessions), returned: Condvar::new() })
    }

    /// Runs the graph on the inputs of its entry; blocks until a session is free.
    pub(crate) fn run(&self, inputs: &[&dyn Tensor]) -> Result<Tensors, RuntimeError> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let session = loop {
            match free.pop() {
                Some(session) => break session,
                None => free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(free);
        let result = session::run(session.as_ref(), &self.entry, inputs);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        self.returned.notify_one();
        result
    }
}
