//! The size of a DICOM film's pixels, and its reliability (PS3.3, 10.7.1).
//!
//! PixelSpacing is used first. ImagerPixelSpacing and NominalScannedPixelSpacing apply where everything is larger than in the patient,
//! at the detector and on the scanned film. The file may state how much larger; this is not used, because it is an estimate for one depth in
//! the patient, and mistakes in it can't be seen in the result. The warning gives the size that follows from it, so a person can state it.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::header::number;
use super::text::text;
use crate::spacing::{
    FileStatement, IMAGER_PIXEL_SPACING, MAGNIFICATION, NOMINAL_SCANNED_PIXEL_SPACING, PIXEL_ASPECT_RATIO,
    PIXEL_SPACING, is_same,
};
use crate::visible::short;
use crate::{Spacing, SpacingWarning};

/// The largest factor by which a radiograph magnifies the patient. A larger one is a mistake.
const MOST_MAGNIFIED: f64 = 5.0;
/// The most oblong pixels of any use: one side this many times as long as the other.
const MOST_OBLONG: f64 = 100.0;

/// What the film's file states about its spacing.
pub(super) fn read(film: &InMemDicomObject) -> FileStatement {
    let mut warnings = Vec::new();
    let mut stated = |attribute, tag| {
        let spacing = pair(film, tag).and_then(|[y, x]| Spacing::new(x, y, attribute).ok());
        if spacing.is_none() {
            warnings.extend(unusable(film, attribute, tag));
        }
        spacing
    };
    let patient = stated(PIXEL_SPACING, tags::PIXEL_SPACING);
    let detector = stated(IMAGER_PIXEL_SPACING, tags::IMAGER_PIXEL_SPACING);
    let scanned = stated(NOMINAL_SCANNED_PIXEL_SPACING, tags::NOMINAL_SCANNED_PIXEL_SPACING);
    let (device, of_device) = match (detector, scanned) {
        (Some(detector), _) => (Some(detector), (IMAGER_PIXEL_SPACING, SpacingWarning::AtDetector)),
        (None, scanned) => (scanned, (NOMINAL_SCANNED_PIXEL_SPACING, SpacingWarning::OnScannedFilm)),
    };
    let is_calibrated = !text(film, tags::PIXEL_SPACING_CALIBRATION_TYPE).is_empty();
    match (&patient, &device) {
        (Some(_), _) if is_calibrated => {}
        (Some(patient), Some(device)) if patient.agrees_with(device) => {
            warnings.push(SpacingWarning::Uncalibrated { repeats: of_device.0 });
            warnings.extend(magnified(film, Some(patient)));
        }
        // It differs from the device's, so it was calibrated.
        (Some(_), Some(_)) => {}
        (Some(_), None) => warnings.extend(magnified(film, None)),
        (None, Some(device)) => {
            warnings.push(of_device.1);
            warnings.extend(magnified(film, Some(device)));
        }
        (None, None) => warnings.push(SpacingWarning::NoSpacing),
    }
    let aspect = aspect(film);
    if aspect.is_none() {
        warnings.extend(unusable(film, PIXEL_ASPECT_RATIO, tags::PIXEL_ASPECT_RATIO));
    }
    FileStatement { spacing: patient.or_else(|| device.clone()), device, aspect, resolution: None, warnings }
}

/// An attribute's two numbers: of rows (down), then of columns (to the right).
fn pair(film: &InMemDicomObject, tag: Tag) -> Option<[f64; 2]> {
    film.get(tag)?.to_multi_float64().ok()?.try_into().ok()
}

/// How many times as high as wide a pixel is.
fn aspect(film: &InMemDicomObject) -> Option<f64> {
    let [high, wide] = pair(film, tags::PIXEL_ASPECT_RATIO)?;
    Some(high / wide).filter(|aspect| (1.0 / MOST_OBLONG..=MOST_OBLONG).contains(aspect) && high > 0.0)
}

/// A warning about an attribute that has a value which can't be used.
fn unusable(film: &InMemDicomObject, attribute: &'static str, tag: Tag) -> Option<SpacingWarning> {
    let text = text(film, tag);
    let is_number = |part: &str| part.trim().is_empty() || part.trim().parse::<f64>().is_ok();
    let stated = if text.split('\\').all(is_number) { text.clone() } else { String::new() };
    (!text.is_empty()).then_some(SpacingWarning::Unusable { attribute, stated })
}

/// By how much the film magnifies the patient, where the file states that: once by a factor, and once by distances if these say
/// something else. `device` is the spacing where everything is larger; `None` if the spacing may apply in the patient.
fn magnified(film: &InMemDicomObject, device: Option<&Spacing>) -> Vec<SpacingWarning> {
    const FACTOR: Tag = tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR;
    let warning = |stated: String, factor: f64| {
        let corrected_mm = device.map(|device| [device.x() / factor, device.y() / factor]);
        SpacingWarning::Magnified { stated, corrected_mm }
    };
    let is_possible = |factor: &f64| *factor <= MOST_MAGNIFIED && *factor > 1.0 && !is_same(*factor, 1.0);
    let factor = number(film, FACTOR).filter(is_possible);
    let mut warnings = Vec::new();
    match factor {
        Some(factor) => warnings.push(warning(format!("{MAGNIFICATION} is {}", short(factor)), factor)),
        None if number(film, FACTOR).is_some_and(|factor| is_same(factor, 1.0)) => {}
        None => warnings.extend(unusable(film, MAGNIFICATION, FACTOR)),
    }
    let distances = number(film, tags::DISTANCE_SOURCE_TO_DETECTOR).zip(number(film, tags::DISTANCE_SOURCE_TO_PATIENT));
    let by_distances = distances.map(|(detector, patient)| detector / patient).filter(is_possible);
    if let (Some((detector, patient)), Some(ratio)) = (distances, by_distances)
        && factor.is_none_or(|factor| !is_same(factor, ratio))
    {
        let [detector, patient] = [detector, patient].map(short);
        let stated = format!("DistanceSourceToDetector is {detector} and DistanceSourceToPatient {patient}");
        warnings.push(warning(stated, ratio));
    }
    warnings
}
