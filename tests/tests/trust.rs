//! Calibration, and adaptation without training, on an untrained network with a template: `onemark calibrate` and `adapt`, in
//! the library and as a user runs them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};
use onemark_exporter::synthetic::synthetic_film;
use onemark_film::Film;
use onemark_film::geometry::{GridMap, Point};
use onemark_models::bundle::{Bundle, Manifest, WEIGHTS};
use onemark_models::familiarity::Familiarity;
use onemark_runtime::adapt::{AdaptError, Example, adapt};
use onemark_runtime::{BackendKind, Detection, Detector, Options};
use onemark_tests::{Outcome, Program, backends, film_of, tiny_bundle};
use serde_json::Value;

/// Two ways to the same sum of f32.
const ROUNDING: f32 = 1e-5;

/// The template moved by some px and in another contrast, as from another scanner.
fn picture(size: usize, (right, down): (usize, usize), gamma: f32) -> GrayImage {
    let film = synthetic_film(size);
    GrayImage::from_fn(size as u32, size as u32, |x, y| {
        let place = ((y as usize + size - down) % size, (x as usize + size - right) % size);
        Luma([(film[place].powf(gamma) * 255.0).round() as u8])
    })
}

/// A film and its landmarks: the positions that the network finds on its template, moved.
fn film(detector: &Detector, moved: (usize, usize), gamma: f32) -> (Film, Vec<Option<Point>>) {
    let size = detector.grid().width;
    let of = |moved, gamma| film_of(picture(size, moved, gamma));
    let side = size as f64;
    let found = detector.detect(&of((0, 0), 1.0)).unwrap();
    let moved_on = |landmark: &Detection| {
        let Point { x, y } = landmark.position();
        Some(Point::new((x + moved.0 as f64) % side, (y + moved.1 as f64) % side))
    };
    let points = found.landmarks().iter().map(moved_on).collect();
    (of(moved, gamma), points)
}

fn open(bundle: &Bundle) -> Detector {
    Detector::new(bundle, options()).unwrap()
}

fn options() -> Options {
    Options::default().with_backend(BackendKind::Tract)
}

#[test]
fn a_bundle_adapts_to_landmarks_on_other_films() {
    let before = tiny_bundle();
    let detector = open(&before);
    let (film, points) = film(&detector, (5, 9), 1.6);
    let example = Example { film: &film, points: &points };
    let (after, changes) = adapt(&before, &[example], Some("ward 7"), options()).unwrap();
    assert!(changes.is_empty(), "with one film, there are no other films to adapt to");
    let record = after.manifest().adapted.as_ref().unwrap();
    assert_eq!((record.films.len(), record.films[0].source.as_deref()), (1, Some("ward 7")));

    // Landmarks score higher on the film that the bundle was adapted to.
    let map = GridMap::new(film.size(), detector.grid());
    let grid = film.to_grid(detector.grid()).unwrap();
    let total = |detector: &Detector| -> f32 {
        let score = |(number, point): (usize, &Option<Point>)| {
            detector.score_map(&grid, number).unwrap()[map.to_cell(point.unwrap()).index()]
        };
        (1..).zip(&points).map(score).sum()
    };
    let (old, new) = (total(&detector), total(&open(&after)));
    assert!(new > 1.1 * old, "{old} {new}");

    // The vectors of every graph were replaced: whole heads and windows agree.
    for backend in backends() {
        let cells = |pruning: bool| -> Vec<_> {
            let options = Options::default().with_backend(backend.parse().unwrap()).with_pruning(pruning);
            let found = Detector::new(&after, options).unwrap().detect(&film).unwrap();
            found.landmarks().iter().map(Detection::cell).collect()
        };
        assert_eq!(cells(true), cells(false), "{backend}");
    }
    let undone = after.without_adaptation().unwrap();
    assert_eq!(undone.manifest(), before.manifest());
    assert_eq!(undone.bytes(WEIGHTS).unwrap(), before.bytes(WEIGHTS).unwrap());
}

#[test]
fn films_have_equal_weight_in_every_order() {
    let start = tiny_bundle();
    let detector = open(&start);
    let films = [film(&detector, (5, 9), 1.6), film(&detector, (60, 2), 0.7)];
    let [one, other] = films.each_ref().map(|(film, points)| Example { film, points });
    let adapt_to = |from: &Bundle, films: &[Example<'_>]| adapt(from, films, None, options()).unwrap();
    let (together, changes) = adapt_to(&start, &[one, other]);
    let (in_turn, _) = adapt_to(&adapt_to(&start, &[other]).0, &[one]);
    let vectors = |bundle: &Bundle| -> BTreeMap<String, Vec<f32>> { bundle.template_vectors().unwrap() };
    let other_vectors = vectors(&in_turn);
    for (name, vector) in vectors(&together) {
        let pairs = vector.iter().zip(&other_vectors[&name]).map(|(one, other)| (one - other).abs());
        assert!(pairs.fold(0.0, f32::max) < ROUNDING, "{name}");
    }
    // Each film is tested after adapting to the other film only.
    let (alone, _) = adapt_to(&start, &[other]);
    let errors = |bundle: &Bundle| -> Vec<f64> {
        let found = open(bundle).detect(one.film).unwrap();
        let truth = one.points.iter().map(|point| point.unwrap());
        found.landmarks().iter().zip(truth).map(|(found, truth)| found.position().distance_px(truth)).collect()
    };
    for ((change, before), after) in changes[0].iter().zip(errors(&start)).zip(errors(&alone)) {
        let near = |one: f64, other: f64| (one - other).abs() < 1e-3;
        assert!(near(change.before, before) && near(change.after, after), "{change:?} {before} {after}");
    }
}

#[test]
fn unusable_examples_are_refused() {
    let start = tiny_bundle();
    let detector = open(&start);
    let (film, points) = film(&detector, (5, 9), 1.6);
    let refused = |films: &[Example<'_>]| adapt(&start, films, None, options()).unwrap_err();
    let example = |points| Example { film: &film, points };
    assert!(matches!(refused(&[]), AdaptError::Nothing { film: 1, .. }));
    assert!(matches!(refused(&[example(&points), example(&[None; 19])]), AdaptError::Nothing { film: 2, .. }));
    assert!(matches!(refused(&[example(&points[1..])]), AdaptError::Count { found: 18, expected: 19, .. }));
    assert!(matches!(refused(&[example(&points), example(&points)]), AdaptError::Again { film: 2, .. }));
    let mut outside = points.clone();
    outside[3] = Some(Point::new(-1.0, 4.0));
    assert!(matches!(refused(&[example(&outside)]), AdaptError::Outside { landmark: 4, .. }));
    let (adapted, _) = adapt(&start, &[example(&points)], None, options()).unwrap();
    let again = adapt(&adapted, &[example(&points)], None, options()).unwrap_err();
    assert!(again.to_string().contains("a film counts once"), "{again}");
}

/// A folder with a bundle and a dataset of annotated films.
fn lab(films: usize) -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    let bundle = tiny_bundle();
    bundle.write(&here.path().join("tiny.onemark"), false).unwrap();
    let detector = open(&bundle);
    let images = here.path().join("films/images");
    fs::create_dir_all(&images).unwrap();
    let mut table = "image,landmark,x,y\n".to_owned();
    let mut spacing = "image,mm_per_px_x,mm_per_px_y\n".to_owned();
    for number in 0..films {
        let (moved, gamma) = ((number % 4, number / 4), 0.9 + 0.01 * number as f32);
        let (film, points) = film(&detector, moved, gamma);
        let picture = GrayImage::from_raw(film.width(), film.height(), film.grey().to_vec()).unwrap();
        picture.save(images.join(format!("{number:02}.png"))).unwrap();
        for (landmark, point) in (1..).zip(points.into_iter().flatten()) {
            writeln!(table, "{number:02}.png,{landmark},{},{}", point.x, point.y).unwrap();
        }
        writeln!(spacing, "{number:02}.png,0.5,0.5").unwrap();
    }
    fs::write(here.path().join("films/landmarks.csv"), table).unwrap();
    fs::write(here.path().join("films/spacing.csv"), spacing).unwrap();
    here
}

fn fail(here: &Path, line: &str) -> String {
    let outcome = Outcome::from(Program::Runtime.command(here, line).output().unwrap());
    assert!(!outcome.success, "{line}: {}", outcome.stdout);
    outcome.stderr
}

fn detected(here: &Path, line: &str) -> Value {
    let text = Program::Runtime.succeed(here, line).stdout;
    serde_json::from_str::<Value>(&text).unwrap()["films"][0].clone()
}

#[test]
fn a_calibrated_bundle_says_what_its_points_are_worth() {
    let here = lab(24);
    let here = here.path();
    let told =
        Program::Runtime.succeed(here, "calibrate tiny.onemark --data films --backend tract --out sure.onemark").stdout;
    assert!(told.contains("radius mm") && told.contains("over 200 random halves"), "{told}");

    let line = "detect films/images/00.png --backend tract --json -";
    let plain = detected(here, &format!("{line} --bundle tiny.onemark --spacing 0.5"));
    assert_eq!((&plain["calibration"], &plain["landmarks"][0]["confidence"]), (&Value::Null, &Value::Null));
    let sure = detected(here, &format!("{line} --bundle sure.onemark --spacing 0.5"));
    assert_eq!(sure["calibration"], "24 annotated films");
    assert_eq!(sure["unusual"], false);
    for landmark in sure["landmarks"].as_array().unwrap() {
        assert!((0.0..=1.0).contains(&landmark["confidence"].as_f64().unwrap()), "{landmark}");
        assert!(landmark["radius_mm"].as_f64().unwrap() >= 0.0, "{landmark}");
    }
    // Without a spacing there are no mm.
    let pixels = detected(here, &format!("{line} --bundle sure.onemark"));
    assert_eq!(pixels["landmarks"][0]["radius_mm"], Value::Null);

    GrayImage::new(64, 64).save(here.join("black.png")).unwrap();
    let black = detected(here, "detect black.png --backend tract --json - --bundle sure.onemark");
    assert_eq!((&black["unusual"], &black["landmarks"][0]["status"]), (&Value::Bool(true), &"not-found".into()));

    // The terminal has no position and no mm of what was not found, and says so before the numbers.
    let told = "detect black.png --spacing 0.5 --backend tract --bundle sure.onemark";
    let told = Program::Runtime.succeed(here, told).stdout;
    let place = |text: &str| told.find(text).unwrap_or_else(|| panic!("no {text:?} in {told}"));
    assert!(place("No landmark of this film counts as found: all of it is one grey") < place("status"), "{told}");
    let lost: Vec<&str> = told.lines().filter(|line| line.contains("  not found  ")).collect();
    assert!(!lost.is_empty(), "{told}");
    for line in lost {
        let (_, behind) = line.split_once("  not found  ").unwrap();
        let numbers = behind.split_whitespace().filter(|word| word.contains('.')).count();
        assert_eq!(numbers, 1, "only the score: {line}");
    }

    // Adapting after calibration changes the scores.
    fs::write(here.join("points.csv"), "landmark,x,y\nsella,20,21\n").unwrap();
    let adapted = "adapt sure.onemark --film black.png --points points.csv --backend tract --out adapted.onemark";
    assert!(Program::Runtime.succeed(here, adapted).stderr.contains("is not calibrated"));
    let adapted = Bundle::open(here.join("adapted.onemark")).unwrap();
    assert_eq!(adapted.manifest().calibration, None);
    assert_eq!(adapted.manifest().adapted.as_ref().unwrap().films[0].landmarks, [1]);
    Program::Runtime.succeed(here, "adapt adapted.onemark --undo --out undone.onemark");
    let undone = Bundle::open(here.join("undone.onemark")).unwrap();
    assert_eq!(undone.manifest(), Bundle::open(here.join("sure.onemark")).unwrap().manifest());
}

#[test]
fn a_bundle_states_the_accuracy_that_was_recorded() {
    let here = lab(3);
    let here = here.path();
    let evaluate = "evaluate tiny.onemark --data films --backend tract --report report.json --record told.onemark";
    let said = Program::Runtime.succeed(here, evaluate).stderr;
    assert!(said.contains("wrote told.onemark") && !said.contains("signed"), "{said}");
    let report: Value = serde_json::from_slice(&fs::read(here.join("report.json")).unwrap()).unwrap();
    let overall = report["protocols"].as_array().unwrap().iter().find(|each| each["protocol"] == "film").unwrap();
    let [before, told] = ["tiny", "told"].map(|name| Bundle::open(here.join(format!("{name}.onemark"))).unwrap());
    let accuracy = told.manifest().accuracy.clone().unwrap();
    assert_eq!((accuracy.data.as_str(), accuracy.films, accuracy.points), ("films", 3, 57));
    assert_eq!(Some(accuracy.mre_mm), overall["overall"]["mre_mm"].as_f64());
    assert_eq!(accuracy.rates[0].radius_mm, 2.0);
    assert_eq!(Some(accuracy.rates[0].percent), overall["overall"]["sdr_percent"][0].as_f64());
    // Nothing else of it has changed.
    assert_eq!(&Manifest { accuracy: None, ..told.manifest().clone() }, before.manifest());

    let shown = Program::Runtime.succeed(here, "inspect told.onemark").stdout;
    assert!(shown.contains("on 3 films of films, as recorded by evaluate on 20"), "{shown}");
    let shown = Program::Runtime.succeed(here, "inspect tiny.onemark").stdout;
    assert!(shown.contains("not measured (`onemark evaluate --record`"), "{shown}");

    // It belongs to the vectors with which it was measured.
    fs::write(here.join("points.csv"), "landmark,x,y\nsella,20,21\n").unwrap();
    let adapt =
        "adapt told.onemark --film films/images/00.png --points points.csv --backend tract --out adapted.onemark";
    Program::Runtime.succeed(here, adapt);
    assert_eq!(Bundle::open(here.join("adapted.onemark")).unwrap().manifest().accuracy, None);
    Program::Runtime.succeed(here, "adapt adapted.onemark --undo --out undone.onemark");
    assert_eq!(Bundle::open(here.join("undone.onemark")).unwrap().manifest(), told.manifest());

    let said = fail(here, evaluate);
    assert!(said.contains("told.onemark already exists") && said.contains("--force"), "{said}");
    assert!(fail(here, "evaluate tiny.onemark --data films --force").contains("--record"));
    fs::write(here.join("told.onemark.sig"), "of the bundle before").unwrap();
    let said = Program::Runtime.succeed(here, &format!("{evaluate} --force")).stderr;
    assert!(said.contains("nobody has signed the new bundle"), "{said}");
}

/// Films that a person has annotated are of the right kind, unless they are too unlike the films of the training.
#[test]
fn films_of_a_calibration_are_not_refused_unless_they_are_too_far() {
    let here = lab(20);
    let here = here.path();
    let tiny = Bundle::open(here.join("tiny.onemark")).unwrap();
    let line = "detect films/images/00.png --backend tract --json - --bundle";
    // All films are as far from the training as its medians are high. What film 00 has with medians of 0:
    let write = |median: f64| {
        let familiarity = Some(Familiarity { films: 8, medians: vec![median; 19], farthest: 0.1 });
        let known = tiny.with_manifest(Manifest { familiarity, ..tiny.manifest().clone() }).unwrap();
        known.write(&here.join("known.onemark"), true).unwrap();
        detected(here, &format!("{line} known.onemark"))
    };
    let own = write(0.0)["training_distance"].as_f64().unwrap();
    for (distance, expected, is_refused) in [
        (1.0, "no longer refused by the new bundle: film", false),
        (3.0, "warning: too unlike the films of the training, and still refused by the new bundle: film", true),
    ] {
        assert!(write(distance - own)["refusal"].is_string());
        let told = "calibrate known.onemark --data films --backend tract --out sure.onemark --force";
        let told = Program::Runtime.succeed(here, told).stderr;
        assert!(told.contains(expected), "{told}");
        let sure = detected(here, &format!("{line} sure.onemark"));
        assert_eq!((sure["refusal"].is_string(), &sure["calibration"]), (is_refused, &"20 annotated films".into()));
    }
    // Some landmarks alone say nothing about the film, and that is said.
    let partly = Program::Runtime.succeed(here, &format!("{line} sure.onemark --landmarks 1,2")).stderr;
    assert!(partly.contains("films of another kind are not refused"), "{partly}");
    let whole = Program::Runtime.succeed(here, &format!("{line} sure.onemark")).stderr;
    assert!(!whole.contains("films of another kind"), "{whole}");
}

#[test]
fn too_little_to_go_by_is_refused_and_nothing_is_written() {
    let here = lab(5);
    let here = here.path();
    let few = fail(here, "calibrate tiny.onemark --data films --backend tract --out sure.onemark");
    assert!(few.contains("5 annotated films are too few"), "{few}");
    fs::write(here.join("points.csv"), "landmark,x,y\nsella,2000,21\n").unwrap();
    let film = "--film films/images/00.png";
    for (line, expected) in [
        (format!("adapt tiny.onemark {film} --out adapted.onemark"), "1 films and 0 files of points"),
        (format!("adapt tiny.onemark {film} --points points.csv --out adapted.onemark"), "lies outside of film 1"),
        (format!("adapt tiny.onemark {film} --points none.csv --out adapted.onemark"), "none.csv"),
        ("adapt tiny.onemark --undo --film a.png --out adapted.onemark".to_owned(), "cannot be used with"),
    ] {
        let said = fail(here, &line);
        assert!(said.contains(expected), "{line}: {said}");
    }
    let left: Vec<_> = fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}
