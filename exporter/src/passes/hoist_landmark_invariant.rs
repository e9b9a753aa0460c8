//! `hoist-landmark-invariant`: moves nodes that do not depend on a landmark's parameters to the trunk, where they run once per film. It
//! also moves thin convolutions of landmarks that read invariant values; `stack-adapters` merges them.
//!
//! Only whole nodes move. A value that the trunk computes for heads becomes an output of the trunk: under its port if it is an output of
//! the network (the embedding of level 5 in a network without adapters), otherwise as a crossing of its node.

use std::collections::{BTreeMap, BTreeSet};

use onemark_models::graph::{Graph, Node, NodeId, Of, Op, ParamId, Port, Value};

use super::{Context, Effect, Pass, PassError, Property, is_thin};
use crate::module::Module;

pub(super) const PASS: Pass = Pass {
    name: "hoist-landmark-invariant",
    requires: &[Property::WholeHeads],
    ensures: &[Property::TrunkAndHeads],
    effect: Effect::Exact,
    applies: |_| true,
    run,
};

fn run(mut module: Module, _: &Context<'_>) -> Result<Module, PassError> {
    let mut trunk = Trunk { graph: Graph::new(module.trunk.name()), hoisted: BTreeMap::new() };
    for head in module.heads.iter_mut().chain(module.split_head.as_mut().map(|split| &mut split.coarse)) {
        let split = Split::of(head);
        trunk.add(&split)?;
        let (rest, crossing) = split.rest()?;
        trunk.give(crossing)?;
        *head = rest;
    }
    module.trunk = trunk.graph.pruned();
    Ok(module)
}

/// The trunk while it is built.
struct Trunk {
    graph: Graph,
    hoisted: BTreeMap<NodeId, Value>,
}

impl Trunk {
    /// Adds the nodes that the trunk does not have yet, and checks that it has the others in the same form. Nodes that serve any
    /// landmark are already in the trunk for each landmark, because the heads were added before.
    fn add(&mut self, split: &Split<'_>) -> Result<(), PassError> {
        let head = split.graph;
        for (_, node) in head.nodes().filter(|(value, node)| split.hoisted.contains(value) && !is_generic(&node.id)) {
            let inputs: Vec<Value> = node.inputs.iter().map(|input| self.hoisted[&head.node(*input).id]).collect();
            match self.hoisted.get(&node.id) {
                Some(known) => self.compare(*known, head, node, inputs)?,
                None => {
                    let value = self.graph.copy(head, node, &inputs)?;
                    self.hoisted.insert(node.id.clone(), value);
                }
            }
        }
        Ok(())
    }

    /// Checks that a node of a head equals the trunk's node with the same id.
    fn compare(&self, known: Value, head: &Graph, node: &Node, inputs: Vec<Value>) -> Result<(), PassError> {
        let shapes = |graph: &Graph| -> Vec<Option<Vec<usize>>> {
            node.params.iter().map(|param| graph.params().get(param).cloned()).collect()
        };
        let (first, second) = (self.graph.node(known), Node { inputs, ..node.clone() });
        if *first == second && shapes(&self.graph) == shapes(head) {
            return Ok(());
        }
        let text = |node: &Node, shapes| format!("{} of {:?}, {:?} to {:?}", node.op, node.inputs, shapes, node.shape);
        let (first, second) = (text(first, shapes(&self.graph)), text(&second, shapes(head)));
        Err(PassError::Differs { what: node.id.to_string(), first, second })
    }

    /// Declares the values that a head needs as outputs, if they are not outputs yet.
    fn give(&mut self, crossing: Vec<(Port, NodeId)>) -> Result<(), PassError> {
        for (port, node) in crossing.into_iter().filter(|(_, node)| !is_generic(node)) {
            if !self.graph.outputs().iter().any(|(known, _)| *known == port) {
                self.graph.output(port, self.hoisted[&node])?;
            }
        }
        Ok(())
    }
}

fn is_generic(node: &NodeId) -> bool {
    node.owner.of() == Of::Any
}

/// A head, and the values that the trunk must compute for it.
struct Split<'a> {
    graph: &'a Graph,
    hoisted: BTreeSet<Value>,
}

impl<'a> Split<'a> {
    fn of(graph: &'a Graph) -> Self {
        let (mut invariant, mut thin) = (BTreeSet::new(), BTreeSet::new());
        for (value, node) in graph.nodes() {
            if !node.inputs.iter().all(|input| invariant.contains(input)) {
                continue;
            }
            let weight = node.params.first().and_then(|weight| graph.params().get(weight));
            if !node.params.iter().any(ParamId::is_specific) {
                invariant.insert(value);
            } else if matches!(node.op, Op::Conv { .. }) && weight.is_some_and(|weight| is_thin(weight)) {
                thin.insert(value);
            }
        }
        Self { graph, hoisted: &invariant | &thin }
    }

    /// The head without the nodes that the trunk has. Its inputs are outputs of the trunk, or provided by the caller.
    fn rest(&self) -> Result<(Graph, Vec<(Port, NodeId)>), PassError> {
        let mut rest = Graph::new(self.graph.name());
        let mut values: BTreeMap<Value, Value> = BTreeMap::new();
        let mut crossing = Vec::new();
        for (value, node) in self.graph.nodes().filter(|(value, _)| !self.hoisted.contains(value)) {
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for input in &node.inputs {
                if !values.contains_key(input) {
                    let (port, source) = (self.port(*input), self.graph.node(*input));
                    values.insert(*input, rest.input(port.clone(), source.shape)?);
                    crossing.push((port, source.id.clone()));
                }
                inputs.push(values[input]);
            }
            values.insert(value, rest.copy(self.graph, node, &inputs)?);
        }
        for (port, value) in self.graph.outputs() {
            if self.hoisted.contains(value) {
                crossing.push((port.clone(), self.graph.node(*value).id.clone()));
            } else {
                rest.output(port.clone(), values[value])?;
            }
        }
        Ok((rest, crossing))
    }

    /// Where a value crosses from the trunk to the heads.
    fn port(&self, value: Value) -> Port {
        let output = self.graph.outputs().iter().find(|(_, other)| *other == value).map(|(port, _)| port);
        let port = output.or_else(|| self.graph.input_port(value)).cloned();
        port.unwrap_or_else(|| Port::Crossing(self.graph.node(value).id.clone()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{EXACT, FINEST, assert_same_results, conv, node, of, own, random_module, run_pass};
    use super::*;

    fn head(number: usize) -> Graph {
        let mut graph = Graph::new(format!("head{number}"));
        let film = graph.input(Port::Film, [1, 1, 4, 4]).unwrap();
        let a = graph.conv(node("a"), film, conv(2, (3, 3))).unwrap();
        let a = graph.apply(node("a.relu"), Op::Relu, &[a]).unwrap();
        let specific = graph.conv(own(number, "a"), a, conv(1, (3, 3))).unwrap();
        let both = graph.apply(node("both"), Op::Concat, &[a, specific]).unwrap();
        let score = graph.cosine(node("cosine"), both, ParamId::vector(of(number), FINEST)).unwrap();
        graph.output(Port::Score, score).unwrap();
        graph.output(Port::Embedding(FINEST), a).unwrap();
        graph
    }

    #[test]
    fn before_and_after() {
        let before = random_module(vec![head(1), head(2)]);
        let after = run_pass(&PASS, before.clone());
        assert_eq!(
            after.trunk.to_string(),
            "\
graph trunk {
  %film = input : [1,1,4,4]
  %trunk.a = conv %film <trunk.a.weight [2,1,3,3]> <trunk.a.bias [2]> : [1,2,4,4]
  %trunk.a.relu = relu %trunk.a : [1,2,4,4]
  return embedding1 = %trunk.a.relu
}
"
        );
        assert_eq!(
            after.heads[1].to_string(),
            "\
graph head2 {
  %embedding1 = input : [1,2,4,4]
  %adapter.02.a = conv %embedding1 <adapter.02.a.weight [1,2,3,3]> <adapter.02.a.bias [1]> : [1,1,4,4]
  %trunk.both = concat %embedding1 %adapter.02.a : [1,3,4,4]
  %trunk.cosine = cosine %trunk.both <template.02.level1 [3]> : [1,1,4,4]
  return score = %trunk.cosine
}
"
        );
        assert_same_results(&before, &after, EXACT);
    }

    #[test]
    fn of_what_is_a_landmarks_own_thin_convolutions_move_alone() {
        let mut graph = Graph::new("head1");
        let film = graph.input(Port::Film, [1, 64, 4, 4]).unwrap();
        let thin = graph.conv(own(1, "thin"), film, conv(2, (3, 3))).unwrap();
        let relu = graph.apply(node("adapter.01.relu"), Op::Relu, &[thin]).unwrap();
        let cells = graph.conv(own(1, "cells"), film, conv(2, (1, 1))).unwrap();
        let both = graph.apply(node("both"), Op::Add, &[relu, cells]).unwrap();
        graph.output(Port::Score, both).unwrap();
        let before = random_module(vec![graph]);
        let after = run(before.clone(), &Context::default()).unwrap();
        let crossing: Vec<_> = after.trunk.outputs().iter().map(|(port, _)| port.to_string()).collect();
        assert_eq!(crossing, ["adapter.01.thin", "film"]);
        assert_same_results(&before, &after, EXACT);
    }

    #[test]
    fn heads_that_disagree_are_refused() {
        let mut other = Graph::new("head2");
        let film = other.input(Port::Film, [1, 1, 4, 4]).unwrap();
        let a = other.conv(node("a"), film, conv(2, (1, 1))).unwrap();
        other.output(Port::Score, a).unwrap();
        let error = run(random_module(vec![head(1), other]), &Context::default()).unwrap_err();
        assert!(error.to_string().starts_with("trunk.a differs between landmarks"), "{error}");
    }
}
