//! JPEG 2000: checks that a stream has the data of all its pixels, then decodes it.
//!
//! The decoder takes missing tiles and packets for black, and allocates memory for every tile that a header claims. Both are checked
//! before (ITU T.800, annexes A and B).

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::codec::{broken, pixels, validate_claim};
use super::header::Header;
use super::reader::Fault;

const START: &[u8] = b"\xFF\x4F\xFF\x51";
const END: &[u8] = b"\xFF\xD9";
const START_OF_TILE_PART: u16 = 0xFF90;
const CODING_STYLE: u16 = 0xFF52;
/// The length of a tile-part's first marker segment.
const TILE_PART_HEADER: usize = 12;

/// The largest number of tiles, by the standard.
const MAX_TILES: u64 = 65_535;
/// The largest number of pixels. The decoder needs 12 bytes for each.
const MAX_PIXELS: usize = 50_000_000;
/// The most zero bytes in a row beside those in the headers of packets. Coded numbers look random.
const MAX_ZEROS: u64 = 32;

/// Decodes a stream, lossless or not.
pub(super) fn decode(stream: &[u8], header: &Header) -> Result<Vec<u16>, Fault> {
    let outline = Outline::read(stream)?;
    if pixels(header) > MAX_PIXELS {
        let what = format!("it is JPEG 2000 of {} px, and at most {MAX_PIXELS} px in all are read", header.size);
        return Err(Fault::Unsupported(what, "export it at a lower resolution, or uncompressed"));
    }
    let stream = stream.get(..outline.end).ok_or_else(cut)?;
    if let Some(longer) = outline.with_another_packet(stream)
        && samples(&longer, header).is_ok()
    {
        return Err(broken("JPEG 2000", "packets are missing"));
    }
    samples(stream, header)
}

/// The pixels of a whole stream.
fn samples(stream: &[u8], header: &Header) -> Result<Vec<u16>, Fault> {
    /// The offset of the first component's precision. Its highest bit states whether numbers are signed.
    const PRECISION_BYTE: usize = 42;
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Image::new(stream, &settings).map_err(|e| broken("JPEG 2000", e))?;
    validate_claim(image.width(), image.height(), header)?;
    let bits = image.original_bit_depth();
    if bits > 16 {
        return Err(broken("JPEG 2000", format!("its numbers have {bits} bits, more than 16")));
    }
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|e| broken("JPEG 2000", e))?;
    let [grey] = decoded.components() else { return Err(broken("JPEG 2000", "it holds colours, not grey")) };
    // The decoder treats all numbers as unsigned, so it has moved signed numbers up by half of their range.
    let signed = stream.get(PRECISION_BYTE).is_some_and(|byte| byte & 0x80 != 0);
    let moved = if signed { 1 << (bits - 1) } else { 0 };
    // Numbers of a lossy stream may lie outside their range.
    let most = (1 << bits) - 1 - moved;
    Ok(grey
        .samples()
        .iter()
        .map(|sample| (sample.round() as i32).saturating_sub(moved).clamp(-moved, most) as u16)
        .collect())
}

fn cut() -> Fault {
    broken("JPEG 2000", "its start or its end is missing")
}

/// What a stream's marker segments say about its parts.
struct Outline {
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

impl Outline {
    /// Reads all marker segments. Refuses a stream without data for one of its tiles.
    fn read(stream: &[u8]) -> Result<Self, Fault> {
        if !stream.starts_with(START) {
            return Err(cut());
        }
        let size = stream.get(START.len()..).ok_or_else(cut)?;
        let grid = Grid::read(size).ok_or_else(cut)?;
        if !(1..=MAX_TILES).contains(&grid.tiles()) {
            let tiles = grid.tiles();
            return Err(broken("JPEG 2000", format!("it has {tiles} tiles, and 1 to {MAX_TILES} are possible")));
        }
        let (mut at, mut style, mut packed_headers) = (2, None, false);
        loop {
            let marker = word(stream, at).ok_or_else(cut)?;
            let body = segment(stream, at).ok_or_else(cut)?;
            match marker {
                START_OF_TILE_PART => break,
                CODING_STYLE => style = Some(body),
                0xFF60 => packed_headers = true,
                _ => {}
            }
            at += 2 + if matches!(marker, 0xFF30..=0xFF3F) { 0 } else { 2 + body.len() };
        }
        let style = Style::read(style.ok_or_else(cut)?).ok_or_else(cut)?;
        let most_zeros = style.zeros(&grid).saturating_add(MAX_ZEROS);
        let mut seen = vec![false; grid.tiles() as usize];
        let mut last_part = at;
        while word(stream, at) == Some(START_OF_TILE_PART) {
            let (tile, end) = tile_part(stream, at).ok_or_else(cut)?;
            *seen.get_mut(tile).ok_or_else(|| broken("JPEG 2000", "it has data of a tile that it has not"))? = true;
            let part = stream.get(at + TILE_PART_HEADER..end).ok_or_else(cut)?;
            if longest_run_of_zeros(part) > most_zeros {
                return Err(broken("JPEG 2000", "a part of it is zeros"));
            }
            packed_headers |= word(part, 0) == Some(0xFF61);
            (last_part, at) = (at, end);
        }
        if stream.get(at..at + END.len()) != Some(END) {
            return Err(cut());
        }
        let found = seen.iter().filter(|seen| **seen).count() as u64;
        if found < grid.tiles() {
            let tiles = grid.tiles();
            return Err(broken("JPEG 2000", format!("it has data for {found} of its {tiles} tiles only")));
        }
        Ok(Self { end: at + END.len(), tiles: found, last_part, marked_packets: style.marked_packets, packed_headers })
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

/// The area of an image and its tiles, in px.
struct Grid {
    right: u64,
    bottom: u64,
    tile_width: u64,
    tile_height: u64,
    tiles_left: u64,
    tiles_top: u64,
}

impl Grid {
    /// Reads a SIZ segment, from its length on.
    fn read(size: &[u8]) -> Option<Self> {
        let numbers = size.get(4..)?.as_chunks::<4>().0;
        let number = |index: usize| numbers.get(index).map(|bytes| u64::from(u32::from_be_bytes(*bytes)));
        let grid = Self {
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
    fn zeros(&self, grid: &Grid) -> u64 {
        let area = grid.tile_width.min(grid.right).saturating_mul(grid.tile_height.min(grid.bottom));
        let blocks = if self.layers > 1 { area.checked_shr(self.block).unwrap_or_default() } else { 0 };
        self.packets(grid).saturating_add(blocks / 8)
    }

    /// The number of packets of a tile, or a few more.
    fn packets(&self, grid: &Grid) -> u64 {
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
