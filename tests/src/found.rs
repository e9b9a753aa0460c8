//! Results on a synthetic film, as a detector could give them, with landmarks of every status.

use std::collections::BTreeMap;

use onemark_film::geometry::Point;
use onemark_film::{Film, Size, Spacing};
use onemark_models::landmarks::LandmarkSet;
use onemark_runtime::{Detections, Status};
use serde_json::json;

use crate::data_set;

/// The size of the film.
const FILM: Size = Size { width: 970, height: 1200 };

/// A film that is a DICOM image, its pixels 0.1 x 0.2 mm.
///
/// # Panics
/// It can't be read.
pub fn dicom_film() -> Film {
    let rows = (0..FILM.height).flat_map(|y| (0..FILM.width).map(move |x| ((x * x + y * y) / 9000) as u8));
    let pixels: Vec<u8> = rows.collect();
    let [one, eight, rows, columns] = [1, 8, FILM.height, FILM.width].map(|number| (number as u16).to_le_bytes());
    let attributes: BTreeMap<u32, &[u8]> = [
        (0x0008_0005, &b"ISO_IR 192"[..]),
        (0x0008_0016, b"1.2.840.10008.5.1.4.1.1.1.1\0"),
        (0x0008_0018, b"1.2.826.0.1.3680043.8.498.3\0"),
        (0x0008_0020, b"20240229"),
        (0x0008_0030, b"120000"),
        (0x0008_0050, b"A1"),
        (0x0010_0010, "Müller^Jörg ".as_bytes()),
        (0x0010_0020, b"4711"),
        (0x0010_0030, b"19700101"),
        (0x0010_0040, b"O "),
        (0x0020_000D, b"1.2.826.0.1.3680043.8.498.1\0"),
        (0x0020_000E, b"1.2.826.0.1.3680043.8.498.2\0"),
        (0x0020_0010, b"1 "),
        (0x0028_0002, &one),
        (0x0028_0004, b"MONOCHROME2 "),
        (0x0028_0010, &rows),
        (0x0028_0011, &columns),
        (0x0028_0100, &eight),
        // The window that leaves 8 bits as they are.
        (0x0028_1050, b"128 "),
        (0x0028_1051, b"256 "),
        (0x7FE0_0010, &pixels),
    ]
    .into();
    let film = Film::from_bytes(&data_set(&attributes), "found.dcm").unwrap();
    film.with_spacing(Spacing::parse("0.1,0.2", "--spacing").unwrap())
}

/// Four landmarks on [`dicom_film`]: two found, one not found, one placed by hand.
///
/// # Panics
/// The text is not that of detections.
pub fn found() -> Detections {
    found_on(&dicom_film())
}

/// The same on a film of the same size, which may state another spacing or none.
///
/// # Panics
/// The text is not that of detections.
pub fn found_on(film: &Film) -> Detections {
    let spacing = film.spacing();
    let mm = |x: f64, y: f64| spacing.map(|spacing| json!({"x": x * spacing.x(), "y": y * spacing.y()}));
    let landmark = |number: u32, name: &str, title: &str, status: Status, (x, y): (f64, f64), confidence: f64| {
        json!({
            "number": number,
            "name": name,
            "title": title,
            "status": status,
            "cell": [1, 2],
            "position": {"x": x, "y": y},
            "mm": mm(x, y),
            "score": 0.75,
            "confidence": confidence,
            "radius_mm": spacing.map(|_| 1.9),
            "surprise": 3.5,
            "windows": 2,
        })
    };
    let found = json!({
        "bundle": {"name": "head <19>", "sha256": "ab".repeat(32)},
        "backend": "onnxruntime",
        "film": {"width": FILM.width, "height": FILM.height},
        "spacing": spacing,
        "calibration": "40 films",
        "unusual": true,
        "landmarks": [
            landmark(1, "sella", "Sella", Status::Found, (123.456, 1001.25), 0.934),
            landmark(2, "nasion", "Nasion & <b>", Status::NotFound, (400.0, 300.0), 0.12),
            landmark(3, "orbitale", "Orbitale", Status::Found, (490.0, 610.0), 0.8),
            landmark(18, "posterior-nasal-spine", "Posterior nasal spine", Status::Found, (969.9, 0.05), 0.5),
        ],
        "measurements": [],
    });
    let mut found: Detections = serde_json::from_value(found).unwrap();
    found.correct(3, Point::new(500.5, 600.125), &LandmarkSet::named("isbi19").unwrap()).unwrap();
    found
}
