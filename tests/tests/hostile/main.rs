//! Bad input for the binaries. Each must be refused with a message that says what, where and what to do, without a panic, and
//! without any change on the disk.
//!
//! This file defines a refusal; the cases are in the files beside it, one per subject.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod beginnings;
mod bundles;
mod exporter;
mod films;
mod runtime;
mod trainer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use ndarray::ArrayD;
use onemark_exporter::untrained::untrained;
use onemark_exporter::{BundleInfo, Options, export};
use onemark_models::bundle::{MANIFEST, WEIGHTS};
use onemark_models::checkpoint::Checkpoint;
use onemark_models::network::config::AdapterVariant;
use onemark_tests::{Outcome, Program, small_films, tiny_recipe};
use tempfile::TempDir;

/// A bad input, and the required parts of the message.
struct Case {
    name: &'static str,
    /// Harms a folder that holds `films`, `head.onemark`, `recipe.yaml` and `note.txt`; and `plain`, three films of which one is
    /// annotated with the landmarks of `five.yaml`, with `five-recipe.yaml`.
    harm: fn(&Path),
    /// The arguments after the program's name.
    line: &'static str,
    /// What the message must contain.
    says: &'static [&'static str],
}

const SEED: u64 = 5;
const HEAD: &str = "head.onemark/landmark-01-sella.onnx";
const FILM: &str = "films/RawImage/Test1Data/151.png";
const TRAINING_FILM: &str = "films/RawImage/TrainingData/002.png";
const SENIOR: &str = "films/AnnotationsByMD/400_senior/001.txt";
const JUNIOR: &str = "films/AnnotationsByMD/400_junior/001.txt";

const NOTHING: fn(&Path) = |_| {};

#[test]
fn the_trainer_refuses() {
    if Program::Train.is_here() {
        refuses(Program::Train, trainer::CASES);
        refuses(Program::Train, beginnings::CASES);
    }
}

#[test]
fn the_exporter_refuses() {
    refuses(Program::Export, exporter::CASES);
}

#[test]
fn the_runtime_refuses() {
    refuses(Program::Runtime, runtime::CASES);
    refuses(Program::Runtime, bundles::CASES);
    refuses(Program::Runtime, films::CASES);
}

/// The disk fills up while a bundle is being written.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_half_a_bundle() {
    let here = fresh();
    let before = files(here.path());
    let export = Program::Export.command(here.path(), "recipe.yaml --untrained --out new.onemark");
    // A limit on the size of files, in blocks, acts like a full disk and needs no privileges.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 40; exec \"$@\"", "sh"])
        .arg(export.get_program())
        .args(export.get_args());
    let outcome = Outcome::from(limited.current_dir(here.path()).output().unwrap());
    assert_eq!(not_refused(&outcome, &["new.onemark", "too large"]), None);
    assert_eq!(before, files(here.path()));
}

/// Standard output goes to a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_no_success() {
    let here = fresh();
    let line = "detect films/RawImage/Test1Data/151.png --bundle head.onemark --json -";
    let mut command = Program::Runtime.command(here.path(), line);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let outcome = Outcome::from(command.stdout(Stdio::from(full)).output().unwrap());
    assert_eq!(not_refused(&outcome, &["standard output", "No space left"]), None);
}

/// The unharmed folder is accepted; otherwise the refusals above might have another reason.
#[test]
fn what_is_not_harmed_is_not_refused() {
    let here = fresh();
    Program::Runtime.succeed(here.path(), "detect films/RawImage/Test1Data/151.png --bundle head.onemark");
    Program::Runtime.succeed(here.path(), "evaluate head.onemark --data films --split test1");
    Program::Export.succeed(here.path(), "recipe.yaml --untrained --out new.onemark");
    if Program::Train.is_here() {
        Program::Train.succeed(here.path(), "run --recipe recipe.yaml --data films --out run --device cpu --threads 1");
    }
}

#[track_caller]
fn refuses(program: Program, cases: &[Case]) {
    let wrong: Vec<String> =
        cases.iter().filter_map(|case| Some(format!("{}: {}", case.name, wrong(program, case)?))).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// What is wrong with the refusal of a case.
fn wrong(program: Program, case: &Case) -> Option<String> {
    let here = fresh();
    (case.harm)(here.path());
    let before = files(here.path());
    let mut command = program.command(here.path(), case.line);
    // Hides a device that exists on this machine.
    let outcome = Outcome::from(command.env("CUDA_VISIBLE_DEVICES", "").output().unwrap());
    let after = files(here.path());
    not_refused(&outcome, case.says)
        .or_else(|| outcome.stderr.contains("features of").then(|| format!("only after computing: {}", outcome.stderr)))
        .or_else(|| {
            let changed: Vec<_> = after.keys().filter(|file| before.get(*file) != after.get(*file)).collect();
            (before != after).then(|| format!("something was written: {changed:?}"))
        })
}

/// Why an outcome is not a refusal with all required parts of the message.
fn not_refused(Outcome { success, stdout, stderr }: &Outcome, says: &[&str]) -> Option<String> {
    if *success {
        return Some(format!("it succeeded: {stdout}{stderr}"));
    }
    if let Some(words) = ["panicked", "RUST_BACKTRACE", "stack backtrace"].iter().find(|words| stderr.contains(**words))
    {
        return Some(format!("{words}: {stderr}"));
    }
    says.iter().find(|words| !stderr.contains(**words)).map(|words| format!("does not say {words:?}: {stderr}"))
}

/// A folder with films, a bundle, a recipe that fits the films, and a text file.
fn fresh() -> TempDir {
    static ORIGINAL: OnceLock<TempDir> = OnceLock::new();
    let original = ORIGINAL.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        small_films(&here.join("films"));
        fs::write(here.join("note.txt"), "No film, no weights, no bundle.\n").unwrap();
        let changed = tiny_recipe(2, AdapterVariant::Block).edit(|spec| {
            spec.template_copies.count = 2;
            spec.template_vectors.copies = 1;
            for phase in &mut spec.phases {
                (phase.epochs, phase.steps) = (1, Some(2));
            }
        });
        let recipe = changed.unwrap();
        let yaml = recipe.to_yaml().unwrap();
        fs::write(here.join("recipe.yaml"), &yaml).unwrap();
        fs::write(here.join("five-recipe.yaml"), yaml.replace("landmarks: isbi19", "landmarks: five.yaml")).unwrap();
        beginnings::plain_films(here);
        let checkpoint = untrained(recipe, SEED).unwrap();
        let labels = BundleInfo { name: "head".into(), intended_use: "tests".into(), weights_licence: "none".into() };
        let export = export(&checkpoint, &labels, &Options::default(), &[], |_| {}).unwrap();
        export.bundle.write(&here.join("head.onemark"), false).unwrap();
        folder
    });
    let copy = tempfile::tempdir().unwrap();
    for (file, bytes) in files(original.path()) {
        let target = copy.path().join(file);
        match bytes {
            Some(bytes) => fs::write(target, bytes).unwrap(),
            None => fs::create_dir(target).unwrap(),
        }
    }
    copy
}

/// Everything below `folder`: files with their bytes, folders without. Folders come before their contents.
fn files(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let bytes = path.is_file().then(|| fs::read(&path).unwrap());
            files.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    files
}

fn edit(path: &Path, change: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(path).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed, "{} was not harmed", path.display());
    fs::write(path, changed).unwrap();
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Renames landmark 1's graph everywhere in the manifest.
fn rename_head(here: &Path, name: &str) {
    edit(&here.join("head.onemark").join(MANIFEST), |text| text.replace("landmark-01-sella.onnx", name));
}

/// The first convolution of a VGG19, or of something else, as `vgg.safetensors`.
fn weights(here: &Path, shape: [usize; 4]) {
    let tensors = [("features.0.weight", ArrayD::zeros(&shape[..])), ("features.0.bias", ArrayD::zeros(&[64][..]))];
    let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into();
    let recipe = tiny_recipe(0, AdapterVariant::Block);
    let file = Checkpoint { recipe, history: vec![], notes: BTreeMap::new(), tensors };
    file.write(&here.join("vgg.safetensors")).unwrap();
}
