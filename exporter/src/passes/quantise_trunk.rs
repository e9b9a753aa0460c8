//! `quantise-trunk`: VGG19's convolutions, most of what a film costs, compute in 8 bits. Their operands are rounded to one of 256
//! levels between 0 and the largest number that calibration films bring about there, their weights, per output channel, to one of
//! 129; sums are exact. What the trunk does beside them, and the heads, stay as they are.
//!
//! What comes of it is not quite the network that was trained: accuracy on films says whether that matters.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayD, Axis, IxDyn};
use onemark_models::checkpoint::Tensors;
use onemark_models::graph::{Graph, Op, Value};
use onemark_models::network::FILM;
use onemark_models::reference;

use super::{Pass, PassError, Property};
use crate::module::Module;

/// The parameters of the frozen trunk.
const TRUNK: &str = "trunk.";
/// A film's grey values are whole 255ths: they are hit exactly.
const GREY: f32 = 1.0 / 255.0;
/// The largest level of an operand, which is never negative.
const OPERAND: f32 = 255.0;
/// The largest level of a weight. Processors without instructions for dot products of bytes add two products in 16 bits, and cut off
/// what is beyond them: 2 * 255 * 64 is not, 2 * 255 * 127 would be.
const WEIGHT: f32 = 64.0;

pub(super) struct QuantiseTrunk;

impl Pass for QuantiseTrunk {
    fn name(&self) -> &'static str {
        "quantise-trunk"
    }

    fn requires(&self) -> &'static [Property] {
        &[Property::NoBatchNorm, Property::TrunkAndHeads]
    }

    fn ensures(&self) -> &'static [Property] {
        &[]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        if module.calibration.is_empty() {
            return Ok(module);
        }
        let largest = largest(&module.trunk, &module.tensors, &module.calibration)?;
        let mut scales = BTreeMap::new();
        let mut weights = BTreeSet::new();
        module.trunk = quantised(&module.trunk, &largest, &mut scales, &mut weights)?;
        for (name, scale) in scales {
            module.tensors.insert(name, ArrayD::from_elem(IxDyn(&[]), scale));
        }
        for name in weights {
            let weight = module.tensors.get_mut(&name).ok_or_else(|| PassError::NoTensor { name: name.clone() })?;
            module.int8.insert(name, round(weight));
        }
        Ok(module)
    }
}

/// The largest number that each rectified convolution of the frozen trunk makes of the films, by node.
fn largest(trunk: &Graph, tensors: &Tensors, films: &[Array2<f32>]) -> Result<BTreeMap<String, f32>, PassError> {
    let rectified = trunk.nodes().filter(|(_, node)| {
        let before = node.inputs.first().map(|input| trunk.node(*input));
        node.op == Op::Relu && before.is_some_and(|conv| conv.params.iter().any(|param| param.starts_with(TRUNK)))
    });
    let outputs = rectified.map(|(value, node)| (node.name.clone(), value)).collect();
    let graph = trunk.part("calibration", outputs);
    let mut largest: BTreeMap<String, f32> = BTreeMap::new();
    for film in films {
        let input = film.clone().insert_axis(Axis(0)).insert_axis(Axis(0));
        let made = reference::run(&graph, tensors, &[(FILM.to_owned(), input)].into());
        for (name, tensor) in made.map_err(|source| PassError::Calibration { source })? {
            let known = largest.entry(name).or_insert(f32::MIN_POSITIVE);
            *known = tensor.iter().copied().fold(*known, f32::max);
        }
    }
    Ok(largest)
}

/// The trunk with operands rounded. Rectifying is part of that: there is no level below 0.
fn quantised(
    trunk: &Graph,
    largest: &BTreeMap<String, f32>,
    scales: &mut BTreeMap<String, f32>,
    weights: &mut BTreeSet<String>,
) -> Result<Graph, PassError> {
    // By value: the scale's name.
    let mut rounded: BTreeMap<Value, String> = BTreeMap::new();
    trunk.rewrite(|new, node, inputs| {
        let mut level = |new: &mut Graph, name: &str, operand: Value, scale: String| {
            new.declare(&scale, vec![])?;
            let value = new.push(name, Op::Quantise, &[operand], vec![scale.clone()])?;
            rounded.insert(value, scale);
            Ok::<Value, PassError>(value)
        };
        match node.op {
            Op::Input if node.name == FILM => {
                let film = new.copy(trunk, node, inputs)?;
                scales.insert(format!("{FILM}.scale"), GREY);
                level(new, &format!("{FILM}.rounded"), film, format!("{FILM}.scale"))
            }
            Op::Relu if largest.contains_key(&node.name) => {
                let scale = format!("{}.scale", node.name);
                scales.insert(scale.clone(), largest[&node.name] / OPERAND);
                level(new, &node.name, inputs[0], scale)
            }
            // Of levels it takes one of them: said once more, for backends that then stay in 8 bits.
            Op::MaxPool if rounded.contains_key(&inputs[0]) => {
                let scale = rounded[&inputs[0]].clone();
                let pooled = new.apply(&format!("{}.of_levels", node.name), Op::MaxPool, inputs)?;
                let value = new.push(&node.name, Op::Quantise, &[pooled], vec![scale.clone()])?;
                rounded.insert(value, scale);
                Ok(value)
            }
            Op::Conv { .. } if rounded.contains_key(&inputs[0]) => {
                weights.extend(node.params.first().filter(|weight| weight.starts_with(TRUNK)).cloned());
                Ok(new.copy(trunk, node, inputs)?)
            }
            _ => Ok(new.copy(trunk, node, inputs)?),
        }
    })
}

/// Rounds a weight `[out, in, rows, columns]`; the scales of its output channels.
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
    use onemark_models::checkpoint::init;

    use super::super::hoist_landmark_invariant::HoistLandmarkInvariant;
    use super::*;

    /// 256 levels of each operand and 129 of each weight, through two convolutions, as a share of the largest number.
    const ROUNDING: f32 = 0.03;

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("head");
        let film = graph.input(FILM, [1, 1, 4, 6]).unwrap();
        let a = graph.conv("trunk.a", film, 3, (3, 3), 1, true).unwrap();
        let a = graph.apply("trunk.a.relu", Op::Relu, &[a]).unwrap();
        let pool = graph.apply("trunk.pool", Op::MaxPool, &[a]).unwrap();
        let b = graph.conv("trunk.b", pool, 2, (3, 3), 1, true).unwrap();
        let b = graph.apply("trunk.b.relu", Op::Relu, &[b]).unwrap();
        let decoder = graph.conv("decoder", b, 2, (1, 1), 1, true).unwrap();
        let own = graph.conv("adapter.01.a", decoder, 1, (1, 1), 1, true).unwrap();
        graph.output("embedding1", decoder).unwrap();
        graph.output("score", own).unwrap();
        let tensors = init::random(graph.params(), 4);
        let whole = Module { trunk: Graph::new("trunk"), heads: vec![graph], tensors, ..Module::default() };
        let mut before = HoistLandmarkInvariant.run(whole).unwrap();
        let grey = |(i, j): (usize, usize)| ((i * 7 + j * 3) % 11) as f32 / 11.0;
        before.calibration = vec![Array2::from_shape_fn((4, 6), grey), Array2::from_elem((4, 6), 1.0)];
        let after = QuantiseTrunk.run(before.clone()).unwrap();
        assert_eq!(
            after.trunk.to_string(),
            "\
graph trunk {
  %film = input : [1,1,4,6]
  %film.rounded = quantise %film <film.scale []> : [1,1,4,6]
  %trunk.a = conv %film.rounded <trunk.a.weight [3,1,3,3]> <trunk.a.bias [3]> : [1,3,4,6]
  %trunk.a.relu = quantise %trunk.a <trunk.a.relu.scale []> : [1,3,4,6]
  %trunk.pool.of_levels = max_pool %trunk.a.relu : [1,3,2,3]
  %trunk.pool = quantise %trunk.pool.of_levels <trunk.a.relu.scale []> : [1,3,2,3]
  %trunk.b = conv %trunk.pool <trunk.b.weight [2,3,3,3]> <trunk.b.bias [2]> : [1,2,2,3]
  %trunk.b.relu = quantise %trunk.b <trunk.b.relu.scale []> : [1,2,2,3]
  %decoder = conv %trunk.b.relu <decoder.weight [2,2,1,1]> <decoder.bias [2]> : [1,2,2,3]
  return embedding1 = %decoder
}
"
        );
        assert_eq!(after.int8.keys().collect::<Vec<_>>(), ["trunk.a.weight", "trunk.b.weight"]);
        for (name, scales) in &after.int8 {
            for (channel, scale) in after.tensors[name].axis_iter(Axis(0)).zip(scales) {
                let levels: Vec<f32> = channel.iter().map(|number| number / scale).collect();
                assert!(levels.iter().all(|level| (level - level.round()).abs() < 1e-3 && level.abs() < WEIGHT + 0.5));
                assert!(
                    levels.iter().any(|level| level.abs() > WEIGHT - 0.5),
                    "the largest weight has the largest level"
                );
            }
        }
        let film = before.calibration[0].clone().insert_axis(Axis(0)).insert_axis(Axis(0));
        let [exact, rounded] = [&before, &after].map(|module| {
            reference::run(&module.trunk, &module.tensors, &[(FILM.to_owned(), film.clone())].into()).unwrap()
        });
        let [exact, rounded] = [exact, rounded].map(|mut outputs| outputs.remove("embedding1").unwrap());
        let apart = (&exact - &rounded).mapv(f32::abs).fold(0.0_f32, |largest, number| largest.max(*number));
        assert!(
            0.0 < apart && apart < ROUNDING * exact.fold(0.0_f32, |largest, number| largest.max(number.abs())),
            "{apart}"
        );
    }

    #[test]
    fn without_calibration_films_nothing_happens() {
        let module = Module { trunk: Graph::new("trunk"), ..Module::default() };
        assert!(QuantiseTrunk.run(module).unwrap().int8.is_empty());
    }
}
