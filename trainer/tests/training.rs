//! Which parameters a training step changes, and that torch computes the same as the reference interpreter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;

use ndarray::{Array4, ArrayD, s};
use onemark_models::checkpoint::init;
use onemark_models::graph::{Graph, Level, Of, Op, Owner, ParamId, Parameters, Port, Role};
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::Architecture;
use onemark_models::network::config::{AdapterVariant, Network};
use onemark_models::recipe::Recipe;
use onemark_models::reference;
use onemark_trainer::net::interpreter::{self, Mode, SharedValues};
use onemark_trainer::net::params::{Params, from_torch, to_torch, widen};
use onemark_trainer::report::profile::Profile;
use onemark_trainer::step::adam::Adam;
use onemark_trainer::step::pairs::Match;
use onemark_trainer::step::update::{Batch, Settings, Taps, Update, update};
use tch::{Device, Kind, Tensor};

/// Largest difference of two f32 evaluations of one network that add in different orders, relative to the largest value.
const FLOAT: f32 = 2e-5;

/// Largest relative change of losses and statistics by bf16, whose last place is 1/128, …
const BF16_LOSS: f64 = 0.02;
/// … and of the gradient of an untrained network at a single point, whose batch normalisation divides by next to nothing.
const BF16_GRADIENT: f64 = 0.25;

const LANDMARKS: usize = 3;
const SIDE: usize = 64;

fn id(number: usize) -> LandmarkId {
    LandmarkId::new(number).unwrap()
}

fn recipe(adapter_channels: usize, adapter_variant: AdapterVariant) -> Recipe {
    let changed = Recipe::load("phantom").unwrap().edit(|spec| {
        spec.network = Network { size: SIDE, adapter_channels, adapter_variant, ..spec.network };
        spec.phases.retain(|phase| adapter_channels > 0 || !phase.adapters);
    });
    changed.unwrap()
}

/// Trunk, decoder and adapters, untrained; the template vectors of landmark 2 are those of the film's middle.
fn untrained(recipe: &Recipe, seed: u64) -> Parameters {
    let architecture = Architecture::from(recipe);
    let shapes: BTreeMap<_, _> = LandmarkId::up_to(LANDMARKS)
        .flat_map(|landmark| architecture.graph(landmark).unwrap().params().clone())
        .collect();
    let mut tensors = init::initial(&shapes, seed);
    let graph = architecture.graph(id(2)).unwrap();
    let found = torch(&graph, &tensors, recipe.network.size);
    for level in Level::COARSE_TO_FINE {
        let middle = recipe.network.size / 2 / level.stride();
        let vector = found[&Port::Embedding(level)].slice(s![0, .., middle, middle]).to_owned();
        tensors.insert(ParamId::vector(Of::One(id(2)), level), vector.into_dyn());
    }
    tensors
}

/// The outputs of torch for the film, by name.
fn torch(graph: &Graph, tensors: &Parameters, side: usize) -> BTreeMap<Port, ArrayD<f32>> {
    let params = Params::new(tensors, Device::Cpu).unwrap();
    let found = tch::no_grad(|| interpreter::run(graph, &params, &torch_film(side), Mode::Evaluate)).unwrap();
    graph
        .outputs()
        .iter()
        .map(|(name, _)| name.clone())
        .zip(found.iter().map(|value| from_torch(value).unwrap()))
        .collect()
}

fn film(side: usize) -> Array4<f32> {
    Array4::from_shape_fn((1, 1, side, side), |(_, _, i, j)| ((i * 37 + j * 101 + i * j) % 256) as f32 / 255.0)
}

fn difference(first: &ArrayD<f32>, second: &Array4<f32>) -> f32 {
    let largest = second.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    first.iter().zip(second).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

fn torch_film(side: usize) -> BTreeMap<Port, Tensor> {
    BTreeMap::from([(Port::Film, to_torch(&film(side).into_dyn()).unwrap())])
}

fn assert_torch_equals_reference(recipe: &Recipe) {
    let graph = Architecture::from(recipe).graph(id(2)).unwrap();
    let tensors = untrained(recipe, 5);
    let side = recipe.network.size;
    let expected = reference::run(&graph, &tensors, &BTreeMap::from([(Port::Film, film(side))])).unwrap();
    for (name, found) in torch(&graph, &tensors, side) {
        let difference = difference(&found, &expected[&name]);
        assert!(difference < FLOAT, "{name} of {:?}: {difference}", recipe.network);
    }
}

#[test]
fn torch_equals_reference() {
    for (channels, variant) in
        [(0, AdapterVariant::Block), (4, AdapterVariant::Block), (4, AdapterVariant::Convolution)]
    {
        assert_torch_equals_reference(&recipe(channels, variant));
    }
}

/// Operations that only the exporter's graphs have.
#[test]
fn torch_equals_reference_on_exported_graphs() {
    let mut graph = Graph::new("window");
    let film = graph.input(Port::Film, [1, 1, SIDE, SIDE]).unwrap();
    let node = |path| Owner::Trunk.node(path);
    let weight = node("conv").param(Role::Weight);
    graph.declare(&weight, vec![2, 1, 3, 5]).unwrap();
    let unpadded = Op::Conv { dilation: 2, padded: false, bias: false };
    let conv = graph.push(node("conv"), unpadded, &[film], vec![weight]).unwrap();
    let crop = graph.apply(node("crop"), Op::Crop { rows: 3, columns: 1 }, &[conv]).unwrap();
    let last = graph.apply(node("last"), Op::Slice { first: 1, count: 1 }, &[crop]).unwrap();
    graph.output(Port::Crossing(node("crop")), crop).unwrap();
    graph.output(Port::Crossing(node("last")), last).unwrap();
    let tensors = init::random(graph.params(), 5);
    let expected = reference::run(&graph, &tensors, &BTreeMap::from([(Port::Film, self::film(SIDE))])).unwrap();
    let found = torch(&graph, &tensors, SIDE);
    assert_eq!(found[&Port::Crossing(node("crop"))].shape(), [1, 2, SIDE - 4 - 6, SIDE - 8 - 2]);
    assert!(found.iter().all(|(port, found)| difference(found, &expected[port]) < FLOAT));
}

#[test]
fn paper_size_torch_equals_reference() {
    assert_torch_equals_reference(&Recipe::load("c-adapter").unwrap());
}

/// One step on the graph's landmark, computed in `kind`.
fn update_once(recipe: &Recipe, params: &Params, adam: &mut Adam, graph: &Graph, kind: Kind) -> Update {
    let trunk = Architecture::from(recipe).trunk_graph().unwrap();
    let film = torch_film(SIDE).into_iter().map(|(name, film)| (name, film.to_kind(kind))).collect();
    let taps = tch::no_grad(|| interpreter::run(&trunk, params, &film, Mode::Evaluate)).unwrap();
    let taps: Taps = trunk.outputs().iter().map(|(name, _)| name.clone()).zip(taps).collect();
    let points = [Match { source: (0, (20, 30)), target: (0, (20, 30)), weight: 1.0 }];
    let batch = Batch { target: taps, source: None, matches: &points };
    let settings = Settings { loss: &recipe.loss, mode: Mode::Train { freeze_shared: false }, learning_rate: 1e-3 };
    update(graph, params, adam, &batch, &settings, &mut Profile::off()).unwrap()
}

/// Everything after one step in f32.
fn step(recipe: &Recipe, params: &Params, adam: &mut Adam, graph: &Graph) -> Parameters {
    update_once(recipe, params, adam, graph, Kind::Float);
    params.to_parameters().unwrap()
}

#[test]
fn step_in_bf16_goes_where_one_in_f32_goes() {
    let recipe = recipe(4, AdapterVariant::Block);
    let graph = Architecture::from(&recipe).embedding_graph(Some(id(2))).unwrap();
    let [exact, rounded] = [Kind::Float, Kind::BFloat16].map(|kind| {
        let params = Params::new(&untrained(&recipe, 5), Device::Cpu).unwrap();
        let found = update_once(&recipe, &params, &mut Adam::new(recipe.optimiser), &graph, kind);
        let flat: Vec<Tensor> = found.gradients.iter().map(|gradient| gradient.flatten(0, -1)).collect();
        assert!(found.gradients.iter().all(|gradient| gradient.kind() == Kind::Float), "gradients are f32");
        let running = Owner::Decoder(Of::All).node("level1.bn1").param(Role::RunningMean);
        let running = params.get(&running).unwrap().shallow_clone();
        (found.losses, Tensor::cat(&flat, 0), running)
    });
    let apart = |a: &Tensor, b: &Tensor| f64::try_from((a - b).norm() / a.norm()).unwrap();
    for (what, allowed, apart) in [
        ("losses", BF16_LOSS, apart(&exact.0, &rounded.0)),
        ("gradients", BF16_GRADIENT, apart(&exact.1, &rounded.1)),
        ("running means", BF16_LOSS, apart(&exact.2, &rounded.2)),
    ] {
        assert!(0.0 < apart && apart < allowed, "{what}: {apart}");
    }
}

/// The weight of the first convolution on level 4.
fn first_weight(owner: Owner) -> ParamId {
    owner.node("level4.conv1").param(Role::Weight)
}

/// Everything before a step on landmark 1, after it, and after another on landmark 2. Landmark 1 comes first, so that its
/// moments exist and would move it if anything did.
fn steps_on_1_and_2(recipe: &Recipe) -> [Parameters; 3] {
    let before = untrained(recipe, 5);
    let params = Params::new(&before, Device::Cpu).unwrap();
    let mut adam = Adam::new(recipe.optimiser);
    let mut step = |landmark| {
        let graph = Architecture::from(recipe).embedding_graph(Some(id(landmark))).unwrap();
        step(recipe, &params, &mut adam, &graph)
    };
    let (first, second) = (step(1), step(2));
    [before, first, second]
}

#[test]
fn step_on_one_landmark_leaves_other_adapters_and_the_trunk_bit_identical() {
    let [before, first, second] = steps_on_1_and_2(&recipe(4, AdapterVariant::Block));
    for (name, tensor) in &second {
        let owner = name.node.owner;
        let own = owner == Owner::Adapter(Of::One(id(2)));
        let other = matches!(owner, Owner::Adapter(_) | Owner::Trunk);
        let is_first = name.role == Role::Weight && name.node.path().ends_with("conv1");
        if own && is_first {
            assert_ne!(tensor, &first[name], "{name} did not change");
        } else if !own && other {
            assert_eq!(tensor, &first[name], "{name} changed");
        }
    }
    let (shared, adapter) = (first_weight(Owner::Decoder(Of::All)), first_weight(Owner::Adapter(Of::One(id(1)))));
    assert_ne!(first[&shared], second[&shared]);
    assert_ne!(before[&adapter], first[&adapter]);
}

#[test]
fn step_on_one_landmark_leaves_other_decoders_bit_identical() {
    let recipe = recipe(0, AdapterVariant::Block).edit(|spec| spec.network.separate = true).unwrap();
    let [_, first, second] = steps_on_1_and_2(&recipe);
    let unchanged = |param: &ParamId| first[param] == second[param];
    let of_2 = Owner::Decoder(Of::One(id(2)));
    assert!(second.keys().filter(|param| param.node.owner != of_2).all(unchanged));
    assert!(!unchanged(&first_weight(of_2)));
}

/// A convolution is split where the trunk's features meet the decoder's: that only shows while gradients are computed.
#[test]
fn network_computes_the_same_with_gradients_and_without() {
    let recipe = recipe(4, AdapterVariant::Block);
    let params = Params::new(&untrained(&recipe, 5), Device::Cpu).unwrap();
    let graph = Architecture::from(&recipe).graph(id(2)).unwrap();
    let run = || interpreter::run(&graph, &params, &torch_film(SIDE), Mode::Evaluate).unwrap();
    for (with, without) in run().iter().zip(tch::no_grad(run)) {
        assert!(with.requires_grad() && !without.requires_grad());
        assert!(
            difference(&from_torch(with).unwrap(), &from_torch(&without).unwrap().into_dimensionality().unwrap())
                < FLOAT
        );
    }
}

/// The first landmark computes the shared values, the second reuses them.
#[test]
fn landmarks_in_turn_compute_what_each_does_alone() {
    for (separate, adapter_channels) in [(false, 4), (false, 0), (true, 0)] {
        let recipe = recipe(adapter_channels, AdapterVariant::Block);
        let recipe = recipe.edit(|spec| spec.network.separate = separate).unwrap();
        let params = Params::new(&untrained(&recipe, 5), Device::Cpu).unwrap();
        let _guard = tch::no_grad_guard();
        let mut common = SharedValues::default();
        for landmark in [1, 2] {
            let graph = Architecture::from(&recipe).graph(id(landmark)).unwrap();
            let alone = interpreter::run(&graph, &params, &torch_film(SIDE), Mode::Evaluate).unwrap();
            let in_turn = interpreter::run_in_turn(&graph, &params, &torch_film(SIDE), &mut common).unwrap();
            for (index, (port, _)) in graph.outputs().iter().enumerate().filter(|(_, (port, _))| *port != Port::Score) {
                let alone = from_torch(&alone[index]).unwrap().into_dimensionality().unwrap();
                let in_turn = from_torch(&in_turn[index]).unwrap();
                assert!(difference(&in_turn, &alone) < FLOAT, "landmark {landmark}, {port}");
            }
        }
    }
}

#[test]
fn network_with_joined_adapters_computes_what_it_did_without() {
    let (without, with) = (recipe(0, AdapterVariant::Block), recipe(4, AdapterVariant::Block));
    let trained = untrained(&without, 5);
    let wide = widen(trained.clone(), untrained(&with, 6));
    let run = |recipe: &Recipe, tensors: &Parameters| {
        let graph = Architecture::from(recipe).graph(id(2)).unwrap();
        let mut tensors = tensors.clone();
        for level in Level::COARSE_TO_FINE {
            let vector = ParamId::vector(Of::One(id(2)), level);
            tensors.insert(vector.clone(), trained[&vector].clone());
        }
        reference::run(&graph, &tensors, &BTreeMap::from([(Port::Film, film(SIDE))])).unwrap()
    };
    let (before, after) = (run(&without, &trained), run(&with, &wide));
    for (name, before) in before {
        assert!(difference(&after[&name].clone().into_dyn(), &before) < FLOAT, "{name}");
    }
}

#[test]
fn adam_takes_the_steps_of_its_definition() {
    // One parameter 1.0, gradient 0.5, weight decay 0.1: by hand, g = 0.6, both corrected moments are g and g^2.
    let recipe = recipe(0, AdapterVariant::Block).edit(|spec| spec.optimiser.weight_decay = 0.1).unwrap();
    let param = Tensor::from_slice(&[1.0f32]);
    let p = Owner::Decoder(Of::All).node("p").param(Role::Bias);
    let mut adam = Adam::new(recipe.optimiser);
    adam.step(&[(&p, &param)], &[Tensor::from_slice(&[0.5f32])], 0.01).unwrap();
    assert!((f64::try_from(&param).unwrap() - 0.99).abs() < f64::from(f32::EPSILON));
    // Moments survive saving: the second step is the same from memory and from a file.
    let mut saved = adam.to_tensors().unwrap();
    let again = Tensor::from_slice(&[f32::try_from(&param).unwrap()]);
    let mut resumed = Adam::resume(recipe.optimiser, &mut saved, &[(p.clone(), vec![1])].into(), Device::Cpu).unwrap();
    assert!(saved.is_empty(), "what belongs to the optimiser is taken out");
    for (adam, param) in [(&mut adam, &param), (&mut resumed, &again)] {
        adam.step(&[(&p, param)], &[Tensor::from_slice(&[-0.25f32])], 0.01).unwrap();
    }
    assert_eq!(f32::try_from(&param).unwrap(), f32::try_from(&again).unwrap());
}
