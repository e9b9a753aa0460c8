//! What passes rewrite: all graphs of a network, its numbers, and, towards the end, the bytes that they become.

use std::collections::BTreeMap;

use onemark_models::bundle::Span;
use onemark_models::checkpoint::{Checkpoint, Tensors, check_tensors};
use onemark_models::graph::Graph;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::network::{Architecture, LEVELS, template_vector_name};

use crate::ExportError;

/// A network on its way from checkpoint to bundle.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// What runs once per film. Empty before hoisting.
    pub trunk: Graph,
    /// What runs once per landmark; landmark `n` at `n - 1`. Before hoisting, each starts at the film.
    pub heads: Vec<Graph>,
    /// The numbers of the graphs' parameters.
    pub tensors: Tensors,
    /// The parameters that stay tensors of their own, by name, so that they can be replaced in the bundle.
    pub constants: Tensors,
    /// All numbers as the bundle holds them, once laid out.
    pub weights: Option<Weights>,
    /// The graphs as ONNX files, the trunk's first, once lowered.
    pub onnx: Vec<Vec<u8>>,
}

/// The contents of `weights.bin`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// Little-endian f32.
    pub bytes: Vec<u8>,
    /// Where each parameter stands.
    pub spans: BTreeMap<String, Span>,
}

impl Module {
    /// The network of a checkpoint as it was trained: one whole graph per landmark.
    ///
    /// # Errors
    /// The checkpoint lacks a tensor, or one has another shape than its recipe says; it has no template vectors yet.
    pub fn new(checkpoint: &Checkpoint, landmarks: &LandmarkSet) -> Result<Self, ExportError> {
        let architecture = Architecture::from(&checkpoint.recipe);
        let heads = (1..=landmarks.len()).map(|number| architecture.graph(number)).collect::<Result<Vec<_>, _>>()?;
        if !checkpoint.tensors.contains_key(&template_vector_name(1, LEVELS[0])) {
            return Err(ExportError::NoTemplateVectors);
        }
        let mut tensors = Tensors::new();
        for graph in &heads {
            check_tensors(&checkpoint.tensors, graph.params())?;
            for (name, tensor) in graph.params().keys().filter_map(|name| checkpoint.tensors.get_key_value(name)) {
                if !tensors.contains_key(name) {
                    tensors.insert(name.clone(), tensor.clone());
                }
            }
        }
        Ok(Self { trunk: Graph::new("trunk"), heads, tensors, ..Self::default() })
    }

    /// All graphs, the trunk first.
    pub fn graphs(&self) -> impl Iterator<Item = &Graph> {
        std::iter::once(&self.trunk).chain(&self.heads)
    }

    /// Forgets the tensors that no graph reads any more.
    pub fn forget_unused_tensors(&mut self) {
        let Self { trunk, heads, tensors, .. } = self;
        tensors.retain(|name, _| {
            trunk.params().contains_key(name) || heads.iter().any(|head| head.params().contains_key(name))
        });
    }
}
