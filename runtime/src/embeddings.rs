//! What heads compare: the vectors of a film's cells, and the score of a film's cells for any vectors, by the reference
//! interpreter. Slower than a head, which has its own vectors built in.

use std::collections::BTreeMap;

use ndarray::{Array2, Array4, s};
use onemark_film::geometry::Cell;
use onemark_models::graph::Graph;
use onemark_models::network::{LEVELS, SCORE, embedding_name, score_graph, template_vector_name};
use onemark_models::reference::{self, Tensors};

use crate::RuntimeError;

/// The landmark that a score graph takes its vectors for.
const ANY: usize = 1;

/// The embeddings that one landmark's head makes of a film, by name: `[1, channels, rows, columns]`.
pub(crate) struct Embeddings(BTreeMap<String, Array4<f32>>);

/// The vectors that a landmark is looked for with, level 5 first.
pub(crate) type Vectors = [Vec<f32>; LEVELS.len()];

/// From embeddings and vectors to scores.
pub(crate) struct Scorer(Graph);

impl Embeddings {
    pub(crate) fn new(maps: BTreeMap<String, Array4<f32>>) -> Self {
        Self(maps)
    }

    /// The vectors of the cells that hold this cell of the grid; empty where the bundle's graphs make none.
    pub(crate) fn at(&self, Cell { row, column }: Cell) -> Vectors {
        LEVELS.map(|level| match self.0.get(&embedding_name(level)) {
            Some(map) => map.slice(s![0, .., row >> level, column >> level]).to_vec(),
            None => Vec::new(),
        })
    }
}

impl Scorer {
    /// For embeddings like these, on a grid of this side.
    pub(crate) fn new(side: usize, like: &Embeddings) -> Result<Self, RuntimeError> {
        let channels = like.0.values().next().map_or(0, |map| map.shape()[1]);
        let graph = score_graph(side, channels, ANY);
        graph.map(Self).map_err(|why| RuntimeError::Graph { graph: "score".into(), why: why.to_string() })
    }

    /// The score of every cell, axes [row, column].
    pub(crate) fn score(&self, embeddings: &Embeddings, vectors: &Vectors) -> Result<Array2<f32>, RuntimeError> {
        let vectors = LEVELS.iter().zip(vectors);
        let named = |(level, vector): (&usize, &Vec<f32>)| {
            (template_vector_name(ANY, *level), ndarray::Array1::from(vector.clone()).into_dyn())
        };
        let vectors: Tensors = vectors.map(named).collect();
        let mut outputs = reference::run(&self.0, &vectors, &embeddings.0).map_err(|why| RuntimeError::Run {
            graph: "score".into(),
            backend: "reference",
            why: why.to_string(),
        })?;
        let map = outputs.remove(SCORE).unwrap_or_default();
        Ok(map.slice_move(s![0, 0, .., ..]))
    }
}
