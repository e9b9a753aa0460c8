//! What the passes' tests share: proof by execution with the reference interpreter, on random numbers.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use ndarray::Array4;
use onemark_models::checkpoint::init;
use onemark_models::graph::Graph;
use onemark_models::reference;

use crate::module::Module;

/// Folding rounds once more than the interpreter does, on numbers near 1.
pub(crate) const FOLDING_TOLERANCE: f32 = 1e-5;
/// Passes that only move things change no bit.
pub(crate) const EXACT: f32 = 0.0;

const SEED: u64 = 20;

/// A module of whole graphs, one per landmark, with random numbers.
pub(crate) fn random_module(heads: Vec<Graph>) -> Module {
    let tensors = heads.iter().flat_map(|head| init::random(head.params(), SEED)).collect();
    Module { trunk: Graph::new("trunk"), heads, tensors, ..Module::default() }
}

/// Asserts that both modules make the same of one random film: all outputs of every landmark.
pub(crate) fn assert_same_results(before: &Module, after: &Module, tolerance: f32) {
    for (expected, found) in run(before).iter().zip(&run(after)) {
        assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
        for (name, expected) in expected {
            let difference = (expected - &found[name]).mapv(f32::abs).fold(0.0_f32, |max, number| max.max(*number));
            assert!(difference <= tolerance, "{name} differs by {difference}");
            assert!(expected.iter().any(|number| *number != 0.0), "{name} is all zero, which proves nothing");
        }
    }
}

/// The outputs of every landmark: those of its head, and those of the trunk that the network itself names.
fn run(module: &Module) -> Vec<BTreeMap<String, Array4<f32>>> {
    let tensors = module.tensors.iter().chain(&module.constants).map(|(n, t)| (n.clone(), t.clone())).collect();
    let film = |graph: &Graph| -> BTreeMap<String, Array4<f32>> {
        let inputs = graph.inputs().map(|(_, node)| (node.name.clone(), node.shape));
        inputs.map(|(name, shape)| (name, noise(shape))).collect()
    };
    let mut taps = BTreeMap::new();
    if module.trunk.outputs().is_empty() {
        return module.heads.iter().map(|head| reference::run(head, &tensors, &film(head)).unwrap()).collect();
    }
    taps.extend(reference::run(&module.trunk, &tensors, &film(&module.trunk)).unwrap());
    let heads = module.heads.iter().map(|head| {
        let mut outputs = reference::run(head, &tensors, &taps).unwrap();
        outputs.extend(taps.clone().into_iter().filter(|(name, _)| module.trunk.value(name).is_none()));
        outputs
    });
    heads.collect()
}

/// Random numbers.
pub(crate) fn noise(shape: [usize; 4]) -> Array4<f32> {
    let name = "noise.running_var".to_owned();
    let tensors = init::random([(&name, &shape.to_vec())], SEED);
    Array4::from_shape_vec(shape, tensors[&name].iter().map(|number| number - 0.5).collect()).unwrap()
}
