//! A landmark's whole head: from the trunk's outputs to its score map.

use ndarray::{Array2, s};
use onemark_models::bundle::{Bundle, GraphEntry};
use onemark_models::landmarks::Landmark;
use onemark_models::network::SCORE;
use onemark_onnx::Weights;

use crate::RuntimeError;
use crate::backend::{Backend, Tensor};
use crate::session::{LazySession, Tensors, wrong_score};

/// A landmark and the graph that scores it on the whole film.
pub(crate) struct Head {
    pub(crate) landmark: Landmark,
    graph: LazySession,
    /// Which output of the trunk each input is.
    inputs: Vec<usize>,
    /// Which output the score is.
    score: usize,
}

impl Head {
    /// The graph of `entry`, whose inputs are outputs of `trunk`.
    pub(crate) fn new(
        bundle: &Bundle,
        trunk: &GraphEntry,
        landmark: &Landmark,
        entry: &GraphEntry,
        weights: &Weights,
    ) -> Result<Self, RuntimeError> {
        // The manifest's rules promise both.
        let missing = |what: String| RuntimeError::graph(&entry.file, what);
        let inputs = entry.inputs.iter().map(|input| {
            let index = trunk.outputs.iter().position(|output| output.name == input.name);
            index.ok_or_else(|| missing(format!("the trunk does not make its input `{}`", input.name)))
        });
        let score = entry.outputs.iter().position(|output| output.name == SCORE);
        Ok(Self {
            landmark: landmark.clone(),
            graph: LazySession::new(bundle, entry, weights, 1)?,
            inputs: inputs.collect::<Result<_, _>>()?,
            score: score.ok_or_else(|| missing(format!("it does not make `{SCORE}`")))?,
        })
    }

    /// The graph's entry in the manifest.
    pub(crate) fn entry(&self) -> &GraphEntry {
        self.graph.entry()
    }

    /// Prepares the graph, unless that was done before.
    pub(crate) fn open(&self, backend: &dyn Backend) -> Result<(), RuntimeError> {
        self.graph.open(backend).map(|_| ())
    }

    /// All outputs, from all outputs of the trunk.
    pub(crate) fn run(&self, backend: &dyn Backend, shared: &Tensors) -> Result<Tensors, RuntimeError> {
        let inputs: Vec<&dyn Tensor> = self.inputs.iter().map(|index| shared[*index].as_ref()).collect();
        self.graph.run(backend, &inputs)
    }

    /// The score map among the outputs, axes [row, column], of a grid with `side` rows and columns.
    pub(crate) fn score(&self, outputs: &Tensors, side: usize) -> Result<Array2<f32>, RuntimeError> {
        let score = outputs[self.score].array()?;
        if score.shape() != [1, 1, side, side] {
            return Err(wrong_score(self.entry(), side, format!("{:?}", score.shape())));
        }
        Ok(score.slice(s![0, 0, .., ..]).to_owned())
    }
}
