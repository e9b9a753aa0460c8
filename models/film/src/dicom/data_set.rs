//! The way into a DICOM file: with or without preamble and file meta information, to attributes that the parser can read.

use std::io::Cursor;

use dicom_core::{DataElementHeader, Length};
use dicom_dictionary_std::uids;
use dicom_encoding::decode::Decode as _;
use dicom_encoding::decode::explicit_le::ExplicitVRLittleEndianDecoder;
use dicom_object::{FileMetaTable, InMemDicomObject};
use dicom_parser::dataset::LazyDataToken;
use dicom_parser::dataset::lazy_read::LazyDataSetReader;
use dicom_transfer_syntax_registry::{TransferSyntax, TransferSyntaxIndex, TransferSyntaxRegistry};

use super::codec::{self, Decoder};
use super::reader::Fault;
use crate::signature::{DICOM_MAGIC, has_dicom_magic, has_explicit_type, starts_with_dicom_meta};

/// How file meta information begins where it states its length: with the attribute that holds it.
const META_LENGTH: &[u8] = b"\x02\0\0\0UL\x04\0";

/// How deeply sequences may be nested. Those about films have two or three levels; the parser recurses, so a file of
/// nothing but nested sequences would end the program.
const MAX_DEPTH: usize = 32;

/// A data set, and what decompresses its pixels if they are compressed.
pub(super) struct DataSet {
    pub(super) attributes: InMemDicomObject,
    pub(super) decoder: Option<Decoder>,
}

impl DataSet {
    /// Reads a file's attributes.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let (uid, data_set) = if has_dicom_magic(bytes) {
            meta(&bytes[DICOM_MAGIC.end..])?
        } else if starts_with_dicom_meta(bytes) {
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
        validate_lengths(data_set, syntax)?;
        let attributes = InMemDicomObject::read_dataset_with_ts(data_set, syntax).map_err(|_| broken())?;
        Ok(Self { attributes, decoder })
    }
}

/// The transfer syntax that a file's own header names, and how many bytes are left after that header.
fn meta(bytes: &[u8]) -> Result<(String, usize), Fault> {
    let no_meta = || Fault::Damaged("its file meta information breaks off or names no transfer syntax".into());
    let (attributes, rest) = split_meta(bytes).ok_or_else(no_meta)?;
    validate_lengths(attributes, syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)?)?;
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

/// Walks over attributes without reading them, and refuses what the parser cannot survive: values that claim to be longer than
/// all of the data, for which it would allocate the memory first, and sequences nested too deeply.
fn validate_lengths(data: &[u8], syntax: &TransferSyntax) -> Result<(), Fault> {
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
