//! The detector: a bundle's graphs, opened once, run on film after film.
//!
//! The trunk runs once per film with all threads, then the heads side by side on one thread each: landmarks are
//! independent. How a graph is run is the [`backend`](crate::backend)'s, how a map becomes a point is `decode.rs`'s.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use ndarray::{Array2, ArrayView4, Axis};
use onemark_models::bundle::{self, Bundle, GraphEntry, WEIGHTS};
use onemark_models::film::Film;
use onemark_models::geometry::{GridMap, GridSize};
use onemark_models::landmarks::Landmark;
use onemark_models::network::{LEVELS, SCORE, embedding_name};
use onemark_models::parallel::in_parallel;
use onemark_models::shape::ShapePrior;
use onemark_models::yaml;
use sha2::{Digest as _, Sha256};

use crate::backend::{self, Backend, GraphBytes, Outputs, Session};
use crate::cycle::Embeddings;
use crate::decode::{self, Decoding, Peak};
use crate::{BundleId, Detection, Detections, FilmSize, RuntimeError};

/// How a bundle is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// A name from [`backend::BACKENDS`].
    pub backend: String,
    /// How many threads to use; `None` means as many as there are cores.
    pub threads: Option<NonZeroUsize>,
    /// How score maps become points.
    pub decoding: Decoding,
}

impl Default for Options {
    fn default() -> Self {
        Self { backend: "auto".into(), threads: None, decoding: Decoding::default() }
    }
}

/// An opened bundle. Its answers do not depend on the number of threads, nor on who else is asking.
pub struct Detector {
    bundle: BundleId,
    backend: Box<dyn Backend>,
    threads: usize,
    decoding: Decoding,
    prior: Option<ShapePrior>,
    grid: GridSize,
    trunk: Graph,
    heads: Vec<(Landmark, Graph)>,
}

/// A graph and the names that the manifest gives its tensors.
struct Graph {
    entry: GraphEntry,
    session: Box<dyn Session>,
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
        let backend = backend::open(&options.backend)?;
        let threads = options.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let manifest = bundle.manifest();
        let weights: &Arc<[u8]> = bundle.bytes(WEIGHTS)?;
        let open = |entry: &GraphEntry, threads| {
            let graph = GraphBytes { file: &entry.file, onnx: bundle.bytes(&entry.file)?, weights };
            Ok(Graph { entry: entry.clone(), session: backend.open(graph, threads)? })
        };
        let trunk = open(&manifest.trunk, threads)?;
        let heads = in_parallel(threads, &manifest.heads, |head| open(&head.graph, 1));
        let heads = heads.into_iter().collect::<Result<Vec<_>, RuntimeError>>()?;
        let landmarks = manifest.landmark_set.landmarks.iter().cloned();
        let prior = match &manifest.decoding {
            bundle::Decoding::Argmax => None,
            bundle::Decoding::ShapePrior(prior) => Some(prior.clone()),
        };
        let digest = Sha256::digest(yaml::write(manifest).map_err(onemark_models::bundle::BundleError::from)?);
        Ok(Self {
            bundle: BundleId {
                name: manifest.name.clone(),
                sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            },
            threads,
            decoding: match (options.decoding, &prior) {
                (Decoding::ShapePrior, None) => Decoding::Subpixel,
                (decoding, _) => decoding,
            },
            prior,
            grid: GridSize::new(manifest.input.size, manifest.input.size),
            trunk,
            heads: landmarks.zip(heads).collect(),
            backend,
        })
    }

    /// The bundle that was opened.
    pub fn bundle(&self) -> &BundleId {
        &self.bundle
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

    /// Finds all landmarks of the bundle on a film.
    ///
    /// # Errors
    /// The backend fails, or gives scores that are no numbers: then there is no position, and none is made up.
    pub fn detect(&self, film: &Film) -> Result<Detections, RuntimeError> {
        let map = GridMap::new((film.width(), film.height()), self.grid);
        let scores = self.run(film, |head, outputs, _| self.score(head, outputs))?;
        let peaks = self.peaks(&scores)?;
        let landmarks =
            self.heads.iter().zip(peaks).map(|((landmark, _), Peak { cell, at, score, surprise })| Detection {
                number: landmark.number,
                name: landmark.name.clone(),
                title: landmark.title.clone(),
                cell,
                position: map.to_film_at(at.0, at.1),
                mm: None,
                score: score.clamp(0.0, 1.0),
                surprise,
            });
        Ok(Detections {
            bundle: self.bundle.clone(),
            backend: self.backend.name(),
            film: FilmSize { width: film.width(), height: film.height() },
            spacing: None,
            landmarks: landmarks.collect(),
        })
    }

    /// The score map and the embeddings of each landmark.
    pub(crate) fn embeddings(&self, film: &Film) -> Result<Vec<(Array2<f32>, Embeddings)>, RuntimeError> {
        self.run(film, |head, outputs, shared| {
            // Those that depend on no landmark are the trunk's.
            let wanted = LEVELS.map(embedding_name);
            let all = shared.iter().chain(&outputs).filter(|(name, _)| wanted.contains(name)).cloned().collect();
            Ok((self.score(head, outputs)?, all))
        })
    }

    /// The points of all landmarks' score maps.
    pub(crate) fn peaks(&self, scores: &[Array2<f32>]) -> Result<Vec<Peak>, RuntimeError> {
        decode::peaks(scores, self.decoding, self.prior.as_ref()).map_err(|index| self.no_numbers(index))
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs the trunk, then the heads side by side, and keeps of each head what `keep` makes of (head, its outputs, the
    /// trunk's outputs).
    fn run<T: Send>(
        &self,
        film: &Film,
        keep: impl Fn(&Graph, Outputs, &Outputs) -> Result<T, RuntimeError> + Sync,
    ) -> Result<Vec<T>, RuntimeError> {
        let cells = film.to_grid(self.grid)?.insert_axis(Axis(0)).insert_axis(Axis(0));
        let name = self.trunk.entry.inputs.first().map_or("", |input| &input.name);
        let shared = self.trunk.session.run(&[(name, cells.view())])?;
        in_parallel(self.threads, &self.heads, |(_, head)| {
            let wanted = |name: &str| head.entry.inputs.iter().any(|input| input.name == name);
            let inputs = shared.iter().filter(|(name, _)| wanted(name));
            let inputs: Vec<(&str, ArrayView4<'_, f32>)> =
                inputs.map(|(name, array)| (name.as_str(), array.view())).collect();
            keep(head, head.session.run(&inputs)?, &shared)
        })
        .into_iter()
        .collect()
    }

    /// A landmark's score map, axes [row, column].
    fn score(&self, head: &Graph, outputs: Outputs) -> Result<Array2<f32>, RuntimeError> {
        let score = outputs.into_iter().find(|(name, _)| name == SCORE).map(|(_, score)| score);
        let score = score.ok_or_else(|| self.unexpected(head, "nothing".into()))?;
        if score.shape() != [1, 1, self.grid.height, self.grid.width] {
            return Err(self.unexpected(head, format!("{:?}", score.shape())));
        }
        Ok(score.index_axis_move(Axis(0), 0).index_axis_move(Axis(0), 0))
    }

    /// Landmark `index` (0-based) has scores that are no numbers.
    pub(crate) fn no_numbers(&self, index: usize) -> RuntimeError {
        self.unexpected(&self.heads[index].1, "scores that are no numbers".into())
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
