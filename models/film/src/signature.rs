//! Recognises file formats by their first bytes.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

/// The offset of the letters DICM, which most DICOM files have.
pub(crate) const DICOM_MAGIC: std::ops::Range<usize> = 128..132;

/// The number of bytes from a file's start that are needed to recognise DICOM.
const HEAD_BYTES: u64 = 512;

/// A format that Onemark reads if the reader is compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Dicom,
    Raster(Raster),
}

/// A picture format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raster {
    Png,
    Jpeg,
    Bmp,
    Tiff,
}

impl Format {
    /// The format of a file, by its content.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        const STARTS: [(&[u8], Raster); 7] = [
            (b"\x89PNG\r\n\x1a\n", Raster::Png),
            (b"\xFF\xD8\xFF", Raster::Jpeg),
            (b"BM", Raster::Bmp),
            (b"II*\0", Raster::Tiff),
            (b"MM\0*", Raster::Tiff),
            // With offsets of 64 bits.
            (b"II+\0", Raster::Tiff),
            (b"MM\0+", Raster::Tiff),
        ];
        if is_dicom(bytes) {
            return Some(Self::Dicom);
        }
        let (_, raster) = STARTS.iter().find(|(start, _)| bytes.starts_with(start))?;
        Some(Self::Raster(*raster))
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dicom => "DICOM",
            Self::Raster(Raster::Png) => "PNG",
            Self::Raster(Raster::Jpeg) => "JPEG",
            Self::Raster(Raster::Bmp) => "BMP",
            Self::Raster(Raster::Tiff) => "TIFF",
        }
    }
}

/// Whether a file is an image of a well-known format that Onemark does not read.
pub(crate) fn is_other_image(bytes: &[u8]) -> bool {
    const STARTS: [&[u8]; 19] = [
        b"GIF87a",
        b"GIF89a",
        b"DDS ",
        b"\0\0\x01\0",
        b"#?RADIANCE",
        b"\x76\x2F\x31\x01",
        b"qoif",
        b"farbfeld",
        b"P1",
        b"P2",
        b"P3",
        b"P4",
        b"P5",
        b"P6",
        b"P7",
        // JPEG 2000, in a file of its own or bare; JPEG XL, likewise.
        b"\0\0\0\x0CjP  ",
        b"\xFF\x4F\xFF\x51",
        b"\0\0\0\x0CJXL ",
        b"\xFF\x0A",
    ];
    STARTS.iter().any(|start| bytes.starts_with(start))
        || bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")
        || bytes.starts_with(b"\0\0") && matches!(bytes.get(4..12), Some(b"ftypavif" | b"ftypheic" | b"ftypmif1"))
}

/// Whether the file at `path` is DICOM, by its first bytes. False for a file that can't be read, and for what is no file.
pub fn holds_dicom(path: &Path) -> bool {
    let mut head = Vec::new();
    // A pipe would keep the program waiting.
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file
        && File::open(path).is_ok_and(|file| file.take(HEAD_BYTES).read_to_end(&mut head).is_ok())
        && is_dicom(&head)
}

/// Whether a file is DICOM: it has the letters DICM or, in files without preamble, begins with an attribute of the first groups.
pub(crate) fn is_dicom(bytes: &[u8]) -> bool {
    has_dicom_magic(bytes) || starts_with_dicom_meta(bytes) || starts_with_data_set(bytes)
}

pub(crate) fn has_dicom_magic(bytes: &[u8]) -> bool {
    bytes.get(DICOM_MAGIC) == Some(b"DICM")
}

/// Whether a file begins with an attribute of the file meta information, which always states its type.
fn starts_with_dicom_meta(bytes: &[u8]) -> bool {
    matches!(bytes, [2, 0, _, 0, ..]) && has_explicit_type(bytes)
}

/// Whether a file begins with a complete attribute of group 8, as every data set of a film does.
fn starts_with_data_set(bytes: &[u8]) -> bool {
    let [8, 0, _, 0, length @ ..] = bytes else { return false };
    let length = match length {
        // Two letters for the type, then 16 bits for the length. Types with longer lengths never come first.
        [_, _, low, high, ..] if has_explicit_type(bytes) => u32::from(u16::from_le_bytes([*low, *high])),
        [a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => return false,
    };
    (length as usize) < bytes.len()
}

/// Whether the first attribute of a data set names its type.
fn has_explicit_type(bytes: &[u8]) -> bool {
    bytes.get(4..6).is_some_and(|letters| letters.iter().all(u8::is_ascii_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognised_by_their_first_bytes() {
        let dicom = [&[0; 128][..], b"DICM"].concat();
        for (bytes, expected) in [
            (&dicom[..], Some(Format::Dicom)),
            (b"\x08\0\x05\0CS\x0A\0ISO_IR 192", Some(Format::Dicom)),
            (b"\x89PNG\r\n\x1a\n", Some(Format::Raster(Raster::Png))),
            (b"\xFF\xD8\xFF\xE0", Some(Format::Raster(Raster::Jpeg))),
            (b"BM", Some(Format::Raster(Raster::Bmp))),
            (b"MM\0*", Some(Format::Raster(Raster::Tiff))),
            (b"II+\0", Some(Format::Raster(Raster::Tiff))),
            (b"GIF89a", None),
            (b"", None),
        ] {
            assert_eq!(Format::of(bytes), expected, "{bytes:?}");
        }
        assert!(is_other_image(b"RIFF\x10\0\0\0WEBPVP8 ") && is_other_image(b"\0\0\0\x1Cftypheic"));
        assert!(!is_other_image(b"RIFF\x10\0\0\0WAVE"));
    }
}
