//! `fold-grey-input`: a convolution of one tensor repeated along the channels becomes one of the tensor itself, with the weights
//! of its copies summed. A grey film is one channel, which VGG19's first convolution wants three times.

use std::collections::BTreeMap;

use ndarray::{ArrayD, Axis, Slice};
use onemark_models::checkpoint::Tensors;
use onemark_models::graph::{Graph, Node, Op};

use super::{Pass, PassError, Property};
use crate::module::Module;

pub(super) struct FoldGreyInput;

impl Pass for FoldGreyInput {
    fn name(&self) -> &'static str {
        "fold-grey-input"
    }

    fn requires(&self) -> &'static [Property] {
        &[]
    }

    fn ensures(&self) -> &'static [Property] {
        &[]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        // By the weight's new name: the old one, and how often the operand is repeated.
        let mut folded = BTreeMap::new();
        module.rewrite(|graph| fold(graph, &mut folded))?;
        for (name, (weight, copies)) in folded {
            let sum = summed(&module.tensors, &weight, copies)?;
            module.tensors.insert(name, sum);
        }
        module.forget_unused_tensors();
        Ok(module)
    }
}

fn fold(graph: &Graph, folded: &mut BTreeMap<String, (String, usize)>) -> Result<Graph, PassError> {
    let repeats = |node: &Node| match node.inputs.as_slice() {
        [first, rest @ ..] if node.op == Op::Concat && rest.iter().all(|other| other == first) => {
            Some(node.inputs.len())
        }
        _ => None,
    };
    graph.rewrite(|new, node, inputs| {
        let operand = node.inputs.first().map(|input| graph.node(*input));
        match (node.op, node.params.as_slice(), operand.and_then(repeats)) {
            (Op::Conv { .. }, [weight, bias @ ..], Some(copies)) => {
                let name = format!("{}.grey.weight", node.name);
                let mut shape = graph.params().get(weight).cloned().unwrap_or_default();
                if let Some(channels) = shape.get_mut(1) {
                    *channels /= copies;
                }
                new.declare(&name, shape)?;
                for bias in bias {
                    new.declare(bias, vec![node.shape[1]])?;
                }
                folded.insert(name.clone(), (weight.clone(), copies));
                let params = std::iter::once(name).chain(bias.iter().cloned()).collect();
                // The concatenation's own operand, of which the rewritten concatenation is made.
                let once = new.node(inputs[0]).inputs[0];
                Ok(new.push(&node.name, node.op, &[once], params)?)
            }
            _ => Ok(new.copy(graph, node, inputs)?),
        }
    })
}

fn summed(tensors: &Tensors, weight: &str, copies: usize) -> Result<ArrayD<f32>, PassError> {
    let weight = tensors.get(weight).ok_or_else(|| PassError::NoTensor { name: weight.to_owned() })?;
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
    use super::super::testing::{FOLDING_TOLERANCE, assert_same_results, random_module};
    use super::*;

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("toy");
        let film = graph.input("film", [1, 1, 5, 7]).unwrap();
        let rgb = graph.apply("rgb", Op::Concat, &[film; 3]).unwrap();
        let a = graph.conv("a", rgb, 2, (3, 3), 1, true).unwrap();
        graph.output("out", a).unwrap();
        let before = random_module(vec![graph]);
        let after = FoldGreyInput.run(before.clone()).unwrap();
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,1,5,7]
  %a = conv %film <a.grey.weight [2,1,3,3]> <a.bias [2]> : [1,2,5,7]
  return out = %a
}
"
        );
        assert_eq!(after.tensors.keys().collect::<Vec<_>>(), ["a.bias", "a.grey.weight"]);
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }

    #[test]
    fn different_operands_are_left_alone() {
        let mut graph = Graph::new("toy");
        let film = graph.input("film", [1, 1, 5, 7]).unwrap();
        let a = graph.conv("a", film, 1, (3, 3), 1, true).unwrap();
        let both = graph.apply("both", Op::Concat, &[film, a]).unwrap();
        let b = graph.conv("b", both, 2, (3, 3), 1, true).unwrap();
        graph.output("out", b).unwrap();
        let before = random_module(vec![graph]);
        assert_eq!(FoldGreyInput.run(before.clone()).unwrap().heads, before.heads);
    }
}
