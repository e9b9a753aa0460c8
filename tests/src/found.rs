//! Results on a film that nobody owns: what a detector could have said, with every kind of landmark in it.

use image::{GrayImage, Luma};
use onemark_film::geometry::Point;
use onemark_film::{DicomIdentity, Film};
use onemark_models::landmarks::LandmarkSet;
use onemark_runtime::{BundleId, Detection, Detections, FilmSize, Millimetres, Status};

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
/// The film states no spacing.
pub fn found() -> Detections {
    let spacing = dicom_film().spacing().unwrap().clone();
    let [across, down] = spacing.mm_per_px;
    let landmark = |number, name: &str, title: &str, status, (x, y), confidence| Detection {
        number,
        name: name.into(),
        title: title.into(),
        status,
        cell: (1, 2),
        position: Point::new(x, y),
        mm: Some(Millimetres { x: x * across, y: y * down }),
        score: 0.75,
        confidence,
        radius_mm: confidence.map(|_| 1.9),
        surprise: Some(3.5),
        windows: Some(2),
    };
    let mut found = Detections {
        bundle: BundleId { name: "head <19>".into(), sha256: "ab".repeat(32) },
        backend: "onnxruntime",
        film: FilmSize { width: FILM.0, height: FILM.1 },
        spacing: Some(spacing),
        calibration: Some("40 films".into()),
        unusual: Some(true),
        landmarks: vec![
            landmark(1, "sella", "Sella", Status::Found, (123.456, 1001.25), Some(0.934)),
            landmark(2, "nasion", "Nasion & <b>", Status::NotFound, (400.0, 300.0), Some(0.12)),
            landmark(3, "orbitale", "Orbitale", Status::EditedByHand, (500.5, 600.125), None),
            landmark(18, "posterior-nasal-spine", "Posterior nasal spine", Status::Found, (969.9, 0.05), Some(0.5)),
        ],
        measurements: Vec::new(),
    };
    found.measure(&LandmarkSet::named("isbi19").unwrap());
    found
}
