//! Writes DICOM data sets from attributes: implicit VR little endian, without preamble.

use std::collections::BTreeMap;

/// A data set with these attributes: by tag, group in the upper half, and an even number of bytes per value.
pub fn data_set(attributes: &BTreeMap<u32, &[u8]>) -> Vec<u8> {
    let written = attributes.iter().flat_map(|(tag, value)| {
        let [group, element] = [(tag >> 16) as u16, *tag as u16].map(u16::to_le_bytes);
        [&group[..], &element, &(value.len() as u32).to_le_bytes(), value].concat()
    });
    written.collect()
}
