//! Reads films in PNG, JPEG, BMP and TIFF: checks the size before pixels are decoded, then converts them to 8-bit grey.
//!
//! Resolution tags are not used as a spacing. They describe prints and screens, not the patient.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::film::validate_size;
use crate::geometry::Size;
use crate::read::MAX_FILM_BYTES;
use crate::signature::{Raster, jpeg_is_complete};
use crate::{Film, FilmError};

/// Reads a film of this format; `name` appears in messages only.
pub(crate) fn read(bytes: &[u8], format: Raster, name: &Path) -> Result<Film, FilmError> {
    let damaged = |reason: String| FilmError::Damaged { path: name.to_owned(), reason };
    let known = match format {
        Raster::Png => ImageFormat::Png,
        Raster::Jpeg => ImageFormat::Jpeg,
        Raster::Bmp => ImageFormat::Bmp,
        Raster::Tiff => ImageFormat::Tiff,
    };

    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_FILM_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), known);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| damaged(e.to_string()))?;
    let (width, height) = decoder.dimensions();
    let size = Size { width, height };
    validate_size(size, Some(name))?;
    if format == Raster::Jpeg && !jpeg_is_complete(bytes) {
        return Err(damaged("the JPEG ends before its end marker".to_owned()));
    }
    let decoded = DynamicImage::from_decoder(decoder).map_err(|e| damaged(e.to_string()))?;
    match to_grey(decoded) {
        Some(grey) => Film::from_grey(size, grey.into_raw()),
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
                // ITU-R 601 in 16-bit fixed point. The weights sum to 2^16, so grey pixels do not change.
                image::Luma([((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8])
            }))
        }
        _ => None,
    }
}
