//! `plan-levels`: splits a head into a coarse and a fine part. The map of every level lies in [0, 1], so the product of the coarse
//! levels' maps is an upper bound of the score. The coarse part (levels 5 and 4) runs on the whole field; the fine part (3 to 1) runs
//! only in windows where the bound is high enough. The whole heads stay in the bundle too.
//!
//! Landmarks differ only in their parameters, so one coarse graph and one window graph serve any landmark. In a window, convolutions
//! are not padded, so each computes only the cells on which the tile's scores depend. Level 3's receptive field block reads 28 of 48
//! cells for a result of six cells, but most of its operations compute only slightly more than six. Up-sampling uses slices of the
//! whole field's matrices. Cells outside the film are set to zero before every convolution that reads them.

use std::collections::{BTreeMap, BTreeSet};

use onemark_models::bundle::tiling::{Tiling, coordinate_mode};
use onemark_models::graph::{CoordinateMode, Graph, Node, NodeId, Of, Op, Owner, ParamId, Port, Value};

use super::window_needs::{Margins, windows};
use super::{Context, Effect, Pass, PassError, Property};
use crate::module::{Module, SplitHead};

/// The coarsest level of the fine part. The receptive field block of level 4 reaches eleven cells to each side, of 24 cells (METHOD.md
/// sec. 1a), so its window would be the whole field.
const CUT: usize = 3;

pub(super) const PASS: Pass = Pass {
    name: "plan-levels",
    requires: &[Property::NoBatchNorm, Property::WholeHeads],
    ensures: &[],
    effect: Effect::Exact,
    applies: |_| true,
    run,
};

fn run(mut module: Module, _: &Context<'_>) -> Result<Module, PassError> {
    let Some(head) = generic_head(&module.heads) else { return Ok(module) };
    if let Some(cut) = Cut::of(&head) {
        let (tiling, margins) = windows(&cut);
        let (coarse, window) = (cut.coarse(), cut.window(&tiling, &margins)?);
        let max_windows = ((head.macs() - coarse.macs()) / window.macs().max(1)) as usize;
        module.split_head = Some(SplitHead { coarse, window, tiling, max_windows });
    }
    Ok(module)
}

/// The head that serves any landmark, if heads differ only in their adapters and template vectors. `None` without adapters, because the
/// trunk then computes all embeddings; and `None` if landmarks have their own decoders, which are too large to be inputs of a graph.
fn generic_head(heads: &[Graph]) -> Option<Graph> {
    let generic = |head: &Graph| head.map_landmarks(Of::generic).named("head");
    let first = generic(heads.first()?);
    let owners = |owner: Owner| first.params().keys().any(|param| param.node.owner == owner);
    let fits = owners(Owner::Adapter(Of::Any)) && !owners(Owner::Decoder(Of::Any));
    (fits && heads.iter().all(|head| generic(head) == first)).then_some(first)
}

/// A head, and the values that belong to the fine part.
pub(super) struct Cut<'a> {
    pub(super) head: &'a Graph,
    /// Rows and columns of the grid.
    pub(super) size: usize,
    pub(super) fine: BTreeSet<Value>,
    pub(super) score: Value,
}

impl<'a> Cut<'a> {
    /// `None` if the head has no decoder up to the fine levels, or an operation there that windows can't hold.
    fn of(head: &'a Graph) -> Option<Self> {
        let (_, score) = head.outputs().iter().find(|(port, _)| *port == Port::Score)?;
        let mut cut = Self { head, size: head.node(*score).shape[2], fine: BTreeSet::new(), score: *score };
        let mut specific = BTreeSet::new();
        for (value, node) in head.nodes() {
            let reads = |values: &BTreeSet<Value>| node.inputs.iter().any(|input| values.contains(input));
            if reads(&specific) || node.params.iter().any(ParamId::is_specific) {
                specific.insert(value);
            }
            let up = Op::Upsample { factor: 2, mode: CoordinateMode::Aligned };
            let begins = node.op == up && specific.contains(&value) && cut.level(value) <= CUT;
            if begins || reads(&cut.fine) {
                cut.fine.insert(value);
            }
        }
        let fits = cut.fine().all(|(_, node)| fits_windows(node.op));
        (fits && cut.fine.contains(&cut.score)).then_some(cut)
    }

    /// The level of a value: each of its cells is `2^level` cells of the grid wide.
    pub(super) fn level(&self, value: Value) -> usize {
        (self.size / self.head.node(value).shape[2]).ilog2() as usize
    }

    /// The nodes of the fine part.
    pub(super) fn fine(&self) -> impl DoubleEndedIterator<Item = (Value, &'a Node)> {
        self.fine.iter().map(|value| (*value, self.head.node(*value)))
    }

    /// The reach of a convolution on each side of a cell: rows, columns.
    pub(super) fn reach(&self, node: &Node) -> Margins {
        let weight = node.params.first().and_then(|weight| self.head.params().get(weight));
        match (weight.map(Vec::as_slice), node.op) {
            (Some([_, _, rows, columns]), Op::Conv { dilation, .. }) => [rows, columns].map(|side| side / 2 * dilation),
            _ => [0, 0],
        }
    }

    /// The values that the fine part reads from the coarse part.
    fn crossing(&self) -> BTreeSet<Value> {
        let inputs = self.fine().flat_map(|(_, node)| node.inputs.iter().copied());
        inputs.filter(|input| !self.fine.contains(input)).collect()
    }

    /// Where a value crosses to the window graph.
    fn port(&self, value: Value) -> Port {
        Port::Crossing(self.head.node(value).id.clone())
    }

    fn coarse(&self) -> Graph {
        let outputs = self.crossing().into_iter().map(|value| (self.port(value), value));
        self.head.part("coarse", outputs.collect())
    }

    fn window(&self, tiling: &Tiling, margins: &BTreeMap<Value, Margins>) -> Result<Graph, PassError> {
        let mut window = Window {
            cut: self,
            tiling,
            margins,
            graph: Graph::new("window"),
            values: BTreeMap::new(),
            clean: BTreeSet::new(),
        };
        for value in self.crossing() {
            let cells = tiling.levels[self.level(value)].cells;
            let shape = [1, self.head.node(value).shape[1], cells, cells];
            window.values.insert(value, window.graph.input(self.port(value), shape)?);
            window.clean.insert(value);
        }
        for (value, node) in self.fine() {
            let made = match node.op {
                Op::Upsample { .. } => window.interpolated(value, node)?,
                _ => window.copied(value, node)?,
            };
            if window.stays_clean(node) {
                window.clean.insert(value);
            }
            window.values.insert(value, made);
        }
        window.graph.output(Port::Score, window.values[&self.score])?;
        Ok(window.graph.pruned())
    }
}

/// Whether each cell of the result depends only on the same cell of the operands, or, of a convolution and an up-sampling, on the cells
/// around it that their window takes in.
fn fits_windows(op: Op) -> bool {
    match op {
        Op::Conv { .. } | Op::Upsample { .. } => true,
        Op::BatchNorm | Op::Relu | Op::Add | Op::Mul | Op::Clamp | Op::FakeQuantise | Op::Cosine => true,
        Op::Slice { .. } | Op::Concat => true,
        Op::Input | Op::MaxPool | Op::Interpolate | Op::Crop { .. } => false,
    }
}

/// The window graph while it is built.
struct Window<'a> {
    cut: &'a Cut<'a>,
    tiling: &'a Tiling,
    margins: &'a BTreeMap<Value, Margins>,
    graph: Graph,
    /// The values of the window graph, by value of the head.
    values: BTreeMap<Value, Value>,
    /// The values of the head that are zero outside the film.
    clean: BTreeSet<Value>,
}

impl Window<'_> {
    /// The part of its level's window that a value leaves out.
    fn left_out(&self, value: Value) -> Margins {
        self.margins.get(&value).copied().unwrap_or([0, 0])
    }

    /// Adds an up-sampling by slices of the whole field's matrices, which the caller provides.
    fn interpolated(&mut self, value: Value, node: &Node) -> Result<Value, PassError> {
        let operand = node.inputs[0];
        let (from, to) = (self.cut.level(operand), self.cut.level(value));
        debug_assert_eq!(node.op, Op::Upsample { factor: 1 << (from - to), mode: coordinate_mode(to) });
        let [low, high] = [from, to].map(|level| self.tiling.levels[level].cells);
        let (of, out) = (self.left_out(operand), self.left_out(value));
        let rows = given(&mut self.graph, Port::Rows { from, to }, [1, 1, high, low])?;
        let columns = given(&mut self.graph, Port::Columns { from, to }, [1, 1, low, high])?;
        let rows = cropped(&mut self.graph, rows, [out[0], of[0]])?;
        let columns = cropped(&mut self.graph, columns, [of[1], out[1]])?;
        Ok(self.graph.apply(node.id.clone(), Op::Interpolate, &[self.values[&operand], rows, columns])?)
    }

    /// Adds any other node, on the cells that it needs.
    fn copied(&mut self, value: Value, node: &Node) -> Result<Value, PassError> {
        let (reach, out) = (self.cut.reach(node), self.left_out(value));
        let seen = [out[0] - reach[0], out[1] - reach[1]];
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            let of = self.left_out(*input);
            let mut operand = cropped(&mut self.graph, self.values[input], [seen[0] - of[0], seen[1] - of[1]])?;
            if reach != [0, 0] && !self.clean.contains(input) {
                operand = self.inside(operand, self.cut.level(value), seen)?;
            }
            inputs.push(operand);
        }
        let op = match node.op {
            Op::Conv { dilation, bias, .. } => Op::Conv { dilation, bias, padded: false },
            op => op,
        };
        Ok(self.graph.copy(self.cut.head, &Node { op, ..node.clone() }, &inputs)?)
    }

    /// `operand` with zeros outside the film.
    fn inside(&mut self, operand: Value, level: usize, seen: Margins) -> Result<Value, PassError> {
        let cells = self.tiling.levels[level].cells;
        let inside = given(&mut self.graph, Port::Inside(level), [1, 1, cells, cells])?;
        let inside = cropped(&mut self.graph, inside, seen)?;
        let id = self.graph.node(operand).id.then("inside");
        once(&mut self.graph, id, Op::Mul, &[operand, inside])
    }

    /// Whether a node's result is zero outside the film if its operands are.
    fn stays_clean(&self, node: &Node) -> bool {
        match node.op {
            Op::Upsample { .. } => true,
            Op::Concat | Op::Conv { bias: false, .. } if self.cut.reach(node) == [0, 0] => {
                node.inputs.iter().all(|input| self.clean.contains(input))
            }
            _ => false,
        }
    }
}

/// A value without its outermost cells.
fn cropped(graph: &mut Graph, value: Value, [rows, columns]: Margins) -> Result<Value, PassError> {
    if [rows, columns] == [0, 0] {
        return Ok(value);
    }
    let id = graph.node(value).id.then(format!("crop{rows}x{columns}"));
    once(graph, id, Op::Crop { rows, columns }, &[value])
}

/// The node with this id, which is added if the graph does not have it yet.
fn once(graph: &mut Graph, id: NodeId, op: Op, inputs: &[Value]) -> Result<Value, PassError> {
    graph.value(&id).map_or_else(|| Ok(graph.apply(id, op, inputs)?), Ok)
}

/// An input, which is added if the graph does not have it yet.
fn given(graph: &mut Graph, port: Port, shape: [usize; 4]) -> Result<Value, PassError> {
    let known = graph.inputs().iter().find(|(known, _)| *known == port).map(|(_, value)| *value);
    known.map_or_else(|| Ok(graph.input(port, shape)?), Ok)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::{Array2, Array4, Axis};
    use onemark_models::graph::Conv;
    use onemark_models::landmarks::LandmarkId;
    use onemark_models::reference::{self, Maps};

    use super::super::testing::{
        EXACT, FOLDING_TOLERANCE, assert_same_results, conv, node, noise, own, random_module, run_pass,
    };
    use super::*;

    /// A film of 3 x 3 tiles, the last of which extend beyond it; the coarse map is on level 2, the fine map on level 1.
    fn head(number: usize) -> Graph {
        let mut graph = Graph::new(format!("head.{number:02}"));
        let film = graph.input(Port::Film, [1, 1, 80, 80]).unwrap();
        let tap1 = graph.apply(node("tap1"), Op::MaxPool, &[film]).unwrap();
        let tap2 = graph.apply(node("tap2"), Op::MaxPool, &[tap1]).unwrap();
        let coarse = graph.conv(own(number, "coarse"), tap2, conv(1, (3, 3))).unwrap();
        let up = |factor, mode| Op::Upsample { factor, mode };
        let higher = graph.apply(node("higher"), up(2, CoordinateMode::Aligned), &[coarse]).unwrap();
        let both = graph.apply(node("both"), Op::Concat, &[tap1, higher]).unwrap();
        let row = graph.conv(node("row"), both, Conv { dilation: 2, ..conv(2, (1, 3)) }).unwrap();
        let relu = graph.apply(node("relu"), Op::Relu, &[row]).unwrap();
        let fine = graph.conv(node("fine"), relu, conv(1, (3, 1))).unwrap();
        let of_coarse = graph.apply(node("of_coarse"), up(4, CoordinateMode::HalfPixel), &[coarse]).unwrap();
        let of_fine = graph.apply(node("of_fine"), up(2, CoordinateMode::HalfPixel), &[fine]).unwrap();
        let score = graph.apply(node("product"), Op::Mul, &[of_coarse, of_fine]).unwrap();
        graph.output(Port::Score, score).unwrap();
        graph
    }

    #[test]
    fn before_and_after() {
        let before = random_module(vec![head(1), head(2)]);
        let after = run_pass(&PASS, before.clone());
        assert_same_results(&before, &after, EXACT);
        let plan = after.split_head.unwrap();
        assert_eq!(
            plan.coarse.to_string(),
            "\
graph coarse {
  %film = input : [1,1,80,80]
  %trunk.tap1 = max_pool %film : [1,1,40,40]
  %trunk.tap2 = max_pool %trunk.tap1 : [1,1,20,20]
  %adapter.coarse = conv %trunk.tap2 <adapter.coarse.weight [1,1,3,3]> <adapter.coarse.bias [1]> : [1,1,20,20]
  %trunk.of_coarse = upsample x4 half_pixel %adapter.coarse : [1,1,80,80]
  return trunk.tap1 = %trunk.tap1, adapter.coarse = %adapter.coarse, trunk.of_coarse = %trunk.of_coarse
}
"
        );
        assert_eq!(
            plan.window.to_string(),
            "\
graph window {
  %trunk.tap1 = input : [1,1,22,22]
  %adapter.coarse = input : [1,1,12,12]
  %trunk.of_coarse = input : [1,1,34,34]
  %rows2to1 = input : [1,1,22,12]
  %columns2to1 = input : [1,1,12,22]
  %decoder.rows2to1.crop1x0 = crop 1x0 %rows2to1 : [1,1,20,12]
  %trunk.higher = interpolate %adapter.coarse %decoder.rows2to1.crop1x0 %columns2to1 : [1,1,20,22]
  %trunk.tap1.crop1x0 = crop 1x0 %trunk.tap1 : [1,1,20,22]
  %trunk.both = concat %trunk.tap1.crop1x0 %trunk.higher : [1,2,20,22]
  %trunk.row = conv dilation=2 unpadded %trunk.both <trunk.row.weight [2,2,1,3]> <trunk.row.bias [2]> : [1,2,20,18]
  %trunk.relu = relu %trunk.row : [1,2,20,18]
  %inside1 = input : [1,1,22,22]
  %decoder.inside1.crop1x2 = crop 1x2 %inside1 : [1,1,20,18]
  %trunk.relu.inside = mul %trunk.relu %decoder.inside1.crop1x2 : [1,2,20,18]
  %trunk.fine = conv unpadded %trunk.relu.inside <trunk.fine.weight [1,2,3,1]> <trunk.fine.bias [1]> : [1,1,18,18]
  %rows1to0 = input : [1,1,34,22]
  %columns1to0 = input : [1,1,22,34]
  %decoder.rows1to0.crop0x2 = crop 0x2 %rows1to0 : [1,1,34,18]
  %decoder.columns1to0.crop2x0 = crop 2x0 %columns1to0 : [1,1,18,34]
  %trunk.of_fine = interpolate %trunk.fine %decoder.rows1to0.crop0x2 %decoder.columns1to0.crop2x0 : [1,1,34,34]
  %trunk.product = mul %trunk.of_coarse %trunk.of_fine : [1,1,34,34]
  return score = %trunk.product
}
"
        );
    }

    #[test]
    fn windows_make_what_the_whole_field_makes() {
        let module = run_pass(&PASS, random_module(vec![head(1), head(2)]));
        let plan = module.split_head.unwrap();
        // The graphs serve any landmark. This test runs them for the first one.
        let first = |graph: &Graph| graph.map_landmarks(|of| of.for_landmark(LandmarkId::from_index(0)));
        let (coarse, window) = (first(&plan.coarse), first(&plan.window));
        let run = |graph: &Graph, given: Maps| reference::run(graph, &module.tensors, &given).unwrap();
        let film = Maps::from([(Port::Film, noise([1, 1, 80, 80]))]);
        let (whole, coarse) = (run(&module.heads[0], film.clone()), run(&coarse, film));
        let four = |matrix: Array2<f32>| matrix.insert_axis(Axis(0)).insert_axis(Axis(0));
        let tiles = plan.tiling.count();
        for tile in (0..tiles).flat_map(|row| (0..tiles).map(move |column| (row, column))) {
            let mut given = Maps::new();
            for (port, input) in window.inputs() {
                let number = match port {
                    Port::Rows { from, to } => four(plan.tiling.matrix(*from, *to, tile.0)),
                    Port::Columns { from, to } => four(plan.tiling.matrix(*from, *to, tile.1).reversed_axes()),
                    Port::Inside(level) => {
                        let [rows, columns] = [tile.0, tile.1].map(|tile| plan.tiling.inside(*level, tile));
                        Array4::from_shape_fn(window.node(*input).shape, |(_, _, i, j)| rows[i] * columns[j])
                    }
                    port => {
                        let made = &coarse[port];
                        plan.tiling.cut((80 / made.dim().2).ilog2() as usize, tile, &made.view())
                    }
                };
                given.insert(port.clone(), number);
            }
            let scores = &run(&window, given)[&Port::Score];
            let starts = &plan.tiling.levels[0].starts;
            for (row, column) in
                plan.tiling.covers(tile.0).flat_map(|row| plan.tiling.covers(tile.1).map(move |column| (row, column)))
            {
                let [i, j] = [row as i64 - starts[tile.0], column as i64 - starts[tile.1]].map(|cell| cell as usize);
                let (found, expected) = (scores[[0, 0, i, j]], whole[&Port::Score][[0, 0, row, column]]);
                assert!((found - expected).abs() < FOLDING_TOLERANCE, "({row}, {column}): {found}, not {expected}");
            }
        }
    }
}
