//! `split-affine`: what is affine in both the film's and a landmark's own parts is computed as a sum, so that the film's part can
//! move to the trunk: `conv([s; a]) = conv_s(s) + conv_a(a)`, through up-sampling, sums and further convolutions, until something
//! is not affine. The bias goes with the film's part. Zero padding is linear too, so borders stay as they are.
//!
//! Only the graph is rewritten; hoisting is `hoist-landmark-invariant`'s work.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{ArrayD, Axis, Slice, concatenate};
use onemark_models::checkpoint::Tensors;
use onemark_models::graph::{Graph, Node, Op, Value};
use onemark_models::network::is_own;

use super::{Pass, PassError, Property, is_thin};
use crate::module::Module;

pub(super) struct SplitAffine;

impl Pass for SplitAffine {
    fn name(&self) -> &'static str {
        "split-affine"
    }

    fn requires(&self) -> &'static [Property] {
        &[Property::NoBatchNorm]
    }

    fn ensures(&self) -> &'static [Property] {
        &[]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        let mut slices = Slices::new();
        module.rewrite(|graph| split(graph, &mut slices))?;
        for (name, (weight, channels)) in slices {
            let slice = sliced(&module.tensors, &weight, &channels)?;
            module.tensors.insert(name, slice);
        }
        module.forget_unused_tensors();
        Ok(module)
    }
}

/// By a new weight's name: the weight that it is a part of, and the input channels that it keeps.
type Slices = BTreeMap<String, (String, Vec<Range<usize>>)>;

/// A value as the sum of two tensors that are zero but in these channels: first the film's part, then the landmark's own.
#[derive(Clone, Default)]
struct Parts {
    film: Vec<Piece>,
    own: Vec<Piece>,
}

#[derive(Clone)]
struct Piece {
    channels: Range<usize>,
    value: Value,
}

impl Parts {
    fn is_mixed(&self) -> bool {
        !self.film.is_empty() && !self.own.is_empty()
    }

    /// The two tensors, where each has all the channels.
    fn whole(&self) -> Option<(Value, Value)> {
        match (self.film.as_slice(), self.own.as_slice()) {
            ([film], [own]) if film.channels == own.channels => Some((film.value, own.value)),
            _ => None,
        }
    }
}

/// A graph on its way: which of its values are what.
struct Splitting<'a> {
    old: &'a Graph,
    parts: BTreeMap<Value, Parts>,
    slices: &'a mut Slices,
}

fn split(graph: &Graph, slices: &mut Slices) -> Result<Graph, PassError> {
    let mut splitting = Splitting { old: graph, parts: BTreeMap::new(), slices };
    graph.rewrite(|new, node, inputs| {
        let operands: Vec<Parts> = inputs.iter().map(|input| splitting.parts[input].clone()).collect();
        let (value, parts) = splitting.node(new, node, inputs, &operands)?;
        splitting.parts.insert(value, parts);
        Ok(value)
    })
}

impl Splitting<'_> {
    /// The node's result in the new graph, whole and in parts.
    fn node(
        &mut self,
        new: &mut Graph,
        node: &Node,
        inputs: &[Value],
        operands: &[Parts],
    ) -> Result<(Value, Parts), PassError> {
        let all = |value: Value| vec![Piece { channels: 0..node.shape[1], value }];
        let owned = node.params.iter().any(|param| is_own(param));
        if owned && !self.has_thin_film_part(node, operands)
            || !operands.iter().any(Parts::is_mixed) && node.op != Op::Concat
        {
            let value = new.copy(self.old, node, inputs)?;
            let is_film = !owned && operands.iter().all(|parts| parts.own.is_empty());
            let parts =
                if is_film { Parts { film: all(value), own: vec![] } } else { Parts { film: vec![], own: all(value) } };
            return Ok((value, parts));
        }
        match node.op {
            Op::Concat => {
                let value = new.copy(self.old, node, inputs)?;
                Ok((value, concatenated(new, value, inputs, operands)))
            }
            Op::Upsample { .. } => {
                // What reads the whole goes without the parts.
                let value = new.copy(self.old, node, inputs)?;
                let mut up = |pieces: &[Piece], what: &str| {
                    let up = |(index, piece): (usize, &Piece)| {
                        let value = new.apply(&format!("{}.{what}{index}", node.name), node.op, &[piece.value])?;
                        Ok(Piece { channels: piece.channels.clone(), value })
                    };
                    pieces.iter().enumerate().map(up).collect::<Result<Vec<Piece>, PassError>>()
                };
                Ok((value, Parts { film: up(&operands[0].film, "film")?, own: up(&operands[0].own, "own")? }))
            }
            _ => match self.summands(new, node, operands)? {
                Some((film, own)) => {
                    let value = new.apply(&node.name, Op::Add, &[film, own])?;
                    let parts = if owned {
                        Parts { film: vec![], own: all(value) }
                    } else {
                        Parts { film: all(film), own: all(own) }
                    };
                    Ok((value, parts))
                }
                None => {
                    let value = new.copy(self.old, node, inputs)?;
                    Ok((value, Parts { film: vec![], own: all(value) }))
                }
            },
        }
    }

    /// Whether a landmark's own convolution has a part that is worth doing for all landmarks at once.
    fn has_thin_film_part(&self, node: &Node, operands: &[Parts]) -> bool {
        let (Op::Conv { .. }, [x], Some(weight)) = (node.op, operands, node.params.first()) else { return false };
        let Some([out, _, rows, columns]) = self.old.params().get(weight).map(Vec::as_slice) else { return false };
        let channels = x.film.iter().map(|piece| piece.channels.len()).sum();
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
                let film = self.conv(new, node, &x.film, "film", node.op)?;
                let own = self.conv(new, node, &x.own, "own", Op::Conv { dilation, padded, bias: false })?;
                Ok(Some((film, own)))
            }
            (Op::Add, [first, second]) => {
                let Some((first, second)) = first.whole().zip(second.whole()) else { return Ok(None) };
                let film = new.apply(&format!("{}.film", node.name), Op::Add, &[first.0, second.0])?;
                let own = new.apply(&format!("{}.own", node.name), Op::Add, &[first.1, second.1])?;
                Ok(Some((film, own)))
            }
            _ => Ok(None),
        }
    }

    /// The convolution of one part: of some of the channels, with those columns of the weights.
    fn conv(&mut self, new: &mut Graph, node: &Node, pieces: &[Piece], what: &str, op: Op) -> Result<Value, PassError> {
        let name = format!("{}.{what}", node.name);
        let values: Vec<Value> = pieces.iter().map(|piece| piece.value).collect();
        let operand = match values.as_slice() {
            [only] => *only,
            several => {
                let joined = new.nodes().find(|(_, node)| node.op == Op::Concat && node.inputs == several);
                match joined.map(|(value, _)| value) {
                    Some(joined) => joined,
                    None => new.apply(&format!("{name}.concat"), Op::Concat, several)?,
                }
            }
        };
        let (old, biases) = match node.params.split_first() {
            Some((weight, biases)) => (weight, biases),
            None => return Err(PassError::NoTensor { name: node.name.clone() }),
        };
        let mut shape = self.old.params().get(old).cloned().unwrap_or_default();
        let channels: Vec<Range<usize>> = pieces.iter().map(|piece| piece.channels.clone()).collect();
        let count = channels.iter().map(Range::len).sum::<usize>();
        let mut params = vec![old.clone()];
        if shape.get(1) != Some(&count) {
            params = vec![format!("{old}.{what}")];
            self.slices.insert(params[0].clone(), (old.clone(), channels));
            shape[1] = count;
        }
        new.declare(&params[0], shape)?;
        if matches!(op, Op::Conv { bias: true, .. }) {
            for bias in biases {
                new.declare(bias, vec![node.shape[1]])?;
                params.push(bias.clone());
            }
        }
        Ok(new.push(&name, op, &[operand], params)?)
    }
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
        parts.film.extend(operand.film.iter().map(shift));
        parts.own.extend(operand.own.iter().map(shift));
        first += graph.node(*input).shape[1];
    }
    let one = |pieces: Vec<Piece>| match pieces.is_empty() {
        true => pieces,
        false => vec![Piece { channels: 0..first, value }],
    };
    if parts.is_mixed() { parts } else { Parts { film: one(parts.film), own: one(parts.own) } }
}

fn sliced(tensors: &Tensors, weight: &str, channels: &[Range<usize>]) -> Result<ArrayD<f32>, PassError> {
    let missing = || PassError::NoTensor { name: weight.to_owned() };
    let weight = tensors.get(weight).ok_or_else(missing)?;
    let slices: Vec<_> = channels.iter().map(|range| weight.slice_axis(Axis(1), Slice::from(range.clone()))).collect();
    concatenate(Axis(1), &slices).map_err(|_| missing())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::Corners;

    use super::super::testing::{FOLDING_TOLERANCE, assert_same_results, random_module};
    use super::*;

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("toy");
        let film = graph.input("film", [1, 2, 3, 5]).unwrap();
        let own = graph.conv("adapter.01.a", film, 1, (3, 3), 1, true).unwrap();
        let both = graph.apply("both", Op::Concat, &[film, own]).unwrap();
        let up = Op::Upsample { factor: 2, corners: Corners::Aligned };
        let up = graph.apply("up", up, &[both]).unwrap();
        let row = graph.conv("row", up, 2, (1, 3), 1, true).unwrap();
        let dilated = graph.conv("dilated", row, 2, (3, 3), 2, true).unwrap();
        let sum = graph.apply("sum", Op::Add, &[row, dilated]).unwrap();
        let relu = graph.apply("relu", Op::Relu, &[sum]).unwrap();
        graph.output("out", relu).unwrap();
        graph.output("up", up).unwrap();
        let before = random_module(vec![graph]);
        let after = SplitAffine.run(before.clone()).unwrap();
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,2,3,5]
  %adapter.01.a = conv %film <adapter.01.a.weight [1,2,3,3]> <adapter.01.a.bias [1]> : [1,1,3,5]
  %both = concat %film %adapter.01.a : [1,3,3,5]
  %up = upsample x2 align_corners %both : [1,3,6,10]
  %up.film0 = upsample x2 align_corners %film : [1,2,6,10]
  %up.own0 = upsample x2 align_corners %adapter.01.a : [1,1,6,10]
  %row.film = conv %up.film0 <row.weight.film [2,2,1,3]> <row.bias [2]> : [1,2,6,10]
  %row.own = conv %up.own0 <row.weight.own [2,1,1,3]> : [1,2,6,10]
  %dilated.film = conv dilation=2 %row.film <dilated.weight [2,2,3,3]> <dilated.bias [2]> : [1,2,6,10]
  %dilated.own = conv dilation=2 %row.own <dilated.weight [2,2,3,3]> : [1,2,6,10]
  %sum.film = add %row.film %dilated.film : [1,2,6,10]
  %sum.own = add %row.own %dilated.own : [1,2,6,10]
  %sum = add %sum.film %sum.own : [1,2,6,10]
  %relu = relu %sum : [1,2,6,10]
  return out = %relu, up = %up
}
"
        );
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }

    #[test]
    fn of_a_landmarks_own_convolution_the_thin_part_is_split_off() {
        let mut graph = Graph::new("toy");
        let film = graph.input("film", [1, 64, 3, 5]).unwrap();
        let own = graph.conv("adapter.01.a", film, 1, (1, 1), 1, true).unwrap();
        let both = graph.apply("both", Op::Concat, &[film, own]).unwrap();
        let thin = graph.conv("adapter.01.thin", both, 2, (3, 3), 1, true).unwrap();
        let cells = graph.conv("adapter.01.cells", both, 2, (1, 1), 1, true).unwrap();
        let sum = graph.apply("sum", Op::Add, &[thin, cells]).unwrap();
        graph.output("out", sum).unwrap();
        let before = random_module(vec![graph]);
        let after = SplitAffine.run(before.clone()).unwrap();
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,64,3,5]
  %adapter.01.a = conv %film <adapter.01.a.weight [1,64,1,1]> <adapter.01.a.bias [1]> : [1,1,3,5]
  %both = concat %film %adapter.01.a : [1,65,3,5]
  %adapter.01.thin.film = conv %film <adapter.01.thin.weight.film [2,64,3,3]> <adapter.01.thin.bias [2]> : [1,2,3,5]
  %adapter.01.thin.own = conv %adapter.01.a <adapter.01.thin.weight.own [2,1,3,3]> : [1,2,3,5]
  %adapter.01.thin = add %adapter.01.thin.film %adapter.01.thin.own : [1,2,3,5]
  %adapter.01.cells = conv %both <adapter.01.cells.weight [2,65,1,1]> <adapter.01.cells.bias [2]> : [1,2,3,5]
  %sum = add %adapter.01.thin %adapter.01.cells : [1,2,3,5]
  return out = %sum
}
"
        );
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }

    #[test]
    fn without_own_parameters_nothing_is_split() {
        let mut graph = Graph::new("toy");
        let film = graph.input("film", [1, 2, 3, 5]).unwrap();
        let a = graph.conv("a", film, 1, (3, 3), 1, true).unwrap();
        let both = graph.apply("both", Op::Concat, &[film, a]).unwrap();
        let b = graph.conv("b", both, 1, (3, 3), 1, true).unwrap();
        graph.output("out", b).unwrap();
        let before = random_module(vec![graph]);
        assert_eq!(SplitAffine.run(before.clone()).unwrap().heads, before.heads);
    }
}
