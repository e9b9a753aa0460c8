//! Checks that a zlib stream is whole. Decoders stop before its checksum when they have all pixels, right or not.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Fault, too_much_memory};
use crate::read::MAX_FILM_BYTES;

/// The most bytes of all pixels of a film, with the bytes that PNG puts in front of each row.
const MOST: u64 = MAX_FILM_BYTES + (1 << 20);

/// Refuses a stream, in these pieces, that ends early or whose checksum is wrong or missing. `total` counts the bytes of all
/// streams of a film, which are limited.
pub(super) fn validate<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, total: &mut u64) -> Result<(), Fault> {
    let damaged = || Fault::damaged("a part of its pixels can't be inflated, or its checksum is wrong or missing");
    let mut inflater = Decompress::new(true);
    let mut inflated = vec![0; 1 << 16];
    for piece in pieces {
        let start = inflater.total_in();
        loop {
            let before = (inflater.total_in(), inflater.total_out());
            let rest = piece.get((before.0 - start) as usize..).unwrap_or_default();
            let status = inflater.decompress(rest, &mut inflated, FlushDecompress::None).map_err(|_| damaged())?;
            *total += inflater.total_out() - before.1;
            if *total > MOST {
                return Err(too_much_memory());
            }
            match status {
                Status::StreamEnd => return Ok(()),
                // It waits for the next piece.
                _ if before == (inflater.total_in(), inflater.total_out()) => break,
                _ => {}
            }
        }
    }
    Err(damaged())
}
