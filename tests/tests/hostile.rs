//! Bad input, through the binaries: each must be refused with a message that says what, where and what to do, without a
//! panic, and without a trace on the disk.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use ndarray::ArrayD;
use onemark_exporter::untrained::untrained;
use onemark_exporter::{Labels, Options, export};
use onemark_models::bundle::{MANIFEST, WEIGHTS};
use onemark_models::checkpoint::Checkpoint;
use onemark_models::recipe::AdapterVariant;
use onemark_tests::{Outcome, Program, small_films, tiny_recipe};
use tempfile::TempDir;

/// Something wrong, and what must be said about it.
struct Case {
    name: &'static str,
    /// Harms a folder that holds `films`, `head.onemark`, `recipe.yaml` and `note.txt`.
    harm: fn(&Path),
    /// The words after the program's name.
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

const TRAIN: &[Case] = &[
    Case {
        name: "weights: no such file",
        harm: NOTHING,
        line: "run --recipe c-adapter-laptop --template 1 --data films --out run --weights nowhere.pth",
        says: &["nowhere.pth", "cargo xtask setup --weights"],
    },
    Case {
        name: "weights: cut short",
        harm: |here| {
            weights(here, [64, 3, 3, 3]);
            let whole = fs::read(here.join("vgg.safetensors")).unwrap();
            fs::write(here.join("vgg.safetensors"), &whole[..whole.len() - 7]).unwrap();
        },
        line: "run --recipe c-adapter-laptop --template 1 --data films --out run --weights vgg.safetensors",
        says: &["vgg.safetensors is not a whole safetensors file"],
    },
    Case {
        name: "weights: of another network",
        harm: |here| weights(here, [32, 3, 3, 3]),
        line: "run --recipe c-adapter-laptop --template 1 --data films --out run --weights vgg.safetensors",
        says: &["vgg.safetensors is not VGG19", "features.0.weight", "[64, 3, 3, 3]", "[32, 3, 3, 3]"],
    },
    Case {
        name: "weights: a layer is missing",
        harm: |here| weights(here, [64, 3, 3, 3]),
        line: "run --recipe c-adapter-laptop --template 1 --data films --out run --weights vgg.safetensors",
        says: &["vgg.safetensors is not VGG19", "features.10.bias", "found nothing"],
    },
    Case {
        name: "weights: no weights at all",
        harm: NOTHING,
        line: "run --recipe c-adapter-laptop --template 1 --data films --out run --weights note.txt",
        says: &["note.txt holds no whole set of weights", "safetensors or PyTorch's .pth"],
    },
    Case {
        name: "training film of wrong type",
        harm: |here| fs::write(here.join(TRAINING_FILM), "no film").unwrap(),
        line: "run --recipe recipe.yaml --data films --out run --device cpu --threads 1",
        says: &["002.png is not a film Onemark can read", "a text file", "PNG, JPEG, BMP or TIFF"],
    },
    Case {
        name: "empty annotation",
        harm: |here| fs::write(here.join(SENIOR), "").unwrap(),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &[SENIOR, "is empty", "copy it again"],
    },
    Case {
        name: "annotation with a landmark too few",
        harm: |here| edit(&here.join(JUNIOR), |text| text.lines().skip(1).map(|line| format!("{line}\n")).collect()),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &[JUNIOR, "18 lines", "expected 19 landmarks"],
    },
    Case {
        name: "annotation that is no position",
        harm: |here| edit(&here.join(SENIOR), |text| text.replacen("9,111", "nine,111", 1)),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &[SENIOR, "line 1", "nine,111"],
    },
    Case {
        name: "annotation of one doctor only",
        harm: |here| fs::remove_file(here.join(JUNIOR)).unwrap(),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &[SENIOR, JUNIOR, "no counterpart", "add it"],
    },
    Case {
        name: "landmark outside the template",
        harm: |here| {
            for doctor in [SENIOR, JUNIOR] {
                edit(&here.join(doctor), |text| text.replacen("9,111", "500,111", 1));
            }
        },
        line: "run --recipe recipe.yaml --data films --out run --device cpu --threads 1",
        says: &["001.png", "landmark 1 at x 500, y 111 lies outside its 97x120 px", "correct the annotation"],
    },
    Case {
        name: "template that is not in the data",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --data films --out run --device cpu --template 125",
        says: &["no film \"125\"", "films", "nearest ids are 002, 001"],
    },
    Case {
        name: "template without annotation",
        harm: |here| [SENIOR, JUNIOR].iter().for_each(|doctor| fs::remove_file(here.join(doctor)).unwrap()),
        line: "run --recipe recipe.yaml --data films --out run --device cpu --threads 1",
        says: &["001", "has no annotation", "--template"],
    },
    Case {
        name: "no data",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --data head.onemark --out run --device cpu",
        says: &["head.onemark is no dataset", "RawImage/", "landmarks.csv"],
    },
    Case {
        name: "unknown key of a recipe",
        harm: |here| edit(&here.join("recipe.yaml"), |text| text.replacen("embedding:", "embeding:", 1)),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &["recipe.yaml:", "unknown field `embeding`", "did you mean `embedding`?"],
    },
    Case {
        name: "impossible value in a recipe",
        harm: |here| edit(&here.join("recipe.yaml"), |text| text.replacen("size: 64", "size: 65", 1)),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &["recipe.yaml:", "network.size", "multiple of 32"],
    },
    Case {
        name: "no such recipe",
        harm: NOTHING,
        line: "run --recipe c-adaptor --data films --out run --device cpu",
        says: &["no recipe `c-adaptor`", "did you mean `c-adapter`?"],
    },
    Case {
        name: "run below a file",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --data films --out note.txt/run --device cpu --threads 1",
        says: &["note.txt/run", "Not a directory"],
    },
    Case {
        name: "CUDA that is not there, for training",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --data films --out run --device cuda",
        says: &["--device cuda", "no CUDA device", "LIBTORCH"],
    },
    Case {
        name: "nothing to resume",
        harm: NOTHING,
        line: "run --resume --data films --out run --device cpu",
        says: &["run/checkpoint.safetensors", "No such file"],
    },
    Case {
        name: "phantoms below a file",
        harm: NOTHING,
        line: "phantom --out note.txt/films --count 1",
        says: &["note.txt/films", "check that the folder is writable"],
    },
];

const EXPORT: &[Case] = &[
    Case {
        name: "checkpoint that is none",
        harm: NOTHING,
        line: "note.txt --out new.onemark",
        says: &["note.txt is not a whole safetensors file"],
    },
    Case {
        name: "checkpoint of a network that is not trained",
        harm: |here| weights(here, [64, 3, 3, 3]),
        line: "vgg.safetensors --out new.onemark",
        says: &["no template vectors", "let it end"],
    },
    Case {
        name: "bundle below a file",
        harm: NOTHING,
        line: "recipe.yaml --untrained --out note.txt/new.onemark",
        says: &["note.txt", "Not a directory"],
    },
    Case {
        name: "bundle over a folder of something else",
        harm: NOTHING,
        line: "recipe.yaml --untrained --out films --force",
        says: &["films is there already", "no bundle", "choose another name"],
    },
    Case {
        name: "check film of wrong type",
        harm: NOTHING,
        line: "recipe.yaml --untrained --out new.onemark --check-films note.txt",
        says: &["note.txt is not a film Onemark can read", "a text file"],
    },
];

const RUN: &[Case] = &[
    Case {
        name: "film that is none",
        harm: NOTHING,
        line: "detect note.txt --bundle head.onemark",
        says: &["note.txt is not a film Onemark can read", "a text file", "PNG, JPEG, BMP or TIFF"],
    },
    Case {
        name: "film in DICOM",
        harm: |here| fs::write(here.join("film.png"), [&[0; 128][..], b"DICM\x02\0"].concat()).unwrap(),
        line: "detect film.png --bundle head.onemark",
        says: &["film.png", "DICOM", "export it as PNG or TIFF"],
    },
    Case {
        name: "film cut short",
        harm: |here| {
            let whole = fs::read(here.join(FILM)).unwrap();
            fs::write(here.join(FILM), &whole[..whole.len() / 2]).unwrap();
        },
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["151.png is damaged or cut short", "copy or export it again"],
    },
    Case {
        name: "film that is not there",
        harm: NOTHING,
        line: "detect nowhere.png --bundle head.onemark",
        says: &["nowhere.png", "No such file"],
    },
    Case {
        name: "landmark outside a test film",
        harm: |here| {
            for doctor in [SENIOR, JUNIOR] {
                edit(&here.join(doctor.replace("001", "151")), |text| text.replacen("9,113", "9,1130", 1));
            }
        },
        line: "evaluate head.onemark --data films --split test1",
        says: &["151.png", "landmark 1 at x 9, y 1130 lies outside its 97x120 px", "correct the annotation"],
    },
    Case {
        name: "cycle by a template without annotation",
        harm: |here| [SENIOR, JUNIOR].iter().for_each(|doctor| fs::remove_file(here.join(doctor)).unwrap()),
        line: "cycle head.onemark --data films --template 001",
        says: &["film 001 is not annotated"],
    },
    Case {
        name: "films of another landmark set",
        harm: |here| {
            fs::create_dir(here.join("images")).unwrap();
            fs::copy(here.join(FILM), here.join("images/a.png")).unwrap();
            fs::write(here.join("landmarks.csv"), "image,landmark,x,y\na.png,1,5,5\n").unwrap();
        },
        line: "evaluate head.onemark --data .",
        says: &["a.png", "1 landmarks", "isbi19", "19"],
    },
    Case {
        name: "report into a folder that is not there",
        harm: NOTHING,
        line: "evaluate head.onemark --data films --split test1 --report nowhere/report.json",
        says: &["nowhere/report.json"],
    },
    Case {
        name: "overlay below a file",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --overlay note.txt/overlays",
        says: &["note.txt/overlays", "Not a directory"],
    },
    Case {
        name: "markups without a spacing",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --mrk-json out.mrk.json --report out.html",
        says: &["151.png", "mrk-json is in mm", "give --spacing"],
    },
    Case {
        name: "DICOM report on what is no DICOM",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --dicom-sr out.dcm",
        says: &["151.png", "is no DICOM"],
    },
    Case {
        name: "overlay over the film itself",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --overlay films/RawImage/Test1Data",
        says: &["151.png is a film"],
    },
    Case {
        name: "landmark that the bundle has not",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --landmarks 1,selle",
        says: &["no landmark `selle`", "did you mean sella", "onemark inspect"],
    },
    Case {
        name: "bundle with a flipped bit in the weights",
        harm: |here| flip(&here.join("head.onemark").join(WEIGHTS)),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["head.onemark", WEIGHTS, "changed or damaged", "SHA-256", "copy or export the bundle again"],
    },
    Case {
        name: "bundle with a flipped bit in a graph",
        harm: |here| flip(&here.join(HEAD)),
        line: "inspect head.onemark",
        says: &["landmark-01-sella.onnx", "changed or damaged", "copy or export the bundle again"],
    },
    Case {
        name: "bundle with a file missing",
        harm: |here| fs::remove_file(here.join(HEAD)).unwrap(),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["landmark-01-sella.onnx is missing", "copy or export the bundle again"],
    },
    Case {
        name: "bundle with a file too many",
        harm: |here| fs::write(here.join("head.onemark/landmark-20.onnx"), "").unwrap(),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["lists no file landmark-20.onnx", "take it out"],
    },
    Case {
        name: "bundle without manifest",
        harm: |here| fs::remove_file(here.join("head.onemark").join(MANIFEST)).unwrap(),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["head.onemark is no bundle", MANIFEST],
    },
    Case {
        name: "bundle that names an absolute path",
        harm: |here| rename_head(here, "/etc/hostname"),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &[MANIFEST, "/etc/hostname", "no folders"],
    },
    Case {
        name: "bundle that names a path out of itself",
        harm: |here| rename_head(here, "../note.txt"),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &[MANIFEST, "../note.txt", "no folders"],
    },
    Case {
        name: "bundle with a symbolic link",
        harm: |here| {
            fs::rename(here.join(HEAD), here.join("elsewhere.onnx")).unwrap();
            #[cfg(unix)]
            std::os::unix::fs::symlink(here.join("elsewhere.onnx"), here.join(HEAD)).unwrap();
        },
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["landmark-01-sella.onnx", "no plain file"],
    },
    Case {
        name: "wrong backend name",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --backend onxruntime",
        says: &["onxruntime", "'onnxruntime'", "tract"],
    },
    Case {
        name: "CUDA that is not there, for detecting",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --backend onnxruntime-cuda",
        says: &["can't be used"],
    },
];

#[test]
fn the_trainer_refuses() {
    if Program::Train.is_here() {
        refuses(Program::Train, TRAIN);
    }
}

#[test]
fn the_exporter_refuses() {
    refuses(Program::Export, EXPORT);
}

#[test]
fn the_runtime_refuses() {
    refuses(Program::Runtime, RUN);
}

/// The disk fills up while a bundle is being written.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_half_a_bundle() {
    let here = fresh();
    let before = files(here.path());
    let export = Program::Export.command(here.path(), "recipe.yaml --untrained --out new.onemark");
    // A limit on the size of files, in blocks, is the nearest thing to a full disk that needs no rights.
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

/// One film that can't be read does not keep the others from their landmarks, nor is it passed over in silence.
#[test]
fn a_bad_film_among_good_ones_is_reported() {
    let here = fresh();
    let line = "detect note.txt films/RawImage/Test1Data/151.png --bundle head.onemark --json found.json";
    let outcome = Outcome::from(Program::Runtime.command(here.path(), line).output().unwrap());
    assert_eq!(not_refused(&outcome, &["note.txt is not a film", "1 of 2 films failed"]), None);
    let found: serde_json::Value = serde_json::from_slice(&fs::read(here.path().join("found.json")).unwrap()).unwrap();
    let [bad, good] = [0, 1].map(|film| &found["films"][film]);
    assert!(bad["error"].is_string() && bad.get("landmarks").is_none(), "{bad}");
    assert_eq!(good["landmarks"].as_array().unwrap().len(), 19);
}

/// All good: else the refusals above might be about something else.
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

/// What is wrong with the way a case is refused.
fn wrong(program: Program, case: &Case) -> Option<String> {
    let here = fresh();
    (case.harm)(here.path());
    let before = files(here.path());
    let mut command = program.command(here.path(), case.line);
    // A device that is there for others is not there for this test.
    let outcome = Outcome::from(command.env("CUDA_VISIBLE_DEVICES", "").output().unwrap());
    let after = files(here.path());
    not_refused(&outcome, case.says)
        .or_else(|| outcome.stderr.contains("features of").then(|| format!("only after computing: {}", outcome.stderr)))
        .or_else(|| {
            let changed: Vec<_> = after.keys().filter(|file| before.get(*file) != after.get(*file)).collect();
            (before != after).then(|| format!("something was written: {changed:?}"))
        })
}

/// Why an outcome is no refusal that says all it must.
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

/// A folder with films, a bundle that finds landmarks on them, a recipe that trains on them, and a note.
fn fresh() -> TempDir {
    static ORIGINAL: OnceLock<TempDir> = OnceLock::new();
    let original = ORIGINAL.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        small_films(&here.join("films"));
        fs::write(here.join("note.txt"), "No film, no weights, no bundle.\n").unwrap();
        let mut recipe = tiny_recipe(2, AdapterVariant::Block);
        recipe.template_copies.count = 2;
        recipe.template_vectors.copies = 1;
        for phase in &mut recipe.phases {
            (phase.epochs, phase.steps) = (1, Some(2));
        }
        fs::write(here.join("recipe.yaml"), recipe.to_yaml().unwrap()).unwrap();
        let checkpoint = untrained(recipe, SEED).unwrap();
        let labels = Labels { name: "head".into(), intended_use: "tests".into(), weights_licence: "none".into() };
        let export = export(&checkpoint, &labels, &Options::default(), &[], |_, _| {}).unwrap();
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

/// Everything below `folder`: files with their bytes, folders without. Folders come before what they hold.
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

/// Has the manifest call landmark 1's graph something else, wherever it is named.
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
