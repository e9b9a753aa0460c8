//! Films from files: all formats and depths, the resize compared with Pillow's, and refused files.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb};
use onemark_film::geometry::{GridSize, Size};
use onemark_film::{Film, FilmError};
use serde::Deserialize;

/// The allowed difference from Pillow's resize, in grey levels, in a cell whose exact value lies between two levels.
const TIE_LEVELS: u8 = 1;
/// The allowed difference of a smooth film after JPEG compression, in grey levels.
const JPEG_LEVELS: u8 = 3;

const FORMATS: [ImageFormat; 4] = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Tiff];

/// A smooth film of 40x30 px.
fn ramp() -> GrayImage {
    GrayImage::from_fn(40, 30, |x, y| Luma([(3 * x + 4 * y) as u8]))
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn read(bytes: &[u8]) -> Result<Film, FilmError> {
    Film::from_bytes(bytes, Path::new("film.xyz"))
}

/// The film of a picture.
fn film(picture: GrayImage) -> Result<Film, FilmError> {
    let (width, height) = picture.dimensions();
    Film::from_grey(Size { width, height }, picture.into_raw())
}

fn largest_difference(a: &Film, b: &GrayImage) -> u8 {
    assert_eq!((a.width(), a.height()), b.dimensions());
    a.grey().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn every_format_is_recognised_by_content() {
    for format in FORMATS {
        let grey = DynamicImage::from(ramp());
        for image in [grey.clone(), DynamicImage::from(grey.to_rgb8())] {
            let film = read(&encode(&image, format)).unwrap();
            let allowed = if format == ImageFormat::Jpeg { JPEG_LEVELS } else { 0 };
            assert!(largest_difference(&film, &ramp()) <= allowed, "{format:?}");
        }
    }
}

#[test]
fn sixteen_bits_become_eight() {
    let wide = |value: u8| u16::from(value) * 257;
    let grey = ImageBuffer::from_fn(40, 30, |x, y| Luma([wide(ramp().get_pixel(x, y).0[0])]));
    let rgb = ImageBuffer::from_fn(40, 30, |x, y| Rgb([wide(ramp().get_pixel(x, y).0[0]); 3]));
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        for image in [DynamicImage::ImageLuma16(grey.clone()), DynamicImage::ImageRgb16(rgb.clone())] {
            assert_eq!(read(&encode(&image, format)).unwrap(), film(ramp()).unwrap());
        }
    }
}

#[test]
fn colour_becomes_luma() {
    // ITU-R 601 luma of red, green and blue, as Pillow's convert("L") gives them.
    let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 200, 90]];
    let image = ImageBuffer::from_fn(4, 1, |x, _| Rgb(colours[x as usize]));
    let film = read(&encode(&DynamicImage::ImageRgb8(image), ImageFormat::Png)).unwrap();
    assert_eq!(film.grey(), &[76, 150, 29, 131]);
}

#[derive(Deserialize)]
struct Goldens {
    cases: Vec<Golden>,
}

#[derive(Deserialize)]
struct Golden {
    seed: u32,
    film: [u32; 2],
    grid: [usize; 2],
    expected: Vec<Vec<u8>>,
    ties: Vec<[usize; 2]>,
}

/// The film of goldens/resize.py.
fn golden_film(golden: &Golden) -> Film {
    let [height, width] = golden.film;
    let mut state = golden.seed;
    let pixels = (0..height * width).map(|i| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 24) + i) as u8
    });
    Film::from_grey(Size { width, height }, pixels.collect()).unwrap()
}

#[test]
fn resize_equals_pillow() {
    let goldens: Goldens = serde_json::from_str(include_str!("goldens/resize.json")).unwrap();
    for golden in goldens.cases {
        let [height, width] = golden.grid;
        let film = golden_film(&golden);
        let grid = film.to_grid(GridSize::new(height, width)).unwrap();
        let found = film.resized(GridSize::new(height, width)).unwrap();
        for (y, row) in golden.expected.iter().enumerate() {
            for (x, expected) in row.iter().enumerate() {
                let difference = found[y * width + x].abs_diff(*expected);
                let allowed = if golden.ties.contains(&[y, x]) { TIE_LEVELS } else { 0 };
                assert!(difference <= allowed, "seed {}, cell ({y}, {x}): {difference} levels", golden.seed);
            }
        }
        assert_eq!(grid.dim(), (height, width));
        assert_eq!(grid[(height - 1, 0)], f32::from(found[(height - 1) * width]) / 255.0);
    }
}

#[test]
fn impossible_grids_are_refused() {
    let film = film(ramp()).unwrap();
    for (height, width) in [(0, 8), (8, 0), (1 << 20, 1 << 20), (usize::MAX, 2), (1, 1 << 26)] {
        let error = film.to_grid(GridSize::new(height, width)).unwrap_err();
        assert!(matches!(error, FilmError::Grid { .. }), "{error}");
    }
}

#[test]
fn a_film_cut_short_is_never_a_film() {
    for format in FORMATS {
        let bytes = encode(&DynamicImage::from(ramp()), format);
        // The header is complete, but half of the pixels are missing.
        let kept = bytes.len() - 300;
        let error = read(&bytes[..kept]).unwrap_err();
        assert!(matches!(error, FilmError::Damaged { .. }), "{format:?}: {error}");
        for kept in 0..bytes.len() - 1 {
            // A truncated file is an error or, if only trailing bytes are missing, the whole film; never a part of the film.
            if let Ok(film) = read(&bytes[..kept]) {
                assert!(largest_difference(&film, &ramp()) <= JPEG_LEVELS, "{format:?} cut at {kept}");
            }
        }
    }
}

#[test]
fn files_that_are_no_film_say_what_they_are() {
    for (bytes, expected) in [
        (&b""[..], "an empty file"),
        (b"835,996\n1473,1029\n", "a text file"),
        (b"GIF89a\x01\x00\x01\x00", "another image format"),
        (&[0; 64], "no image"),
    ] {
        let error = read(bytes).unwrap_err();
        assert!(matches!(error, FilmError::WrongType { .. }), "{error}");
        assert!(error.to_string().contains("film.xyz") && error.to_string().contains(expected), "{error}");
    }
    let float = ImageBuffer::from_pixel(2, 2, Rgb([0.5f32; 3]));
    let error = read(&encode(&DynamicImage::ImageRgb32F(float), ImageFormat::Tiff)).unwrap_err();
    assert!(error.to_string().contains("floating-point"), "{error}");
}

/// The header of a BMP of 8-bit grey whose pixels are missing.
fn bmp_header(width: i32, height: i32) -> Vec<u8> {
    let mut header = encode(&DynamicImage::from(ramp()), ImageFormat::Bmp);
    header.truncate(header.len() - 40 * 30);
    header[18..22].copy_from_slice(&width.to_le_bytes());
    header[22..26].copy_from_slice(&height.to_le_bytes());
    header
}

#[test]
fn size_is_checked_before_pixels_are() {
    let error = read(&bmp_header(20_000, 20_000)).unwrap_err();
    assert!(matches!(error, FilmError::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("20000x20000 px"), "{error}");
    let error = film(GrayImage::new(0, 7)).unwrap_err();
    assert!(matches!(error, FilmError::ZeroSize { path: None, size: Size { width: 0, height: 7 }, .. }), "{error}");
    assert!(read(&bmp_header(0, 30)).is_err());
}

#[test]
fn files_are_opened_by_path() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.png");
    for unreadable in [missing.as_path(), folder.path()] {
        let error = Film::open(unreadable).unwrap_err();
        let FilmError::Read { path, .. } = error else { panic!("{error}") };
        assert_eq!(path, unreadable);
    }
    // A PNG file with another extension is read as PNG.
    let misnamed: PathBuf = folder.path().join("film.jpg");
    fs::write(&misnamed, encode(&DynamicImage::from(ramp()), ImageFormat::Png)).unwrap();
    assert_eq!(Film::open(&misnamed).unwrap(), film(ramp()).unwrap());
}
