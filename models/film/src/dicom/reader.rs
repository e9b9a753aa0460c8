//! Reads a DICOM file's bytes as a film with spacing, warnings and identity.

use std::path::Path;

use super::data_set::DataSet;
use super::header::{Colours, Header};
use super::pixel_data::PixelData;
use super::{DicomIdentity, codec, colour, grey, kind, spacing};
use crate::film::validate_size;
use crate::visible::visible;
use crate::{Film, FilmError, FilmWarning, content};

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
            Self::Damaged(reason) => FilmError::Damaged { path, reason: visible(&reason).into_owned() },
            Self::Unsupported(what, advice) => {
                FilmError::Unsupported { path, what: visible(&what).into_owned(), advice }
            }
        }
    }
}

/// Reads a film; `name` appears in messages only.
pub(crate) fn read(bytes: &[u8], name: &Path) -> Result<Film, FilmError> {
    let at = |fault: Fault| fault.at(name);
    let data_set = DataSet::read(bytes).map_err(at)?;
    let attributes = &data_set.attributes;
    let header = Header::read(attributes, data_set.pixels.as_ref()).map_err(at)?;
    validate_size(header.size, Some(name))?;
    let spacing = spacing::read(attributes);
    let mut warnings = data_set.warnings;
    kind::compare(attributes, &mut warnings);
    let grey = match (header.colours, &data_set.pixels) {
        (Colours::Three(three), Some(PixelData::Native(native))) => colour::grey(native, &header, three).map_err(at)?,
        (_, Some(pixels)) => {
            let stored = codec::decode(pixels, &header, data_set.decoder).map_err(at)?;
            let shades = grey::shades(attributes, &header, &stored, &mut warnings);
            stored.into_iter().map(|raw| shades[usize::from(raw)]).collect()
        }
        (_, None) => return Err(at(Fault::Damaged("it holds no pixels".into()))),
    };
    if let Some(PixelData::Native(native)) = &data_set.pixels {
        let (found, expected) = (native.bytes.len(), header.row_bytes() * header.size.height as usize);
        // A byte or two may be padding.
        if found >= expected + header.row_bytes().max(2) {
            warnings.push(FilmWarning::MorePixelData { found, expected });
        }
    }
    warnings.extend(content::cautions(header.size, &grey, data_set.decoder.is_none()));
    let film = Film::from_grey(header.size, grey)?;
    Ok(film.with_statements(spacing, warnings, DicomIdentity::of(attributes)))
}
