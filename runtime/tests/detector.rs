//! The detector on a bundle small enough to reason about: its trunk copies the film, landmark 1 is the brightest spot, and
//! landmark 2 is one cell to the left of it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ndarray::{Array2, Array4};
use onemark_film::geometry::{Cell, GridPoint, Point};
use onemark_film::{Film, Spacing};
use onemark_models::bundle::{AdaptedFilm, Bundle, Manifest};
use onemark_models::familiarity::Familiarity;
use onemark_models::shape_prior::ShapePrior;
use onemark_runtime::adapt::{AdaptError, Example, adapt};
use onemark_runtime::backend::{Backend, CheckedGraph, Outputs, Session, Tensor, check_graphs};
use onemark_runtime::{BackendKind, Cancel, Chain, Decoding, Detections, Detector, Options, RuntimeError, Status};

#[allow(dead_code, reason = "the examples in the documentation use the rest")]
mod spot;
use spot::{FILM, PX_PER_CELL, REFINED_PX, ROUNDING_PX, SPOT, backends, bundle, detector, film, film_with};

#[test]
fn landmarks_are_found_where_they_are() {
    for backend in backends() {
        let found = detector(&bundle(1.0), backend, 2, Decoding::Subpixel).detect(&film()).unwrap();
        let [first, second] = [&found.landmarks()[0], &found.landmarks()[1]];
        assert_eq!((first.number(), first.name(), first.cell()), (1, "spot", Cell::new(16, 8)), "{backend}");
        assert!(first.position().distance_px(SPOT) < REFINED_PX, "{backend}: {:?}", first.position());
        let expected = Point::new(first.position().x - PX_PER_CELL.0, first.position().y);
        assert!(second.position().distance_px(expected) < ROUNDING_PX, "{backend}: {:?}", second.position());
        assert!((0.9..=1.0).contains(&first.score()) && first.mm().is_none(), "{backend}: {first:?}");

        let spacing = Spacing::new(0.1, 0.2, "a test").unwrap();
        let spaced =
            detector(&bundle(1.0), backend, 2, Decoding::Subpixel).detect(&film().with_spacing(spacing)).unwrap();
        let mm = spaced.landmarks()[0].mm().unwrap();
        assert_eq!((mm.x, mm.y), (first.position().x * 0.1, first.position().y * 0.2));

        let argmax = detector(&bundle(1.0), backend, 2, Decoding::Argmax).detect(&film()).unwrap();
        assert_eq!(
            argmax.landmarks()[0].position(),
            Point::new(8.5 * PX_PER_CELL.0, 16.5 * PX_PER_CELL.1),
            "{backend}"
        );
    }
}

/// The bundle of the spot, which knows eight training films with bright spots.
fn knowing(prior: Option<ShapePrior>) -> Bundle {
    let familiarity = Familiarity::fit(Array2::from_elem((8, 2), 0.95).view());
    let manifest = Manifest { familiarity, shape_prior: prior, ..bundle(1.0).manifest().clone() };
    bundle(1.0).with_manifest(manifest).unwrap()
}

/// The film of the spot, with each grey value times this.
fn film_times(factor: f32) -> Film {
    Film::from_grey(FILM, film().grey().iter().map(|grey| (f32::from(*grey) * factor) as u8).collect()).unwrap()
}

#[test]
fn a_film_of_another_kind_has_no_points() {
    let backend = backends().next().unwrap();
    let detector = detector(&knowing(None), backend, 1, Decoding::Subpixel);
    let judged = |factor: f32| detector.detect(&film_times(factor)).unwrap();
    let (known, refused) = (judged(0.4), judged(0.15));
    assert!(known.training_distance().unwrap() < 4_f64.ln() && refused.training_distance().unwrap() > 4_f64.ln());
    assert_eq!((known.refusal(), known.out_of_distribution()), (None, Some(false)));
    assert!(known.landmarks().iter().all(|landmark| landmark.status() == Status::Found));
    assert!(refused.refusal().unwrap().contains("unlike the 8 films"), "{refused:?}");
    assert_eq!(refused.out_of_distribution(), Some(true));
    assert!(refused.landmarks().iter().all(|landmark| landmark.status() == Status::NotFound));
    assert_eq!(serde_json::from_value::<Detections>(serde_json::to_value(&refused).unwrap()).unwrap(), refused);
}

/// A film is judged by all landmarks or not at all.
#[test]
fn some_landmarks_refuse_no_film() {
    for backend in backends() {
        let judged = |landmarks: &[usize]| {
            let options = Options::default().with_backend(backend).with_landmarks(landmarks.iter().copied());
            Detector::new(&knowing(None), options).unwrap().detect(&film_times(0.15)).unwrap()
        };
        assert!(judged(&[2, 1]).refusal().is_some(), "{backend}");
        let some = judged(&[1]);
        assert_eq!((some.refusal(), some.out_of_distribution(), some.training_distance()), (None, None, None));
        assert_eq!(some.landmarks()[0].status(), Status::Found, "{backend}");
    }
}

/// Both landmarks are expected at a dim spot, far from the bright one that the training films have too.
#[test]
fn a_prior_makes_no_film_strange() {
    let bright = film();
    let dim = film_with(Point::new(75.0, 20.0));
    let both = bright.grey().iter().zip(dim.grey()).map(|(bright, dim)| (*bright).max(dim / 7)).collect();
    let both = Film::from_grey(FILM, both).unwrap();
    let prior = ShapePrior {
        mean: vec![GridPoint::new(8.5, 19.0), GridPoint::new(8.5, 18.0)],
        covariance: (0..4).map(|row| (0..4).map(|column| f64::from(row == column)).collect()).collect(),
        noise: 0.5,
    };
    for backend in backends() {
        let detector = |decoding| detector(&knowing(Some(prior.clone())), backend, 1, decoding);
        let moved = detector(Decoding::ShapePrior).detect(&both).unwrap();
        let best = detector(Decoding::Subpixel).detect(&both).unwrap();
        assert!(moved.landmarks()[0].score() < 0.2 && best.landmarks()[0].score() > 0.9, "{backend}: {moved:?}");
        assert_eq!((moved.refusal(), best.refusal()), (None, None), "{backend}");
        assert_eq!(moved.training_distance(), best.training_distance());
    }
}

/// A graph that nothing uses could be opened by another program.
#[test]
fn graphs_that_nothing_uses_are_checked_too() {
    let with_more = |graph: &[u8]| {
        let spot = bundle(1.0);
        let files = spot.manifest().files.keys().map(|name| (name.clone(), spot.bytes(name).unwrap().to_vec()));
        let files = files.chain([("more.onnx".to_owned(), graph.to_vec())]).collect();
        Bundle::new(spot.manifest().clone(), files).unwrap()
    };
    let good = bundle(1.0).bytes("trunk.onnx").unwrap().to_vec();
    check_graphs(&with_more(&good)).unwrap();
    let error = check_graphs(&with_more(b"not a graph")).unwrap_err();
    assert!(matches!(&error, RuntimeError::Graph { graph, .. } if graph == "more.onnx"), "{error}");
}

#[test]
fn what_an_adaptation_would_record_is_checked_first() {
    let start = spot::adaptable();
    let vectors = start.template_vectors().unwrap();
    let one = |number: usize| AdaptedFilm { sha256: number.to_string(), source: None, landmarks: vec![1] };
    let full = start.with_template_vectors(&vectors, (0..1000).map(one).collect()).unwrap();
    let (film, points) = (film(), [Some(SPOT), None]);
    let refused = |bundle: &Bundle, source: Option<&str>| {
        let options = Options::default().with_backend(backends().next().unwrap());
        adapt(bundle, &[Example { film: &film, points: &points }], source, options).unwrap_err()
    };
    let error = refused(&full, None);
    assert!(matches!(error, AdaptError::TooMany { films: 1001, .. }), "{error}");
    let error = refused(&start, Some("\u{1b}[2J"));
    assert!(matches!(error, AdaptError::Source(_)), "{error}");
    assert!(error.to_string().starts_with("source: holds the hidden character"), "{error}");
}

#[test]
fn measurements_follow_the_landmarks() {
    let detector = detector(&bundle(1.0), BackendKind::Tract, 1, Decoding::Subpixel);
    let gap = |found: &Detections| found.measurements()[0].clone();
    let plain = detector.detect(&film()).unwrap();
    assert_eq!(gap(&plain).refused.as_deref(), Some("no spacing is stated"));

    let mut found = detector.detect(&film().with_spacing(Spacing::new(0.1, 0.2, "a test").unwrap())).unwrap();
    assert!((gap(&found).value.unwrap() - PX_PER_CELL.0 * 0.1).abs() < ROUNDING_PX && gap(&found).sd.is_none());
    // A radius of 90 % is 2.146 standard deviations; the errors of both ends are independent.
    let mut json = serde_json::to_value(&found).unwrap();
    for landmark in json["landmarks"].as_array_mut().unwrap() {
        landmark["radius_mm"] = 2.146.into();
    }
    json["landmarks"][1]["position"]["x"] = (found.landmarks()[1].position().x - 10.0).into();
    found = serde_json::from_value(json.clone()).unwrap();
    found.measure(detector.landmark_set());
    assert!((gap(&found).value.unwrap() - (PX_PER_CELL.0 + 10.0) * 0.1).abs() < ROUNDING_PX);
    assert!((gap(&found).sd.unwrap() - 2_f64.sqrt()).abs() < 1e-4, "{:?}", gap(&found).sd);
    json["landmarks"][0]["status"] = "not-found".into();
    found = serde_json::from_value(json).unwrap();
    found.measure(detector.landmark_set());
    assert_eq!(gap(&found).refused.as_deref(), Some("no position for spot"));
}

#[test]
fn a_landmark_is_corrected_and_restored() {
    let detector = detector(&bundle(1.0), BackendKind::Tract, 1, Decoding::Subpixel);
    let set = detector.landmark_set();
    let spacing = Spacing::new(0.1, 0.2, "a test").unwrap();
    let found = detector.detect(&film().with_spacing(spacing)).unwrap();
    let gap = |found: &Detections| found.measurements()[0].value.unwrap();
    let mut corrected = found.clone();
    let position = found.landmarks()[1].position();
    corrected.correct(2, Point::new(position.x - 10.0, position.y), set).unwrap();
    let second = corrected.landmark(2).unwrap();
    assert_eq!(
        (second.status(), second.radius_mm(), second.cell()),
        (Status::EditedByHand, None, found.landmarks()[1].cell())
    );
    assert!((second.mm().unwrap().x - (position.x - 10.0) * 0.1).abs() < ROUNDING_PX);
    assert!((gap(&corrected) - gap(&found) - 1.0).abs() < ROUNDING_PX);
    assert_eq!(corrected.landmark(1), found.landmark(1));

    corrected.restore(2, &found, set).unwrap();
    assert_eq!(corrected, found);
    let error = corrected.correct(3, position, set).unwrap_err();
    assert!(matches!(error, RuntimeError::NoLandmark { landmark: 3, last: 2, .. }), "{error}");
    assert!(corrected.restore(3, &found, set).is_err());
}

#[test]
fn the_result_depends_neither_on_threads_nor_on_other_detections() {
    let (bundle, film) = (bundle(1.0), film());
    for backend in backends() {
        let alone = detector(&bundle, backend, 1, Decoding::Subpixel).detect(&film).unwrap();
        let busy = detector(&bundle, backend, 5, Decoding::Subpixel);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(busy.detect(&film).unwrap(), alone, "{backend}"));
            }
        });
    }
}

/// A host's backend is used, whatever backend the options name.
#[test]
fn a_host_brings_its_own_backend() {
    struct Own(Arc<dyn Backend>);
    impl Backend for Own {
        fn name(&self) -> &'static str {
            "own"
        }
        fn about(&self) -> String {
            "the host's own".into()
        }
        fn open(&self, graph: &CheckedGraph, threads: usize) -> Result<Box<dyn Session>, RuntimeError> {
            self.0.open(graph, threads)
        }
        fn keep(&self, numbers: Array4<f32>) -> Result<Box<dyn Tensor>, RuntimeError> {
            self.0.keep(numbers)
        }
    }
    let own = Arc::new(Own(BackendKind::Tract.open().unwrap()));
    let options = Options::default().with_backend(BackendKind::OnnxRuntimeCuda);
    let found = Detector::with_backend(&bundle(1.0), own, options).unwrap().detect(&film()).unwrap();
    assert_eq!((found.backend(), found.landmarks()[0].cell()), ("own", Cell::new(16, 8)));
}

#[test]
fn progress_counts_the_trunk_and_the_landmarks() {
    for backend in backends() {
        for threads in [1, 4] {
            let detector = detector(&bundle(1.0), backend, threads, Decoding::Subpixel);
            let mut steps = Vec::new();
            let film = film();
            let found = detector.job(&film).on_progress(|done, total| steps.push((done, total))).run().unwrap();
            assert_eq!(steps, [(1, 3), (2, 3), (3, 3)], "{backend}");
            assert_eq!(found, detector.detect(&film).unwrap(), "{backend}");
        }
    }
}

#[test]
fn a_cancelled_job_leaves_the_detector_usable() {
    for backend in backends() {
        let (detector, film) = (detector(&bundle(1.0), backend, 2, Decoding::Subpixel), film());
        let before = Cancel::new();
        before.clone().cancel();
        let mut steps = 0;
        let result = detector.job(&film).with_cancel(&before).on_progress(|_, _| steps += 1).run();
        assert!(matches!(result, Err(RuntimeError::Cancelled)), "{backend}");
        assert_eq!(steps, 0, "{backend}");

        let during = Cancel::new();
        let result = detector.job(&film).with_cancel(&during).on_progress(|_, _| during.cancel()).run();
        assert!(matches!(result, Err(RuntimeError::Cancelled)), "{backend}");

        let found = detector.job(&film).with_cancel(&Cancel::new()).run().unwrap();
        assert_eq!(found, detector.detect(&film).unwrap(), "{backend}");
    }
}

/// tract, which cancels a job in one of its runs.
struct Cancelling {
    backend: Arc<dyn Backend>,
    counter: Arc<Counter>,
}

struct Counter {
    cancel: Cancel,
    runs: AtomicUsize,
    last: usize,
}

struct CancellingSession(Box<dyn Session>, Arc<Counter>);

impl Backend for Cancelling {
    fn name(&self) -> &'static str {
        "cancelling"
    }
    fn about(&self) -> String {
        "a test's own".into()
    }
    fn open(&self, graph: &CheckedGraph, threads: usize) -> Result<Box<dyn Session>, RuntimeError> {
        Ok(Box::new(CancellingSession(self.backend.open(graph, threads)?, self.counter.clone())))
    }
    fn keep(&self, numbers: Array4<f32>) -> Result<Box<dyn Tensor>, RuntimeError> {
        self.backend.keep(numbers)
    }
}

impl Session for CancellingSession {
    fn run(&self, inputs: &[(&str, &dyn Tensor)]) -> Result<Outputs, RuntimeError> {
        if self.1.runs.fetch_add(1, Ordering::SeqCst) + 1 == self.1.last {
            self.1.cancel.cancel();
        }
        self.0.run(inputs)
    }
}

/// On one thread: the run in which a job is cancelled is its last one.
#[test]
fn no_graph_runs_after_the_one_in_which_a_job_is_cancelled() {
    for last in 1..=3 {
        let cancel = Cancel::new();
        let counter = Arc::new(Counter { cancel: cancel.clone(), runs: AtomicUsize::new(0), last });
        let backend = Cancelling { backend: BackendKind::Tract.open().unwrap(), counter: counter.clone() };
        let options = Options::default().with_threads(1);
        let detector = Detector::with_backend(&bundle(1.0), Arc::new(backend), options).unwrap();
        let result = detector.job(&film()).with_cancel(&cancel).run();
        assert_eq!(counter.runs.load(Ordering::SeqCst), last);
        match last {
            3 => assert_eq!(result.unwrap().landmarks().len(), 2),
            _ => assert!(matches!(result, Err(RuntimeError::Cancelled)), "{last}"),
        }
    }
}

/// Backends differ in what they make of weights that are no numbers, so no backend gets them.
#[test]
fn weights_that_are_no_numbers_are_refused() {
    for weight in [f32::NAN, f32::INFINITY, -1e38] {
        for backend in backends() {
            let options = Options::default().with_backend(backend);
            let error = Detector::new(&bundle(weight), options).err().unwrap();
            assert!(matches!(&error, RuntimeError::Graph { graph, .. } if graph == "landmark-01-spot.onnx"), "{error}");
            let message = Chain(&error).to_string();
            assert!(message.contains("tensor kernel: it holds a number that is not finite"), "{message}");
        }
        // Landmarks that are not asked for are not checked.
        let options = Options::default().with_backend(BackendKind::Tract).with_landmarks([2]);
        assert!(Detector::new(&bundle(weight), options).is_ok());
    }
}

/// tract, whose outputs of this name get one number that is not finite.
struct Faulty(Arc<dyn Backend>, &'static str, f32);

struct FaultySession(Box<dyn Session>, &'static str, f32);

impl Backend for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }
    fn about(&self) -> String {
        "a test's own".into()
    }
    fn open(&self, graph: &CheckedGraph, threads: usize) -> Result<Box<dyn Session>, RuntimeError> {
        Ok(Box::new(FaultySession(self.0.open(graph, threads)?, self.1, self.2)))
    }
    fn keep(&self, numbers: Array4<f32>) -> Result<Box<dyn Tensor>, RuntimeError> {
        self.0.keep(numbers)
    }
}

impl Session for FaultySession {
    fn run(&self, inputs: &[(&str, &dyn Tensor)]) -> Result<Outputs, RuntimeError> {
        let harmed = |(name, tensor): (String, Box<dyn Tensor>)| {
            let mut numbers = tensor.array()?.to_owned();
            if name == self.1 {
                numbers[[0, 0, 3, 5]] = self.2;
            }
            Ok((name, Box::new(numbers) as Box<dyn Tensor>))
        };
        self.0.run(inputs)?.into_iter().map(harmed).collect()
    }
}

#[test]
fn scores_that_are_not_numbers_give_no_landmark() {
    for (tensor, graph) in [("score", "landmark-01-spot.onnx"), ("copy", "trunk.onnx")] {
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let backend = Faulty(BackendKind::Tract.open().unwrap(), tensor, number);
            let options = Options::default().with_threads(1);
            let detector = Detector::with_backend(&bundle(1.0), Arc::new(backend), options).unwrap();
            let error = detector.detect(&film()).unwrap_err();
            let is_named = matches!(&error, RuntimeError::NotFinite { graph: found, tensor: output, .. }
                if found == graph && output == tensor);
            assert!(is_named, "{error}");
        }
    }
}

#[test]
fn some_landmarks_are_found_as_all_are() {
    for backend in backends() {
        let all = detector(&bundle(1.0), backend, 2, Decoding::Subpixel).detect(&film()).unwrap();
        let only = |landmarks: &[usize]| {
            let options = Options::default().with_backend(backend).with_landmarks(landmarks.iter().copied());
            Detector::new(&bundle(1.0), options)
        };
        assert_eq!(only(&[2, 2]).unwrap().detect(&film()).unwrap().landmarks(), &all.landmarks()[1..], "{backend}");
        assert_eq!(only(&[2, 1]).unwrap().detect(&film()).unwrap(), all, "{backend}");
        for unknown in [0, 3] {
            let error = only(&[1, unknown]).err().unwrap();
            assert!(
                matches!(error, RuntimeError::NoLandmark { landmark, last: 2, .. } if landmark == unknown),
                "{error}"
            );
        }
    }
}

#[test]
fn the_digest_is_that_of_the_manifest_on_disk() {
    use sha2::{Digest as _, Sha256};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spot.onemark");
    bundle(1.0).write(&path, false).unwrap();
    let manifest = std::fs::read(path.join("manifest.yaml")).unwrap();
    let digest: String = Sha256::digest(manifest).iter().map(|byte| format!("{byte:02x}")).collect();
    let detector = Detector::open(&path, Options::default().with_backend(BackendKind::Tract)).unwrap();
    assert_eq!(detector.bundle().sha256, digest);
}
