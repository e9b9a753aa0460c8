//! The module, which passes rewrite: all graphs of a network and the values of its parameters.

use std::collections::{BTreeMap, BTreeSet};

use onemark_models::bundle::Tiling;
use onemark_models::checkpoint::{Checkpoint, parameters};
use onemark_models::graph::{Graph, Level, Of, ParamId, Parameters};
use onemark_models::landmarks::{LandmarkId, LandmarkSet};
use onemark_models::network::Architecture;

use crate::ExportError;

/// A network between checkpoint and bundle.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The graph that runs once per film. It is empty before hoisting.
    pub trunk: Graph,
    /// The graphs that run once per landmark, in landmark order. Before hoisting, each starts at the film.
    pub heads: Vec<Graph>,
    /// How heads run in windows, if they can.
    pub split_head: Option<SplitHead>,
    /// The values of the graphs' parameters, with those of each landmark for graphs that serve any landmark.
    pub tensors: Parameters,
    /// The quantised weights: their values are integers, -64 to 64, times these steps of their output channels.
    pub steps: BTreeMap<ParamId, Vec<f32>>,
}

/// A head as two graphs that serve any landmark. The landmark's parameters and outputs of the trunk are their inputs.
#[derive(Clone, Debug)]
pub struct SplitHead {
    /// The coarse graph, which runs on the whole field. Before hoisting, it starts at the film.
    pub coarse: Graph,
    /// The window graph: from slices of the outputs of trunk and coarse graph to the scores of a tile.
    pub window: Graph,
    /// The positions of windows.
    pub tiling: Tiling,
    /// The number of windows that cost as much as the rest of the whole head, by multiply-accumulates.
    pub max_windows: usize,
}

impl Module {
    /// The trained network of a checkpoint: one whole graph per landmark.
    ///
    /// # Errors
    /// The checkpoint lacks a tensor or the template vectors, or a tensor has another shape than the recipe states.
    pub fn new(checkpoint: &Checkpoint, landmarks: &LandmarkSet) -> Result<Self, ExportError> {
        let architecture = Architecture::from(&checkpoint.recipe);
        let landmarks = LandmarkId::up_to(landmarks.len());
        let heads = landmarks.map(|landmark| architecture.graph(landmark)).collect::<Result<Vec<_>, _>>()?;
        let vector = ParamId::vector(Of::One(LandmarkId::from_index(0)), Level::COARSE_TO_FINE[0]);
        if !checkpoint.tensors.contains_key(&vector.to_string()) {
            return Err(ExportError::NoTemplateVectors);
        }
        let expected = heads.iter().flat_map(|head| head.params().clone()).collect();
        let tensors = parameters(&checkpoint.tensors, &expected)?;
        Ok(Self { trunk: Graph::new("trunk"), heads, tensors, ..Self::default() })
    }

    /// All graphs: the trunk, the heads, and the coarse and the window graph.
    pub fn graphs(&self) -> impl Iterator<Item = &Graph> {
        let split = self.split_head.iter().flat_map(|split| [&split.coarse, &split.window]);
        std::iter::once(&self.trunk).chain(&self.heads).chain(split)
    }

    /// Rewrites every graph.
    ///
    /// # Errors
    /// The first error of `rewrite`.
    pub fn rewrite<E>(&mut self, mut rewrite: impl FnMut(&Graph) -> Result<Graph, E>) -> Result<(), E> {
        let split = self.split_head.iter_mut().flat_map(|split| [&mut split.coarse, &mut split.window]);
        for graph in std::iter::once(&mut self.trunk).chain(&mut self.heads).chain(split) {
            *graph = rewrite(graph)?;
        }
        Ok(())
    }

    /// The parameters that the graphs read. A parameter of any landmark is replaced by those of each landmark.
    pub fn params(&self) -> impl Iterator<Item = ParamId> {
        self.graphs().flat_map(|graph| graph.params().keys()).flat_map(|param| param.each(self.heads.len()))
    }

    /// Removes the tensors that no graph reads.
    pub fn forget_unused_tensors(&mut self) {
        let used: BTreeSet<ParamId> = self.params().collect();
        self.tensors.retain(|param, _| used.contains(param));
    }
}
