//! What a PNG says before and after its pixels: animation, orientation and resolution.

use image::metadata::Orientation;

use super::{Fault, Outline, pages, resolution};

/// The length of the signature.
const SIGNATURE: usize = 8;

pub(super) fn outline(png: &[u8]) -> Result<Outline, Fault> {
    let mut outline = Outline::default();
    let mut rest = png.get(SIGNATURE..).unwrap_or_default();
    while let Some((kind, body, after)) = chunk(rest) {
        match kind {
            b"acTL" => {
                let pictures = body.first_chunk().map_or(0, |count| u32::from_be_bytes(*count));
                if pictures > 1 {
                    return Err(pages(pictures, "pictures, an animation"));
                }
            }
            b"pHYs" => {
                let [x, y] = [0, 4]
                    .map(|at| body.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |side| u32::from_be_bytes(*side)));
                outline.resolution = resolution(x, y);
            }
            // It may also follow the pixels, where the decoder does not look for it.
            b"eXIf" => outline.orientation = Orientation::from_exif_chunk(body),
            // What follows is no part of the picture, whatever it looks like.
            b"IEND" => break,
            _ => {}
        }
        rest = after;
    }
    Ok(outline)
}

/// The kind and body of the first chunk, and what follows it.
fn chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (kind, rest) = rest.split_first_chunk()?;
    let (body, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let (_checksum, rest) = rest.split_first_chunk::<4>()?;
    Some((kind, body, rest))
}
