//! Draws what this program writes, and reads it again: points of films in every form, results of detections as JSON and CSV, and
//! manifests with changes. Points come back within a hundredth of a px, with their films; manifests come back equal.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use onemark_evaluation::points::{self, FilmIdentity, FilmPoints, Form};
use onemark_film::Spacing;
use onemark_film::geometry::{GridPoint, Point, Size};
use onemark_film::visible::is_hidden;
use onemark_models::bundle::{AdaptedFilm, Bundle, BundleError, Manifest, SecondLook};
use onemark_models::confidence::{Calibration, LandmarkCalibration, Reliability};
use onemark_models::familiarity::Familiarity;
use onemark_models::files::sha256;
use onemark_models::landmarks::{Class, Definition, Formula, LandmarkSet, Norm};
use onemark_models::shape_prior::ShapePrior;
use onemark_models::yaml;
use onemark_results::csv;
use onemark_results::json::{Document, to_text};
use serde_json::{Value, json};

#[allow(dead_code, reason = "the tests of the detector use the rest")]
#[path = "../../../runtime/tests/spot/mod.rs"]
mod spot;

/// The farthest that a point may come back from where it was, in px.
const NEAR: f64 = 0.01;
/// How exactly tables of detections have positions, in px.
const CSV_STEP: f64 = 0.001;
/// The most films of a file, and the most changes of a manifest.
const MOST: usize = 3;

static SETS: LazyLock<[LandmarkSet; 2]> =
    LazyLock::new(|| ["isbi19", "hand37"].map(|id| LandmarkSet::named(id).expect("a built-in set")));
/// As exported, adapted to a film, and with a second look.
static BUNDLES: LazyLock<[Bundle; 3]> = LazyLock::new(|| {
    let bundle = spot::adaptable();
    let vectors = bundle.template_vectors().expect("vectors");
    let film = AdaptedFilm { sha256: sha256(b"a film"), source: None, landmarks: vec![1, 2] };
    let adapted = bundle.with_template_vectors(&vectors, vec![film]).expect("an adapted bundle");
    let look = SecondLook::new(vec![[0.25, 0.5], [0.75, 0.5]], vec![0.5; 2]);
    let twice = bundle.with_second_look(look, &bundle).expect("a bundle with a second look");
    [bundle, adapted, twice]
});

fuzz_target!(|bytes: &[u8]| {
    let drawn = &mut Unstructured::new(bytes);
    // An input that ends early draws nothing.
    let _ = match drawn.int_in_range(0..=2) {
        Ok(0) => points(drawn),
        Ok(1) => detections(drawn),
        _ => manifest(drawn),
    };
});

/// Writes the points of films in one of the forms.
fn points(drawn: &mut Unstructured<'_>) -> Result<()> {
    let (_, form) = *drawn.choose(&Form::NAMES)?;
    let set = drawn.choose(&*SETS)?;
    let spacing = spacing(drawn)?;
    let names = names(drawn)?;
    let (count, mut films) = (names.len(), Vec::new());
    for name in names {
        let name = if count == 1 && drawn.ratio(1, 8)? { None } else { Some(name) };
        let size = if drawn.ratio(7, 8)? { Some(size(drawn)?) } else { None };
        let sha256 = if drawn.arbitrary()? { Some(sha256(drawn.arbitrary()?)) } else { None };
        let mut points = vec![None; set.len()];
        for point in &mut points {
            if drawn.ratio(3, 4)? {
                *point = Some(position(drawn)?);
            }
        }
        films.push(FilmPoints { points, ..FilmPoints::none(FilmIdentity { name, size, sha256 }, set.len()) });
    }
    let written = points::write(form, &films, set, spacing.as_ref());
    let states_film = matches!(form, Form::Coco | Form::Cvat);
    let has_all = films.iter().all(|film| !states_film || (film.film.name.is_some() && film.film.size.is_some()));
    let can_be = (count == 1 || !form.is_of_one_film()) && (spacing.is_some() || !form.is_in_mm()) && has_all;
    assert_eq!(written.is_ok(), can_be, "{form}: {written:?}");
    let Ok(written) = written else { return Ok(()) };
    let text = String::from_utf8_lossy(&written);
    let file = points::parse("points".as_ref(), &written).unwrap_or_else(|error| panic!("{form}: {error}: {text}"));
    assert_eq!(file.form(), form, "{text}");
    let read = match file.films(set, spacing.as_ref()) {
        Ok(read) => read,
        Err(error) => {
            assert!(films.iter().any(|film| may_be_refused(&film.points)), "{form}: {error}: {text}");
            return Ok(());
        }
    };
    // A table has a row for each point.
    let is_there = |film: &&FilmPoints| form != Form::Csv || film.points.iter().any(Option::is_some);
    let expected: Vec<&FilmPoints> = films.iter().filter(is_there).collect();
    assert_eq!(read.len(), expected.len(), "{form}: {text}");
    for (read, film) in read.iter().zip(expected) {
        same_film(form, &read.film, &film.film, &text);
        for (read, point) in read.points.iter().zip(&film.points) {
            let expected = point.filter(|point| form.is_in_mm() || !stands_for_none(*point));
            same_point(*read, expected, NEAR, &text);
        }
    }
    Ok(())
}

/// Whether the points of a film may be refused when they are read: they look like shares of its size, or are all at one place.
fn may_be_refused(points: &[Option<Point>]) -> bool {
    let placed = || points.iter().flatten();
    let is_share = |number: f64| (-NEAR..=1.0 + NEAR).contains(&number);
    let first = placed().next();
    placed().all(|point| is_share(point.x) && is_share(point.y))
        || first.is_some_and(|first| placed().count() > 1 && placed().all(|point| point.distance_px(*first) <= NEAR))
}

/// Whether a form knows the film as well as it can.
fn same_film(form: Form, read: &FilmIdentity, film: &FilmIdentity, text: &str) {
    let FilmIdentity { name, size, sha256 } = film.clone();
    let has_digest = matches!(form, Form::Json | Form::Labelme | Form::Coco);
    let expected = match form {
        Form::Slicer | Form::SlicerTable => FilmIdentity::default(),
        Form::Csv => FilmIdentity { name, ..FilmIdentity::default() },
        _ => FilmIdentity { name, size, sha256: sha256.filter(|_| has_digest) },
    };
    // Tables write out what spreadsheets would hide, and XML has not all letters.
    let is_other = |letter: char| match form {
        Form::Csv => is_hidden(letter),
        Form::Cvat => matches!(letter, '\u{fffe}' | '\u{ffff}'),
        _ => false,
    };
    assert!(
        film.name.iter().any(|name| name.contains(is_other)) || *read == expected,
        "{form}: {read:?} {expected:?}: {text}"
    );
}

/// Writes results of detections as JSON and as a table, and reads them as points.
fn detections(drawn: &mut Unstructured<'_>) -> Result<()> {
    let set = drawn.choose(&*SETS)?;
    let spacing = spacing(drawn)?;
    let mut films = Vec::new();
    let mut expected: Vec<(String, Size, Vec<Option<Point>>)> = Vec::new();
    for name in names(drawn)? {
        let Size { width, height } = size(drawn)?;
        let mut points = Vec::new();
        let mut landmarks = Vec::new();
        for landmark in &set.landmarks {
            let at = position(drawn)?;
            let status = *drawn.choose(&["found", "not-found", "edited-by-hand"])?;
            points.push(Some(at).filter(|_| status != "not-found"));
            landmarks.push(json!({
                "number": landmark.number, "name": landmark.name, "title": landmark.title, "status": status,
                "cell": [1, 2], "position": {"x": at.x, "y": at.y}, "score": 0.5,
                "mm": spacing.as_ref().map(|spacing| json!({"x": at.x * spacing.x(), "y": at.y * spacing.y()})),
                "confidence": share(drawn)?, "radius_mm": share(drawn)?, "surprise": share(drawn)?, "windows": null,
            }));
        }
        films.push(json!({
            "file": name, "seconds": 0.5, "warnings": [drawn.arbitrary::<&str>()?], "bundle": {"name": "b", "sha256": "5f1c"},
            "backend": "tract", "film": {"width": width, "height": height}, "spacing": spacing, "calibration": null,
            "unusual": null, "landmarks": landmarks, "measurements": [],
        }));
        expected.push((name, Size { width, height }, points));
    }
    if drawn.arbitrary()? {
        films.push(json!({"file": "failed.png", "error": drawn.arbitrary::<&str>()?}));
    }
    let document: Value = json!({"schema": "onemark-detections/1", "program": "a test", "films": films});
    let document: Document = serde_json::from_value(document).expect("a document");
    let text = to_text(&document, drawn.arbitrary()?).expect("JSON");
    assert_eq!(document, Document::read(&text).expect("a document"));
    let table = String::from_utf8(csv::write(&document.films).expect("a table")).expect("a text");
    for (form, text) in [(Form::Json, &text), (Form::Csv, &table)] {
        let file = points::parse("points".as_ref(), text.as_bytes());
        let file = file.unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(file.form(), form);
        let read = match file.films(set, None) {
            Ok(read) => read,
            Err(error) => {
                assert!(expected.iter().any(|(.., points)| may_be_refused(points)), "{error}: {text}");
                continue;
            }
        };
        // JSON names the film that failed too.
        assert!(read.len() >= expected.len());
        for (read, (name, size, points)) in read.iter().zip(&expected) {
            let film = FilmIdentity { name: Some(name.clone()), size: Some(*size), sha256: None };
            same_film(form, &read.film, &film, text);
            for (read, point) in read.points.iter().zip(points) {
                let step = |px: f64| if form == Form::Csv { (px / CSV_STEP).round() * CSV_STEP } else { px };
                let point = point.map(|point| Point::new(step(point.x), step(point.y)));
                same_point(*read, point.filter(|point| !stands_for_none(*point)), NEAR, text);
            }
        }
    }
    Ok(())
}

/// Changes a manifest, and writes and reads it if it is valid.
fn manifest(drawn: &mut Unstructured<'_>) -> Result<()> {
    let bundle = drawn.choose(&*BUNDLES)?;
    let mut manifest = bundle.manifest().clone();
    for _ in 0..drawn.int_in_range(1..=MOST)? {
        change(&mut manifest, drawn)?;
    }
    let bundle = match bundle.with_manifest(manifest) {
        Ok(bundle) => bundle,
        // A rule says why. That a text can't be read again is no rule.
        Err(BundleError::Manifest { .. } | BundleError::SecondLook { .. }) => return Ok(()),
        Err(error) => panic!("{error:?}"),
    };
    let text = yaml::write(bundle.manifest()).expect("every manifest can be written");
    let read: Manifest = yaml::read("a test", &text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(&read, bundle.manifest(), "{text}");
    assert_eq!(bundle.digest(), sha256(text.as_bytes()));
    Ok(())
}

fn change(manifest: &mut Manifest, drawn: &mut Unstructured<'_>) -> Result<()> {
    let set = &mut manifest.landmark_set;
    let landmark = drawn.int_in_range(0..=set.landmarks.len() - 1)?;
    let count = set.landmarks.len();
    match drawn.int_in_range(0..=21)? {
        0 => manifest.name = text(drawn)?,
        1 => manifest.made_by = text(drawn)?,
        2 => set.id = text(drawn)?,
        3 => set.name = text(drawn)?,
        4 => set.source = text(drawn)?,
        5 => set.landmarks[landmark].title = text(drawn)?,
        6 => set.landmarks[landmark].definition = text(drawn)?,
        7 => manifest.input.preprocessing = text(drawn)?,
        8 => manifest.recipe = text(drawn)?,
        9 => manifest.history.push(text(drawn)?),
        10 => manifest.intended_use = text(drawn)?,
        11 => manifest.weights_licence = text(drawn)?,
        12 => drop(set.analysis.sources.insert(text(drawn)?, text(drawn)?)),
        13 => drop(set.analysis.lines.insert(text(drawn)?, ["spot".into(), "left".into()])),
        21 => {
            if let Some(look) = &mut manifest.second_look {
                look.frame[landmark] = [number(drawn)?, number(drawn)?];
                look.shares[landmark] = number(drawn)?;
                look.shared_weights = drawn.int_in_range(0..=200)?;
            }
        }
        14 => {
            let formula = formula(drawn)?;
            let measurement = Definition {
                name: text(drawn)?,
                title: text(drawn)?,
                formula,
                source: "us".into(),
                classes: Vec::new(),
                norm: None,
                note: if drawn.arbitrary()? { Some(text(drawn)?) } else { None },
            };
            set.analysis.measurements.push(measurement);
        }
        15 => {
            let classes = &mut set.analysis.measurements[0].classes;
            let [from, above, to, below] = [bound(drawn)?, bound(drawn)?, bound(drawn)?, bound(drawn)?];
            classes.push(Class { name: text(drawn)?, from, above, to, below });
        }
        16 => {
            let norm = Norm { mean: number(drawn)?, sd: bound(drawn)?, source: "us".into() };
            set.analysis.measurements[0].norm = Some(norm);
        }
        17 => {
            let [row, column] = [number(drawn)?, number(drawn)?];
            let variance = number(drawn)?;
            manifest.shape_prior = Some(ShapePrior {
                mean: vec![GridPoint::new(row, column); count],
                covariance: (0..2 * count)
                    .map(|row| (0..2 * count).map(|column| if row == column { variance } else { 0.0 }).collect())
                    .collect(),
                noise: number(drawn)?,
            });
        }
        18 => {
            let one = LandmarkCalibration {
                median: number(drawn)?,
                deviation: number(drawn)?,
                log_odds: number(drawn)?,
                mean_error_mm: number(drawn)?,
                within_2_mm: share(drawn)?,
                radius_mm: number(drawn)?,
            };
            manifest.calibration = Some(Calibration {
                films: text(drawn)?,
                landmarks: vec![one; count],
                slope: number(drawn)?,
                weakest: number(drawn)?,
                out_of_distribution: number(drawn)?,
                reliability: Reliability { draws: drawn.arbitrary()?, auroc: share(drawn)?, ..Reliability::default() },
            });
        }
        19 => {
            let (films, farthest) = (drawn.arbitrary()?, number(drawn)?);
            manifest.familiarity = Some(Familiarity { films, medians: vec![number(drawn)?; count], farthest });
        }
        _ => {
            if let Some(film) = manifest.adapted.as_mut().and_then(|adapted| adapted.films.first_mut()) {
                film.source = Some(text(drawn)?);
            }
        }
    }
    Ok(())
}

fn formula(drawn: &mut Unstructured<'_>) -> Result<Formula> {
    let ends = || ["spot".to_owned(), "left".to_owned()];
    let mut other = || -> Result<String> { Ok(if drawn.arbitrary()? { "gap".into() } else { text(drawn)? }) };
    let two = [other()?, other()?];
    Ok(match drawn.int_in_range(0..=5)? {
        0 => Formula::Distance(ends()),
        1 => Formula::Angle(["spot".into(), "left".into(), text(drawn)?]),
        2 => Formula::Ratio(two),
        3 => Formula::Difference(two),
        4 => Formula::Sum(two.into()),
        _ => Formula::Between(two),
    })
}

/// A text, in most cases without characters that no text may have.
fn text(drawn: &mut Unstructured<'_>) -> Result<String> {
    let text: String = drawn.arbitrary()?;
    Ok(if drawn.ratio(1, 8)? { text } else { text.replace(is_hidden, "") })
}

/// Any number, or one that is likely to be allowed.
fn number(drawn: &mut Unstructured<'_>) -> Result<f64> {
    if drawn.ratio(1, 4)? { drawn.arbitrary() } else { Ok(f64::from(drawn.arbitrary::<i32>()?) / 1024.0) }
}

fn bound(drawn: &mut Unstructured<'_>) -> Result<Option<f64>> {
    if drawn.arbitrary()? { number(drawn).map(Some) } else { Ok(None) }
}

/// A number from 0 to 1.
fn share(drawn: &mut Unstructured<'_>) -> Result<f64> {
    Ok(f64::from(drawn.arbitrary::<u32>()?) / f64::from(u32::MAX))
}

/// A position on a film, or a little beside it.
fn position(drawn: &mut Unstructured<'_>) -> Result<Point> {
    let mut axis = || -> Result<f64> {
        Ok(match drawn.int_in_range(0..=7)? {
            0 => f64::from(drawn.int_in_range(-1..=2_i32)?),
            1 => Some(drawn.arbitrary::<f64>()?).filter(|px| px.abs() <= 65_535.0).unwrap_or_default(),
            _ => f64::from(drawn.arbitrary::<u32>()?) / 65_537.0,
        })
    };
    Ok(Point::new(axis()?, axis()?))
}

fn size(drawn: &mut Unstructured<'_>) -> Result<Size> {
    Ok(Size { width: drawn.int_in_range(1..=u32::MAX)?, height: drawn.int_in_range(1..=u32::MAX)? })
}

fn spacing(drawn: &mut Unstructured<'_>) -> Result<Option<Spacing>> {
    let mut side = || -> Result<f64> { Ok(f64::from(drawn.int_in_range(1..=1000_u16)?) / 512.0) };
    let (x, y) = (side()?, side()?);
    Ok(if drawn.ratio(7, 8)? { Spacing::new(x, y, "a test").ok() } else { None })
}

/// Different names of files, as a file system could have them.
fn names(drawn: &mut Unstructured<'_>) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for number in 0..drawn.int_in_range(1..=MOST)? {
        let name: String = drawn.arbitrary()?;
        let name = name.replace(|letter: char| letter.is_control() || "/\\".contains(letter), "");
        let name = name.trim().to_owned();
        names.insert(if name.is_empty() { format!("{number}.png") } else { name });
    }
    Ok(names)
}

/// Positions that many programs write for "not annotated".
fn stands_for_none(Point { x, y }: Point) -> bool {
    (x == 0.0 && y == 0.0) || (x == -1.0 && y == -1.0)
}

fn same_point(read: Option<Point>, expected: Option<Point>, near: f64, text: &str) {
    match (read, expected) {
        (Some(read), Some(expected)) => assert!(read.distance_px(expected) <= near, "{read:?} {expected:?}: {text}"),
        (read, expected) => assert!(read.is_none() && expected.is_none(), "{read:?} {expected:?}: {text}"),
    }
}
