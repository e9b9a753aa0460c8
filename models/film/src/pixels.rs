//! Films from pixels that another program has decoded: a viewer, a driver, a numpy array.
//!
//! [`Pixels`] describes the pixels in memory: size, bytes per row, bits, polarity, window. [`Film::from_pixels`] checks the description
//! and converts values of 8 to 16 bits to 8-bit grey. This module does not read files.

use crate::film::validate_size;
use crate::geometry::Size;
use crate::{Film, FilmError, PixelFault, content};

/// Grey pixels in memory, row after row from the top, each from left to right; `size` has the width first, in px. Nothing is copied
/// before [`Film::from_pixels`].
///
/// ```
/// use onemark_film::{Film, GreyWindow, Pixels, Size};
///
/// // Two rows of two 12-bit pixels, with a window such as viewers set it.
/// let bytes: Vec<u8> = [0_u16, 1500, 2500, 4095].iter().flat_map(|value| value.to_ne_bytes()).collect();
/// let pixels = Pixels::grey16(&bytes, Size { width: 2, height: 2 })?
///     .with_bits(12)
///     .with_window(GreyWindow { centre: 2000.0, width: 1001.0 });
/// assert_eq!(Film::from_pixels(pixels)?.grey(), [0, 0, 255, 255]);
/// # Ok::<(), onemark_film::FilmError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pixels<'a> {
    bytes: &'a [u8],
    size: Size,
    /// Bytes from the start of one row to that of the next.
    stride: usize,
    /// The bytes per pixel: one or two.
    depth: Depth,
    bits: u32,
    inverted: bool,
    window: Option<GreyWindow>,
}

/// What a value is of `last`, rounded to a grey from 0 to 255. `last` is from 1 to 65535, and no value is larger.
pub(crate) const fn grey_of(value: u32, last: u32) -> u8 {
    ((255 * value + last / 2) / last) as u8
}

/// The number of bytes of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    One,
    Two,
}

impl<'a> Pixels<'a> {
    /// Pixels of one byte, 0 for black and 255 for white, in rows without padding.
    ///
    /// # Errors
    /// [`FilmError::ZeroSize`] if a side is 0, and [`FilmError::TooLarge`] beyond [`MAX_FILM_PIXELS`](crate::MAX_FILM_PIXELS) or
    /// [`MAX_FILM_SIDE`](crate::MAX_FILM_SIDE). Everything else is checked by [`Film::from_pixels`].
    pub fn grey8(bytes: &'a [u8], size: Size) -> Result<Self, FilmError> {
        Self::new(bytes, size, Depth::One)
    }

    /// Pixels of two bytes in the machine's byte order, aligned or not, in rows without padding. 0 is black and 65535 white, unless
    /// [`Pixels::with_bits`] states fewer bits than 16.
    ///
    /// # Errors
    /// As [`Pixels::grey8`].
    pub fn grey16(bytes: &'a [u8], size: Size) -> Result<Self, FilmError> {
        Self::new(bytes, size, Depth::Two)
    }

    fn new(bytes: &'a [u8], size: Size, depth: Depth) -> Result<Self, FilmError> {
        validate_size(size, None)?;
        let stride = size.width as usize * depth.bytes();
        Ok(Self { bytes, size, stride, depth, bits: 8 * depth.bytes() as u32, inverted: false, window: None })
    }

    /// Sets the number of used bits of a pixel. The largest value, 2^`bits` - 1, is white. Pixels of two bytes may use 8 to 16 bits, those of
    /// one byte 8; [`Film::from_pixels`] refuses others, and values that need more bits.
    #[must_use]
    pub const fn with_bits(self, bits: u32) -> Self {
        Self { bits, ..self }
    }

    /// Sets the number of bytes from the start of one row to the start of the next. Bytes between rows are not read, and the last row
    /// needs no padding. [`Film::from_pixels`] refuses a stride that is shorter than a row.
    ///
    /// ```
    /// use onemark_film::{Film, Pixels, Size};
    ///
    /// // Rows of two pixels, each padded to four bytes.
    /// let bytes = [10, 20, 0, 0, 30, 40];
    /// let pixels = Pixels::grey8(&bytes, Size { width: 2, height: 2 })?.with_stride(4);
    /// assert_eq!(Film::from_pixels(pixels)?.grey(), [10, 20, 30, 40]);
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    #[must_use]
    pub const fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Sets whether small values are bright (DICOM's MONOCHROME1).
    ///
    /// ```
    /// use onemark_film::{Film, Pixels, Size};
    ///
    /// let pixels = Pixels::grey8(&[0, 255], Size { width: 2, height: 1 })?.inverted(true);
    /// assert_eq!(Film::from_pixels(pixels)?.grey(), [255, 0]);
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    #[must_use]
    pub const fn inverted(self, inverted: bool) -> Self {
        Self { inverted, ..self }
    }

    /// Sets the window: the range of values, in the numbers that the pixels have, that becomes grey. Without a window, it is the whole range
    /// from 0 to 2^bits - 1. [`Film::from_pixels`] refuses a window that is narrower than 1 or not finite.
    #[must_use]
    pub const fn with_window(self, window: GreyWindow) -> Self {
        Self { window: Some(window), ..self }
    }

    /// Checks that the description contradicts neither itself nor the buffer.
    fn validate(&self) -> Result<(), PixelFault> {
        let Size { width, height } = self.size;
        let (bits, stride, found) = (self.bits, self.stride, self.bytes.len());
        if !self.depth.bits().contains(&bits) {
            return Err(PixelFault::Bits { bits, allowed: if self.depth == Depth::One { "8" } else { "8 to 16" } });
        }
        if let Some(GreyWindow { centre, width }) = self.window
            && !(centre.is_finite() && width.is_finite() && width >= 1.0)
        {
            return Err(PixelFault::Window { centre, width });
        }
        let row = self.row();
        if stride < row {
            return Err(PixelFault::Stride { stride, width, row });
        }
        let needed = (height as usize - 1).checked_mul(stride).and_then(|before| before.checked_add(row));
        if needed.is_none_or(|needed| found < needed) {
            return Err(PixelFault::TooFewBytes { found, rows: height, stride });
        }
        Ok(())
    }

    /// The bytes of a row. The number of pixels is limited, so this cannot overflow.
    fn row(&self) -> usize {
        self.size.width as usize * self.depth.bytes()
    }

    /// The grey of each value.
    fn greys(&self) -> Vec<u8> {
        let last = (1_u32 << self.bits) - 1;
        let grey = |value: u32| match self.window {
            None => grey_of(value, last),
            Some(window) => (window.linear(f64::from(value)).clamp(0.0, 1.0) * 255.0).round() as u8,
        };
        (0..=last).map(|value| if self.inverted { 255 - grey(value) } else { grey(value) }).collect()
    }

    /// 8-bit grey, row after row.
    fn to_grey(self) -> Result<Vec<u8>, PixelFault> {
        self.validate()?;
        let greys = self.greys();
        let grey =
            |value: u16| greys.get(usize::from(value)).copied().ok_or(PixelFault::Value { value, bits: self.bits });
        let rows =
            self.bytes.chunks(self.stride).take(self.size.height as usize).filter_map(|row| row.get(..self.row()));
        match self.depth {
            Depth::One => rows.flatten().map(|value| grey(u16::from(*value))).collect(),
            Depth::Two => rows.flat_map(|row| row.as_chunks().0).map(|pair| grey(u16::from_ne_bytes(*pair))).collect(),
        }
    }
}

impl Depth {
    const fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The allowed numbers of used bits.
    const fn bits(self) -> std::ops::RangeInclusive<u32> {
        match self {
            Self::One => 8..=8,
            Self::Two => 8..=16,
        }
    }
}

/// The range of values that become grey, as in viewers and in DICOM's LINEAR function (PS3.3 sec. C.11.2.1.2.1): smaller values
/// are black, larger values white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GreyWindow {
    /// The value that becomes the middle grey.
    pub centre: f64,
    /// The number of values from black to white, at least 1. With a width of 1, all pixels are black or white.
    pub width: f64,
}

impl GreyWindow {
    /// The brightness of a value: 0 is black, 1 is white. Values outside the window are not clamped.
    pub(crate) fn linear(self, value: f64) -> f64 {
        let distance = value - self.centre;
        if self.width > 1.0 {
            (distance + 0.5) / (self.width - 1.0) + 0.5
        } else {
            f64::from(u8::from(distance > -0.5))
        }
    }
}

impl Film {
    /// A film from pixels in memory. It equals the film that is read from a file with the same values.
    ///
    /// Without a window the value v becomes round(255 v / (2^bits - 1)): values of 8 bits do not change, and values of 16 bits become
    /// the same grey as in [`Film::from_bytes`].
    ///
    /// ```
    /// use onemark_film::{Film, FilmError, PixelFault, Pixels, Size};
    ///
    /// let size = Size { width: 2, height: 1 };
    /// assert_eq!(Film::from_pixels(Pixels::grey8(&[0, 200], size)?)?.grey(), [0, 200]);
    ///
    /// let error = Film::from_pixels(Pixels::grey8(&[0], size)?).unwrap_err();
    /// assert!(matches!(error, FilmError::Pixels { reason: PixelFault::TooFewBytes { .. }, .. }));
    /// # Ok::<(), FilmError>(())
    /// ```
    ///
    /// With a window, values become grey by DICOM's LINEAR function (see [`GreyWindow`]). The film has no spacing. Like a film from a
    /// file, it has a warning if it is all one grey or has little contrast.
    ///
    /// # Errors
    /// [`FilmError::Pixels`], whose [`PixelFault`] says how the description contradicts itself or the buffer, or which value needs more bits
    /// than stated.
    pub fn from_pixels(pixels: Pixels<'_>) -> Result<Self, FilmError> {
        let grey = pixels.to_grey().map_err(|reason| FilmError::Pixels { reason })?;
        let warnings = content::cautions(pixels.size, &grey, None);
        Ok(Self::from_grey(pixels.size, grey)?.with_warnings(warnings))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    fn bytes(values: &[u16]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_ne_bytes()).collect()
    }

    fn grey(pixels: Pixels<'_>) -> Vec<u8> {
        Film::from_pixels(pixels).unwrap().grey().to_vec()
    }

    #[test]
    fn rows_lie_a_stride_apart_and_the_last_needs_no_padding() {
        let bytes = [1, 2, 99, 3, 4];
        assert_eq!(grey(Pixels::grey8(&bytes, size(2, 2)).unwrap().with_stride(3)), [1, 2, 3, 4]);
        // The buffer is not aligned for 16 bits.
        let mut wide = vec![99];
        wide.extend(self::bytes(&[0, 0xFFFF]));
        assert_eq!(grey(Pixels::grey16(&wide[1..], size(2, 1)).unwrap()), [0, 255]);
    }

    #[cfg(feature = "raster")]
    #[test]
    fn the_same_values_give_the_same_film_as_a_file() {
        use image::{DynamicImage, ImageBuffer, ImageFormat, Luma};

        let all: Vec<u16> = (0..=u16::MAX).collect();
        let picture = ImageBuffer::<Luma<u16>, _>::from_raw(256, 256, all.clone()).unwrap();
        let mut png = std::io::Cursor::new(Vec::new());
        DynamicImage::from(picture).write_to(&mut png, ImageFormat::Png).unwrap();
        let file = Film::from_bytes(png.get_ref(), "all.png").unwrap();
        assert_eq!(Film::from_pixels(Pixels::grey16(&bytes(&all), size(256, 256)).unwrap()).unwrap(), file);
    }

    #[test]
    fn eight_bits_stay_as_they_are() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(grey(Pixels::grey8(&all, size(256, 1)).unwrap()), all);
        let wide: Vec<u16> = (0..=255).collect();
        assert_eq!(grey(Pixels::grey16(&bytes(&wide), size(256, 1)).unwrap().with_bits(8)), all);
    }

    #[test]
    fn fewer_bits_and_windows_reach_from_black_to_white() {
        let values = bytes(&[0, 1024, 2048, 3072, 4095]);
        let film = Pixels::grey16(&values, size(5, 1)).unwrap().with_bits(12);
        assert_eq!(grey(film), [0, 64, 128, 191, 255]);
        assert_eq!(grey(film.inverted(true)), [255, 191, 127, 64, 0]);
        assert_eq!(grey(film.with_window(GreyWindow { centre: 2048.0, width: 2049.0 })), [0, 0, 128, 255, 255]);
        // A width of 1 is a threshold.
        assert_eq!(grey(film.with_window(GreyWindow { centre: 2048.5, width: 1.0 })), [0, 0, 0, 255, 255]);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let few = [0; 5];
        let pixels = |width, height| Pixels::grey8(&few, size(width, height));
        let film = pixels(2, 2).unwrap();
        let refused = |pixels: Pixels<'_>| Film::from_pixels(pixels).unwrap_err().to_string();
        for bits in [7, 9] {
            assert!(refused(film.with_bits(bits)).contains(&format!("{bits} bits per pixel are stated, and 8 are")));
        }
        let wide = [0; 8];
        for bits in [7, 17, 32] {
            let wide = Pixels::grey16(&wide, size(2, 2)).unwrap().with_bits(bits);
            assert!(refused(wide).contains(&format!("{bits} bits per pixel are stated, and 8 to 16 are")));
        }
        assert!(pixels(0, 2).unwrap_err().to_string().contains("empty"));
        assert!(pixels(u32::MAX, u32::MAX).unwrap_err().to_string().contains("too large"));
        assert!(refused(film.with_stride(1)).contains("a stride of 1 bytes"));
        assert!(refused(film.with_stride(4)).contains("5 bytes are too few"));
        assert!(refused(film.with_stride(usize::MAX)).contains("too few"));
        assert!(refused(pixels(2, 3).unwrap().with_stride(usize::MAX / 2 + 1)).contains("too few"));
        for width in [0.5, f64::NAN, f64::INFINITY] {
            assert!(refused(film.with_window(GreyWindow { centre: 1.0, width })).contains("window"), "{width}");
        }
        let values = bytes(&[4095, 4096]);
        let film = Pixels::grey16(&values, size(2, 1)).unwrap().with_bits(12);
        assert!(refused(film).contains("a value of 4096"));
    }

    proptest! {
        #[test]
        fn any_description_is_a_film_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            (width, height) in (0_u32..9, 0_u32..9),
            stride in 0_usize..20,
            bits in 0_u32..20,
            two in any::<bool>(),
        ) {
            let pixels = if two { Pixels::grey16(&bytes, size(width, height)) } else { Pixels::grey8(&bytes, size(width, height)) };
            if let Ok(film) = pixels.and_then(|pixels| Film::from_pixels(pixels.with_stride(stride).with_bits(bits))) {
                prop_assert_eq!(film.size(), size(width, height));
                prop_assert_eq!(film.grey().len() as u64, film.size().pixels());
            }
        }

        #[test]
        fn brighter_values_are_never_darker(
            (one, other) in (0_u16..4096, 0_u16..4096),
            centre in -100.0..5000.0_f64,
            width in 1.0..5000.0_f64,
        ) {
            let values = bytes(&[one.min(other), one.max(other)]);
            let pixels = Pixels::grey16(&values, size(2, 1)).unwrap().with_bits(12);
            for pixels in [pixels, pixels.with_window(GreyWindow { centre, width })] {
                let (film, inverted) = (grey(pixels), grey(pixels.inverted(true)));
                prop_assert!(film[0] <= film[1]);
                prop_assert_eq!(inverted, [255 - film[0], 255 - film[1]]);
            }
        }
    }
}
