//! A DICOM attribute's text, in UTF-8.
//!
//! The parser knows one character set for a whole file. Here are those that change within a text by escape sequences, as in
//! East Asian names (PS3.3, C.12.1.1.2).

use dicom_core::Tag;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use dicom_object::InMemDicomObject;

const ESCAPE: char = '\x1B';

/// What follows the escape character, and the character set that holds from there. The decoder of Japanese wants to see its
/// escape sequences itself.
const SETS: [(&str, &str); 17] = [
    ("(B", "ISO_IR 6"),
    ("(J", "ISO_IR 6"),
    (")I", "ISO_IR 13"),
    ("$B", JAPANESE),
    ("$(D", JAPANESE),
    ("$)A", "GB2312"),
    ("$)C", "ISO_IR 149"),
    ("-A", "ISO_IR 100"),
    ("-B", "ISO_IR 101"),
    ("-C", "ISO_IR 109"),
    ("-D", "ISO_IR 110"),
    ("-F", "ISO_IR 126"),
    ("-G", "ISO_IR 127"),
    ("-H", "ISO_IR 138"),
    ("-L", "ISO_IR 144"),
    ("-T", "ISO_IR 166"),
    ("(I", "ISO_IR 13"),
];
const JAPANESE: &str = "ISO_IR 87";

/// An attribute's text without padding; empty where there is none.
pub(super) fn text(film: &InMemDicomObject, tag: Tag) -> String {
    let Some(text) = film.get(tag).and_then(|element| element.to_str().ok()) else { return String::new() };
    let mut pieces = text.split(ESCAPE);
    let first = pieces.next().unwrap_or_default().to_owned();
    let whole = pieces.fold(first, |whole, piece| whole + decoded(piece).as_deref().unwrap_or(piece));
    whole.trim_matches([' ', '\0']).to_owned()
}

/// A piece that begins with the rest of an escape sequence. Where a text may have such, the parser has left its bytes as they
/// are, one character each.
fn decoded(piece: &str) -> Option<String> {
    let (escape, name) = SETS.iter().find(|(escape, _)| piece.starts_with(escape))?;
    let text = if *name == JAPANESE { format!("{ESCAPE}{piece}") } else { piece[escape.len()..].to_owned() };
    let bytes = text.chars().map(|byte| u8::try_from(byte).ok()).collect::<Option<Vec<u8>>>()?;
    SpecificCharacterSet::from_code(name)?.decode(&bytes).ok()
}
