//! What a TIFF says about its pages, its pixels and where they are.

use std::io::Cursor;

use tiff::TiffError;
use tiff::decoder::ifd::Value;
use tiff::decoder::{ChunkType, Decoder};
use tiff::tags::Tag;

use super::{Fault, Outline, Unfollowed, exif, inflate, other_pixels, pages, resolution, unreadable};
use crate::content::LastRows;
use crate::{MAX_FILM_PIXELS, jpeg};

/// The largest number of pages that are counted.
const MAX_PAGES: usize = 1000;
/// The size of a file's header.
const HEADER: u64 = 8;
/// Values of the tag for the kind of pixels. Smaller ones are grey.
const RGB: u32 = 2;
const PALETTE: u32 = 3;
/// Values of the compression tag.
const UNCOMPRESSED: u32 = 1;
const JPEG: u32 = 7;
const DEFLATE: u32 = 8;
const OLD_DEFLATE: u32 = 32_946;
/// The tag of XMP, which is XML.
const XMP: Tag = Tag::Unknown(700);
/// The largest size of the tables that all JPEG strips share.
const MAX_TABLES: usize = 1 << 14;

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

impl From<TiffError> for Fault {
    fn from(error: TiffError) -> Self {
        match error {
            TiffError::UnsupportedError(_) => other_pixels(error),
            TiffError::LimitsExceeded => Self::unsupported("one of its tags has more values than are read"),
            TiffError::IoError(error) => unreadable(&error),
            _ => Self::damaged(error.to_string()),
        }
    }
}

pub(super) fn outline(bytes: &[u8]) -> Result<Outline, Fault> {
    let mut file = Decoder::new(Cursor::new(bytes))?;
    refuse_pages(&mut file)?;
    refuse_numbers(&mut file)?;
    let plain = compression(&mut file)? == UNCOMPRESSED;
    let white_is_zero = file.find_tag_unsigned::<u32>(Tag::PhotometricInterpretation)? == Some(0);
    let side = |tag: Tag| match file.find_tag(tag) {
        Ok(Some(Value::Rational(pixels, units))) if units > 0 => f64::from(pixels) / f64::from(units),
        _ => 0.0,
    };
    let [x, y] = [Tag::XResolution, Tag::YResolution].map(side);
    let last_rows = plain.then_some(LastRows::Lower);
    // A tag that can't be read says nothing.
    let orientation = file.find_tag_unsigned(Tag::Orientation).ok().flatten().and_then(exif::valid);
    let xmp = file.find_tag(XMP).ok().flatten().and_then(|xmp| xmp.into_u8_vec().ok()).unwrap_or_default();
    let unfollowed = exif::xmp_orientation(&xmp).map(|tag| Unfollowed { place: "XMP", tag });
    let unfollowed = unfollowed.into_iter().collect();
    Ok(Outline { orientation, unfollowed, white_is_zero, last_rows, resolution: resolution(x, y) })
}

/// Refuses a file of which a strip or tile is missing or not whole. The size must be checked before: strips are inflated here.
pub(super) fn validate_parts(bytes: &[u8]) -> Result<(), Fault> {
    let mut file = Decoder::new(Cursor::new(bytes))?;
    let parts = parts(&mut file, bytes)?;
    match compression(&mut file)? {
        UNCOMPRESSED => validate_lengths(&mut file, &parts),
        JPEG => {
            let tables =
                file.find_tag(Tag::JPEGTables)?.map_or_else(|| Ok(Vec::new()), |tables| tables.into_u8_vec())?;
            validate_jpeg(&tables, &parts)
        }
        DEFLATE | OLD_DEFLATE => {
            let mut total = 0;
            parts.iter().try_for_each(|part| inflate::validate([*part], &mut total))
        }
        _ => Ok(()),
    }
}

fn compression(file: &mut Reader<'_>) -> Result<u32, Fault> {
    Ok(file.find_tag_unsigned(Tag::Compression)?.unwrap_or(UNCOMPRESSED))
}

/// Refuses a file of several pages, unless the others are the first one's thumbnails or masks.
fn refuse_pages(file: &mut Reader<'_>) -> Result<(), Fault> {
    let (mut count, mut films, mut first_is_film) = (0, 0, false);
    let mut next = file.ifd_pointer();
    while let Some(page) = next.filter(|_| count < MAX_PAGES) {
        // Some programs leave nonsense where the place of the next page is due.
        let Ok(directory) = file.read_directory(page) else { break };
        let mut tags = file.read_directory_tags(&directory);
        // Bits of the first say: a smaller copy, a page, a mask. 2 in the other, older one says: a smaller copy.
        let kind: u32 = tags.find_tag_unsigned(Tag::NewSubfileType).ok().flatten().unwrap_or(0);
        let older: u32 = tags.find_tag_unsigned(Tag::SubfileType).ok().flatten().unwrap_or(0);
        let is_film = kind & 0b101 == 0 && older != 2;
        first_is_film |= count == 0 && is_film;
        films += usize::from(is_film);
        count += 1;
        next = directory.next();
    }
    if count > 1 && (films > 1 || !first_is_film) {
        let more = if count == MAX_PAGES { "or more " } else { "" };
        return Err(pages(count, &format!("{more}pages")));
    }
    let inside = larger_inside(file)?;
    if inside > 0 {
        return Err(pages(1 + inside, "pictures, and the first is smaller than one inside it"));
    }
    Ok(())
}

/// The number of pictures inside the first one (SubIFDs) that have more pixels than it; usually they are its smaller copies.
fn larger_inside(file: &mut Reader<'_>) -> Result<usize, Fault> {
    let Some(inside) = file.find_tag(Tag::SubIfd)? else { return Ok(0) };
    let places = match inside {
        Value::List(places) => places,
        place => vec![place],
    };
    let (width, height) = file.dimensions()?;
    let mut larger = 0;
    for place in places.into_iter().take(MAX_PAGES) {
        // A place that can't be read holds no picture.
        let Some(directory) = place.into_ifd_pointer().ok().and_then(|place| file.read_directory(place).ok()) else {
            continue;
        };
        let mut tags = file.read_directory_tags(&directory);
        let mut side = |tag: Tag| tags.find_tag_unsigned::<u64>(tag).ok().flatten().unwrap_or(0);
        let pixels = side(Tag::ImageWidth).saturating_mul(side(Tag::ImageLength));
        larger += usize::from(pixels > u64::from(width) * u64::from(height));
    }
    Ok(larger)
}

/// Refuses pixels that are not grey or colours in numbers of 8 or 16 bits from 0 on, in words that say what they are.
fn refuse_numbers(file: &mut Reader<'_>) -> Result<(), Fault> {
    let formats: Vec<u32> = file.find_tag_unsigned_vec(Tag::SampleFormat)?.unwrap_or_default();
    let bits: Vec<u32> = file.find_tag_unsigned_vec(Tag::BitsPerSample)?.unwrap_or_default();
    let bits = bits.into_iter().max().unwrap_or(1);
    let kind: Option<u32> = file.find_tag_unsigned(Tag::PhotometricInterpretation)?;
    let fill_order: u32 = file.find_tag_unsigned(Tag::FillOrder)?.unwrap_or(1);
    let samples: u32 = file.find_tag_unsigned(Tag::SamplesPerPixel)?.unwrap_or(1);
    let extra: Vec<u32> = file.find_tag_unsigned_vec(Tag::ExtraSamples)?.unwrap_or_default();
    let what = match formats.first() {
        Some(2) => format!("its pixels are signed numbers of {bits} bits"),
        Some(3) => format!("its pixels are floating-point numbers of {bits} bits"),
        Some(5 | 6) => "its pixels are complex numbers".into(),
        _ if kind == Some(PALETTE) => "its pixels are colours of a palette".into(),
        _ if fill_order != 1 => format!("the bits of its bytes are in another order (FillOrder {fill_order})"),
        _ if kind.is_some_and(|kind| kind < RGB) && samples > 1 => match extra.first() {
            Some(1 | 2) => "its pixels are grey with alpha".into(),
            _ => "its pixels are grey with another sample".into(),
        },
        _ if ![1, 8, 16].contains(&bits) => format!("its pixels are numbers of {bits} bits"),
        _ => return Ok(()),
    };
    Err(Fault::unsupported(what))
}

/// The strips or tiles. An error if one is missing.
fn parts<'a>(file: &mut Reader<'_>, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, Fault> {
    let missing = || Fault::damaged("a part of its pixels is missing");
    let mut list = |strips: Tag, tiles: Tag| -> Result<Vec<u64>, Fault> {
        let list = file.find_tag_unsigned_vec(strips)?;
        Ok(list.map_or_else(|| file.find_tag_unsigned_vec(tiles), |list| Ok(Some(list)))?.unwrap_or_default())
    };
    let offsets = list(Tag::StripOffsets, Tag::TileOffsets)?;
    let lengths = list(Tag::StripByteCounts, Tag::TileByteCounts)?;
    let part = |(offset, length): (&u64, &u64)| {
        let (offset, length) = (usize::try_from(*offset).ok()?, usize::try_from(*length).ok()?);
        bytes.get(offset..offset.checked_add(length)?).filter(|part| !part.is_empty())
    };
    let parts: Vec<&[u8]> = offsets.iter().zip(&lengths).map(part).collect::<Option<_>>().ok_or_else(missing)?;
    let mut places: Vec<(u64, u64)> = offsets.into_iter().zip(lengths).collect();
    places.sort_unstable();
    let mut end = HEADER;
    for (offset, length) in places {
        if offset < end {
            return Err(Fault::damaged("parts of its pixels overlap each other or the file's header"));
        }
        end = offset.saturating_add(length);
    }
    Ok(parts)
}

/// Refuses strips and tiles of grey or RGB that are not compressed and are shorter than their rows.
fn validate_lengths(file: &mut Reader<'_>, parts: &[&[u8]]) -> Result<(), Fault> {
    const SEPARATE: u32 = 2;
    if file.find_tag_unsigned::<u32>(Tag::PhotometricInterpretation)?.is_none_or(|kind| kind > RGB) {
        return Ok(());
    }
    let bits: Vec<u64> = file.find_tag_unsigned_vec(Tag::BitsPerSample)?.unwrap_or_else(|| vec![1]);
    let samples: u64 = file.find_tag_unsigned(Tag::SamplesPerPixel)?.unwrap_or(1);
    let planes: u32 = file.find_tag_unsigned(Tag::PlanarConfiguration)?.unwrap_or(1);
    let bits = bits.first().copied().unwrap_or(1).saturating_mul(if planes == SEPARATE { 1 } else { samples });
    let (width, height) = file.chunk_dimensions();
    let is_tiled = file.get_chunk_type() == ChunkType::Tile;
    // The last strip of a plane has fewer rows.
    let rows = u64::from(file.dimensions()?.1);
    let (rows_each, in_plane) = (u64::from(height).max(1), rows.div_ceil(u64::from(height).max(1)).max(1));
    for (index, part) in parts.iter().enumerate() {
        let is_last = !is_tiled && (index as u64 + 1).is_multiple_of(in_plane);
        let rows = if is_last { rows - (in_plane - 1) * rows_each } else { rows_each };
        let due = (u64::from(width).saturating_mul(bits)).div_ceil(8).saturating_mul(rows);
        if (part.len() as u64) < due {
            return Err(Fault::damaged("a part of its pixels is shorter than its rows"));
        }
    }
    Ok(())
}

/// Refuses strips in JPEG that are not whole. They share tables, which stand in front of each here.
fn validate_jpeg(tables: &[u8], parts: &[&[u8]]) -> Result<(), Fault> {
    let tables = tables.strip_suffix(b"\xFF\xD9").unwrap_or(tables);
    if tables.len() > MAX_TABLES {
        return Err(Fault::damaged(format!(
            "the JPEG tables of its strips have {} bytes, and at most {MAX_TABLES} are possible",
            tables.len()
        )));
    }
    let mut pixels = 0;
    for part in parts {
        let whole =
            if tables.is_empty() { part.to_vec() } else { [tables, part.get(2..).unwrap_or_default()].concat() };
        pixels += jpeg::frame(&whole)?.size().pixels();
        if pixels > 2 * MAX_FILM_PIXELS {
            return Err(Fault::damaged("its strips have more pixels than a film can have"));
        }
        jpeg::validate(&whole)?;
    }
    Ok(())
}
