//! Reads films in PNG, JPEG, BMP and TIFF.
//!
//! [`read`] checks what a file says of its picture before any pixel is decoded, decodes it with the crate `image`, converts it to 8-bit
//! grey (`grey`) and turns it as its orientation tag says. `bmp`, `mpo`, `png` and `tiff` read what that crate does not say: the number
//! of pages, the kind of numbers, the orientation, the resolution. They also check what it does not: that no strip of a TIFF is missing
//! or damaged. `jpeg`, outside of this module, does so for JPEG.
//!
//! Resolution tags are not used as a spacing. They describe prints and screens, not the patient. If they say that pixels are not square,
//! there is a warning.

mod bmp;
mod grey;
mod mpo;
mod png;
mod tiff;

use std::io::{self, Cursor};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::content::LastRows;
use crate::fault::Fault;
use crate::film::validate_size;
use crate::geometry::Size;
use crate::read::MAX_FILM_BYTES;
use crate::signature::Raster;
use crate::{Film, FilmError, FilmWarning, content, jpeg};

/// A file of several pictures.
fn pages(count: impl std::fmt::Display, what: &str) -> Fault {
    Fault::Unsupported(format!("it has {count} {what}"), "export the one that you mean")
}

fn too_much_memory() -> Fault {
    Fault::unsupported(format!("it needs more memory than {MAX_FILM_BYTES} bytes"))
}

fn other_pixels(error: impl std::fmt::Display) -> Fault {
    Fault::unsupported(format!("its pixels are of a kind that is not read ({error})"))
}

fn unreadable(error: &io::Error) -> Fault {
    Fault::damaged(match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
        _ => error.to_string(),
    })
}

impl From<ImageError> for Fault {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Unsupported(_) => other_pixels(error),
            ImageError::Limits(_) => too_much_memory(),
            ImageError::IoError(error) => unreadable(&error),
            _ => Self::damaged(error.to_string()),
        }
    }
}

/// What a file says about its picture.
#[derive(Debug, Default)]
struct Outline {
    /// How the picture is turned upright, if it is not the decoder that says it.
    orientation: Option<Orientation>,
    /// Whether 0 is stored for white; the decoder turns this round.
    white_is_zero: bool,
    /// Which rows are stored last, if pixels are stored as they are: then nothing else tells that the end of the file is lost.
    last_rows: Option<LastRows>,
    /// Pixels per unit of length along x and y. Neither is 0.
    resolution: Option<[f64; 2]>,
}

/// A resolution, unless the file leaves it open.
fn resolution(x: impl Into<f64>, y: impl Into<f64>) -> Option<[f64; 2]> {
    Some([x.into(), y.into()]).filter(|[x, y]| *x > 0.0 && *y > 0.0)
}

/// Reads a film of this format; `name` appears in messages only.
pub(crate) fn read(bytes: &[u8], format: Raster, name: &Path) -> Result<Film, FilmError> {
    let refused = |fault: Fault| fault.at(name);
    let (bytes, outline) = match format {
        Raster::Png => (bytes, png::outline(bytes).map_err(refused)?),
        Raster::Jpeg => whole_jpeg(bytes, name)?,
        Raster::Bmp => (bytes, bmp::outline(bytes).map_err(refused)?),
        Raster::Tiff => (bytes, tiff::outline(bytes).map_err(refused)?),
    };
    let mut decoder = decoder(bytes, format).map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let size = Size { width, height };
    validate_size(size, Some(name))?;
    if format == Raster::Tiff {
        tiff::validate_parts(bytes).map_err(refused)?;
    }
    // A tag that can't be read says nothing.
    let orientation = outline.orientation.or_else(|| decoder.orientation().ok()).unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(|error| refused(error.into()))?;
    let mut warnings = Vec::new();
    let Some(grey) = grey::convert(decoded, outline.white_is_zero, &mut warnings) else {
        return Err(refused(Fault::unsupported("its pixels are floating-point numbers")));
    };
    warnings.extend(content::small(size));
    warnings.extend(content::cautions(size, &grey, outline.last_rows));
    let (upright, grey) = turn(size, grey, orientation, &mut warnings);
    let lies = matches!(orientation.to_exif(), 5..=8);
    let resolution = outline.resolution.map(|[x, y]| if lies { [y, x] } else { [x, y] });
    Ok(Film::from_grey(upright, grey)?.with_warnings(warnings).with_resolution(resolution))
}

/// The JPEG without what follows it, and what its header says. An error if it is not whole.
fn whole_jpeg<'a>(bytes: &'a [u8], name: &Path) -> Result<(&'a [u8], Outline), FilmError> {
    /// The marker of JFIF's segment, and how its body begins.
    const SEGMENT: u8 = 0xE0;
    const NAME: &[u8] = b"JFIF\0";
    let refused = |fault: Fault| fault.at(name);
    let frame = jpeg::frame(bytes).map_err(refused)?;
    if frame.is_lossless() {
        return Err(refused(Fault::unsupported("it is a lossless JPEG")));
    }
    mpo::refuse_pictures(bytes).map_err(refused)?;
    validate_size(frame.size(), Some(name))?;
    let density = |(marker, body): (u8, &[u8])| {
        let [_, _, _unit, x @ .., a, b] = *body.strip_prefix(NAME).filter(|_| marker == SEGMENT)?.first_chunk::<7>()?;
        resolution(u16::from_be_bytes(x), u16::from_be_bytes([a, b]))
    };
    let resolution = jpeg::header_segments(bytes).find_map(density);
    Ok((jpeg::validate(bytes).map_err(refused)?, Outline { resolution, ..Outline::default() }))
}

/// The decoder of a file. It has read the header.
fn decoder(bytes: &[u8], format: Raster) -> Result<impl ImageDecoder, Fault> {
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
    Ok(reader.into_decoder()?)
}

/// The film as viewers show it.
fn turn(size: Size, grey: Vec<u8>, orientation: Orientation, warnings: &mut Vec<FilmWarning>) -> (Size, Vec<u8>) {
    if orientation == Orientation::NoTransforms {
        return (size, grey);
    }
    let picture = GrayImage::from_raw(size.width, size.height, grey).unwrap_or_default();
    let mut picture = DynamicImage::ImageLuma8(picture);
    picture.apply_orientation(orientation);
    let size = Size { width: picture.width(), height: picture.height() };
    warnings.push(FilmWarning::Turned { tag: orientation.to_exif(), size });
    (size, picture.into_bytes())
}
