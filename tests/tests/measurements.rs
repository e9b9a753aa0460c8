//! Measurements in the program's output: in JSON, below the printed landmarks, and in `inspect`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;

use onemark_film::Spacing;
use onemark_film::geometry::Point;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::network::config::AdapterVariant;
use onemark_tests::{Program, backends, small_films, tiny_recipe};
use serde_json::Value;

/// A few roundings of doubles.
const ROUNDING: f64 = 1e-9;

#[test]
fn a_film_and_a_bundle_have_measurements() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let film = small_films(&here.join("films")).film("151");
    let film = film.strip_prefix(here).unwrap().display().to_string();
    fs::write(here.join("recipe.yaml"), tiny_recipe(2, AdapterVariant::default()).to_yaml().unwrap()).unwrap();
    Program::Export.succeed(here, "recipe.yaml --untrained --out head.onemark");
    let detect = |more: &str| {
        let line = format!("detect {film} --bundle head.onemark --backend {} {more}", backends()[0]);
        Program::Runtime.succeed(here, line.trim_end()).stdout
    };

    // An untrained network places landmarks anywhere, some at the same point; the measurements must still follow from its points.
    let found: Value = serde_json::from_str(&detect("--spacing 0.1,0.2 --json -")).unwrap();
    let landmarks = found["films"][0]["landmarks"].as_array().unwrap();
    let position = |landmark: &Value| serde_json::from_value::<Point>(landmark["position"].clone()).unwrap();
    let points: Vec<Option<Point>> = landmarks.iter().map(|landmark| Some(position(landmark))).collect();
    let spacing = Spacing::new(0.1, 0.2, "a test").unwrap();
    let expected = LandmarkSet::named("isbi19").unwrap().measure(&points, Some(&spacing), &[]);
    let measurements = found["films"][0]["measurements"].as_array().unwrap();
    assert_eq!(measurements.len(), expected.len());
    for (measurement, expected) in measurements.iter().zip(&expected) {
        assert_eq!(measurement["name"], expected.name);
        let apart = measurement["value"].as_f64().zip(expected.value).map(|(value, expected)| (value - expected).abs());
        assert!(apart.map_or(expected.refused.is_some(), |apart| apart < ROUNDING), "{measurement}");
        assert_eq!(measurement["refused"].as_str(), expected.refused.as_deref(), "{measurement}");
    }
    assert!(expected.iter().any(|one| one.value.is_some()));

    let lines = detect("");
    assert!(lines.contains("not measured, no spacing is stated: "), "{lines}");
    let lines = detect("--landmarks sella,nasion,menton --spacing 0.1");
    assert!(lines.contains("not measured, no position for Subspinale (A point): SNA"), "{lines}");
    let lines = Program::Runtime.succeed(here, "inspect head.onemark").stdout;
    assert!(lines.lines().any(|line| line.starts_with("ANB ") && line.ends_with("2 (Steiner 1953)")), "{lines}");
}
