//! Tests with real films. They run if ONEMARK_DATA names a folder that contains `isbi2015` and `hand` (METHOD.md sec. 7).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use onemark_evaluation::audit::{Audit, Kind};
use onemark_evaluation::dataset::{Dataset, REPEATED_TEST1_FILMS, Split};
use onemark_film::Film;
use onemark_film::geometry::{Cell, GridMap, GridSize, Point, Size};
use onemark_models::landmarks::LandmarkSet;

/// The numbers below are given to three decimals.
const DIGITS_MM: f64 = 0.0005;

/// Mean distance between the readers over films 001-300, per landmark, mm; computed with numpy straight from the text
/// files. (METHOD.md sec. 7 gives 2.15 mm over all landmarks, these average 2.358: its numbers are not of these films
/// alone, and Test2Data is not at hand to see whether they are of all 400.)
#[allow(clippy::approx_constant, reason = "3.141 mm is a measurement")]
const DISAGREEMENT_MM: [f64; 19] = [
    0.948, 1.607, 3.258, 3.572, 3.423, 3.141, 1.257, 1.293, 1.008, 3.110, 0.697, 0.493, 3.098, 2.410, 1.686, 7.851,
    1.540, 1.955, 2.460,
];

/// The films that occur twice, as METHOD.md sec. 7 lists them.
const REPEATED: [&str; 19] = [
    "001-275", "007-293", "010-295", "014-287", "028-296", "038-283", "080-282", "088-297", "108-289", "118-285",
    "123-276", "132-291", "137-292", "138-281", "141-279", "144-173", "159-278", "188-294", "196-277",
];
/// Four further pairs, which it does not list: the same film in another contrast, as a visual comparison confirms.
const REPEATED_UNLISTED: [&str; 4] = ["056-280", "062-288", "103-201", "126-299"];

/// The size of ISBI 2015's films.
const PUBLISHED: Size = Size { width: 1935, height: 2400 };

fn data(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ONEMARK_DATA").map(|root| PathBuf::from(root).join(folder));
    if root.is_none() {
        println!("skipped: ONEMARK_DATA not set");
    }
    root
}

#[test]
fn isbi_counts_and_template() {
    let Some(root) = data("isbi2015") else { return };
    let train = Dataset::open(&root, Split::Train).unwrap();
    let test = Dataset::open(&root, Split::Test1).unwrap();
    assert_eq!((train.cases.len(), test.cases.len()), (150, 150));
    train.validate_set(&LandmarkSet::named("isbi19").unwrap()).unwrap();
    for id in REPEATED_TEST1_FILMS {
        test.case(id).unwrap();
    }
    let template = train.case("125").unwrap();
    let film = Film::open(&template.film).unwrap();
    assert_eq!((film.width(), film.height()), (1935, 2400));
    template.validate_inside(film.size()).unwrap();
    // METHOD.md sec. 1e: (835, 996) is film 001's first point by the senior reader.
    let sella = train.case("1").unwrap().readers.as_ref().unwrap()[0][0].unwrap();
    let map = GridMap::new(Size { width: 1935, height: 2400 }, GridSize::new(384, 384));
    assert_eq!((sella, map.to_cell(sella)), (Point::new(835.0, 996.0), Cell::new(159, 165)));
}

#[test]
fn isbi_readers_disagree_as_measured_elsewhere() {
    let Some(root) = data("isbi2015") else { return };
    let cases = Dataset::open(&root, Split::All).unwrap().cases;
    let mut sums = [0.0; 19];
    for case in &cases {
        let [senior, junior] = case.readers.as_ref().unwrap();
        for (sum, (s, j)) in sums.iter_mut().zip(senior.iter().zip(junior)) {
            *sum += s.unwrap().distance_mm(j.unwrap(), case.spacing_for(PUBLISHED).unwrap());
        }
    }
    let means = sums.map(|sum| sum / cases.len() as f64);
    for (landmark, (mean, expected)) in means.iter().zip(DISAGREEMENT_MM).enumerate() {
        assert!((mean - expected).abs() < DIGITS_MM, "landmark {}: {mean} mm", landmark + 1);
    }
}

#[test]
fn a_film_with_coloured_pixels_opens_as_grey() {
    let Some(root) = data("isbi2015") else { return };
    let test = Dataset::open(&root, Split::Test1).unwrap();
    let film = Film::open(&test.case("300").unwrap().film).unwrap();
    assert_eq!(film.to_grid(GridSize::new(384, 384)).unwrap().dim(), (384, 384));
}

#[test]
fn hand_films_are_complete_and_inside() {
    let Some(root) = data("hand") else { return };
    let dataset = Dataset::open(&root, Split::All).unwrap();
    dataset.validate_set(&LandmarkSet::named("hand37").unwrap()).unwrap();
    assert_eq!(dataset.cases.len(), 9);
    for case in &dataset.cases {
        let film = Film::open(&case.film).unwrap();
        case.validate_inside(film.size()).unwrap();
        assert!(case.points.is_some() && case.spacing_for(film.size()).is_some(), "{}", case.id);
    }
}

#[test]
fn repeated_films_and_label_errors_are_found() {
    let Some(root) = data("isbi2015") else { return };
    let (films, complaints) = Dataset::survey(root).unwrap();
    let report = Audit::of(&films, &complaints, 2, &|| ());
    let found = |kind: Kind| -> Vec<String> {
        report.findings.iter().filter(|found| found.kind == kind).map(|found| found.films.join("-")).collect()
    };
    let mut expected = [&REPEATED[..], &REPEATED_UNLISTED].concat();
    expected.sort_unstable();
    assert_eq!(found(Kind::RepeatedFilm), expected);
    // The junior reader's menton and gnathion. On film 088, which is the same film, they have the right numbers.
    assert_eq!(found(Kind::SwappedLandmarks), ["297"]);
    let all = [Kind::Refused, Kind::UnreadableFilm, Kind::OutsideFilm, Kind::SwappedAxes, Kind::NoSpacing];
    assert!(all.iter().all(|kind| found(*kind).is_empty()), "{:#?}", report.findings);
}

/// The senior reader's means over films are plausible for the patients of an orthodontic clinic.
#[test]
fn readers_means_are_plausible() {
    let Some(root) = std::env::var_os("ONEMARK_DATA").map(|root| PathBuf::from(root).join("isbi2015")) else {
        println!("skipped: ONEMARK_DATA not set");
        return;
    };
    let set = LandmarkSet::named("isbi19").unwrap();
    let films = Dataset::open(&root, Split::All).unwrap();
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for case in &films.cases {
        let [senior, _] = case.readers.as_ref().unwrap();
        for one in set.measure(senior, case.spacing_for(PUBLISHED), &[]) {
            values.entry(one.name).or_default().push(one.value.unwrap());
        }
    }
    for (name, low, high) in [
        ("SNA", 80.0, 85.0),
        ("SNB", 77.0, 83.0),
        ("ANB", 0.0, 4.0),
        ("ODI", 65.0, 76.0),
        ("APDI", 79.0, 89.0),
        ("FHI", 0.6, 0.72),
        ("FHA", 29.0, 36.0),
        ("MW", 0.0, 4.0),
        ("FH-NPog", 85.0, 91.0),
        ("FMA", 22.0, 31.0),
        ("PP-SN", 6.0, 11.0),
        ("MMPA", 24.0, 30.0),
        ("Y-axis", 56.0, 64.0),
        ("NSAr", 118.0, 128.0),
        ("NSArGoMe", 391.0, 401.0),
        ("LAFH%", 53.0, 58.0),
    ] {
        let mean = values[name].iter().sum::<f64>() / values[name].len() as f64;
        assert!((low..high).contains(&mean), "{name}: {mean}");
    }
}
