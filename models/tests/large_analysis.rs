//! Analyses that grow: each measurement is the double of the one above it.
#![allow(missing_docs, clippy::unwrap_used)]

use onemark_film::Spacing;
use onemark_film::geometry::Point;
use onemark_models::landmarks::{Definition, Formula, LandmarkSet, MOST_MEASUREMENTS, MOST_TERMS};

/// The 19 landmarks with a distance and `doubles` measurements above it.
fn doubles(doubles: usize) -> LandmarkSet {
    let mut set = LandmarkSet::named("isbi19").unwrap();
    let name = |index: usize| format!("m{index}");
    let measurement = |index: usize, formula| Definition {
        name: name(index),
        title: "Twice".into(),
        formula,
        source: "s".into(),
        classes: vec![],
        norm: None,
        note: None,
    };
    set.analysis.sources = [("s".to_owned(), "here".to_owned())].into();
    set.analysis.lines.clear();
    let first = Formula::Distance(["sella".into(), "nasion".into()]);
    let double = |index: usize| Formula::Sum(vec![name(index - 1), name(index - 1)]);
    let rest = (1..=doubles).map(|index| measurement(index, double(index)));
    set.analysis.measurements = [measurement(0, first)].into_iter().chain(rest).collect();
    set
}

#[test]
fn each_measurement_is_computed_once() {
    let set = doubles(MOST_MEASUREMENTS - 1);
    set.validate().unwrap();
    let points: Vec<Option<Point>> = (0..19).map(|place| Some(Point::new(f64::from(place), 0.0))).collect();
    let spacing = Spacing::new(1.0, 1.0, "a test").unwrap();
    let found = set.measure(&points, Some(&spacing), &[Some(1.0); 19]);
    assert_eq!(found.len(), MOST_MEASUREMENTS);
    // Sella and nasion lie 1 mm apart; the errors of both ends are independent.
    assert_eq!(found[10].value, Some(1024.0));
    assert!((found[10].sd.unwrap() / 1024.0 - 2_f64.sqrt()).abs() < 1e-6, "{:?}", found[10].sd);
}

#[test]
fn too_many_measurements_or_terms_are_refused() {
    let many = doubles(30_000).validate().unwrap_err().to_string();
    assert_eq!(many, "analysis.measurements: there are 30001; an analysis has at most 500");
    let mut set = doubles(1);
    set.analysis.measurements[1].formula = Formula::Sum(vec!["m0".into(); MOST_TERMS + 1]);
    let terms = set.validate().unwrap_err().to_string();
    assert_eq!(terms, "measurement `m1`: it has more than 50 terms or classes");
    let mut set = doubles(0);
    set.analysis.measurements[0].title = "\u{1b}[2J".into();
    let title = set.validate().unwrap_err().to_string();
    assert!(title.starts_with("measurement `m0`.title: holds the hidden character"), "{title}");
}
