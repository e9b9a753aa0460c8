//! Embeddings: the vectors of a film's cells, and the scores of the cells for any template vectors, by the reference interpreter.
//! Slower than a head, whose template vectors are built in.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, Array4, s};
use onemark_film::geometry::Cell;
use onemark_models::graph::{Graph, Level, Of, ParamId, Parameters, Port};
use onemark_models::network::score_graph;
use onemark_models::reference::{self, Maps};

use crate::RuntimeError;

/// The embeddings that one landmark's head makes of a film: `[1, channels, rows, columns]`.
pub(crate) struct Embeddings(Maps);

/// A landmark's template vectors, level 5 first.
pub(crate) type Vectors = [Vec<f32>; Level::COARSE_TO_FINE.len()];

/// From embeddings and vectors to scores.
pub(crate) struct Scorer(Graph);

impl Embeddings {
    /// Takes the embeddings from maps by name.
    pub(crate) fn new(mut maps: BTreeMap<String, Array4<f32>>) -> Self {
        let ports = Level::COARSE_TO_FINE.map(Port::Embedding);
        Self(ports.into_iter().filter_map(|port| Some((port.clone(), maps.remove(&port.to_string())?))).collect())
    }

    /// The vectors of the cells that contain this cell of the grid; empty on levels for which the bundle has no embeddings.
    pub(crate) fn at(&self, Cell { row, column }: Cell) -> Vectors {
        Level::COARSE_TO_FINE.map(|level| match self.0.get(&Port::Embedding(level)) {
            Some(map) => map.slice(s![0, .., row / level.stride(), column / level.stride()]).to_vec(),
            None => Vec::new(),
        })
    }
}

impl Scorer {
    /// For embeddings like these, on a grid of this side.
    pub(crate) fn new(side: usize, like: &Embeddings) -> Result<Self, RuntimeError> {
        let channels = like.0.values().next().map_or(0, |map| map.shape()[1]);
        let graph = score_graph(side, channels, Of::Any);
        graph.map(Self).map_err(|error| RuntimeError::graph("score", error))
    }

    /// The score of every cell, axes [row, column].
    pub(crate) fn score(&self, embeddings: &Embeddings, vectors: &Vectors) -> Result<Array2<f32>, RuntimeError> {
        let vectors = Level::COARSE_TO_FINE.into_iter().zip(vectors);
        let vectors: Parameters = vectors
            .map(|(level, vector)| (ParamId::vector(Of::Any, level), Array1::from(vector.clone()).into_dyn()))
            .collect();
        let outputs = reference::run(&self.0, &vectors, &embeddings.0);
        let mut outputs = outputs.map_err(|error| RuntimeError::run("score", "reference", error))?;
        let map = outputs.remove(&Port::Score).unwrap_or_default();
        Ok(map.slice_move(s![0, 0, .., ..]))
    }
}
