//! Converts decoded pixels of 8 or 16 bits to 8-bit grey. Colours become ITU-R 601 luma; alpha is left out.

use image::DynamicImage;

use crate::FilmWarning;
use crate::pixels::grey_of;

/// The largest value of 16 bits.
const TOP: u16 = u16::MAX;
/// Films whose brightest value is below this are read with fewer than 16 bits.
const HALF: u16 = 1 << 15;
/// Films whose values are all below this, but for some of `TOP`, are read with fewer bits too.
const EIGHTH: u16 = 1 << 13;
/// The samples of a pixel with a colour are further apart than this. JPEG and scanners add a few levels.
const COLOUR_LEVELS: u8 = 32;
/// A film is in colours if more than one in this many of its pixels are.
const COLOURED: u64 = 100;

/// 8-bit grey, row after row; `None` for pixels that are neither of 8 nor of 16 bits.
pub(super) fn convert(image: DynamicImage, white_is_zero: bool, warnings: &mut Vec<FilmWarning>) -> Option<Vec<u8>> {
    use DynamicImage as D;
    let channels = usize::from(image.color().channel_count());
    let bytes = image.as_bytes();
    let mut seen = Seen::default();
    let grey: Vec<u8> = match image {
        D::ImageLuma8(grey) => return Some(grey.into_raw()),
        D::ImageLumaA8(_) | D::ImageRgb8(_) | D::ImageRgba8(_) => {
            bytes.chunks_exact(channels).map(|pixel| seen.luma(pixel)).collect()
        }
        D::ImageLuma16(_) | D::ImageLumaA16(_) | D::ImageRgb16(_) | D::ImageRgba16(_) => {
            let depth = Depth::of(bytes, channels, white_is_zero, warnings);
            let mut pixel = [0; 4];
            let row = bytes.chunks_exact(2 * channels).map(|words| {
                let samples = words.as_chunks().0.iter().map(|word| u16::from_ne_bytes(*word));
                for (index, (place, sample)) in pixel.iter_mut().zip(samples).enumerate() {
                    *place = if is_alpha(index, channels) { (sample >> 8) as u8 } else { depth.grey(sample) };
                }
                seen.luma(pixel.get(..channels).unwrap_or(&pixel))
            });
            row.collect()
        }
        _ => return None,
    };
    if seen.transparent {
        warnings.push(FilmWarning::Transparent);
    }
    if COLOURED * seen.coloured > grey.len() as u64 {
        warnings.push(FilmWarning::Colours);
    }
    Some(grey)
}

fn is_alpha(index: usize, channels: usize) -> bool {
    index + 1 == channels && channels.is_multiple_of(2)
}

/// What was seen in pixels beside grey.
#[derive(Default)]
struct Seen {
    coloured: u64,
    transparent: bool,
}

impl Seen {
    /// The grey of a pixel: of grey, grey and alpha, colours, or colours and alpha.
    fn luma(&mut self, pixel: &[u8]) -> u8 {
        match *pixel {
            [grey] => grey,
            [grey, alpha] => {
                self.transparent |= alpha < u8::MAX;
                grey
            }
            [r, g, b] => self.luma_of_colour(r, g, b),
            [r, g, b, alpha] => {
                self.transparent |= alpha < u8::MAX;
                self.luma_of_colour(r, g, b)
            }
            _ => 0,
        }
    }

    fn luma_of_colour(&mut self, r: u8, g: u8, b: u8) -> u8 {
        self.coloured += u64::from(r.max(g).max(b) - r.min(g).min(b) > COLOUR_LEVELS);
        let [r, g, b] = [r, g, b].map(u32::from);
        // ITU-R 601 in 16-bit fixed point. The weights sum to 2^16, so grey pixels do not change.
        ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8
    }
}

/// How many of 16 bits a film uses, by its pixels. Many programs write 12-bit films into 16 bits as they are, which makes them black.
struct Depth {
    bits: u32,
    white_is_zero: bool,
}

impl Depth {
    /// Finds the number of bits, and says so if it is not 16.
    fn of(bytes: &[u8], channels: usize, white_is_zero: bool, warnings: &mut Vec<FilmWarning>) -> Self {
        // The brightest value, the brightest below the top, and how many are at the top.
        let (mut brightest, mut next, mut at_top) = (0, 0, 0_u64);
        for pixel in bytes.chunks_exact(2 * channels) {
            for (index, word) in pixel.as_chunks().0.iter().enumerate() {
                let value = stored(u16::from_ne_bytes(*word), white_is_zero);
                if !is_alpha(index, channels) {
                    brightest = value.max(brightest);
                    next = if value < TOP { value.max(next) } else { next };
                    at_top += u64::from(value == TOP);
                }
            }
        }
        // Values far above all others are marks or the surroundings of the film.
        let apart = brightest == TOP && (u16::from(u8::MAX)..EIGHTH).contains(&next);
        let brightest = if apart { next } else { brightest };
        let bits = (brightest.checked_ilog2().unwrap_or(15) + 1).max(8);
        if brightest == 0 || brightest >= HALF {
            return Self { bits: 16, white_is_zero };
        }
        warnings.push(FilmWarning::FewerBits { brightest, bits, brighter: if apart { at_top } else { 0 } });
        Self { bits, white_is_zero }
    }

    fn grey(&self, sample: u16) -> u8 {
        let last = (1_u32 << self.bits) - 1;
        let grey = grey_of(u32::from(stored(sample, self.white_is_zero)).min(last), last);
        if self.white_is_zero { u8::MAX - grey } else { grey }
    }
}

/// The value in the file: the decoder has turned values round that are stored as 0 for white.
fn stored(sample: u16, white_is_zero: bool) -> u16 {
    if white_is_zero { TOP - sample } else { sample }
}
