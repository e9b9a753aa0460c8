//! What a clinic reads: its commands explain themselves without a lab's words, and help without a lab's tools.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;

use onemark_tests::{Outcome, Program, tiny_bundle};

/// Words that mean something to a lab, or to who builds Onemark, only.
const OF_A_LAB: [&str; 8] = ["argmax", "cargo", "xtask", "checkpoint", "tensor", "split", "test1", "paper"];

#[test]
fn the_help_of_a_clinics_commands_has_no_words_of_a_lab() {
    let here = tempfile::tempdir().unwrap();
    for command in ["detect", "view", "verify", "inspect", "adapt", "calibrate", "evaluate", "doctor", "annotate"] {
        let help = Program::Runtime.succeed(here.path(), &format!("{command} -h")).stdout;
        let found: Vec<_> = OF_A_LAB.into_iter().filter(|word| help.to_lowercase().contains(word)).collect();
        assert!(found.is_empty(), "{found:?} in\n{help}");
    }
    // They are there, for who knows them.
    let all = Program::Runtime.succeed(here.path(), "evaluate --help").stdout;
    assert!(["--argmax", "--no-pruning", "--split", "--without"].iter().all(|option| all.contains(option)), "{all}");
}

#[test]
fn doctor_says_how_a_clinic_gets_onnx_runtime() {
    let here = tempfile::tempdir().unwrap();
    let doctor = Program::Runtime.command(here.path(), "doctor").env("ORT_DYLIB_PATH", "nowhere.so").output().unwrap();
    let said = Outcome::from(doctor).stdout;
    assert!(said.contains("pip install onnxruntime") && said.contains("ORT_DYLIB_PATH"), "{said}");
    assert!(!said.contains("cargo") && said.matches("pip install").count() == 1, "{said}");
}

#[test]
fn films_that_nobody_has_marked_are_called_so() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    tiny_bundle().write(&here.join("tiny.onemark"), false).unwrap();
    fs::create_dir(here.join("films")).unwrap();
    image::GrayImage::new(40, 30).save(here.join("films/1.png")).unwrap();
    fs::write(here.join("films/landmarks.csv"), "image,landmark,x,y\n1.png,sella,,\n").unwrap();
    for command in ["evaluate tiny.onemark --data films", "calibrate tiny.onemark --data films --out new.onemark"] {
        let said = Outcome::from(Program::Runtime.command(here, command).output().unwrap()).stderr;
        assert!(said.contains("annotate") && OF_A_LAB.iter().all(|word| !said.contains(word)), "{command}: {said}");
    }
}
