//! `fold-grey-input`: replaces a convolution of a tensor that is repeated along the channels by a convolution of the tensor itself, with
//! the sum of the weights. A grey film has one channel, but VGG19's first convolution has three input channels, so the film is repeated.

use ndarray::{ArrayD, Axis, Slice};
use onemark_models::graph::{Graph, Node, Op, ParamId, Parameters};

use super::renew::{Renewed, numbers};
use super::{Context, Effect, Pass, PassError};
use crate::module::Module;

pub(super) const PASS: Pass =
    Pass { name: "fold-grey-input", requires: &[], ensures: &[], effect: Effect::FOLDS, applies: |_| true, run };

fn run(mut module: Module, _: &Context<'_>) -> Result<Module, PassError> {
    let mut folded = Renewed::new();
    module.rewrite(|graph| fold(graph, &mut folded))?;
    folded.settle(&mut module, |tensors, weight, copies| summed(tensors, weight, *copies))?;
    Ok(module)
}

/// Rewrites `graph` and records how often the operand of each folded weight is repeated.
fn fold(graph: &Graph, folded: &mut Renewed<usize>) -> Result<Graph, PassError> {
    graph.rewrite(|new, _, node, inputs| {
        let operand = node.inputs.first().map(|input| graph.node(*input));
        match (node.op, node.params.as_slice(), operand.and_then(repeats)) {
            (Op::Conv { .. }, [weight, biases @ ..], Some(copies)) => {
                let mut shape = graph.shape_of(weight)?.to_vec();
                shape[1] /= copies;
                folded.note(new, &node.id, weight, shape, copies)?;
                for bias in biases {
                    new.declare(bias, graph.shape_of(bias)?.to_vec())?;
                }
                // The concatenation's own operand, of which the rewritten concatenation is made.
                let once = new.node(inputs[0]).inputs[0];
                Ok(new.push(node.id.clone(), node.op, &[once], node.params.clone())?)
            }
            _ => Ok(new.copy(graph, node, inputs)?),
        }
    })
}

/// How often a concatenation repeats its only operand.
fn repeats(node: &Node) -> Option<usize> {
    match node.inputs.as_slice() {
        [first, rest @ ..] if node.op == Op::Concat && rest.iter().all(|other| other == first) => {
            Some(node.inputs.len())
        }
        _ => None,
    }
}

fn summed(tensors: &Parameters, weight: &ParamId, copies: usize) -> Result<ArrayD<f32>, PassError> {
    let weight = numbers(tensors, weight)?;
    let channels = weight.len_of(Axis(1)) / copies;
    let copy = |index: usize| {
        let range = Slice::from(index * channels..(index + 1) * channels);
        weight.slice_axis(Axis(1), range).mapv(f64::from)
    };
    let sum = (1..copies).fold(copy(0), |sum, index| sum + copy(index));
    Ok(sum.mapv(|number| number as f32))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::Port;

    use super::super::testing::{FOLDING_TOLERANCE, assert_same_results, conv, node, random_module, run_pass};
    use super::*;

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("toy");
        let film = graph.input(Port::Film, [1, 1, 5, 7]).unwrap();
        let rgb = graph.apply(node("rgb"), Op::Concat, &[film; 3]).unwrap();
        let a = graph.conv(node("a"), rgb, conv(2, (3, 3))).unwrap();
        graph.output(Port::Score, a).unwrap();
        let before = random_module(vec![graph]);
        let after = run_pass(&PASS, before.clone());
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,1,5,7]
  %trunk.a = conv %film <trunk.a.weight [2,1,3,3]> <trunk.a.bias [2]> : [1,2,5,7]
  return score = %trunk.a
}
"
        );
        assert_eq!(after.tensors.len(), 2);
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }

    #[test]
    fn different_operands_are_left_alone() {
        let mut graph = Graph::new("toy");
        let film = graph.input(Port::Film, [1, 1, 5, 7]).unwrap();
        let a = graph.conv(node("a"), film, conv(1, (3, 3))).unwrap();
        let both = graph.apply(node("both"), Op::Concat, &[film, a]).unwrap();
        let b = graph.conv(node("b"), both, conv(2, (3, 3))).unwrap();
        graph.output(Port::Score, b).unwrap();
        let before = random_module(vec![graph]);
        assert_eq!(run_pass(&PASS, before.clone()).heads, before.heads);
    }
}
