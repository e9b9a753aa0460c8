//! Grey films that are stored in colours, as secondary captures often are.

use super::header::{GREY_ADVICE, Header, Three};
use super::pixel_data::Native;
use super::reader::Fault;

/// How far the samples of a grey pixel may differ, of 255: conversions between colours round.
const ROUNDING_LEVELS: u16 = 2;

/// The sample of a pixel without colour in the second and third place of YBR_FULL (PS3.3, C.7.6.3.1.2), of 255.
const NO_COLOUR: u16 = 128;

/// The 8-bit grey of a film whose pixels have three samples. They are shown as they are: windows and tables are for grey samples only
/// (PS3.3, C.11.2).
///
/// A film with coloured pixels is refused: it may be a photograph, and marks that were drawn into a film hide what lies beneath them.
pub(super) fn grey(native: &Native<'_>, header: &Header, three: Three) -> Result<Vec<u8>, Fault> {
    let pixels = header.size.pixels() as usize;
    let sample = |pixel: usize, kind: usize| {
        let index = if three.planar { kind * pixels + pixel } else { 3 * pixel + kind };
        native.sample(index, header.bits_allocated).map(|raw| header.level(raw))
    };
    let (mut grey, mut coloured) = (Vec::with_capacity(pixels.min(native.bytes.len())), 0_usize);
    for pixel in 0..pixels {
        let (Some(first), Some(second), Some(third)) = (sample(pixel, 0), sample(pixel, 1), sample(pixel, 2)) else {
            return Err(Fault::Damaged(format!("its samples are too few for the {pixels} pixels that are expected")));
        };
        let apart = if three.brightness_first {
            second.abs_diff(NO_COLOUR).max(third.abs_diff(NO_COLOUR))
        } else {
            first.max(second).max(third) - first.min(second).min(third)
        };
        coloured += usize::from(apart > ROUNDING_LEVELS);
        // Brightness, or green, which has the largest share of it.
        grey.push(if three.brightness_first { first } else { second } as u8);
    }
    if coloured > 0 {
        let name = if three.brightness_first { "YBR_FULL" } else { "RGB" };
        let what = format!("its pixels are {name}, not grey ({coloured} of {pixels} are coloured)");
        return Err(Fault::Unsupported(what, GREY_ADVICE));
    }
    Ok(grey)
}
