//! The record of a run can be repeated to the bit, and says what differs. Anonymous outputs hold no name.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};
use onemark_models::files::sha256;
use onemark_tests::{Program, tiny_bundle};
use serde_json::Value;

const DETECT: &str = "detect films --bundle tiny.onemark --backend tract --landmarks 1,2 --spacing 0.5";

/// A folder with a bundle, two films and a file that is none.
fn lab() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    tiny_bundle().write(&here.join("tiny.onemark"), false).unwrap();
    fs::create_dir(here.join("films")).unwrap();
    film(&here.join("films/Muster_Maria.png"), 3);
    film(&here.join("films/Muster_Otto.png"), 4);
    // A tab in a name is shown as \t.
    fs::write(here.join("films/Torn_\tFilm.png"), "no film").unwrap();
    folder
}

fn film(path: &Path, number: u32) {
    GrayImage::from_fn(97, 120, |x, y| Luma([(x * number + y * y / 16) as u8])).save(path).unwrap();
}

fn run(here: &Path, line: &str) -> (Option<i32>, String, String) {
    let output = Program::Runtime.command(here, line).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_run_is_repeated_from_its_record() {
    let folder = lab();
    let here = folder.path();
    let (code, ..) = run(here, &format!("{DETECT} --threads 1 --audit run.json"));
    assert_eq!(code, Some(1), "one file is no film");
    let record: Value = serde_json::from_slice(&fs::read(here.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["options"]["threads"], 1);
    assert_eq!(record["films"].as_array().unwrap().len(), 3);
    assert_eq!(record["bundle"]["sha256"], sha256(&fs::read(here.join("tiny.onemark/manifest.yaml")).unwrap()));

    let (code, said, errors) = run(here, "replay run.json");
    assert_eq!(code, Some(0), "{said}{errors}");
    assert!(said.ends_with("3 of 3 films have the same result\n"), "{said}");

    // Other pixels, a result that was changed afterwards, and a film that is gone.
    let mut changed = record.clone();
    changed["films"][1]["result_sha256"] = "0".repeat(64).into();
    changed["program"] = "onemark 0.0.1".into();
    fs::write(here.join("changed.json"), changed.to_string()).unwrap();
    film(&here.join("films/Muster_Maria.png"), 5);
    fs::remove_file(here.join("films/Torn_\tFilm.png")).unwrap();
    let (code, said, errors) = run(here, "replay changed.json");
    assert_eq!(code, Some(1), "{said}{errors}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "films/Muster_Maria.png: the film has other pixels");
    assert_eq!(lines[1], "films/Muster_Otto.png: the same pixels have other results, or another spacing");
    assert!(lines[2].starts_with("films/Torn_") && lines[2].contains("it failed with"), "{said}");
    assert_eq!(lines[3], "0 of 3 films have the same result");
    assert!(errors.contains("another program: onemark 0.1.0 instead of onemark 0.0.1"), "{errors}");
}

#[test]
fn a_record_is_of_one_bundle_and_one_format() {
    let folder = lab();
    let here = folder.path();
    run(here, &format!("{DETECT} --audit run.json"));
    let manifest = here.join("tiny.onemark/manifest.yaml");
    fs::write(&manifest, format!("{}\n", fs::read_to_string(&manifest).unwrap())).unwrap();
    let (code, _, errors) = run(here, "replay run.json");
    assert!(code == Some(1) && errors.contains("is another bundle"), "{errors}");

    let other = fs::read_to_string(here.join("run.json")).unwrap().replace("onemark-audit/1", "onemark-audit/9");
    for (text, expected) in [(other.as_str(), "onemark-audit/9"), ("{\"audit\": 3", "reading the audit record")] {
        fs::write(here.join("other.json"), text).unwrap();
        let (code, _, errors) = run(here, "replay other.json");
        assert!(code == Some(1) && errors.contains(expected), "{errors}");
    }
}

#[test]
fn a_run_that_ended_early_says_so() {
    let folder = lab();
    let here = folder.path();
    run(here, &format!("{DETECT} --audit run.json"));
    let mut record: Value = serde_json::from_slice(&fs::read(here.join("run.json")).unwrap()).unwrap();
    record["films"].as_array_mut().unwrap().pop();
    fs::write(here.join("run.json"), record.to_string()).unwrap();
    let (code, said, errors) = run(here, "replay run.json");
    assert!(code == Some(0) && said.ends_with("2 of 2 films have the same result\n"), "{said}");
    assert!(errors.contains("the run ended early: it was given 3 films"), "{errors}");
}

#[test]
fn a_record_replaces_nothing() {
    let folder = lab();
    let here = folder.path();
    for (options, says) in [
        ("--audit films/Muster_Otto.png", "is a film"),
        ("--json all.json --audit all.json", "would both be written to"),
        ("--audit -", "--audit needs a file"),
    ] {
        let (code, _, errors) = run(here, &format!("{DETECT} {options}"));
        assert!(code == Some(1) && errors.contains(says), "{options}: {errors}");
    }
    image::open(here.join("films/Muster_Otto.png")).unwrap();
}

#[test]
fn anonymous_outputs_hold_no_name() {
    let folder = lab();
    let here = folder.path();
    let line = "--anonymous --json all.json --csv all.csv --overlay out --mrk-json out --report out";
    let (code, said, errors) = run(here, &format!("{DETECT} {line}"));
    assert_eq!(code, Some(1), "{errors}");
    let digest = sha256(image::open(here.join("films/Muster_Maria.png")).unwrap().as_bytes());
    let written = fs::read_dir(here.join("out")).unwrap().map(|entry| entry.unwrap().path());
    let mut texts = vec![said.into_bytes(), errors.into_bytes()];
    let mut names = Vec::new();
    for file in written.chain([here.join("all.json"), here.join("all.csv")]) {
        names.push(file.file_name().unwrap().to_str().unwrap().to_owned());
        texts.push(fs::read(&file).unwrap());
    }
    assert!(names.contains(&"film-0002.mrk.json".to_owned()) && names.len() == 8, "{names:?}");
    for text in names.into_iter().map(String::into_bytes).chain(texts) {
        for secret in ["Muster", "Torn_", "films/", digest.as_str()] {
            let is_there = text.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!is_there, "{secret} in {}", String::from_utf8_lossy(&text));
        }
    }
    for other in ["--audit run.json", "--dicom-sr out"] {
        let (code, _, errors) = run(here, &format!("{DETECT} --anonymous {other}"));
        assert!(code == Some(2) && errors.contains("cannot be used with"), "{errors}");
    }
}
