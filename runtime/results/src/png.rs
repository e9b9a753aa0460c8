//! Pictures as PNG files.

use std::io::Cursor;

use image::{DynamicImage, ImageError, ImageFormat};

/// The picture as a PNG file.
pub fn encode(picture: impl Into<DynamicImage>) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}
