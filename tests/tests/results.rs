//! Results in every format hold all points, at the same positions.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use chrono::DateTime;
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, from_reader};
use onemark_film::Film;
use onemark_film::geometry::Point;
use onemark_models::landmarks::LandmarkSet;
use onemark_results::json::{Document, FilmReport};
use onemark_results::{FilmResults, ResultsError, csv, dicom_sr, html, mrk_json, overlay};
use onemark_runtime::{Detection, Detections, Status};
use onemark_tests::{dicom_film, found, found_on};
use serde_json::Value;

/// Largest difference that a format's rounding may make, px.
const SAME_MM: f64 = 0.01;
const SAME_PX: f64 = 0.01;

/// Where the mm of the film come from, as every format says it.
const SAID: &str = "0.1 x 0.2 mm per px by --spacing";

fn results<'a>(detections: &'a Detections, film: &'a Film) -> FilmResults<'a> {
    FilmResults { detections, film, name: "films/<i>1.dcm", time: DateTime::UNIX_EPOCH.into() }
}

fn reports() -> Vec<FilmReport> {
    let done = FilmReport::done("1.dcm", 0.5, vec!["no spacing is stated".into()], found());
    vec![done, FilmReport::failed("2.dcm", "it is \"damaged\", copy it again")]
}

#[test]
fn json_says_what_it_is_and_has_everything() {
    let json = serde_json::to_value(Document::new(reports())).unwrap();
    assert_eq!(json["schema"], "onemark-detections/1");
    let [done, failed] = [&json["films"][0], &json["films"][1]];
    assert_eq!((&done["file"], &done["landmarks"][1]["status"]), (&"1.dcm".into(), &"not-found".into()));
    assert_eq!(done["landmarks"][0]["position"], serde_json::json!({"x": 123.456, "y": 1001.25}));
    assert!(failed["error"].is_string() && failed.get("landmarks").is_none());
}

#[test]
fn json_is_read_back_as_it_was_written() {
    let written = Document::new(reports());
    let text = serde_json::to_string_pretty(&written).unwrap();
    let read = Document::read(&text).unwrap();
    assert_eq!(read, written);
    assert_eq!(serde_json::to_string_pretty(&read).unwrap(), text);

    let mut json = serde_json::to_value(&written).unwrap();
    json["later"] = 1.into();
    json["films"][0]["later"] = "a field that a later version adds".into();
    json["films"][0]["landmarks"][0]["later"] = true.into();
    json["films"][0]["landmarks"][0].as_object_mut().unwrap().remove("windows");
    let film = &Document::read(&json.to_string()).unwrap().films[0];
    let FilmReport::Done { detections, .. } = film else { panic!("{film:?}") };
    assert_eq!((detections.landmarks()[0].windows(), detections.landmarks()[1].windows()), (None, Some(2)));

    json["schema"] = "onemark-detections/2".into();
    assert!(matches!(Document::read(&json.to_string()), Err(ResultsError::OtherSchema { .. })));
    json["films"][0].as_object_mut().unwrap().remove("landmarks");
    assert!(matches!(Document::read(&json.to_string()), Err(ResultsError::NotADocument(_))));
}

/// JSON of an earlier version: documents of schema version 1 stay readable.
#[test]
fn documents_of_before_are_read() {
    let text = include_str!("goldens/detections.json");
    let document = Document::read(text).unwrap();
    assert_eq!(serde_json::to_string_pretty(&document).unwrap() + "\n", text);
    let FilmReport::Done { detections, .. } = &document.films[0] else { panic!("{:?}", document.films[0]) };
    assert_eq!(detections.landmarks().len(), 19);
}

/// Landmark sets refuse an unknown field in a class or a norm; results don't.
#[test]
fn fields_that_later_versions_add_to_classes_and_norms_are_ignored() {
    let text = include_str!("goldens/detections.json");
    let mut json: Value = serde_json::from_str(text).unwrap();
    let mut added = 0;
    for measurement in json["films"][0]["measurements"].as_array_mut().unwrap() {
        for key in ["class", "norm"] {
            if let Some(object) = measurement[key].as_object_mut() {
                object.insert("later".into(), 1.into());
                added += 1;
            }
        }
    }
    assert!(added > 2, "{added}");
    assert_eq!(Document::read(&json.to_string()).unwrap(), Document::read(text).unwrap());
}

/// The schema is published, so that others can read our results without our code. `ONEMARK_UPDATE=1` writes the file.
#[test]
fn the_published_schema_is_that_of_the_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/detections.schema.json");
    let schema = serde_json::to_value(Document::schema()).unwrap();
    if std::env::var_os("ONEMARK_UPDATE").is_some() {
        std::fs::write(path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    let published: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(published == schema, "docs/detections.schema.json is out of date: run this test with ONEMARK_UPDATE=1");
}

#[test]
fn csv_has_a_row_for_each_landmark_and_no_guesses() {
    let table = csv::write(&reports()).unwrap();
    let mut table = ::csv::Reader::from_reader(table.as_slice());
    let columns = table.headers().unwrap().clone();
    let rows: Vec<_> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 5);
    let cell = |row: usize, column: &str| &rows[row][columns.iter().position(|name| name == column).unwrap()];
    assert_eq!(
        [cell(0, "x_px"), cell(0, "y_px"), cell(0, "x_mm"), cell(0, "y_mm")],
        ["123.456", "1001.250", "12.3456", "200.2500"]
    );
    assert_eq!([cell(0, "status"), cell(0, "confidence"), cell(2, "confidence")], ["found", "0.9340", ""]);
    assert_eq!(
        [cell(1, "title"), cell(1, "status"), cell(1, "x_px"), cell(1, "y_mm")],
        ["Nasion & <b>", "not-found", "", ""]
    );
    assert_eq!([cell(4, "file"), cell(4, "name"), cell(4, "error")], ["2.dcm", "", "it is \"damaged\", copy it again"]);
    // Columns are added at the end only.
    assert_eq!(columns.iter().skip_while(|name| *name != "error").collect::<Vec<_>>(), ["error", "spacing"]);
    assert_eq!([cell(0, "spacing"), cell(4, "spacing")], [SAID, ""]);
}

#[test]
fn slicer_gets_mm_from_the_first_pixels_centre() {
    let (film, detections) = (dicom_film(), found());
    let json: Value = serde_json::from_slice(&mrk_json::write(&results(&detections, &film)).unwrap()).unwrap();
    let points = json["markups"][0]["controlPoints"].as_array().unwrap();
    assert_eq!(points.len(), 4);
    for (point, landmark) in points.iter().zip(detections.landmarks()) {
        assert_eq!(point["label"], landmark.title());
        if landmark.status() == Status::NotFound {
            assert_eq!((&point["positionStatus"], point.get("position")), (&"undefined".into(), None));
            continue;
        }
        // The origin is the centre of the first pixel, half a pixel from the film's corner.
        let mm = landmark.mm().unwrap();
        for (place, expected) in [(0, mm.x - 0.05), (1, mm.y - 0.1), (2, 0.0)] {
            let off = point["position"][place].as_f64().unwrap() - expected;
            assert!(off.abs() < SAME_MM, "{point}");
        }
    }
    assert_eq!(json["markups"][0]["name"], format!("Landmarks of head <19> for a film of {SAID}"));
    let note = mrk_json::note(&results(&detections, &film)).unwrap();
    let says = "must show the film with 0.1 x 0.2 mm per px, which these points have: set it there, because the film's file states no";
    assert!(note.contains(says), "{note}");
    let film = Film::from_grey(film.size(), film.grey().to_vec()).unwrap();
    let error = mrk_json::write(&results(&found_on(&film), &film)).unwrap_err();
    assert!(matches!(error, ResultsError::NoSpacing { .. }) && error.to_string().contains("no spacing"), "{error}");
}

#[test]
fn the_picture_shows_each_kind_of_landmark() {
    let (film, detections) = (dicom_film(), found());
    let png = overlay::write(&results(&detections, &film)).unwrap();
    let picture = image::load_from_memory(&png).unwrap().into_rgb8();
    assert_eq!(picture.dimensions(), (970, 1200));
    let at = |landmark: usize| {
        let place = detections.landmarks()[landmark].position();
        picture.get_pixel(place.x as u32, place.y as u32).0
    };
    let [found, not_found, by_hand] = [at(0), at(1), at(2)];
    assert!(found[0] > 200 && found[2] < 100 && by_hand[2] > 200 && by_hand[0] < 100);
    // What was not found is nowhere on the film, neither as a ring around the guess: it is listed at the top.
    let yellow = |x, y| picture.get_pixel(x, y).0 == [255, 200, 0];
    let near = |x: u32, y: u32| (x - 20..x + 20).any(|x| (y - 20..y + 20).any(|y| yellow(x, y)));
    assert_eq!(not_found, [27; 3]);
    assert!(!near(400, 300) && near(30, 20));
}

#[test]
fn the_picture_shows_the_lines_from_which_something_is_measured() {
    let (film, mut json) = (dicom_film(), serde_json::to_value(found()).unwrap());
    json["measurements"] = serde_json::json!([{
        "name": "slope", "title": "Slope", "source": "us", "unit": "deg", "value": 1.0,
        "drawing": [{"kind": "line", "points": [{"x": 100.0, "y": 900.5}, {"x": 300.0, "y": 900.5}]}],
    }]);
    let detections = serde_json::from_value(json).unwrap();
    let picture = image::load_from_memory(&overlay::write(&results(&detections, &film)).unwrap()).unwrap().into_rgb8();
    let [red, green, blue] = picture.get_pixel(200, 900).0;
    assert!(green > 180 && green > red && green > blue, "{:?}", [red, green, blue]);
}

#[test]
fn the_page_is_whole_and_says_first_what_to_beware_of() {
    let (film, detections) = (dicom_film(), found());
    let page = String::from_utf8(html::write(&results(&detections, &film)).unwrap()).unwrap();
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text:?} in the page"));
    assert!(
        place("Not found: Nasion") < place("<figure>") && place("out of distribution") < place("Not found: Nasion")
    );
    for text in ["Not a medical device", SAID, "123.5", "200.25", "93 %", &"ab".repeat(32), "data:image/png;base64,"] {
        place(text);
    }
    // In an SVG, browsers would treat everything after an unclosed element as its content.
    assert_eq!(page.matches("<circle").count(), page.matches("</circle>").count());
    assert_eq!(page.matches("</image>").count(), 1);
    place("Landmarks of &lt;i&gt;1.dcm");
    for unescaped in ["<i>", "<b>", "head <19>", "films/"] {
        assert!(!page.contains(unescaped), "{unescaped}");
    }
    // Nothing is loaded from elsewhere.
    assert!(!page.contains("http") && !page.contains("<script") && !page.contains("<link"));
}

#[test]
fn a_structured_report_holds_each_point_once() {
    let (film, detections) = (dicom_film(), found());
    let report = from_reader(dicom_sr::write(&results(&detections, &film)).unwrap().as_slice()).unwrap();
    assert_eq!(report.element(tags::PATIENT_NAME).unwrap().to_str().unwrap(), "Müller^Jörg");
    let parameters = collect_texts(&report);
    let spacings = parameters.iter().filter(|text| **text == format!("spacing: {SAID}"));
    // One for each landmark that the algorithm found.
    assert_eq!(spacings.count(), 2, "{parameters:?}");
    let mut points = Vec::new();
    collect_points(&report, &mut points);
    let expected = detections.landmarks().iter().filter(|landmark| landmark.status() != Status::NotFound);
    let expected: Vec<_> = expected.map(Detection::position).collect();
    assert_eq!(points.len(), expected.len());
    for ([x, y], expected) in points.iter().zip(expected) {
        assert!((x - expected.x).abs() < SAME_PX && (y - expected.y).abs() < SAME_PX, "{x}, {y}: {expected:?}");
    }
}

fn collect_texts(object: &InMemDicomObject) -> Vec<String> {
    let own = object.element(tags::TEXT_VALUE).ok().map(|text| text.to_str().unwrap().trim_end().to_owned());
    let children = object.element(tags::CONTENT_SEQUENCE).ok().and_then(|children| children.items());
    own.into_iter().chain(children.into_iter().flatten().flat_map(collect_texts)).collect()
}

fn collect_points(object: &InMemDicomObject, points: &mut Vec<[f64; 2]>) {
    if let Ok(place) = object.element(tags::GRAPHIC_DATA) {
        points.push(place.to_multi_float64().unwrap().try_into().unwrap());
    }
    if let Ok(children) = object.element(tags::CONTENT_SEQUENCE) {
        children.items().unwrap().iter().for_each(|child| collect_points(child, points));
    }
}

#[test]
fn a_structured_report_is_the_same_again_and_another_when_a_point_moves() {
    let (film, mut detections) = (dicom_film(), found());
    let write = |detections: &Detections| dicom_sr::write(&results(detections, &film)).unwrap();
    let uid = |bytes: &[u8]| from_reader(bytes).unwrap().meta().media_storage_sop_instance_uid().to_owned();
    let first = write(&detections);
    assert_eq!(first, write(&detections));
    let Point { x, y } = detections.landmarks()[0].position();
    detections.correct(1, Point::new(x + 1.0, y), &LandmarkSet::named("isbi19").unwrap()).unwrap();
    assert_ne!(uid(&first), uid(&write(&detections)));
}

#[test]
fn a_report_about_no_image_is_refused() {
    let detections = found();
    let film = dicom_film();
    let plain = Film::from_grey(film.size(), film.grey().to_vec()).unwrap();
    let error = dicom_sr::write(&results(&detections, &plain)).unwrap_err();
    assert!(matches!(error, ResultsError::NoDicom { .. }) && error.to_string().contains("is not DICOM"), "{error}");
}
