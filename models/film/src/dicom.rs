//! Films in DICOM: from a file's bytes to a film with its spacing and whose it is.
//!
//! Here are the steps and the way into a file; `header` says what is refused, `codec` unpacks pixels, `grey` shades them,
//! `spacing`, `identity`, `text` and `directory` read what their names say. A patient's data never reach a message: nothing here
//! repeats what the parser says of a value.

mod codec;
mod directory;
mod grey;
mod header;
mod identity;
mod spacing;
mod text;

use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::Path;

use dicom_core::{DataElementHeader, Length};
use dicom_dictionary_std::uids;
use dicom_encoding::decode::Decode as _;
use dicom_encoding::decode::explicit_le::ExplicitVRLittleEndianDecoder;
use dicom_object::{FileMetaTable, InMemDicomObject};
use dicom_parser::dataset::LazyDataToken;
use dicom_parser::dataset::lazy_read::LazyDataSetReader;
use dicom_transfer_syntax_registry::{TransferSyntax, TransferSyntaxIndex, TransferSyntaxRegistry};
use image::GrayImage;

use crate::film::check_size;
use crate::{Film, FilmError};
use codec::Decoder;
use header::Header;

pub use directory::directory_films;
pub use identity::DicomIdentity;

/// Where the four letters stand that most DICOM files have, and how many bytes those are.
const MAGIC: std::ops::Range<usize> = 128..132;

/// How the file meta information begins that says its length: with the attribute that holds it.
const META_LENGTH: &[u8] = b"\x02\0\0\0UL\x04\0";

/// By so many bytes from its start a file is known for DICOM.
const HEAD_BYTES: u64 = 512;

/// How deep sequences may lie in each other. Those about films have two or three levels; the parser recurses, so a file of
/// nothing but nested sequences would end the program.
const MAX_DEPTH: usize = 32;

/// Why a DICOM file is refused, before it is known which file it is.
#[derive(Debug)]
enum Fault {
    /// It breaks off or contradicts itself.
    Damaged(String),
    /// What it holds, and what to do about it.
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
}

/// A data set, and what decompresses its pixels if they are compressed.
struct DataSet {
    attributes: InMemDicomObject,
    decoder: Option<Decoder>,
}

/// Whether a file is DICOM: by its four letters, or else by an attribute of the first groups at its very start, as files
/// have it that were stored without preamble.
pub(crate) fn is_dicom(bytes: &[u8]) -> bool {
    has_magic(bytes) || starts_with_meta(bytes) || starts_with_data_set(bytes)
}

/// Whether the file at `path` is DICOM, by its first bytes; a file that can't be read is not.
pub fn holds_dicom(path: &Path) -> bool {
    let mut head = Vec::new();
    File::open(path).is_ok_and(|file| file.take(HEAD_BYTES).read_to_end(&mut head).is_ok()) && is_dicom(&head)
}

/// Reads a film; `name` only appears in messages.
pub(crate) fn read(bytes: &[u8], name: &Path) -> Result<Film, FilmError> {
    let at = |fault: Fault| fault.at(name);
    let DataSet { attributes, decoder } = open(bytes).map_err(at)?;
    let header = Header::read(&attributes).map_err(at)?;
    check_size(header.columns, header.rows, name)?;
    let (spacing, mut warnings) = spacing::read(&attributes);
    let about_spacing = warnings.len();
    let stored = codec::decode(&attributes, &header, decoder).map_err(at)?;
    let shades = grey::shades(&attributes, &header, &stored, &mut warnings);
    let grey = stored.iter().map(|raw| shades[usize::from(header.pattern(*raw))]).collect();
    let grey = GrayImage::from_raw(header.columns, header.rows, grey)
        .ok_or_else(|| at(Fault::Damaged("it has fewer pixels than rows times columns".into())))?;
    Ok(Film { grey, spacing, warnings, about_spacing, dicom: Some(DicomIdentity::of(&attributes)) })
}

/// Reads a file's attributes.
fn open(bytes: &[u8]) -> Result<DataSet, Fault> {
    let (uid, data_set) = if has_magic(bytes) {
        meta(&bytes[MAGIC.end..])?
    } else if starts_with_meta(bytes) {
        meta(bytes)?
    } else if has_explicit_type(bytes) {
        (uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned(), bytes.len())
    } else {
        (uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned(), bytes.len())
    };
    let data_set = &bytes[bytes.len() - data_set..];
    let syntax = syntax(&uid)?;
    // Among others this refuses deflated data sets, which may be any number of times as large as their file.
    let decoder = codec::decoder(syntax)?;
    check(data_set, syntax)?;
    let attributes = InMemDicomObject::read_dataset_with_ts(data_set, syntax).map_err(|_| broken())?;
    Ok(DataSet { attributes, decoder })
}

/// The transfer syntax that a file's own header names, and how many bytes are left after that header.
fn meta(bytes: &[u8]) -> Result<(String, usize), Fault> {
    let no_meta = || Fault::Damaged("its file meta information breaks off or names no transfer syntax".into());
    let (attributes, rest) = split_meta(bytes).ok_or_else(no_meta)?;
    check(attributes, syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)?)?;
    let length = u32::try_from(attributes.len()).map_err(|_| no_meta())?;
    let whole = [b"DICM", META_LENGTH, &length.to_le_bytes(), attributes].concat();
    let meta = FileMetaTable::from_reader(&whole[..]).map_err(|_| no_meta())?;
    Ok((meta.transfer_syntax().trim_end_matches(['\0', ' ']).to_owned(), rest.len()))
}

/// The file meta information without its length, and what comes after it. Some programs leave the length out: then it ends with
/// the last attribute of its group.
fn split_meta(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(rest) = bytes.strip_prefix(META_LENGTH) {
        let (length, rest) = rest.split_first_chunk()?;
        return rest.split_at_checked(u32::from_le_bytes(*length) as usize);
    }
    let mut end = 0_usize;
    while bytes.get(end..)?.starts_with(&[2, 0]) {
        let (header, read) = ExplicitVRLittleEndianDecoder::default().decode_header(&mut &bytes[end..]).ok()?;
        end = end.checked_add(read)?.checked_add(header.len.get()? as usize)?;
    }
    bytes.split_at_checked(end)
}

fn syntax(uid: &str) -> Result<&'static TransferSyntax, Fault> {
    let unknown = || Fault::Unsupported(format!("its transfer syntax {uid} is unknown"), codec::ADVICE);
    TransferSyntaxRegistry.get(uid).ok_or_else(unknown)
}

fn broken() -> Fault {
    Fault::Damaged("its attributes break off or contradict each other".into())
}

/// Walks over attributes without reading them, and refuses what the parser would choke on: values that claim to be longer
/// than all of the data, for which it would get the memory first, and sequences too deep in each other.
fn check(data: &[u8], syntax: &TransferSyntax) -> Result<(), Fault> {
    let mut reader = LazyDataSetReader::new_with_ts(Cursor::new(data), syntax).map_err(|_| broken())?;
    let (mut depth, mut left) = (0_usize, data.len());
    while let Some(token) = reader.advance() {
        let token = token.map_err(|_| broken())?;
        match &token {
            LazyDataToken::SequenceStart { .. } => depth += 1,
            LazyDataToken::SequenceEnd => depth = depth.saturating_sub(1),
            LazyDataToken::LazyValue { header: DataElementHeader { len: Length(length), .. }, .. }
            | LazyDataToken::LazyItemValue { len: length, .. } => {
                left = left.checked_sub(*length as usize).ok_or_else(broken)?;
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Fault::Damaged(format!("sequences lie more than {MAX_DEPTH} deep in each other")));
        }
        token.skip().map_err(|_| broken())?;
    }
    Ok(())
}

fn has_magic(bytes: &[u8]) -> bool {
    bytes.get(MAGIC) == Some(b"DICM")
}

/// An attribute of the file meta information, which is always explicit.
fn starts_with_meta(bytes: &[u8]) -> bool {
    matches!(bytes, [2, 0, _, 0, ..]) && has_explicit_type(bytes)
}

/// An attribute of group 8, with which every data set of a film begins, that ends within the file.
fn starts_with_data_set(bytes: &[u8]) -> bool {
    let [8, 0, _, 0, length @ ..] = bytes else { return false };
    let length = match length {
        // Two letters for the type, then 16 bits; the long types never come first.
        [_, _, low, high, ..] if has_explicit_type(bytes) => u32::from(u16::from_le_bytes([*low, *high])),
        [a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => return false,
    };
    (length as usize) < bytes.len()
}

fn has_explicit_type(bytes: &[u8]) -> bool {
    bytes.get(4..6).is_some_and(|letters| letters.iter().all(u8::is_ascii_uppercase))
}
