//! `onemark data check` as a user runs it: its output, its files and its exit status. The findings themselves are tested in
//! onemark-evaluation.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use onemark_tests::{Outcome, Program, small_films};
use serde_json::Value;

fn run(here: &Path, line: &str) -> Outcome {
    Outcome::from(Program::Runtime.command(here, line).output().unwrap())
}

#[test]
fn a_clean_set_passes_and_leaves_no_sheet() {
    let here = tempfile::tempdir().unwrap();
    small_films(&here.path().join("films"));
    let outcome = Program::Runtime.succeed(here.path(), "data check films --sheet sheet.png");
    assert!(outcome.stdout.contains("3 films: 0.21 x 0.2 mm per px by the dataset\n"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("3 films, 3 annotated: 1 in Test1Data, 2 in TrainingData"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("not checked: swapped and far landmarks"), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("\nerrors: 0, warnings: 0\n"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("there is no sheet.png"), "{}", outcome.stderr);
    assert!(!here.path().join("sheet.png").exists());
}

#[test]
fn warnings_pass_and_errors_fail() {
    let here = tempfile::tempdir().unwrap();
    let films = small_films(&here.path().join("films"));
    fs::copy(films.film("001"), films.film("151")).unwrap();
    let outcome = Program::Runtime.succeed(here.path(), "data check films --sheet sheet.png --json found.json");
    assert!(outcome.stdout.contains("001, 151"), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("\nerrors: 0, warnings: 1\n"), "{}", outcome.stdout);
    let found: Value = serde_json::from_slice(&fs::read(here.path().join("found.json")).unwrap()).unwrap();
    let finding = &found["findings"][0];
    assert_eq!((finding["kind"].as_str(), finding["severity"].as_str()), (Some("repeated-film"), Some("warning")));
    assert_eq!(finding["films"].as_array().unwrap().len(), 2);
    // Two tiles of 192 px with 6 px around each and two lines of text; 192 px of film are 238 px high.
    assert_eq!(image::image_dimensions(here.path().join("sheet.png")).unwrap(), (2 * 198 + 6, 238 + 20 + 18));

    fs::write(films.annotation("senior", "002"), "").unwrap();
    fs::write(films.film("151"), "no film").unwrap();
    let outcome = run(here.path(), "data check films --json - --sheet sheet.png");
    assert!(!outcome.success);
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let kinds: Vec<&str> = found["findings"].as_array().unwrap().iter().filter_map(|f| f["kind"].as_str()).collect();
    assert_eq!(kinds, ["refused", "unreadable-film"]);
    assert!(here.path().join("sheet.png").exists());
}

#[test]
fn its_help_says_what_the_exit_status_means() {
    let here = tempfile::tempdir().unwrap();
    let help = Program::Runtime.succeed(here.path(), "data check --help").stdout;
    assert!(help.contains("Exit status: 0 if it finds nothing or only warnings"), "{help}");
    let outcome = run(here.path(), "data check nowhere");
    assert!(!outcome.success && outcome.stderr.contains("cannot read nowhere"), "{}", outcome.stderr);
}
