//! DICOMDIR: the list of the films on a disc, as discs for patients have one.

use std::fs;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::text::text;
use super::{Fault, is_dicom, open};
use crate::{FilmError, MAX_FILM_BYTES};

/// The films that a DICOMDIR lists, in its order, in the folder that it lies in.
///
/// # Errors
/// [`FilmError`] for a file that is no DICOMDIR, or lists no film, or lists one outside its folder.
pub fn directory_films(path: &Path) -> Result<Vec<PathBuf>, FilmError> {
    let read_error = |source| FilmError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(read_error)?.len() > MAX_FILM_BYTES {
        return Err(no_directory("it is far too large").at(path));
    }
    let bytes = fs::read(path).map_err(read_error)?;
    let films = listed(&bytes).map_err(|fault| fault.at(path))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(films.iter().map(|components| in_folder(folder, components)).collect())
}

fn no_directory(why: &str) -> Fault {
    Fault::Unsupported(format!("it is no DICOMDIR with films ({why})"), "give the folder of the films instead")
}

/// The films' places, as folders and a name each.
fn listed(bytes: &[u8]) -> Result<Vec<Vec<String>>, Fault> {
    if !is_dicom(bytes) {
        return Err(no_directory("it is no DICOM"));
    }
    let directory = open(bytes)?.attributes;
    let records = directory.get(tags::DIRECTORY_RECORD_SEQUENCE).and_then(|records| records.items());
    let records = records.ok_or_else(|| no_directory("it has no directory records"))?;
    let images = records.iter().filter(|record| text(record, tags::DIRECTORY_RECORD_TYPE) == "IMAGE");
    let films: Vec<_> = images.filter_map(components).collect();
    if films.is_empty() {
        return Err(no_directory("none of its records is an image"));
    }
    // Upper-case letters, digits and underscores by PS3.10, 8.2; what is read here besides still leads nowhere else.
    let leads_out = |part: &String| part.is_empty() || part.starts_with('.') || part.contains(['/', '\\', ':']);
    match films.iter().flatten().find(|part| leads_out(part)) {
        None => Ok(films),
        Some(part) => Err(Fault::Damaged(format!("it lists a file at {part:?}, which is no name in its folder"))),
    }
}

fn components(record: &InMemDicomObject) -> Option<Vec<String>> {
    let components = record.get(tags::REFERENCED_FILE_ID)?.to_multi_str().ok()?;
    Some(components.iter().map(|part| part.trim_matches([' ', '\0']).to_owned()).collect())
}

/// The place under `folder`; discs that were copied often have their names in small letters.
fn in_folder(folder: &Path, components: &[String]) -> PathBuf {
    let place = |part: fn(&String) -> String| folder.join(components.iter().map(part).collect::<PathBuf>());
    let (listed, small) = (place(String::clone), place(|part| part.to_lowercase()));
    if !listed.exists() && small.exists() { small } else { listed }
}
