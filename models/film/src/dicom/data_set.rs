//! Reads the attributes of a DICOM file, with or without preamble and file meta information.

use dicom_dictionary_std::{tags, uids};
use dicom_encoding::Endianness;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::{TransferSyntax, TransferSyntaxIndex, TransferSyntaxRegistry};

use super::attributes;
use super::codec::{self, Coding};
use super::pixel_data::PixelData;
use super::walk::{self, Element, Encoding, Value};
use crate::FilmWarning;
use crate::fault::Fault;
use crate::signature::{DICOM_MAGIC, has_dicom_magic};

/// A data set, and the coding of its pixels if they are compressed.
pub(super) struct DataSet<'a> {
    /// All attributes that Onemark reads, except for the pixels.
    pub(super) attributes: InMemDicomObject,
    pub(super) pixels: Option<PixelData<'a>>,
    pub(super) coding: Option<Coding>,
    pub(super) warnings: Vec<FilmWarning>,
}

impl<'a> DataSet<'a> {
    /// Reads a file's attributes; no pixel is decoded. An error if the file can't be walked over, if a value is not of its type, or if the
    /// transfer syntax is not read.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let bytes = if has_dicom_magic(bytes) { &bytes[DICOM_MAGIC.end..] } else { bytes };
        let (uid, data_set) = meta(bytes)?;
        let (said, coding) = match &uid {
            Some(uid) => {
                let syntax = syntax(uid)?;
                // This also refuses deflated data sets, which may be many times as large as their file.
                (encoding(syntax), Coding::of(syntax)?)
            }
            None => (Encoding::IMPLICIT.as_written(data_set), None),
        };
        let written = said.as_written(data_set);
        let mut found = walk::data_set(data_set, written)?;
        let pixels = found.remove(&tags::PIXEL_DATA).and_then(|element| PixelData::of(&element));
        let mut warnings = Vec::new();
        if written != said {
            warnings.push(FilmWarning::ContradictedEncoding { stated: said.name(), used: written.name() });
        }
        Ok(Self { attributes: attributes::parsed(&found)?, pixels, coding, warnings })
    }
}

/// The transfer syntax that the file meta information names, if the file has such information, and the bytes after it.
fn meta(bytes: &[u8]) -> Result<(Option<String>, &[u8]), Fault> {
    let in_meta = |fault| match fault {
        Fault::Damaged(reason) => Fault::damaged(format!("{reason}, in its file meta information")),
        other => other,
    };
    let (meta, data_set) = walk::meta(bytes).map_err(in_meta)?;
    let Some(Element { value: Value::Bytes(uid), .. }) = meta.get(&tags::TRANSFER_SYNTAX_UID) else {
        return Ok((None, data_set));
    };
    Ok((Some(String::from_utf8_lossy(uid).trim_end_matches(['\0', ' ']).to_owned()), data_set))
}

fn syntax(uid: &str) -> Result<&'static TransferSyntax, Fault> {
    let unknown = || {
        let is_uid = uid.len() <= 64 && uid.chars().all(|c| c.is_ascii_digit() || c == '.');
        let what = if is_uid { format!("its transfer syntax {uid}") } else { "its transfer syntax".into() };
        Fault::Unsupported(format!("{what} is unknown"), codec::ADVICE)
    };
    TransferSyntaxRegistry.get(uid).ok_or_else(unknown)
}

/// How a transfer syntax says that attributes are written. All but one state their types.
fn encoding(syntax: &TransferSyntax) -> Encoding {
    Encoding {
        explicit: syntax.uid() != uids::IMPLICIT_VR_LITTLE_ENDIAN,
        big_endian: syntax.endianness() == Endianness::Big,
    }
}
