//! The detector: a bundle's graphs, opened once, run on film after film.
//!
//! The trunk runs once per film with all threads, then the heads side by side on one thread each: landmarks are
//! independent. How a graph is run is the [`backend`](crate::backend)'s, how a map becomes a point is `decode.rs`'s, and how
//! little of a head need be run is `windows.rs`'s.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;

use ndarray::{Array2, Axis, s};
use onemark_film::Film;
use onemark_film::geometry::{GridMap, GridSize};
use onemark_models::bundle::{Bundle, GraphEntry, WEIGHTS};
use onemark_models::confidence::Calibration;
use onemark_models::graph::{Level, Port};
use onemark_models::landmarks::{Landmark, LandmarkSet};
use onemark_models::network::SCORE;
use onemark_models::parallel::in_parallel;
use onemark_models::shape_prior::ShapePrior;

use crate::backend::{self, Backend, BackendKind, Outputs, Session, Tensor};
use crate::decode::{self, DecodeError, Decoding, Peak, Scores};
use crate::detections::{Finder, Found};
use crate::embeddings::Embeddings;
use crate::windows::Windows;
use crate::{BundleId, Detections, RuntimeError};

/// How a bundle is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What runs the graphs.
    pub backend: BackendKind,
    /// How many threads to use; `None` means as many as there are cores.
    pub threads: Option<NonZeroUsize>,
    /// How score maps become points.
    pub decoding: Decoding,
    /// The numbers of the landmarks to find; `None` means all that the bundle has.
    pub landmarks: Option<Vec<usize>>,
    /// Whether to run of each head only what can hold its best score, where the bundle says how. What is found is the same.
    pub pruning: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backend: BackendKind::default(),
            threads: None,
            decoding: Decoding::default(),
            landmarks: None,
            pruning: true,
        }
    }
}

/// An opened bundle. Its answers do not depend on the number of threads, nor on who else is asking.
pub struct Detector {
    bundle: BundleId,
    landmark_set: LandmarkSet,
    backend: Arc<dyn Backend>,
    threads: usize,
    decoding: Decoding,
    prior: Option<ShapePrior>,
    calibration: Option<Calibration>,
    grid: GridSize,
    trunk: Graph,
    heads: Vec<(Landmark, Graph)>,
    /// Where heads can be run in part.
    windows: Option<Windows>,
}

/// A graph and the names that the manifest gives its tensors.
struct Graph {
    entry: GraphEntry,
    onnx: Arc<[u8]>,
    weights: Arc<[u8]>,
    threads: usize,
    session: OnceLock<Box<dyn Session>>,
}

impl Graph {
    /// Opens the graph if that was not done yet.
    fn session(&self, backend: &dyn Backend) -> Result<&dyn Session, RuntimeError> {
        if let Some(session) = self.session.get() {
            return Ok(session.as_ref());
        }
        let graph = backend::check(&self.entry.file, &self.onnx, &self.weights)?;
        let session = backend.open(&graph, self.threads)?;
        // Another thread may have been faster.
        Ok(self.session.get_or_init(|| session).as_ref())
    }
}

/// The indices of the landmarks to find, in the bundle's order.
fn wanted(numbers: Option<Vec<usize>>, last: usize) -> Result<Vec<usize>, RuntimeError> {
    let Some(mut numbers) = numbers else { return Ok((0..last).collect()) };
    if let Some(landmark) = numbers.iter().copied().find(|number| !(1..=last).contains(number)) {
        return Err(RuntimeError::NoLandmark { landmark, last });
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers.into_iter().map(|number| number - 1).collect())
}

impl Detector {
    /// Opens a bundle: all its files are verified before a graph is parsed.
    ///
    /// # Errors
    /// The bundle is refused, or the backend can't run here or not run these graphs.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, RuntimeError> {
        Self::new(&Bundle::open(path)?, options)
    }

    /// The same for a bundle already in memory.
    ///
    /// # Errors
    /// As [`Detector::open`].
    pub fn new(bundle: &Bundle, options: Options) -> Result<Self, RuntimeError> {
        Self::with_backend(bundle, options.backend.open()?, options)
    }

    /// The same with a backend that the host has made, instead of the one that the options name.
    ///
    /// ```no_run
    /// // `no_run`, because the file is an example.
    /// use std::sync::Arc;
    /// use onemark_models::bundle::Bundle;
    /// use onemark_runtime::backend::OnnxRuntime;
    /// use onemark_runtime::{Detector, Options};
    ///
    /// let backend = OnnxRuntime::from_library("/opt/scanner/libonnxruntime.so")?;
    /// let bundle = Bundle::open("head19.onemark")?;
    /// let detector = Detector::with_backend(&bundle, Arc::new(backend), Options::default())?;
    /// # Ok::<(), onemark_runtime::RuntimeError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Detector::open`].
    pub fn with_backend(bundle: &Bundle, backend: Arc<dyn Backend>, options: Options) -> Result<Self, RuntimeError> {
        let threads = options.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let manifest = bundle.manifest();
        let graph = |entry: &GraphEntry, threads| {
            let (onnx, weights) = (bundle.bytes(&entry.file)?.clone(), bundle.bytes(WEIGHTS)?.clone());
            Ok::<Graph, RuntimeError>(Graph { entry: entry.clone(), onnx, weights, threads, session: OnceLock::new() })
        };
        let trunk = graph(&manifest.trunk, threads)?;
        trunk.session(backend.as_ref())?;
        let all = &manifest.landmark_set.landmarks;
        let wanted = wanted(options.landmarks, all.len())?;
        let heads = wanted.iter().map(|index| Ok((all[*index].clone(), graph(&manifest.heads[*index].graph, 1)?)));
        let heads = heads.collect::<Result<Vec<(Landmark, Graph)>, RuntimeError>>()?;
        let plan = manifest.plan.as_ref().filter(|_| options.pruning);
        let windows = plan.map(|plan| Windows::open(bundle, plan, &wanted, backend.clone(), threads)).transpose()?;
        if windows.is_none() {
            let opened = in_parallel(threads, &heads, |(_, head)| head.session(backend.as_ref()).map(|_| ()));
            opened.into_iter().collect::<Result<(), RuntimeError>>()?;
        }
        let prior = manifest.shape_prior.as_ref().map(|prior| prior.marginal(&wanted));
        Ok(Self {
            bundle: BundleId { name: manifest.name.clone(), sha256: bundle.digest()? },
            landmark_set: manifest.landmark_set.clone().or_built_in_analysis(),
            threads,
            decoding: match (options.decoding, &prior) {
                (Decoding::ShapePrior, None) => Decoding::Subpixel,
                (decoding, _) => decoding,
            },
            prior,
            calibration: manifest.calibration.clone(),
            grid: GridSize::new(manifest.input.size, manifest.input.size),
            trunk,
            heads,
            windows,
            backend,
        })
    }

    /// The bundle that was opened.
    pub fn bundle(&self) -> &BundleId {
        &self.bundle
    }

    /// The landmarks that the bundle knows, and what is measured between them; for [`Detections::measure`].
    pub fn landmark_set(&self) -> &LandmarkSet {
        &self.landmark_set
    }

    /// The backend that runs it.
    pub fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// How score maps become points: as asked for, as far as the bundle can.
    pub fn decoding(&self) -> Decoding {
        self.decoding
    }

    /// The grid that films are resized to.
    pub fn grid(&self) -> GridSize {
        self.grid
    }

    /// Finds all landmarks of the bundle on a film, in mm too where the film's spacing is known, and measures between them.
    ///
    /// # Errors
    /// The backend fails, or gives scores that are no numbers: then there is no position, and none is made up.
    pub fn detect(&self, film: &Film) -> Result<Detections, RuntimeError> {
        let shared = &self.shared(film.to_grid(self.grid)?)?;
        let whole = |index: usize| self.score(&self.heads[index].1, self.head(index, shared)?);
        let peaks: Vec<(Peak, Option<usize>)> = match &self.windows {
            None => {
                let mut scores = self.each(whole)?;
                self.peaks(&mut scores)?.into_iter().map(|peak| (peak, None)).collect()
            }
            Some(windows) => {
                let mut fields = self.each(|index| windows.field(index, shared, Box::new(move || whole(index))))?;
                let peaks = self.peaks(&mut fields)?;
                peaks.into_iter().zip(&fields).map(|(peak, field)| (peak, Some(field.opened))).collect()
            }
        };
        let found = self.heads.iter().zip(peaks);
        let found: Vec<Found<'_>> =
            found.map(|((landmark, _), (peak, windows))| Found { landmark, peak, windows }).collect();
        let finder = Finder {
            bundle: &self.bundle,
            backend: self.backend.name(),
            set: &self.landmark_set,
            calibration: self.calibration.as_ref(),
            map: GridMap::new(film.size(), self.grid),
        };
        Ok(Detections::new(&finder, film, &found))
    }

    /// The score map of a landmark (1-based) on a film that is on the grid already, axes [row, column]: all of it, by the same
    /// graphs as [`Detector::detect`]. Slow; for those who check bundles.
    ///
    /// # Errors
    /// The backend fails, or the bundle has no such landmark.
    pub fn score_map(&self, film: &Array2<f32>, landmark: usize) -> Result<Array2<f32>, RuntimeError> {
        let shared = &self.shared(film.clone())?;
        let index = self.heads.iter().position(|(head, _)| head.number.number() == landmark);
        let index = index.ok_or(RuntimeError::NoLandmark { landmark, last: self.heads.len() })?;
        let head = &self.heads[index].1;
        match &self.windows {
            None => self.score(head, self.head(index, shared)?),
            Some(windows) => windows.field(index, shared, Box::new(|| Ok(Array2::default((0, 0)))))?.everywhere(),
        }
    }

    /// The score map and the embeddings of each landmark, by the whole heads.
    pub(crate) fn embeddings(&self, film: &Film) -> Result<Vec<(Array2<f32>, Embeddings)>, RuntimeError> {
        let shared = self.shared(film.to_grid(self.grid)?)?;
        self.each(|index| {
            let outputs = self.head(index, &shared)?;
            // Those that depend on no landmark are the trunk's.
            let wanted = Level::COARSE_TO_FINE.map(|level| Port::Embedding(level).to_string());
            let all = shared.iter().chain(&outputs).filter(|(name, _)| wanted.contains(name));
            let all = all.map(|(name, tensor)| Ok((name.clone(), tensor.array()?.to_owned())));
            let all = all.collect::<Result<_, RuntimeError>>()?;
            Ok((self.score(&self.heads[index].1, outputs)?, Embeddings::new(all)))
        })
    }

    /// The points of all landmarks' scores.
    pub(crate) fn peaks<S: Scores + Send>(&self, scores: &mut [S]) -> Result<Vec<Peak>, RuntimeError> {
        let peaks = decode::peaks(scores, self.decoding, self.prior.as_ref(), self.threads);
        peaks.map_err(|error| self.decode_error(error))
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// What the trunk makes of a film on the grid.
    fn shared(&self, film: Array2<f32>) -> Result<Outputs, RuntimeError> {
        let cells = self.backend.keep(film.insert_axis(Axis(0)).insert_axis(Axis(0)))?;
        let name = self.trunk.entry.inputs.first().map_or("", |input| &input.name);
        self.trunk.session(self.backend.as_ref())?.run(&[(name, cells.as_ref())])
    }

    /// Does `work` for the index of every landmark, side by side.
    fn each<T: Send>(&self, work: impl Fn(usize) -> Result<T, RuntimeError> + Sync) -> Result<Vec<T>, RuntimeError> {
        in_parallel(self.threads, 0..self.heads.len(), work).into_iter().collect()
    }

    /// What a whole head makes of what the trunk made.
    fn head(&self, index: usize, shared: &Outputs) -> Result<Outputs, RuntimeError> {
        let head = &self.heads[index].1;
        let wanted = |name: &str| head.entry.inputs.iter().any(|input| input.name == name);
        let inputs = shared.iter().filter(|(name, _)| wanted(name));
        let inputs: Vec<(&str, &dyn Tensor)> = inputs.map(|(name, tensor)| (name.as_str(), tensor.as_ref())).collect();
        head.session(self.backend.as_ref())?.run(&inputs)
    }

    /// A landmark's score map, axes [row, column].
    fn score(&self, head: &Graph, outputs: Outputs) -> Result<Array2<f32>, RuntimeError> {
        let score = outputs.iter().find(|(name, _)| name == SCORE).map(|(_, score)| score.array()).transpose()?;
        let score = score.ok_or_else(|| self.unexpected(head, "nothing".into()))?;
        if score.shape() != [1, 1, self.grid.height, self.grid.width] {
            return Err(self.unexpected(head, format!("{:?}", score.shape())));
        }
        Ok(score.slice(s![0, 0, .., ..]).to_owned())
    }

    pub(crate) fn decode_error(&self, error: DecodeError) -> RuntimeError {
        match error {
            DecodeError::NoNumbers(index) => self.unexpected(&self.heads[index].1, "scores that are no numbers".into()),
            DecodeError::Scores(error) => error,
        }
    }

    fn unexpected(&self, head: &Graph, found: String) -> RuntimeError {
        RuntimeError::Output {
            graph: head.entry.file.clone(),
            tensor: SCORE.into(),
            expected: format!("[1, 1, {}, {}] of numbers", self.grid.height, self.grid.width),
            found,
        }
    }
}
