//! The list of films that a command is given by files, folders, patterns and DICOMDIRs, and its shards. No film is read
//! here.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use glob::MatchOptions;
use onemark_film::{FILM_EXTENSIONS, directory_films, holds_dicom};
use walkdir::{DirEntry, WalkDir};

/// The file name of the list of films on every DICOM disc.
const DICOMDIR: &str = "DICOMDIR";

/// One of several equal parts of a list of films, to share the work between machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    number: usize,
    of: usize,
}

/// Reads `3/16`, as `--shard` takes it.
impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number: number - 1, of }),
            _ => Err("give the part and the number of parts, such as 1/16 to 16/16".into()),
        }
    }
}

/// The films of `inputs`, in the order given; those of a folder or pattern by name.
///
/// An input without any film is an error. A missing or unreadable file is listed as a film, and fails when it is read.
pub fn find(inputs: &[PathBuf], shard: Option<Shard>) -> anyhow::Result<Vec<PathBuf>> {
    let mut films = Vec::new();
    for input in inputs {
        films.extend(films_of(input)?);
    }
    let Shard { number, of } = shard.unwrap_or(Shard { number: 0, of: 1 });
    Ok(films.into_iter().skip(number).step_by(of).collect())
}

fn films_of(input: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if input.is_dir() {
        let films = in_folder(input)?;
        if films.is_empty() {
            let endings = FILM_EXTENSIONS.join(", ");
            bail!(
                "no film is in the folder {}: films are files whose names end in {endings}, and DICOM files",
                input.display()
            );
        }
        return Ok(films);
    }
    if is_dicomdir(input) && input.exists() {
        return Ok(directory_films(input)?);
    }
    match input.to_str() {
        Some(pattern) if pattern.contains(['*', '?', '[']) && !input.exists() => matching(pattern),
        _ => Ok(vec![input.to_owned()]),
    }
}

/// The files that match a pattern, and the films in the folders that match it.
fn matching(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let found = glob::glob_with(pattern, options).with_context(|| format!("the pattern {pattern}"))?;
    let mut films = Vec::new();
    for found in found {
        // A folder that can't be read is listed like a film, and reported when it is read.
        let found = found.unwrap_or_else(|error| error.path().to_owned());
        if found.is_dir() { films.extend(in_folder(&found)?) } else { films.push(found) }
    }
    if films.is_empty() {
        bail!("no film matches {pattern}: * stands for any part of a name, ** for folders in folders");
    }
    Ok(films)
}

/// The films that a folder's DICOMDIR lists; without one, all films in the folder and its subfolders.
fn in_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let list = folder.join(DICOMDIR);
    if list.is_file() {
        return Ok(directory_films(&list)?);
    }
    let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    let films = entries.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry)).filter_map(|entry| match entry {
        Ok(entry) => (entry.file_type().is_file() && is_film(entry.path())).then(|| entry.into_path()),
        Err(error) => error.path().map(Path::to_owned),
    });
    Ok(films.collect())
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn is_dicomdir(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.eq_ignore_ascii_case(DICOMDIR))
}

/// Decides by the name's ending or, because DICOM's names often have none or end in a number, by content.
fn is_film(path: &Path) -> bool {
    has_film_extension(path) || (!is_dicomdir(path) && holds_dicom(path))
}

/// Whether a name has a film's ending.
pub fn has_film_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| FILM_EXTENSIONS.contains(&extension.as_str()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    /// An attribute as at the start of a DICOM file without preamble.
    const DICOM: &[u8] = b"\x08\0\x05\0\x0A\0\0\0ISO_IR 100\x08\0";

    /// A folder, and the names that `inputs` in it mean.
    fn names(folder: &Path, inputs: &[&str], shard: Option<&str>) -> Result<Vec<String>, String> {
        let inputs: Vec<_> = inputs.iter().map(|input| folder.join(input)).collect();
        let films = find(&inputs, shard.map(|shard| shard.parse().unwrap())).map_err(|error| error.to_string())?;
        Ok(films.iter().map(|film| film.strip_prefix(folder).unwrap().display().to_string()).collect())
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for empty in ["b/2.PNG", "b/10.jpg", "a.tif", ".hidden.png", "b/.git/c.png", "notes.txt", "b/bad.dcm"] {
            let file = folder.path().join(empty);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        for dicom in ["b/1.2.840.3", "IM0001"] {
            fs::write(folder.path().join(dicom), DICOM).unwrap();
        }
        fs::create_dir(folder.path().join("empty")).unwrap();
        folder
    }

    #[test]
    fn folders_are_searched() {
        let folder = folder();
        let all = ["IM0001", "a.tif", "b/1.2.840.3", "b/10.jpg", "b/2.PNG", "b/bad.dcm"];
        assert_eq!(names(folder.path(), &[""], None).unwrap(), all);
        assert!(names(folder.path(), &["a.tif", "empty"], None).unwrap_err().contains("no film is in the folder"));
    }

    #[test]
    fn patterns_are_matched() {
        let folder = folder();
        assert_eq!(names(folder.path(), &["*.tif", "b/?.*"], None).unwrap(), ["a.tif", "b/1.2.840.3", "b/2.PNG"]);
        assert_eq!(names(folder.path(), &["[b]"], None).unwrap().len(), 4);
        assert!(names(folder.path(), &["*.bmp"], None).unwrap_err().contains("no film matches"));
        assert!(names(folder.path(), &["[.png"], None).unwrap_err().contains("the pattern"));
        // An input without wildcards is a film, even if it does not exist.
        assert_eq!(names(folder.path(), &["z.png", "notes.txt"], None).unwrap(), ["z.png", "notes.txt"]);
    }

    #[test]
    fn shards_share_the_list() {
        let folder = folder();
        let shard = |shard| names(folder.path(), &["b"], Some(shard)).unwrap();
        assert_eq!(shard("1/3"), ["b/1.2.840.3", "b/bad.dcm"]);
        assert_eq!(shard("3/3"), ["b/2.PNG"]);
        assert_eq!(shard("5/5"), [""; 0]);
        for wrong in ["0/3", "4/3", "3", "1/0", "a/b", "-1/3", "1/3/5", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
