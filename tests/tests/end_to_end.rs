//! The whole pipeline with the commands that a user types, from drawing films to landmarks on new films; and a run that is
//! stopped and resumed.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use onemark_evaluation::dataset::{Dataset, Split};
use onemark_film::geometry::Point;
use onemark_models::bundle::Bundle;
use onemark_models::checkpoint::Checkpoint;
use onemark_models::network::config::AdapterVariant;
use onemark_models::recipe::{Elastic, Recipe};
use onemark_phantom::Anatomy;
use onemark_tests::{Outcome, Program, backends, small_films, tiny_bundle, tiny_recipe};
use serde_json::Value;

/// Two backends round differently, far below a pixel; an argmax in another cell is several pixels away.
const SAME_PX: f64 = 0.1;
/// Two ways to compute one mean in f64.
const SAME_MM: f64 = 1e-9;
/// mm per px of phantom films, along both axes.
const SPACING: f64 = 0.1;
/// Largest error, as a share of the error of the template's coordinates used on every film. A defect between film and landmark (an
/// axis, a level, a scale, a vector) gives a larger error.
const ERROR_LEFT: f64 = 0.7;
/// Largest error on the template itself, mm: about three cells of the grid. Untrained, the error is 20 mm.
const TEMPLATE_ERROR: f64 = 3.0;

#[test]
fn from_one_annotated_film_to_landmarks() {
    if !Program::Train.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("recipe.yaml"), phantom_recipe().to_yaml().unwrap()).unwrap();
    onemark_phantom::write_films(Anatomy::Head, &here.join("films"), 12, 5, |_| ()).unwrap();
    Program::Train.succeed(here, "run --recipe recipe.yaml --data films --out run --device cpu --threads 1");
    Program::Export.succeed(here, "run/checkpoint.safetensors --out phantom.onemark");

    let reports: Vec<Value> = backends().into_iter().map(|backend| evaluate(here, "test1", backend)).collect();
    for other in &reports[1..] {
        let apart = distances(&positions(&reports[0]), &positions(other));
        assert!(apart.iter().all(|px| *px <= SAME_PX), "backends disagree by up to {:.2} px", largest(&apart));
    }

    let error = mean(&distances(&positions(&reports[0]), &truth(here, Split::Test1))) * SPACING;
    let template = Dataset::open(here.join("films"), Split::Train).unwrap().case("001").unwrap().complete().unwrap();
    let truth = truth(here, Split::Test1);
    let copied: Vec<Point> = template.iter().copied().cycle().take(truth.len()).collect();
    let copied = mean(&distances(&copied, &truth)) * SPACING;
    assert!(error <= ERROR_LEFT * copied, "{error:.2} mm; the template's coordinates alone: {copied:.2} mm");

    let on_template = evaluate(here, "train --films 1", "tract");
    let error = mean(&distances(&positions(&on_template), &template)) * SPACING;
    assert!(error <= TEMPLATE_ERROR, "{error:.2} mm on the template itself");

    detect_says_the_same(here, &reports[0]);
    only_heads_have_points(here, &reports[0]);

    // The landmarks found on films lead back to the template's landmarks.
    let line = format!("cycle phantom.onemark --data films --template 001 --films 2-3 --spacing {SPACING}");
    let cycle = Program::Runtime.succeed(here, &line).stdout;
    let mean = cycle.lines().find_map(|line| line.strip_prefix("MRE ")?.split(' ').next()?.parse::<f64>().ok());
    assert!(mean.is_some_and(|error| error <= TEMPLATE_ERROR), "{cycle}");
}

/// Needs no trainer: the mean radial error in the report is that of its positions from those where the films were drawn.
#[test]
fn drawn_films_are_evaluated_without_training() {
    const SEED: u64 = 5;
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    onemark_phantom::write_films(Anatomy::Head, &here.join("films"), 3, SEED, |_| ()).unwrap();
    tiny_bundle().write(&here.join("phantom.onemark"), false).unwrap();
    let report = evaluate(here, "test1", backends()[0]);
    // The third film is the first of the test films. Annotations are whole px.
    let drawn = onemark_phantom::draw(Anatomy::Head, SEED, 2).points;
    let drawn: Vec<Point> = drawn.iter().map(|point| Point::new(point.x.round(), point.y.round())).collect();
    let expected = mean(&distances(&positions(&report), &drawn)) * SPACING;
    let protocol = report["protocols"].as_array().unwrap().iter().find(|each| each["protocol"] == "film").unwrap();
    let found = protocol["overall"]["mre_mm"].as_f64().unwrap();
    assert!((found - expected).abs() <= SAME_MM, "{found} mm instead of {expected} mm");
}

/// `detect --json` is the interface to other programs.
fn detect_says_the_same(here: &Path, report: &Value) {
    let line = "detect films/RawImage/Test1Data/151.png --bundle phantom.onemark --backend onnxruntime --json -";
    let line = line.replace("onnxruntime", backends()[0]);
    let found: Value = serde_json::from_str(&Program::Runtime.succeed(here, &line).stdout).unwrap();
    let (film, expected) = (&found["films"][0], &report["films"][0]);
    assert_eq!(expected["id"], "151");
    assert_eq!(film["file"], "films/RawImage/Test1Data/151.png");
    assert_eq!(film["film"], serde_json::json!({"width": 1935, "height": 2400}));
    // No pixel spacing is stated.
    assert_eq!((&film["spacing"], &film["landmarks"][0]["mm"]), (&Value::Null, &Value::Null));
    for (landmark, expected) in landmarks(film).zip(landmarks(&expected["detections"])) {
        for key in ["number", "name", "cell", "position", "score"] {
            assert_eq!(landmark[key], expected[key], "{}", expected["name"]);
        }
    }
}

/// The bundle knows its training films, so it finds nothing where there is no head.
fn only_heads_have_points(here: &Path, report: &Value) {
    let known = Bundle::open(here.join("phantom.onemark")).unwrap().manifest().familiarity.clone();
    assert_eq!(known.map(|known| known.films), Some(8));
    for film in report["films"].as_array().unwrap() {
        assert_eq!((&film["detections"]["unusual"], &film["detections"]["refusal"]), (&false.into(), &Value::Null));
    }
    image::GrayImage::from_fn(300, 400, |x, _| image::Luma([(x / 2) as u8])).save(here.join("ramp.png")).unwrap();
    let line = format!("detect ramp.png --bundle phantom.onemark --backend {} --json -", backends()[0]);
    let found: Value = serde_json::from_str(&Program::Runtime.succeed(here, &line).stdout).unwrap();
    let film = &found["films"][0];
    assert!(film["refusal"].as_str().unwrap().contains("unlike the 8 films"), "{film}");
    assert!(landmarks(film).all(|landmark| landmark["status"] == "not-found"), "{film}");
}

/// Ctrl-C in the middle of a phase without adapters, kill -9 in one with them, and `--resume` after each.
#[cfg(unix)]
#[test]
fn a_stopped_run_goes_on_as_if_it_had_not_been() {
    if !Program::Train.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    small_films(&here.join("films"));
    fs::write(here.join("recipe.yaml"), resumable_recipe().to_yaml().unwrap()).unwrap();
    // Killed before its first checkpoint, a run leaves a log and nothing to resume.
    fs::create_dir(here.join("whole")).unwrap();
    fs::write(here.join("whole/log.jsonl"), "{\"wall_time\":1.0,\"event\":\"started\"}\n{\"wall_ti").unwrap();
    let fixed = "--data films --device cpu --threads 1";
    let start = "run --recipe recipe.yaml --precision bf16";
    Program::Train.succeed(here, &format!("{start} --out whole {fixed}"));

    // Features mapped from files are the same as those in memory.
    let fixed = format!("{fixed} --features features --checkpoint-every 0s");
    let outcome = stopped_at(here, FIRST_STOP, "-INT", &format!("{start} --out parts {fixed}"));
    assert!(outcome.success && outcome.stdout.contains("continue with: onemark-train run --resume"), "{outcome:?}");
    let outcome = stopped_at(here, SECOND_STOP, "-KILL", &format!("run --resume --out parts {fixed}"));
    assert!(!outcome.success, "{outcome:?}");
    Program::Train.succeed(here, &format!("run --resume --out parts {fixed}"));

    for name in ["checkpoint.safetensors", "best.safetensors", "epoch-2-1.safetensors", "epoch-2-2.safetensors"] {
        let [whole, parts] = ["whole", "parts"].map(|run| Checkpoint::read(&here.join(run).join(name)).unwrap());
        assert_eq!(whole.recipe, parts.recipe);
        assert!(whole.tensors.keys().eq(parts.tensors.keys()));
        for (tensor, numbers) in &whole.tensors {
            assert_eq!(numbers, &parts.tensors[tensor], "{tensor} of {name}");
        }
    }
    assert!(!here.join("parts/epoch-1-2.safetensors").exists(), "only the last two epochs are kept");
    let environment: Value = serde_json::from_slice(&fs::read(here.join("parts/environment.json")).unwrap()).unwrap();
    assert_eq!((&environment["device"], &environment["threads"]), (&"Cpu".into(), &1.into()));
    // A resumed run keeps its precision without the option, also on a processor that suits f32.
    assert_eq!(environment["precision"], "bf16");
    // A finished run can't be resumed.
    let again = Program::Train.command(here, &format!("run --resume --out parts {fixed}")).output().unwrap();
    let again = Outcome::from(again);
    assert!(!again.success && again.stderr.contains("it is finished"), "{again:?}");
}

/// Adapters that are spoiled by their training do not bring back an epoch without any, which is not the network of the recipe.
#[test]
fn the_best_epoch_can_be_exported() {
    if !Program::Train.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    small_films(&here.join("films"));
    let recipe = resumable_recipe().edit(|spec| spec.phases[1].learning_rate = 0.03).unwrap();
    fs::write(here.join("recipe.yaml"), recipe.to_yaml().unwrap()).unwrap();
    Program::Train.succeed(here, "run --recipe recipe.yaml --data films --out run --device cpu --threads 1");
    let exported = Program::Export.succeed(here, "run/best.safetensors --out best.onemark").stdout;
    assert!(exported.contains("films of another kind are not refused"), "{exported}");
    assert_eq!(Bundle::open(here.join("best.onemark")).unwrap().manifest().familiarity, None);
}

/// In the second of the two epochs without adapters.
const FIRST_STOP: usize = 14;
/// Among the adapters' 38 steps, from step 20 on.
const SECOND_STOP: usize = 27;

fn resumable_recipe() -> Recipe {
    let changed = tiny_recipe(2, AdapterVariant::Block).edit(|spec| {
        spec.average = Some(0.9);
        spec.pairs.film.as_mut().unwrap().cross_fit = true;
        spec.template_copies.count = 3;
        spec.template_copies.elastic = Some(Elastic { shift: 0.02, lattice: 6 });
        spec.template_vectors.copies = 2;
        (spec.phases[0].epochs, spec.phases[0].steps) = (2, Some(10));
        (spec.phases[1].epochs, spec.phases[1].steps) = (2, Some(19));
    });
    changed.unwrap()
}

/// Two rows of a table on phantom films, within a budget. A second run does not repeat finished work.
#[test]
fn a_table_is_reproduced_within_its_budget() {
    if !Program::Train.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    Program::Train.succeed(here, "phantom --out films --count 6 --seed 5");
    let line = "reproduce table1 --scale phantom --data films --out tables --device cpu --threads 1";
    let refused = Outcome::from(Program::Train.command(here, &format!("{line} --rows cc2d,sam")).output().unwrap());
    assert!(!refused.success && refused.stderr.contains("no row `sam`"), "{refused:?}");

    let line = format!("{line} --rows cc2d,c-adapter --budget 30s");
    let printed = Program::Train.succeed(here, &line).stdout;
    let cut = "c-adapter: cut to fit the budget, ";
    for text in ["| cc2d | ", "| c-adapter | ", "2 films of test1, phantom scale", "| SAM | | |", cut] {
        assert!(printed.contains(text), "no {text:?} in\n{printed}");
    }
    let csv = fs::read_to_string(here.join("tables/table1.csv")).unwrap();
    // For both rows, a line for all landmarks and one for each; a line for each row of the paper; a header.
    assert_eq!(csv.lines().count(), 2 * 20 + 9 + 1);
    let report: Value =
        serde_json::from_slice(&fs::read(here.join("tables/rows/cc2d/evaluation-test1.json")).unwrap()).unwrap();
    let error = report["protocols"][0]["overall"]["mre_mm"].as_f64().unwrap();
    assert!(csv.contains(&format!("cc2d,here,all,{error},")), "{error} is not in\n{csv}");
    for plot in ["sdr", "landmarks"] {
        assert!(fs::read_to_string(here.join(format!("tables/table1.{plot}.svg"))).unwrap().contains("c-adapter"));
    }

    let written = || fs::metadata(here.join("tables/rows/c-adapter/log.jsonl")).unwrap().modified().unwrap();
    let before = written();
    assert_eq!(Program::Train.succeed(here, &line).stdout, printed);
    assert_eq!(written(), before);
}

/// The phantom recipe, reduced to train in seconds.
fn phantom_recipe() -> Recipe {
    let changed = Recipe::load("phantom").unwrap().edit(|spec| {
        spec.template_copies.count = 8;
        spec.template_vectors.copies = 4;
        (spec.phases[0].epochs, spec.phases[0].steps) = (3, Some(45));
        (spec.phases[1].epochs, spec.phases[1].steps) = (1, Some(19));
    });
    changed.unwrap()
}

/// Starts the trainer, sends it a signal when `step` has been logged, and waits for its end.
#[cfg(unix)]
fn stopped_at(here: &Path, step: usize, signal: &str, line: &str) -> Outcome {
    let mut trainer = Program::Train.command(here, line).spawn().unwrap();
    let logged = format!("\"step\":{step},");
    while !fs::read_to_string(here.join("parts/log.jsonl")).is_ok_and(|log| log.contains(&logged)) {
        assert_eq!(trainer.try_wait().unwrap(), None, "the trainer ended before step {step}");
        sleep(Duration::from_millis(2));
    }
    let sent = Command::new("kill").args([signal, &trainer.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output: Output = trainer.wait_with_output().unwrap();
    output.into()
}

/// The report of `onemark evaluate` on some of the films.
fn evaluate(here: &Path, split: &str, backend: &str) -> Value {
    let line =
        format!("evaluate phantom.onemark --data films --report report.json --backend {backend} --split {split}");
    Program::Runtime.succeed(here, &line);
    let report: Value = serde_json::from_slice(&fs::read(here.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["backend"], backend);
    report
}

fn landmarks(detections: &Value) -> impl Iterator<Item = &Value> {
    detections["landmarks"].as_array().unwrap().iter()
}

/// All landmarks of all films of a report, film px.
fn positions(report: &Value) -> Vec<Point> {
    let films = report["films"].as_array().unwrap().iter();
    let point = |landmark: &Value| {
        let [x, y] = ["x", "y"].map(|axis| landmark["position"][axis].as_f64().unwrap());
        Point::new(x, y)
    };
    films.flat_map(|film| landmarks(&film["detections"])).map(point).collect()
}

/// The same landmarks as they were drawn.
fn truth(here: &Path, split: Split) -> Vec<Point> {
    let films = Dataset::open(here.join("films"), split).unwrap();
    films.cases.into_iter().flat_map(|case| case.complete().unwrap()).collect()
}

/// Distances between points and their counterparts, px; both lists must have the same length.
fn distances(found: &[Point], expected: &[Point]) -> Vec<f64> {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(found, expected)| (found.x - expected.x).hypot(found.y - expected.y)).collect()
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(0.0, f64::max)
}
