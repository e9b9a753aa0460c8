//! Reads a DICOM file's bytes as a film with spacing, warnings and identity.

use std::path::Path;

use super::data_set::DataSet;
use super::header::{Colours, Header, film_pixels};
use super::pixel_data::PixelData;
use super::{DicomIdentity, codec, colour, grey, kind, spacing};
use crate::content::{self, LastRows};
use crate::fault::Fault;
use crate::film::validate_size;
use crate::{Film, FilmError, FilmWarning};

/// Reads a film from the bytes of a DICOM file; `name` appears in messages only.
///
/// Its pixels become 8-bit grey as a viewer shows them, and stay where they are stored: it is not turned. It has the spacing that the
/// file states, in mm per px, its patient and study, and warnings about what is doubtful.
///
/// # Errors
/// [`FilmError::Damaged`], [`FilmError::Unsupported`], [`FilmError::TooLarge`] and [`FilmError::ZeroSize`]; the size is checked before
/// pixels are decoded. No message contains patient data.
pub(crate) fn read(bytes: &[u8], name: &Path) -> Result<Film, FilmError> {
    let at = |fault: Fault| fault.at(name);
    let DataSet { attributes, pixels, coding, mut warnings } = DataSet::read(bytes).map_err(at)?;
    let pixels = film_pixels(&attributes, pixels.as_ref()).map_err(at)?;
    codec::validate_streams(pixels, coding).map_err(at)?;
    let header = Header::read(&attributes, coding).map_err(at)?;
    validate_size(header.size, Some(name))?;
    let spacing = spacing::read(&attributes);
    kind::compare(&attributes, &mut warnings);
    let grey = match header.colours {
        Colours::Three(three) => colour::grey(pixels, &header, coding, three).map_err(at)?,
        Colours::Grey { .. } => {
            let stored = codec::decode(pixels, &header, coding).map_err(at)?;
            let shades = grey::shades(&attributes, &header, &stored, &mut warnings);
            stored.into_iter().map(|raw| shades[usize::from(raw)]).collect()
        }
    };
    if let PixelData::Native(native) = pixels {
        let (found, expected) = (native.bytes.len(), header.row_bytes() * header.size.height as usize);
        // A byte or two may be padding.
        if found >= expected + header.row_bytes().max(2) {
            warnings.push(FilmWarning::MorePixelData { found, expected });
        }
    }
    warnings.extend(content::cautions(header.size, &grey, coding.is_none().then_some(LastRows::Lower)));
    let film = Film::from_grey(header.size, grey)?;
    Ok(film.with_statements(spacing, warnings, DicomIdentity::of(&attributes)))
}
