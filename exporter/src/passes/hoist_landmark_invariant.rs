//! `hoist-landmark-invariant`: whatever depends on no landmark's own parameters moves to the trunk, and runs once per film. So do
//! landmarks' own thin convolutions of that, for `stack-adapters` to make one of.
//!
//! Whole nodes only. What crosses from trunk to heads keeps its name: that of the network's output if it is one
//! (`embedding5` of a network without adapters), else its node's.

use std::collections::{BTreeMap, BTreeSet};

use onemark_models::graph::{Graph, Node, Op, Value};
use onemark_models::network::is_own;

use super::{Pass, PassError, Property, is_thin};
use crate::module::Module;

pub(super) struct HoistLandmarkInvariant;

impl Pass for HoistLandmarkInvariant {
    fn name(&self) -> &'static str {
        "hoist-landmark-invariant"
    }

    fn requires(&self) -> &'static [Property] {
        &[]
    }

    fn ensures(&self) -> &'static [Property] {
        &[Property::TrunkAndHeads]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        let mut trunk = Graph::new(module.trunk.name());
        // Everything invariant first: heads must agree on it, so it goes in once.
        let mut hoisted = BTreeMap::new();
        let mut crossing = BTreeSet::new();
        for head in module.heads.iter_mut().chain(module.plan.iter_mut().map(|plan| &mut plan.coarse)) {
            let split = Split::of(head);
            split.add_to(&mut trunk, &mut hoisted)?;
            let (rest, crossed) = split.rest()?;
            for (name, node) in crossed {
                if crossing.insert(name.clone()) {
                    trunk.output(name, hoisted[&node].0)?;
                }
            }
            *head = rest;
        }
        module.trunk = trunk.pruned();
        Ok(module)
    }
}

/// A head, and which of its values the trunk is to make.
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
            if !node.params.iter().any(|param| is_own(param)) {
                invariant.insert(value);
            } else if matches!(node.op, Op::Conv { .. }) && weight.is_some_and(|weight| is_thin(weight)) {
                thin.insert(value);
            }
        }
        Self { graph, hoisted: &invariant | &thin }
    }

    /// Adds the nodes that `trunk` doesn't have yet, and checks that it has the others as they are here.
    fn add_to(&self, trunk: &mut Graph, hoisted: &mut BTreeMap<String, (Value, String)>) -> Result<(), PassError> {
        for (_, node) in self.graph.nodes().filter(|(value, _)| self.hoisted.contains(value)) {
            let text = self.describe(node);
            match hoisted.get(&node.name) {
                None => {
                    let inputs: Vec<Value> =
                        node.inputs.iter().map(|input| hoisted[&self.graph.node(*input).name].0).collect();
                    hoisted.insert(node.name.clone(), (trunk.copy(self.graph, node, &inputs)?, text));
                }
                Some((_, first)) if *first == text => {}
                Some((_, first)) => {
                    return Err(PassError::Differs { what: node.name.clone(), first: first.clone(), second: text });
                }
            }
        }
        Ok(())
    }

    /// Everything about a node but its place in the graph.
    fn describe(&self, node: &Node) -> String {
        let inputs: Vec<_> = node.inputs.iter().map(|input| self.graph.node(*input).name.as_str()).collect();
        let params = node.params.iter().map(|name| (name, self.graph.params().get(name)));
        format!("{:?} {} {:?} {:?}", node.op, inputs.join(" "), params.collect::<Vec<_>>(), node.shape)
    }

    /// The head without the nodes that the trunk has; and what it needs of them, or what the caller needs: (name, node's name).
    fn rest(&self) -> Result<(Graph, Vec<(String, String)>), PassError> {
        let mut rest = Graph::new(self.graph.name());
        let mut values: BTreeMap<Value, Value> = BTreeMap::new();
        let mut crossing = Vec::new();
        for (value, node) in self.graph.nodes().filter(|(value, _)| !self.hoisted.contains(value)) {
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for input in &node.inputs {
                let known = values.get(input).copied();
                inputs.push(match known {
                    Some(known) => known,
                    None => {
                        let (name, source) = (self.name(*input), self.graph.node(*input));
                        let new = rest.input(name.clone(), source.shape)?;
                        crossing.push((name, source.name.clone()));
                        values.insert(*input, new);
                        new
                    }
                });
            }
            values.insert(value, rest.copy(self.graph, node, &inputs)?);
        }
        for (name, value) in self.graph.outputs() {
            if self.hoisted.contains(value) {
                crossing.push((name.clone(), self.graph.node(*value).name.clone()));
            } else {
                rest.output(name.clone(), values[value])?;
            }
        }
        Ok((rest, crossing))
    }

    /// What a value is called where it crosses from the trunk to the heads.
    fn name(&self, value: Value) -> String {
        let output = self.graph.outputs().iter().find(|(_, other)| *other == value);
        output.map_or_else(|| self.graph.node(value).name.clone(), |(name, _)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::Op;

    use super::super::testing::{EXACT, assert_same_results, random_module};
    use super::*;

    fn head(number: usize) -> Graph {
        let mut graph = Graph::new(format!("head{number}"));
        let film = graph.input("film", [1, 1, 4, 4]).unwrap();
        let a = graph.conv("a", film, 2, (3, 3), 1, true).unwrap();
        let a = graph.apply("a.relu", Op::Relu, &[a]).unwrap();
        let own = graph.conv(&format!("adapter.{number:02}.a"), a, 1, (3, 3), 1, true).unwrap();
        let both = graph.apply("both", Op::Concat, &[a, own]).unwrap();
        let score = graph.cosine("cosine", both, &format!("template.{number:02}.level1")).unwrap();
        graph.output("score", score).unwrap();
        graph.output("shared", a).unwrap();
        graph
    }

    #[test]
    fn before_and_after() {
        let before = random_module(vec![head(1), head(2)]);
        let after = HoistLandmarkInvariant.run(before.clone()).unwrap();
        assert_eq!(
            after.trunk.to_string(),
            "\
graph trunk {
  %film = input : [1,1,4,4]
  %a = conv %film <a.weight [2,1,3,3]> <a.bias [2]> : [1,2,4,4]
  %a.relu = relu %a : [1,2,4,4]
  return shared = %a.relu
}
"
        );
        assert_eq!(
            after.heads[1].to_string(),
            "\
graph head2 {
  %shared = input : [1,2,4,4]
  %adapter.02.a = conv %shared <adapter.02.a.weight [1,2,3,3]> <adapter.02.a.bias [1]> : [1,1,4,4]
  %both = concat %shared %adapter.02.a : [1,3,4,4]
  %cosine = cosine %both <template.02.level1 [3]> : [1,1,4,4]
  return score = %cosine
}
"
        );
        assert_same_results(&before, &after, EXACT);
    }

    #[test]
    fn of_what_is_a_landmarks_own_thin_convolutions_move_alone() {
        let mut graph = Graph::new("head1");
        let film = graph.input("film", [1, 64, 4, 4]).unwrap();
        let thin = graph.conv("adapter.01.thin", film, 2, (3, 3), 1, true).unwrap();
        let relu = graph.apply("adapter.01.relu", Op::Relu, &[thin]).unwrap();
        let cells = graph.conv("adapter.01.cells", film, 2, (1, 1), 1, true).unwrap();
        let both = graph.apply("both", Op::Add, &[relu, cells]).unwrap();
        graph.output("out", both).unwrap();
        let before = random_module(vec![graph]);
        let after = HoistLandmarkInvariant.run(before.clone()).unwrap();
        let crossing: Vec<_> = after.trunk.outputs().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(crossing, ["adapter.01.thin", "film"]);
        assert_same_results(&before, &after, EXACT);
    }

    #[test]
    fn heads_that_disagree_are_refused() {
        let mut other = Graph::new("head2");
        let film = other.input("film", [1, 1, 4, 4]).unwrap();
        let a = other.conv("a", film, 2, (1, 1), 1, true).unwrap();
        other.output("score", a).unwrap();
        let error = HoistLandmarkInvariant.run(random_module(vec![head(1), other])).unwrap_err();
        assert!(error.to_string().starts_with("a differs between landmarks"), "{error}");
    }
}
