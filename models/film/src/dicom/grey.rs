//! Converts stored DICOM pixels to the grey that a viewer would show: modality transform, window or lookup table, polarity
//! (PS3.3, C.11.1 and C.11.2).
//!
//! Pixels have at most 16 bits, so one table holds the grey of every possible value.

use dicom_core::{PrimitiveValue, Tag};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::header::{Header, number};
use super::text::text;
use crate::{FilmWarning, GreyWindow};

/// The grey level of every possible stored value.
pub(super) fn shades(
    film: &InMemDicomObject,
    header: &Header,
    stored: &[u16],
    warnings: &mut Vec<FilmWarning>,
) -> Vec<u8> {
    let patterns = 0..=((1_u32 << header.bits_stored) - 1) as u16;
    let values: Vec<f64> = match Lut::read(film, tags::MODALITY_LUT_SEQUENCE, header.signed) {
        Some(lut) => patterns.map(|pattern| lut.at(header.value(pattern))).collect(),
        None => {
            let slope = number(film, tags::RESCALE_SLOPE).filter(|slope| *slope != 0.0).unwrap_or(1.0);
            let intercept = number(film, tags::RESCALE_INTERCEPT).unwrap_or(0.0);
            patterns.map(|pattern| header.value(pattern) * slope + intercept).collect()
        }
    };
    compare_polarity(film, header, warnings);
    let any_below_zero = values.iter().any(|value| *value < 0.0);
    let shown: Vec<f64> = if let Some(lut) = Lut::read(film, tags::VOILUT_SEQUENCE, any_below_zero) {
        values.iter().map(|value| lut.at(*value) / lut.top()).collect()
    } else if let Some((window, function)) = window(film, warnings) {
        values.iter().map(|value| function(window, *value)).collect()
    } else {
        let (least, most) = range(stored.iter().map(|raw| values[usize::from(header.pattern(*raw))]));
        values.iter().map(|value| (value - least) / (most - least)).collect()
    };
    let level = |share: f64| {
        let level = (share.clamp(0.0, 1.0) * 255.0).round() as u8;
        if header.inverted { 255 - level } else { level }
    };
    shown.into_iter().map(level).collect()
}

/// The smallest and the largest of some numbers. They are never equal, so it is safe to divide by their difference.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)));
    if least < most { (least, most) } else { (least, least + 1.0) }
}

/// PresentationLUTShape repeats PhotometricInterpretation. If they disagree, PhotometricInterpretation is used.
fn compare_polarity(film: &InMemDicomObject, header: &Header, warnings: &mut Vec<FilmWarning>) {
    let stated = text(film, tags::PRESENTATION_LUT_SHAPE);
    let (used, expected) = if header.inverted { ("MONOCHROME1", "INVERSE") } else { ("MONOCHROME2", "IDENTITY") };
    if !stated.is_empty() && stated != expected {
        warnings.push(FilmWarning::ContradictedPolarity { stated, used });
    }
}

/// The brightness of a value in a window, from 0 to 1. The caller clamps values outside this range.
type VoiFunction = fn(GreyWindow, f64) -> f64;

/// The first of the windows with its function (PS3.3, C.11.2.1.2 and C.11.2.1.3). If it cannot be used, `None` and a warning.
fn window(film: &InMemDicomObject, warnings: &mut Vec<FilmWarning>) -> Option<(GreyWindow, VoiFunction)> {
    let (centre, width) = (number(film, tags::WINDOW_CENTER)?, number(film, tags::WINDOW_WIDTH)?);
    let name = text(film, tags::VOILUT_FUNCTION);
    let function: VoiFunction = match name.as_str() {
        "" | "LINEAR" if width >= 1.0 => GreyWindow::linear,
        "LINEAR_EXACT" if width > 0.0 => |window, value| (value - window.centre) / window.width + 0.5,
        "SIGMOID" if width > 0.0 => |window, value| 1.0 / (1.0 + (-4.0 * (value - window.centre) / window.width).exp()),
        _ => {
            warnings.push(FilmWarning::UnusableWindow { function: name, centre, width });
            return None;
        }
    };
    Some((GreyWindow { centre, width }, function))
}

/// A lookup table. Its first entry is for the value `first`, the next one for `first + 1` and so on.
struct Lut {
    first: i32,
    entries: Vec<u16>,
}

impl Lut {
    /// The first table of a sequence. `signed`: whether `first` may be negative.
    fn read(film: &InMemDicomObject, sequence: Tag, signed: bool) -> Option<Self> {
        let item = film.get(sequence)?.items()?.first()?;
        let descriptor = item.get(tags::LUT_DESCRIPTOR)?.to_multi_int::<i32>().ok()?;
        let [count, first, _] = descriptor.as_slice() else { return None };
        // 16 bits, whether the file declares them as signed or unsigned. A count of 0 means 2^16.
        let count = match *count as u16 {
            0 => 1 << 16,
            count => usize::from(count),
        };
        let first = if signed { i32::from(*first as i16) } else { i32::from(*first as u16) };
        let words = match item.get(tags::LUT_DATA)?.value().primitive()? {
            PrimitiveValue::U16(words) => words.to_vec(),
            PrimitiveValue::I16(words) => words.iter().map(|word| *word as u16).collect(),
            PrimitiveValue::U8(bytes) if bytes.len() >= 2 * count => {
                bytes.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect()
            }
            PrimitiveValue::U8(bytes) => bytes.iter().copied().map(u16::from).collect(),
            _ => return None,
        };
        let mut entries = words;
        // A word may contain two entries of 8 bits.
        if entries.len() < count {
            entries = entries.iter().flat_map(|word| word.to_le_bytes()).map(u16::from).collect();
        }
        entries.truncate(count);
        (entries.len() == count).then_some(Self { first, entries })
    }

    /// The entry for a value. Values before the table get its first entry, values after it its last.
    fn at(&self, value: f64) -> f64 {
        let index = (value.round() as i64).saturating_sub(self.first.into()).clamp(0, self.entries.len() as i64 - 1);
        f64::from(self.entries[index as usize])
    }

    /// The largest number with as many bits as the entries use. The declared number of bits is not used: some devices declare 16 bits
    /// and use 12, which would make the film nearly black.
    fn top(&self) -> f64 {
        let greatest = self.entries.iter().copied().max().unwrap_or_default();
        f64::from(greatest.checked_ilog2().map_or(1, |bit| (1_u32 << (bit + 1)) - 1))
    }
}
