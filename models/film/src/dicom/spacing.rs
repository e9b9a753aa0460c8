//! The size of a DICOM film's pixels, and its reliability (PS3.3, 10.7.1).

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::text::text;
use crate::Spacing;
use crate::warning::{FilmWarning, IMAGER_PIXEL_SPACING, PIXEL_SPACING};

/// The film's spacing, and warnings about it.
pub(super) fn read(film: &InMemDicomObject) -> (Option<Spacing>, Vec<FilmWarning>) {
    let mut warnings = Vec::new();
    let mut stated = |attribute, tag| {
        let (spacing, stated) = (spacing(film, attribute, tag), text(film, tag));
        if spacing.is_none() && !stated.is_empty() {
            warnings.push(FilmWarning::UnusableSpacing { attribute, stated });
        }
        spacing
    };
    let patient = stated(PIXEL_SPACING, tags::PIXEL_SPACING);
    let detector = stated(IMAGER_PIXEL_SPACING, tags::IMAGER_PIXEL_SPACING);
    let calibrated = !text(film, tags::PIXEL_SPACING_CALIBRATION_TYPE).is_empty();
    match (&patient, &detector) {
        (Some(patient), Some(detector)) if same(patient, detector) && !calibrated => {
            warnings.push(FilmWarning::UncalibratedSpacing);
        }
        (Some(_), _) => {}
        (None, Some(_)) => warnings.push(FilmWarning::DetectorSpacing),
        (None, None) => warnings.push(FilmWarning::NoSpacing),
    }
    (patient.or(detector), warnings)
}

fn same(one: &Spacing, other: &Spacing) -> bool {
    (one.x(), one.y()) == (other.x(), other.y())
}

/// The spacing that an attribute states, if it states one. The attribute has the distance between rows (y) first.
fn spacing(film: &InMemDicomObject, attribute: &'static str, tag: Tag) -> Option<Spacing> {
    match film.get(tag)?.to_multi_float64().ok()?.as_slice() {
        [y, x] => Spacing::new(*x, *y, attribute).ok(),
        _ => None,
    }
}
