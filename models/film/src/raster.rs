//! Films in PNG, JPEG, BMP and TIFF: size before pixels, then 8-bit grey. DICOM is next door.
//! Resolution tags are no spacing: they are about paper and screens, and nobody sets them with a patient in mind.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::FilmError;
use crate::film::{MAX_FILM_BYTES, check_size};

/// The grey pixels of a file, whose format is told by its content; `name` only appears in messages.
pub(crate) fn read(bytes: &[u8], name: &Path) -> Result<GrayImage, FilmError> {
    let format = image::guess_format(bytes).ok().filter(|format| {
        use ImageFormat::{Bmp, Jpeg, Png, Tiff};
        matches!(format, Bmp | Jpeg | Png | Tiff)
    });
    let Some(format) = format else {
        return Err(wrong_type(bytes, name));
    };
    let damaged = |reason: String| FilmError::Damaged { path: name.to_owned(), reason };

    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_FILM_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| damaged(e.to_string()))?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, name)?;
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        return Err(damaged("the JPEG ends before its end marker".to_owned()));
    }
    let decoded = DynamicImage::from_decoder(decoder).map_err(|e| damaged(e.to_string()))?;
    match to_grey(decoded) {
        Some(grey) => Ok(grey),
        None => Err(FilmError::WrongType {
            path: name.to_owned(),
            looks_like: "an image of floating-point pixels",
            advice: "save it with 8 or 16 bits per pixel",
        }),
    }
}

/// 8-bit grey of an 8- or 16-bit image; `None` for other sample types.
fn to_grey(image: DynamicImage) -> Option<GrayImage> {
    use DynamicImage as D;
    match image {
        D::ImageLuma8(grey) => Some(grey),
        D::ImageLuma16(_) | D::ImageLumaA8(_) | D::ImageLumaA16(_) => Some(image.into_luma8()),
        D::ImageRgb8(_) | D::ImageRgba8(_) | D::ImageRgb16(_) | D::ImageRgba16(_) => {
            let rgb = image.into_rgb8();
            Some(GrayImage::from_fn(rgb.width(), rgb.height(), |x, y| {
                let [r, g, b] = rgb.get_pixel(x, y).0.map(u32::from);
                // ITU-R 601 in 16-bit fixed point, the weights sum to 2^16: grey pixels stay what they are.
                image::Luma([((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8])
            }))
        }
        _ => None,
    }
}

/// Whether a JPEG's last scan is followed by the end-of-image marker.
///
/// The decoder fills a missing rest with grey and reports success; a landmark found in that grey would be a guess.
/// Compressed data never contains either marker (0xFF is followed by a stuffed zero there).
pub(crate) fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xFF, marker]);
    let (start_of_scan, end_of_image) = (last(0xDA), last(0xD9));
    end_of_image.is_some() && end_of_image > start_of_scan
}

/// The error for a file that is no film, with a guess at what it is.
fn wrong_type(bytes: &[u8], name: &Path) -> FilmError {
    const EXPORT: &str = "give a DICOM, PNG, JPEG, BMP or TIFF";
    let head = &bytes[..bytes.len().min(512)];
    let is_text = |c: &u8| matches!(c, b'\t' | b'\n' | b'\r' | 0x20..=0x7E | 0x80..);
    let (looks_like, advice) = if bytes.is_empty() {
        ("an empty file", "copy or export it again from its source")
    } else if image::guess_format(bytes).is_ok() {
        ("another image format", "save it as PNG, JPEG, BMP or TIFF")
    } else if head.iter().all(is_text) {
        ("a text file", EXPORT)
    } else {
        ("no image at all", EXPORT)
    };
    FilmError::WrongType { path: name.to_owned(), looks_like, advice }
}
