//! Checks that a JPEG has the data of all its pixels, without decoding them.
//!
//! Decoders fill what is missing with grey and report success; a landmark found in that grey would be meaningless. No decoder at hand
//! says how far the data reached. This module therefore reads the Huffman codes of every scan, as a decoder does, and counts: a whole
//! JPEG has exactly as many codes as its pixels need, then a marker. `bits` reads codes, `scan` walks over a scan.

mod bits;
mod scan;

use bits::Codes;
use scan::Scan;

use crate::fault::Fault;
use crate::geometry::Size;

/// The largest number of scans. Progressive encoders write about ten.
const MAX_SCANS: usize = 100;
/// The largest number of blocks in all scans of a progressive JPEG: 16 scans of the largest film.
const MAX_BLOCKS: usize = 25_000_000;
/// The largest number of marker segments: tables, comments, thumbnails, colour profiles.
const MAX_SEGMENTS: usize = 10_000;
/// The numbers of a block.
const BLOCK: usize = 64;

/// How samples are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Sequential,
    Progressive,
    Lossless,
}

/// The description of the samples (ITU T.81, B.2.2).
#[derive(Debug)]
pub(crate) struct Frame {
    width: u32,
    height: u32,
    coding: Coding,
    components: Vec<Component>,
}

/// Grey, or one of the parts of a colour.
#[derive(Debug)]
struct Component {
    id: u8,
    /// How many of its blocks lie side by side in a unit of all components, and how many one upon another.
    factors: (usize, usize),
    /// The number of its blocks side by side, with those that only fill units up.
    stride: usize,
    /// Progressive coding: the numbers of each block that are not zero, as bits.
    nonzero: Vec<u64>,
    /// How many bits of each number are still missing; `None` before its first scan.
    missing: [Option<u8>; BLOCK],
}

impl Frame {
    /// Reads what follows a start-of-frame marker.
    fn read(marker: u8, body: &[u8]) -> Result<Self, Fault> {
        let coding = match marker {
            0xC0 | 0xC1 => Coding::Sequential,
            0xC2 => Coding::Progressive,
            0xC3 => Coding::Lossless,
            0xC9..=0xCB => return Err(Fault::unsupported("it is a JPEG with arithmetic coding")),
            _ => return Err(Fault::unsupported("it is a hierarchical JPEG")),
        };
        let [bits, high, low, left, right, count, rest @ ..] = body else {
            return Err(Fault::damaged("the header of its JPEG is incomplete"));
        };
        let (read, allowed) = if coding == Coding::Lossless { (2..=16, "2 to 16") } else { (8..=8, "8") };
        if !read.contains(bits) {
            return Err(Fault::unsupported(format!("its JPEG has {bits} bits per sample, where {allowed} are read")));
        }
        let (height, width) = (u16::from_be_bytes([*high, *low]), u16::from_be_bytes([*left, *right]));
        if height == 0 {
            return Err(height_behind());
        }
        let components: Vec<Component> = rest.as_chunks().0.iter().map(Component::read).collect();
        let valid =
            |component: &Component| [component.factors.0, component.factors.1].iter().all(|f| (1..=4).contains(f));
        if components.len() != usize::from(*count) || !(1..=4).contains(count) || !components.iter().all(valid) {
            return Err(Fault::damaged("the header of its JPEG contradicts itself"));
        }
        Ok(Self { width: width.into(), height: height.into(), coding, components })
    }

    /// Its width and height.
    pub(crate) fn size(&self) -> Size {
        Size { width: self.width, height: self.height }
    }

    /// The number of its components: 1 if it is grey.
    #[cfg(feature = "dicom")]
    pub(crate) fn samples(&self) -> usize {
        self.components.len()
    }

    /// Whether each component has a sample for each pixel.
    #[cfg(feature = "dicom")]
    pub(crate) fn is_full(&self) -> bool {
        self.components.iter().all(|component| component.factors == self.factors())
    }

    /// Whether it is lossless JPEG, which only DICOM uses.
    pub(crate) fn is_lossless(&self) -> bool {
        self.coding == Coding::Lossless
    }

    /// The sides of a block in px.
    fn block(&self) -> usize {
        if self.coding == Coding::Lossless { 1 } else { 8 }
    }

    /// The largest factors of a component.
    fn factors(&self) -> (usize, usize) {
        let factors = self.components.iter().map(|component| component.factors);
        factors.fold((1, 1), |(h, v), (other_h, other_v)| (h.max(other_h), v.max(other_v)))
    }

    /// The numbers of units of all components side by side, and one upon another.
    fn units(&self) -> (usize, usize) {
        let (h, v) = self.factors();
        ((self.width as usize).div_ceil(h * self.block()), (self.height as usize).div_ceil(v * self.block()))
    }

    /// The numbers of a component's own blocks side by side, and one upon another.
    fn blocks(&self, component: &Component) -> (usize, usize) {
        let (h, v) = self.factors();
        let samples =
            |side: u32, factor: usize, most: usize| (side as usize * factor).div_ceil(most).div_ceil(self.block());
        (samples(self.width, component.factors.0, h), samples(self.height, component.factors.1, v))
    }

    /// Makes room for what progressive scans need to know of earlier ones.
    fn prepare(&mut self) {
        let (columns, rows) = self.units();
        let progressive = self.coding == Coding::Progressive;
        for component in &mut self.components {
            component.stride = columns * component.factors.0;
            if progressive {
                component.nonzero = vec![0; component.stride * rows * component.factors.1];
            }
        }
    }

    /// Refuses a frame whose scans do not say everything about its numbers.
    fn validate(&self) -> Result<(), Fault> {
        let needed = if self.coding == Coding::Progressive { BLOCK } else { 1 };
        let whole = |component: &Component| component.missing.iter().take(needed).all(|missing| *missing == Some(0));
        let is_whole = self.components.iter().all(whole);
        if is_whole { Ok(()) } else { Err(Fault::damaged("the last scans of its JPEG are missing")) }
    }
}

impl Component {
    fn read([id, factors, _]: &[u8; 3]) -> Self {
        let factors = (usize::from(factors >> 4), usize::from(factors & 15));
        Self { id: *id, factors, stride: 0, nonzero: Vec::new(), missing: [None; BLOCK] }
    }
}

/// The marker segments of a JPEG.
struct Segments<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Segments<'a> {
    fn new(jpeg: &'a [u8]) -> Result<Self, Fault> {
        let bytes = jpeg.strip_prefix(b"\xFF\xD8").ok_or_else(|| Fault::damaged("its start marker is missing"))?;
        Ok(Self { bytes, count: 0 })
    }

    /// The next marker, and the body of its segment. Bytes that are no marker are skipped, as decoders do.
    fn next(&mut self) -> Result<(u8, &'a [u8]), Fault> {
        loop {
            let at = next_marker(self.bytes)?;
            let (marker, rest) = self.bytes.get(at + 1..).and_then(<[u8]>::split_first).ok_or_else(ends_early)?;
            self.bytes = rest;
            self.count += 1;
            if self.count > MAX_SEGMENTS {
                return Err(Fault::unsupported(format!("its JPEG has more than {MAX_SEGMENTS} segments")));
            }
            match marker {
                0x01 | 0xD0..=0xD8 => {}
                0xD9 => return Ok((*marker, &[])),
                _ => {
                    let length = rest.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
                    let short = || Fault::damaged("its JPEG ends within a segment, or states a wrong length of it");
                    let length = length.filter(|length| *length >= 2).ok_or_else(short)?;
                    let (segment, rest) = rest.split_at_checked(length).ok_or_else(short)?;
                    self.bytes = rest;
                    return Ok((*marker, &segment[2..]));
                }
            }
        }
    }
}

fn ends_early() -> Fault {
    Fault::damaged("its JPEG ends before its end marker")
}

fn no_header() -> Fault {
    Fault::damaged("its JPEG has no header")
}

/// A JPEG whose header leaves the height out, or that corrects it in a DNL segment behind the first scan (ITU T.81, B.2.5).
fn height_behind() -> Fault {
    Fault::unsupported("its JPEG states its height behind its pixels, not in its header")
}

/// The offset of the first marker. FF may be repeated before a marker, and a zero behind it makes it a coded byte.
fn next_marker(bytes: &[u8]) -> Result<usize, Fault> {
    bytes.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF)).ok_or_else(ends_early)
}

/// Whether the header of a stream is that of JPEG-LS, which begins like a JPEG.
#[cfg(feature = "dicom")]
pub(crate) fn is_jpeg_ls(stream: &[u8]) -> bool {
    const START_OF_FRAME: u8 = 0xF7;
    let Ok(mut segments) = Segments::new(stream) else { return false };
    let mut markers = std::iter::from_fn(|| segments.next().ok()).map(|(marker, _)| marker);
    markers.find(|marker| starts_frame(*marker) || matches!(*marker, START_OF_FRAME | 0xD9 | 0xDA))
        == Some(START_OF_FRAME)
}

/// Whether a marker starts a frame. The others of this range define tables.
fn starts_frame(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

/// The markers and bodies of the segments before the first scan.
#[cfg(feature = "raster")]
pub(crate) fn header_segments(jpeg: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut segments = Segments::new(jpeg).ok();
    let next = move || segments.as_mut()?.next().ok();
    std::iter::from_fn(next).take_while(|(marker, _)| !matches!(marker, 0xD9 | 0xDA))
}

/// The description of the samples, without a look at their data.
pub(crate) fn frame(jpeg: &[u8]) -> Result<Frame, Fault> {
    let mut segments = Segments::new(jpeg)?;
    loop {
        match segments.next()? {
            (marker, body) if starts_frame(marker) => return Frame::read(marker, body),
            (0xD9 | 0xDA, _) => return Err(no_header()),
            _ => {}
        }
    }
}

/// Refuses a JPEG that lacks data of any of its pixels, or has data of more; returns it without what follows its end marker. The size
/// must be checked before.
pub(crate) fn validate(jpeg: &[u8]) -> Result<&[u8], Fault> {
    let mut segments = Segments::new(jpeg)?;
    let mut frame = None;
    let mut codes: [[Codes; 4]; 2] = Default::default();
    let (mut restart, mut scans, mut blocks) = (0, 0, 0);
    loop {
        match segments.next()? {
            (marker, body) if starts_frame(marker) => {
                if frame.is_some() {
                    return Err(Fault::damaged("its JPEG has two headers"));
                }
                frame.insert(Frame::read(marker, body)?).prepare();
            }
            (0xC4, body) => define_codes(body, &mut codes)?,
            (0xDC, _) => return Err(height_behind()),
            (0xDD, [high, low]) => restart = usize::from(u16::from_be_bytes([*high, *low])),
            (0xDA, body) => {
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(Fault::unsupported(format!("its JPEG has more than {MAX_SCANS} scans")));
                }
                let frame = frame.as_mut().ok_or_else(no_header)?;
                let scan = Scan::read(body, frame, &codes, restart)?;
                blocks += scan.blocks(frame);
                if frame.coding == Coding::Progressive && blocks > MAX_BLOCKS {
                    return Err(Fault::unsupported(format!("its JPEG has {scans} scans of very many pixels")));
                }
                segments.bytes = scan.walk(frame, segments.bytes)?;
            }
            (0xD9, _) => break,
            _ => {}
        }
    }
    frame.ok_or_else(no_header)?.validate()?;
    Ok(&jpeg[..jpeg.len() - segments.bytes.len()])
}

/// Reads Huffman codes (ITU T.81, B.2.4.2).
fn define_codes(mut body: &[u8], codes: &mut [[Codes; 4]; 2]) -> Result<(), Fault> {
    let incomplete = || Fault::damaged("a table of its JPEG is incomplete");
    while let Some((kind, rest)) = body.split_first() {
        let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(incomplete)?;
        let symbols = counts.iter().map(|count| usize::from(*count)).sum();
        let (symbols, rest) = rest.split_at_checked(symbols).ok_or_else(incomplete)?;
        let table = codes.get_mut(usize::from(kind >> 4)).and_then(|class| class.get_mut(usize::from(kind & 15)));
        *table.ok_or_else(incomplete)? = Codes { counts: *counts, symbols: symbols.to_vec() };
        body = rest;
    }
    Ok(())
}
