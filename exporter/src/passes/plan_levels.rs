//! `plan-levels`: cuts a head where the runtime may stop. Every level's map lies in [0, 1], so the product of the coarse ones
//! bounds the score from above: the coarse part runs on the whole field, the fine part (levels 2 and 1) only in the windows that
//! the bound leaves open. The whole heads stay as they are beside it.
//!
//! Landmarks differ in their own parameters only, so one coarse and one window graph serve all: they are landmark 1's. In a
//! window, up-sampling is by slices of the whole field's matrices, and what lies beyond the film is zeroed before every
//! convolution that would see it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use onemark_models::graph::{Corners, Graph, Node, Op, Value, interpolation};
use onemark_models::network::{SCORE, adapter_prefix};
use onemark_models::tiling::{Tiling, Windows, columns_name, corners, inside_name, rows_name};

use super::{Pass, PassError, Property};
use crate::module::{Module, Plan, placeholder};

/// Rows and columns of a tile.
const TILE: usize = 32;
/// Cells around a tile that are scored with it, so that a peak at its edge can be refined.
const MARGIN: i64 = 1;
/// The coarsest level of the fine part. Windows of level 3 would be most of its field: its receptive field block alone reaches
/// eleven cells of 48 (METHOD.md sec. 1a).
const CUT: usize = 2;

pub(super) struct PlanLevels;

impl Pass for PlanLevels {
    fn name(&self) -> &'static str {
        "plan-levels"
    }

    fn requires(&self) -> &'static [Property] {
        &[Property::NoBatchNorm]
    }

    fn ensures(&self) -> &'static [Property] {
        &[]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        let Some(first) = module.heads.first() else { return Ok(module) };
        // Without adapters the trunk makes all embeddings; where decoders are landmarks' own, there is no graph for all.
        let adapted = first.params().keys().any(|param| param.starts_with(&adapter_prefix(1)));
        let text = |(index, head): (usize, &Graph)| {
            let text = placeholder(&head.to_string(), index + 1);
            text.split_once('\n').map(|(_, body)| body.to_owned())
        };
        let alike = module.heads.iter().enumerate().all(|head| text(head) == text((0, first)));
        if adapted
            && alike
            && let Some(cut) = Cut::of(first)
        {
            let tiling = cut.tiling();
            module.plan = Some(Plan { coarse: cut.coarse(), window: cut.window(&tiling)?, tiling });
        }
        Ok(module)
    }
}

/// A head, and which of its values only the fine part has.
struct Cut<'a> {
    head: &'a Graph,
    size: usize,
    fine: BTreeSet<Value>,
    score: Value,
}

impl<'a> Cut<'a> {
    /// None where the head has no decoder that goes up to the fine levels.
    fn of(head: &'a Graph) -> Option<Self> {
        let (_, score) = head.outputs().iter().find(|(name, _)| name == SCORE)?;
        let mut cut = Self { head, size: head.node(*score).shape[2], fine: BTreeSet::new(), score: *score };
        for (value, node) in head.nodes() {
            let up = Op::Upsample { factor: 2, corners: Corners::Aligned };
            let begins = node.op == up && cut.level(value) <= CUT;
            if begins || node.inputs.iter().any(|input| cut.fine.contains(input)) {
                cut.fine.insert(value);
            }
        }
        cut.fine.contains(&cut.score).then_some(cut)
    }

    /// Whose cells are `2^level` cells of the grid wide.
    fn level(&self, value: Value) -> usize {
        (self.size / self.head.node(value).shape[2]).ilog2() as usize
    }

    fn fine(&self) -> impl DoubleEndedIterator<Item = (Value, &'a Node)> {
        self.fine.iter().map(|value| (*value, self.head.node(*value)))
    }

    /// What the fine part takes from the rest.
    fn crossing(&self) -> BTreeSet<Value> {
        let inputs = self.fine().flat_map(|(_, node)| node.inputs.iter().copied());
        inputs.filter(|input| !self.fine.contains(input)).collect()
    }

    fn coarse(&self) -> Graph {
        let outputs = self.crossing().into_iter().map(|value| (self.head.node(value).name.clone(), value));
        self.head.part("coarse", outputs.collect())
    }

    /// Windows that hold all that any value of their level must hold.
    fn tiling(&self) -> Tiling {
        let needs: Vec<BTreeMap<usize, Range<i64>>> =
            (0..self.size.div_ceil(TILE)).map(|tile| self.needs(tile)).collect();
        let levels = needs.first().map_or(0, |first| first.len());
        let level = |level: usize| {
            let ranges = || needs.iter().filter_map(|needs| needs.get(&level));
            let cells = ranges().map(|range| (range.end - range.start) as usize).max();
            Windows { cells: cells.unwrap_or(0), starts: ranges().map(|range| range.start).collect() }
        };
        Tiling { size: self.size, tile: TILE, levels: (0..levels).map(level).collect() }
    }

    /// The cells of each level that a tile's scores depend on, along an axis, backwards from the scores.
    fn needs(&self, tile: usize) -> BTreeMap<usize, Range<i64>> {
        let first = (tile * TILE) as i64;
        let mut needs = BTreeMap::from([(self.score, first - MARGIN..first + TILE as i64 + MARGIN)]);
        for (value, node) in self.fine().rev() {
            let Some(need) = needs.get(&value).cloned() else { continue };
            for input in &node.inputs {
                let more = match node.op {
                    Op::Conv { dilation, .. } => {
                        let reach = (self.kernel(node) / 2 * dilation) as i64;
                        need.start - reach..need.end + reach
                    }
                    Op::Upsample { factor, corners } => {
                        sources(&need, self.head.node(*input).shape[2], factor, corners)
                    }
                    _ => need.clone(),
                };
                let known = needs.entry(*input).or_insert_with(|| more.clone());
                *known = known.start.min(more.start)..known.end.max(more.end);
            }
        }
        let mut levels: BTreeMap<usize, Range<i64>> = BTreeMap::new();
        for (value, need) in needs {
            let known = levels.entry(self.level(value)).or_insert_with(|| need.clone());
            *known = known.start.min(need.start)..known.end.max(need.end);
        }
        levels
    }

    /// The longer side of a convolution's kernel.
    fn kernel(&self, node: &Node) -> usize {
        let weight = node.params.first().and_then(|weight| self.head.params().get(weight));
        weight.and_then(|shape| shape.iter().skip(2).max()).copied().unwrap_or(1)
    }

    fn window(&self, tiling: &Tiling) -> Result<Graph, PassError> {
        let mut window = Graph::new("window");
        let mut values: BTreeMap<Value, Value> = BTreeMap::new();
        for value in self.crossing() {
            let node = self.head.node(value);
            let cells = tiling.levels[self.level(value)].cells;
            values.insert(value, window.input(node.name.clone(), [1, node.shape[1], cells, cells])?);
        }
        // What is zero beyond the film.
        let mut clean: BTreeSet<Value> = values.values().copied().collect();
        for (value, node) in self.fine() {
            let mut inputs: Vec<Value> = node.inputs.iter().map(|input| values[input]).collect();
            let level = self.level(value);
            let made = match node.op {
                Op::Upsample { .. } => {
                    let from = self.level(node.inputs[0]);
                    let (high, low) = (tiling.levels[level].cells, tiling.levels[from].cells);
                    let rows = given(&mut window, rows_name(from, level), [1, 1, high, low])?;
                    let columns = given(&mut window, columns_name(from, level), [1, 1, low, high])?;
                    debug_assert_eq!(node.op, Op::Upsample { factor: 1 << (from - level), corners: corners(level) });
                    window.apply(&node.name, Op::Interpolate, &[inputs[0], rows, columns])?
                }
                Op::Conv { .. } if self.kernel(node) > 1 && !clean.contains(&inputs[0]) => {
                    let cells = tiling.levels[level].cells;
                    let inside = given(&mut window, inside_name(level), [1, 1, cells, cells])?;
                    let name = format!("{}.inside", window.node(inputs[0]).name);
                    inputs[0] = match window.value(&name) {
                        Some(known) => known,
                        None => window.apply(&name, Op::Mul, &[inputs[0], inside])?,
                    };
                    window.copy(self.head, node, &inputs)?
                }
                _ => window.copy(self.head, node, &inputs)?,
            };
            let stays_clean = node.op == Op::Concat && inputs.iter().all(|input| clean.contains(input));
            if stays_clean || window.node(made).op == Op::Interpolate {
                clean.insert(made);
            }
            values.insert(value, made);
        }
        window.output(SCORE, values[&self.score])?;
        Ok(window.pruned())
    }
}

/// The input called `name`, which the graph may have already.
fn given(graph: &mut Graph, name: String, shape: [usize; 4]) -> Result<Value, PassError> {
    match graph.value(&name) {
        Some(known) => Ok(known),
        None => Ok(graph.input(name, shape)?),
    }
}

/// The cells of an axis of `side` that an up-sampling makes `made` of, as far as that lies on the film.
fn sources(made: &Range<i64>, side: usize, factor: usize, corners: Corners) -> Range<i64> {
    let matrix = interpolation(side, factor, corners);
    let rows = matrix.rows().into_iter().enumerate().filter(|(row, _)| made.contains(&(*row as i64)));
    let (mut first, mut last) = (side, 0);
    for (_, row) in rows {
        for (cell, _) in row.iter().enumerate().filter(|(_, share)| **share != 0.0) {
            (first, last) = (first.min(cell), last.max(cell));
        }
    }
    first as i64..last as i64 + 1
}
