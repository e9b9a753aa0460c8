//! What the header of a BMP says about how its pixels are stored.

use super::{Fault, Outline};
use crate::content::LastRows;

/// The offset of the compression in a header of 40 bytes or more, and of the size of the header.
const COMPRESSION: usize = 30;
/// The offset of the height.
const HEIGHT: usize = 22;
const HEADER_SIZE: usize = 14;

pub(super) fn outline(bmp: &[u8]) -> Result<Outline, Fault> {
    let number = |at: usize| bmp.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let has_compression = number(HEADER_SIZE).is_some_and(|size| size >= 40);
    match number(COMPRESSION).filter(|_| has_compression).unwrap_or(0) {
        // A run-length coding that may leave out pixels, so nobody could say whether they are lost.
        1 | 2 => Err(Fault::Unsupported("it is a BMP with run-length coding".into(), super::ADVICE)),
        4 | 5 => Err(Fault::Unsupported("it is a JPEG or PNG inside of a BMP".into(), super::ADVICE)),
        // Rows run from the bottom to the top, unless the height is negative.
        _ => {
            let is_negative = has_compression && number(HEIGHT).is_some_and(|height| height.cast_signed() < 0);
            let last_rows = Some(if is_negative { LastRows::Lower } else { LastRows::Upper });
            Ok(Outline { last_rows, ..Outline::default() })
        }
    }
}
