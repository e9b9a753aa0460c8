//! What the header of a BMP says about how its pixels are stored.

use super::{Fault, Outline};
use crate::content::LastRows;

/// Offsets of numbers of 32 bits: the size of the header and, if that is 40 or more, height, compression and pixels per metre.
const HEADER_SIZE: usize = 14;
const HEIGHT: usize = 22;
const COMPRESSION: usize = 30;
const RESOLUTION: [usize; 2] = [38, 42];

pub(super) fn outline(bmp: &[u8]) -> Result<Outline, Fault> {
    let number = |at: usize| bmp.get(at..)?.first_chunk().map(|bytes| i32::from_le_bytes(*bytes));
    let is_long = number(HEADER_SIZE).is_some_and(|size| size >= 40);
    let stated = |at: usize| number(at).filter(|_| is_long).unwrap_or_default();
    match stated(COMPRESSION) {
        // A run-length coding that may leave out pixels, so nobody could say whether they are lost.
        1 | 2 => return Err(Fault::unsupported("it is a BMP with run-length coding")),
        4 | 5 => return Err(Fault::unsupported("it is a JPEG or PNG inside of a BMP")),
        _ => {}
    }
    // Rows run from the bottom to the top, unless the height is negative.
    let last_rows = Some(if stated(HEIGHT) < 0 { LastRows::Lower } else { LastRows::Upper });
    let [x, y] = RESOLUTION.map(stated);
    Ok(Outline { last_rows, resolution: super::resolution(x, y), ..Outline::default() })
}
