//! Suites are data, separate from the code that runs them: every network must give the same maps and cells on every film by
//! every way of running it. The reference is the reference interpreter on the whole graph as trained.
//!
//! The trainer's interpreter is compared with the same reference in its own crate, PyTorch in peer_cc2d.rs.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use image::{GrayImage, Luma};
use ndarray::{Array1, Array4, Axis, s};
use onemark_exporter::compile::compile;
use onemark_exporter::emit::pack::pack;
use onemark_exporter::synthetic::synthetic_film;
use onemark_exporter::untrained::untrained;
use onemark_exporter::{BundleInfo, Options as ExportOptions};
use onemark_film::Film;
use onemark_film::geometry::{Cell, GridSize};
use onemark_models::bundle::Bundle;
use onemark_models::checkpoint::{Checkpoint, init, parameters, spelled};
use onemark_models::graph::{Graph, Level, Of, Owner, ParamId, Parameters, Port};
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::config::AdapterVariant;
use onemark_models::network::{Architecture, FILM, SCORE};
use onemark_models::recipe::Recipe;
use onemark_models::reference;
use onemark_runtime::backend::{self, Backend, Tensor};
use onemark_runtime::{BackendKind, Decoding, Detector, Options};
use onemark_tests::{Tolerance, assert_close, backends, film_of, tiny_bundle, tiny_recipe};

const SEED: u64 = 11;
/// METHOD.md sec. 5c.
const PAPER_PARAMETERS: usize = 66_452_320;
/// The largest bundle of the paper's network that is accepted.
const PAPER_BYTES: u64 = 290_000_000;
/// A score that chance does not reach. At its own place, a template's vectors score nearly 1, reduced by the interpolation of levels.
const FOUND: f32 = 0.5;
const THREADS: usize = 2;
const REPEATS: usize = 20;

/// Tensors by name.
type Maps = BTreeMap<String, Array4<f32>>;

#[test]
fn tiny_without_adapters() {
    all_ways_agree("tiny, C_A = 0", tiny_recipe(0, AdapterVariant::Block), &[1, 10, 19]);
}

#[test]
fn tiny_with_adapters_beside_blocks() {
    all_ways_agree("tiny, variant A", tiny_recipe(2, AdapterVariant::Block), &[1, 10, 19]);
}

#[test]
fn tiny_with_adapters_beside_convolutions() {
    all_ways_agree("tiny, variant B", tiny_recipe(3, AdapterVariant::Convolution), &[1, 10, 19]);
}

#[test]
fn phantom() {
    all_ways_agree("phantom", Recipe::load("phantom").unwrap(), &[7]);
}

/// Heads in windows give results equal to the last bit with each backend, whichever thread runs which head.
#[test]
fn neither_threads_nor_repeats_change_a_bit() {
    let bundle = tiny_bundle();
    let film = film_of(grey(200));
    for backend in backends() {
        let detector = |threads: usize| {
            let options = Options::default().with_backend(backend.parse().unwrap()).with_threads(threads);
            Detector::new(&bundle, options).unwrap()
        };
        let expected = detector(1).detect(&film).unwrap();
        assert!(expected.landmarks().iter().all(|landmark| landmark.windows().is_some()), "{backend}");
        for detector in [1, 2, 4].map(detector) {
            for _ in 0..REPEATS {
                assert_eq!(detector.detect(&film).unwrap(), expected, "{backend}");
            }
        }
    }
}

/// The paper's network: all 19 landmarks exported, one compared.
#[test]
fn paper_size() {
    let recipe = Recipe::load("c-adapter").unwrap();
    let (landmark, size) = (LandmarkId::new(7).unwrap(), recipe.network.size);
    let architecture = Architecture::from(&recipe);
    let graphs: Vec<Graph> = LandmarkId::up_to(19).map(|number| architecture.graph(number).unwrap()).collect();
    let params: BTreeMap<_, _> = graphs.iter().flat_map(Graph::params).collect();
    let mut tensors = init::random(params, SEED);
    let counted = |param: &&ParamId| !param.is_vector() && !param.is_statistic();
    let parameters: usize = tensors.keys().filter(counted).map(|param| tensors[param].len()).sum();
    assert_eq!(parameters, PAPER_PARAMETERS);
    let adapter = Owner::Adapter(Of::One(landmark));
    let own = tensors.keys().filter(counted).filter(|param| param.node.owner == adapter);
    assert_eq!(own.map(|param| tensors[param].len()).sum::<usize>(), 440_096);

    // The template is the film itself, so that there is a peak to find. The embeddings from which its vectors are read also
    // give the scores, so the reference does not run the network a second time.
    let film = film_of(grey(size));
    let grid = reference::Maps::from([(Port::Film, input(&film, size).remove(FILM).unwrap())]);
    let mut expected = reference::run(&architecture.trunk_graph().unwrap(), &tensors, &grid).unwrap();
    expected = reference::run(&architecture.embedding_graph(Some(landmark)).unwrap(), &tensors, &expected).unwrap();
    let point = (size / 3, size / 2);
    for level in Level::COARSE_TO_FINE {
        let (row, column) = (point.0 / level.stride(), point.1 / level.stride());
        let vector: Array1<f32> = expected[&Port::Embedding(level)].slice(s![0, .., row, column]).to_owned();
        tensors.insert(ParamId::vector(Of::One(landmark), level), vector.into_dyn());
    }
    let scores = score_alone(&graphs[landmark.index()]);
    let mut inputs = expected.clone();
    inputs.extend(grid);
    expected.extend(reference::run(&scores, &tensors, &inputs).unwrap());

    let checkpoint = Checkpoint { recipe, history: vec![], notes: BTreeMap::new(), tensors: spelled(tensors) };
    let bundle = ways("paper", &checkpoint, &[(landmark.number(), named(expected))].into(), &input(&film, size));
    assert!(bundle.total_bytes() <= PAPER_BYTES, "{} bytes", bundle.total_bytes());
}

fn all_ways_agree(case: &str, recipe: Recipe, landmarks: &[usize]) {
    let checkpoint = untrained(recipe, SEED).unwrap();
    let size = checkpoint.recipe.network.size;
    let template = film_of(grey(size));
    // Another film of another size and aspect ratio: landmarks are not at the template's positions.
    let waves = grey(200);
    let other = GrayImage::from_fn(131, 170, |x, y| *waves.get_pixel((x + 60) % 200, (y + 90) % 200));
    let other = film_of(other);
    for (name, film) in [("template", template), ("other", other)] {
        let film_maps = input(&film, size);
        let expected_by = |landmark: &usize| {
            let graph = Architecture::from(&checkpoint.recipe).graph(LandmarkId::new(*landmark).unwrap()).unwrap();
            let parameters = parameters(&checkpoint.tensors, graph.params()).unwrap();
            (*landmark, run_reference(&graph, &parameters, &film_maps))
        };
        let expected: BTreeMap<usize, Maps> = landmarks.iter().map(expected_by).collect();
        let case = format!("{case}, {name}");
        let bundle = ways(&case, &checkpoint, &expected, &film_maps);
        for (backend, pruning) in backends().into_iter().flat_map(|backend| [(backend, true), (backend, false)]) {
            let options = Options::default()
                .with_backend(backend.parse().unwrap())
                .with_decoding(Decoding::Argmax)
                .with_pruning(pruning);
            let found = Detector::new(&bundle, options).unwrap().detect(&film).unwrap();
            for (landmark, expected) in &expected {
                let (cell, score) = peak(&expected[SCORE]);
                let case = format!("{case}, {backend}, {pruning}, landmark {landmark}");
                assert_eq!(found.landmarks()[landmark - 1].cell(), cell, "{case}");
                // A template must find its own landmarks, else the agreement below would mean nothing.
                assert!(name != "template" || score > FOUND, "{case}: {score}");
            }
        }
    }
}

/// Compiles the checkpoint and compares each way of running the result with `expected` (by landmark).
fn ways(case: &str, checkpoint: &Checkpoint, expected: &BTreeMap<usize, Maps>, film: &Maps) -> Bundle {
    let set = checkpoint.recipe.landmarks.clone();
    let onnx = compile(checkpoint, &set, &ExportOptions::default(), |_| {}).unwrap().onnx;
    let module = &onnx.layout.module;
    compare(&format!("{case}, passes alone"), expected, film, |number, inputs| {
        let graph = module.graphs().nth(number).unwrap();
        run_reference(graph, &module.tensors, inputs)
    });

    let labels = BundleInfo { name: case.into(), intended_use: "tests".into(), weights_licence: "none".into() };
    let bundle = pack(onnx, checkpoint, set, &labels, 0).unwrap();
    for name in backends() {
        let backend = name.parse::<BackendKind>().unwrap().open().unwrap();
        compare(&format!("{case}, {name}"), expected, film, |number, inputs| {
            run_graph(&bundle, backend.as_ref(), number, inputs)
        });
    }
    bundle
}

/// Runs the trunk (graph 0), then each landmark's head (graph n), by `run`.
fn compare(case: &str, expected: &BTreeMap<usize, Maps>, film: &Maps, run: impl Fn(usize, &Maps) -> Maps) {
    let shared = run(0, film);
    for (landmark, expected) in expected {
        // Without adapters the trunk computes the embeddings.
        let mut found = shared.clone();
        found.extend(run(*landmark, &shared));
        for (name, expected) in expected {
            assert_close(expected, &found[name], Tolerance::Close, &format!("{case}, landmark {landmark}, {name}"));
        }
    }
}

/// The outputs of the reference interpreter for inputs by name.
fn run_reference(graph: &Graph, parameters: &Parameters, inputs: &Maps) -> Maps {
    let inputs = graph.inputs().iter().map(|(port, _)| (port.clone(), inputs[&port.to_string()].clone()));
    named(reference::run(graph, parameters, &inputs.collect()).unwrap())
}

fn named(maps: reference::Maps) -> Maps {
    maps.into_iter().map(|(port, map)| (port.to_string(), map)).collect()
}

fn run_graph(bundle: &Bundle, backend: &dyn Backend, number: usize, inputs: &Maps) -> Maps {
    let manifest = bundle.manifest();
    let entry = manifest.graphs().nth(number).unwrap();
    let session = backend.open(&backend::graph(bundle, &entry.file).unwrap(), THREADS).unwrap();
    let inputs = entry.inputs.iter().map(|input| (input.name.as_str(), &inputs[&input.name] as &dyn Tensor));
    let outputs = session.run(&inputs.collect::<Vec<_>>()).unwrap();
    outputs.into_iter().map(|(name, tensor)| (name, tensor.array().unwrap().to_owned())).collect()
}

/// The part of a landmark's graph that turns its embeddings into its score.
fn score_alone(graph: &Graph) -> Graph {
    let embedding = |value| graph.outputs().iter().find(|(port, made)| *made == value && *port != Port::Score);
    let rewritten = graph.rewrite(|new, value, node, inputs| match embedding(value) {
        Some((port, _)) => new.input(port.clone(), node.shape),
        None => new.copy(graph, node, inputs),
    });
    rewritten.unwrap()
}

fn grey(size: usize) -> GrayImage {
    let film = synthetic_film(size);
    GrayImage::from_fn(size as u32, size as u32, |x, y| Luma([(film[[y as usize, x as usize]] * 255.0).round() as u8]))
}

fn input(film: &Film, size: usize) -> Maps {
    let grid = film.to_grid(GridSize { height: size, width: size }).unwrap();
    [(FILM.to_owned(), grid.insert_axis(Axis(0)).insert_axis(Axis(0)))].into()
}

/// The first maximum in row-major order.
fn peak(score: &Array4<f32>) -> (Cell, f32) {
    let mut best = (Cell::new(0, 0), f32::NEG_INFINITY);
    for ((_, _, row, column), score) in score.indexed_iter() {
        if *score > best.1 {
            best = (Cell { row, column }, *score);
        }
    }
    best
}
