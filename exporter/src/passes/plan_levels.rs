//! `plan-levels`: cuts a head where the runtime may stop. Every level's map lies in [0, 1], so the product of the coarse ones
//! bounds the score from above: the coarse part (levels 5 and 4) runs on the whole field, the fine part (3 to 1) only in the windows
//! that the bound leaves open. The whole heads stay as they are beside it.
//!
//! Landmarks differ in their own parameters only, so one coarse and one window graph serve all: they are landmark 1's. In a
//! window, convolutions are not padded, so that each computes just the cells that the tile's scores hang on: level 3's receptive
//! field block sees 28 cells of 48 for the sake of six, but most of its work is on few more than those. Up-sampling is by slices
//! of the whole field's matrices, and what lies beyond the film is zeroed before every convolution that would see it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use onemark_models::bundle::tiling::{LevelWindows, Tiling, columns_name, corners, inside_name, rows_name};
use onemark_models::graph::{Corners, Graph, Node, Op, Value, interpolation};
use onemark_models::network::{SCORE, adapter_prefix, is_own, placeholder};

use super::{Pass, PassError, Property};
use crate::module::{Module, Plan};

/// Rows and columns of a tile.
const TILE: usize = 32;
/// Cells around a tile that are scored with it, so that a peak at its edge can be refined.
const MARGIN: i64 = 1;
/// The coarsest level of the fine part. The receptive field block of level 4 reaches eleven cells of 24 (METHOD.md sec. 1a): a window
/// of it would be its field.
const CUT: usize = 3;

/// What is left out at either end of a window: rows, columns.
type Margins = [usize; 2];

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
            let (tiling, margins) = cut.windows();
            let (coarse, window) = (cut.coarse(), cut.window(&tiling, &margins)?);
            let most = (first.macs() - coarse.macs()) / window.macs().max(1);
            module.plan = Some(Plan { coarse, window, tiling, most: most as usize });
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
        let mut own = BTreeSet::new();
        for (value, node) in head.nodes() {
            let reads = |values: &BTreeSet<Value>| node.inputs.iter().any(|input| values.contains(input));
            if reads(&own) || node.params.iter().any(|param| is_own(param)) {
                own.insert(value);
            }
            let up = Op::Upsample { factor: 2, corners: Corners::Aligned };
            let begins = node.op == up && own.contains(&value) && cut.level(value) <= CUT;
            if begins || reads(&cut.fine) {
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

    /// Windows that hold all that any value of their level must hold, and how much of them each value leaves out.
    fn windows(&self) -> (Tiling, BTreeMap<Value, Margins>) {
        let tiles = 0..self.size.div_ceil(TILE);
        let needs = [0, 1].map(|axis| tiles.clone().map(|tile| self.needs(tile, axis)).collect::<Vec<_>>());
        let mut hulls: BTreeMap<usize, Vec<Range<i64>>> = BTreeMap::new();
        for (tile, needs) in needs.iter().flat_map(|axis| axis.iter().enumerate()) {
            for (value, need) in needs {
                let tiles = hulls.entry(self.level(*value)).or_default();
                match tiles.get_mut(tile) {
                    Some(hull) => *hull = hull.start.min(need.start)..hull.end.max(need.end),
                    None => tiles.push(need.clone()),
                }
            }
        }
        let levels: Vec<LevelWindows> = hulls
            .values()
            .map(|hulls| LevelWindows {
                cells: hulls.iter().map(|hull| (hull.end - hull.start) as usize).max().unwrap_or(0),
                starts: hulls.iter().map(|hull| hull.start).collect(),
            })
            .collect();
        let margin = |value: &Value, axis: usize| {
            let LevelWindows { cells, starts } = &levels[self.level(*value)];
            let free = starts.iter().zip(&needs[axis]).filter_map(|(start, needs)| {
                let need = needs.get(value)?;
                Some((need.start - start).min(start + *cells as i64 - need.end) as usize)
            });
            free.min().unwrap_or(0)
        };
        let values = self.fine.iter().map(|value| (*value, [margin(value, 0), margin(value, 1)])).collect();
        (Tiling { size: self.size, tile: TILE, levels }, values)
    }

    /// The cells of each value that a tile's scores depend on, along an axis (0: rows, 1: columns), backwards from the scores.
    fn needs(&self, tile: usize, axis: usize) -> BTreeMap<Value, Range<i64>> {
        let first = (tile * TILE) as i64;
        let mut needs = BTreeMap::from([(self.score, first - MARGIN..first + TILE as i64 + MARGIN)]);
        for (value, node) in self.fine().rev() {
            let Some(need) = needs.get(&value).cloned() else { continue };
            for input in &node.inputs {
                let more = match node.op {
                    Op::Conv { .. } => {
                        let reach = self.reach(node)[axis] as i64;
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
        needs
    }

    /// How far a convolution sees beyond a cell: rows, columns.
    fn reach(&self, node: &Node) -> Margins {
        let weight = node.params.first().and_then(|weight| self.head.params().get(weight));
        match (weight.map(Vec::as_slice), node.op) {
            (Some([_, _, rows, columns]), Op::Conv { dilation, .. }) => [rows, columns].map(|side| side / 2 * dilation),
            _ => [0, 0],
        }
    }

    fn window(&self, tiling: &Tiling, margins: &BTreeMap<Value, Margins>) -> Result<Graph, PassError> {
        let mut window = Graph::new("window");
        let mut values: BTreeMap<Value, Value> = BTreeMap::new();
        for value in self.crossing() {
            let node = self.head.node(value);
            let cells = tiling.levels[self.level(value)].cells;
            values.insert(value, window.input(node.name.clone(), [1, node.shape[1], cells, cells])?);
        }
        // What is zero beyond the film.
        let mut clean: BTreeSet<Value> = values.keys().copied().collect();
        let left_out = |value: &Value| margins.get(value).copied().unwrap_or([0, 0]);
        for (value, node) in self.fine() {
            let level = self.level(value);
            let out = left_out(&value);
            let made = match node.op {
                Op::Upsample { .. } => {
                    let from = self.level(node.inputs[0]);
                    let (high, low) = (tiling.levels[level].cells, tiling.levels[from].cells);
                    debug_assert_eq!(node.op, Op::Upsample { factor: 1 << (from - level), corners: corners(level) });
                    let rows = given(&mut window, rows_name(from, level), [1, 1, high, low])?;
                    let columns = given(&mut window, columns_name(from, level), [1, 1, low, high])?;
                    let of = left_out(&node.inputs[0]);
                    let rows = cropped(&mut window, rows, [out[0], of[0]])?;
                    let columns = cropped(&mut window, columns, [of[1], out[1]])?;
                    window.apply(&node.name, Op::Interpolate, &[values[&node.inputs[0]], rows, columns])?
                }
                op => {
                    let reach = self.reach(node);
                    let seen = [out[0] - reach[0], out[1] - reach[1]];
                    let mut inputs = Vec::with_capacity(node.inputs.len());
                    for input in &node.inputs {
                        let of = left_out(input);
                        let mut operand = cropped(&mut window, values[input], [seen[0] - of[0], seen[1] - of[1]])?;
                        if reach != [0, 0] && !clean.contains(input) {
                            let cells = tiling.levels[level].cells;
                            let inside = given(&mut window, inside_name(level), [1, 1, cells, cells])?;
                            let inside = cropped(&mut window, inside, seen)?;
                            let name = format!("{}.inside", window.node(operand).name);
                            operand = once(&mut window, name, Op::Mul, &[operand, inside])?;
                        }
                        inputs.push(operand);
                    }
                    let op = match op {
                        Op::Conv { dilation, bias, .. } => Op::Conv { dilation, bias, padded: false },
                        op => op,
                    };
                    window.copy(self.head, &Node { op, ..node.clone() }, &inputs)?
                }
            };
            let stays_clean = match node.op {
                Op::Upsample { .. } => true,
                Op::Concat | Op::Conv { bias: false, .. } if self.reach(node) == [0, 0] => {
                    node.inputs.iter().all(|input| clean.contains(input))
                }
                _ => false,
            };
            if stays_clean {
                clean.insert(value);
            }
            values.insert(value, made);
        }
        window.output(SCORE, values[&self.score])?;
        Ok(window.pruned())
    }
}

/// A value without its outermost cells.
fn cropped(graph: &mut Graph, value: Value, [rows, columns]: Margins) -> Result<Value, PassError> {
    if [rows, columns] == [0, 0] {
        return Ok(value);
    }
    once(graph, format!("{}.crop{rows}x{columns}", graph.node(value).name), Op::Crop { rows, columns }, &[value])
}

/// The node called `name`, made if it isn't there yet.
fn once(graph: &mut Graph, name: String, op: Op, inputs: &[Value]) -> Result<Value, PassError> {
    match graph.value(&name) {
        Some(known) => Ok(known),
        None => Ok(graph.apply(&name, op, inputs)?),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::{Array2, Array4, Axis};
    use onemark_models::reference;

    use super::super::testing::{EXACT, FOLDING_TOLERANCE, assert_same_results, noise, random_module};
    use super::*;

    /// A film of 3 x 3 tiles, the last of which reach beyond it; its coarse map on level 2, its fine one on level 1.
    fn head(number: usize) -> Graph {
        let mut graph = Graph::new(format!("head.{number:02}"));
        let own = |what: &str| format!("adapter.{number:02}.{what}");
        let film = graph.input("film", [1, 1, 80, 80]).unwrap();
        let tap1 = graph.apply("tap1", Op::MaxPool, &[film]).unwrap();
        let tap2 = graph.apply("tap2", Op::MaxPool, &[tap1]).unwrap();
        let coarse = graph.conv(&own("coarse"), tap2, 1, (3, 3), 1, true).unwrap();
        let up = |factor, corners| Op::Upsample { factor, corners };
        let higher = graph.apply("higher", up(2, Corners::Aligned), &[coarse]).unwrap();
        let both = graph.apply("both", Op::Concat, &[tap1, higher]).unwrap();
        let row = graph.conv("row", both, 2, (1, 3), 2, true).unwrap();
        let relu = graph.apply("relu", Op::Relu, &[row]).unwrap();
        let fine = graph.conv("fine", relu, 1, (3, 1), 1, true).unwrap();
        let of_coarse = graph.apply("of_coarse", up(4, Corners::HalfPixel), &[coarse]).unwrap();
        let of_fine = graph.apply("of_fine", up(2, Corners::HalfPixel), &[fine]).unwrap();
        let score = graph.apply("product", Op::Mul, &[of_coarse, of_fine]).unwrap();
        graph.output(SCORE, score).unwrap();
        graph
    }

    #[test]
    fn before_and_after() {
        let before = random_module(vec![head(1), head(2)]);
        let after = PlanLevels.run(before.clone()).unwrap();
        assert_same_results(&before, &after, EXACT);
        let plan = after.plan.unwrap();
        assert_eq!(
            plan.coarse.to_string(),
            "\
graph coarse {
  %film = input : [1,1,80,80]
  %tap1 = max_pool %film : [1,1,40,40]
  %tap2 = max_pool %tap1 : [1,1,20,20]
  %adapter.01.coarse = conv %tap2 <adapter.01.coarse.weight [1,1,3,3]> <adapter.01.coarse.bias [1]> : [1,1,20,20]
  %of_coarse = upsample x4 half_pixel %adapter.01.coarse : [1,1,80,80]
  return tap1 = %tap1, adapter.01.coarse = %adapter.01.coarse, of_coarse = %of_coarse
}
"
        );
        assert_eq!(
            plan.window.to_string(),
            "\
graph window {
  %tap1 = input : [1,1,22,22]
  %adapter.01.coarse = input : [1,1,12,12]
  %of_coarse = input : [1,1,34,34]
  %rows2to1 = input : [1,1,22,12]
  %columns2to1 = input : [1,1,12,22]
  %rows2to1.crop1x0 = crop 1x0 %rows2to1 : [1,1,20,12]
  %higher = interpolate %adapter.01.coarse %rows2to1.crop1x0 %columns2to1 : [1,1,20,22]
  %tap1.crop1x0 = crop 1x0 %tap1 : [1,1,20,22]
  %both = concat %tap1.crop1x0 %higher : [1,2,20,22]
  %row = conv dilation=2 unpadded %both <row.weight [2,2,1,3]> <row.bias [2]> : [1,2,20,18]
  %relu = relu %row : [1,2,20,18]
  %inside1 = input : [1,1,22,22]
  %inside1.crop1x2 = crop 1x2 %inside1 : [1,1,20,18]
  %relu.inside = mul %relu %inside1.crop1x2 : [1,2,20,18]
  %fine = conv unpadded %relu.inside <fine.weight [1,2,3,1]> <fine.bias [1]> : [1,1,18,18]
  %rows1to0 = input : [1,1,34,22]
  %columns1to0 = input : [1,1,22,34]
  %rows1to0.crop0x2 = crop 0x2 %rows1to0 : [1,1,34,18]
  %columns1to0.crop2x0 = crop 2x0 %columns1to0 : [1,1,18,34]
  %of_fine = interpolate %fine %rows1to0.crop0x2 %columns1to0.crop2x0 : [1,1,34,34]
  %product = mul %of_coarse %of_fine : [1,1,34,34]
  return score = %product
}
"
        );
    }

    #[test]
    fn windows_make_what_the_whole_field_makes() {
        let module = PlanLevels.run(random_module(vec![head(1), head(2)])).unwrap();
        let plan = module.plan.unwrap();
        let run = |graph: &Graph, given: BTreeMap<String, Array4<f32>>| {
            reference::run(graph, &module.tensors, &given).unwrap()
        };
        let film = BTreeMap::from([("film".to_owned(), noise([1, 1, 80, 80]))]);
        let (whole, coarse) = (run(&module.heads[0], film.clone()), run(&plan.coarse, film));
        let four = |matrix: Array2<f32>| matrix.insert_axis(Axis(0)).insert_axis(Axis(0));
        let tiles = plan.tiling.count();
        for tile in (0..tiles).flat_map(|row| (0..tiles).map(move |column| (row, column))) {
            let mut given = BTreeMap::new();
            for (_, input) in plan.window.inputs() {
                let level =
                    |digit: usize| input.name.chars().filter_map(|c| c.to_digit(10)).nth(digit).unwrap() as usize;
                let number = match input.name.as_str() {
                    name if name.starts_with("rows") => four(plan.tiling.matrix(level(0), level(1), tile.0)),
                    name if name.starts_with("columns") => {
                        four(plan.tiling.matrix(level(0), level(1), tile.1).reversed_axes())
                    }
                    name if name.starts_with("inside") => {
                        let [rows, columns] = [tile.0, tile.1].map(|tile| plan.tiling.inside(level(0), tile));
                        Array4::from_shape_fn(input.shape, |(_, _, i, j)| rows[i] * columns[j])
                    }
                    name => {
                        let made = &coarse[name];
                        plan.tiling.cut((80 / made.dim().2).ilog2() as usize, tile, &made.view())
                    }
                };
                given.insert(input.name.clone(), number);
            }
            let window = &run(&plan.window, given)[SCORE];
            let starts = &plan.tiling.levels[0].starts;
            for (row, column) in
                plan.tiling.covers(tile.0).flat_map(|row| plan.tiling.covers(tile.1).map(move |column| (row, column)))
            {
                let [i, j] = [row as i64 - starts[tile.0], column as i64 - starts[tile.1]].map(|cell| cell as usize);
                let (found, expected) = (window[[0, 0, i, j]], whole[SCORE][[0, 0, row, column]]);
                assert!((found - expected).abs() < FOLDING_TOLERANCE, "({row}, {column}): {found}, not {expected}");
            }
        }
    }
}
