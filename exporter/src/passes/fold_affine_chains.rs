//! `fold-affine-chains`: merges two consecutive convolutions into one if that costs less: 1x1 into kxk, 1xk into kx1.
//!
//! Two conditions make this exact at the film's border too. First, the first convolution has no bias, because zero padding would
//! replace the bias there by 0 (`split-affine` leaves no bias where folding pays). Second, the two kernels do not both have more than
//! one cell along the same axis: results of the first outside the film are dropped, but a merged convolution would include them.

use std::collections::BTreeMap;

use ndarray::{Array4, ArrayD, Ix4, s};
use onemark_models::graph::{Graph, Node, Op, ParamId, Parameters, Part, Value};

use super::renew::{Renewed, numbers};
use super::{Context, Effect, Pass, PassError, Property};
use crate::module::Module;

/// The largest number of convolutions in a chain.
const ROUNDS: usize = 8;

pub(super) const PASS: Pass = Pass {
    name: "fold-affine-chains",
    requires: &[Property::NoBatchNorm],
    ensures: &[],
    effect: Effect::FOLDS,
    applies: |_| true,
    run,
};

fn run(mut module: Module, _: &Context<'_>) -> Result<Module, PassError> {
    for _ in 0..ROUNDS {
        let mut folded = Renewed::new();
        module.rewrite(|graph| fold(graph, &mut folded))?;
        if folded.is_empty() {
            break;
        }
        folded.settle(&mut module, |tensors, _, [first, second]| product(tensors, first, second))?;
    }
    Ok(module)
}

/// Folds the first pair of each chain and records which two weights must be multiplied.
fn fold(graph: &Graph, folded: &mut Renewed<[ParamId; 2]>) -> Result<Graph, PassError> {
    let pairs = pairs(graph);
    let mut values: BTreeMap<Value, Value> = BTreeMap::new();
    graph.rewrite(|new, value, node, inputs| {
        let made = match (pairs.get(&value), node.op, node.params.as_slice()) {
            (Some((first, pair)), Op::Conv { bias, .. }, [weight, biases @ ..]) => {
                let first = graph.node(*first);
                let product = weight.part(part(first.params[0].part, weight.part));
                let how = [first.params[0].clone(), weight.clone()];
                folded.note(new, &node.id, &product, pair.product().to_vec(), how)?;
                for bias in biases {
                    new.declare(bias, graph.shape_of(bias)?.to_vec())?;
                }
                let params = std::iter::once(product).chain(biases.iter().cloned()).collect();
                let op = Op::Conv { dilation: pair.dilation, padded: true, bias };
                new.push(node.id.clone(), op, &[values[&first.inputs[0]]], params)?
            }
            _ => new.copy(graph, node, inputs)?,
        };
        values.insert(value, made);
        Ok(made)
    })
}

/// The pairs to fold, by the second convolution: the first convolution, whose result only the second reads, and the merged one.
fn pairs(graph: &Graph) -> BTreeMap<Value, (Value, ConvPair)> {
    let reads = graph.reads();
    let mut pairs = BTreeMap::new();
    for (value, second) in graph.nodes() {
        let [first] = second.inputs.as_slice() else { continue };
        let free = reads.get(first) == Some(&1) && !pairs.contains_key(first);
        if let Some(pair) = ConvPair::of(graph, graph.node(*first), second).filter(|pair| free && pair.pays()) {
            pairs.insert(value, (*first, pair));
        }
    }
    pairs
}

/// The part of the channels that a product has: that of a factor that has only some channels.
fn part(first: Part, second: Part) -> Part {
    if first == Part::Whole { second } else { first }
}

/// The weights of two consecutive convolutions, and the dilation of the merged one.
#[derive(Clone, Copy)]
struct ConvPair {
    first: [usize; 4],
    second: [usize; 4],
    dilation: usize,
}

impl ConvPair {
    /// The pair, if the two nodes are convolutions that can be merged: the first has no bias.
    fn of(graph: &Graph, first: &Node, second: &Node) -> Option<Self> {
        let Op::Conv { dilation: inner, padded: true, bias: false } = first.op else { return None };
        let Op::Conv { dilation: outer, padded: true, .. } = second.op else { return None };
        let shape = |node: &Node| -> Option<[usize; 4]> { graph.shape_of(node.params.first()?).ok()?.try_into().ok() };
        let (first, second) = (shape(first)?, shape(second)?);
        let spreads = |shape: [usize; 4]| [shape[2] > 1, shape[3] > 1];
        let ([a, b], [c, d]) = (spreads(first), spreads(second));
        let dilation = match (a || b, c || d) {
            (true, true) if inner != outer || a && c || b && d => return None,
            (true, _) => inner,
            (false, _) => outer,
        };
        Some(Self { first, second, dilation })
    }

    /// The shape of the merged weight.
    fn product(self) -> [usize; 4] {
        let [_, channels, rows, columns] = self.first;
        [self.second[0], channels, rows.max(self.second[2]), columns.max(self.second[3])]
    }

    /// Whether the merged convolution costs less than the two.
    fn pays(self) -> bool {
        let cost = |shape: [usize; 4]| shape.iter().product::<usize>();
        cost(self.product()) < cost(self.first) + cost(self.second)
    }
}

/// The merged weight, in f64: `sum over m of second[o, m] * first[m, i]`. Each kernel covers the axes along which it has more than one
/// cell.
fn product(tensors: &Parameters, first: &ParamId, second: &ParamId) -> Result<ArrayD<f32>, PassError> {
    let weight = |param: &ParamId| -> Result<Array4<f64>, PassError> {
        let weight = numbers(tensors, param)?.mapv(f64::from);
        let malformed = |_| PassError::Malformed { node: param.node.clone(), why: "its weight must have four axes" };
        weight.into_dimensionality::<Ix4>().map_err(malformed)
    };
    let (first, second) = (weight(first)?, weight(second)?);
    let ((_, channels, a, b), (out, _, c, d)) = (first.dim(), second.dim());
    let mut product = Array4::zeros((out, channels, a.max(c), b.max(d)));
    for (i, j) in (0..a).flat_map(|i| (0..b).map(move |j| (i, j))) {
        for (k, l) in (0..c).flat_map(|k| (0..d).map(move |l| (k, l))) {
            // Along each axis, one of the two kernels has one cell.
            let mut target = product.slice_mut(s![.., .., i + k, j + l]);
            target += &second.slice(s![.., .., k, l]).dot(&first.slice(s![.., .., i, j]));
        }
    }
    Ok(product.mapv(|number| number as f32).into_dyn())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::{Conv, Port};

    use super::super::testing::{FOLDING_TOLERANCE, assert_same_results, conv, node, random_module, run_pass};
    use super::*;

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("toy");
        let film = graph.input(Port::Film, [1, 1, 5, 7]).unwrap();
        let plain = |kernel| Conv { bias: false, ..conv(3, kernel) };
        let a = graph.conv(node("a"), film, plain((1, 1))).unwrap();
        let row = graph.conv(node("row"), a, plain((1, 3))).unwrap();
        let column = graph.conv(node("column"), row, plain((3, 1))).unwrap();
        let dilated = graph.conv(node("dilated"), column, Conv { dilation: 3, ..conv(2, (3, 3)) }).unwrap();
        graph.output(Port::Score, dilated).unwrap();
        let before = random_module(vec![graph]);
        let after = run_pass(&PASS, before.clone());
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,1,5,7]
  %trunk.column = conv %film <trunk.column.weight [3,1,3,3]> : [1,3,5,7]
  %trunk.dilated = conv dilation=3 %trunk.column <trunk.dilated.weight [2,3,3,3]> <trunk.dilated.bias [2]> : [1,2,5,7]
  return score = %trunk.dilated
}
"
        );
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }

    #[test]
    fn what_would_change_the_border_or_cost_more_is_left_alone() {
        type Kernel = (usize, usize);
        let chain = |channels: usize, first: Kernel, bias: bool, second: Kernel, dilation: usize| {
            let mut graph = Graph::new("toy");
            let film = graph.input(Port::Film, [1, 1, 5, 7]).unwrap();
            let a = graph.conv(node("a"), film, Conv { bias, ..conv(channels, first) }).unwrap();
            let b = graph.conv(node("b"), a, Conv { dilation, ..conv(2, second) }).unwrap();
            graph.output(Port::Score, b).unwrap();
            graph
        };
        let folds = |graph: Graph| {
            let before = random_module(vec![graph]);
            let after = run_pass(&PASS, before.clone());
            assert_same_results(&before, &after, FOLDING_TOLERANCE);
            after.heads != before.heads
        };
        assert!(folds(chain(3, (1, 1), false, (3, 3), 2)), "the merged kernel has the dilation of the larger one");
        assert!(!folds(chain(3, (1, 1), true, (3, 3), 1)), "padding removes a bias at the border");
        assert!(!folds(chain(3, (1, 3), false, (1, 3), 1)), "both kernels have several columns");
        assert!(!folds(chain(3, (1, 3), false, (3, 1), 2)), "one kernel can't have two dilations");
        assert!(!folds(chain(1, (1, 7), false, (7, 1), 1)), "49 cells cost more than 7 and 2 x 7");
    }
}
