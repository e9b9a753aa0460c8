//! One detection that can be watched and cancelled.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use onemark_film::Film;

use crate::{Detections, Detector, RuntimeError};

/// Cancels jobs from any thread. Clones share one state, and a cancelled one stays cancelled.
///
/// ```
/// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
/// use onemark_runtime::{Cancel, Detector, RuntimeError};
///
/// # let options = onemark_runtime::Options::default().with_backend(onemark_runtime::BackendKind::Tract);
/// # let (bundle, film) = (spot::bundle(1.0), spot::film());
/// let detector = Detector::new(&bundle, options)?;
/// let cancel = Cancel::new();
/// let button = cancel.clone();
/// std::thread::spawn(move || button.cancel()).join().unwrap();
///
/// let result = detector.job(&film).with_cancel(&cancel).run();
/// assert!(matches!(result, Err(RuntimeError::Cancelled)));
/// # Ok::<(), RuntimeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A state that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels all jobs that have this state or a clone of it.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called on this state or a clone of it.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails if it is cancelled. Called before each run of a graph.
    pub(crate) fn check(&self) -> Result<(), RuntimeError> {
        if self.is_cancelled() { Err(RuntimeError::Cancelled) } else { Ok(()) }
    }
}

/// The detection of a film's landmarks, not yet started. [`Detector::job`] makes it.
#[must_use = "a job does nothing until `run` is called"]
pub struct Job<'a> {
    detector: &'a Detector,
    film: &'a Film,
    cancel: Cancel,
    report: Option<Report<'a>>,
}

type Report<'a> = Box<dyn FnMut(usize, usize) + Send + 'a>;

impl<'a> Job<'a> {
    pub(crate) fn new(detector: &'a Detector, film: &'a Film) -> Self {
        Self { detector, film, cancel: Cancel::new(), report: None }
    }

    /// Lets `cancel` stop the job. It is read before each run of a graph, so the job goes on for one run at most.
    ///
    /// A job that is cancelled after its last run still gives its result.
    pub fn with_cancel(self, cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), ..self }
    }

    /// Calls `report` with the steps done and their total: for each look one step for the trunk and one for each landmark.
    ///
    /// `done` grows by one from call to call, and the last call of a job that succeeds has `done == total`. The detector's
    /// threads make the calls, one at a time, and wait for each.
    ///
    /// ```
    /// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
    /// use onemark_runtime::Detector;
    ///
    /// # let options = onemark_runtime::Options::default().with_backend(onemark_runtime::BackendKind::Tract);
    /// # let (bundle, film) = (spot::bundle(1.0), spot::film());
    /// let detector = Detector::new(&bundle, options)?;
    /// let mut steps = Vec::new();
    /// detector.job(&film).on_progress(|done, total| steps.push((done, total))).run()?;
    /// assert_eq!(steps, [(1, 3), (2, 3), (3, 3)]); // the trunk and two landmarks
    /// # Ok::<(), onemark_runtime::RuntimeError>(())
    /// ```
    pub fn on_progress(self, report: impl FnMut(usize, usize) + Send + 'a) -> Self {
        Self { report: Some(Box::new(report)), ..self }
    }

    /// Finds the landmarks, as [`Detector::detect`] does.
    ///
    /// # Errors
    /// As [`Detector::detect`]; [`RuntimeError::Cancelled`] if the job was cancelled before its last run of a graph.
    pub fn run(self) -> Result<Detections, RuntimeError> {
        let Self { detector, film, cancel, report } = self;
        let steps = Steps { done: 0, total: detector.steps(), report };
        detector.run(film, &cancel, &Progress(Mutex::new(steps)))
    }
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("film", self.film).field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// The steps of a running job.
pub(crate) struct Progress<'a>(Mutex<Steps<'a>>);

struct Steps<'a> {
    done: usize,
    total: usize,
    report: Option<Report<'a>>,
}

impl Progress<'_> {
    /// Nobody watches.
    pub(crate) fn silent() -> Self {
        Self(Mutex::new(Steps { done: 0, total: 0, report: None }))
    }

    /// Reports one more step.
    pub(crate) fn step(&self) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.done += 1;
        let Steps { done, total, report } = &mut *steps;
        if let Some(report) = report {
            report(*done, *total);
        }
    }
}
