//! How a bundle is to be run.

use std::num::NonZeroUsize;
use std::thread;

use crate::{BackendKind, Decoding};

/// How a bundle is to be run. `Options::default()` is right for most programs; each setter changes one thing.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) backend: BackendKind,
    /// `None`: one per core.
    threads: Option<NonZeroUsize>,
    pub(crate) decoding: Decoding,
    /// Numbers from 1; `None`: all landmarks.
    pub(crate) landmarks: Option<Vec<usize>>,
    pub(crate) pruning: bool,
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

impl Options {
    /// What runs the graphs. Default: [`BackendKind::Auto`].
    ///
    /// [`Detector::with_backend`](crate::Detector::with_backend) ignores it, because there the host passes a backend.
    ///
    /// ```
    /// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
    /// use onemark_runtime::{BackendKind, Detector, Options};
    ///
    /// # let bundle = spot::bundle(1.0);
    /// // A name that a person gives is parsed; a wrong one is refused with the nearest one.
    /// let backend: BackendKind = "tract".parse()?;
    /// let detector = Detector::new(&bundle, Options::default().with_backend(backend))?;
    /// assert_eq!(detector.backend().name(), "tract");
    /// # Ok::<(), onemark_runtime::RuntimeError>(())
    /// ```
    #[must_use]
    pub fn with_backend(self, backend: BackendKind) -> Self {
        Self { backend, ..self }
    }

    /// How many threads to use. Default: 0, one per core.
    ///
    /// The result does not depend on it.
    ///
    /// ```
    /// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
    /// use onemark_runtime::{Detector, Options};
    ///
    /// # let (bundle, film) = (spot::bundle(1.0), spot::film());
    /// # let options = onemark_runtime::Options::default().with_backend(onemark_runtime::BackendKind::Tract);
    /// let one = Detector::new(&bundle, options.clone().with_threads(1))?;
    /// let four = Detector::new(&bundle, options.with_threads(4))?;
    /// assert_eq!(one.detect(&film)?, four.detect(&film)?);
    /// # Ok::<(), onemark_runtime::RuntimeError>(())
    /// ```
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads: NonZeroUsize::new(threads), ..self }
    }

    /// How score maps become points. Default: [`Decoding::ShapePrior`].
    ///
    /// ```
    /// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
    /// use onemark_runtime::{Decoding, Detector, Options};
    ///
    /// # let bundle = spot::bundle(1.0);
    /// # let options = onemark_runtime::Options::default().with_backend(onemark_runtime::BackendKind::Tract);
    /// let cells = Detector::new(&bundle, options.clone().with_decoding(Decoding::Argmax))?;
    /// assert_eq!(cells.decoding(), Decoding::Argmax);
    ///
    /// // A bundle without a shape prior is decoded without one.
    /// assert_eq!(Detector::new(&bundle, options)?.decoding(), Decoding::Subpixel);
    /// # Ok::<(), onemark_runtime::RuntimeError>(())
    /// ```
    #[must_use]
    pub fn with_decoding(self, decoding: Decoding) -> Self {
        Self { decoding, ..self }
    }

    /// The numbers, from 1, of the landmarks to find. Default: all landmarks of the bundle.
    ///
    /// Results come in the bundle's order, each landmark once. Opening the bundle fails if it has no landmark with one of
    /// these numbers. If they are not all landmarks, films of another kind are not refused, because that is judged by all landmarks.
    ///
    /// ```
    /// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
    /// use onemark_runtime::{Detector, Options, RuntimeError};
    ///
    /// # let (bundle, film) = (spot::bundle(1.0), spot::film());
    /// # let options = onemark_runtime::Options::default().with_backend(onemark_runtime::BackendKind::Tract);
    /// let second = Detector::new(&bundle, options.clone().with_landmarks([2]))?;
    /// let found = second.detect(&film)?;
    /// assert_eq!(found.landmarks().iter().map(|landmark| landmark.number()).collect::<Vec<_>>(), [2]);
    ///
    /// let error = Detector::new(&bundle, options.with_landmarks([2, 3])).err();
    /// assert!(matches!(error, Some(RuntimeError::NoLandmark { landmark: 3, .. })));
    /// # Ok::<(), onemark_runtime::RuntimeError>(())
    /// ```
    #[must_use]
    pub fn with_landmarks(self, numbers: impl IntoIterator<Item = usize>) -> Self {
        Self { landmarks: Some(numbers.into_iter().collect()), ..self }
    }

    /// Whether to run only those windows of a head that can hold its best score, if the bundle has a plan for that. Default:
    /// true.
    ///
    /// The landmarks that are found are the same; whole heads take longer.
    ///
    /// ```
    /// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
    /// use onemark_runtime::{Detector, Options};
    ///
    /// # let (bundle, film) = (spot::bundle(1.0), spot::film());
    /// # let options = onemark_runtime::Options::default().with_backend(onemark_runtime::BackendKind::Tract);
    /// let whole = Detector::new(&bundle, options.with_pruning(false))?;
    /// let found = whole.detect(&film)?;
    /// assert!(found.landmarks().iter().all(|landmark| landmark.windows().is_none()));
    /// # Ok::<(), onemark_runtime::RuntimeError>(())
    /// ```
    #[must_use]
    pub fn with_pruning(self, pruning: bool) -> Self {
        Self { pruning, ..self }
    }

    /// What runs the graphs.
    pub fn backend(&self) -> BackendKind {
        self.backend
    }

    /// The same for all landmarks of the bundle.
    pub(crate) fn with_all_landmarks(self) -> Self {
        Self { landmarks: None, ..self }
    }

    /// The number of threads, at least one.
    pub(crate) fn thread_count(&self) -> usize {
        self.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
    }
}
