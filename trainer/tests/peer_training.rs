//! Compares the trainer's step with tests/peers/training.py, an independent implementation from METHOD.md with another framework's
//! optimiser. The peer computes in f64, so differences are the trainer's rounding.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ndarray::{ArrayD, Axis, Ix2};
use onemark_models::checkpoint::{Tensors, parameters, read_safetensors};
use onemark_models::graph::{Of, Owner, ParamShapes, Parameters, Port};
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::Architecture;
use onemark_models::network::config::{Network, Trunk};
use onemark_models::recipe::{Loss, Optimiser};
use onemark_trainer::net::interpreter::{self, Mode};
use onemark_trainer::net::params::{Params, from_torch, to_torch};
use onemark_trainer::report::profile::Profile;
use onemark_trainer::step::adam::Adam;
use onemark_trainer::step::pairs::Match;
use onemark_trainer::step::update::{Batch, Settings, Taps, update};
use serde::de::DeserializeOwned;
use tch::Device;

/// Largest difference of a level's loss, as a share of it.
const LOSS: f32 = 5e-5;
/// Largest difference of a gradient, as a share of the largest of its tensor …
const GRADIENT: f32 = 1e-3;
/// … or, where all of a tensor's are nearly zero, as a share of the largest of all: before batch normalisation a bias has none.
const NO_GRADIENT: f32 = 1e-6;
/// Largest difference of a trained parameter, as a share of the learning rate: Adam moves each by about that much per step.
const PARAMETER: f32 = 2e-2;
/// Largest difference of a running statistic, as a share of the largest of its tensor.
const STATISTIC: f32 = 5e-5;

/// Where a golden has each number of a parameter, along the first axis.
const BEFORE: usize = 0;
const AFTER: usize = 1;
const GRADIENTS: usize = 2;

#[test]
fn patch_pairs() {
    equals_peer("patches");
}

#[test]
fn patch_pairs_with_adapters() {
    equals_peer("patches-adapters");
}

#[test]
fn film_pairs() {
    equals_peer("films");
}

#[test]
fn film_pairs_with_adapters_and_frozen_statistics() {
    equals_peer("films-adapters-frozen");
}

fn equals_peer(golden: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/goldens/training-{golden}.safetensors"));
    let (tensors, metadata) = read_safetensors(&path).unwrap();
    let (trunk, network): (Trunk, Network) = (read(&metadata, "trunk"), read(&metadata, "network"));
    let (loss, optimiser): (Loss, Optimiser) = (read(&metadata, "loss"), read(&metadata, "optimiser"));
    let learning_rate: f64 = read(&metadata, "learning_rate");
    let mode = Mode::Train { freeze_shared: read(&metadata, "freeze_statistics") };
    let landmarks: Vec<Option<LandmarkId>> = read(&metadata, "landmarks");

    let architecture = Architecture { trunk: &trunk, network: &network };
    let mut shapes = architecture.trunk_graph().unwrap().params().clone();
    for landmark in &landmarks {
        shapes.extend(architecture.embedding_graph(*landmark).unwrap().params().clone());
    }
    let params = Params::new(&part(&tensors, &shapes, BEFORE), Device::Cpu).unwrap();
    let mut adam = Adam::new(optimiser);
    for (index, landmark) in landmarks.into_iter().enumerate() {
        let what = |what: &str| format!("step{}.{what}", index + 1);
        let before = params.to_parameters().unwrap();
        let target = taps(architecture, &params, &tensors[&what("film")]);
        let source = tensors.get(&what("patch")).map(|patches| taps(architecture, &params, patches));
        let matches = matches(&tensors[&what("matches")]);
        let batch = Batch { target, source, matches: &matches };
        let graph = architecture.embedding_graph(landmark).unwrap();
        let settings = Settings { loss: &loss, mode, learning_rate };
        let found = update(&graph, &params, &mut adam, &batch, &settings, &mut Profile::off()).unwrap();

        let losses = from_torch(&found.losses).unwrap();
        for (level, (found, expected)) in losses.iter().zip(&tensors[&what("losses")]).enumerate() {
            assert_near(*found, *expected, LOSS * expected, &what(&format!("losses[{level}]")));
        }
        if index == 0 {
            let expected = part(&tensors, &shapes, GRADIENTS);
            let names: Vec<_> = graph.params().keys().filter(|name| expected.contains_key(*name)).collect();
            assert_eq!(names.len(), found.gradients.len(), "{golden}: trained parameters");
            let floor = NO_GRADIENT * expected.values().map(largest).fold(0.0, f32::max);
            for (name, gradient) in names.into_iter().zip(&found.gradients) {
                let allowed = (GRADIENT * largest(&expected[name])).max(floor);
                assert_all_near(
                    &from_torch(gradient).unwrap(),
                    &expected[name],
                    allowed,
                    &format!("gradient of {name}"),
                );
            }
        }
        let own = landmark.map(|landmark| Owner::Adapter(Of::One(landmark)));
        for (name, now) in params.to_parameters().unwrap() {
            let owner = name.node.owner;
            if owner == Owner::Trunk || matches!(owner, Owner::Adapter(_)) && own != Some(owner) {
                assert_eq!(now, before[&name], "{golden}, step {}: {name} changed", index + 1);
            }
        }
    }
    let found = params.to_parameters().unwrap();
    let expected = part(&tensors, &shapes, AFTER);
    assert_eq!(expected.len(), found.keys().filter(|param| param.node.owner != Owner::Trunk).count());
    for (name, expected) in expected {
        let allowed = match name.is_statistic() {
            true => STATISTIC * largest(&expected),
            false => PARAMETER * learning_rate as f32,
        };
        assert_all_near(&found[&name], &expected, allowed, &name.to_string());
    }
}

fn read<T: DeserializeOwned>(metadata: &HashMap<String, String>, key: &str) -> T {
    serde_json::from_str(&metadata[key]).unwrap()
}

/// The parameters as they were at one time, or their gradients.
fn part(tensors: &Tensors, shapes: &ParamShapes, at: usize) -> Parameters {
    let then = tensors.iter().filter(|(_, stack)| at < stack.shape()[0]);
    let then = then.map(|(name, stack)| (name.clone(), stack.index_axis(Axis(0), at).to_owned())).collect();
    let there =
        shapes.iter().filter(|(param, _)| tensors.get(&param.to_string()).is_some_and(|stack| at < stack.shape()[0]));
    parameters(&then, &there.map(|(param, shape)| (param.clone(), shape.clone())).collect()).unwrap()
}

fn taps(architecture: Architecture, params: &Params, images: &ArrayD<f32>) -> Taps {
    let graph = architecture.trunk_graph().unwrap();
    let images = BTreeMap::from([(Port::Film, to_torch(images).unwrap())]);
    let taps = tch::no_grad(|| interpreter::run(&graph, params, &images, Mode::Evaluate)).unwrap();
    graph.outputs().iter().map(|(name, _)| name.clone()).zip(taps).collect()
}

fn matches(rows: &ArrayD<f32>) -> Vec<Match> {
    let rows = rows.view().into_dimensionality::<Ix2>().unwrap();
    let point = |row: &[f32]| (row[0] as usize, (row[1] as i64, row[2] as i64));
    rows.axis_iter(Axis(0))
        .map(|row| row.to_vec())
        .map(|row| Match { source: point(&row[..3]), target: point(&row[3..6]), weight: row[6] })
        .collect()
}

fn largest(tensor: &ArrayD<f32>) -> f32 {
    tensor.iter().fold(0.0, |largest, number| largest.max(number.abs()))
}

fn assert_all_near(found: &ArrayD<f32>, expected: &ArrayD<f32>, allowed: f32, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    found.iter().zip(expected).for_each(|(found, expected)| assert_near(*found, *expected, allowed, what));
}

fn assert_near(found: f32, expected: f32, allowed: f32, what: &str) {
    let difference = (found - expected).abs();
    assert!(
        difference <= allowed,
        "{what}: {found} instead of {expected}, off by {difference:.1e}, allowed {allowed:.1e}"
    );
}
