//! The embedding graphs of a network: one per landmark, or one for all.

use onemark_models::graph::Graph;
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::Architecture;
use onemark_models::network::config::Network;
use onemark_models::recipe::Recipe;

use crate::TrainError;

/// The embedding graphs: one per landmark, or one for all while nothing in them depends on the landmark.
pub struct Heads {
    graphs: Vec<Graph>,
    landmarks: usize,
}

impl Heads {
    /// The graphs of the recipe's network, with or without its adapters.
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn new(recipe: &Recipe, landmarks: usize, adapters: bool) -> Result<Self, TrainError> {
        let without = Network { adapter_channels: 0, ..recipe.network.clone() };
        let network = if adapters { &recipe.network } else { &without };
        let architecture = Architecture { trunk: &recipe.trunk, network };
        let owners: Vec<Option<LandmarkId>> = match architecture.owner(LandmarkId::from_index(0)) {
            Some(_) => LandmarkId::up_to(landmarks).map(Some).collect(),
            None => vec![None],
        };
        let graphs = owners.into_iter().map(|owner| Ok(architecture.embedding_graph(owner)?));
        Ok(Self { graphs: graphs.collect::<Result<_, TrainError>>()?, landmarks })
    }

    /// Number of graphs.
    pub fn count(&self) -> usize {
        self.graphs.len()
    }

    /// Number of landmarks.
    pub fn landmarks(&self) -> usize {
        self.landmarks
    }

    /// The graph of a landmark (0-based); for `None`, the one for all.
    pub fn graph(&self, landmark: Option<usize>) -> &Graph {
        &self.graphs[landmark.unwrap_or(0) % self.graphs.len()]
    }

    /// Each graph with the landmarks (0-based) that it serves.
    pub fn served(&self) -> impl Iterator<Item = (&Graph, Vec<usize>)> {
        let each = self.landmarks / self.graphs.len();
        let range = move |index: usize| (index * each..(index + 1) * each).collect();
        self.graphs.iter().enumerate().map(move |(index, graph)| (graph, range(index)))
    }
}
