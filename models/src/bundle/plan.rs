//! The plan for pruned heads: how a head is run in windows, with the same result as on the whole field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GraphEntry, Precision, Span, TensorEntry, Tiling, names};
use crate::graph::{Port, Shape};

/// A head as two graphs that serve all landmarks. The coarse graph runs on the whole field and bounds the score; the window graph
/// computes the score of one tile. Parameters of a landmark are inputs of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// From the trunk's outputs to the bound (the output of shape `[1, 1, size, size]`) and to the inputs of windows. The names of
    /// inputs contain no landmark numbers ([`names::feeding`]).
    pub coarse: GraphEntry,
    /// From windows of the outputs of trunk and coarse graph, and from the matrices and masks of [`Tiling`], to the window's `score`.
    pub window: GraphEntry,
    /// The positions of windows.
    pub tiling: Tiling,
    /// The number of windows that cost as much as the rest of the whole head. Beyond it, run the whole head.
    #[serde(rename = "most")]
    pub max_windows: usize,
    /// Per landmark, landmark 1 first: the bytes in [`WEIGHTS`](super::WEIGHTS) of the inputs that are specific to it, by name.
    #[serde(rename = "own")]
    pub specific: Vec<BTreeMap<String, Span>>,
}

impl Plan {
    /// How the numbers of a specific input are stored, in a bundle whose weights are `weights`.
    pub fn precision(&self, input: &str, weights: Precision) -> Precision {
        if names::is_vector(input) { Precision::F32 } else { weights }
    }

    /// Whether an input of the window graph is a matrix or a mask that [`Tiling`] computes.
    pub(super) fn is_computed(&self, input: &TensorEntry) -> bool {
        let cells = |level: usize| self.tiling.levels[level].cells;
        let levels = self.tiling.levels.len();
        let pairs = (0..levels).flat_map(|to| (to + 1..levels).map(move |from| (from, to)));
        let matrices = pairs.flat_map(|(from, to)| {
            [
                (Port::Rows { from, to }, [1, 1, cells(to), cells(from)]),
                (Port::Columns { from, to }, [1, 1, cells(from), cells(to)]),
            ]
        });
        let masks = (0..levels).map(|level| (Port::Inside(level), [1, 1, cells(level), cells(level)]));
        matrices.chain(masks).any(|(port, shape)| input.shape == shape && input.name == port.to_string())
    }

    /// Whether an input has the shape of a tensor, or of a window of it.
    pub(super) fn fits(&self, output: &TensorEntry, input: &TensorEntry, window: bool) -> bool {
        let cut = |mut shape: Shape| {
            let side = shape[2].max(1);
            let level = (self.tiling.size / side).checked_ilog2().unwrap_or(0) as usize;
            let cells = self.tiling.levels.get(level).map_or(0, |windows| windows.cells);
            (shape[2], shape[3]) = (cells, cells);
            shape
        };
        input.shape == if window { cut(output.shape) } else { output.shape }
    }
}
