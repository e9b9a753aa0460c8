//! Reads a DICOM file's bytes as a film with spacing, warnings and identity.

use std::path::Path;

use super::data_set::DataSet;
use super::header::Header;
use super::{DicomIdentity, codec, grey, spacing};
use crate::film::validate_size;
use crate::visible::visible;
use crate::{Film, FilmError};

/// Why a DICOM file is refused, without the file's name.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file ends too early or contradicts itself.
    Damaged(String),
    /// The file contains something that is not read: what it contains, and what to do.
    Unsupported(String, &'static str),
}

impl Fault {
    pub(super) fn at(self, name: &Path) -> FilmError {
        let path = name.to_owned();
        match self {
            Self::Damaged(reason) => FilmError::Damaged { path, reason: visible(&reason) },
            Self::Unsupported(what, advice) => FilmError::Unsupported { path, what: visible(&what), advice },
        }
    }
}

/// Reads a film; `name` appears in messages only.
pub(crate) fn read(bytes: &[u8], name: &Path) -> Result<Film, FilmError> {
    let at = |fault: Fault| fault.at(name);
    let DataSet { attributes, decoder } = DataSet::read(bytes).map_err(at)?;
    let header = Header::read(&attributes).map_err(at)?;
    validate_size(header.size, Some(name))?;
    let (spacing, mut warnings) = spacing::read(&attributes);
    let stored = codec::decode(&attributes, &header, decoder).map_err(at)?;
    let shades = grey::shades(&attributes, &header, &stored, &mut warnings);
    let grey = stored.iter().map(|raw| shades[usize::from(header.pattern(*raw))]).collect();
    let film = Film::from_grey(header.size, grey)?;
    Ok(film.with_statements(spacing, warnings, DicomIdentity::of(&attributes)))
}
