//! The pixels of a DICOM file as they lie in it, compressed or not.

use dicom_core::VR;

use super::walk::{Element, Value};

/// The value of PixelData.
#[derive(Debug)]
pub(super) enum PixelData<'a> {
    Native(Native<'a>),
    /// The fragments of a compressed stream.
    Compressed(Vec<&'a [u8]>),
}

/// Samples that are not compressed.
#[derive(Debug)]
pub(super) struct Native<'a> {
    pub(super) bytes: &'a [u8],
    big_endian: bool,
    /// Whether bytes lie in words of 16 bits, the first of two in the lower half (PS3.5, 8.1.1).
    in_words: bool,
}

impl<'a> PixelData<'a> {
    /// The pixels of an attribute; `None` if it is a sequence.
    pub(super) fn of(element: &Element<'a>) -> Option<Self> {
        match &element.value {
            Value::Bytes(bytes) => {
                Some(Self::Native(Native { bytes, big_endian: element.big_endian, in_words: element.vr != VR::OB }))
            }
            Value::Fragments(fragments) => Some(Self::Compressed(fragments.clone())),
            Value::Items(_) => None,
        }
    }
}

impl Native<'_> {
    /// The sample number `index`, of 8 or 16 bits; `None` behind the last.
    pub(super) fn sample(&self, index: usize, bits: u32) -> Option<u16> {
        if bits == 8 {
            let index = if self.big_endian && self.in_words { index ^ 1 } else { index };
            return self.bytes.get(index).copied().map(u16::from);
        }
        let start = index.checked_mul(2)?;
        let [first, second] = *self.bytes.get(start..start + 2)? else { return None };
        Some(if self.big_endian { u16::from_be_bytes([first, second]) } else { u16::from_le_bytes([first, second]) })
    }

    /// The first `count` samples of 8 or 16 bits, or as many as there are.
    pub(super) fn samples(&self, count: usize, bits: u32) -> Vec<u16> {
        let there = self.bytes.len() / if bits == 8 { 1 } else { 2 };
        let mut samples = Vec::with_capacity(count.min(there));
        samples.extend((0..count).map_while(|index| self.sample(index, bits)));
        samples
    }
}
