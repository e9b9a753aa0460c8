//! Jobs in windows: progress, and cancellation between the runs of graphs.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{GrayImage, Luma};
use ndarray::Array4;
use onemark_exporter::synthetic::synthetic_film;
use onemark_film::Film;
use onemark_models::bundle::Bundle;
use onemark_runtime::backend::{Backend, CheckedGraph, Outputs, Session, Tensor};
use onemark_runtime::{BackendKind, Cancel, Detector, Options, RuntimeError};
use onemark_tests::{film_of, tiny_bundle};

/// tract, which counts its runs and cancels a job in one of them.
struct Counting {
    backend: Arc<dyn Backend>,
    counter: Arc<Counter>,
}

#[derive(Default)]
struct Counter {
    cancel: Cancel,
    runs: AtomicUsize,
    /// The run to cancel in, from 1.
    last: AtomicUsize,
}

struct CountingSession(Box<dyn Session>, Arc<Counter>);

impl Backend for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }
    fn about(&self) -> String {
        "a test's own".into()
    }
    fn open(&self, graph: &CheckedGraph, threads: usize) -> Result<Box<dyn Session>, RuntimeError> {
        Ok(Box::new(CountingSession(self.backend.open(graph, threads)?, self.counter.clone())))
    }
    fn keep(&self, numbers: Array4<f32>) -> Result<Box<dyn Tensor>, RuntimeError> {
        self.backend.keep(numbers)
    }
}

impl Session for CountingSession {
    fn run(&self, inputs: &[(&str, &dyn Tensor)]) -> Result<Outputs, RuntimeError> {
        if self.1.runs.fetch_add(1, Ordering::SeqCst) + 1 == self.1.last.load(Ordering::SeqCst) {
            self.1.cancel.cancel();
        }
        self.0.run(inputs)
    }
}

fn film() -> Film {
    const SIDE: usize = 64;
    let film = synthetic_film(SIDE);
    film_of(GrayImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        Luma([(film[(y as usize, x as usize)] * 255.0).round() as u8])
    }))
}

/// A bundle so small that whole heads cost less than windows, with windows all the same.
fn bundle_in_windows() -> Bundle {
    let bundle = tiny_bundle();
    let mut manifest = bundle.manifest().clone();
    manifest.plan.as_mut().unwrap().max_windows = 2;
    bundle.with_manifest(manifest).unwrap()
}

/// A detector in windows on one thread, and the counter of its runs.
fn detector(last: usize) -> (Detector, Arc<Counter>) {
    let counter = Arc::new(Counter { last: last.into(), ..Counter::default() });
    let backend = Counting { backend: BackendKind::Tract.open().unwrap(), counter: counter.clone() };
    let options = Options::default().with_threads(1);
    (Detector::with_backend(&bundle_in_windows(), Arc::new(backend), options).unwrap(), counter)
}

#[test]
fn progress_is_complete_in_windows_and_by_whole_heads() {
    let (bundle, film) = (bundle_in_windows(), film());
    for (pruning, threads) in [(true, 1), (true, 3), (false, 3)] {
        let options = Options::default().with_backend(BackendKind::Tract).with_pruning(pruning).with_threads(threads);
        let detector = Detector::new(&bundle, options).unwrap();
        let mut steps = Vec::new();
        let found = detector.job(&film).on_progress(|done, total| steps.push((done, total))).run().unwrap();
        assert!(found.landmarks().iter().all(|landmark| landmark.windows().is_some() == pruning));
        let total = 1 + found.landmarks().len();
        assert_eq!(steps, (1..=total).map(|done| (done, total)).collect::<Vec<_>>(), "{pruning}, {threads} threads");
    }
}

#[test]
fn a_job_is_cancelled_between_windows() {
    let film = film();
    let (whole, counter) = detector(0);
    let expected = whole.detect(&film).unwrap();
    let runs = counter.runs.load(Ordering::SeqCst);
    let windows: usize = expected.landmarks().iter().filter_map(|landmark| landmark.windows()).sum();
    assert!(windows > 0 && runs > 1 + expected.landmarks().len(), "{runs} runs, {windows} windows");
    for last in [1, 2, 3, runs / 2, runs - 1] {
        let (detector, counter) = detector(last);
        let result = detector.job(&film).with_cancel(&counter.cancel).run();
        assert!(matches!(result, Err(RuntimeError::Cancelled)), "{last} of {runs}");
        assert_eq!(counter.runs.load(Ordering::SeqCst), last, "{last} of {runs}");
        assert_eq!(detector.detect(&film).unwrap(), expected, "after it was cancelled in run {last} of {runs}");
    }
}
