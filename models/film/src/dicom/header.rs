//! The description of the pixels in a DICOM file, read and validated before any pixel is decoded.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::reader::Fault;
use super::text::text;
use crate::Size;

/// The allowed numbers of bits of a pixel in the file.
const BITS_ALLOCATED: [u32; 2] = [8, 16];

/// How a film's pixels are stored: one grey sample per pixel, of 8 or 16 bits. Not all bits need to be used.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) size: Size,
    pub(super) bits_allocated: u32,
    pub(super) bits_stored: u32,
    high_bit: u32,
    pub(super) signed: bool,
    /// Whether small values are bright: MONOCHROME1.
    pub(super) inverted: bool,
}

impl Header {
    pub(super) fn read(film: &InMemDicomObject) -> Result<Self, Fault> {
        refuse_no_film(film)?;
        let missing = |what: &str| Fault::Damaged(format!("it does not state its {what}"));
        let inverted = match text(film, tags::PHOTOMETRIC_INTERPRETATION).as_str() {
            "MONOCHROME1" => true,
            "MONOCHROME2" => false,
            "" => return Err(missing("PhotometricInterpretation")),
            other => {
                return Err(Fault::Unsupported(
                    format!("its pixels are {other}, not grey"),
                    "export it as MONOCHROME2, PNG or TIFF",
                ));
            }
        };
        let [rows, columns] = [(tags::ROWS, "Rows"), (tags::COLUMNS, "Columns")]
            .map(|(tag, name)| integer(film, tag).ok_or_else(|| missing(name)));
        let bits_allocated = integer(film, tags::BITS_ALLOCATED).ok_or_else(|| missing("BitsAllocated"))?;
        let bits_stored = integer(film, tags::BITS_STORED).unwrap_or(bits_allocated);
        let high_bit = integer(film, tags::HIGH_BIT).unwrap_or(bits_stored.saturating_sub(1));
        let samples = integer(film, tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        if samples != 1 || !BITS_ALLOCATED.contains(&bits_allocated) {
            return Err(Fault::Unsupported(
                format!("it has {samples} samples per pixel of {bits_allocated} bits each, where 1 of 8 or 16 is read"),
                "export it as grey of 8 or 16 bits",
            ));
        }
        if bits_stored == 0 || high_bit >= bits_allocated || bits_stored > high_bit + 1 {
            return Err(Fault::Damaged(format!(
                "of {bits_allocated} bits it claims to use {bits_stored}, and the highest used bit is number {high_bit}"
            )));
        }
        // Some files leave it empty. Nearly all radiographs are unsigned.
        let signed = integer(film, tags::PIXEL_REPRESENTATION) == Some(1);
        let size = Size { width: columns?, height: rows? };
        Ok(Self { size, bits_allocated, bits_stored, high_bit, signed, inverted })
    }

    /// The used bits of a stored pixel. The other bits may have any value.
    pub(super) fn pattern(&self, raw: u16) -> u16 {
        let used = u32::from(raw) >> (self.high_bit + 1 - self.bits_stored);
        (used & ((1 << self.bits_stored) - 1)) as u16
    }

    /// The number that these bits encode.
    pub(super) fn value(&self, pattern: u16) -> f64 {
        let span = 1 << self.bits_stored;
        let value = i32::from(pattern);
        f64::from(if self.signed && value >= span / 2 { value - span } else { value })
    }
}

/// Refuses a file without pixels or with more than one frame.
fn refuse_no_film(film: &InMemDicomObject) -> Result<(), Fault> {
    if film.get(tags::DIRECTORY_RECORD_SEQUENCE).is_some() {
        return Err(Fault::Unsupported("it is a DICOMDIR, a list of films".into(), "give the films that it lists"));
    }
    let frames = integer(film, tags::NUMBER_OF_FRAMES).unwrap_or(1);
    if frames > 1 {
        return Err(Fault::Unsupported(
            format!("it is multi-frame ({frames} frames)"),
            "export the frame to be read as a separate film",
        ));
    }
    if film.get(tags::PIXEL_DATA).is_none() {
        let what = match text(film, tags::MODALITY) {
            modality if modality.is_empty() => "it holds no pixels".into(),
            modality => format!("it holds no pixels (its modality is {modality})"),
        };
        return Err(Fault::Unsupported(what, "give the film itself"));
    }
    Ok(())
}

/// An attribute that is an integer, if the file has it.
pub(super) fn integer(film: &InMemDicomObject, tag: Tag) -> Option<u32> {
    film.get(tag)?.to_int().ok()
}

/// The first of an attribute's numbers.
pub(super) fn number(film: &InMemDicomObject, tag: Tag) -> Option<f64> {
    film.get(tag)?.to_float64().ok().filter(|number| number.is_finite())
}
