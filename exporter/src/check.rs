//! The self-check: a bundle must make of a film what the untouched network makes of it, or it is not written.
//!
//! The judge is the reference interpreter on the whole graph as it was trained, before any pass; of a quantised trunk, on the
//! graphs as they were quantised. It is slow, so that large networks are checked on some landmarks per film, each film on others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ndarray::{Array2, Array4, Axis};
use onemark_models::bundle::{Bundle, GraphEntry};
use onemark_models::checkpoint::{Checkpoint, parameters};
use onemark_models::graph::{Graph, Port};
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::{Architecture, FILM, SCORE};
use onemark_models::reference::{self, Maps};
use onemark_runtime::backend::{self, Backend, Tensor};
use onemark_runtime::{BackendKind, Chain, Detector};

use crate::ExportError;
use crate::module::Module;

/// Largest difference of an output from the reference, as a share of the output's largest number. Some fifty layers of
/// f32 sums in another order; measured on random networks, of the paper's size and smaller: 5e-6.
pub const TOLERANCE: f32 = 1e-4;
/// A score map below this is judged as if this were its largest number: a film that shows nothing of the landmark leaves
/// cosines near 0, and their product keeps few digits. A landmark that is found scores far above it.
const SCORE_FLOOR: f32 = 0.01;

/// Work that the reference interpreter may do per film, in multiply-accumulates: it decides how many landmarks are checked.
const BUDGET: u64 = 100_000_000_000;

/// The score put together from all windows of a bundle's plan, beside the head's own outputs.
const IN_WINDOWS: &str = "score in windows";

/// The backends that run a bundle for the check, as far as they work on this machine.
pub const BACKENDS: &[BackendKind] = &[
    #[cfg(feature = "tract")]
    BackendKind::Tract,
    #[cfg(feature = "onnxruntime")]
    BackendKind::OnnxRuntime,
];

#[cfg(not(any(feature = "onnxruntime", feature = "tract")))]
compile_error!("onemark-exporter needs a backend for its self-check: switch on its feature `onnxruntime` or `tract`");

/// What was compared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The backends that ran the bundle.
    pub backends: Vec<String>,
    /// Why a backend did not, where it could not.
    pub skipped: Vec<String>,
    /// How many maps were compared, per backend.
    pub comparisons: usize,
    /// The largest difference found, in the units of [`TOLERANCE`].
    pub worst: f32,
    /// The largest that is allowed.
    pub tolerance: f32,
    /// How long it took.
    pub time: Duration,
}

type Tensors4 = BTreeMap<String, Array4<f32>>;

/// Runs `bundle` with each of [`BACKENDS`] that works on this machine, on `films` (grids `[size, size]`, in [0, 1]),
/// and compares score and embeddings with the reference.
///
/// # Errors
/// An output differs by more than `tolerance`, is missing, a graph can't be run, or no backend works.
pub fn check(
    bundle: &Bundle,
    judge: &Judge,
    films: &[(String, Array2<f32>)],
    tolerance: f32,
) -> Result<Report, ExportError> {
    let start = Instant::now();
    let mut report =
        Report { backends: vec![], skipped: vec![], comparisons: 0, worst: 0.0, tolerance, time: Duration::ZERO };
    let planned = bundle.manifest().plan.is_some();
    let mut backends = Vec::new();
    for kind in BACKENDS {
        match kind.open() {
            Ok(backend) => {
                report.backends.push(kind.to_string());
                let detector = || Detector::with_backend(bundle, backend.clone(), onemark_runtime::Options::default());
                let detector = planned.then(detector).transpose()?;
                backends.push((backend, detector));
            }
            Err(why) => report.skipped.push(format!("{kind}: {}", Chain(&why))),
        }
    }
    if backends.is_empty() {
        return Err(ExportError::NoBackend { why: report.skipped.join("; ") });
    }
    let count = bundle.manifest().heads.len();
    for (index, (film, grid)) in films.iter().enumerate() {
        let input: Tensors4 = [(FILM.to_owned(), grid.clone().insert_axis(Axis(0)).insert_axis(Axis(0)))].into();
        let landmarks = landmarks(judge.macs()?, count, index);
        let mut found: Vec<Found> = Vec::new();
        for (backend, detector) in &backends {
            let mut maps = run(bundle, backend.as_ref(), &input, &landmarks)?;
            if let Some(detector) = detector {
                for (landmark, maps) in &mut maps {
                    let map = detector.score_map(grid, *landmark)?;
                    maps.insert(IN_WINDOWS.to_owned(), map.insert_axis(Axis(0)).insert_axis(Axis(0)));
                }
            }
            found.push(maps);
        }
        for landmark in landmarks {
            let mut expected = judge.maps(landmark, grid)?;
            if planned {
                expected.insert(IN_WINDOWS.to_owned(), expected[SCORE].clone());
            }
            for ((backend, _), found) in backends.iter().zip(&found) {
                for (output, expected) in &expected {
                    let difference = found
                        .get(&landmark)
                        .and_then(|maps| maps.get(output))
                        .map_or(f32::INFINITY, |map| distance(output, expected, map));
                    report.comparisons += 1;
                    report.worst = report.worst.max(difference);
                    if difference > report.tolerance {
                        return Err(ExportError::Differs {
                            backend: backend.name(),
                            film: film.clone(),
                            landmark,
                            output: output.clone(),
                            difference,
                            tolerance: report.tolerance,
                        });
                    }
                }
            }
        }
    }
    report.comparisons /= backends.len();
    report.time = start.elapsed();
    Ok(report)
}

/// What a bundle is compared with, by the reference interpreter.
pub enum Judge<'a> {
    /// The network as it was trained.
    Network(&'a Checkpoint),
    /// What the passes made of it: where they changed it on purpose, by quantising.
    Module(&'a Module),
}

impl Judge<'_> {
    /// Multiply-accumulates of one landmark.
    fn macs(&self) -> Result<u64, ExportError> {
        Ok(match self {
            Self::Network(checkpoint) => {
                Architecture::from(&checkpoint.recipe).graph(LandmarkId::from_index(0))?.macs()
            }
            Self::Module(module) => module.trunk.macs() + module.heads.first().map_or(0, Graph::macs),
        })
    }

    /// Score and embeddings of the landmark with this number, by name.
    fn maps(&self, landmark: usize, film: &Array2<f32>) -> Result<Tensors4, ExportError> {
        let landmark = LandmarkId::from_index(landmark - 1);
        let film = Maps::from([(Port::Film, film.clone().insert_axis(Axis(0)).insert_axis(Axis(0)))]);
        let maps = match self {
            Self::Network(checkpoint) => {
                let graph = Architecture::from(&checkpoint.recipe).graph(landmark)?;
                reference::run(&graph, &parameters(&checkpoint.tensors, graph.params())?, &film)?
            }
            Self::Module(module) => {
                let mut maps = reference::run(&module.trunk, &module.tensors, &film)?;
                let head = reference::run(&module.heads[landmark.index()], &module.tensors, &maps)?;
                maps.retain(|port, _| matches!(port, Port::Embedding(_)));
                maps.extend(head);
                maps
            }
        };
        Ok(maps.into_iter().map(|(port, map)| (port.to_string(), map)).collect())
    }
}

/// The landmarks to check on the film at `index`: as many of `count` as the budget allows at `each` multiply-accumulates, spread
/// evenly, other ones on each film.
fn landmarks(each: u64, count: usize, index: usize) -> Vec<usize> {
    let some = usize::try_from(BUDGET / each.max(1)).unwrap_or(usize::MAX).clamp(1, count.max(1));
    (0..some).map(|place| (index + place * count / some) % count + 1).collect()
}

/// Score and embeddings by landmark.
type Found = BTreeMap<usize, Tensors4>;

fn run(bundle: &Bundle, backend: &dyn Backend, film: &Tensors4, landmarks: &[usize]) -> Result<Found, ExportError> {
    let manifest = bundle.manifest();
    let shared = run_graph(bundle, backend, &manifest.trunk, film)?;
    let heads = manifest.heads.iter().filter(|head| landmarks.contains(&head.landmark));
    let maps = heads.map(|head| {
        // An embedding on which no adapter has a say is made by the trunk.
        let mut maps = shared.clone();
        maps.extend(run_graph(bundle, backend, &head.graph, &shared)?);
        Ok((head.landmark, maps))
    });
    maps.collect()
}

fn run_graph(
    bundle: &Bundle,
    backend: &dyn Backend,
    graph: &GraphEntry,
    tensors: &Tensors4,
) -> Result<Tensors4, ExportError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let session = backend.open(&backend::graph(bundle, &graph.file)?, threads)?;
    let wanted = graph.inputs.iter().filter_map(|input| tensors.get_key_value(&input.name));
    let inputs: Vec<_> = wanted.map(|(name, tensor)| (name.as_str(), tensor as &dyn Tensor)).collect();
    let outputs = session.run(&inputs)?.into_iter();
    outputs.map(|(name, tensor)| Ok((name, tensor.array()?.to_owned()))).collect()
}

/// Largest difference, as a share of the largest number expected. Anything but a number is infinitely far.
fn distance(output: &str, expected: &Array4<f32>, found: &Array4<f32>) -> f32 {
    if expected.shape() != found.shape() {
        return f32::INFINITY;
    }
    let floor = if [SCORE, IN_WINDOWS].contains(&output) { SCORE_FLOOR } else { f32::MIN_POSITIVE };
    let largest = expected.iter().fold(floor, |largest, number| largest.max(number.abs()));
    let differences = expected.iter().zip(found).map(|(expected, found)| (expected - found).abs());
    let worst = differences.fold(0.0_f32, |worst, next| if next.is_nan() { f32::INFINITY } else { worst.max(next) });
    worst / largest
}

/// A film for every export: soft shapes of many sizes over the whole grey scale, in row-major order, the same every time.
pub fn synthetic_film(size: usize) -> Array2<f32> {
    Array2::from_shape_fn((size, size), |(row, column)| {
        let (y, x) = (row as f32 / size as f32, column as f32 / size as f32);
        let waves =
            (7.0 * x + 3.0 * y).sin() + (23.0 * x * y).cos() + (41.0 * (y - x * x)).sin() + (90.0 * x - 60.0 * y).sin();
        let ring = (-((x - 0.6).hypot(y - 0.4) - 0.25).powi(2) * 400.0).exp();
        (0.5 + 0.1 * waves + 0.3 * ring).clamp(0.0, 1.0)
    })
}
