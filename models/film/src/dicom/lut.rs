//! Lookup tables of DICOM films (PS3.3, C.11.1.1 and C.11.2.1.1).

use dicom_core::{PrimitiveValue, Tag};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::FilmWarning;

/// An attribute that holds tables, and its name.
pub(super) type Sequence = (Tag, &'static str);
pub(super) const MODALITY: Sequence = (tags::MODALITY_LUT_SEQUENCE, "ModalityLUTSequence");
pub(super) const VOI: Sequence = (tags::VOILUT_SEQUENCE, "VOILUTSequence");

/// A lookup table. Its first entry is for the value `first`, the next one for `first + 1` and so on.
pub(super) struct Lut {
    first: i32,
    entries: Vec<u16>,
}

impl Lut {
    /// The first table of this sequence; `None` if it has none. `signed`: whether the table's first value may be negative. A table that
    /// can't be read is left out, with a warning.
    pub(super) fn read(
        film: &InMemDicomObject,
        sequence: Sequence,
        signed: bool,
        warnings: &mut Vec<FilmWarning>,
    ) -> Option<Self> {
        let (tag, attribute) = sequence;
        let table = match film.get(tag)?.items() {
            Some([]) => return None,
            Some([first, ..]) => Self::of_item(first, signed),
            None => None,
        };
        if table.is_none() {
            warnings.push(FilmWarning::UnusableTable { attribute });
        }
        table
    }

    fn of_item(item: &InMemDicomObject, signed: bool) -> Option<Self> {
        let descriptor = item.get(tags::LUT_DESCRIPTOR)?.to_multi_int::<i32>().ok()?;
        let [count, first, _] = descriptor.as_slice() else { return None };
        // 16 bits, whether the file declares them as signed or unsigned. A count of 0 means 2^16.
        let count = match *count as u16 {
            0 => 1 << 16,
            count => usize::from(count),
        };
        let first = if signed { i32::from(*first as i16) } else { i32::from(*first as u16) };
        let mut entries = match item.get(tags::LUT_DATA)?.value().primitive()? {
            PrimitiveValue::U16(words) => words.to_vec(),
            PrimitiveValue::I16(words) => words.iter().map(|word| *word as u16).collect(),
            PrimitiveValue::U8(bytes) if bytes.len() >= 2 * count => {
                bytes.as_chunks().0.iter().map(|word| u16::from_le_bytes(*word)).collect()
            }
            PrimitiveValue::U8(bytes) => bytes.iter().copied().map(u16::from).collect(),
            _ => return None,
        };
        // A word may contain two entries of 8 bits.
        if entries.len() < count {
            entries = entries.iter().flat_map(|word| word.to_le_bytes()).map(u16::from).collect();
        }
        entries.truncate(count);
        (entries.len() == count).then_some(Self { first, entries })
    }

    /// The entry for a value. Values before the table get its first entry, values after it its last.
    pub(super) fn at(&self, value: f64) -> f64 {
        let index = (value.round() as i64).saturating_sub(self.first.into()).clamp(0, self.entries.len() as i64 - 1);
        f64::from(self.entries[index as usize])
    }

    /// The largest number with as many bits as the entries use. The declared number of bits is not used: some devices declare 16 bits
    /// and use 12, which would make the film nearly black.
    pub(super) fn top(&self) -> f64 {
        let greatest = self.entries.iter().copied().max().unwrap_or_default();
        f64::from(greatest.checked_ilog2().map_or(1, |bit| (1_u32 << (bit + 1)) - 1))
    }
}
