//! What a DICOM film says about its kind and its position, compared with what Onemark is made for: radiographs as people read them, upright.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::text::{code, text};
use crate::FilmWarning;

/// Modalities of radiographs, and of scans and secondary captures, which may be some (PS3.3, C.7.3.1.1.1).
const RADIOGRAPHS: [&str; 13] = ["", "CR", "DX", "DR", "IO", "PX", "RG", "RF", "XA", "MG", "HC", "OT", "SC"];

/// Kinds of films that hold the numbers of the detector.
const FOR_PROCESSING: [&str; 3] = [
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::DIGITAL_INTRA_ORAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
];

/// Parts of the body that are not shown with the head up.
const LIMBS: [&str; 13] = [
    "HAND",
    "WRIST",
    "FINGER",
    "THUMB",
    "ARM",
    "FOREARM",
    "ELBOW",
    "HUMERUS",
    "FOOT",
    "TOE",
    "ANKLE",
    "CALCANEUS",
    "LEG",
];

/// Adds warnings about a film that is not a radiograph, not for people, or not upright.
///
/// The film stays as it is, as viewers show it: positions are those of the pixels in the file. Attributes about the acquisition, such as
/// FieldOfViewRotation, are not used: they say what was done to the pixels before they were stored.
pub(super) fn compare(film: &InMemDicomObject, warnings: &mut Vec<FilmWarning>) {
    let modality = code(film, tags::MODALITY);
    if !RADIOGRAPHS.contains(&modality.as_str()) {
        warnings.push(FilmWarning::OtherModality { modality });
    }
    let is_raw = text(film, tags::PRESENTATION_INTENT_TYPE) == "FOR PROCESSING"
        || FOR_PROCESSING.contains(&text(film, tags::SOP_CLASS_UID).as_str());
    if is_raw {
        warnings.push(FilmWarning::ForProcessing);
    }
    if let Some(towards) = columns_towards(film)
        && !LIMBS.contains(&text(film, tags::BODY_PART_EXAMINED).as_str())
    {
        warnings.push(FilmWarning::NotUpright { towards });
    }
}

/// Where the columns of a film run that does not stand upright: not towards the feet. PatientOrientation states where rows run, then
/// columns, by letters of which the first counts most (PS3.3, C.7.6.1.1.1).
fn columns_towards(film: &InMemDicomObject) -> Option<&'static str> {
    let orientation = text(film, tags::PATIENT_ORIENTATION);
    let (_, columns) = orientation.split_once('\\')?;
    Some(match columns.trim().chars().next()? {
        'H' => "head",
        'A' => "front",
        'P' => "back",
        'L' => "left",
        'R' => "right",
        _ => return None,
    })
}
