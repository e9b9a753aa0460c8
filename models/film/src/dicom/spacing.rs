//! How large a DICOM film's pixels are, and how far to believe it.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::text::text;
use crate::Spacing;

const PATIENT: &str = "PixelSpacing";
const DETECTOR: &str = "ImagerPixelSpacing";

/// The film's spacing, and what a person should know about it: PS3.3, 10.7.1.
pub(super) fn read(film: &InMemDicomObject) -> (Option<Spacing>, Vec<String>) {
    let (patient, detector) = (mm(film, tags::PIXEL_SPACING), mm(film, tags::IMAGER_PIXEL_SPACING));
    let mut warnings = Vec::new();
    for (name, tag, mm) in [(PATIENT, tags::PIXEL_SPACING, patient), (DETECTOR, tags::IMAGER_PIXEL_SPACING, detector)] {
        let stated = text(film, tag);
        if mm.is_none() && !stated.is_empty() {
            warnings.push(format!("{name} is {stated}, which is no size of a pixel"));
        }
    }
    let calibrated = !text(film, tags::PIXEL_SPACING_CALIBRATION_TYPE).is_empty();
    let spacing = match (patient, detector) {
        (Some(mm), Some(same)) if mm == same && !calibrated => {
            warnings.push(format!(
                "{PATIENT} is no other than {DETECTOR}: it holds at the detector, and on the patient distances are smaller"
            ));
            Some((mm, PATIENT))
        }
        (Some(mm), _) => Some((mm, PATIENT)),
        (None, Some(mm)) => {
            warnings.push(format!("{DETECTOR} holds at the detector: on the patient distances are smaller"));
            Some((mm, DETECTOR))
        }
        (None, None) => {
            warnings.push("no spacing is stated that could be used: positions are in pixels only".into());
            None
        }
    };
    (spacing.map(|(mm_per_px, source)| Spacing { mm_per_px, source: source.into() }), warnings)
}

/// mm per px, x then y; the attribute has the distance between rows first, which is y.
fn mm(film: &InMemDicomObject, tag: Tag) -> Option<[f64; 2]> {
    match film.get(tag)?.to_multi_float64().ok()?.as_slice() {
        [y, x] if [x, y].iter().all(|mm| mm.is_finite() && **mm > 0.0) => Some([*x, *y]),
        _ => None,
    }
}
