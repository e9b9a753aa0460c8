//! Reads films in PNG, JPEG, BMP and TIFF.
//!
//! [`read`] checks what a file says of its picture before any pixel is decoded, decodes it with the crate `image`, converts it to 8-bit
//! grey (`grey`) and turns it as its orientation tag says. `bmp`, `exif`, `mpo`, `png` and `tiff` read what that crate does not say:
//! the number of pages, the kind of numbers, the orientation, the resolution. They also check what it does not: that no strip of a TIFF
//! is missing or damaged, and, with `inflate`, that checksums are right. `jpeg`, outside of this module, does so for JPEG.
//!
//! Resolution tags are not used as a spacing. They describe prints and screens, not the patient. If they say that pixels are not square,
//! there is a warning.

mod bmp;
mod exif;
mod grey;
mod inflate;
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
    /// How the picture is turned upright, from 1 to 8 as in Exif.
    orientation: Option<u8>,
    /// What places say of it that viewers do not follow.
    unfollowed: Vec<Unfollowed>,
    /// Whether 0 is stored for white; the decoder turns this round.
    white_is_zero: bool,
    /// Which rows are stored last, if pixels are stored as they are: then nothing else tells that the end of the file is lost.
    last_rows: Option<LastRows>,
    /// Pixels per unit of length along x and y. Neither is 0.
    resolution: Option<[f64; 2]>,
}

/// An orientation that is stated where viewers mostly do not look for it.
#[derive(Debug)]
struct Unfollowed {
    /// What states it.
    place: &'static str,
    /// From 1 to 8, as in Exif.
    tag: u8,
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
    let decoder = decoder(bytes, format).map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let size = Size { width, height };
    validate_size(size, Some(name))?;
    match format {
        Raster::Png => png::validate_pixels(bytes).map_err(refused)?,
        Raster::Tiff => tiff::validate_parts(bytes).map_err(refused)?,
        Raster::Jpeg | Raster::Bmp => {}
    }
    let orientation = outline.orientation.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(|error| refused(error.into()))?;
    let mut warnings = Vec::new();
    let Some(grey) = grey::convert(decoded, outline.white_is_zero, &mut warnings) else {
        return Err(refused(Fault::unsupported("its pixels are floating-point numbers")));
    };
    warnings.extend(content::small(size));
    warnings.extend(content::cautions(size, &grey, outline.last_rows));
    let (upright, grey) = turn(size, grey, orientation, &mut warnings);
    for Unfollowed { place, tag } in outline.unfollowed {
        let warning = FilmWarning::UnfollowedOrientation { place, tag };
        if tag != orientation.to_exif() && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    let lies = matches!(orientation.to_exif(), 5..=8);
    let resolution = outline.resolution.map(|[x, y]| if lies { [y, x] } else { [x, y] });
    Ok(Film::from_grey(upright, grey)?.with_warnings(warnings).with_resolution(resolution))
}

/// The JPEG without what follows it, and what its header says. An error if it is not whole.
fn whole_jpeg<'a>(bytes: &'a [u8], name: &Path) -> Result<(&'a [u8], Outline), FilmError> {
    /// The markers of the segments of JFIF, and of Exif and XMP, and how their bodies begin.
    const JFIF: (u8, &[u8]) = (0xE0, b"JFIF\0");
    const EXIF: (u8, &[u8]) = (0xE1, b"Exif\0\0");
    const XMP: (u8, &[u8]) = (0xE1, b"http://ns.adobe.com/x");
    let refused = |fault: Fault| fault.at(name);
    let frame = jpeg::frame(bytes).map_err(refused)?;
    if frame.is_lossless() {
        return Err(refused(Fault::unsupported("it is a lossless JPEG")));
    }
    mpo::refuse_pictures(bytes).map_err(refused)?;
    validate_size(frame.size(), Some(name))?;
    let bodies = |(kind, name): (u8, &'static [u8])| {
        let all = jpeg::header_segments(bytes);
        all.filter_map(move |(marker, body)| body.strip_prefix(name).filter(|_| marker == kind))
    };
    let resolution = bodies(JFIF).find_map(|body| {
        let [_, _, _unit, x @ .., a, b] = *body.first_chunk::<7>()?;
        resolution(u16::from_be_bytes(x), u16::from_be_bytes([a, b]))
    });
    let orientation = bodies(EXIF).find_map(exif::orientation);
    let in_xmp = bodies(XMP).filter_map(exif::xmp_orientation);
    let unfollowed = in_xmp.map(|tag| Unfollowed { place: "XMP", tag }).collect();
    let outline = Outline { resolution, orientation, unfollowed, ..Outline::default() };
    Ok((jpeg::validate(bytes).map_err(refused)?, outline))
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
