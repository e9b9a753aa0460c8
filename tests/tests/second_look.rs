//! A second look: trained on the first one's landmarks, also after a kill; exported with it; the same with every backend.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use image::GrayImage;
use onemark_film::geometry::Point;
use onemark_film::{Alignment, Film};
use onemark_models::bundle::Bundle;
use onemark_models::checkpoint::{Checkpoint, FirstLook};
use onemark_runtime::{Detection, Detections, Detector, FoundBy, Options};
use onemark_tests::{Outcome, Program, backends, wait_for};

const RECIPE: &str =
    "{ base: phantom, name: look, about: A few steps., template_copies: { count: 10 }, template_vectors: { copies: 4 },
    phases: [
      { name: shared, epochs: 2, steps: 20, adapters: false, learning_rate: 2.0e-3 },
      { name: adapters, epochs: 1, steps: 4, adapters: true, freeze_statistics: true, learning_rate: 5.0e-4 } ] }";
/// Backends add in another order.
const FLOAT_PX: f64 = 0.01;

#[test]
fn a_second_look_is_trained_exported_and_used() {
    if !Program::Train.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    Program::Train.succeed(here, "phantom --out films --count 9");
    fs::write(here.join("first.yaml"), RECIPE).unwrap();
    fs::write(here.join("second.yaml"), "{ base: first.yaml, second_look: true }").unwrap();
    let line = |rest: &str| format!("run --data films --device cpu --threads 1 {rest}");
    let refuse = |program: Program, line: &str| {
        let said = Outcome::from(program.command(here, line).output().unwrap());
        assert!(!said.success, "{line}");
        said.stderr
    };
    Program::Train.succeed(here, &line("--recipe first.yaml --out first"));
    let second = line("--recipe second.yaml --first-look first");
    Program::Train.succeed(here, &format!("{second} --out second"));

    // Killed in its second epoch, it goes on to the same network, without the first run.
    let mut killed = Program::Train.command(here, &format!("{second} --out killed")).spawn().unwrap();
    wait_for(&here.join("killed/epoch-1-1.safetensors"));
    killed.kill().unwrap();
    killed.wait().unwrap();
    fs::rename(here.join("first"), here.join("moved")).unwrap();
    Program::Train.succeed(here, &line("--resume --out killed"));
    let read = |path: &str| Checkpoint::read(&here.join(path).join("checkpoint.safetensors")).unwrap();
    assert_eq!(read("killed").tensors, read("second").tensors);
    assert!(read("moved").tensors != read("second").tensors);

    for (words, why) in [
        ("--recipe second.yaml --out third", "is for a second look: train a first one"),
        ("--recipe first.yaml --first-look moved --out third", "is not for a second look"),
    ] {
        let said = refuse(Program::Train, &line(words));
        assert!(said.contains(why), "{said}");
    }
    let said = refuse(Program::Train, &line("--recipe second.yaml --first-look second --out third"));
    assert!(said.contains("second can't be the first look: it is a second look itself"), "{said}");
    assert!(!here.join("third").exists());
    Program::Train.succeed(here, "phantom --out fewer --count 5");
    let fewer = "run --data fewer --device cpu --recipe second.yaml --first-look moved --out third";
    assert!(refuse(Program::Train, fewer).contains("it was trained on other films"));
    let said = refuse(Program::Train, &line("--recipe second.yaml --template 002 --first-look moved --out third"));
    assert!(said.contains("it was trained from another annotated film"), "{said}");

    Program::Export.succeed(here, "moved/checkpoint.safetensors --out first.onemark");
    let second = "second/checkpoint.safetensors --out both.onemark";
    let said = refuse(Program::Export, second);
    assert!(said.contains("name the bundle of its first look (--first-look)"), "{said}");
    let said = refuse(Program::Export, "moved/checkpoint.safetensors --first-look first.onemark --out both.onemark");
    assert!(said.contains("the checkpoint is not of a second look"), "{said}");
    Program::Train.succeed(here, &line("--recipe first.yaml --template 002 --out other"));
    Program::Export.succeed(here, "other/checkpoint.safetensors --out other.onemark");
    let said = refuse(Program::Export, &format!("{second} --first-look other.onemark"));
    assert!(said.contains("the second look was trained on film 001, the first one's bundle on film 002"), "{said}");
    Program::Export.succeed(here, &format!("{second} --first-look first.onemark"));
    let again = "second/checkpoint.safetensors --out again.onemark --first-look both.onemark";
    let said = refuse(Program::Export, again);
    assert!(said.contains("both.onemark looks twice already"), "{said}");
    let inspected = Program::Runtime.succeed(here, "inspect both.onemark").stdout;
    assert!(inspected.contains("two: at the whole film, then at "), "{inspected}");
    Program::Runtime.succeed(here, "verify both.onemark");

    quantised_with_aligned_films(here);
    detections_agree(here);
    adaptation_covers_both(here);
}

/// The trunk of the second look is quantised with films as that look sees them.
fn quantised_with_aligned_films(here: &Path) {
    let film = here.join("films/RawImage/TrainingData/003.png");
    let checkpoint = here.join("second/checkpoint.safetensors");
    let line = format!(
        "second/checkpoint.safetensors --first-look first.onemark --int8-trunk {} --out int8.onemark",
        film.display()
    );
    Program::Export.succeed(here, &line);
    let both = Bundle::open(here.join("int8.onemark")).unwrap();

    // The same film, aligned by hand, for the same network alone.
    let film = Film::open(film).unwrap();
    let first = Detector::open(here.join("first.onemark"), Options::default()).unwrap().detect(&film).unwrap();
    let points: Vec<Point> = first.landmarks().iter().map(Detection::position).collect();
    let mut alone = Checkpoint::read(&checkpoint).unwrap();
    let alignment = Alignment::fit(&film, &points, &FirstLook::of(&alone.tensors).unwrap().frame()).unwrap();
    let aligned = film.aligned(&alignment, Alignment::side(alone.recipe.network.size)).unwrap();
    let picture = GrayImage::from_raw(aligned.width(), aligned.height(), aligned.grey().to_vec()).unwrap();
    picture.save(here.join("aligned.png")).unwrap();
    alone.tensors.retain(|name, _| !name.starts_with("first_look."));
    alone.write(&here.join("alone.safetensors")).unwrap();
    Program::Export.succeed(here, "alone.safetensors --int8-trunk aligned.png --out alone.onemark");
    let alone = Bundle::open(here.join("alone.onemark")).unwrap();
    let weights = |bundle: &Bundle| bundle.bytes("weights.bin").unwrap().clone();
    assert!(weights(both.second_look().unwrap().1) == weights(&alone));
}

/// Every backend, whole heads and windows, and a bundle as a zip find the same.
fn detections_agree(here: &Path) {
    let path = here.join("both.onemark");
    let bundle = Bundle::open(&path).unwrap();
    // The frozen trunk is stored once.
    assert!(bundle.second_look().unwrap().0.shared_weights > 0);
    let archive = here.join("archive.onemark");
    bundle.write_archive(&archive, false).unwrap();
    let film = Film::open(here.join("films/RawImage/TrainingData/003.png")).unwrap();
    let find = |bundle: &Bundle, options: Options| Detector::new(bundle, options).unwrap().detect(&film).unwrap();
    let once = find(&Bundle::open(here.join("first.onemark")).unwrap(), Options::default());
    let options = |name: &str| Options::default().with_backend(name.parse().unwrap());
    let (backends, whole) = (backends(), Options::default().with_pruning(false));
    let mut all: Vec<Detections> = backends.iter().map(|name| find(&bundle, options(name))).collect();
    all.push(find(&bundle, whole));
    all.push(find(&Bundle::open(archive).unwrap(), Options::default()));
    assert!(all.len() > 2);
    let differ = |one: &Detections, other: &Detections| {
        let pairs = one.landmarks().iter().zip(other.landmarks());
        pairs.map(|(one, other)| one.position().distance_px(other.position())).fold(0.0, f64::max)
    };
    for found in &all {
        assert!(differ(found, &all[0]) < FLOAT_PX, "{}", found.backend());
        assert!(found.landmarks().iter().all(|landmark| landmark.look().is_some()));
    }
    let both = all[0].landmarks().iter().filter(|landmark| landmark.look() == Some(FoundBy::Both)).count();
    assert!(both > 0 && differ(&all[0], &once) > 1.0, "{both} landmarks by both looks");
}

fn adaptation_covers_both(here: &Path) {
    let table = "landmark,x,y\n1,700,900\n2,1400,800\n";
    fs::write(here.join("points.csv"), table).unwrap();
    let film = "films/RawImage/TrainingData/003.png";
    Program::Runtime
        .succeed(here, &format!("adapt both.onemark --film {film} --points points.csv --out adapted.onemark"));
    let (before, adapted) =
        (Bundle::open(here.join("both.onemark")).unwrap(), Bundle::open(here.join("adapted.onemark")).unwrap());
    let vectors = |bundle: &Bundle| bundle.second_look().unwrap().1.template_vectors().unwrap();
    assert!(vectors(&before) != vectors(&adapted) && adapted.manifest().adapted.is_some());
    Program::Runtime.succeed(here, "adapt adapted.onemark --undo --out undone.onemark");
    assert_eq!(Bundle::open(here.join("undone.onemark")).unwrap().digest(), before.digest());
}
