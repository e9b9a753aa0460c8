//! A landmark set of one's own, from its file to points on new films, with the commands that a user types.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use onemark_models::bundle::Bundle;
use onemark_models::checkpoint::Checkpoint;
use onemark_models::landmarks::LandmarkSet;
use onemark_phantom::Anatomy;
use onemark_tests::{Outcome, Program};
use serde_json::Value;

/// Landmarks of the phantoms: number and name in the set of ISBI 2015.
const FIVE: [(usize, &str); 5] = [(2, "nasion"), (1, "sella"), (8, "menton"), (10, "gonion"), (5, "a-point")];
/// mm per px of phantom films, along both axes.
const SPACING: f64 = 0.1;
/// Largest mean error, mm, as a share of the error of the template's coordinates used on the other films. Seconds of training give
/// little more; a defect between film and landmark gives more.
const ERROR_LEFT: f64 = 1.0;

/// Draws films `from` and later into a plain folder; annotates the first `annotated` of them with the five landmarks.
fn draw(folder: &Path, films: std::ops::Range<usize>, annotated: usize) {
    fs::create_dir_all(folder.join("images")).unwrap();
    let mut table = "image,landmark,x,y\n".to_owned();
    for (index, number) in films.enumerate() {
        let phantom = onemark_phantom::draw(Anatomy::Head, 5, number);
        phantom.film.save(folder.join(format!("images/film-{number}.png"))).unwrap();
        for (landmark, name) in FIVE.into_iter().filter(|_| index < annotated) {
            let point = phantom.points[landmark - 1];
            table += &format!("film-{number},{name},{:.1},{:.1}\n", point.x, point.y);
        }
    }
    fs::write(folder.join("landmarks.csv"), table).unwrap();
}

#[test]
fn five_landmarks_from_their_file_to_points_on_new_films() {
    if !Program::Train.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    draw(&here.join("films"), 0..5, 1);
    draw(&here.join("judged"), 5..8, 3);
    fs::create_dir(here.join("lab")).unwrap();
    Program::Runtime.succeed(here, "landmarks new lab/five --from films/landmarks.csv");
    let set = LandmarkSet::load("lab/five.yaml", here).unwrap();
    assert!(set.landmarks.iter().map(|one| one.name.as_str()).eq(FIVE.map(|(_, name)| name)));
    let recipe =
        "{ base: phantom, name: five, about: A few steps., landmarks: five.yaml, template_copies: { count: 8 },
        template_vectors: { copies: 4 }, phases: [
          { name: shared, epochs: 2, steps: 40, adapters: false, learning_rate: 2.0e-3 },
          { name: adapters, epochs: 1, steps: 5, adapters: true, freeze_statistics: true, learning_rate: 5.0e-4 } ] }";
    fs::write(here.join("lab/recipe.yaml"), recipe).unwrap();

    Program::Runtime.succeed(here, "data check films --landmarks lab/five.yaml");
    let line = "run --recipe lab/recipe.yaml --data films --out run --device cpu --threads 1";
    let said = Program::Train.succeed(here, line).stderr;
    assert!(said.contains("template film-0: it is the only annotated film"), "{said}");

    // Nothing later needs the file.
    fs::remove_dir_all(here.join("lab")).unwrap();
    assert_eq!(Checkpoint::read(&here.join("run/checkpoint.safetensors")).unwrap().recipe.landmarks, set);
    assert!(fs::read_to_string(here.join("run/recipe.yaml")).unwrap().contains("name: a-point"));
    let again = Program::Train.command(here, "run --resume --data films --out run --device cpu").output().unwrap();
    assert!(Outcome::from(again).stderr.contains("it is finished"));
    Program::Export.succeed(here, "run/checkpoint.safetensors --out five.onemark");
    assert_eq!(Bundle::open(here.join("five.onemark")).unwrap().manifest().landmark_set, set);

    let line = "detect judged/images --bundle five.onemark --landmarks 1,a-point --json found.json";
    Program::Runtime.succeed(here, line);
    let json = |file: &str| serde_json::from_slice::<Value>(&fs::read(here.join(file)).unwrap()).unwrap();
    let found = json("found.json");
    let names = found["films"][0]["landmarks"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["nasion", "a-point"]);

    let line = format!("evaluate five.onemark --data judged --spacing {SPACING} --report report.json");
    Program::Runtime.succeed(here, &line);
    let error = json("report.json")["protocols"][0]["overall"]["mre_mm"].as_f64().unwrap();
    let [template, others] = [0..1, 5..8]
        .map(|films| films.map(|film| onemark_phantom::draw(Anatomy::Head, 5, film).points).collect::<Vec<_>>());
    let copied = others.iter().flat_map(|points| {
        FIVE.map(|(number, _)| {
            (points[number - 1].x - template[0][number - 1].x).hypot(points[number - 1].y - template[0][number - 1].y)
        })
    });
    let copied = copied.sum::<f64>() * SPACING / (5 * others.len()) as f64;
    assert!(error <= ERROR_LEFT * copied, "{error:.2} mm; the template's coordinates alone: {copied:.2} mm");
}

#[test]
fn sets_are_listed_shown_checked_and_begun() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let run = |line: &str| Outcome::from(Program::Runtime.command(here, line).output().unwrap());
    let refused = |line: &str, words: &str| {
        let outcome = run(line);
        assert!(!outcome.success && outcome.stderr.contains(words), "{line}: {outcome:?}");
    };
    let list = Program::Runtime.succeed(here, "landmarks list").stdout;
    assert!(list.contains("isbi19         19") && list.contains("hand37         37"), "{list}");
    assert!(Program::Runtime.succeed(here, "landmarks show hand37").stdout.contains("37  "));

    let said = Program::Runtime.succeed(here, "landmarks new spine --count 17").stderr;
    assert!(said.contains("wrote spine.yaml with 17 landmarks"), "{said}");
    let checked = Program::Runtime.succeed(here, "landmarks check spine.yaml").stdout;
    assert_eq!(checked, "spine: 17 landmarks, 0 measurements, 0 joints; no errors\n");
    assert!(Program::Runtime.succeed(here, "landmarks show spine.yaml").stdout.contains("17  point-17  Point 17"));

    refused("landmarks new spine --count 3", "spine.yaml already exists; choose another name, or replace it (--force)");
    Program::Runtime.succeed(here, "landmarks new spine.yaml --count 3 --force");
    refused("landmarks new isbi19 --count 3", "the built-in set is called \"isbi19\"");
    refused("landmarks new nowhere/spine --count 3", "there is no folder nowhere");
    refused("landmarks new other", "--count");
    refused("landmarks new other --count 201", "201");
    fs::write(here.join("table.csv"), "landmark,x,y\nUpper end,1,2\n=1+1,3,4\n").unwrap();
    refused("landmarks new other --from table.csv", "no set can be made of these names");
    refused("landmarks check nowhere.yaml", "nowhere.yaml can't be read; check the path: No such file");
    refused("landmarks show isbi91", "did you mean \"isbi19\"?");
    let spine = fs::read_to_string(here.join("spine.yaml")).unwrap();
    fs::write(here.join("spine.yaml"), spine.replace("point-2", "point-1")).unwrap();
    refused("landmarks check spine.yaml", "spine.yaml:8: entry 2: name \"point-1\" is taken");
    assert!(!here.join("other.yaml").exists());
}
