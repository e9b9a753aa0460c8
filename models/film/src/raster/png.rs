//! What a PNG says before and after its pixels: animation, orientation and resolution. And whether its pixels are whole.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::{Fault, Outline, Unfollowed, exif, inflate, pages, resolution};

/// The length of the signature.
const SIGNATURE: usize = 8;
/// The most bytes of a deflated text that are read.
const MOST_TEXT: u64 = 1 << 20;

pub(super) fn outline(png: &[u8]) -> Result<Outline, Fault> {
    let mut outline = Outline::default();
    for (kind, body) in chunks(png) {
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
            b"eXIf" => outline.orientation = exif::orientation(body),
            b"tEXt" | b"zTXt" | b"iTXt" => outline.unfollowed.extend(unfollowed(kind, body)),
            _ => {}
        }
    }
    Ok(outline)
}

/// Refuses a file whose pixels are not whole. The size must be checked before: they are inflated here.
pub(super) fn validate_pixels(png: &[u8]) -> Result<(), Fault> {
    let pixels = chunks(png).filter(|(kind, _)| *kind == b"IDAT").map(|(_, body)| body);
    inflate::validate(pixels, &mut 0)
}

/// An orientation in XMP, or in Exif that is written out as text.
fn unfollowed(kind: &[u8; 4], body: &[u8]) -> Option<Unfollowed> {
    let (keyword, text) = split_at_zero(body)?;
    let name = keyword.strip_prefix(b"Raw profile type ");
    if keyword != b"XML:com.adobe.xmp" && !matches!(name, Some(b"exif" | b"APP1" | b"xmp")) {
        return None;
    }
    let (is_deflated, text) = match (kind, text) {
        (b"tEXt", text) => (false, text),
        (b"zTXt", [_, text @ ..]) => (true, text),
        // Behind two words that say in which language.
        (_, [deflated, _, rest @ ..]) => (*deflated == 1, split_at_zero(split_at_zero(rest)?.1)?.1),
        _ => return None,
    };
    let mut inflated = Vec::new();
    let text = if is_deflated {
        // What can't be inflated says nothing.
        ZlibDecoder::new(text).take(MOST_TEXT).read_to_end(&mut inflated).ok()?;
        &inflated
    } else {
        text
    };
    let profile = name.map_or_else(|| text.to_vec(), |_| raw_profile(text));
    let in_exif = exif::orientation(&profile).map(|tag| Unfollowed { place: "raw Exif profile", tag });
    in_exif.or_else(|| exif::xmp_orientation(&profile).map(|tag| Unfollowed { place: "XMP", tag }))
}

/// The bytes that a text holds in hexadecimal digits, behind a line with a name and one with their number.
fn raw_profile(text: &[u8]) -> Vec<u8> {
    let lines = text.trim_ascii_start().splitn(3, |byte| *byte == b'\n');
    let digits = lines.skip(2).flatten().filter_map(|byte| char::from(*byte).to_digit(16));
    digits.collect::<Vec<_>>().as_chunks().0.iter().map(|[high, low]| (high << 4 | low) as u8).collect()
}

fn split_at_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == 0)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// The kinds and bodies of all chunks. What follows the last is no part of the picture, whatever it looks like.
fn chunks(png: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = png.get(SIGNATURE..).unwrap_or_default();
    let next = move || {
        let (kind, body, after) = chunk(rest)?;
        rest = after;
        Some((kind, body))
    };
    std::iter::from_fn(next).take_while(|(kind, _)| *kind != b"IEND")
}

/// The kind and body of the first chunk, and what follows it.
fn chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (kind, rest) = rest.split_first_chunk()?;
    let (body, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let (_checksum, rest) = rest.split_first_chunk::<4>()?;
    Some((kind, body, rest))
}
