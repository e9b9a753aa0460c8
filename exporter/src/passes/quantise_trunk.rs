//! `quantise-trunk`: VGG19's convolutions, which cause most of the cost per film, compute in 8 bits. Their operands are rounded to one
//! of 256 steps between 0 and the largest value that occurs there on the quantisation films. Their weights are rounded to one of 129
//! steps per output channel. Sums are exact. The rest of the trunk and the heads do not change.
//!
//! The result differs from the trained network. Evaluate the bundle on films to see whether the difference matters.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayD, Axis, IxDyn};
use onemark_models::graph::{Graph, Node, NodeId, Op, Owner, ParamId, Parameters, Port, Role, Value};
use onemark_models::reference::{self, Maps};

use super::{Context, Effect, Pass, PassError, Property};
use crate::module::Module;

/// The allowed difference between backends. A number between two steps may be rounded up by one backend and down by another, and later
/// layers increase the difference. Measured on small random networks: 6e-2.
const TOLERANCE: f32 = 0.2;
/// The step of a film's grey values, which are multiples of 1/255 and therefore exact.
const GREY: f32 = 1.0 / 255.0;
/// The largest step of an operand, which is never negative.
const OPERAND: f32 = 255.0;
/// The largest step of a weight. Processors without instructions for dot products of bytes add two products in 16 bits and saturate:
/// 2 * 255 * 64 fits into 16 bits, 2 * 255 * 127 would not.
const WEIGHT: f32 = 64.0;

pub(super) const PASS: Pass = Pass {
    name: "quantise-trunk",
    requires: &[Property::NoBatchNorm, Property::TrunkAndHeads],
    ensures: &[],
    effect: Effect::Changes { tolerance: TOLERANCE },
    applies: |options| !options.quantisation_films.is_empty(),
    run,
};

fn run(mut module: Module, context: &Context<'_>) -> Result<Module, PassError> {
    let largest = largest(&module.trunk, &module.tensors, context.films)?;
    let mut quantised = Quantised::default();
    module.trunk = quantised.rewrite(&module.trunk, &largest)?;
    for (param, step) in quantised.steps {
        module.tensors.insert(param, ArrayD::from_elem(IxDyn(&[]), step));
    }
    for param in quantised.weights {
        if let Some(weight) = module.tensors.get_mut(&param) {
            module.steps.insert(param, round(weight));
        }
    }
    Ok(module)
}

/// Whether a node belongs to the frozen trunk.
fn is_trunk(node: &Node) -> bool {
    node.params.iter().any(|param| param.node.owner == Owner::Trunk)
}

/// The largest output of each rectified convolution of the frozen trunk on the films, by node.
fn largest(trunk: &Graph, tensors: &Parameters, films: &[Array2<f32>]) -> Result<BTreeMap<NodeId, f32>, PassError> {
    let rectified = trunk.nodes().filter(|(_, node)| {
        let before = node.inputs.first().map(|input| trunk.node(*input));
        node.op == Op::Relu && before.is_some_and(is_trunk)
    });
    let outputs = rectified.map(|(value, node)| (Port::Crossing(node.id.clone()), value)).collect();
    let graph = trunk.part("quantisation", outputs);
    let mut largest: BTreeMap<NodeId, f32> = BTreeMap::new();
    for film in films {
        let input = Maps::from([(Port::Film, film.clone().insert_axis(Axis(0)).insert_axis(Axis(0)))]);
        let made = reference::run(&graph, tensors, &input).map_err(|source| PassError::Films { source })?;
        for (_, value) in graph.outputs() {
            let node = &graph.node(*value).id;
            let known = largest.entry(node.clone()).or_insert(f32::MIN_POSITIVE);
            *known = made[&Port::Crossing(node.clone())].iter().copied().fold(*known, f32::max);
        }
    }
    Ok(largest)
}

/// The rounded operands and weights of the rewritten trunk.
#[derive(Default)]
struct Quantised {
    /// The steps of operands.
    steps: BTreeMap<ParamId, f32>,
    /// The weights to be rounded.
    weights: BTreeSet<ParamId>,
    /// The step of each rounded value of the new graph.
    values: BTreeMap<Value, ParamId>,
}

impl Quantised {
    /// The trunk with rounded operands. Rounding includes the ReLU, because the smallest step is 0.
    fn rewrite(&mut self, trunk: &Graph, largest: &BTreeMap<NodeId, f32>) -> Result<Graph, PassError> {
        trunk.rewrite(|new, value, node, inputs| match node.op {
            Op::Input if trunk.input_port(value) == Some(&Port::Film) => {
                let film = new.copy(trunk, node, inputs)?;
                let step = self.step(&node.id, GREY);
                self.round(new, node.id.then("rounded"), film, step)
            }
            Op::Relu if largest.contains_key(&node.id) => {
                let step = self.step(&node.id, largest[&node.id] / OPERAND);
                self.round(new, node.id.clone(), inputs[0], step)
            }
            // A maximum of quantised values is already quantised. Repeating the step lets backends pool in 8 bits.
            Op::MaxPool if self.values.contains_key(&inputs[0]) => {
                let step = self.values[&inputs[0]].clone();
                let pooled = new.apply(node.id.then("pooled"), Op::MaxPool, inputs)?;
                self.round(new, node.id.clone(), pooled, step)
            }
            Op::Conv { .. } if self.values.contains_key(&inputs[0]) && is_trunk(node) => {
                self.weights.extend(node.params.first().cloned());
                Ok(new.copy(trunk, node, inputs)?)
            }
            _ => Ok(new.copy(trunk, node, inputs)?),
        })
    }

    fn step(&mut self, node: &NodeId, step: f32) -> ParamId {
        let param = node.param(Role::Step);
        self.steps.insert(param.clone(), step);
        param
    }

    fn round(&mut self, new: &mut Graph, id: NodeId, operand: Value, step: ParamId) -> Result<Value, PassError> {
        new.declare(&step, vec![])?;
        let value = new.push(id, Op::FakeQuantise, &[operand], vec![step.clone()])?;
        self.values.insert(value, step);
        Ok(value)
    }
}

/// Rounds a weight `[out, in, rows, columns]` and returns the step of each output channel.
fn round(weight: &mut ArrayD<f32>) -> Vec<f32> {
    let channels = weight.axis_iter_mut(Axis(0)).map(|mut channel| {
        let largest = channel.iter().fold(f32::MIN_POSITIVE, |largest, number| largest.max(number.abs()));
        let scale = largest / WEIGHT;
        channel.mapv_inplace(|number| (number / scale).round() * scale);
        scale
    });
    channels.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::Of;

    use super::super::hoist_landmark_invariant::PASS as HOIST;
    use super::super::testing::{FINEST, conv, node, own, random_module, run_pass};
    use super::*;

    /// The allowed difference with 256 steps of each operand and 129 of each weight, after two convolutions, as a share of the largest
    /// number.
    const ROUNDING: f32 = 0.03;

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("head");
        let film = graph.input(Port::Film, [1, 1, 4, 6]).unwrap();
        let a = graph.conv(node("a"), film, conv(3, (3, 3))).unwrap();
        let a = graph.apply(node("a.relu"), Op::Relu, &[a]).unwrap();
        let pool = graph.apply(node("pool"), Op::MaxPool, &[a]).unwrap();
        let b = graph.conv(node("b"), pool, conv(2, (3, 3))).unwrap();
        let b = graph.apply(node("b.relu"), Op::Relu, &[b]).unwrap();
        let decoder = graph.conv(Owner::Decoder(Of::All).node("embed"), b, conv(2, (1, 1))).unwrap();
        let specific = graph.conv(own(1, "a"), decoder, conv(1, (1, 1))).unwrap();
        graph.output(Port::Embedding(FINEST), decoder).unwrap();
        graph.output(Port::Score, specific).unwrap();
        let before = run_pass(&HOIST, random_module(vec![graph]));
        let grey = |(i, j): (usize, usize)| ((i * 7 + j * 3) % 11) as f32 / 11.0;
        let films = [Array2::from_shape_fn((4, 6), grey), Array2::from_elem((4, 6), 1.0)];
        let after = run(before.clone(), &Context { films: &films }).unwrap();
        assert_eq!(
            after.trunk.to_string(),
            "\
graph trunk {
  %film = input : [1,1,4,6]
  %trunk.film.rounded = fake_quantise %film <trunk.film.step []> : [1,1,4,6]
  %trunk.a = conv %trunk.film.rounded <trunk.a.weight [3,1,3,3]> <trunk.a.bias [3]> : [1,3,4,6]
  %trunk.a.relu = fake_quantise %trunk.a <trunk.a.relu.step []> : [1,3,4,6]
  %trunk.pool.pooled = max_pool %trunk.a.relu : [1,3,2,3]
  %trunk.pool = fake_quantise %trunk.pool.pooled <trunk.a.relu.step []> : [1,3,2,3]
  %trunk.b = conv %trunk.pool <trunk.b.weight [2,3,3,3]> <trunk.b.bias [2]> : [1,2,2,3]
  %trunk.b.relu = fake_quantise %trunk.b <trunk.b.relu.step []> : [1,2,2,3]
  %decoder.embed = conv %trunk.b.relu <decoder.embed.weight [2,2,1,1]> <decoder.embed.bias [2]> : [1,2,2,3]
  return embedding1 = %decoder.embed
}
"
        );
        assert_eq!(
            after.steps.keys().map(ParamId::to_string).collect::<Vec<_>>(),
            ["trunk.a.weight", "trunk.b.weight"]
        );
        for (name, scales) in &after.steps {
            for (channel, scale) in after.tensors[name].axis_iter(Axis(0)).zip(scales) {
                let levels: Vec<f32> = channel.iter().map(|number| number / scale).collect();
                assert!(levels.iter().all(|level| (level - level.round()).abs() < 1e-3 && level.abs() < WEIGHT + 0.5));
                assert!(
                    levels.iter().any(|level| level.abs() > WEIGHT - 0.5),
                    "the largest weight has the largest step"
                );
            }
        }
        let film = films[0].clone().insert_axis(Axis(0)).insert_axis(Axis(0));
        let [exact, rounded] = [&before, &after].map(|module| {
            reference::run(&module.trunk, &module.tensors, &[(Port::Film, film.clone())].into()).unwrap()
        });
        let [exact, rounded] = [exact, rounded].map(|mut outputs| outputs.remove(&Port::Embedding(FINEST)).unwrap());
        let apart = (&exact - &rounded).mapv(f32::abs).fold(0.0_f32, |largest, number| largest.max(*number));
        assert!(
            0.0 < apart && apart < ROUNDING * exact.fold(0.0_f32, |largest, number| largest.max(number.abs())),
            "{apart}"
        );
    }

    #[test]
    fn it_belongs_to_quantisation_films_only() {
        assert!(!(PASS.applies)(&crate::Options::default()));
    }
}
