//! Reads films in PNG, JPEG, BMP and TIFF: checks the description before pixels are decoded, then converts them to 8-bit grey and turns
//! the film as its orientation tag says. The outlines in `bmp`, `mpo`, `png` and `tiff` say what the
//! decoders do not check: pages, kinds of numbers, whether strips are there. `grey` converts pixels.
//!
//! Resolution tags are not used as a spacing. They describe prints and screens, not the patient.

mod bmp;
mod grey;
mod mpo;
mod png;
mod tiff;

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::content::LastRows;
use crate::film::validate_size;
use crate::geometry::Size;
use crate::read::MAX_FILM_BYTES;
use crate::signature::Raster;
use crate::{Film, FilmError, FilmWarning, content, jpeg};

/// What to do about a picture that is not read.
const ADVICE: &str = "save it as grey PNG or TIFF of 8 or 16 bits";

/// Why a file is refused, without its name.
#[derive(Debug)]
enum Fault {
    /// The file ends too early or contradicts itself.
    Damaged(String),
    /// The file contains something that is not read: what it contains, and what to do.
    Unsupported(String, &'static str),
}

impl Fault {
    fn at(self, name: &Path) -> FilmError {
        let path = name.to_owned();
        match self {
            Self::Damaged(reason) => FilmError::Damaged { path, reason },
            Self::Unsupported(what, advice) => FilmError::Unsupported { path, what, advice },
        }
    }

    /// A file of several pictures.
    fn pages(count: impl std::fmt::Display, what: &str) -> Self {
        Self::Unsupported(format!("it has {count} {what}"), "export the one that you mean")
    }
}

impl From<jpeg::Fault> for Fault {
    fn from(fault: jpeg::Fault) -> Self {
        match fault {
            jpeg::Fault::Damaged(reason) => Self::Damaged(reason),
            jpeg::Fault::Unsupported(what) => Self::Unsupported(what, ADVICE),
        }
    }
}

impl From<ImageError> for Fault {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Unsupported(_) => {
                Self::Unsupported(format!("its pixels are of a kind that is not read ({error})"), ADVICE)
            }
            ImageError::Limits(_) => {
                Self::Unsupported(format!("it needs more memory than {MAX_FILM_BYTES} bytes"), ADVICE)
            }
            _ => Self::Damaged(error.to_string()),
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
}

/// Reads a film of this format; `name` appears in messages only.
pub(crate) fn read(bytes: &[u8], format: Raster, name: &Path) -> Result<Film, FilmError> {
    let refused = |fault: Fault| fault.at(name);
    let (bytes, outline) = match format {
        Raster::Png => (bytes, png::outline(bytes).map_err(refused)?),
        Raster::Jpeg => (whole_jpeg(bytes, name)?, Outline::default()),
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
    let Some(grey) = grey::convert(&decoded, outline.white_is_zero, &mut warnings) else {
        return Err(refused(Fault::Unsupported("its pixels are floating-point numbers".into(), ADVICE)));
    };
    drop(decoded);
    warnings.extend(content::small(size));
    warnings.extend(content::cautions(size, &grey, outline.last_rows));
    let (size, grey) = turn(size, grey, orientation, &mut warnings);
    Ok(Film::from_grey(size, grey)?.with_warnings(warnings))
}

/// The JPEG without what follows it. An error if it is not whole.
fn whole_jpeg<'a>(bytes: &'a [u8], name: &Path) -> Result<&'a [u8], FilmError> {
    let refused = |fault: Fault| fault.at(name);
    let frame = jpeg::frame(bytes).map_err(|fault| refused(fault.into()))?;
    if frame.is_lossless() {
        return Err(refused(Fault::Unsupported("it is a lossless JPEG".into(), ADVICE)));
    }
    mpo::refuse_pictures(bytes).map_err(refused)?;
    validate_size(frame.size(), Some(name))?;
    jpeg::validate(bytes).map_err(|fault| refused(fault.into()))
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
