//! Reads DICOMDIR, the list of films on a disc (for example a patient's CD).

use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::data_set::DataSet;
use super::text::text;
use crate::FilmError;
use crate::fault::Fault;
use crate::read::read_file;
use crate::signature::is_dicom;

/// The paths of the films that a DICOMDIR lists, in its order. They lie in its folder.
///
/// # Errors
/// [`FilmError`] for a file that can't be read as a DICOMDIR, that lists no film, or that lists a film outside its folder.
pub fn directory_films(path: &Path) -> Result<Vec<PathBuf>, FilmError> {
    let bytes = read_file(path, path).map_err(|error| match error {
        FilmError::FileTooLarge { .. } => no_directory("it is far too large").at(path),
        other => other,
    })?;
    let films = listed(&bytes).map_err(|fault| fault.at(path))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(films.iter().map(|components| in_folder(folder, components)).collect())
}

fn no_directory(why: &str) -> Fault {
    Fault::Unsupported(
        format!("no films can be read from it as a DICOMDIR ({why})"),
        "give the folder of the films instead",
    )
}

/// The films' paths: folders and a name for each film.
fn listed(bytes: &[u8]) -> Result<Vec<Vec<String>>, Fault> {
    if !is_dicom(bytes) {
        return Err(no_directory("its first bytes are not those of DICOM"));
    }
    let directory = DataSet::read(bytes)?.attributes;
    let records = directory.get(tags::DIRECTORY_RECORD_SEQUENCE).and_then(|records| records.items());
    let records = records.ok_or_else(|| no_directory("it has no directory records"))?;
    let images = records.iter().filter(|record| text(record, tags::DIRECTORY_RECORD_TYPE) == "IMAGE");
    let films: Vec<_> = images.filter_map(components).collect();
    if films.is_empty() {
        return Err(no_directory("none of its records is an image"));
    }
    // PS3.10, 8.2 allows upper-case letters, digits and underscores. Other characters are accepted if the path stays in the folder.
    let leads_out = |part: &String| part.is_empty() || part.starts_with('.') || part.contains(['/', '\\', ':']);
    match films.iter().flatten().find(|part| leads_out(part)) {
        None => Ok(films),
        Some(part) => Err(Fault::damaged(format!("it lists a file at {part:?}, which is not a name in its folder"))),
    }
}

fn components(record: &InMemDicomObject) -> Option<Vec<String>> {
    let components = record.get(tags::REFERENCED_FILE_ID)?.to_multi_str().ok()?;
    Some(components.iter().map(|part| part.trim_matches([' ', '\0']).to_owned()).collect())
}

/// The path under `folder`, also in lower case, because names on copied discs often are.
fn in_folder(folder: &Path, components: &[String]) -> PathBuf {
    let place = |part: fn(&String) -> String| folder.join(components.iter().map(part).collect::<PathBuf>());
    let (listed, small) = (place(String::clone), place(|part| part.to_lowercase()));
    if !listed.exists() && small.exists() { small } else { listed }
}
