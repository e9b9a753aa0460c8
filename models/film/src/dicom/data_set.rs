//! Parses the attributes of a DICOM file, with or without preamble and file meta information.

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

/// The first bytes of file meta information that states its length: the start of the attribute with the length.
const META_LENGTH: &[u8] = b"\x02\0\0\0UL\x04\0";

/// The largest depth of nested sequences. Films have two or three levels. The parser is recursive, so deeply nested sequences would
/// overflow the stack.
const MAX_DEPTH: usize = 32;

/// A data set, and the codec of its pixels if they are compressed.
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
        // This also refuses deflated data sets, which may be many times as large as their file.
        let decoder = codec::decoder(syntax)?;
        validate_lengths(data_set, syntax)?;
        let attributes = InMemDicomObject::read_dataset_with_ts(data_set, syntax).map_err(|_| broken())?;
        Ok(Self { attributes, decoder })
    }
}

/// The transfer syntax that the file meta information names, and the number of bytes after this information.
fn meta(bytes: &[u8]) -> Result<(String, usize), Fault> {
    let no_meta = || Fault::Damaged("its file meta information is incomplete or names no transfer syntax".into());
    let (attributes, rest) = split_meta(bytes).ok_or_else(no_meta)?;
    validate_lengths(attributes, syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)?)?;
    let length = u32::try_from(attributes.len()).map_err(|_| no_meta())?;
    let whole = [b"DICM", META_LENGTH, &length.to_le_bytes(), attributes].concat();
    let meta = FileMetaTable::from_reader(&whole[..]).map_err(|_| no_meta())?;
    Ok((meta.transfer_syntax().trim_end_matches(['\0', ' ']).to_owned(), rest.len()))
}

/// The file meta information without its length, and the bytes after it. Some programs leave the length out; then the information ends
/// with the last attribute of its group.
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
    Fault::Damaged("its attributes are incomplete or contradict each other".into())
}

/// Walks over attributes without reading their values, and refuses two kinds that would end the program in the parser: values that
/// claim to be longer than the data, because the parser allocates their memory first, and sequences that are nested too deeply.
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
            return Err(Fault::Damaged(format!("its sequences are nested more than {MAX_DEPTH} deep")));
        }
        token.skip().map_err(|_| broken())?;
    }
    Ok(())
}
