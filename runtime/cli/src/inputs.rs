//! The list of films that a command is given by files, folders, patterns and DICOMDIRs, and its shards. No film is read
//! here.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use glob::{MatchOptions, Pattern};
use onemark_film::{FILM_EXTENSIONS, directory_films, has_film_extension, holds_dicom};
use walkdir::{DirEntry, WalkDir};

/// The file name of the list of films on every DICOM disc.
const DICOMDIR: &str = "DICOMDIR";
/// What makes a path a pattern.
const WILDCARDS: [char; 3] = ['*', '?', '['];
/// Wildcards match neither folders' separators nor hidden names.
const HOW_TO_MATCH: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

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

impl Shard {
    /// The part of a list that is this shard's.
    pub fn part<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.number).step_by(self.of).collect()
    }
}

/// A film that a command was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFilm {
    /// Its file.
    pub path: PathBuf,
    /// The folder that was searched, if the film was found in one.
    pub searched: Option<PathBuf>,
}

/// The files of the films that [`search`] finds, or of a shard of them.
pub fn find(inputs: &[PathBuf], shard: Option<Shard>) -> anyhow::Result<Vec<PathBuf>> {
    let films = search(inputs)?.into_iter().map(|film| film.path).collect();
    Ok(match shard {
        None => films,
        Some(shard) => shard.part(films),
    })
}

/// The films of `inputs`, in the order given; those of a folder or pattern by name.
///
/// An input without any film is an error. A missing or unreadable file is listed as a film, and fails when it is read.
pub fn search(inputs: &[PathBuf]) -> anyhow::Result<Vec<FoundFilm>> {
    let mut films = Vec::new();
    for input in inputs {
        films.extend(films_of(input)?);
    }
    Ok(films)
}

fn films_of(input: &Path) -> anyhow::Result<Vec<FoundFilm>> {
    if input.is_dir() {
        let films = in_folder(input)?;
        if films.is_empty() {
            let endings = FILM_EXTENSIONS.join(", ");
            bail!(
                "no film is in the folder {}: films are files whose names end in {endings}, and DICOM files",
                input.display()
            );
        }
        return Ok(found_in(input, films));
    }
    if is_dicomdir(input) && input.exists() {
        return Ok(found_in(input.parent().unwrap_or(Path::new("")), directory_films(input)?));
    }
    match input.to_str() {
        Some(pattern) if pattern.contains(WILDCARDS) && !input.exists() => matching(pattern),
        _ => Ok(vec![FoundFilm { path: input.to_owned(), searched: None }]),
    }
}

fn found_in(folder: &Path, films: Vec<PathBuf>) -> Vec<FoundFilm> {
    films.into_iter().map(|path| FoundFilm { path, searched: Some(folder.to_owned()) }).collect()
}

/// The files that match a pattern, and the films in the folders that match it.
fn matching(pattern: &str) -> anyhow::Result<Vec<FoundFilm>> {
    let has_wildcard = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(WILDCARDS);
    let fixed: PathBuf = Path::new(pattern).components().take_while(|part| !has_wildcard(part)).collect();
    let found = if pattern.contains("**") { matching_at_any_depth(pattern, &fixed) } else { matching_here(pattern) };
    let mut films = Vec::new();
    for found in found.with_context(|| format!("the pattern {pattern}"))? {
        if found.is_dir() { films.extend(in_folder(&found)?) } else { films.push(found) }
    }
    if films.is_empty() {
        bail!("no film matches {pattern}: * stands for any part of a name, ** for folders in folders");
    }
    Ok(found_in(&fixed, each_once(films)))
}

fn matching_here(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    // A folder that can't be read is listed like a film, and reported when it is read.
    let found = glob::glob_with(pattern, HOW_TO_MATCH)?;
    Ok(found.map(|found| found.unwrap_or_else(|error| error.path().to_owned())).collect())
}

/// As [`matching_here`] for patterns with `**`, for which `glob` would follow links in circles.
fn matching_at_any_depth(pattern: &str, fixed: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let plain: PathBuf = Path::new(pattern).components().collect();
    let is_of_folders = plain.ends_with("**");
    let pattern = Pattern::new(&plain.to_string_lossy())?;
    let root = if fixed.as_os_str().is_empty() { Path::new(".") } else { fixed };
    let found = walk(root, |_| true).filter_map(|entry| match entry {
        Ok(entry) => (entry.file_type().is_dir() || !is_of_folders).then(|| entry.into_path()),
        Err(path) => Some(path),
    });
    let found = found.map(|path| if fixed == root { path } else { path.components().skip(1).collect() });
    Ok(found.filter(|path| pattern.matches_path_with(path, HOW_TO_MATCH)).collect())
}

/// The films that a folder's DICOMDIR lists; without one, all films in the folder and its subfolders. Links are followed, but a
/// link that leads back up, or to nothing, adds no film.
fn in_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let list = folder.join(DICOMDIR);
    if list.is_file() {
        return Ok(directory_films(&list)?);
    }
    let films = walk(folder, |entry| !is_hidden(entry)).filter_map(|entry| match entry {
        Ok(entry) => (entry.file_type().is_file() && is_film(entry.path())).then(|| entry.into_path()),
        Err(path) => Some(path),
    });
    Ok(each_once(films.collect()))
}

/// What is in a folder and in those of its subfolders that are `wanted`, by name; an error is the path of something that can't be
/// read. Links are followed, but not back up; one that leads to nothing is left out, unless it is called like a film.
fn walk(folder: &Path, wanted: impl Fn(&DirEntry) -> bool) -> impl Iterator<Item = Result<DirEntry, PathBuf>> {
    let here = folder.canonicalize().ok();
    let leads_up = move |entry: &DirEntry| {
        let target = || Some(here.as_ref()?.starts_with(entry.path().canonicalize().ok()?));
        entry.path_is_symlink() && entry.file_type().is_dir() && target() == Some(true)
    };
    let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    let entries = entries.filter_entry(move |entry| entry.depth() == 0 || (wanted(entry) && !leads_up(entry)));
    entries.filter_map(|entry| match entry {
        Ok(entry) => Some(Ok(entry)),
        Err(error) if error.loop_ancestor().is_some() => None,
        Err(error) => {
            let path = error.path().filter(|path| !is_dead_link(path) || has_film_extension(path));
            path.map(|path| Err(path.to_owned()))
        }
    })
}

/// The same films without those that a link to a folder shows a second time: each is kept where its path is shortest.
fn each_once(films: Vec<PathBuf>) -> Vec<PathBuf> {
    let place = |film: &PathBuf| Some(film.parent()?.canonicalize().ok()?.join(film.file_name()?));
    let places: Vec<Option<PathBuf>> = films.iter().map(place).collect();
    let depth = |index: usize| films[index].components().count();
    let mut kept: HashMap<&PathBuf, usize> = HashMap::new();
    for (index, place) in places.iter().enumerate().filter_map(|(index, place)| Some((index, place.as_ref()?))) {
        kept.entry(place)
            .and_modify(|best| *best = if depth(index) < depth(*best) { index } else { *best })
            .or_insert(index);
    }
    let is_kept = |index: usize| places[index].as_ref().is_none_or(|place| kept.get(place) == Some(&index));
    films.iter().enumerate().filter(|(index, _)| is_kept(*index)).map(|(_, film)| film.clone()).collect()
}

/// Whether a path is a link to something that does not exist, or to itself.
fn is_dead_link(path: &Path) -> bool {
    path.is_symlink() && fs::metadata(path).is_err()
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

    #[cfg(unix)]
    #[test]
    fn links_that_lead_nowhere_are_no_films() {
        use std::os::unix::fs::symlink;
        let folder = folder();
        let link = |to: &str, from: &str| symlink(to, folder.path().join(from)).unwrap();
        link(".", "loop");
        link("..", "b/up");
        link("/nowhere", "notes");
        link("itself", "itself");
        // Two folders that show each other, and a second name for a folder.
        fs::create_dir(folder.path().join("c")).unwrap();
        fs::write(folder.path().join("c/3.png"), "").unwrap();
        link("../b", "c/other");
        link("../c", "b/other");
        link("c", "current");
        let all = ["IM0001", "a.tif", "b/1.2.840.3", "b/10.jpg", "b/2.PNG", "b/bad.dcm", "c/3.png"];
        assert_eq!(names(folder.path(), &[""], None).unwrap(), all);
        assert_eq!(names(folder.path(), &["**/*.png"], None).unwrap(), ["c/3.png"]);
        // A link that is called like a film is one that is missing; a second name for a film is a film.
        link("/nowhere", "c/missing.png");
        link("3.png", "c/4.png");
        assert_eq!(names(folder.path(), &["c"], None).unwrap()[..3], ["c/3.png", "c/4.png", "c/missing.png"]);
    }

    #[test]
    fn films_know_where_they_were_searched() {
        let folder = folder();
        let searched = |input: &str| search(&[folder.path().join(input)]).unwrap()[0].searched.clone();
        assert_eq!(searched("b"), Some(folder.path().join("b")));
        assert_eq!(searched("b/*.jpg"), Some(folder.path().join("b")));
        assert_eq!(searched("[b]/10.jpg"), Some(folder.path().to_owned()));
        assert_eq!(searched("a.tif"), None);
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
