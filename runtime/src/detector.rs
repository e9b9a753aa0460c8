//! The detector: a bundle's graphs, opened once, run on film after film.
//!
//! The trunk runs once per film with all threads, then the heads in parallel on one thread each: landmarks are independent. The
//! [`backend`](crate::backend) runs graphs, `decode.rs` turns score maps into points, and `pruned.rs` runs only the part of a head
//! that is needed.

use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, Axis};
use onemark_film::Film;
use onemark_film::geometry::{GridMap, GridSize};
use onemark_models::bundle::Bundle;
use onemark_models::confidence::Calibration;
use onemark_models::familiarity::Familiarity;
use onemark_models::graph::{Level, Port};
use onemark_models::landmarks::LandmarkSet;
use onemark_models::parallel::in_parallel;
use onemark_models::shape_prior::ShapePrior;

use crate::backend::{self, Backend};
use crate::decode::{self, DecodeError, Decoding, Peak};
use crate::detections::{DetectionContext, Found};
use crate::embeddings::Embeddings;
use crate::head::Head;
use crate::job::{Cancel, Progress};
use crate::partial_scores::PartialScores;
use crate::pruned::PrunedHeads;
use crate::scores::Scores;
use crate::session::{LazySession, Tensors, wrong_score};
use crate::{BundleId, Detections, Job, Options, RuntimeError};

/// An opened bundle. It is `Send + Sync`: threads may share it, and its results depend neither on their number nor on other
/// detections at the same time.
///
/// ```
/// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
/// use onemark_runtime::{Detector, Options};
///
/// # let options = Options::default().with_backend(onemark_runtime::BackendKind::Tract);
/// # let (bundle, film) = (spot::bundle(1.0), spot::film());
/// let detector = Detector::new(&bundle, options)?;
/// std::thread::scope(|scope| {
///     let both = [scope.spawn(|| detector.detect(&film)), scope.spawn(|| detector.detect(&film))];
///     let [one, other] = both.map(|thread| thread.join().unwrap().unwrap());
///     assert_eq!(one, other);
/// });
/// # Ok::<(), onemark_runtime::RuntimeError>(())
/// ```
pub struct Detector {
    bundle: BundleId,
    landmark_set: LandmarkSet,
    backend: Arc<dyn Backend>,
    threads: usize,
    decoding: Decoding,
    prior: Option<ShapePrior>,
    calibration: Option<Calibration>,
    /// If the bundle has one, and all of its landmarks are to be found: it judges by all.
    familiarity: Option<Familiarity>,
    grid: GridSize,
    trunk: LazySession,
    heads: Vec<Head>,
    /// If the bundle has a plan for it and the options allow it.
    pruned: Option<PrunedHeads>,
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
    /// The bundle is refused, the backend does not work on this machine, or it can't run these graphs.
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

    /// The same with this backend, instead of the one that the options name: one that the host implements, or one that several
    /// detectors share.
    ///
    /// ```
    /// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
    /// use onemark_runtime::{BackendKind, Detector, Options};
    ///
    /// # let bundle = spot::bundle(1.0);
    /// let backend = BackendKind::Tract.open()?;
    /// let one = Detector::with_backend(&bundle, backend.clone(), Options::default())?;
    /// let other = Detector::with_backend(&bundle, backend, Options::default().with_landmarks([1]))?;
    /// assert_eq!(one.backend().about(), other.backend().about());
    /// # Ok::<(), onemark_runtime::RuntimeError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Detector::open`].
    pub fn with_backend(bundle: &Bundle, backend: Arc<dyn Backend>, options: Options) -> Result<Self, RuntimeError> {
        let threads = options.thread_count();
        let manifest = bundle.manifest();
        // All graphs are checked before the first one is opened, because a network may not need all of them at once.
        let weights = &backend::weights(bundle)?;
        let trunk = LazySession::new(bundle, &manifest.trunk, weights, threads)?;
        let all = &manifest.landmark_set.landmarks;
        let wanted = wanted(options.landmarks, all.len())?;
        let heads = in_parallel(threads, &wanted, |&index| {
            Head::new(bundle, &manifest.trunk, &all[index], &manifest.heads[index].graph, weights)
        });
        let heads = heads.into_iter().collect::<Result<Vec<Head>, RuntimeError>>()?;
        trunk.open(backend.as_ref())?;
        let plan = manifest.plan.as_ref().filter(|_| options.pruning);
        let pruned = plan.map(|plan| PrunedHeads::open(bundle, plan, &wanted, weights, backend.clone(), threads));
        let pruned = pruned.transpose()?;
        if pruned.is_none() {
            let opened = in_parallel(threads, &heads, |head| head.open(backend.as_ref()));
            opened.into_iter().collect::<Result<(), RuntimeError>>()?;
        }
        let prior = manifest.shape_prior.as_ref().map(|prior| prior.marginal(&wanted));
        Ok(Self {
            bundle: BundleId { name: manifest.name.clone(), sha256: bundle.digest() },
            landmark_set: manifest.landmark_set.clone().or_built_in_analysis(),
            threads,
            decoding: match (options.decoding, &prior) {
                (Decoding::ShapePrior, None) => Decoding::Subpixel,
                (decoding, _) => decoding,
            },
            prior,
            calibration: manifest.calibration.clone(),
            familiarity: manifest.familiarity.clone().filter(|_| wanted.len() == all.len()),
            grid: GridSize::new(manifest.input.size, manifest.input.size),
            trunk,
            heads,
            pruned,
            backend,
        })
    }

    /// The name and digest of the bundle.
    pub fn bundle(&self) -> &BundleId {
        &self.bundle
    }

    /// The bundle's landmarks and the measurements between them; for [`Detections::correct`] and [`Detections::measure`].
    pub fn landmark_set(&self) -> &LandmarkSet {
        &self.landmark_set
    }

    /// The backend that runs the graphs.
    pub fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// How score maps become points: as the options say, but [`Decoding::Subpixel`] instead of [`Decoding::ShapePrior`] if the
    /// bundle has no shape prior.
    pub fn decoding(&self) -> Decoding {
        self.decoding
    }

    /// The grid that films are resized to.
    pub fn grid(&self) -> GridSize {
        self.grid
    }

    /// Finds the landmarks on a film: in px; in mm too, if the film's spacing is known. Takes the measurements between them.
    ///
    /// [`job`](Self::job) does the same with progress and cancellation.
    ///
    /// ```
    /// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
    /// use onemark_runtime::film::Spacing;
    /// use onemark_runtime::{Detector, Options};
    ///
    /// # let options = Options::default().with_backend(onemark_runtime::BackendKind::Tract);
    /// # let (bundle, film) = (spot::bundle(1.0), spot::film());
    /// let detector = Detector::new(&bundle, options)?;
    /// let found = detector.detect(&film.with_spacing(Spacing::new(0.1, 0.1, "scanner manual")?))?;
    /// for measurement in found.measurements() {
    ///     println!("{}: {:?}", measurement.title, measurement.value);
    /// }
    /// # assert!(found.measurements()[0].value.is_some());
    /// # Ok::<(), onemark_runtime::RuntimeError>(())
    /// ```
    ///
    /// # Errors
    /// The backend fails, or computes scores that are not numbers.
    pub fn detect(&self, film: &Film) -> Result<Detections, RuntimeError> {
        self.job(film).run()
    }

    /// The detection on a film, not yet started: progress and cancellation can be added before [`Job::run`].
    ///
    /// ```
    /// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
    /// use onemark_runtime::{Cancel, Detector, Options};
    ///
    /// # let options = Options::default().with_backend(onemark_runtime::BackendKind::Tract);
    /// # let (bundle, film) = (spot::bundle(1.0), spot::film());
    /// let detector = Detector::new(&bundle, options)?;
    /// let cancel = Cancel::new(); // a clone goes to the button
    /// let job = detector.job(&film).with_cancel(&cancel).on_progress(|done, total| println!("{done} of {total}"));
    /// assert_eq!(job.run()?, detector.detect(&film)?);
    /// # Ok::<(), onemark_runtime::RuntimeError>(())
    /// ```
    pub fn job<'a>(&'a self, film: &'a Film) -> Job<'a> {
        Job::new(self, film)
    }

    /// How many steps a job reports: the trunk and the landmarks.
    pub(crate) fn steps(&self) -> usize {
        1 + self.heads.len()
    }

    /// Runs a job.
    pub(crate) fn run(
        &self,
        film: &Film,
        cancel: &Cancel,
        progress: &Progress<'_>,
    ) -> Result<Detections, RuntimeError> {
        let shared = &self.shared(film.to_grid(self.grid)?, cancel)?;
        progress.step();
        let scored = self.each(|index| {
            let mut scores = self.scores(index, shared, cancel)?;
            let peak = decode::first_peak(index, &mut scores, self.decoding);
            let peak = peak.map_err(|error| self.decode_error(error))?;
            progress.step();
            Ok((scores, peak))
        });
        let (mut scores, peaks): (Vec<Scores<'_>>, Vec<Peak>) = scored?.into_iter().unzip();
        // A prior moves points to places where the score is lower. Those of the training films were not moved.
        let best: Vec<f32> = peaks.iter().map(|peak| peak.score.clamp(0.0, 1.0)).collect();
        let peaks = decode::apply_prior(&mut scores, peaks, self.decoding, self.prior.as_ref(), self.threads);
        let peaks = peaks.map_err(|error| self.decode_error(error))?;
        let found = self.heads.iter().zip(peaks).zip(&scores);
        let found =
            found.map(|((head, peak), scores)| Found { landmark: &head.landmark, peak, windows: scores.windows() });
        let context = DetectionContext {
            bundle: &self.bundle,
            backend: self.backend.name(),
            set: &self.landmark_set,
            calibration: self.calibration.as_ref(),
            familiarity: self.familiarity.as_ref(),
            map: GridMap::new(film.size(), self.grid),
        };
        Ok(Detections::new(&context, film, &found.collect::<Vec<_>>(), &best))
    }

    /// The whole score map of a landmark, by its number, axes [row, column], on a film that is on the grid already. The graphs
    /// are those of [`Detector::detect`], which runs fewer windows. For the comparison of bundles with the reference.
    ///
    /// # Errors
    /// The backend fails, or the landmark is not among those to find.
    #[doc(hidden)]
    pub fn score_map(&self, film: &Array2<f32>, landmark: usize) -> Result<Array2<f32>, RuntimeError> {
        let cancel = &Cancel::new();
        let index = self.heads.iter().position(|head| head.landmark.number.number() == landmark);
        let index = index.ok_or(RuntimeError::NoLandmark { landmark, last: self.landmark_set.len() })?;
        let shared = &self.shared(film.clone(), cancel)?;
        match self.scores(index, shared, cancel)? {
            Scores::Whole(scores) => Ok(scores),
            Scores::Windowed(partial) => partial.everywhere(),
        }
    }

    /// The score map and the embeddings of each landmark, by the whole heads.
    pub(crate) fn embeddings(&self, film: &Film) -> Result<Vec<(Array2<f32>, Embeddings)>, RuntimeError> {
        let shared = self.shared(film.to_grid(self.grid)?, &Cancel::new())?;
        self.each(|index| {
            let head = &self.heads[index];
            let outputs = head.run(self.backend.as_ref(), &shared)?;
            // The trunk makes the embeddings that do not depend on the landmark.
            let (trunk, specific) = (self.trunk.entry().outputs.iter(), head.entry().outputs.iter());
            let all = trunk.zip(&shared).chain(specific.zip(&outputs));
            let wanted = Level::COARSE_TO_FINE.map(|level| Port::Embedding(level).to_string());
            let all = all.filter(|(entry, _)| wanted.contains(&entry.name));
            let all = all.map(|(entry, tensor)| Ok((entry.name.clone(), tensor.array()?.to_owned())));
            let all = all.collect::<Result<_, RuntimeError>>()?;
            Ok((head.score(&outputs, self.grid.height)?, Embeddings::new(all)))
        })
    }

    /// The peaks of score maps, one for each landmark.
    pub(crate) fn peaks(&self, maps: Vec<Array2<f32>>) -> Result<Vec<Peak>, RuntimeError> {
        let peaks = decode::peaks(maps, self.decoding, self.prior.as_ref(), self.threads);
        peaks.map_err(|error| self.decode_error(error))
    }

    /// The number of threads that it computes with.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The trunk's outputs for a film on the grid.
    fn shared(&self, film: Array2<f32>, cancel: &Cancel) -> Result<Tensors, RuntimeError> {
        let cells = self.backend.keep(film.insert_axis(Axis(0)).insert_axis(Axis(0)))?;
        cancel.check()?;
        self.trunk.run(self.backend.as_ref(), &[cells.as_ref()])
    }

    /// Does `work` for the index of each landmark, in parallel.
    fn each<T: Send>(&self, work: impl Fn(usize) -> Result<T, RuntimeError> + Sync) -> Result<Vec<T>, RuntimeError> {
        in_parallel(self.threads, 0..self.heads.len(), work).into_iter().collect()
    }

    /// The scores of the landmark at `index`, from the trunk's outputs.
    fn scores<'a>(&'a self, index: usize, shared: &'a Tensors, cancel: &'a Cancel) -> Result<Scores<'a>, RuntimeError> {
        let head = &self.heads[index];
        if let Some(pruned) = &self.pruned {
            return Ok(Scores::Windowed(Box::new(PartialScores::new(pruned, index, head, shared, cancel)?)));
        }
        cancel.check()?;
        let outputs = head.run(self.backend.as_ref(), shared)?;
        Ok(Scores::Whole(head.score(&outputs, self.grid.height)?))
    }

    pub(crate) fn decode_error(&self, error: DecodeError) -> RuntimeError {
        match error {
            DecodeError::NotNumbers(index) => {
                wrong_score(self.heads[index].entry(), self.grid.height, "scores that are not numbers")
            }
            DecodeError::Scores(error) => error,
        }
    }
}
