//! `stack-adapters`: the landmarks' own convolutions of what the film alone makes become one, whose outputs stand side by side;
//! each landmark takes its channels of them.
//!
//! One large matrix product, laid out in advance, instead of as many small ones as there are landmarks (docs/PERFORMANCE.md). The
//! trunk makes those of all landmarks, even where a few are asked for.

use ndarray::{Axis, concatenate};
use onemark_models::graph::{Graph, Node, Op};
use onemark_models::network::is_own;

use super::{Pass, PassError, Property};
use crate::module::Module;

pub(super) struct StackAdapters;

impl Pass for StackAdapters {
    fn name(&self) -> &'static str {
        "stack-adapters"
    }

    fn requires(&self) -> &'static [Property] {
        &[Property::TrunkAndHeads]
    }

    fn ensures(&self) -> &'static [Property] {
        &[]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        let stacks = stacks(&module.trunk);
        module.trunk = module.trunk.rewrite(|new, node, inputs| {
            let place =
                stacks.iter().find_map(|stack| Some((stack, stack.iter().position(|one| one.name == node.name)?)));
            let Some((stack, place)) = place else { return Ok(new.copy(&module.trunk, node, inputs)?) };
            let out = node.shape[1];
            let all = match new.value(&stacked(&stack[0].name)) {
                Some(all) => all,
                None => {
                    for param in &node.params {
                        let mut shape = module.trunk.params()[param].clone();
                        shape[0] *= stack.len();
                        new.declare(&stacked(param), shape)?;
                    }
                    let params = node.params.iter().map(|param| stacked(param)).collect();
                    new.push(&stacked(&node.name), node.op, inputs, params)?
                }
            };
            Ok::<_, PassError>(new.apply(&node.name, Op::Channels { first: place * out, count: out }, &[all])?)
        })?;
        for stack in &stacks {
            for (index, param) in stack[0].params.iter().enumerate() {
                let parts = stack.iter().map(|node| {
                    let name = &node.params[index];
                    let tensor = module.tensors.get(name).ok_or_else(|| PassError::NoTensor { name: name.clone() })?;
                    Ok::<_, PassError>(tensor.view())
                });
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                let all = concatenate(Axis(0), &parts).map_err(|_| PassError::NoTensor { name: param.clone() })?;
                module.tensors.insert(stacked(param), all);
            }
        }
        module.forget_unused_tensors();
        Ok(module)
    }
}

/// The trunk's convolutions that are landmarks' own, where several differ in their numbers only.
fn stacks(trunk: &Graph) -> Vec<Vec<Node>> {
    let mut stacks: Vec<Vec<Node>> = Vec::new();
    for (_, node) in trunk.nodes() {
        if !matches!(node.op, Op::Conv { .. }) || !node.params.iter().all(|param| is_own(param)) {
            continue;
        }
        let shapes = |node: &Node| node.params.iter().map(|param| trunk.params().get(param)).collect::<Vec<_>>();
        let alike = |other: &Node| (other.op, &other.inputs, shapes(other)) == (node.op, &node.inputs, shapes(node));
        match stacks.iter_mut().find(|stack| alike(&stack[0])) {
            Some(stack) => stack.push(node.clone()),
            None => stacks.push(vec![node.clone()]),
        }
    }
    stacks.retain(|stack| stack.len() > 1);
    stacks
}

/// What is called after the first of a stack.
fn stacked(name: &str) -> String {
    format!("stack.{name}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::hoist_landmark_invariant::HoistLandmarkInvariant;
    use super::super::testing::{EXACT, assert_same_results, random_module};
    use super::*;

    fn head(number: usize) -> Graph {
        let mut graph = Graph::new(format!("head{number}"));
        let film = graph.input("film", [1, 64, 4, 4]).unwrap();
        let thin = graph.conv(&format!("adapter.{number:02}.thin"), film, 2, (3, 3), 1, true).unwrap();
        let other = graph.conv(&format!("adapter.{number:02}.other"), film, 1, (3, 3), 1, true).unwrap();
        let both = graph.apply("both", Op::Concat, &[thin, other]).unwrap();
        graph.output("out", both).unwrap();
        graph
    }

    #[test]
    fn before_and_after() {
        let before = random_module(vec![head(1), head(2), head(3)]);
        let before = HoistLandmarkInvariant.run(before).unwrap();
        let after = StackAdapters.run(before.clone()).unwrap();
        assert_eq!(
            after.trunk.to_string(),
            "\
graph trunk {
  %film = input : [1,64,4,4]
  %stack.adapter.01.thin = conv %film <stack.adapter.01.thin.weight [6,64,3,3]> <stack.adapter.01.thin.bias [6]> : [1,6,4,4]
  %adapter.01.thin = channels 0..2 %stack.adapter.01.thin : [1,2,4,4]
  %stack.adapter.01.other = conv %film <stack.adapter.01.other.weight [3,64,3,3]> <stack.adapter.01.other.bias [3]> : [1,3,4,4]
  %adapter.01.other = channels 0..1 %stack.adapter.01.other : [1,1,4,4]
  %adapter.02.thin = channels 2..4 %stack.adapter.01.thin : [1,2,4,4]
  %adapter.02.other = channels 1..2 %stack.adapter.01.other : [1,1,4,4]
  %adapter.03.thin = channels 4..6 %stack.adapter.01.thin : [1,2,4,4]
  %adapter.03.other = channels 2..3 %stack.adapter.01.other : [1,1,4,4]
  return adapter.01.thin = %adapter.01.thin, adapter.01.other = %adapter.01.other, adapter.02.thin = %adapter.02.thin, \
             adapter.02.other = %adapter.02.other, adapter.03.thin = %adapter.03.thin, adapter.03.other = %adapter.03.other
}
"
        );
        assert_eq!(after.heads, before.heads);
        assert_same_results(&before, &after, EXACT);
    }

    #[test]
    fn one_alone_stays() {
        let module = HoistLandmarkInvariant.run(random_module(vec![head(1)])).unwrap();
        assert_eq!(StackAdapters.run(module.clone()).unwrap().trunk, module.trunk);
    }
}
