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
            let read = Reading::of(samples, header, three.brightness_first)?;
            read.uncoloured(header, three)
        }
        (Some(coding), PixelData::Compressed(fragments)) => {
            if header.bits_allocated != 8 {
                let what = format!("its compressed pixels are {} of {} bits", three.name, header.bits_allocated);
                return Err(Fault::Unsupported(what, GREY_ADVICE));
            }
            let samples = codec::decode_colours(fragments, header, coding)?;
            let read = |brightness_first| Reading::of(samples.as_chunks().0.iter().copied(), header, brightness_first);
            // The decoder makes RGB of JPEG 2000, and leaves a JPEG as it is.
            let is_jpeg = coding == Coding::Jpeg;
            let brightness_first = is_jpeg && three.name.starts_with("YBR");
            let mut best = read(brightness_first)?;
            // Programs disagree on how a JPEG says which colours it holds: one that says YBR is often stated to be RGB. A grey one is
            // grey in one of the two ways only, and a few marks on it are few in that way only.
            if is_jpeg && best.coloured > 0 {
                let other = read(!brightness_first)?;
                best = if other.coloured < best.coloured { other } else { best };
            }
            best.uncoloured(header, three)
        }
        _ => Err(codec::contradiction(coding)),
    }
}

/// The pixels of a film, with their samples read in one way.
struct Reading {
    grey: Vec<u8>,
    /// How many of them have a colour.
    coloured: u64,
}

impl Reading {
    /// An error if there are fewer pixels than `header` states.
    fn of(samples: impl Iterator<Item = [u8; 3]>, header: &Header, brightness_first: bool) -> Result<Self, Fault> {
        let mut coloured = 0_u64;
        let grey = samples.map(|[first, second, third]| {
            let apart = if brightness_first {
                second.abs_diff(NO_COLOUR).max(third.abs_diff(NO_COLOUR))
            } else {
                first.max(second).max(third) - first.min(second).min(third)
            };
            coloured += u64::from(apart > ROUNDING_LEVELS);
            // Brightness, or green, which has the largest share of it.
            if brightness_first { first } else { second }
        });
        let (grey, pixels) = (grey.collect::<Vec<u8>>(), header.size.pixels());
        if grey.len() as u64 == pixels {
            return Ok(Self { grey, coloured });
        }
        Err(Fault::damaged(format!("its samples are too few for the {pixels} pixels that are expected")))
    }

    /// The grey, if no pixel has a colour.
    fn uncoloured(self, header: &Header, three: Three) -> Result<Vec<u8>, Fault> {
        let Self { grey, coloured } = self;
        if coloured == 0 {
            return Ok(grey);
        }
        let pixels = header.size.pixels();
        let what = format!("its pixels are {}, not grey ({coloured} of {pixels} are coloured)", three.name);
        Err(Fault::Unsupported(what, GREY_ADVICE))
    }
}
