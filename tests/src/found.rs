//! Results on a film that nobody owns: what a detector could have said, with every kind of landmark in it.

use image::{GrayImage, Luma};
use onemark_film::geometry::Point;
use onemark_film::{DicomIdentity, Film, Spacing};
use onemark_models::landmarks::LandmarkSet;
use onemark_runtime::{Detections, Status};
use serde_json::json;

/// Width and height of the film, px.
const FILM: (u32, u32) = (970, 1200);

/// A film that is a DICOM image, its pixels 0.1 x 0.2 mm.
///
/// # Panics
/// It can't be made.
pub fn dicom_film() -> Film {
    let grey = |x: u32, y: u32| Luma([((x * x + y * y) / 9000) as u8]);
    let film = Film::from_grey(GrayImage::from_fn(FILM.0, FILM.1, grey)).unwrap();
    film.with_spacing("0.1,0.2".parse().unwrap()).with_dicom(DicomIdentity {
        patient_name: "Müller^Jörg".into(),
        patient_id: "4711".into(),
        patient_birth_date: "19700101".into(),
        patient_sex: "O".into(),
        study_instance_uid: "1.2.826.0.1.3680043.8.498.1".into(),
        study_date: "20240229".into(),
        study_time: "120000".into(),
        study_id: "1".into(),
        accession_number: "A1".into(),
        referring_physician_name: String::new(),
        series_instance_uid: "1.2.826.0.1.3680043.8.498.2".into(),
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.1.1".into(),
        sop_instance_uid: "1.2.826.0.1.3680043.8.498.3".into(),
    })
}

/// Four landmarks on [`dicom_film`]: two found, one not found, one put there by hand.
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
    let mm = |x: f64, y: f64| {
        spacing.map(|Spacing { mm_per_px: [across, down], .. }| json!({"x": x * across, "y": y * down}))
    };
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
        "film": {"width": FILM.0, "height": FILM.1},
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
