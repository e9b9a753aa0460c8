//! DICOM files written byte by byte, for what dicom-rs does not write: quirks of sound files, and files that do harm.

/// The pixels of the film: 4x2 px of 8 bits.
pub const GREY: [u8; 8] = [0, 51, 102, 153, 204, 255, 30, 60];

/// An attribute that states its type, as the standard says: long lengths for some types.
pub fn explicit(tag: (u16, u16), vr: &str, value: &[u8]) -> Vec<u8> {
    let length = if ["OB", "OW", "SQ", "UN", "ZZ"].contains(&vr) {
        [&[0, 0], &(value.len() as u32).to_le_bytes()[..]].concat()
    } else {
        (value.len() as u16).to_le_bytes().to_vec()
    };
    [&tag.0.to_le_bytes()[..], &tag.1.to_le_bytes(), vr.as_bytes(), &length, value].concat()
}

/// An attribute that states no type.
pub fn implicit(tag: (u16, u16), value: &[u8]) -> Vec<u8> {
    with_length(tag, value.len() as u32, value)
}

/// An attribute without type, an item or a delimiter, with this length, true or not.
pub fn with_length(tag: (u16, u16), length: u32, value: &[u8]) -> Vec<u8> {
    [&tag.0.to_le_bytes()[..], &tag.1.to_le_bytes(), &length.to_le_bytes(), value].concat()
}

pub const ITEM: (u16, u16) = (0xFFFE, 0xE000);
pub const ITEM_END: (u16, u16) = (0xFFFE, 0xE00D);
pub const SEQUENCE_END: (u16, u16) = (0xFFFE, 0xE0DD);
pub const PIXELS: (u16, u16) = (0x7FE0, 0x0010);

/// A private sequence of type UN and undefined length, with these attributes in an item of undefined length.
pub fn undefined_sequence(vr: &str, attributes: &[u8]) -> Vec<u8> {
    let mut start = explicit((9, 0x1010), vr, &[]);
    let end = start.len() - 4..;
    start[end].fill(0xFF);
    let item = with_length(ITEM, u32::MAX, attributes);
    [start, item, with_length(ITEM_END, 0, &[]), with_length(SEQUENCE_END, 0, &[])].concat()
}

/// The attributes of a film before its pixels, each with its type and value.
pub fn attributes() -> Vec<((u16, u16), &'static str, Vec<u8>)> {
    let number = |number: u16| number.to_le_bytes().to_vec();
    vec![
        ((8, 0x16), "UI", b"1.2.840.10008.5.1.4.1.1.1.1\0".to_vec()),
        ((8, 0x60), "CS", b"DX".to_vec()),
        ((0x10, 0x10), "PN", b"Secret^Sarah".to_vec()),
        ((0x28, 0x02), "US", number(1)),
        ((0x28, 0x04), "CS", b"MONOCHROME2 ".to_vec()),
        ((0x28, 0x10), "US", number(2)),
        ((0x28, 0x11), "US", number(4)),
        ((0x28, 0x30), "DS", b"20\\20 ".to_vec()),
        ((0x28, 0x0100), "US", number(8)),
        ((0x28, 0x0101), "US", number(8)),
        ((0x28, 0x0102), "US", number(7)),
        ((0x28, 0x0103), "US", number(0)),
    ]
}

/// The data set of a film, with attributes between those of group 8 and the others, and bytes behind its pixels.
pub fn data_set(between: &[u8], behind: &[u8]) -> Vec<u8> {
    let attributes = attributes().into_iter().map(|(tag, vr, value)| explicit(tag, vr, &value));
    let mut all: Vec<Vec<u8>> = attributes.collect();
    all.insert(2, between.to_vec());
    [&all.concat()[..], &explicit(PIXELS, "OB", &GREY), behind].concat()
}

/// The same film without types.
pub fn implicit_data_set() -> Vec<u8> {
    let attributes = attributes().into_iter().flat_map(|(tag, _, value)| implicit(tag, &value));
    attributes.chain(implicit(PIXELS, &GREY)).collect()
}

/// A file with preamble and file meta information, which names this transfer syntax and states this length.
pub fn file_with_meta_length(syntax: &str, data_set: &[u8], meta_length: impl Fn(u32) -> u32) -> Vec<u8> {
    let mut uid = syntax.as_bytes().to_vec();
    uid.resize(uid.len().next_multiple_of(2), 0);
    let meta = [explicit((2, 1), "OB", &[0, 1]), explicit((2, 0x10), "UI", &uid)].concat();
    let length = explicit((2, 0), "UL", &meta_length(meta.len() as u32).to_le_bytes());
    [&[0; 128][..], b"DICM", &length, &meta, data_set].concat()
}

pub fn file(syntax: &str, data_set: &[u8]) -> Vec<u8> {
    file_with_meta_length(syntax, data_set, |length| length)
}
