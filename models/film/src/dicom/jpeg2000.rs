//! JPEG 2000: checks that a stream has the data of all its pixels, then decodes it.
//!
//! The decoder takes missing tiles and packets for black, and allocates memory for every tile that a header claims. Both are checked
//! before (ITU T.800, annexes A and B).

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::codec::{broken, pixels, validate_claim};
use super::header::Header;
use crate::fault::Fault;

const START: &[u8] = b"\xFF\x4F\xFF\x51";
const END: &[u8] = b"\xFF\xD9";
const START_OF_TILE_PART: u16 = 0xFF90;
const CODING_STYLE: u16 = 0xFF52;
/// The length of a tile-part's first marker segment.
const TILE_PART_HEADER: usize = 12;

/// The largest number of tiles, by the standard.
const MAX_TILES: u64 = 65_535;
/// The largest number of samples, which is that of pixels for grey. The decoder needs 12 bytes for each.
const MAX_SAMPLES: usize = 50_000_000;
/// What to do about a stream that is not read.
const ADVICE: &str = "export it as grey JPEG 2000 of 8 to 16 bits, or uncompressed";
/// The most zero bytes in a row beside those in the headers of packets. Coded numbers look random.
const MAX_ZEROS: u64 = 32;

/// Decodes a stream, lossless or not: the samples of each pixel together, as many as the header states.
pub(super) fn decode(stream: &[u8], header: &Header) -> Result<Vec<u16>, Fault> {
    let outline = Outline::read(stream, header)?;
    let count = header.colours.samples() as usize;
    if count * pixels(header) > MAX_SAMPLES {
        let most = MAX_SAMPLES / count;
        let what = format!("it is JPEG 2000 of {} px, and at most {most} px in all are read", header.size);
        return Err(Fault::Unsupported(what, "export it at a lower resolution, or uncompressed"));
    }
    let stream = stream.get(..outline.end).ok_or_else(|| cut("its end marker is missing"))?;
    if let Some(longer) = outline.with_another_packet(stream)
        && samples(&longer, &outline, header).is_ok()
    {
        return Err(broken("JPEG 2000", "packets are missing"));
    }
    samples(stream, &outline, header)
}

/// The samples of a whole stream.
fn samples(stream: &[u8], outline: &Outline, header: &Header) -> Result<Vec<u16>, Fault> {
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Image::new(stream, &settings).map_err(|e| broken("JPEG 2000", e))?;
    validate_claim(image.width(), image.height(), header)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|e| broken("JPEG 2000", e))?;
    let (kind, planes) = (outline.kind, decoded.components());
    // The decoder treats all numbers as unsigned, so it has moved signed numbers up by half of their range.
    let moved = if kind.signed { 1 << (kind.bits - 1) } else { 0 };
    // Numbers of a lossy stream may lie outside their range.
    let most = (1 << kind.bits) - 1 - moved;
    let stored = |sample: &f32| (sample.round() as i32).saturating_sub(moved).clamp(-moved, most) as u16;
    if let [grey] = planes {
        return Ok(grey.samples().iter().map(stored).collect());
    }
    let pixel = |at: usize| planes.iter().map(move |plane| plane.samples().get(at).map(stored));
    let interleaved = (0..pixels(header)).flat_map(pixel).collect::<Option<Vec<u16>>>();
    interleaved.ok_or_else(|| broken("JPEG 2000", "a part of its colours is missing"))
}

fn cut(why: &str) -> Fault {
    broken("JPEG 2000", why)
}

/// What a stream's marker segments say about its parts.
struct Outline {
    kind: Kind,
    /// The offset after the end marker.
    end: usize,
    tiles: u64,
    /// The offset of the last tile-part.
    last_part: usize,
    /// Whether a marker follows the header of each packet.
    marked_packets: bool,
    /// Whether the headers of packets lie apart from their data.
    packed_headers: bool,
}

/// What the samples are.
#[derive(Clone, Copy)]
struct Kind {
    bits: u8,
    signed: bool,
}

impl Kind {
    /// The kind of all samples. `components`: for each, its bits less one with the sign on top, and its distance in px along x and y. The
    /// decoder reads more than this, but a film is grey, or three samples that say so.
    fn of(components: &[[u8; 3]], header: &Header) -> Result<Self, Fault> {
        let not_read = |how: String| Err(Fault::Unsupported(format!("its JPEG 2000 has {how}"), ADVICE));
        let (found, expected) = (components.len(), header.colours.samples() as usize);
        let [first, others @ ..] = components else { return Err(cut("its header has no samples")) };
        if found != expected {
            return not_read(format!("{found} samples per pixel, and its header says {expected}"));
        }
        if others.iter().any(|other| other != first) {
            return not_read("samples of several kinds, such as colours of a lower resolution".into());
        }
        let kind = Self { bits: (first[0] & 0x7F) + 1, signed: first[0] & 0x80 != 0 };
        match kind {
            Self { bits: 17.., .. } => not_read(format!("{} bits per sample, where up to 16 are read", kind.bits)),
            Self { bits: 8, signed: false } => Ok(kind),
            _ if found > 1 => not_read("colours that are not of 8 bits without a sign".into()),
            _ => Ok(kind),
        }
    }
}

impl Outline {
    /// Reads all marker segments. Refuses a stream without data for one of its tiles, and samples that are not read.
    fn read(stream: &[u8], header: &Header) -> Result<Self, Fault> {
        if !stream.starts_with(START) {
            return Err(cut("its start marker is missing"));
        }
        let in_header = || cut("its header is incomplete or contradicts itself");
        let in_part = || cut("a part of it is incomplete, or states a wrong length");
        let grid = stream.get(START.len()..).and_then(Grid::read).ok_or_else(in_header)?;
        let kind = Kind::of(grid.components, header)?;
        if !(1..=MAX_TILES).contains(&grid.tiles()) {
            let tiles = grid.tiles();
            return Err(broken("JPEG 2000", format!("it has {tiles} tiles, and 1 to {MAX_TILES} are possible")));
        }
        let (mut at, mut style, mut packed_headers) = (2, None, false);
        loop {
            let marker = word(stream, at).ok_or_else(in_header)?;
            let body = segment(stream, at).ok_or_else(in_header)?;
            match marker {
                START_OF_TILE_PART => break,
                CODING_STYLE => style = Some(body),
                0xFF60 => packed_headers = true,
                _ => {}
            }
            at += 2 + if matches!(marker, 0xFF30..=0xFF3F) { 0 } else { 2 + body.len() };
        }
        let style = style.and_then(Style::read).ok_or_else(in_header)?;
        let most_zeros = style.zeros(&grid).saturating_add(MAX_ZEROS);
        let mut seen = vec![false; grid.tiles() as usize];
        let mut last_part = at;
        while word(stream, at) == Some(START_OF_TILE_PART) {
            let (tile, end) = tile_part(stream, at).ok_or_else(in_part)?;
            *seen.get_mut(tile).ok_or_else(|| broken("JPEG 2000", "it has data of a tile that it has not"))? = true;
            let part = stream.get(at + TILE_PART_HEADER..end).ok_or_else(in_part)?;
            if longest_run_of_zeros(part) > most_zeros {
                return Err(broken("JPEG 2000", "a part of it is zeros"));
            }
            packed_headers |= word(part, 0) == Some(0xFF61);
            (last_part, at) = (at, end);
        }
        if stream.get(at..at + END.len()) != Some(END) {
            return Err(cut("its end marker is missing behind its last part"));
        }
        let found = seen.iter().filter(|seen| **seen).count() as u64;
        if found < grid.tiles() {
            let tiles = grid.tiles();
            return Err(broken("JPEG 2000", format!("it has data for {found} of its {tiles} tiles only")));
        }
        let end = at + END.len();
        Ok(Self { kind, end, tiles: found, last_part, marked_packets: style.marked_packets, packed_headers })
    }

    /// The stream with one more, empty packet, which a strict decoder refuses at once, unless packets are missing. Only for streams
    /// of one tile, as those of films are: the decoder would not say which tile it refused.
    fn with_another_packet(&self, stream: &[u8]) -> Option<Vec<u8>> {
        if self.tiles != 1 || self.packed_headers {
            return None;
        }
        let packet: &[u8] = if self.marked_packets { b"\0\xFF\x92" } else { b"\0" };
        let (data, end) = stream.split_at_checked(self.end - END.len())?;
        let mut longer = [data, packet, end].concat();
        let length = longer.get_mut(self.last_part + 6..)?.first_chunk_mut::<4>()?;
        let stated = u32::from_be_bytes(*length);
        if stated > 0 {
            *length = stated.checked_add(packet.len() as u32)?.to_be_bytes();
        }
        Some(longer)
    }
}

/// The number at this offset.
fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

/// The body of the marker segment at this offset.
fn segment(stream: &[u8], at: usize) -> Option<&[u8]> {
    if matches!(word(stream, at)?, 0xFF30..=0xFF3F) {
        return Some(&[]);
    }
    let length = usize::from(word(stream, at + 2)?);
    stream.get(at + 4..at + 2 + length)
}

/// The number of the tile that a tile-part belongs to, and the offset of its end.
fn tile_part(stream: &[u8], at: usize) -> Option<(usize, usize)> {
    let [high, low, length @ .., _, _] = segment(stream, at)?.first_chunk::<8>()?;
    let tile = u16::from_be_bytes([*high, *low]);
    let end = match u32::from_be_bytes(*length) {
        // The last one may leave its length out. No marker from FF90 on occurs in coded data.
        0 => stream.windows(END.len()).rposition(|pair| pair == END)?,
        length => at.checked_add(length as usize)?,
    };
    (end >= at + TILE_PART_HEADER).then_some((tile.into(), end))
}

fn longest_run_of_zeros(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte != 0).map(|zeros| zeros.len() as u64).max().unwrap_or_default()
}

/// The area of an image and its tiles, in px, and its samples.
struct Grid<'a> {
    right: u64,
    bottom: u64,
    tile_width: u64,
    tile_height: u64,
    tiles_left: u64,
    tiles_top: u64,
    /// See [`Kind::of`].
    components: &'a [[u8; 3]],
}

impl<'a> Grid<'a> {
    /// Reads a SIZ segment, from its length on.
    fn read(size: &'a [u8]) -> Option<Self> {
        /// The offset of the number of components. Their descriptions follow.
        const COMPONENTS: usize = 36;
        let numbers = size.get(4..)?.as_chunks::<4>().0;
        let number = |index: usize| numbers.get(index).map(|bytes| u64::from(u32::from_be_bytes(*bytes)));
        let (count, rest) = size.get(COMPONENTS..)?.split_first_chunk()?;
        let components = rest.as_chunks().0.get(..usize::from(u16::from_be_bytes(*count)))?;
        let grid = Self {
            components,
            right: number(0)?,
            bottom: number(1)?,
            tile_width: number(4)?,
            tile_height: number(5)?,
            tiles_left: number(6)?,
            tiles_top: number(7)?,
        };
        (grid.tile_width > 0 && grid.tile_height > 0).then_some(grid)
    }

    fn tiles(&self) -> u64 {
        let along = |end: u64, start: u64, side: u64| end.saturating_sub(start).div_ceil(side);
        let columns = along(self.right, self.tiles_left, self.tile_width);
        columns.saturating_mul(along(self.bottom, self.tiles_top, self.tile_height))
    }
}

/// What the COD segment says about packets.
struct Style<'a> {
    marked_packets: bool,
    layers: u64,
    levels: u32,
    /// The logarithm of the pixels of a code-block.
    block: u32,
    /// The logarithms of the sides of each resolution's precincts; empty if there are none.
    precincts: &'a [u8],
}

impl<'a> Style<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let [flags, _, high, low, _, levels, width, height, _, _, rest @ ..] = body else { return None };
        let precincts = if flags & 1 == 1 { rest } else { &[] };
        let layers = u64::from(u16::from_be_bytes([*high, *low]));
        let block = u32::from(*width) + u32::from(*height) + 4;
        Some(Self { marked_packets: flags & 4 == 4, layers, levels: u32::from(*levels), block, precincts })
    }

    /// How many zero bytes in a row may lie in the headers of packets: one for each empty packet, and in layers after the first a
    /// bit for each code-block without new data.
    fn zeros(&self, grid: &Grid<'_>) -> u64 {
        let area = grid.tile_width.min(grid.right).saturating_mul(grid.tile_height.min(grid.bottom));
        let blocks = if self.layers > 1 { area.checked_shr(self.block).unwrap_or_default() } else { 0 };
        let components = grid.components.len() as u64;
        components.saturating_mul(self.packets(grid).saturating_add(blocks / 8))
    }

    /// The number of packets of a component of a tile, or a few more. Headers may claim so many that they are no number of 64 bits.
    fn packets(&self, grid: &Grid<'_>) -> u64 {
        let precincts = (0..=self.levels).map(|resolution| {
            let sides = self.precincts.get(resolution as usize).copied().unwrap_or(0xFF);
            let along = |side: u64, image: u64, logarithm: u8| {
                let side = side.min(image).checked_shr(self.levels - resolution).unwrap_or_default();
                side.checked_shr(logarithm.into()).unwrap_or_default() + 2
            };
            let columns = along(grid.tile_width, grid.right, sides & 15);
            columns.saturating_mul(along(grid.tile_height, grid.bottom, sides >> 4))
        });
        precincts.fold(0, u64::saturating_add).saturating_mul(self.layers)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn tiles_and_packets_are_counted() {
        let grid = |width, tile_width| Grid {
            right: width,
            bottom: 100,
            tile_width,
            tile_height: 100,
            tiles_left: 0,
            tiles_top: 0,
            components: &[[7, 1, 1]],
        };
        assert_eq!([(100, 100), (101, 100), (100, 1)].map(|(width, tile)| grid(width, tile).tiles()), [1, 2, 100]);
        let style = Style::read(&[1, 0, 0, 3, 0, 1, 0, 0, 0, 1, 0x44, 0x44]).unwrap();
        // 3 layers of 50x50 px and of 100x100 px in precincts of 16x16, and one more along each side and at the end.
        assert_eq!(style.packets(&grid(100, 100)), 3 * ((3 + 2) * (3 + 2) + (6 + 2) * (6 + 2)));
        // Blocks of 4x4 px.
        assert_eq!(style.zeros(&grid(100, 100)), 3 * (25 + 64) + 625 / 8);
    }

    #[test]
    fn zeros_are_counted() {
        assert_eq!([&b"\0\0a\0"[..], b"aa", b""].map(longest_run_of_zeros), [2, 0, 0]);
    }
}
