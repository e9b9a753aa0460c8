//! A landmark's scores on one film, computed window by window.

use ndarray::{Array2, Array4, s};
use onemark_film::geometry::Cell;

use crate::RuntimeError;
use crate::backend::Tensor;
use crate::head::Head;
use crate::job::Cancel;
use crate::pruned::{Computed, Inputs, PrunedHeads, Source};
use crate::session::{Tensors, wrong_score};

/// The largest relative error that rounding makes in the bound and in the score that it bounds: each is a product of a few
/// numbers in [0, 1].
const SLACK: f32 = 1e-5;

/// A landmark's scores on one film, as far as they were computed.
pub(crate) struct PartialScores<'a> {
    heads: &'a PrunedHeads,
    head: &'a Head,
    inputs: &'a Inputs,
    /// The trunk's outputs.
    shared: &'a Tensors,
    cancel: &'a Cancel,
    /// The coarse graph's outputs.
    coarse_outputs: Tensors,
    upper: Array2<f32>,
    known: Array2<bool>,
    opened: usize,
}

impl<'a> PartialScores<'a> {
    /// Runs the coarse graph for the landmark at `index`, whose whole head is `head`, on the trunk's outputs. No score is known
    /// then, only an upper bound of each.
    pub(crate) fn new(
        heads: &'a PrunedHeads,
        index: usize,
        head: &'a Head,
        shared: &'a Tensors,
        cancel: &'a Cancel,
    ) -> Result<Self, RuntimeError> {
        let inputs = &heads.landmarks[index];
        let tensors = inputs.coarse.iter().filter_map(|source| match *source {
            Source::Specific(index) => Some(inputs.specific[index].as_ref()),
            Source::Trunk { output, .. } => Some(shared[output].as_ref()),
            Source::Coarse { .. } | Source::Computed => None,
        });
        let tensors: Vec<&dyn Tensor> = tensors.collect();
        cancel.check()?;
        let coarse_outputs = heads.coarse.run(&tensors)?;
        let (bound, size) = (coarse_outputs[heads.bound].array()?, heads.plan.tiling.size);
        if bound.shape() != [1, 1, size, size] {
            return Err(wrong_score(&heads.plan.coarse, size, format!("{:?}", bound.shape())));
        }
        let upper: Array2<f32> = bound.slice(s![0, 0, .., ..]).mapv(|bound| bound * (1.0 + SLACK));
        let known = Array2::from_elem(upper.dim(), false);
        Ok(Self { heads, head, inputs, shared, cancel, coarse_outputs, upper, known, opened: 0 })
    }

    /// The scores where they are known, elsewhere upper bounds.
    pub(crate) fn upper(&self) -> &Array2<f32> {
        &self.upper
    }

    /// Whether the score of a cell is known.
    pub(crate) fn is_known(&self, cell: Cell) -> bool {
        self.known[cell.index()]
    }

    /// How many windows were run.
    pub(crate) fn opened(&self) -> usize {
        self.opened
    }

    /// Runs the window of a cell; the whole head, if as many windows were run as cost as much.
    pub(crate) fn compute(&mut self, Cell { row, column }: Cell) -> Result<(), RuntimeError> {
        let plan = &self.heads.plan;
        if self.opened < plan.max_windows {
            return self.open((row / plan.tiling.tile, column / plan.tiling.tile));
        }
        self.cancel.check()?;
        let outputs = self.head.run(self.heads.backend.as_ref(), self.shared)?;
        self.upper = self.head.score(&outputs, plan.tiling.size)?;
        self.known.fill(true);
        Ok(())
    }

    /// The scores of all cells, by their windows.
    pub(crate) fn everywhere(mut self) -> Result<Array2<f32>, RuntimeError> {
        let tiles = self.heads.plan.tiling.count();
        for tile in (0..tiles).flat_map(|row| (0..tiles).map(move |column| (row, column))) {
            self.open(tile)?;
        }
        Ok(self.upper)
    }

    /// Runs the window of a tile (row, column).
    fn open(&mut self, tile: (usize, usize)) -> Result<(), RuntimeError> {
        let tiling = &self.heads.plan.tiling;
        self.cancel.check()?;
        let window = self.window(tile)?;
        self.opened += 1;
        let start = |tile: usize| tiling.levels[0].starts[tile];
        for ((i, j), &score) in window.indexed_iter() {
            let place = |start: i64, cell: usize| usize::try_from(start + cell as i64).ok();
            let Some(cell) = place(start(tile.0), i).zip(place(start(tile.1), j)) else { continue };
            // A cell's score is that of its own tile's window, whichever was run first.
            let is_in = tiling.covers(tile.0).contains(&cell.0) && tiling.covers(tile.1).contains(&cell.1);
            if let Some(known) = self.known.get_mut(cell).filter(|known| is_in || !**known) {
                *known = true;
                self.upper[cell] = score;
            }
        }
        Ok(())
    }

    /// The scores of one tile and around it.
    fn window(&self, tile: (usize, usize)) -> Result<Array2<f32>, RuntimeError> {
        let plan = &self.heads.plan;
        let slots = || self.inputs.window.iter().zip(&self.heads.computed);
        let coarse_outputs = slots().map(|(source, computed)| self.made_for(tile, *source, computed.as_ref()));
        let coarse_outputs = coarse_outputs.collect::<Result<Vec<_>, _>>()?;
        let inputs =
            slots().zip(&coarse_outputs).filter_map(|((source, computed), coarse_outputs)| match (source, computed) {
                (Source::Specific(index), _) => Some(self.inputs.specific[*index].as_ref()),
                (Source::Computed, Some(Computed::Rows(per_tile))) => Some(per_tile[tile.0].as_ref()),
                (Source::Computed, Some(Computed::Columns(per_tile))) => Some(per_tile[tile.1].as_ref()),
                _ => coarse_outputs.as_deref(),
            });
        let outputs = self.heads.window.run(&inputs.collect::<Vec<&dyn Tensor>>())?;
        let (score, side) = (outputs[self.heads.score].array()?, plan.tiling.levels[0].cells);
        if score.shape() != [1, 1, side, side] {
            return Err(wrong_score(&plan.window, side, format!("{:?}", score.shape())));
        }
        Ok(score.slice(s![0, 0, .., ..]).to_owned())
    }

    /// An input of the window graph that is coarse_outputs for this tile.
    fn made_for(
        &self,
        tile: (usize, usize),
        source: Source,
        computed: Option<&Computed>,
    ) -> Result<Option<Box<dyn Tensor>>, RuntimeError> {
        let cut = |tensor: &dyn Tensor, level| {
            Ok::<_, RuntimeError>(self.heads.plan.tiling.cut(level, tile, &tensor.array()?))
        };
        let numbers = match (source, computed) {
            (Source::Trunk { output, level }, _) => cut(self.shared[output].as_ref(), level)?,
            (Source::Coarse { output, level }, _) => cut(self.coarse_outputs[output].as_ref(), level)?,
            (Source::Computed, Some(Computed::Inside(sides))) => {
                let (down, across) = (&sides[tile.0], &sides[tile.1]);
                Array4::from_shape_fn((1, 1, down.len(), across.len()), |(_, _, i, j)| down[i] * across[j])
            }
            _ => return Ok(None),
        };
        self.heads.backend.keep(numbers).map(Some)
    }
}
