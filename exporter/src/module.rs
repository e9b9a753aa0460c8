//! What passes rewrite: all graphs of a network, its numbers, and, towards the end, the bytes that they become.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array2;
use onemark_models::bundle::Tiling;
use onemark_models::bundle::{Precision, Span};
use onemark_models::checkpoint::{Checkpoint, Tensors, check_tensors};
use onemark_models::graph::{Graph, Shape};
use onemark_models::landmarks::LandmarkSet;
use onemark_models::network::{Architecture, LEVELS, is_own, template_vector_name};

use crate::ExportError;

/// A network on its way from checkpoint to bundle.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// What runs once per film. Empty before hoisting.
    pub trunk: Graph,
    /// What runs once per landmark; landmark `n` at `n - 1`. Before hoisting, each starts at the film.
    pub heads: Vec<Graph>,
    /// How heads can be run in part, where they can.
    pub plan: Option<Plan>,
    /// The numbers of the graphs' parameters.
    pub tensors: Tensors,
    /// How the bundle is to store them.
    pub precision: Precision,
    /// Films on the grid, `[size, size]` in [0, 1], by which the trunk is quantised; none: it is not.
    pub calibration: Vec<Array2<f32>>,
    /// Weights that are whole multiples, -64 to 64, of these scales of their output channels.
    pub int8: BTreeMap<String, Vec<f32>>,
    /// The parameters that stay tensors of their own, by name, so that they can be replaced in the bundle.
    pub constants: Tensors,
    /// All numbers as the bundle holds them, once laid out.
    pub weights: Option<Weights>,
    /// The graphs as ONNX files, the trunk's first, once lowered.
    pub onnx: Vec<Vec<u8>>,
}

/// A head in two graphs that serve all landmarks, written with landmark 1's own parameters ([`onemark_models::network::placeholder`]).
#[derive(Clone, Debug)]
pub struct Plan {
    /// Runs on the whole field. Before hoisting, it starts at the film.
    pub coarse: Graph,
    /// Runs in one window: from slices of what trunk and coarse part made, to the scores of a tile.
    pub window: Graph,
    /// Where windows lie.
    pub tiling: Tiling,
    /// As many windows cost about what the rest of the whole head costs, by multiply-accumulates.
    pub most: usize,
}

/// The inputs that a graph for all landmarks has in place of landmark 1's own parameters: the parameters, and the inputs'
/// shapes. Vectors stand along the channels.
pub fn own_inputs(graph: &Graph) -> Vec<(String, Shape)> {
    let own = graph.params().iter().filter(|(name, _)| is_own(name));
    let shape = |shape: &Vec<usize>| match shape.as_slice() {
        [out, channels, rows, columns] => [*out, *channels, *rows, *columns],
        other => [1, other.iter().product(), 1, 1],
    };
    own.map(|(name, dims)| (name.clone(), shape(dims))).collect()
}

/// How a parameter is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Storage<'a> {
    /// As it is.
    F32,
    /// Rounded to half precision.
    F16,
    /// As whole multiples of these scales of its output channels.
    Int8(&'a [f32]),
}

/// The contents of `weights.bin`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// Little-endian, as [`Module::storage`] says.
    pub bytes: Vec<u8>,
    /// Where each parameter stands.
    pub spans: BTreeMap<String, Span>,
}

impl Module {
    /// The network of a checkpoint as it was trained: one whole graph per landmark, to be stored in f32.
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

    /// All graphs: the trunk, the heads, and the plan's coarse and window graph.
    pub fn graphs(&self) -> impl Iterator<Item = &Graph> {
        let plan = self.plan.iter().flat_map(|plan| [&plan.coarse, &plan.window]);
        std::iter::once(&self.trunk).chain(&self.heads).chain(plan)
    }

    /// Rewrites every graph.
    ///
    /// # Errors
    /// The first that `rewrite` returns.
    pub fn rewrite<E>(&mut self, mut rewrite: impl FnMut(&Graph) -> Result<Graph, E>) -> Result<(), E> {
        let plan = self.plan.iter_mut().flat_map(|plan| [&mut plan.coarse, &mut plan.window]);
        for graph in std::iter::once(&mut self.trunk).chain(&mut self.heads).chain(plan) {
            *graph = rewrite(graph)?;
        }
        Ok(())
    }

    /// How the bundle stores a parameter.
    pub fn storage(&self, name: &str) -> Storage<'_> {
        match (self.int8.get(name), self.precision) {
            (Some(scales), _) => Storage::Int8(scales),
            // A scale of levels is one number, and all levels hang on it.
            _ if self.constants.contains_key(name) || name.ends_with(".scale") => Storage::F32,
            (None, Precision::F32) => Storage::F32,
            (None, Precision::F16) => Storage::F16,
        }
    }

    /// Forgets the tensors that no graph reads any more.
    pub fn forget_unused_tensors(&mut self) {
        let used: BTreeSet<String> = self.graphs().flat_map(|graph| graph.params().keys().cloned()).collect();
        self.tensors.retain(|name, _| used.contains(name));
    }
}
