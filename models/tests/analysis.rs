//! Measurements: with simple geometry, on a drawn head, and on the annotations of ISBI 2015.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use onemark_film::Spacing;
use onemark_film::geometry::Point;
use onemark_models::landmarks::{Analysis, LandmarkSet, Measurement, Stroke, StrokeKind};
use onemark_models::yaml;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// A few roundings of doubles.
const ROUNDING: f64 = 1e-9;
/// Rounding in a difference over a millimetre's thousandth.
const SD_ROUNDING: f64 = 1e-6;
/// The allowed relative difference of a standard deviation, because of curvature and the limited number of random heads.
const MONTE_CARLO: f64 = 0.03;

/// A drawn head that looks to the right, in mm; it is not a patient's.
const HEAD: [(f64, f64); 19] = [
    (0.0, 0.0),
    (70.0, -8.0),
    (60.0, 25.0),
    (-20.0, 28.0),
    (66.0, 55.0),
    (60.0, 95.0),
    (61.0, 108.0),
    (52.0, 115.0),
    (58.0, 113.0),
    (-8.0, 80.0),
    (69.0, 80.0),
    (72.0, 79.0),
    (86.0, 68.0),
    (84.0, 85.0),
    (80.0, 50.0),
    (76.0, 110.0),
    (18.0, 46.0),
    (70.0, 50.0),
    (-15.0, 35.0),
];
static MM: LazyLock<Spacing> = LazyLock::new(|| spacing(1.0, 1.0));

fn spacing(x: f64, y: f64) -> Spacing {
    Spacing::new(x, y, "a test").unwrap()
}

fn isbi19() -> LandmarkSet {
    LandmarkSet::named("isbi19").unwrap()
}

fn head(place: impl Fn(f64, f64) -> Point) -> Vec<Option<Point>> {
    HEAD.iter().map(|(x, y)| Some(place(*x, *y))).collect()
}

fn named<'a>(all: &'a [Measurement], name: &str) -> &'a Measurement {
    all.iter().find(|one| one.name == name).unwrap()
}

fn value(all: &[Measurement], name: &str) -> f64 {
    named(all, name).value.unwrap()
}

fn assert_same(ours: &[Measurement], others: &[Measurement]) {
    assert_eq!(ours.len(), others.len());
    for (one, other) in ours.iter().zip(others) {
        let (value, expected) = (one.value.unwrap(), other.value.unwrap());
        assert!((value - expected).abs() < ROUNDING, "{}: {value}, expected {expected}", one.name);
        assert_eq!(one.class, other.class, "{}", one.name);
    }
}

/// Four landmarks with angles and distances that can be checked on squared paper.
fn paper(analysis: &str) -> Result<LandmarkSet, String> {
    let landmark = |(number, name): (usize, &str)| {
        format!("  - {{ number: {number}, name: {name}, title: The {name}, definition: A corner. }}\n")
    };
    let landmarks: String = (1..).zip(["back", "front", "upper", "lower"]).map(landmark).collect();
    let text = format!("id: paper\nname: Squared paper\nsource: ours\nlandmarks:\n{landmarks}{analysis}");
    LandmarkSet::from_yaml(&text).map_err(|error| error.to_string())
}

const PAPER: &str = "
analysis:
  sources: { us: ourselves }
  lines: { level: [back, front], down: [front, upper], slope: [upper, lower] }
  measurements:
    - { name: angle, title: T, source: us, formula: { angle: [back, front, upper] } }
    - { name: between, title: T, source: us, formula: { between: [level, slope] } }
    - { name: turn, title: T, source: us, formula: { turn: { from: level, to: slope, towards: down } } }
    - { name: back-turn, title: T, source: us, formula: { turn: { from: down, to: slope, towards: level } } }
    - { name: distance, title: T, source: us, formula: { distance: [front, lower] } }
    - { name: forwards, title: T, source: us, formula: { signed-distance: { from: lower, to: upper, towards: level } } }
    - { name: backwards, title: T, source: us, formula: { signed-distance: { from: upper, to: lower, towards: level } } }
    - { name: offset, title: T, source: us, formula: { offset: { of: lower, from: down, towards: level } } }
    - { name: along, title: T, source: us, formula: { along: { from: back, to: lower, line: level } } }
    - { name: ratio, title: T, source: us, formula: { ratio: [along, distance] } }
    - { name: percent, title: T, source: us, formula: { percent: [along, distance] } }
    - { name: sum, title: T, source: us, formula: { sum: [turn, back-turn, angle] } }
    - { name: difference, title: T, source: us, formula: { difference: [distance, along] } }
";

const CORNERS: [Option<Point>; 4] = [
    Some(Point::new(100.0, 100.0)),
    Some(Point::new(140.0, 100.0)),
    Some(Point::new(140.0, 130.0)),
    Some(Point::new(110.0, 140.0)),
];

#[test]
fn every_formula_is_what_squared_paper_says() {
    let all = paper(PAPER).unwrap().measure(&CORNERS, Some(&spacing(0.1, 0.1)), &[]);
    let slope = 10_f64.atan2(30.0).to_degrees();
    for (name, expected) in [
        ("angle", 90.0),
        ("between", 180.0 - slope),
        ("turn", 180.0 - slope),
        ("back-turn", slope - 90.0),
        ("distance", 5.0),
        ("forwards", 10_f64.sqrt()),
        ("backwards", -10_f64.sqrt()),
        ("offset", -3.0),
        ("along", 1.0),
        ("ratio", 0.2),
        ("percent", 20.0),
        ("sum", 180.0),
        ("difference", 4.0),
    ] {
        assert!((value(&all, name) - expected).abs() < ROUNDING, "{name}: {}", value(&all, name));
    }
    assert!(all.iter().all(|one| one.sd.is_none() && one.note.is_none()));
}

#[test]
fn errors_are_what_the_geometry_says() {
    let set = paper(PAPER).unwrap();
    let all = set.measure(&CORNERS, Some(&spacing(0.1, 0.1)), &[Some(0.3), Some(0.4), None, Some(0.3)]);
    // Both end points have independent errors.
    assert!((named(&all, "distance").sd.unwrap() - 0.5).abs() < SD_ROUNDING);
    // `front` turns the line on which 1 mm is read: by 0.4 / 4 about `back`, 4 mm above `lower`.
    let along = (0.3_f64 * 0.3 * (2.0 + 1.0) + 0.4_f64.powi(2)).sqrt();
    assert!((named(&all, "along").sd.unwrap() - along).abs() < SD_ROUNDING, "{:?}", named(&all, "along").sd);
    // Measurements that use `upper` have no known error.
    for name in ["angle", "between", "offset", "sum"] {
        assert_eq!(named(&all, name).sd, None, "{name}");
    }
    assert!(set.measure(&CORNERS, None, &[Some(0.3); 4]).iter().all(|one| one.sd.is_none()));
}

#[test]
fn errors_to_first_order_are_those_of_many_drawn_heads() {
    const HEADS: usize = 20_000;
    const SD_MM: f64 = 0.3;
    let set = isbi19();
    let mut random = ChaCha8Rng::seed_from_u64(19);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let mut sums = vec![(0.0, 0.0); set.analysis.measurements.len()];
    for _ in 0..HEADS {
        let points = HEAD.map(|(x, y)| Some(Point::new(x + SD_MM * normal(), y + SD_MM * normal())));
        for ((sum, squares), one) in sums.iter_mut().zip(set.measure(&points, Some(&MM), &[])) {
            *sum += one.value.unwrap();
            *squares += one.value.unwrap().powi(2);
        }
    }
    let inherited = set.measure(&head(Point::new), Some(&MM), &[Some(SD_MM); 19]);
    for (one, (sum, squares)) in inherited.iter().zip(sums) {
        let mean = sum / HEADS as f64;
        let drawn = (squares / HEADS as f64 - mean * mean).sqrt();
        let sd = one.sd.unwrap();
        assert!((sd / drawn - 1.0).abs() < MONTE_CARLO, "{}: {sd} inherited, {drawn} drawn", one.name);
    }
}

#[test]
fn the_side_that_a_patient_faces_does_not_matter() {
    let set = isbi19();
    let ours = set.measure(&head(Point::new), Some(&MM), &[]);
    assert_same(&set.measure(&head(|x, y| Point::new(500.0 - x, y)), Some(&MM), &[]), &ours);
    // Rotating the film does not change the results either.
    let (sine, cosine) = 0.7_f64.sin_cos();
    assert_same(
        &set.measure(&head(|x, y| Point::new(cosine * x - sine * y, sine * x + cosine * y)), Some(&MM), &[]),
        &ours,
    );
}

#[test]
fn pixels_need_not_be_square() {
    let set = isbi19();
    let ours = set.measure(&head(Point::new), Some(&MM), &[Some(1.0); 19]);
    let others = set.measure(&head(|x, y| Point::new(x / 0.1, y / 0.25)), Some(&spacing(0.1, 0.25)), &[Some(1.0); 19]);
    assert_same(&others, &ours);
    for (one, other) in ours.iter().zip(&others) {
        assert!((one.sd.unwrap() - other.sd.unwrap()).abs() < SD_ROUNDING, "{}", one.name);
    }
}

#[test]
fn without_spacing_there_are_angles_and_ratios_on_square_pixels() {
    let set = isbi19();
    let (ours, others) = (set.measure(&head(Point::new), Some(&MM), &[]), set.measure(&head(Point::new), None, &[]));
    for name in ["ANB", "ODI", "FHI", "LAFH%"] {
        assert!((value(&ours, name) - value(&others, name)).abs() < ROUNDING);
        assert!(named(&others, name).note.as_ref().unwrap().contains("square pixels are assumed"), "{name}");
    }
    for name in ["MW", "S-N", "PP-heights"] {
        let one = named(&others, name);
        assert_eq!((one.value, one.refused.as_deref()), (None, Some("no spacing is stated")), "{name}");
        assert_eq!((&one.class, one.sd, &one.note), (&None, None, &None), "{name}");
    }
}

#[test]
fn what_lacks_a_landmark_is_refused() {
    let set = isbi19();
    let mut points = head(Point::new);
    (points[1], points[9]) = (None, None);
    let all = set.measure(&points, Some(&MM), &[Some(1.0); 19]);
    assert_eq!(named(&all, "ANB").refused.as_deref(), Some("no position for Nasion"));
    assert_eq!(named(&all, "FHA").refused.as_deref(), Some("no position for Nasion, Gonion"));
    assert_eq!(named(&all, "ANB").text(), "no value: no position for Nasion");
    assert!(named(&all, "Y-axis").value.is_some() && named(&all, "Y-axis").sd.is_some());
    // Positions of the first four landmarks only.
    assert!(set.measure(&points[..4], Some(&MM), &[]).iter().all(|one| one.value.is_none()));

    let mut points = head(Point::new);
    points[1] = points[0];
    let all = set.measure(&points, Some(&MM), &[Some(1.0); 19]);
    assert_eq!(named(&all, "SNA").refused.as_deref(), Some("its landmarks lie on one another"));
    assert_eq!(named(&all, "FHA").refused.as_deref(), Some("its landmarks lie on one another"));
    points[1] = Some(Point::new(f64::NAN, 0.0));
    assert!(named(&set.measure(&points, Some(&MM), &[]), "ANB").value.is_none());
}

/// Lines and lengths by their ends, and arcs by theirs.
fn drawn(all: &[Measurement], name: &str) -> Vec<(StrokeKind, [(f64, f64); 2])> {
    let ends = |one: &Stroke| [one.points[0], one.points[one.points.len() - 1]].map(|at| (at.x, at.y));
    named(all, name).drawing.iter().map(|one| (one.kind, ends(one))).collect()
}

#[test]
fn a_measurement_is_drawn_from_its_formula() {
    use StrokeKind::{Arc, Length, Line};
    // Lines go on for a tenth of their length at both ends.
    let (level, down) = ([(96.0, 100.0), (144.0, 100.0)], [(140.0, 97.0), (140.0, 133.0)]);
    // Without a spacing, lengths have no value, but their lines are known.
    for spacing in [Some(&spacing(0.1, 0.1)), None] {
        let all = paper(PAPER).unwrap().measure(&CORNERS, spacing, &[]);
        let angle = [(Line, [(144.0, 100.0), (96.0, 100.0)]), (Line, down), (Arc, [(132.5, 100.0), (140.0, 107.5)])];
        assert_eq!(drawn(&all, "angle"), angle);
        assert_eq!(drawn(&all, "distance"), [(Length, [(140.0, 100.0), (110.0, 140.0)])]);
        assert_eq!(drawn(&all, "forwards"), [(Length, [(110.0, 140.0), (140.0, 130.0)])]);
        // The line reaches the foot of the perpendicular.
        let offset = [(Line, [(140.0, 97.0), (140.0, 140.0)]), (Length, [(140.0, 140.0), (110.0, 140.0)])];
        assert_eq!(drawn(&all, "offset"), offset);
        // Upright from the first landmark, then along the line.
        let along =
            [(Line, level), (Line, [(100.0, 96.0), (100.0, 144.0)]), (Length, [(100.0, 140.0), (110.0, 140.0)])];
        assert_eq!(drawn(&all, "along"), along);
        // What combines others shows each of their lines once.
        assert_eq!(drawn(&all, "ratio"), [&along[..], &drawn(&all, "distance")].concat());
        assert_eq!(drawn(&all, "ratio"), drawn(&all, "percent"));
    }
}

#[test]
fn an_arc_is_as_wide_as_its_angle_and_lies_on_its_lines() {
    let set = isbi19();
    let places: [fn(f64, f64) -> Point; 3] = [Point::new, |x, y| Point::new(500.0 - x, y), |x, y| Point::new(-y, x)];
    for place in places {
        for one in set.measure(&head(place), Some(&MM), &[]) {
            assert!(!one.drawing.is_empty(), "{}", one.name);
            let [first, second, arc] = one.drawing.as_slice() else { continue };
            if (first.kind, second.kind, arc.kind) != (StrokeKind::Line, StrokeKind::Line, StrokeKind::Arc) {
                continue;
            }
            let [start, end] = [arc.points[0], arc.points[arc.points.len() - 1]];
            let off = |point: Point, line: &Stroke| {
                let [a, b] = [line.points[0], line.points[1]];
                let across = (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x);
                across.abs() / a.distance_px(b) + (point.distance_px(a) + point.distance_px(b) - a.distance_px(b))
            };
            // All is rounded to a hundredth of a px.
            assert!(off(start, first) < 0.05 && off(end, second) < 0.05, "{}: {:?}", one.name, one.drawing);
            let turned: f64 = arc.points.windows(3).map(|at| bend(at[0], at[1], at[2])).sum();
            let steps = (arc.points.len() - 1) as f64;
            if steps >= 3.0 {
                let turned = turned * steps / (steps - 1.0);
                assert!((turned - one.value.unwrap().abs()).abs() < 1.0, "{}: {turned}, {:?}", one.name, one.value);
            }
        }
    }
}

/// The angle by which a way through three points turns, in degrees.
fn bend(a: Point, b: Point, c: Point) -> f64 {
    let direction = |from: Point, to: Point| (to.y - from.y).atan2(to.x - from.x).to_degrees();
    let turn = (direction(b, c) - direction(a, b)).rem_euclid(360.0);
    turn.min(360.0 - turn)
}

#[test]
fn perpendicular_is_perpendicular_in_mm_on_pixels_that_are_not_square() {
    let set = paper(PAPER).unwrap();
    let points = CORNERS.map(|at| at.map(|at| Point::new(at.x, at.y / 2.0)));
    let all = set.measure(&points, Some(&spacing(0.1, 0.2)), &[]);
    let slope = Some(Point::new(125.0, 50.0));
    assert_eq!(drawn(&all, "offset")[1], (StrokeKind::Length, [(140.0, 70.0), (110.0, 70.0)]));
    // A line that leans: its perpendicular is 3 mm long by its value too.
    let leaning = set.measure(&[points[0], slope, points[2], points[3]], Some(&spacing(0.1, 0.2)), &[]);
    let [foot, of] = drawn(&leaning, "offset")[1].1;
    let mm = ((foot.0 - of.0) * 0.1).hypot((foot.1 - of.1) * 0.2);
    assert!((mm - value(&leaning, "offset").abs()).abs() < 0.01, "{mm}");
}

#[test]
fn without_a_landmark_nothing_is_drawn() {
    let set = isbi19();
    let mut points = head(Point::new);
    points[1] = None;
    for one in set.measure(&points, Some(&MM), &[]) {
        assert_eq!(one.drawing.is_empty(), one.value.is_none(), "{}", one.name);
    }
    points[1] = points[0];
    let all = set.measure(&points, Some(&MM), &[]);
    assert!(named(&all, "SNA").drawing.is_empty() && named(&all, "ODI").drawing.len() > 3);
    assert!(!serde_json::to_string(named(&all, "SNA")).unwrap().contains("drawing"));
}

#[test]
fn a_class_whose_limit_is_within_the_error_is_uncertain() {
    let set = isbi19();
    let measured = |sd_mm: Option<f64>| set.measure(&head(Point::new), Some(&MM), &[sd_mm; 19]);
    for one in measured(Some(1e-6)) {
        assert!(!one.class_is_uncertain, "{}: {}", one.name, one.judgement());
    }
    for one in measured(Some(20.0)).iter().filter(|one| one.class.is_some()) {
        assert!(
            one.class_is_uncertain && one.judgement().contains("uncertain: a limit is within the error"),
            "{}",
            one.name
        );
    }
    // Nobody knows the error, so nobody can say more; and the field is left out of JSON.
    for one in measured(None) {
        assert!(!one.class_is_uncertain, "{}", one.name);
        assert!(!serde_json::to_string(&one).unwrap().contains("class_is_uncertain"));
    }
    // 90 % of the error on either side: at 1.6 standard deviations from a limit, it is within the error, at 1.7 it is not.
    for one in measured(Some(0.5)) {
        let (Some(class), Some(value), Some(sd)) = (&one.class, one.value, one.sd) else { continue };
        let limits = [class.from, class.above, class.to, class.below];
        let nearest = limits.iter().flatten().map(|limit| (value - limit).abs() / sd).fold(f64::INFINITY, f64::min);
        assert!(one.class_is_uncertain || nearest > 1.6, "{}", one.name);
        assert!(!one.class_is_uncertain || nearest < 1.7, "{}", one.name);
    }
}

#[test]
fn signs_are_those_of_the_literature() {
    let set = isbi19();
    let ours = set.measure(&head(Point::new), Some(&MM), &[]);
    let moved = |landmark: usize, x: f64, y: f64| {
        let mut points = head(Point::new);
        points[landmark - 1] = Some(Point::new(x, y));
        set.measure(&points, Some(&MM), &[])
    };
    // The lower jaw lies in front of the upper jaw.
    let prognathic = moved(6, 75.0, 95.0);
    assert!(value(&ours, "ANB") > 0.0 && value(&prognathic, "ANB") < 0.0);
    assert!(value(&ours, "AB-NPog") < 0.0 && value(&prognathic, "AB-NPog") > 0.0);
    assert!(value(&prognathic, "APDI") > value(&ours, "APDI") && value(&prognathic, "ODI") < value(&ours, "ODI"));
    // A palate that is tilted forwards increases both indicators.
    let tipped = moved(18, 70.0, 56.0);
    assert!(value(&tipped, "PP-FH") > 0.0 && value(&tipped, "PP-FH") > value(&ours, "PP-FH"));
    for name in ["ODI", "APDI"] {
        assert!(value(&tipped, name) > value(&ours, name), "{name}");
    }
    assert!(value(&moved(18, 70.0, 44.0), "PP-FH") < 0.0);
    // The upper incisor lies behind the lower.
    let crossbite = moved(12, 66.0, 79.0);
    assert_eq!(named(&crossbite, "MW").class.as_ref().unwrap().name, "anterior crossbite");
    assert!((value(&ours, "MW") - 10_f64.sqrt()).abs() < ROUNDING && value(&crossbite, "MW") < 0.0);
    for name in ["NAPog", "A-NPog", "UL-SnPog'", "LL-SnPog'", "Sn-H"] {
        assert!(value(&ours, name) > 0.0, "{name}");
    }
}

#[test]
fn a_line_reads_well() {
    let set = isbi19();
    let all = set.measure(&head(Point::new), Some(&MM), &[Some(0.5); 19]);
    let one =
        |name: &str, value: f64, sd: Option<f64>| Measurement { value: Some(value), sd, ..named(&all, name).clone() };
    for (one, expected) in [
        (one("ANB", 3.41, Some(0.93)), "3.4° ± 0.9"),
        (one("ANB", -0.04, None), "0.0°"),
        (one("MW", -2.55, Some(0.31)), "-2.5 ± 0.3 mm"),
        (one("FHI", 0.684, Some(0.013)), "0.68 ± 0.01"),
        (one("LAFH%", 55.0, None), "55.0 %"),
    ] {
        assert_eq!(one.text(), expected);
    }
    let classes = |name: &str| -> Vec<String> {
        let definition = set.analysis.measurements.iter().find(|one| one.name == name).unwrap();
        definition.classes.iter().map(ToString::to_string).collect()
    };
    assert_eq!(classes("ANB"), ["class III (below 3.2)", "class I (3.2 to 5.7)", "class II (above 5.7)"]);
    assert_eq!(classes("MW")[1], "edge to edge (0)");
    assert_eq!(named(&all, "ODI").norm.as_ref().unwrap().to_string(), "74.5 ± 6.07 (Kim 1974)");
    assert_eq!(named(&all, "SNA").norm.as_ref().unwrap().to_string(), "82 (Steiner 1953)");
}

#[test]
fn a_value_on_the_edge_belongs_to_the_class_that_says_so() {
    let set = isbi19();
    let class = |name: &str, value: f64| {
        let definition = set.analysis.measurements.iter().find(|one| one.name == name).unwrap();
        definition.classes.iter().find(|class| class.contains(value)).map(|class| class.name.as_str())
    };
    assert_eq!(
        [3.1, 3.2, 5.7, 5.8].map(|value| class("ANB", value).unwrap()),
        ["class III", "class I", "class I", "class II"]
    );
    assert_eq!(
        [-0.1, 0.0, 1.0, 2.0].map(|value| class("MW", value)),
        [Some("anterior crossbite"), Some("edge to edge"), None, Some("normal overjet")]
    );
}

#[test]
fn nonsense_is_refused_with_what_would_be_right() {
    let with = |measurements: &str| {
        let text = format!(
            "analysis:\n  sources: {{ us: ourselves }}\n  lines: {{ level: [back, front] }}\n  measurements:\n{measurements}"
        );
        paper(&text).unwrap_err()
    };
    let one = |name: &str, rest: &str| format!("    - {{ name: {name}, title: T, source: us, {rest} }}\n");
    let angle = "formula: { angle: [back, front, upper] }";
    let classes = |classes: &str| one("A", &format!("{angle}, classes: [{classes}]"));
    for (measurements, expected) in [
        (
            one("A", "formula: { angle: [back, frnt, upper] }"),
            "measurement `A`: no landmark is called `frnt`; did you mean `front`?",
        ),
        (one("A", "formula: { between: [levle, level] }"), "no line is called `levle`; did you mean `level`?"),
        (one("A", "formula: { angel: [back, front, upper] }"), "unknown variant `angel`, expected one of `angle`"),
        (one("A", "formula: { angle: [back, front] }"), "invalid length 2"),
        (one("A", "formula: { turn: { from: level, to: level, toward: level } }"), "unknown field `toward`"),
        (one("A", angle) + &one("A", angle), "measurement `A`: its name is taken"),
        (one("'A B'", angle), "without blanks"),
        (one("A", "formula: { sum: [A, A] }"), "`A`: it uses `A`, which must be defined above it"),
        (
            one("AB", "formula: { sum: [BC, BC] }") + &one("BC", "formula: { sum: [AB, AB] }"),
            "`AB`: it uses `BC`, which must be defined above it",
        ),
        (one("A", angle) + &one("B", "formula: { sum: [A] }"), "at least two"),
        (
            one("overbite", angle) + &one("B", "formula: { ratio: [overbiet, overbite] }"),
            "no measurement is called `overbiet`; did you mean `overbite`?",
        ),
        (
            one("A", angle) + &one("B", "formula: { distance: [back, front] }") + &one("C", "formula: { sum: [A, B] }"),
            "`A` and `B` have different units",
        ),
        (classes("{ name: x, to: 3 }, { name: y, from: 3 }"), "classes \"x\" and \"y\" overlap"),
        (classes("{ name: y, from: 2, to: 4 }, { name: x, from: 1, to: 9 }"), "classes \"y\" and \"x\" overlap"),
        (classes("{ name: x, fro: 3 }"), "unknown field `fro`, expected one of `name`, `from`"),
        (classes("{ name: x, from: 3, to: 2 }"), "class \"x\" is empty"),
        (classes("{ name: x, from: 3, below: 3 }"), "class \"x\" is empty"),
        (classes("{ name: x }"), "class \"x\" has no end"),
        (classes("{ name: x, from: 3, above: 3 }"), "two ends on one side"),
        (one("A", &format!("{angle}, norm: {{ mean: 3, sd: 0, source: us }}")), "standard deviation above 0"),
        (
            one("A", &format!("{angle}, norm: {{ mean: 3, source: us, ds: 1 }}")),
            "unknown field `ds`, expected one of `mean`",
        ),
        (one("A", &format!("{angle}, norm: {{ mean: 3, source: Steiner }}")), "no source is called `Steiner`"),
    ] {
        let message = with(&measurements);
        assert!(message.contains(expected), "{message}\nexpected: {expected}");
    }
    for (lines, expected) in [
        ("{ level: [back, lover] }", "line `level`: no landmark is called `lover`; did you mean `lower`?"),
        ("{ level: [back, back] }", "it starts and ends at `back`"),
        ("{ level: [back, front], level: [back, lower] }", "duplicate entry"),
    ] {
        let message = paper(&format!("analysis:\n  sources: {{}}\n  lines: {lines}\n  measurements: []")).unwrap_err();
        assert!(message.contains(expected), "{message}\nexpected: {expected}");
    }
}

#[test]
fn built_in_sets_measure_what_they_say() {
    let set = isbi19();
    let names: Vec<&str> = set.analysis.measurements.iter().map(|one| one.name.as_str()).collect();
    for name in ["ANB", "SNB", "SNA", "ODI", "APDI", "FHI", "FHA", "MW"] {
        let one = set.analysis.measurements.iter().find(|one| one.name == name).unwrap();
        assert!(one.source == "ISBI 2015" && one.classes.len() >= 3, "{name}");
    }
    let normed = set.analysis.measurements.iter().filter(|one| one.norm.is_some()).count();
    assert!(names.len() >= 20 && normed >= 12, "{names:?}, {normed} with norms");
    let hand = LandmarkSet::named("hand37").unwrap();
    assert!(hand.analysis.measurements.len() >= 20);
    for set in [set, hand] {
        let text = yaml::write(&set).unwrap();
        assert_eq!(LandmarkSet::from_yaml(&text).unwrap(), set);
        assert!(set.analysis.sources.values().all(|source| source.contains("19") || source.contains("20")));
    }
}

#[test]
fn a_bundle_from_before_gets_the_analysis_of_its_landmarks() {
    let (set, before) = (isbi19(), LandmarkSet { analysis: Analysis::default(), ..isbi19() });
    let text = yaml::write(&before).unwrap();
    assert!(!text.contains("analysis:"), "{text}");
    assert_eq!(LandmarkSet::from_yaml(&text).unwrap().or_built_in_analysis(), set);
    let mut other = before.clone();
    other.landmarks.swap(0, 1);
    assert_eq!(other.clone().or_built_in_analysis(), other);
    let own = LandmarkSet { id: "own".into(), ..before };
    assert!(own.or_built_in_analysis().analysis.is_empty());
}

#[test]
fn the_documentation_lists_every_measurement() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/ANALYSIS.md");
    let page = fs::read_to_string(path).unwrap();
    for id in LandmarkSet::ids() {
        let analysis = LandmarkSet::named(id).unwrap().analysis;
        for one in &analysis.measurements {
            let start = format!("| {} | {} |", one.name, one.title);
            let row = page.lines().find(|line| line.starts_with(&start)).ok_or(start).unwrap();
            let norm = one.norm.as_ref().map_or(String::new(), ToString::to_string);
            assert!(row.contains(&one.source) && row.contains(&norm), "{row}: {}, {norm}", one.source);
            for class in &one.classes {
                assert!(row.contains(&class.to_string()), "{row}: {class}");
            }
        }
        for (name, reference) in &analysis.sources {
            assert!(page.contains(&format!("| {name} | {} |", reference.trim())), "{name}");
        }
    }
}
