//! The detector: an opened bundle, run on film after film. `look.rs` runs its graphs, `second_look.rs` lets it look again.

use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;
use onemark_film::Film;
use onemark_film::geometry::{GridMap, GridSize};
use onemark_models::bundle::Bundle;
use onemark_models::confidence::Calibration;
use onemark_models::familiarity::Familiarity;
use onemark_models::landmarks::LandmarkSet;

use crate::backend::Backend;
use crate::decode::Decoding;
use crate::detections::{DetectionContext, Place};
use crate::job::{Cancel, Progress};
use crate::look::Look;
use crate::second_look::SecondLook;
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
    calibration: Option<Calibration>,
    /// If the bundle has one, and all of its landmarks are to be found: it judges by all.
    familiarity: Option<Familiarity>,
    first: Look,
    /// If the bundle has one. Then the first look finds all landmarks, because they align the film for the second.
    second: Option<SecondLook>,
    /// The indices of the landmarks to find.
    wanted: Vec<usize>,
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
        let manifest = bundle.manifest();
        let all: Vec<usize> = (0..manifest.landmark_set.len()).collect();
        let wanted = wanted(options.landmarks.clone(), all.len())?;
        let second = bundle.second_look();
        let second = second.map(|(how, second)| SecondLook::new(how, second, backend.clone(), &wanted, &options));
        let second = second.transpose()?;
        let first = Look::new(bundle, backend, if second.is_some() { &all } else { &wanted }, &options)?;
        Ok(Self {
            bundle: BundleId { name: manifest.name.clone(), sha256: bundle.digest() },
            landmark_set: manifest.landmark_set.clone().or_built_in_analysis(),
            calibration: manifest.calibration.clone(),
            familiarity: manifest.familiarity.clone().filter(|_| wanted.len() == all.len()),
            first,
            second,
            wanted,
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
        self.first.backend()
    }

    /// How score maps become points: as the options say, but [`Decoding::Subpixel`] instead of [`Decoding::ShapePrior`] if the
    /// bundle has no shape prior.
    pub fn decoding(&self) -> Decoding {
        self.first.decoding()
    }

    /// The grid that films are resized to, for the first look.
    pub fn grid(&self) -> GridSize {
        self.first.grid()
    }

    /// The number of threads that it computes with.
    pub fn threads(&self) -> usize {
        self.first.threads()
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

    /// How many steps a job reports: for each look the trunk and the landmarks.
    pub(crate) fn steps(&self) -> usize {
        self.first.steps() + self.second.as_ref().map_or(0, SecondLook::steps)
    }

    /// Runs a job.
    pub(crate) fn run(
        &self,
        film: &Film,
        cancel: &Cancel,
        progress: &Progress<'_>,
    ) -> Result<Detections, RuntimeError> {
        let seen = self.first.see(film, cancel, progress)?;
        let map = GridMap::new(film.size(), self.first.grid());
        let best: Vec<f32> = seen.iter().map(|seen| seen.best).collect();
        let places = self.first.landmarks().zip(&seen).map(|(landmark, seen)| Place::new(landmark, seen, &map));
        let mut places: Vec<Place<'_>> = places.collect();
        if let Some(second) = &self.second {
            second.refine(film, &mut places, &map, (cancel, progress))?;
            places.retain(|place| self.wanted.contains(&place.landmark.number.index()));
        }
        let context = DetectionContext {
            bundle: &self.bundle,
            backend: self.backend().name(),
            set: &self.landmark_set,
            calibration: self.calibration.as_ref(),
            familiarity: self.familiarity.as_ref(),
        };
        Ok(Detections::new(&context, film, &places, &best))
    }

    /// The whole score map of a landmark, by its number, axes [row, column], on a film that is on the grid already. The graphs
    /// are those of the first look of [`Detector::detect`], which runs fewer windows. For the comparison of bundles with the reference.
    ///
    /// # Errors
    /// The backend fails, or the landmark is not among those to find.
    #[doc(hidden)]
    pub fn score_map(&self, film: &Array2<f32>, landmark: usize) -> Result<Array2<f32>, RuntimeError> {
        let index = self.first.landmarks().position(|found| found.number.number() == landmark);
        self.first.score_map(film, index.ok_or(RuntimeError::NoLandmark { landmark, last: self.landmark_set.len() })?)
    }

    /// The first look at films.
    pub(crate) fn first(&self) -> &Look {
        &self.first
    }

    /// The second look, if the bundle has one.
    pub(crate) fn second(&self) -> Option<&SecondLook> {
        self.second.as_ref()
    }
}
