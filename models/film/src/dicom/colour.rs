//! Grey films that are stored in colours, as secondary captures often are.

use super::codec::{self, Coding};
use super::header::{GREY_ADVICE, Header, Three};
use super::pixel_data::PixelData;
use crate::fault::Fault;

/// How far the samples of a grey pixel may differ, of 255: conversions between colours round.
const ROUNDING_LEVELS: u8 = 2;

/// The sample of a pixel without colour in the second and third place of YBR_FULL (PS3.3, C.7.6.3.1.2), of 255.
const NO_COLOUR: u8 = 128;

/// The 8-bit grey of a film whose pixels have three samples. They are shown as they are: windows and tables are for grey samples only
/// (PS3.3, C.11.2).
///
/// A film with coloured pixels is refused: it may be a photograph, and marks that were drawn into a film hide what lies beneath them.
pub(super) fn grey(
    pixel_data: &PixelData<'_>,
    header: &Header,
    coding: Option<Coding>,
    three: Three,
) -> Result<Vec<u8>, Fault> {
    let pixels = codec::pixels(header);
    match (coding, pixel_data) {
        (None, PixelData::Native(native)) => {
            let sample = |pixel: usize, kind: usize| {
                let index = if three.planar { kind * pixels + pixel } else { 3 * pixel + kind };
                native.sample(index, header.bits_allocated).map(|raw| header.level(raw))
            };
            let samples =
                (0..pixels).map_while(|pixel| Some([sample(pixel, 0)?, sample(pixel, 1)?, sample(pixel, 2)?]));
            uncoloured(samples, header, three)
        }
        (Some(coding), PixelData::Compressed(fragments)) => {
            if header.bits_allocated != 8 {
                let what = format!("its compressed pixels are {} of {} bits", three.name, header.bits_allocated);
                return Err(Fault::Unsupported(what, GREY_ADVICE));
            }
            let samples = codec::decode_colours(fragments, header, coding)?;
            let uncoloured = |brightness_first| {
                uncoloured(samples.as_chunks().0.iter().copied(), header, Three { brightness_first, ..three })
            };
            // Programs disagree on how a JPEG says which colours it holds. A grey one is grey in one of the two ways only.
            let grey = uncoloured(false);
            if coding == Coding::Jpeg { grey.or_else(|_| uncoloured(true)) } else { grey }
        }
        _ => Err(codec::contradiction(coding)),
    }
}

/// The grey of pixels that have no colour. An error if one has, or if there are fewer than `header` states.
fn uncoloured(samples: impl Iterator<Item = [u8; 3]>, header: &Header, three: Three) -> Result<Vec<u8>, Fault> {
    let mut coloured = 0_u64;
    let grey = samples.map(|[first, second, third]| {
        let apart = if three.brightness_first {
            second.abs_diff(NO_COLOUR).max(third.abs_diff(NO_COLOUR))
        } else {
            first.max(second).max(third) - first.min(second).min(third)
        };
        coloured += u64::from(apart > ROUNDING_LEVELS);
        // Brightness, or green, which has the largest share of it.
        if three.brightness_first { first } else { second }
    });
    let (grey, pixels) = (grey.collect::<Vec<u8>>(), header.size.pixels());
    if grey.len() as u64 != pixels {
        return Err(Fault::damaged(format!("its samples are too few for the {pixels} pixels that are expected")));
    }
    if coloured > 0 {
        let what = format!("its pixels are {}, not grey ({coloured} of {pixels} are coloured)", three.name);
        return Err(Fault::Unsupported(what, GREY_ADVICE));
    }
    Ok(grey)
}
