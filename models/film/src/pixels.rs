//! Films from pixels that somebody else has decoded: a viewer, a driver, a numpy array.
//!
//! Here rows are found and grey levels become 8 bits. Formats of files are not known here.

use image::GrayImage;

use crate::{Film, FilmError, MAX_FILM_PIXELS, Spacing};

/// Grey pixels in memory, row after row from the top, each from left to right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pixels<'a> {
    /// The rows. One byte a pixel where `bits` is 8, else two in the machine's byte order, aligned or not.
    pub bytes: &'a [u8],
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from the start of one row to that of the next; what lies between rows is not read.
    pub stride: usize,
    /// How many bits of a pixel are used, 8 to 16: the largest value is 2^`bits` - 1.
    pub bits: u32,
    /// Whether small values are bright (DICOM's MONOCHROME1).
    pub inverted: bool,
    /// Which values are shown; `None` shows all that `bits` can hold.
    pub window: Option<Window>,
}

/// The values that become grey, as viewers set them and as DICOM's LINEAR function (PS3.3 sec. C.11.2.1.2.1) has them: those
/// below are black, those above are white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// The value that becomes the middle grey.
    pub centre: f64,
    /// How many values there are from black to white, at least 1.
    pub width: f64,
}

impl Film {
    /// A film from pixels in memory, however they were got: the same values give the same film as a file of them does.
    ///
    /// Without a window the value v becomes round(255 v / (2^bits - 1)): 8 bits stay as they are, and 16 bits become what
    /// [`Film::from_bytes`] makes of them.
    ///
    /// # Errors
    /// [`FilmError::ZeroSize`] and [`FilmError::TooLarge`] as for files; [`FilmError::Pixels`] where sizes contradict each
    /// other, or a value needs more than `bits`.
    pub fn from_pixels(pixels: Pixels<'_>) -> Result<Self, FilmError> {
        let Pixels { bytes, width, height, stride, bits, inverted, window } = pixels;
        let refuse = |reason: String| FilmError::Pixels { reason };
        let sample = match bits {
            8 => 1,
            9..=16 => 2,
            _ => return Err(refuse(format!("{bits} bits per pixel where 8 to 16 are read"))),
        };
        if width == 0 || height == 0 {
            return Err(FilmError::ZeroSize { path: "(in memory)".into(), width, height });
        }
        if u64::from(width) * u64::from(height) > MAX_FILM_PIXELS {
            return Err(FilmError::TooLarge {
                path: "(in memory)".into(),
                found: format!("{width}x{height} px"),
                limit: format!("{MAX_FILM_PIXELS} px in all"),
            });
        }
        if let Some(Window { centre, width }) = window
            && !(centre.is_finite() && width.is_finite() && width >= 1.0)
        {
            return Err(refuse(format!("a window of {width} values around {centre}; the width must be at least 1")));
        }
        // Both are at most MAX_FILM_PIXELS, so nothing overflows here; the stride may be anything.
        let row = width as usize * sample;
        if stride < row {
            return Err(refuse(format!("a stride of {stride} bytes where a row of {width} px has {row}")));
        }
        // The last row need not be padded.
        let needed = (height as usize - 1).checked_mul(stride).and_then(|before| before.checked_add(row));
        if needed.is_none_or(|needed| bytes.len() < needed) {
            let found = bytes.len();
            return Err(refuse(format!("{found} bytes are too few for {height} rows with a stride of {stride} bytes")));
        }

        let greys = greys(bits, inverted, window);
        let mut film = Vec::with_capacity(width as usize * height as usize);
        for bytes in bytes.chunks(stride).take(height as usize).map(|bytes| &bytes[..row]) {
            if sample == 1 {
                film.extend(bytes.iter().map(|value| greys[usize::from(*value)]));
                continue;
            }
            for pair in bytes.as_chunks().0 {
                let value = u16::from_ne_bytes(*pair);
                let grey = greys.get(usize::from(value));
                film.push(*grey.ok_or_else(|| refuse(format!("a value of {value} where pixels have {bits} bits")))?);
            }
        }
        let film = GrayImage::from_raw(width, height, film);
        Self::from_grey(film.ok_or_else(|| refuse("the rows have the wrong size".into()))?)
    }
}

impl Spacing {
    /// The spacing (mm per px, x then y) that `source` states.
    ///
    /// # Errors
    /// [`FilmError::Pixels`] where it is not positive.
    pub fn stated(mm_per_px: [f64; 2], source: &str) -> Result<Self, FilmError> {
        if mm_per_px.iter().all(|mm| mm.is_finite() && *mm > 0.0) {
            return Ok(Self { mm_per_px, source: source.to_owned() });
        }
        let [x, y] = mm_per_px;
        Err(FilmError::Pixels { reason: format!("a spacing of {x} x {y} mm per px where both must be positive") })
    }
}

/// The grey of each value of `bits` bits.
fn greys(bits: u32, inverted: bool, window: Option<Window>) -> Vec<u8> {
    let last = (1_u32 << bits) - 1;
    let grey = |value: u32| match window {
        None => ((255 * value + last / 2) / last) as u8,
        Some(Window { centre, width }) => {
            let (above, steps) = (f64::from(value) - (centre - 0.5), width - 1.0);
            if above <= -steps / 2.0 {
                0
            } else if above > steps / 2.0 {
                255
            } else {
                ((above / steps + 0.5) * 255.0).round() as u8
            }
        }
    };
    (0..=last).map(|value| if inverted { 255 - grey(value) } else { grey(value) }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Cursor;
    use std::path::Path;

    use image::{DynamicImage, ImageFormat, Luma};

    use super::*;

    fn pixels(bytes: &[u8], width: u32, height: u32, bits: u32) -> Pixels<'_> {
        let stride = width as usize * if bits > 8 { 2 } else { 1 };
        Pixels { bytes, width, height, stride, bits, inverted: false, window: None }
    }

    fn bytes(values: &[u16]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_ne_bytes()).collect()
    }

    /// The greys of a film of one row.
    fn row(pixels: Pixels<'_>) -> Vec<u8> {
        Film::from_pixels(pixels).unwrap().grey().as_raw().clone()
    }

    #[test]
    fn rows_lie_a_stride_apart_and_the_last_needs_no_padding() {
        let bytes = [1, 2, 99, 3, 4];
        let film = Film::from_pixels(Pixels { stride: 3, ..pixels(&bytes, 2, 2, 8) }).unwrap();
        assert_eq!(film.grey().as_raw(), &[1, 2, 3, 4]);
        // Not aligned for 16 bits.
        let mut wide = vec![99];
        wide.extend(self::bytes(&[0, 0xFFFF]));
        assert_eq!(row(pixels(&wide[1..], 2, 1, 16)), [0, 255]);
    }

    #[test]
    fn the_same_values_give_the_same_film_as_a_file() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let picture = image::ImageBuffer::<Luma<u16>, _>::from_raw(256, 256, all.clone()).unwrap();
        let mut png = Cursor::new(Vec::new());
        DynamicImage::from(picture).write_to(&mut png, ImageFormat::Png).unwrap();
        let file = Film::from_bytes(png.get_ref(), Path::new("all.png")).unwrap();
        assert_eq!(Film::from_pixels(pixels(&bytes(&all), 256, 256, 16)).unwrap(), file);
        let eight: Vec<u8> = (0..=255).collect();
        assert_eq!(row(pixels(&eight, 256, 1, 8)), eight);
    }

    #[test]
    fn fewer_bits_and_windows_reach_from_black_to_white() {
        let values = bytes(&[0, 1024, 2048, 3072, 4095]);
        let film = pixels(&values, 5, 1, 12);
        assert_eq!(row(film), [0, 64, 128, 191, 255]);
        assert_eq!(row(Pixels { inverted: true, ..film }), [255, 191, 127, 64, 0]);
        let window = |centre, width| Some(Window { centre, width });
        assert_eq!(row(Pixels { window: window(2048.0, 2049.0), ..film }), [0, 0, 128, 255, 255]);
        // A width of 1 is a threshold.
        assert_eq!(row(Pixels { window: window(2048.5, 1.0), ..film }), [0, 0, 0, 255, 255]);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let few = [0; 5];
        let film = pixels(&few, 2, 2, 8);
        let refused = |pixels: Pixels<'_>| Film::from_pixels(pixels).unwrap_err().to_string();
        assert!(refused(Pixels { bits: 7, ..film }).contains("7 bits"));
        assert!(refused(Pixels { bits: 17, ..film }).contains("17 bits"));
        assert!(refused(Pixels { width: 0, ..film }).contains("empty"));
        assert!(refused(Pixels { width: u32::MAX, height: u32::MAX, ..film }).contains("too large"));
        assert!(refused(Pixels { stride: 1, ..film }).contains("a stride of 1 bytes"));
        assert!(refused(Pixels { stride: 4, ..film }).contains("5 bytes are too few"));
        assert!(refused(Pixels { stride: usize::MAX, ..film }).contains("too few"));
        assert!(refused(Pixels { stride: usize::MAX / 2 + 1, height: 3, ..film }).contains("too few"));
        for width in [0.5, f64::NAN, f64::INFINITY] {
            let window = Some(Window { centre: 1.0, width });
            assert!(refused(Pixels { window, ..film }).contains("window"), "{width}");
        }
        assert!(refused(pixels(&bytes(&[4095, 4096]), 2, 1, 12)).contains("a value of 4096"));
        for spacing in [[0.1, 0.0], [-0.1, 0.1], [f64::NAN, 0.1], [0.1, f64::INFINITY]] {
            let error = Spacing::stated(spacing, "a test").unwrap_err().to_string();
            assert!(error.contains("a spacing of"), "{error}");
        }
    }
}
