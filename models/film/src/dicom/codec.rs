//! Decompresses the pixels of a DICOM file in all supported transfer syntaxes: one `u16` per grey pixel, row by row; three bytes if the
//! film is stored in colours.
//!
//! Each decoder first compares the size that its stream claims with the file's header, and refuses a stream that differs. `grey`
//! converts the numbers to grey.

use dicom_dictionary_std::uids;
use dicom_transfer_syntax_registry::TransferSyntax;
use jpeg_decoder::{ColorTransform, PixelFormat};

use super::header::{GREY_ADVICE, Header};
use super::jpeg2000;
use super::pixel_data::PixelData;
use crate::fault::Fault;
use crate::{Size, jpeg};

/// A retired transfer syntax, which archives still contain.
const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// The words of 32 bits in front of the segments of RLE: their number, and the offset of each of 15.
const RLE_HEADER_WORDS: usize = 16;

/// What to do about a transfer syntax that is not read.
pub(super) const ADVICE: &str = "export it uncompressed or as JPEG 2000, or save it as PNG or TIFF";

/// How pixels are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Rle,
    Jpeg,
    JpegLs,
    Jpeg2000,
}

impl Coding {
    /// The coding of a transfer syntax, if it compresses pixels. An error names a transfer syntax that is not read.
    pub(super) fn of(syntax: &TransferSyntax) -> Result<Option<Self>, Fault> {
        Ok(match syntax.uid() {
            uids::IMPLICIT_VR_LITTLE_ENDIAN | uids::EXPLICIT_VR_LITTLE_ENDIAN | EXPLICIT_VR_BIG_ENDIAN => None,
            uids::RLE_LOSSLESS => Some(Self::Rle),
            uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT | uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => {
                Some(Self::Jpeg)
            }
            uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => Some(Self::JpegLs),
            uids::JPEG2000_LOSSLESS | uids::JPEG2000 => Some(Self::Jpeg2000),
            _ => return Err(Fault::Unsupported(format!("its transfer syntax {} is not read", syntax.name()), ADVICE)),
        })
    }

    /// The coding of a stream, by its first bytes; `None` if they don't tell.
    fn of_stream(stream: &[u8]) -> Option<Self> {
        const START_OF_JPEG: &[u8] = b"\xFF\xD8\xFF";
        const START_OF_JPEG_2000: [&[u8]; 2] = [b"\xFF\x4F\xFF\x51", b"\0\0\0\x0CjP  "];
        if START_OF_JPEG_2000.iter().any(|start| stream.starts_with(start)) {
            return Some(Self::Jpeg2000);
        }
        if stream.starts_with(START_OF_JPEG) {
            return Some(if jpeg::is_jpeg_ls(stream) { Self::JpegLs } else { Self::Jpeg });
        }
        // The number of segments, the offset of each, and zeros in place of others.
        let (count, offsets) = stream.get(..4 * RLE_HEADER_WORDS)?.as_chunks::<4>().0.split_first()?;
        let (count, words) = (u32::from_le_bytes(*count), offsets.iter().map(|word| u32::from_le_bytes(*word)));
        let is_sound = |(index, word): (u32, u32)| match index {
            0 => word == 4 * RLE_HEADER_WORDS as u32,
            index => (word == 0) == (index >= count),
        };
        ((1..RLE_HEADER_WORDS as u32).contains(&count) && (0..).zip(words).all(is_sound)).then_some(Self::Rle)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Rle => "RLE",
            Self::Jpeg => "JPEG",
            Self::JpegLs => "JPEG-LS",
            Self::Jpeg2000 => "JPEG 2000",
        }
    }

    /// The names of the colours that its decoder reads. A film in colours is read only if it is grey.
    pub(super) const fn colours(self) -> &'static [&'static str] {
        match self {
            Self::Rle | Self::JpegLs => &[],
            Self::Jpeg => &["RGB", "YBR_FULL", "YBR_FULL_422"],
            Self::Jpeg2000 => &["RGB", "YBR_ICT", "YBR_RCT"],
        }
    }
}

/// Refuses pixels that are compressed in another way than the file says, and several pictures. A picture may be divided into several
/// fragments, so one that begins like a stream is another picture only if there is an end before it.
pub(super) fn validate_streams(pixel_data: &PixelData<'_>, coding: Option<Coding>) -> Result<(), Fault> {
    /// More bytes than stand in front of the header of a JPEG.
    const START: usize = 1 << 17;
    let (PixelData::Compressed(fragments), Some(stated)) = (pixel_data, coding) else { return Ok(()) };
    let start: Vec<u8> = fragments.iter().flat_map(|fragment| fragment.iter().copied()).take(START).collect();
    match Coding::of_stream(&start) {
        Some(found) if found != stated => {
            let (found, stated) = (found.name(), stated.name());
            return Err(Fault::damaged(format!("its transfer syntax says {stated}, but its pixels are {found}")));
        }
        _ => {}
    }
    let ends = |fragment: &[u8]| {
        let padding = fragment.iter().rev().take_while(|byte| **byte == 0).count();
        stated == Coding::Rle || fragment[..fragment.len() - padding].ends_with(b"\xFF\xD9")
    };
    let begins = |pair: &&[&[u8]]| ends(pair[0]) && Coding::of_stream(pair[1]).is_some();
    match 1 + fragments.windows(2).filter(begins).count() {
        1 => Ok(()),
        pictures => Err(Fault::Unsupported(
            format!("it has {pictures} pictures, though it states one frame"),
            "export the frame to be read as a separate film",
        )),
    }
}

/// The grey pixels: as many as `header` states.
pub(super) fn decode(pixel_data: &PixelData<'_>, header: &Header, coding: Option<Coding>) -> Result<Vec<u16>, Fault> {
    let expected = pixels(header);
    let mut stored = match (coding, pixel_data) {
        (None, PixelData::Native(native)) => native.samples(expected, header.bits_allocated),
        (Some(coding), PixelData::Compressed(fragments)) => {
            let stream = stream(fragments, header)?;
            match coding {
                Coding::Rle => rle(&stream, header),
                Coding::Jpeg => jpeg(&stream, header),
                Coding::JpegLs => jpeg_ls(&stream, header),
                Coding::Jpeg2000 => jpeg2000::decode(&stream, header),
            }?
        }
        _ => return Err(contradiction(coding)),
    };
    // Missing rows at the end are an error. A few additional bytes are padding.
    let found = stored.len();
    if found < expected {
        return Err(Fault::damaged(format!("it has {found} pixels where {expected} are expected")));
    }
    stored.truncate(expected);
    Ok(stored)
}

/// The compressed pixels of a film in colours: three samples of 8 bits each, as they are in the stream.
pub(super) fn decode_colours(fragments: &[&[u8]], header: &Header, coding: Coding) -> Result<Vec<u8>, Fault> {
    let stream = stream(fragments, header)?;
    let samples = if coding == Coding::Jpeg2000 {
        jpeg2000::decode(&stream, header)?.into_iter().map(|sample| sample as u8).collect()
    } else {
        // The header lets no other coding have colours.
        jpeg_bytes(&stream, header)?.0
    };
    if samples.len() == 3 * pixels(header) {
        Ok(samples)
    } else {
        Err(Fault::Unsupported("its compressed pixels are colours of more or less than 8 bits".into(), GREY_ADVICE))
    }
}

/// The error for a file whose pixels are compressed in another way than its transfer syntax.
pub(super) fn contradiction(coding: Option<Coding>) -> Fault {
    Fault::damaged(match coding {
        None => "its pixels are compressed, but its transfer syntax is not",
        Some(_) => "its pixels are not compressed, but its transfer syntax is",
    })
}

/// The compressed stream: all fragments together are the only frame, however it was divided. A stream that is far longer than its pixels is
/// refused before it is copied.
fn stream(fragments: &[&[u8]], header: &Header) -> Result<Vec<u8>, Fault> {
    /// The most bytes of a stream for each pixel, twice those of 16 bits, and so many bytes more.
    const MOST: (usize, usize) = (4, 1 << 20);
    let (length, pixels) = (fragments.iter().map(|fragment| fragment.len()).sum::<usize>(), pixels(header));
    if length > MOST.0 * pixels + MOST.1 {
        return Err(Fault::damaged(format!("its compressed stream has {length} bytes for {pixels} pixels")));
    }
    Ok(fragments.concat())
}

/// The number of pixels: at most [`MAX_FILM_PIXELS`](crate::MAX_FILM_PIXELS), because the size was checked.
pub(super) fn pixels(header: &Header) -> usize {
    header.size.pixels() as usize
}

/// Refuses a stream that claims another size than the file.
pub(super) fn validate_claim(width: u32, height: u32, header: &Header) -> Result<(), Fault> {
    let claimed = Size { width, height };
    if claimed == header.size {
        return Ok(());
    }
    Err(Fault::damaged(format!("its header says {} px and its compressed stream {claimed} px", header.size)))
}

pub(super) fn broken(coding: &str, why: impl std::fmt::Display) -> Fault {
    Fault::damaged(format!("its {coding} stream can't be decoded: {why}"))
}

/// RLE: a segment of packed bytes for the upper halves of all pixels, then one for the lower (PS3.5, annex G).
///
/// This decoder exists because the adapter in the registry of transfer syntaxes slices its input without checks and unwraps. A
/// damaged stream would end the program.
fn rle(stream: &[u8], header: &Header) -> Result<Vec<u16>, Fault> {
    let mut words =
        stream.chunks_exact(4).take(RLE_HEADER_WORDS).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
    let segments = (header.bits_allocated / 8) as usize;
    if words.next() != Some(segments) {
        return Err(broken("RLE", format!("it does not have the {segments} segments of its pixels")));
    }
    let starts: Vec<usize> = words.take(segments).collect();
    let mut stored = vec![0_u16; pixels(header)];
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(stream.len());
        let packed = stream.get(*start..end).ok_or_else(|| broken("RLE", "a segment lies outside the stream"))?;
        let mut filled = 0;
        for byte in Unpacked::new(packed).take(stored.len()) {
            stored[filled] = stored[filled] << 8 | u16::from(byte);
            filled += 1;
        }
        if filled < stored.len() {
            return Err(broken("RLE", format!("a segment ends after {filled} of {} pixels", stored.len())));
        }
    }
    Ok(stored)
}

/// The bytes of a PackBits segment, which consists of counts, each followed by that many literal bytes or by one byte to repeat.
struct Unpacked<'a> {
    packed: &'a [u8],
    left: usize,
    repeated: Option<u8>,
}

impl<'a> Unpacked<'a> {
    fn new(packed: &'a [u8]) -> Self {
        Self { packed, left: 0, repeated: None }
    }

    fn take_byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.packed.split_first()?;
        self.packed = rest;
        Some(*byte)
    }
}

impl Iterator for Unpacked<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        while self.left == 0 {
            // The count is a signed number. It is negative for a byte to repeat; -128 is ignored.
            let count = usize::from(self.take_byte()?);
            (self.left, self.repeated) = match count {
                ..=127 => (count + 1, None),
                128 => (0, None),
                _ => (257 - count, Some(self.take_byte()?)),
            };
        }
        self.left -= 1;
        self.repeated.or_else(|| self.take_byte())
    }
}

/// Grey JPEG of 8 bits, or lossless JPEG of up to 16.
fn jpeg(stream: &[u8], header: &Header) -> Result<Vec<u16>, Fault> {
    let (bytes, format) = jpeg_bytes(stream, header)?;
    Ok(match format {
        Some(PixelFormat::L16) => bytes.as_chunks().0.iter().map(|word| u16::from_ne_bytes(*word)).collect(),
        _ => bytes.into_iter().map(u16::from).collect(),
    })
}

/// The samples of a JPEG, those of a pixel together. Colours stay what they are in the stream.
fn jpeg_bytes(stream: &[u8], header: &Header) -> Result<(Vec<u8>, Option<PixelFormat>), Fault> {
    const ADVICE: &str = "export it as JPEG of 8 bits, as lossless JPEG or uncompressed";
    let fault = |fault| match fault {
        Fault::Damaged(reason) => broken("JPEG", reason),
        Fault::Unsupported(what, _) => Fault::Unsupported(what, ADVICE),
    };
    let frame = jpeg::frame(stream).map_err(fault)?;
    let Size { width, height } = frame.size();
    validate_claim(width, height, header)?;
    let (found, expected) = (frame.samples(), header.colours.samples() as usize);
    if expected == 1 && found > 1 {
        return Err(Fault::Unsupported("its JPEG holds colours, not grey".into(), GREY_ADVICE));
    }
    if found != expected {
        return Err(broken("JPEG", format!("it has {found} samples per pixel, and its header says {expected}")));
    }
    if frame.is_lossless() && !frame.is_full() {
        return Err(Fault::Unsupported("its lossless JPEG has fewer samples than pixels".into(), ADVICE));
    }
    let stream = jpeg::validate(stream).map_err(fault)?;
    let mut decoder = jpeg_decoder::Decoder::new(stream);
    if found > 1 {
        // As they are in the stream, whatever they are.
        decoder.set_color_transform(ColorTransform::RGB);
    }
    let bytes = decoder.decode().map_err(|error| match error {
        jpeg_decoder::Error::Unsupported(_) => Fault::Unsupported(format!("its JPEG is not read ({error})"), ADVICE),
        error => broken("JPEG", error),
    })?;
    Ok((bytes, decoder.info().map(|info| info.pixel_format)))
}

/// JPEG-LS, lossless or near-lossless. The decoder itself compares the stream with the expected size.
fn jpeg_ls(stream: &[u8], header: &Header) -> Result<Vec<u16>, Fault> {
    let decoded = jpegls::decode(stream, header.size.width, header.size.height);
    decoded.map(|(samples, ..)| samples).map_err(|error| match error {
        jpegls::CodecError::Unsupported(_) => {
            Fault::Unsupported(format!("its JPEG-LS stream is not read ({error})"), ADVICE)
        }
        error => broken("JPEG-LS", error),
    })
}
