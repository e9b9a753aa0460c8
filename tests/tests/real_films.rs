//! Real films, where ONEMARK_DATA names a folder that contains `isbi2015` and `hand` (METHOD.md sec. 7): JPEGs from real
//! scanners through the whole pipeline. The data themselves are tested in onemark-evaluation.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use ndarray::{Axis, s};
use onemark_evaluation::dataset::{Case, Dataset, Split};
use onemark_exporter::{BundleInfo, Options, export};
use onemark_film::Film;
use onemark_film::geometry::{Cell, GridMap, GridSize};
use onemark_models::checkpoint::{Checkpoint, init, spelled};
use onemark_models::graph::{Level, Of, ParamId, Port};
use onemark_models::landmarks::{LandmarkId, LandmarkSet};
use onemark_models::network::Architecture;
use onemark_models::recipe::Recipe;
use onemark_models::reference;
use onemark_tests::{Program, backends, real_data};
use serde_json::Value;

const SEED: u64 = 19;
/// Largest error, in cells, of an untrained network on the film of its own template vectors. Coarse levels pull the maxima towards
/// the centres of their cells, which on level 5 are 32 cells wide. Random positions would be 100 cells away.
const OWN_FILM_CELLS: f64 = 16.0;

#[test]
fn head_films() {
    if let Some(root) = real_data("isbi2015") {
        template_finds_itself("isbi19", root, "125", "train");
    }
}

#[test]
fn hand_films() {
    if let Some(root) = real_data("hand") {
        let template = Dataset::open(&root, Split::All).unwrap().cases[0].id.clone();
        template_finds_itself("hand37", root, &template, "all");
    }
}

/// Exports an untrained network with `template`'s vectors, and finds `template`'s landmarks on it with every backend.
fn template_finds_itself(landmarks: &str, root: PathBuf, template: &str, split: &str) {
    let films = Dataset::open(&root, split.parse().unwrap()).unwrap();
    let case = films.case(template).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let labels = BundleInfo { name: landmarks.into(), intended_use: "tests".into(), weights_licence: "none".into() };
    let export = export(&untrained(landmarks, case), &labels, &Options::default(), &[], |_| {}).unwrap();
    export.bundle.write(&folder.path().join("untrained.onemark"), false).unwrap();

    let root = fs::canonicalize(root).unwrap();
    let mut cells: Vec<Vec<Value>> = Vec::new();
    for backend in backends() {
        let line = format!("evaluate untrained.onemark --data {} --backend {backend}", root.display());
        let line = format!("{line} --split {split} --films {template} --report report.json");
        Program::Runtime.succeed(folder.path(), &line);
        let report: Value = serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
        let film = &report["films"][0];
        let found = film["detections"]["landmarks"].as_array().unwrap();
        let apart = found.iter().zip(film["truth_cells"].as_array().unwrap()).map(|(found, truth)| {
            let axis = |axis: usize| found["cell"][axis].as_f64().unwrap() - truth[axis].as_f64().unwrap();
            axis(0).hypot(axis(1))
        });
        let mean = apart.sum::<f64>() / found.len() as f64;
        assert!(mean <= OWN_FILM_CELLS, "{landmarks}, {backend}: {mean} cells off");
        cells.push(found.iter().map(|landmark| landmark["cell"].clone()).collect());
    }
    assert!(cells.iter().all(|other| *other == cells[0]), "backends disagree: {cells:?}");
}

/// The phantom recipe's network without adapters, random, with the template vectors that `case` gives it.
fn untrained(landmarks: &str, case: &Case) -> Checkpoint {
    let changed = Recipe::load("phantom").unwrap().edit(|spec| {
        spec.landmarks = LandmarkSet::named(landmarks).unwrap();
        spec.network.adapter_channels = 0;
        spec.phases.truncate(1);
    });
    let recipe = changed.unwrap();
    let architecture = Architecture::from(&recipe);
    let (trunk, head) = (architecture.trunk_graph().unwrap(), architecture.embedding_graph(None).unwrap());
    let mut tensors = init::random(trunk.params().iter().chain(head.params()), SEED);

    let film = Film::open(&case.film).unwrap();
    let size = GridSize { height: recipe.network.size, width: recipe.network.size };
    let grid = film.to_grid(size).unwrap().insert_axis(Axis(0)).insert_axis(Axis(0));
    let taps = reference::run(&trunk, &tensors, &[(Port::Film, grid)].into()).unwrap();
    let embeddings = reference::run(&head, &tensors, &taps).unwrap();
    let map = GridMap::new(film.size(), size);
    for (index, point) in case.complete().unwrap().into_iter().enumerate() {
        let Cell { row, column } = map.to_cell(point);
        for level in Level::COARSE_TO_FINE {
            let (row, column) = (row / level.stride(), column / level.stride());
            let vector = embeddings[&Port::Embedding(level)].slice(s![0, .., row, column]);
            tensors
                .insert(ParamId::vector(Of::One(LandmarkId::from_index(index)), level), vector.to_owned().into_dyn());
        }
    }
    Checkpoint { recipe, history: vec![], notes: BTreeMap::new(), tensors: spelled(tensors) }
}
