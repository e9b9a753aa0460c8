//! `split-affine`: a value that is affine in the invariant part and in the specific part is computed as a sum of two parts, so that the
//! invariant part can move to the trunk: `conv([i; s]) = conv_i(i) + conv_s(s)`. This continues through up-sampling, sums and further
//! convolutions, up to the first operation that is not affine. The bias belongs to the invariant part. Zero padding is linear, so
//! results at borders do not change.
//!
//! This pass only rewrites the graph; `hoist-landmark-invariant` moves nodes to the trunk.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{ArrayD, Axis, Slice, concatenate};
use onemark_models::graph::{Graph, Node, NodeId, Op, ParamId, Parameters, Part, Value};

use super::renew::{Renewed, numbers};
use super::{Context, Effect, Pass, PassError, Property, is_thin};
use crate::module::Module;

pub(super) const PASS: Pass = Pass {
    name: "split-affine",
    requires: &[Property::NoBatchNorm],
    ensures: &[],
    effect: Effect::FOLDS,
    applies: |_| true,
    run,
};

fn run(mut module: Module, _: &Context<'_>) -> Result<Module, PassError> {
    let mut slices = Renewed::new();
    module.rewrite(|graph| split(graph, &mut slices))?;
    slices.settle(&mut module, |tensors, part, channels| sliced(tensors, &part.part(Part::Whole), channels))?;
    Ok(module)
}

/// The input channels of each part of a weight.
type Slices = Renewed<Vec<Range<usize>>>;

/// A value as the sum of two tensors that are zero except in these channels: first the invariant part, then the specific part.
#[derive(Clone, Default)]
struct Parts {
    invariant: Vec<Piece>,
    specific: Vec<Piece>,
}

#[derive(Clone)]
struct Piece {
    channels: Range<usize>,
    value: Value,
}

impl Parts {
    fn is_mixed(&self) -> bool {
        !self.invariant.is_empty() && !self.specific.is_empty()
    }

    /// The two tensors, if each has all channels.
    fn whole(&self) -> Option<(Value, Value)> {
        match (self.invariant.as_slice(), self.specific.as_slice()) {
            ([invariant], [specific]) if invariant.channels == specific.channels => {
                Some((invariant.value, specific.value))
            }
            _ => None,
        }
    }
}

/// The state while a graph is rewritten.
struct Splitting<'a> {
    old: &'a Graph,
    parts: BTreeMap<Value, Parts>,
    slices: &'a mut Slices,
}

fn split(graph: &Graph, slices: &mut Slices) -> Result<Graph, PassError> {
    let mut splitting = Splitting { old: graph, parts: BTreeMap::new(), slices };
    graph.rewrite(|new, _, node, inputs| {
        let operands: Vec<Parts> = inputs.iter().map(|input| splitting.parts[input].clone()).collect();
        let (value, parts) = splitting.node(new, node, inputs, &operands)?;
        splitting.parts.insert(value, parts);
        Ok(value)
    })
}

impl Splitting<'_> {
    /// The node's result in the new graph: the whole value and its parts.
    fn node(
        &mut self,
        new: &mut Graph,
        node: &Node,
        inputs: &[Value],
        operands: &[Parts],
    ) -> Result<(Value, Parts), PassError> {
        let all = |value: Value| vec![Piece { channels: 0..node.shape[1], value }];
        let invariant = |value: Value| Parts { invariant: all(value), specific: vec![] };
        let specific = |value: Value| Parts { invariant: vec![], specific: all(value) };
        let owned = node.params.iter().any(ParamId::is_specific);
        if owned && !self.has_thin_invariant_part(node, operands)
            || !operands.iter().any(Parts::is_mixed) && node.op != Op::Concat
        {
            let value = new.copy(self.old, node, inputs)?;
            let is_invariant = !owned && operands.iter().all(|parts| parts.specific.is_empty());
            return Ok((value, if is_invariant { invariant(value) } else { specific(value) }));
        }
        match node.op {
            Op::Concat => {
                let value = new.copy(self.old, node, inputs)?;
                Ok((value, concatenated(new, value, inputs, operands)))
            }
            Op::Upsample { .. } => {
                // Nodes that read the whole value do not use the parts.
                let value = new.copy(self.old, node, inputs)?;
                Ok((value, up_sampled(new, node, &operands[0])?))
            }
            _ => match self.summands(new, node, operands)? {
                Some((first, second)) => {
                    let value = new.apply(node.id.clone(), Op::Add, &[first, second])?;
                    let parts = Parts { invariant: all(first), specific: all(second) };
                    Ok((value, if owned { specific(value) } else { parts }))
                }
                None => {
                    let value = new.copy(self.old, node, inputs)?;
                    Ok((value, specific(value)))
                }
            },
        }
    }

    /// Whether a landmark's convolution has a part that is better computed for all landmarks together.
    fn has_thin_invariant_part(&self, node: &Node, operands: &[Parts]) -> bool {
        let (Op::Conv { .. }, [x], Some(weight)) = (node.op, operands, node.params.first()) else { return false };
        let Some([out, _, rows, columns]) = self.old.params().get(weight).map(Vec::as_slice) else { return false };
        let channels = x.invariant.iter().map(|piece| piece.channels.len()).sum();
        x.is_mixed() && is_thin(&[*out, channels, *rows, *columns])
    }

    /// The two tensors whose sum is the node's result, if it is affine in its operands' parts.
    fn summands(
        &mut self,
        new: &mut Graph,
        node: &Node,
        operands: &[Parts],
    ) -> Result<Option<(Value, Value)>, PassError> {
        match (node.op, operands) {
            (Op::Conv { dilation, padded, .. }, [x]) => {
                let unbiased = Op::Conv { dilation, padded, bias: false };
                let invariant = self.conv(new, node, &x.invariant, Part::Invariant, node.op)?;
                let specific = self.conv(new, node, &x.specific, Part::Specific, unbiased)?;
                Ok(Some((invariant, specific)))
            }
            (Op::Add, [first, second]) => {
                let Some((first, second)) = first.whole().zip(second.whole()) else { return Ok(None) };
                let invariant = new.apply(of(&node.id, Part::Invariant), Op::Add, &[first.0, second.0])?;
                let specific = new.apply(of(&node.id, Part::Specific), Op::Add, &[first.1, second.1])?;
                Ok(Some((invariant, specific)))
            }
            _ => Ok(None),
        }
    }

    /// The convolution of one part: some of the channels, with the weights of these channels.
    fn conv(&mut self, new: &mut Graph, node: &Node, pieces: &[Piece], part: Part, op: Op) -> Result<Value, PassError> {
        let id = of(&node.id, part);
        let operand = joined(new, &id, pieces)?;
        let Some((weight, biases)) = node.params.split_first() else {
            return Err(PassError::Malformed { node: node.id.clone(), why: "a convolution must have a weight" });
        };
        let mut shape = self.old.shape_of(weight)?.to_vec();
        let channels: Vec<Range<usize>> = pieces.iter().map(|piece| piece.channels.clone()).collect();
        let count = channels.iter().map(Range::len).sum::<usize>();
        let mut params = vec![weight.clone()];
        if shape[1] == count {
            new.declare(weight, shape)?;
        } else {
            params = vec![weight.part(part)];
            shape[1] = count;
            self.slices.note(new, &id, &params[0], shape, channels)?;
        }
        if matches!(op, Op::Conv { bias: true, .. }) {
            for bias in biases {
                new.declare(bias, self.old.shape_of(bias)?.to_vec())?;
                params.push(bias.clone());
            }
        }
        Ok(new.push(id, op, &[operand], params)?)
    }
}

/// The id of the node that computes a part of the result of `node`.
fn of(node: &NodeId, part: Part) -> NodeId {
    match part {
        Part::Whole => node.clone(),
        Part::Invariant => node.then("invariant"),
        Part::Specific => node.then("specific"),
    }
}

/// The concatenated pieces, as the operand of `reader`. If the graph already has the same concatenation, it is used again.
fn joined(new: &mut Graph, reader: &NodeId, pieces: &[Piece]) -> Result<Value, PassError> {
    let values: Vec<Value> = pieces.iter().map(|piece| piece.value).collect();
    if let [only] = values.as_slice() {
        return Ok(*only);
    }
    let known = new.nodes().find(|(_, node)| node.op == Op::Concat && node.inputs == values).map(|(value, _)| value);
    known.map_or_else(|| Ok(new.apply(reader.then("concat"), Op::Concat, &values)?), Ok)
}

/// The parts of an up-sampled value.
fn up_sampled(new: &mut Graph, node: &Node, operand: &Parts) -> Result<Parts, PassError> {
    let mut up = |pieces: &[Piece], part: Part| {
        let up = |(index, piece): (usize, &Piece)| {
            let value = new.apply(of(&node.id, part).then(index.to_string()), node.op, &[piece.value])?;
            Ok(Piece { channels: piece.channels.clone(), value })
        };
        pieces.iter().enumerate().map(up).collect::<Result<Vec<Piece>, PassError>>()
    };
    let invariant = up(&operand.invariant, Part::Invariant)?;
    Ok(Parts { invariant, specific: up(&operand.specific, Part::Specific)? })
}

/// The parts of a concatenation `value`.
fn concatenated(graph: &Graph, value: Value, inputs: &[Value], operands: &[Parts]) -> Parts {
    let mut parts = Parts::default();
    let mut first = 0;
    for (operand, input) in operands.iter().zip(inputs) {
        let shift = |piece: &Piece| {
            let channels = piece.channels.start + first..piece.channels.end + first;
            Piece { channels, value: piece.value }
        };
        parts.invariant.extend(operand.invariant.iter().map(shift));
        parts.specific.extend(operand.specific.iter().map(shift));
        first += graph.node(*input).shape[1];
    }
    let one = |pieces: Vec<Piece>| match pieces.is_empty() {
        true => pieces,
        false => vec![Piece { channels: 0..first, value }],
    };
    if parts.is_mixed() { parts } else { Parts { invariant: one(parts.invariant), specific: one(parts.specific) } }
}

/// These input channels of a weight.
fn sliced(tensors: &Parameters, weight: &ParamId, channels: &[Range<usize>]) -> Result<ArrayD<f32>, PassError> {
    let numbers = numbers(tensors, weight)?;
    let slice = |range: &Range<usize>| numbers.slice_axis(Axis(1), Slice::from(range.clone()));
    concatenate(Axis(1), &channels.iter().map(slice).collect::<Vec<_>>())
        .map_err(|_| PassError::Malformed { node: weight.node.clone(), why: "its weight must have four axes" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::{Conv, CoordinateMode, Port};

    use super::super::testing::{
        FINEST, FOLDING_TOLERANCE, assert_same_results, conv, node, own, random_module, run_pass,
    };
    use super::*;

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("toy");
        let film = graph.input(Port::Film, [1, 2, 3, 5]).unwrap();
        let specific = graph.conv(own(1, "a"), film, conv(1, (3, 3))).unwrap();
        let both = graph.apply(node("both"), Op::Concat, &[film, specific]).unwrap();
        let up = Op::Upsample { factor: 2, mode: CoordinateMode::Aligned };
        let up = graph.apply(node("up"), up, &[both]).unwrap();
        let row = graph.conv(node("row"), up, conv(2, (1, 3))).unwrap();
        let dilated = graph.conv(node("dilated"), row, Conv { dilation: 2, ..conv(2, (3, 3)) }).unwrap();
        let sum = graph.apply(node("sum"), Op::Add, &[row, dilated]).unwrap();
        let relu = graph.apply(node("relu"), Op::Relu, &[sum]).unwrap();
        graph.output(Port::Score, relu).unwrap();
        graph.output(Port::Embedding(FINEST), up).unwrap();
        let before = random_module(vec![graph]);
        let after = run_pass(&PASS, before.clone());
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,2,3,5]
  %adapter.01.a = conv %film <adapter.01.a.weight [1,2,3,3]> <adapter.01.a.bias [1]> : [1,1,3,5]
  %trunk.both = concat %film %adapter.01.a : [1,3,3,5]
  %trunk.up = upsample x2 align_corners %trunk.both : [1,3,6,10]
  %trunk.up.invariant.0 = upsample x2 align_corners %film : [1,2,6,10]
  %trunk.up.specific.0 = upsample x2 align_corners %adapter.01.a : [1,1,6,10]
  %trunk.row.invariant = conv %trunk.up.invariant.0 <trunk.row.weight.invariant [2,2,1,3]> <trunk.row.bias [2]> : [1,2,6,10]
  %trunk.row.specific = conv %trunk.up.specific.0 <trunk.row.weight.specific [2,1,1,3]> : [1,2,6,10]
  %trunk.dilated.invariant = conv dilation=2 %trunk.row.invariant <trunk.dilated.weight [2,2,3,3]> <trunk.dilated.bias [2]> : [1,2,6,10]
  %trunk.dilated.specific = conv dilation=2 %trunk.row.specific <trunk.dilated.weight [2,2,3,3]> : [1,2,6,10]
  %trunk.sum.invariant = add %trunk.row.invariant %trunk.dilated.invariant : [1,2,6,10]
  %trunk.sum.specific = add %trunk.row.specific %trunk.dilated.specific : [1,2,6,10]
  %trunk.sum = add %trunk.sum.invariant %trunk.sum.specific : [1,2,6,10]
  %trunk.relu = relu %trunk.sum : [1,2,6,10]
  return score = %trunk.relu, embedding1 = %trunk.up
}
"
        );
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }

    #[test]
    fn of_a_landmarks_own_convolution_the_thin_part_is_split_off() {
        let mut graph = Graph::new("toy");
        let film = graph.input(Port::Film, [1, 64, 3, 5]).unwrap();
        let specific = graph.conv(own(1, "a"), film, conv(1, (1, 1))).unwrap();
        let both = graph.apply(node("both"), Op::Concat, &[film, specific]).unwrap();
        let thin = graph.conv(own(1, "thin"), both, conv(2, (3, 3))).unwrap();
        let cells = graph.conv(own(1, "cells"), both, conv(2, (1, 1))).unwrap();
        let sum = graph.apply(node("sum"), Op::Add, &[thin, cells]).unwrap();
        graph.output(Port::Score, sum).unwrap();
        let before = random_module(vec![graph]);
        let after = run_pass(&PASS, before.clone());
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,64,3,5]
  %adapter.01.a = conv %film <adapter.01.a.weight [1,64,1,1]> <adapter.01.a.bias [1]> : [1,1,3,5]
  %trunk.both = concat %film %adapter.01.a : [1,65,3,5]
  %adapter.01.thin.invariant = conv %film <adapter.01.thin.weight.invariant [2,64,3,3]> <adapter.01.thin.bias [2]> : [1,2,3,5]
  %adapter.01.thin.specific = conv %adapter.01.a <adapter.01.thin.weight.specific [2,1,3,3]> : [1,2,3,5]
  %adapter.01.thin = add %adapter.01.thin.invariant %adapter.01.thin.specific : [1,2,3,5]
  %adapter.01.cells = conv %trunk.both <adapter.01.cells.weight [2,65,1,1]> <adapter.01.cells.bias [2]> : [1,2,3,5]
  %trunk.sum = add %adapter.01.thin %adapter.01.cells : [1,2,3,5]
  return score = %trunk.sum
}
"
        );
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }

    #[test]
    fn without_own_parameters_nothing_is_split() {
        let mut graph = Graph::new("toy");
        let film = graph.input(Port::Film, [1, 2, 3, 5]).unwrap();
        let a = graph.conv(node("a"), film, conv(1, (3, 3))).unwrap();
        let both = graph.apply(node("both"), Op::Concat, &[film, a]).unwrap();
        let b = graph.conv(node("b"), both, conv(1, (3, 3))).unwrap();
        graph.output(Port::Score, b).unwrap();
        let before = random_module(vec![graph]);
        assert_eq!(run_pass(&PASS, before.clone()).heads, before.heads);
    }
}
