//! Reads bytes as a film. A film that can be read is written as PNG, unless it is large; read again, it is equal.
#![no_main]

use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};
use libfuzzer_sys::{Corpus, fuzz_target};
use onemark_film::Film;
use onemark_fuzz::Watch;

/// The most px of a film that is written again. The same lines write larger ones.
const MOST_PIXELS: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let watch = Watch::start();
    if let Ok(film) = Film::from_bytes(bytes, Path::new("film")) {
        assert_eq!(film.grey().len() as u64, u64::from(film.width()) * u64::from(film.height()));
        if film.grey().len() <= MOST_PIXELS {
            write_and_read(&film);
        }
    }
    watch.verdict()
});

fn write_and_read(film: &Film) {
    let mut png = Vec::new();
    // The fastest way: the encoder is not what is tried here.
    let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::NoFilter);
    let written = encoder.write_image(film.grey(), film.width(), film.height(), ExtendedColorType::L8);
    written.expect("every film can be written");
    let again = Film::from_bytes(&png, Path::new("film.png")).expect("what was written can be read");
    assert_eq!((film.size(), film.grey()), (again.size(), again.grey()));
}
