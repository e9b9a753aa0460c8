//! The attributes that Onemark reads, and their values as the types of dicom-rs.

use dicom_core::header::{DataElement, DataElementHeader};
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{Length, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::Endianness;
use dicom_encoding::decode::basic::BasicDecoder;
use dicom_encoding::decode::explicit_le::ExplicitVRLittleEndianDecoder;
use dicom_encoding::text::SpecificCharacterSet;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use dicom_parser::{StatefulDecode as _, StatefulDecoder};

use super::walk::{Element, Found, Value};
use crate::fault::Fault;

/// All attributes that Onemark reads, in a data set or in an item. What is not listed here is not kept, whoever asks for it.
pub(super) const READ: &[Tag] = &[
    // The file and its texts.
    tags::TRANSFER_SYNTAX_UID,
    tags::SPECIFIC_CHARACTER_SET,
    // Lists of films.
    tags::DIRECTORY_RECORD_SEQUENCE,
    tags::DIRECTORY_RECORD_TYPE,
    tags::REFERENCED_FILE_ID,
    // Patient, study and film.
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::SERIES_INSTANCE_UID,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    // The kind of film.
    tags::MODALITY,
    tags::PRESENTATION_INTENT_TYPE,
    tags::PATIENT_ORIENTATION,
    tags::BODY_PART_EXAMINED,
    // Spacing.
    tags::PIXEL_SPACING,
    tags::PIXEL_SPACING_CALIBRATION_TYPE,
    tags::PIXEL_SPACING_CALIBRATION_DESCRIPTION,
    tags::IMAGER_PIXEL_SPACING,
    tags::NOMINAL_SCANNED_PIXEL_SPACING,
    tags::PIXEL_ASPECT_RATIO,
    tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR,
    tags::DISTANCE_SOURCE_TO_DETECTOR,
    tags::DISTANCE_SOURCE_TO_PATIENT,
    // Pixels.
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::PLANAR_CONFIGURATION,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::PIXEL_DATA,
    // Grey.
    tags::PIXEL_PADDING_VALUE,
    tags::PIXEL_PADDING_RANGE_LIMIT,
    tags::MODALITY_LUT_SEQUENCE,
    tags::RESCALE_SLOPE,
    tags::RESCALE_INTERCEPT,
    tags::VOILUT_SEQUENCE,
    tags::VOILUT_FUNCTION,
    tags::WINDOW_CENTER,
    tags::WINDOW_WIDTH,
    tags::LUT_DESCRIPTOR,
    tags::LUT_DATA,
    tags::PRESENTATION_LUT_SHAPE,
];

/// The longest value of an attribute other than the pixels: a lookup table for all numbers of 16 bits.
const MAX_VALUE_BYTES: usize = 2 << 16;

/// The attributes with their values, except for the pixels.
pub(super) fn parsed(found: &Found<'_>) -> Result<InMemDicomObject, Fault> {
    let characters = match found.get(&tags::SPECIFIC_CHARACTER_SET) {
        Some(Element { value: Value::Bytes(names), .. }) => character_set(names),
        _ => SpecificCharacterSet::default(),
    };
    object(found, &characters)
}

/// The first of the named character sets. The parser does not know all of them; then texts are read as those of the default one.
fn character_set(names: &[u8]) -> SpecificCharacterSet {
    let first = names.split(|byte| *byte == b'\\').next().and_then(|name| str::from_utf8(name).ok());
    first.and_then(|name| SpecificCharacterSet::from_code(name.trim())).unwrap_or_default()
}

fn object(found: &Found<'_>, characters: &SpecificCharacterSet) -> Result<InMemDicomObject, Fault> {
    let elements = found.iter().filter(|(tag, _)| **tag != tags::PIXEL_DATA);
    let elements = elements.map(|(tag, element)| parsed_element(*tag, element, characters));
    Ok(InMemDicomObject::from_element_iter(elements.collect::<Result<Vec<_>, _>>()?))
}

fn parsed_element(tag: Tag, element: &Element<'_>, characters: &SpecificCharacterSet) -> Result<InMemElement, Fault> {
    let odd = |how: String| Fault::damaged(format!("the value of its attribute {tag} {how}"));
    match &element.value {
        Value::Items(items) => {
            let items: Vec<_> = items.iter().map(|item| object(item, characters)).collect::<Result<_, _>>()?;
            Ok(DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED)))
        }
        Value::Bytes(bytes) if bytes.len() > MAX_VALUE_BYTES => {
            Err(odd(format!("has {} bytes, and at most {MAX_VALUE_BYTES} are read", bytes.len())))
        }
        Value::Bytes(bytes) if element.vr != VR::SQ => {
            let value = value(tag, element, bytes, characters);
            let value = value.ok_or_else(|| odd(format!("can't be read as one of type {}", element.vr)))?;
            Ok(DataElement::new(tag, element.vr, value))
        }
        Value::Bytes(_) | Value::Fragments(_) => Err(odd("is of another kind than it can have".into())),
    }
}

/// A value, parsed by dicom-rs. The parser gets this value's bytes only.
fn value(tag: Tag, element: &Element<'_>, bytes: &[u8], characters: &SpecificCharacterSet) -> Option<PrimitiveValue> {
    let order = if element.big_endian { Endianness::Big } else { Endianness::Little };
    let header = DataElementHeader::new(tag, element.vr, Length(u32::try_from(bytes.len()).ok()?));
    let (headers, numbers) = (ExplicitVRLittleEndianDecoder::default(), BasicDecoder::new(order));
    StatefulDecoder::new(bytes, headers, numbers, characters.clone()).read_value_preserved(&header).ok()
}
