//! Time of each part of a detection: `cargo bench --profile dev --workspace --bench hot`. `cargo xtask bench detect` measures the whole.
//! `RECIPE=c-adapter` in the environment selects another network than the laptop's.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::LazyLock;

use divan::Bencher;
use image::{GrayImage, Luma};
use ndarray::Array4;
use onemark_exporter::compile::compile;
use onemark_exporter::emit::pack::pack;
use onemark_exporter::untrained::untrained;
use onemark_exporter::{BundleInfo, Options};
use onemark_film::geometry::GridSize;
use onemark_models::bundle::{Bundle, GraphEntry};
use onemark_models::recipe::Recipe;
use onemark_runtime::{BackendKind, backend};
use onemark_tests::{backends, film_of};

fn main() {
    divan::main();
}

/// A network with random weights; the time does not depend on them.
static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| {
    let recipe = std::env::var("RECIPE").unwrap_or_else(|_| "c-adapter-laptop".into());
    let checkpoint = untrained(Recipe::load(&recipe).unwrap(), 1).unwrap();
    let set = checkpoint.recipe.landmarks.clone();
    let compiled = compile(&checkpoint, &set, &Options::default(), |_| {}).unwrap();
    let labels = BundleInfo { name: "bench".into(), intended_use: "none".into(), weights_licence: "none".into() };
    pack(compiled.onnx, &checkpoint, set, &labels, 0).unwrap()
});

/// A film of ISBI 2015's size.
#[divan::bench]
fn film_to_grid(bencher: Bencher<'_, '_>) {
    let film = film_of(GrayImage::from_fn(1935, 2400, |x, y| Luma([(x ^ y) as u8])));
    bencher.bench(|| film.to_grid(GridSize::new(384, 384)).unwrap());
}

#[divan::bench(args = backends(), max_time = 10)]
fn trunk_once_a_film(bencher: Bencher<'_, '_>, backend: &str) {
    graph(bencher, backend, &BUNDLE.manifest().trunk);
}

#[divan::bench(args = backends())]
fn coarse_once_a_landmark(bencher: Bencher<'_, '_>, backend: &str) {
    graph(bencher, backend, &BUNDLE.manifest().plan.as_ref().unwrap().coarse);
}

#[divan::bench(args = backends())]
fn window_a_few_times_a_landmark(bencher: Bencher<'_, '_>, backend: &str) {
    graph(bencher, backend, &BUNDLE.manifest().plan.as_ref().unwrap().window);
}

#[divan::bench(args = backends(), max_time = 10)]
fn whole_head(bencher: Bencher<'_, '_>, backend: &str) {
    graph(bencher, backend, &BUNDLE.manifest().heads[0].graph);
}

/// Runs a graph on one thread.
fn graph(bencher: Bencher<'_, '_>, backend: &str, entry: &GraphEntry) {
    let graph = backend::graph(&BUNDLE, &entry.file).unwrap();
    let backend = backend.parse::<BackendKind>().unwrap().open().unwrap();
    let session = backend.open(&graph, 1).unwrap();
    let kept = |shape| backend.keep(Array4::from_elem(shape, 0.5)).unwrap();
    let inputs: Vec<_> = entry.inputs.iter().map(|input| (input.name.as_str(), kept(input.shape))).collect();
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor.as_ref())).collect();
    bencher.bench_local(|| session.run(&inputs).unwrap());
}
