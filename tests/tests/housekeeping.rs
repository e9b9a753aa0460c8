//! Commands for administrators: `verify`, `completions`, `man`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;

use onemark_models::files::sha256;
use onemark_tests::{Outcome, Program, tiny_bundle};

#[test]
fn a_bundle_is_whole_or_not() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    tiny_bundle().write(&here.join("tiny.onemark"), false).unwrap();
    let told = Program::Runtime.succeed(here, "verify tiny.onemark").stdout;
    assert!(told.contains("whole") && told.contains(&tiny_bundle().digest()), "{told}");
    // The digest is the file's own, comments and all.
    let manifest = here.join("tiny.onemark/manifest.yaml");
    let commented = format!("# Cleared for diagnosis.\n{}", fs::read_to_string(&manifest).unwrap());
    fs::write(&manifest, &commented).unwrap();
    let told = Program::Runtime.succeed(here, "verify tiny.onemark").stdout;
    assert!(told.contains(&sha256(commented.as_bytes())), "{told}");
    fs::write(here.join("tiny.onemark/trunk.onnx"), "something else").unwrap();
    let outcome = Outcome::from(Program::Runtime.command(here, "verify tiny.onemark").output().unwrap());
    assert!(!outcome.success && outcome.stderr.contains("trunk.onnx was changed or damaged"), "{}", outcome.stderr);
}

#[test]
fn shells_and_manuals_know_the_commands() {
    let here = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = Program::Runtime.succeed(here.path(), &format!("completions {shell}")).stdout;
        assert!(script.contains("calibrate") && script.contains("learn-to"), "{shell}");
    }
    Program::Runtime.succeed(here.path(), "man pages");
    let page = fs::read_to_string(here.path().join("pages/onemark-detect.1")).unwrap();
    assert!(page.contains(".TH onemark-detect 1") && page.contains("dicom\\-sr"), "{page}");
}
