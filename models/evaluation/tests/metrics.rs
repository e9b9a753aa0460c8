//! Metrics: METHOD.md's examples; tables, reports and intervals.
#![allow(clippy::unwrap_used)]

use ndarray::{Array2, array};
use onemark_evaluation::metrics::{Evaluation, Interval, MetricsError, Protocol, SDR_RADII_MM, radial_error_cells};
use onemark_film::Spacing;
use onemark_film::geometry::{Cell, GridMap, GridSize, Point, Size};

/// METHOD.md gives its example to seven decimals.
const METHOD_DIGITS_MM: f64 = 5e-8;
/// A few roundings of doubles on sums of a hundred numbers.
const ROUNDING: f64 = 1e-12;

const ISBI: GridMap = GridMap::new(Size { width: 1935, height: 2400 }, GridSize::new(384, 384));
fn spacing(x: f64, y: f64) -> Spacing {
    Spacing::new(x, y, "a test").unwrap()
}

fn evaluation(errors: Array2<f64>) -> Evaluation {
    let names = |letter: char, n: usize| (1..=n).map(|i| format!("{letter}{i}")).collect();
    let (films, landmarks) = errors.dim();
    Evaluation::new(names('l', landmarks), names('f', films), errors).unwrap()
}

#[test]
fn method_example_in_cells_and_from_points() {
    let mm = radial_error_cells(&ISBI, &spacing(0.1, 0.1), Cell::new(103, 196), Cell::new(100, 200));
    assert!((mm - 2.7528838).abs() < METHOD_DIGITS_MM, "{mm}");
    // The centre of the found cell, and any truth within the true cell, give the same.
    let truth = Point::new(196.9 * 1935.0 / 384.0, 103.1 * 2400.0 / 384.0);
    let from_points = Protocol::Grid.radial_error(&ISBI, &spacing(0.1, 0.1), truth, ISBI.to_film(Cell::new(100, 200)));
    assert_eq!(from_points, mm);
}

#[test]
fn film_protocol_is_full_resolution_with_both_spacings() {
    let mm = Protocol::Film.radial_error(&ISBI, &spacing(0.1, 0.2), Point::new(10.0, 10.0), Point::new(40.0, 30.0));
    assert!((mm - 5.0).abs() < ROUNDING, "{mm}");
}

#[test]
fn success_is_strictly_below_the_radius() {
    let at_the_edge = evaluation(array![[2.0, 2.0_f64.next_down()], [0.0, 9.0]]);
    assert_eq!(at_the_edge.sdr(2.0), 50.0);
    assert_eq!(at_the_edge.overall().sdr_percent, [50.0, 75.0, 75.0, 75.0]);
}

#[test]
fn mre_is_the_mean_of_landmark_means() {
    let errors = Array2::from_shape_fn((7, 5), |(f, l)| (f * 31 + l * 17 % 11) as f64 / 7.0);
    let evaluation = evaluation(errors);
    let means: Vec<f64> = evaluation.per_landmark().iter().map(|score| score.mre_mm).collect();
    assert!((evaluation.mre() - means.iter().sum::<f64>() / means.len() as f64).abs() < ROUNDING);
}

#[test]
fn bootstrap_surrounds_the_mean_and_repeats() {
    let errors = Array2::from_shape_fn((40, 3), |(f, l)| ((f * 7 + l) % 13) as f64 / 3.0);
    let evaluation = evaluation(errors);
    let bootstrap = evaluation.bootstrap(2000, 5);
    let Interval { low, high } = bootstrap.mre_mm;
    assert!(low < evaluation.mre() && evaluation.mre() < high, "{low} {high}");
    for (interval, radius) in bootstrap.sdr_percent.iter().zip(SDR_RADII_MM) {
        assert!(interval.low < evaluation.sdr(radius) && evaluation.sdr(radius) < interval.high);
    }
    assert_eq!(evaluation.bootstrap(2000, 5), bootstrap);
    assert_ne!(evaluation.bootstrap(2000, 6), bootstrap);
}

#[test]
fn leaving_films_out() {
    let all = evaluation(array![[1.0, 3.0], [8.0, 8.0], [5.0, 7.0]]);
    let fewer = all.without(&["f2", "not here"]).unwrap();
    assert_eq!((fewer.films().to_vec(), fewer.mre()), (vec!["f1".to_owned(), "f3".to_owned()], 4.0));
    assert!(matches!(all.without(&["f1", "f2", "f3"]), Err(MetricsError::Shape { rows: 0, .. })));
}

#[test]
fn no_distance_no_evaluation() {
    let names = || vec!["a".to_owned()];
    let error = Evaluation::new(names(), names(), array![[f64::NAN]]).unwrap_err();
    assert!(matches!(error, MetricsError::NotADistance { .. }));
    let error = Evaluation::new(names(), names(), Array2::zeros((1, 2))).unwrap_err();
    assert!(matches!(error, MetricsError::Shape { columns: 2, .. }));
}

#[test]
fn json_report_carries_errors_and_summaries() {
    let json = serde_json::to_value(evaluation(array![[1.0, 2.0]])).unwrap();
    assert_eq!(json["overall"]["mre_mm"], 1.5);
    assert_eq!(json["errors_mm"][0][1], 2.0);
    assert_eq!(json["per_landmark"][1]["name"], "l2");
}

#[test]
fn an_evaluation_is_read_back_from_its_json() {
    let written = evaluation(array![[1.0, 2.25], [0.1, 3.25]]);
    let json = serde_json::to_value(&written).unwrap();
    assert_eq!(serde_json::from_value::<Evaluation>(json.clone()).unwrap(), written);
    for (key, value) in [("errors_mm", serde_json::json!([[1.0, 2.0], [3.0]])), ("films", serde_json::json!(["1"]))] {
        let mut broken = json.clone();
        broken[key] = value;
        assert!(serde_json::from_value::<Evaluation>(broken).is_err(), "{key}");
    }
}
