//! From a DICOM file's bytes to a film with its spacing, its warnings and whose it is.

use std::path::Path;

use super::data_set::DataSet;
use super::header::Header;
use super::{DicomIdentity, codec, grey, spacing};
use crate::film::validate_size;
use crate::{Film, FilmError};

/// Why a DICOM file is refused, before it is known which file it is.
#[derive(Debug)]
pub(super) enum Fault {
    /// It breaks off or contradicts itself.
    Damaged(String),
    /// What it holds, and what to do about it.
    Unsupported(String, &'static str),
}

impl Fault {
    pub(super) fn at(self, name: &Path) -> FilmError {
        let path = name.to_owned();
        match self {
            Self::Damaged(reason) => FilmError::Damaged { path, reason },
            Self::Unsupported(what, advice) => FilmError::Unsupported { path, what, advice },
        }
    }
}

/// Reads a film; `name` only appears in messages.
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
