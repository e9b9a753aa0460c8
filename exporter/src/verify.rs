//! The self-check: a bundle is written only if it computes the same as the trained network.
//!
//! The bundle is compared with the reference interpreter, which runs the trained network's graphs before any pass; for a quantised
//! trunk, the graphs after quantisation. The interpreter is slow, so large networks are compared on some landmarks per film, and on
//! other landmarks on the next film.

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

/// The largest allowed difference of an output from the reference, as a share of the output's largest number. The difference comes
/// from about fifty layers of f32 sums in another order. Measured on random networks of the paper's size and smaller: 5e-6.
pub const TOLERANCE: f32 = 1e-4;
/// The least number that counts as the largest number of a score map. If a film does not show the landmark, cosines are near 0, and
/// their product has few correct digits. A landmark that is found has a much higher score.
const SCORE_FLOOR: f32 = 0.01;

/// The reference interpreter's largest work per film, in multiply-accumulates. It limits the number of landmarks to compare.
const BUDGET: u64 = 100_000_000_000;

/// The name of the score map that is put together from all windows of a bundle's plan.
const IN_WINDOWS: &str = "score in windows";

/// The backends for the self-check. Backends that do not work on this machine are skipped.
pub const BACKENDS: &[BackendKind] = &[
    #[cfg(feature = "tract")]
    BackendKind::Tract,
    #[cfg(feature = "onnxruntime")]
    BackendKind::OnnxRuntime,
];

#[cfg(not(any(feature = "onnxruntime", feature = "tract")))]
compile_error!("onemark-exporter needs a backend for its self-check: switch on its feature `onnxruntime` or `tract`");

/// The result of a self-check.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SelfCheck {
    /// The backends that ran the bundle.
    pub backends: Vec<String>,
    /// The skipped backends, each with the reason.
    pub skipped: Vec<String>,
    /// The number of compared maps per backend.
    pub comparisons: usize,
    /// The largest difference found, in the units of [`TOLERANCE`].
    pub worst: f32,
    /// The largest allowed difference.
    pub tolerance: f32,
    /// The time that the self-check took.
    pub time: Duration,
}

type Tensors4 = BTreeMap<String, Array4<f32>>;

/// Runs `bundle` with each of [`BACKENDS`] that works on this machine, on `films` (grids `[size, size]`, in [0, 1]),
/// and compares score and embeddings with the reference.
///
/// # Errors
/// An output is missing or differs by more than `tolerance`, a graph can't be run, or no backend works.
pub fn verify(
    bundle: &Bundle,
    reference: &Reference,
    films: &[(String, Array2<f32>)],
    tolerance: f32,
) -> Result<SelfCheck, ExportError> {
    let start = Instant::now();
    let mut report =
        SelfCheck { backends: vec![], skipped: vec![], comparisons: 0, worst: 0.0, tolerance, time: Duration::ZERO };
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
        let landmarks = landmarks(reference.macs()?, count, index);
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
            let mut expected = reference.maps(landmark, grid)?;
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

/// The network with which a bundle is compared, run by the reference interpreter.
pub enum Reference<'a> {
    /// The trained network.
    Network(&'a Checkpoint),
    /// The rewritten network after quantisation, which changes results on purpose.
    Module(&'a Module),
}

impl Reference<'_> {
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

/// The landmarks to compare on the film at `index`: as many of `count` as the budget allows at `each` multiply-accumulates. They are
/// evenly spread, and differ from film to film.
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
        // An embedding that does not depend on an adapter is an output of the trunk.
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

/// The largest difference, as a share of the largest expected number. NaN and a wrong shape count as an infinite difference.
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
