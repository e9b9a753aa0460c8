//! Shared parts of the passes' tests: graphs are run by the reference interpreter on random numbers, and the results are compared.

#![allow(clippy::unwrap_used)]

use ndarray::Array4;
use onemark_models::checkpoint::init;
use onemark_models::graph::{Conv, Graph, Level, NodeId, Of, Op, Owner, Port, Role};
use onemark_models::landmarks::LandmarkId;
use onemark_models::reference::{self, Maps};

use super::{Context, Effect, Pass, PassError, pipeline};
use crate::module::Module;

/// The allowed difference after folding, which rounds once more than the interpreter, for numbers near 1.
pub(crate) const FOLDING_TOLERANCE: f32 = match Effect::FOLDS {
    Effect::Rounds { tolerance } | Effect::Changes { tolerance } => tolerance,
    Effect::Exact => 0.0,
};
/// Passes that only move nodes do not change any bit.
pub(crate) const EXACT: f32 = 0.0;
/// A level for template vectors.
pub(crate) const FINEST: Level = Level::COARSE_TO_FINE[4];

const SEED: u64 = 20;

/// A node that does not depend on a landmark.
pub(crate) fn node(path: &str) -> NodeId {
    Owner::Trunk.node(path)
}

/// A node of a landmark's adapter.
pub(crate) fn own(number: usize, path: &str) -> NodeId {
    Owner::Adapter(of(number)).node(path)
}

/// The landmark with this number.
pub(crate) fn of(number: usize) -> Of {
    Of::One(LandmarkId::new(number).unwrap())
}

/// A convolution with bias.
pub(crate) fn conv(out: usize, kernel: (usize, usize)) -> Conv {
    Conv { out, kernel, dilation: 1, bias: true }
}

/// A convolution with batch normalisation.
pub(crate) fn graph_with_batch_norm() -> Graph {
    let mut graph = Graph::new("toy");
    let film = graph.input(Port::Film, [1, 1, 4, 4]).unwrap();
    let a = graph.conv(node("a"), film, conv(2, (3, 3))).unwrap();
    let a = graph.batch_norm(node("a.bn"), a).unwrap();
    let a = graph.apply(node("a.relu"), Op::Relu, &[a]).unwrap();
    graph.output(Port::Score, a).unwrap();
    graph
}

/// A module of whole graphs, one per landmark, with random numbers.
pub(crate) fn random_module(heads: Vec<Graph>) -> Module {
    let tensors = heads.iter().flat_map(|head| init::random(head.params(), SEED)).collect();
    Module { trunk: Graph::new("trunk"), heads, tensors, ..Module::default() }
}

/// Runs a pass and checks its contract.
pub(crate) fn checked(pass: &Pass, module: Module) -> Result<Module, PassError> {
    pipeline::checked(pass, module, &Context::default(), &mut Vec::new())
}

/// Runs a pass that must succeed.
pub(crate) fn run_pass(pass: &Pass, module: Module) -> Module {
    checked(pass, module).unwrap()
}

/// Asserts that both modules compute the same outputs of every landmark on a random film.
pub(crate) fn assert_same_results(before: &Module, after: &Module, tolerance: f32) {
    for (expected, found) in run(before).iter().zip(&run(after)) {
        assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
        for (port, expected) in expected {
            let difference = (expected - &found[port]).mapv(f32::abs).fold(0.0_f32, |max, number| max.max(*number));
            assert!(difference <= tolerance, "{port} differs by {difference}");
            assert!(
                expected.iter().any(|number| *number != 0.0),
                "{port} is zero everywhere, so the comparison is meaningless"
            );
        }
    }
}

/// The outputs of every landmark: the outputs of its head, and those of the trunk that are outputs of the network.
fn run(module: &Module) -> Vec<Maps> {
    let film = |graph: &Graph| -> Maps {
        graph.inputs().iter().map(|(port, value)| (port.clone(), noise(graph.node(*value).shape))).collect()
    };
    if module.trunk.outputs().is_empty() {
        return module.heads.iter().map(|head| reference::run(head, &module.tensors, &film(head)).unwrap()).collect();
    }
    let taps = reference::run(&module.trunk, &module.tensors, &film(&module.trunk)).unwrap();
    let heads = module.heads.iter().map(|head| {
        let mut outputs = reference::run(head, &module.tensors, &taps).unwrap();
        let named = |port: &Port| matches!(port, Port::Embedding(_) | Port::Score);
        outputs.extend(taps.clone().into_iter().filter(|(port, _)| named(port)));
        outputs
    });
    heads.collect()
}

/// Random numbers.
pub(crate) fn noise(shape: [usize; 4]) -> Array4<f32> {
    let param = node("noise").param(Role::RunningVariance);
    let tensors = init::random([(&param, &shape.to_vec())], SEED);
    Array4::from_shape_vec(shape, tensors[&param].iter().map(|number| number - 1.0).collect()).unwrap()
}
