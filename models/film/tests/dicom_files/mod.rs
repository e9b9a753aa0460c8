//! Synthetic DICOM films for tests, written by dicom-rs.
#![allow(dead_code, reason = "every test file uses its part of it")]

pub mod raw;

use std::path::Path;

use dicom_core::value::{DataSetSequence, PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, Length, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use onemark_film::{Film, FilmError};

/// The patient data in a synthetic film, which only reports may contain.
pub const PATIENT: &str = "Secret^Sarah";
const UID: &str = "1.2.826.0.1.3680043.8.498.1";

/// A film to be written.
#[derive(Clone)]
pub struct Dicom {
    pub attributes: InMemDicomObject,
    pub syntax: &'static str,
}

impl Dicom {
    /// A film of 16-bit pixels, of which `bits` are used: MONOCHROME2, unsigned, no window, 20 mm per pixel, so that 1 to
    /// 100 px are as long as films can be.
    pub fn new(columns: u16, bits: u16, pixels: &[u16]) -> Self {
        let film = Self { attributes: InMemDicomObject::new_empty(), syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN };
        film.text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192")
            .text(tags::SOP_CLASS_UID, VR::UI, uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION)
            .text(tags::SOP_INSTANCE_UID, VR::UI, UID)
            .text(tags::PATIENT_NAME, VR::PN, PATIENT)
            .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
            .text(tags::PIXEL_SPACING, VR::DS, "20\\20")
            .number(tags::SAMPLES_PER_PIXEL, 1)
            .number(tags::ROWS, (pixels.len() / usize::from(columns)) as u16)
            .number(tags::COLUMNS, columns)
            .number(tags::BITS_ALLOCATED, 16)
            .number(tags::BITS_STORED, bits)
            .number(tags::HIGH_BIT, bits - 1)
            .number(tags::PIXEL_REPRESENTATION, 0)
            .put(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into()))
    }

    pub fn put(mut self, tag: Tag, vr: VR, value: PrimitiveValue) -> Self {
        self.attributes.put(DataElement::new(tag, vr, value));
        self
    }

    pub fn text(self, tag: Tag, vr: VR, text: &str) -> Self {
        self.put(tag, vr, PrimitiveValue::from(text))
    }

    pub fn number(self, tag: Tag, number: u16) -> Self {
        self.put(tag, VR::US, PrimitiveValue::from(number))
    }

    pub fn without(mut self, tag: Tag) -> Self {
        self.attributes.remove_element(tag);
        self
    }

    /// With a window: its function (or an empty text), centre, width.
    pub fn window(self, function: &str, centre: &str, width: &str) -> Self {
        self.text(tags::VOILUT_FUNCTION, VR::CS, function).text(tags::WINDOW_CENTER, VR::DS, centre).text(
            tags::WINDOW_WIDTH,
            VR::DS,
            width,
        )
    }

    /// With signed pixels.
    pub fn signed(self) -> Self {
        self.number(tags::PIXEL_REPRESENTATION, 1)
    }

    /// With items in a sequence.
    pub fn items(mut self, sequence: Tag, items: Vec<InMemDicomObject>) -> Self {
        let items = DataSetSequence::new(items, Length::UNDEFINED);
        self.attributes.put(DataElement::new(sequence, VR::SQ, items));
        self
    }

    /// With a lookup table for the values from `first` on, with entries of `bits`.
    pub fn lut(self, sequence: Tag, first: u16, bits: u16, entries: PrimitiveValue, count: u16) -> Self {
        let descriptor = PrimitiveValue::U16([count, first, bits].as_slice().into());
        let item = InMemDicomObject::from_element_iter([
            DataElement::new(tags::LUT_DESCRIPTOR, VR::US, descriptor),
            DataElement::new(tags::LUT_DATA, VR::OW, entries),
        ]);
        self.items(sequence, vec![item])
    }

    /// With its pixels compressed, in these fragments.
    pub fn encapsulated(mut self, syntax: &'static str, fragments: Vec<Vec<u8>>) -> Self {
        let pixels = PixelFragmentSequence::new(Vec::new(), fragments);
        self.attributes.put(DataElement::new(tags::PIXEL_DATA, VR::OB, pixels));
        self.syntax = syntax;
        self
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION)
            .media_storage_sop_instance_uid(UID)
            .transfer_syntax(self.syntax);
        let mut bytes = Vec::new();
        self.attributes.clone().with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        bytes
    }

    #[track_caller]
    pub fn film(&self) -> Film {
        read(&self.bytes()).unwrap()
    }

    /// The error message of a film that must be refused.
    #[track_caller]
    pub fn refusal(&self) -> String {
        read(&self.bytes()).unwrap_err().to_string()
    }
}

pub fn read(bytes: &[u8]) -> Result<Film, FilmError> {
    Film::from_bytes(bytes, Path::new("film.dcm"))
}
