//! A DICOM attribute's text, in UTF-8.
//!
//! The parser supports one character set for a whole file. This module also decodes texts in which escape sequences change the
//! character set, such as East Asian names (PS3.3, C.12.1.1.2).

use dicom_core::Tag;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use dicom_object::InMemDicomObject;

const ESCAPE: char = '\x1B';

/// The characters after the escape character, and the character set that they select. The Japanese decoder needs the escape sequences
/// in its input.
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

/// An attribute's text without padding; empty if the attribute is missing.
pub(super) fn text(film: &InMemDicomObject, tag: Tag) -> String {
    let Some(text) = film.get(tag).and_then(|element| element.to_str().ok()) else { return String::new() };
    let mut pieces = text.split(ESCAPE);
    let first = pieces.next().unwrap_or_default().to_owned();
    let whole = pieces.fold(first, |whole, piece| whole + decoded(piece).as_deref().unwrap_or(piece));
    whole.trim_matches([' ', '\0']).to_owned()
}

/// A code for a message: an attribute's text if it has the form of a code (PS3.5, 6.2), else words that say that it has not. Texts of other
/// forms may be anything, such as names or control characters.
pub(super) fn code(film: &InMemDicomObject, tag: Tag) -> String {
    const MOST_LETTERS: usize = 16;
    let text = text(film, tag);
    let is_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, ' ' | '_');
    if text.len() <= MOST_LETTERS && text.chars().all(is_code) { text } else { "(not a code)".into() }
}

/// Decodes a piece of text that begins after an escape character. In texts with escape sequences, the parser turns each byte into one
/// character without decoding it.
fn decoded(piece: &str) -> Option<String> {
    let (escape, name) = SETS.iter().find(|(escape, _)| piece.starts_with(escape))?;
    let text = if *name == JAPANESE { format!("{ESCAPE}{piece}") } else { piece[escape.len()..].to_owned() };
    let bytes = text.chars().map(|byte| u8::try_from(byte).ok()).collect::<Option<Vec<u8>>>()?;
    SpecificCharacterSet::from_code(name)?.decode(&bytes).ok()
}
