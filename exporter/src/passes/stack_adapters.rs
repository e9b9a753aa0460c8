//! `stack-adapters`: merges the convolutions of all landmarks that read the same invariant operand into one convolution with stacked
//! outputs. A slice gives each landmark its channels.
//!
//! So one large matrix product, which a backend can prepare in advance, replaces a small one per landmark (docs/PERFORMANCE.md). The
//! trunk computes the channels of all landmarks, even if only some landmarks are needed.

use ndarray::{Axis, concatenate};
use onemark_models::graph::{Graph, Node, Of, Op, ParamId, Value};

use super::renew::{Renewed, numbers};
use super::{Context, Effect, Pass, PassError, Property};
use crate::module::Module;

pub(super) const PASS: Pass = Pass {
    name: "stack-adapters",
    requires: &[Property::TrunkAndHeads],
    ensures: &[],
    effect: Effect::Exact,
    applies: |_| true,
    run,
};

fn run(mut module: Module, _: &Context<'_>) -> Result<Module, PassError> {
    let mut stacked = Renewed::new();
    module.trunk = stack(&module.trunk, &mut stacked)?;
    stacked.settle(&mut module, |tensors, param, parts| {
        let parts =
            parts.iter().map(|part| Ok(numbers(tensors, part)?.view())).collect::<Result<Vec<_>, PassError>>()?;
        let differ = |_| PassError::Malformed { node: param.node.clone(), why: "its parts must have equal shapes" };
        concatenate(Axis(0), &parts).map_err(differ)
    })?;
    Ok(module)
}

/// Rewrites the trunk and records the parts of each stacked parameter.
fn stack(trunk: &Graph, stacked: &mut Renewed<Vec<ParamId>>) -> Result<Graph, PassError> {
    let stacks = stacks(trunk);
    trunk.rewrite(|new, value, node, inputs| {
        let place = stacks.iter().find_map(|stack| Some((stack, stack.iter().position(|one| *one == value)?)));
        let Some((stack, place)) = place else { return Ok(new.copy(trunk, node, inputs)?) };
        let first = trunk.node(stack[0]);
        let all = match new.value(&first.id.map(|_| Of::All)) {
            Some(all) => all,
            None => whole(trunk, new, stack, inputs, stacked)?,
        };
        let out = node.shape[1];
        Ok(new.apply(node.id.clone(), Op::Slice { first: place * out, count: out }, &[all])?)
    })
}

/// The id of a stack's convolution, which is made from the id of its first part.
fn whole(
    trunk: &Graph,
    new: &mut Graph,
    stack: &[Value],
    inputs: &[Value],
    stacked: &mut Renewed<Vec<ParamId>>,
) -> Result<Value, PassError> {
    let first = trunk.node(stack[0]);
    let id = first.id.map(|_| Of::All);
    let mut params = Vec::with_capacity(first.params.len());
    for (index, param) in first.params.iter().enumerate() {
        let mut shape = trunk.shape_of(param)?.to_vec();
        shape[0] *= stack.len();
        let parts = stack.iter().filter_map(|one| trunk.node(*one).params.get(index).cloned()).collect();
        let all = param.map(|_| Of::All);
        stacked.note(new, &id, &all, shape, parts)?;
        params.push(all);
    }
    Ok(new.push(id, first.op, inputs, params)?)
}

/// The groups of landmarks' convolutions in the trunk that differ only in their parameters' values.
fn stacks(trunk: &Graph) -> Vec<Vec<Value>> {
    let shapes = |node: &Node| node.params.iter().map(|param| trunk.params().get(param)).collect::<Vec<_>>();
    let alike =
        |one: &Node, other: &Node| (one.op, &one.inputs, shapes(one)) == (other.op, &other.inputs, shapes(other));
    let mut stacks: Vec<Vec<Value>> = Vec::new();
    for (value, node) in trunk.nodes() {
        if !matches!(node.op, Op::Conv { .. }) || !node.params.iter().all(ParamId::is_specific) {
            continue;
        }
        match stacks.iter_mut().find(|stack| alike(trunk.node(stack[0]), node)) {
            Some(stack) => stack.push(value),
            None => stacks.push(vec![value]),
        }
    }
    stacks.retain(|stack| stack.len() > 1);
    stacks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::Port;

    use super::super::hoist_landmark_invariant::PASS as HOIST;
    use super::super::testing::{EXACT, assert_same_results, conv, node, own, random_module, run_pass};
    use super::*;

    fn head(number: usize) -> Graph {
        let mut graph = Graph::new(format!("head{number}"));
        let film = graph.input(Port::Film, [1, 64, 4, 4]).unwrap();
        let thin = graph.conv(own(number, "thin"), film, conv(2, (3, 3))).unwrap();
        let other = graph.conv(own(number, "other"), film, conv(1, (3, 3))).unwrap();
        let both = graph.apply(node("both"), Op::Concat, &[thin, other]).unwrap();
        graph.output(Port::Score, both).unwrap();
        graph
    }

    #[test]
    fn before_and_after() {
        let before = random_module(vec![head(1), head(2), head(3)]);
        let before = run_pass(&HOIST, before);
        let after = run_pass(&PASS, before.clone());
        assert_eq!(
            after.trunk.to_string(),
            "\
graph trunk {
  %film = input : [1,64,4,4]
  %adapter.all.thin = conv %film <adapter.all.thin.weight [6,64,3,3]> <adapter.all.thin.bias [6]> : [1,6,4,4]
  %adapter.01.thin = slice 0..2 %adapter.all.thin : [1,2,4,4]
  %adapter.all.other = conv %film <adapter.all.other.weight [3,64,3,3]> <adapter.all.other.bias [3]> : [1,3,4,4]
  %adapter.01.other = slice 0..1 %adapter.all.other : [1,1,4,4]
  %adapter.02.thin = slice 2..4 %adapter.all.thin : [1,2,4,4]
  %adapter.02.other = slice 1..2 %adapter.all.other : [1,1,4,4]
  %adapter.03.thin = slice 4..6 %adapter.all.thin : [1,2,4,4]
  %adapter.03.other = slice 2..3 %adapter.all.other : [1,1,4,4]
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
        let module = run_pass(&HOIST, random_module(vec![head(1)]));
        assert_eq!(run_pass(&PASS, module.clone()).trunk, module.trunk);
    }
}
