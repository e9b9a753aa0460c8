//! The description of the pixels in a DICOM file, read and validated before any pixel is decoded.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::codec::Coding;
use super::pixel_data::PixelData;
use super::text::{code, text};
use crate::Size;
use crate::fault::Fault;
use crate::pixels::grey_of;

/// What to do about a film in colour.
pub(super) const GREY_ADVICE: &str = "export it as MONOCHROME2, PNG or TIFF";

/// The allowed numbers of bits of a pixel in the file.
const BITS_ALLOCATED: [u32; 2] = [8, 16];

/// The colours that are read in pixels that are not compressed. A film in colours is read only if it is grey.
const NATIVE_COLOURS: &[&str] = &["RGB", "YBR_FULL"];

/// How a film's pixels are stored: samples of 8 or 16 bits. Not all bits need to be used.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) size: Size,
    pub(super) colours: Colours,
    pub(super) bits_allocated: u32,
    pub(super) bits_stored: u32,
    high_bit: u32,
    pub(super) signed: bool,
}

/// What the samples of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// One grey sample. `inverted`: whether small values are bright (MONOCHROME1).
    Grey {
        inverted: bool,
    },
    Three(Three),
}

/// Three samples per pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Three {
    /// Their PhotometricInterpretation.
    pub(super) name: &'static str,
    /// Whether they are brightness and two samples for the colour (YBR_FULL), not red, green and blue.
    pub(super) brightness_first: bool,
    /// Whether all first samples come before all second ones.
    pub(super) planar: bool,
}

impl Colours {
    /// What PhotometricInterpretation says, if Onemark reads it in pixels of this coding.
    fn read(film: &InMemDicomObject, coding: Option<Coding>) -> Result<Self, Fault> {
        let stated = text(film, tags::PHOTOMETRIC_INTERPRETATION);
        match stated.as_str() {
            "MONOCHROME1" => return Ok(Self::Grey { inverted: true }),
            "MONOCHROME2" => return Ok(Self::Grey { inverted: false }),
            "" => return Err(missing("PhotometricInterpretation")),
            _ => {}
        }
        let read = coding.map_or(NATIVE_COLOURS, Coding::colours).iter().find(|name| **name == stated);
        match read.filter(|_| integer(film, tags::SAMPLES_PER_PIXEL) == Some(3)) {
            Some(name) => {
                let planar = integer(film, tags::PLANAR_CONFIGURATION) == Some(1);
                Ok(Self::Three(Three { name, brightness_first: stated == "YBR_FULL", planar }))
            }
            None => {
                let what = format!("its pixels are {}, not grey", code(film, tags::PHOTOMETRIC_INTERPRETATION));
                Err(Fault::Unsupported(what, GREY_ADVICE))
            }
        }
    }

    /// The samples of a pixel.
    pub(super) const fn samples(self) -> u32 {
        match self {
            Self::Grey { .. } => 1,
            Self::Three(_) => 3,
        }
    }
}

impl Header {
    /// Reads and checks the description of pixels that are compressed in this way. An error names the attribute that is missing, that
    /// contradicts another, or that says something that is not read. The caller checks the size.
    pub(super) fn read(film: &InMemDicomObject, coding: Option<Coding>) -> Result<Self, Fault> {
        let colours = Colours::read(film, coding)?;
        let [rows, columns] = [(tags::ROWS, "Rows"), (tags::COLUMNS, "Columns")]
            .map(|(tag, name)| integer(film, tag).ok_or_else(|| missing(name)));
        let bits_allocated = integer(film, tags::BITS_ALLOCATED).ok_or_else(|| missing("BitsAllocated"))?;
        let bits_stored = integer(film, tags::BITS_STORED).unwrap_or(bits_allocated);
        let high_bit = integer(film, tags::HIGH_BIT).unwrap_or(bits_stored.saturating_sub(1));
        let samples = integer(film, tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        const ADVICE: &str = "export it as grey of 8 or 16 bits";
        if samples != colours.samples() {
            let name = code(film, tags::PHOTOMETRIC_INTERPRETATION);
            let what = format!("its pixels are {name} and have {samples} samples (SamplesPerPixel), where one is read");
            return Err(Fault::Unsupported(what, ADVICE));
        }
        if !BITS_ALLOCATED.contains(&bits_allocated) {
            let what = format!("its pixels have {bits_allocated} bits (BitsAllocated), where 8 or 16 are read");
            return Err(Fault::Unsupported(what, ADVICE));
        }
        if bits_stored == 0 || high_bit >= bits_allocated || bits_stored > high_bit + 1 {
            return Err(Fault::damaged(format!(
                "of {bits_allocated} bits it claims to use {bits_stored}, and the highest used bit is number {high_bit}"
            )));
        }
        // Some files leave it empty. Nearly all radiographs are unsigned.
        let signed = integer(film, tags::PIXEL_REPRESENTATION) == Some(1);
        let size = Size { width: columns?, height: rows? };
        Ok(Self { size, colours, bits_allocated, bits_stored, high_bit, signed })
    }

    /// Whether small values are bright.
    pub(super) fn is_inverted(&self) -> bool {
        self.colours == Colours::Grey { inverted: true }
    }

    /// The bytes of a row that is not compressed.
    pub(super) fn row_bytes(&self) -> usize {
        self.size.width as usize * (self.colours.samples() * self.bits_allocated / 8) as usize
    }

    /// The used bits of a stored pixel. The other bits may have any value.
    fn pattern(&self, raw: u16) -> u16 {
        let used = u32::from(raw) >> (self.high_bit + 1 - self.bits_stored);
        (used & ((1 << self.bits_stored) - 1)) as u16
    }

    /// What a stored sample without sign is of its largest value, from 0 to 255.
    pub(super) fn level(&self, raw: u16) -> u8 {
        grey_of(self.pattern(raw).into(), (1 << self.bits_stored) - 1)
    }

    /// The number that a stored pixel encodes in its used bits.
    pub(super) fn value(&self, raw: u16) -> i32 {
        self.number(self.pattern(raw), self.bits_stored)
    }

    /// The number that a word encodes in its lowest `bits`.
    pub(super) fn number(&self, word: u16, bits: u32) -> i32 {
        let (span, number) = (1 << bits, i32::from(word) & ((1 << bits) - 1));
        if self.signed && number >= span / 2 { number - span } else { number }
    }

    /// Whether a stored pixel has bits above the used ones. Copies of the sign are not counted.
    pub(super) fn has_unused_bits(&self, raw: u16) -> bool {
        let above = self.high_bit + 1;
        let (bits, copies) = (u32::from(raw) >> above, (1 << (self.bits_allocated - above)) - 1);
        bits != 0 && !(self.signed && bits == copies && self.value(raw) < 0)
    }
}

fn missing(what: &str) -> Fault {
    Fault::damaged(format!("it does not state its {what}"))
}

/// The pixels of a file; an error if it has none, or has more than one frame.
pub(super) fn film_pixels<'p, 'a>(
    film: &InMemDicomObject,
    pixels: Option<&'p PixelData<'a>>,
) -> Result<&'p PixelData<'a>, Fault> {
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
    pixels.ok_or_else(|| {
        let what = match code(film, tags::MODALITY) {
            modality if modality.is_empty() => "it holds no pixels".into(),
            modality => format!("it holds no pixels (its modality is {modality})"),
        };
        Fault::Unsupported(what, "give the film itself")
    })
}

/// An attribute that is an integer, if the file has it.
pub(super) fn integer(film: &InMemDicomObject, tag: Tag) -> Option<u32> {
    film.get(tag)?.to_int().ok()
}

/// The first of an attribute's numbers.
pub(super) fn number(film: &InMemDicomObject, tag: Tag) -> Option<f64> {
    film.get(tag)?.to_float64().ok().filter(|number| number.is_finite())
}
