//! Converts films to pictures, and pictures to PNG files.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageError, ImageFormat};
use onemark_film::Film;

/// The picture as a PNG file.
pub fn encode(picture: impl Into<DynamicImage>) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// The film as a picture.
pub fn grey(film: &Film) -> GrayImage {
    let grey = film.grey().iter().copied();
    let mut picture = GrayImage::new(film.width(), film.height());
    picture.iter_mut().zip(grey).for_each(|(pixel, grey)| *pixel = grey);
    picture
}
