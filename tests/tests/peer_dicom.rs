//! DICOM reports read by other programs: the validator of dicom3tools, dcmtk's reader, and the adapter of Cornerstone and OHIF.
//! If one is not installed, its test prints that it is skipped.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chrono::Local;
use onemark_results::{FilmResults, dicom_sr};
use onemark_runtime::{Detection, Status};
use onemark_tests::{Program, dicom_film, found, real_data, tiny_bundle};
use serde_json::Value;

/// The folder of tests/peers/cornerstone with its packages; `cargo xtask test` makes it.
const CORNERSTONE: &str = "ONEMARK_CORNERSTONE";

const SAME_PX: f64 = 0.01;

#[test]
fn the_validator_finds_no_error() {
    let (_folder, report) = report();
    let Some(output) = run(Command::new("dciodvfy").arg(&report), "dicom3tools") else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Comprehensive") && !said.contains("Error"), "{said}");
}

#[test]
fn dcmtk_shows_every_point() {
    let (_folder, report) = report();
    let Some(output) = run(Command::new("dsrdump").arg(&report), "dcmtk") else { return };
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // It warns about UTF-8, because it does not check such values.
    assert!(output.status.success() && !complaints.contains("E: "), "{complaints}");
    let points: Vec<_> = said.lines().filter(|line| line.contains("SCOORD")).collect();
    assert_eq!(points.len(), expected().len(), "{said}");
    for (line, landmark) in points.iter().zip(expected()) {
        let numbers = line.split("POINT,").nth(1).unwrap().split(['/', '>', ')']);
        let numbers: Vec<f64> = numbers.filter_map(|number| number.trim().parse().ok()).collect();
        near(numbers[..2].try_into().unwrap(), &landmark);
        assert!(said.contains(&format!("\"{}\"", landmark.title())), "{said}");
    }
}

#[test]
fn cornerstone_reads_the_points_back() {
    let Some(folder) = env::var_os(CORNERSTONE).map(PathBuf::from) else {
        eprintln!("skipped: {CORNERSTONE} names no folder; `cargo xtask test` sets it where there is npm");
        return;
    };
    let (_folder, report) = report();
    let image = dicom_film().dicom().unwrap().sop_instance_uid.clone();
    let mut node = Command::new("node");
    let Some(output) = run(node.current_dir(folder).arg("read_sr.mjs").arg(&report).arg(image), "nodejs") else {
        return;
    };
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complaints}");
    let points: Vec<Value> = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(points.len(), expected().len(), "{said}{complaints}");
    for (point, landmark) in points.iter().zip(expected()) {
        near(["x", "y"].map(|axis| point[axis].as_f64().unwrap()), &landmark);
        assert_eq!((&point["tool"], &point["finding"]), (&"Probe".into(), &landmark.title().into()));
        assert!(point["label"].as_str().unwrap().starts_with(landmark.title()), "{point}");
    }
}

/// One film of a hip in five transfer syntaxes: the landmarks are equal, the reports are valid, also from a patient's disc.
#[test]
fn one_film_in_five_forms() {
    let Some(films) = real_data("dicom") else { return };
    let here = tempfile::tempdir().unwrap();
    let disc = here.path().join("disc");
    fs::create_dir(&disc).unwrap();
    let forms = ["RG2_UNC.dcm", "RG2_RLE", "RG2_JPLL", "RG2_JLSL", "RG2_J2KR"];
    for (number, form) in forms.iter().enumerate() {
        // Discs have short names.
        fs::copy(films.join(form), disc.join(format!("IM{number}"))).unwrap();
    }
    tiny_bundle().write(&here.path().join("tiny.onemark"), false).unwrap();
    let detect = |films: &str| -> Vec<Value> {
        let line = format!("detect {films} --bundle tiny.onemark --backend tract --json -");
        let found: Value = serde_json::from_str(&Program::Runtime.succeed(here.path(), &line).stdout).unwrap();
        found["films"].as_array().unwrap().iter().map(|film| film["landmarks"].clone()).collect()
    };
    let found = detect("disc --dicom-sr reports");
    assert!(found.len() == forms.len() && found.iter().all(|one| *one == found[0]), "{found:?}");
    assert!(found[0][0]["mm"].is_object(), "{found:?}");

    let reports: Vec<_> = fs::read_dir(here.path().join("reports")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(reports.len(), forms.len());
    for report in reports {
        let Some(output) = run(Command::new("dciodvfy").arg(&report), "dicom3tools") else { break };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("Comprehensive") && !said.contains("Error"), "{said}");
    }

    // dcmtk writes only the first, uncompressed film to a disc.
    let mut directory = Command::new("dcmmkdir");
    directory.current_dir(&disc).args(["--general-purpose", "--invent", "IM0"]);
    let Some(output) = run(&mut directory, "dcmtk") else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(detect("disc/DICOMDIR"), found[..1]);
}

/// A report in a folder of its own.
fn report() -> (tempfile::TempDir, PathBuf) {
    let (film, detections) = (dicom_film(), found());
    let results = FilmResults { detections: &detections, film: &film, name: "1.dcm", time: Local::now() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.sr.dcm");
    fs::write(&path, dicom_sr::write(&results).unwrap()).unwrap();
    (folder, path)
}

fn expected() -> Vec<Detection> {
    found().landmarks().iter().filter(|landmark| landmark.status() != Status::NotFound).cloned().collect()
}

#[track_caller]
fn near([x, y]: [f64; 2], landmark: &Detection) {
    let place = landmark.position();
    assert!((x - place.x).abs() < SAME_PX && (y - place.y).abs() < SAME_PX, "{x}, {y} instead of {place:?}");
}

/// The output of a program; `None` if it is not installed.
fn run(command: &mut Command, package: &str) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let program = Path::new(command.get_program()).display();
            eprintln!("skipped: {program} is not installed; on Debian: apt install {package}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
