//! Reads bytes as a film. A film that can be read is written as PNG; read again, it is equal.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use image::{GrayImage, ImageFormat};
use libfuzzer_sys::fuzz_target;
use onemark_film::Film;

fuzz_target!(|bytes: &[u8]| {
    let Ok(film) = Film::from_bytes(bytes, Path::new("film")) else { return };
    let grey = GrayImage::from_raw(film.width(), film.height(), film.grey().to_vec()).expect("a byte per pixel");
    let mut png = Cursor::new(Vec::new());
    grey.write_to(&mut png, ImageFormat::Png).expect("every film can be written");
    let again = Film::from_bytes(png.get_ref(), Path::new("film.png")).expect("what was written can be read");
    assert_eq!((film.size(), film.grey()), (again.size(), again.grey()));
});
