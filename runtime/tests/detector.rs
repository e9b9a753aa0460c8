//! The detector on a bundle small enough to reason about: its trunk copies the film, landmark 1 is the brightest spot, and
//! landmark 2 is one cell to the left of it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use ndarray::Array4;
use onemark_film::geometry::{Cell, Point};
use onemark_film::{Film, Size, Spacing};
use onemark_models::bundle::names;
use onemark_models::bundle::{
    Bundle, FORMAT, GraphEntry, HeadEntry, Input, Manifest, Precision, Span, TensorEntry, WEIGHTS,
};
use onemark_models::graph::Level;
use onemark_models::landmarks::{Analysis, Landmark, LandmarkId, LandmarkSet};
use onemark_models::network::SCORE;
use onemark_models::yaml;
use onemark_onnx::builder;
use onemark_onnx::proto::{AttributeProto, DataType};
use onemark_runtime::backend::{Backend, CheckedGraph, Session, Tensor};
use onemark_runtime::{BackendKind, Decoding, Detections, Detector, Options, RuntimeError, Status};

const SIZE: usize = 24;
const FILM: Size = Size { width: 96, height: 60 };
/// Film px per cell of the grid.
const SCALE: (f64, f64) = (4.0, 2.5);
const SPOT: Point = Point::new(33.0, 41.5);

/// The measurements between the spot and its neighbour.
const ANALYSIS: &str = "{sources: {us: ourselves}, measurements: [{name: gap, title: Gap, source: us, formula: {distance: [spot, left]}}]}";

/// 8-bit grey and the resize move a wide spot's peak by less than this.
const REFINED_PX: f64 = 0.25;
/// A few roundings of doubles.
const ROUNDING_PX: f64 = 1e-9;

/// All backends that work here. tract always works.
fn backends() -> impl Iterator<Item = BackendKind> {
    BackendKind::compiled().iter().copied().filter(|kind| kind.probe().is_ok())
}

fn film() -> Film {
    let bright = |x: u32, y: u32| {
        let (dx, dy) = (f64::from(x) + 0.5 - SPOT.x, f64::from(y) + 0.5 - SPOT.y);
        (250.0 * (-(dx * dx + dy * dy) / 200.0).exp()).round() as u8
    };
    let rows = (0..FILM.height).flat_map(|y| (0..FILM.width).map(move |x| bright(x, y)));
    Film::from_grey(FILM, rows.collect()).unwrap()
}

fn detector(bundle: &Bundle, backend: BackendKind, threads: usize, decoding: Decoding) -> Detector {
    let options = Options { backend, threads: NonZeroUsize::new(threads), decoding, ..Options::default() };
    Detector::new(bundle, options).unwrap()
}

#[test]
fn landmarks_are_found_where_they_are() {
    for backend in backends() {
        let found = detector(&bundle(1.0), backend, 2, Decoding::Subpixel).detect(&film()).unwrap();
        let [first, second] = [&found.landmarks()[0], &found.landmarks()[1]];
        assert_eq!((first.number(), first.name(), first.cell()), (1, "spot", Cell::new(16, 8)), "{backend}");
        assert!(first.position().distance_px(SPOT) < REFINED_PX, "{backend}: {:?}", first.position());
        let expected = Point::new(first.position().x - SCALE.0, first.position().y);
        assert!(second.position().distance_px(expected) < ROUNDING_PX, "{backend}: {:?}", second.position());
        assert!((0.9..=1.0).contains(&first.score()) && first.mm().is_none(), "{backend}: {first:?}");

        let spacing = Spacing::new(0.1, 0.2, "a test").unwrap();
        let spaced =
            detector(&bundle(1.0), backend, 2, Decoding::Subpixel).detect(&film().with_spacing(spacing)).unwrap();
        let mm = spaced.landmarks()[0].mm().unwrap();
        assert_eq!((mm.x, mm.y), (first.position().x * 0.1, first.position().y * 0.2));

        let argmax = detector(&bundle(1.0), backend, 2, Decoding::Argmax).detect(&film()).unwrap();
        assert_eq!(argmax.landmarks()[0].position(), Point::new(8.5 * SCALE.0, 16.5 * SCALE.1), "{backend}");
    }
}

#[test]
fn measurements_follow_the_landmarks() {
    let detector = detector(&bundle(1.0), BackendKind::Tract, 1, Decoding::Subpixel);
    let gap = |found: &Detections| found.measurements()[0].clone();
    let plain = detector.detect(&film()).unwrap();
    assert_eq!(gap(&plain).refused.as_deref(), Some("no spacing is stated"));

    let mut found = detector.detect(&film().with_spacing(Spacing::new(0.1, 0.2, "a test").unwrap())).unwrap();
    assert!((gap(&found).value.unwrap() - SCALE.0 * 0.1).abs() < ROUNDING_PX && gap(&found).sd.is_none());
    // A radius of 90 % is 2.146 standard deviations; the errors of both ends are independent.
    let mut json = serde_json::to_value(&found).unwrap();
    for landmark in json["landmarks"].as_array_mut().unwrap() {
        landmark["radius_mm"] = 2.146.into();
    }
    json["landmarks"][1]["position"]["x"] = (found.landmarks()[1].position().x - 10.0).into();
    found = serde_json::from_value(json.clone()).unwrap();
    found.measure(detector.landmark_set());
    assert!((gap(&found).value.unwrap() - (SCALE.0 + 10.0) * 0.1).abs() < ROUNDING_PX);
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
    assert!(matches!(error, RuntimeError::NoLandmark { landmark: 3, last: 2 }), "{error}");
    assert!(corrected.restore(3, &found, set).is_err());
}

#[test]
fn the_answer_depends_neither_on_threads_nor_on_company() {
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
    let options = Options { backend: BackendKind::OnnxRuntimeCuda, ..Options::default() };
    let found = Detector::with_backend(&bundle(1.0), own, options).unwrap().detect(&film()).unwrap();
    assert_eq!((found.backend(), found.landmarks()[0].cell()), ("own", Cell::new(16, 8)));
}

#[test]
fn scores_that_are_no_numbers_give_no_landmark() {
    for backend in backends() {
        let error = detector(&bundle(f32::NAN), backend, 1, Decoding::Subpixel).detect(&film()).unwrap_err();
        assert!(matches!(&error, RuntimeError::Output { graph, .. } if graph == "landmark-01-spot.onnx"), "{error}");
    }
}

#[test]
fn some_landmarks_are_found_as_all_are() {
    for backend in backends() {
        let all = detector(&bundle(1.0), backend, 2, Decoding::Subpixel).detect(&film()).unwrap();
        let only = |landmarks: &[usize]| {
            let options = Options { backend, landmarks: Some(landmarks.into()), ..Options::default() };
            Detector::new(&bundle(1.0), options)
        };
        assert_eq!(only(&[2, 2]).unwrap().detect(&film()).unwrap().landmarks(), &all.landmarks()[1..], "{backend}");
        assert_eq!(only(&[2, 1]).unwrap().detect(&film()).unwrap(), all, "{backend}");
        for unknown in [0, 3] {
            let error = only(&[1, unknown]).err().unwrap();
            assert!(matches!(error, RuntimeError::NoLandmark { landmark, last: 2 } if landmark == unknown), "{error}");
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
    let detector = Detector::open(&path, Options { backend: BackendKind::Tract, ..Options::default() }).unwrap();
    assert_eq!(detector.bundle().sha256, digest);
}

/// A bundle whose landmark 1 has this weight at its kernel's centre.
fn bundle(weight: f32) -> Bundle {
    // Two 3x3 kernels: the cell itself, and its neighbour to the right.
    let mut weights = [0.0_f32; 18];
    (weights[4], weights[9 + 5]) = (weight, 1.0);
    let weights: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();

    let tensor = |name: &str| TensorEntry { name: name.into(), shape: [1, 1, SIZE, SIZE] };
    let graph = |file: &str, input: &str, output: &str| GraphEntry {
        file: file.into(),
        inputs: vec![tensor(input)],
        outputs: vec![tensor(output)],
    };
    let names = ["spot", "left"];
    let landmarks = LandmarkId::up_to(2).zip(names).map(|(number, name)| Landmark {
        number,
        name: name.into(),
        title: name.into(),
        definition: "Where it is.".into(),
    });
    let head = |number: usize| format!("landmark-{number:02}-{}.onnx", names[number - 1]);
    let vectors = LandmarkId::up_to(2);
    let vectors = vectors.flat_map(|landmark| Level::COARSE_TO_FINE.map(|level| names::vector(landmark, level)));
    let mut files =
        BTreeMap::from([(WEIGHTS.to_owned(), weights), ("trunk.onnx".to_owned(), onnx("Relu", None, "film", "copy"))]);
    for number in 1..=2 {
        files.insert(head(number), onnx("Conv", Some((number - 1) * 36), "copy", SCORE));
    }
    let manifest = Manifest {
        format: FORMAT,
        name: "spot".into(),
        made_by: "a test".into(),
        landmark_set: LandmarkSet {
            id: "spot2".into(),
            name: "A spot and its neighbour".into(),
            source: "a test".into(),
            landmarks: landmarks.collect(),
            analysis: yaml::read::<Analysis>("a test", ANALYSIS).unwrap(),
        },
        input: Input { size: SIZE, preprocessing: "resized".into() },
        trunk: graph("trunk.onnx", "film", "copy"),
        heads: (1..=2).map(|landmark| HeadEntry { landmark, graph: graph(&head(landmark), "copy", SCORE) }).collect(),
        plan: None,
        weights: Precision::F32,
        template_vectors: vectors.map(|name| (name, Span { offset: 0, length: 4 })).collect(),
        shape_prior: None,
        calibration: None,
        adapted: None,
        recipe: String::new(),
        history: Vec::new(),
        intended_use: "tests".into(),
        weights_licence: "none".into(),
        files: BTreeMap::new(),
    };
    Bundle::new(manifest, files).unwrap()
}

/// A graph of one node, with a 3x3 kernel at an offset of the weights if it takes one.
fn onnx(op: &str, kernel: Option<usize>, input: &str, output: &str) -> Vec<u8> {
    let kernel =
        kernel.map(|offset| builder::external("kernel", &[1, 1, 3, 3], DataType::Float, WEIGHTS, offset..offset + 36));
    let (inputs, attributes): (&[&str], Vec<AttributeProto>) = match kernel {
        Some(_) => (&[input, "kernel"], vec![builder::integers("pads", [1; 4])]),
        None => (&[input], vec![]),
    };
    let node = builder::node(op, output, inputs, attributes);
    let value = |name| vec![builder::value(name, &[1, 1, SIZE, SIZE])];
    let graph = builder::graph("test", vec![node], kernel.into_iter().collect(), value(input), value(output));
    builder::file(graph, "a test", "1")
}
