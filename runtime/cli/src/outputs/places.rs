//! Where each film's files go in an output folder: one tree of films in, the same tree of results out.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf, absolute};

use onemark_film::without_extension;

use crate::inputs::FoundFilm;

/// A film, and the place of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFilm {
    /// The film's file.
    pub file: PathBuf,
    /// Where its files go below an output folder, without the ending that the format adds.
    pub place: PathBuf,
    /// What it is called in all outputs.
    pub name: String,
    /// Whether its outputs must not tell which film it is.
    pub is_anonymous: bool,
}

/// Gives each film its place, and its file's name. [`places`] says which place.
pub fn placed(films: Vec<FoundFilm>) -> Vec<PlacedFilm> {
    let places = places(&films);
    let placed = |(film, place): (FoundFilm, PathBuf)| {
        let name = film.path.display().to_string();
        PlacedFilm { file: film.path, place, name, is_anonymous: false }
    };
    films.into_iter().zip(places).map(placed).collect()
}

/// The films with names and places that only tell their order.
pub fn anonymous(films: Vec<PlacedFilm>) -> Vec<PlacedFilm> {
    let nameless = |(index, film): (usize, PlacedFilm)| {
        let name = format!("film-{:04}", index + 1);
        PlacedFilm { place: (&name).into(), name, is_anonymous: true, ..film }
    };
    films.into_iter().enumerate().map(nameless).collect()
}

/// The place of each film's files below an output folder, without the ending that the format adds. No two films share one, except
/// a film that was given twice.
///
/// A film that was found in a folder keeps its path in that folder, and one that was named itself has its name. If two would share
/// a place, all films have their paths below the deepest folder that holds them all; those of one name but another ending keep it.
fn places(films: &[FoundFilm]) -> Vec<PathBuf> {
    let near: Vec<PathBuf> = films.iter().map(in_its_folder).collect();
    let whole = if collisions(films, &without_endings(&near)).is_empty() { near } else { in_common_folder(films) };
    let mut places = without_endings(&whole);
    for index in collisions(films, &places) {
        places[index].clone_from(&whole[index]);
    }
    places
}

fn in_its_folder(film: &FoundFilm) -> PathBuf {
    let below = film.searched.as_ref().and_then(|folder| film.path.strip_prefix(folder).ok());
    below.map_or_else(|| named(&film.path), normal)
}

fn in_common_folder(films: &[FoundFilm]) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> =
        films.iter().map(|film| absolute(&film.path).unwrap_or_else(|_| film.path.clone())).collect();
    let mut common = paths.first().and_then(|path| path.parent()).unwrap_or(Path::new("")).to_owned();
    while !paths.iter().all(|path| path.starts_with(&common)) && common.pop() {}
    paths.iter().map(|path| path.strip_prefix(&common).map_or_else(|_| named(path), normal)).collect()
}

fn named(path: &Path) -> PathBuf {
    path.file_name().map_or_else(|| normal(path), PathBuf::from)
}

/// The path without anything that leads out of the output folder.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// Without the endings of films. A number at the end of a name, as in DICOM's names, is not an ending.
fn without_endings(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().map(|path| without_extension(path)).collect()
}

/// The films that share their place with another film.
fn collisions(films: &[FoundFilm], places: &[PathBuf]) -> Vec<usize> {
    // Many file systems take A.png and a.png for one file.
    let key = |place: &PathBuf| -> OsString {
        place.to_str().map_or_else(|| place.as_os_str().to_owned(), |text| text.to_lowercase().into())
    };
    let mut taken: HashMap<OsString, Vec<usize>> = HashMap::new();
    for (index, place) in places.iter().enumerate() {
        taken.entry(key(place)).or_default().push(index);
    }
    let is_shared = |group: &[usize]| group.iter().any(|index| films[*index].path != films[group[0]].path);
    let mut shared: Vec<usize> = taken.into_values().filter(|group| is_shared(group)).flatten().collect();
    shared.sort_unstable();
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(films: &[(&str, Option<&str>)]) -> Vec<String> {
        let film = |(path, searched): &(&str, Option<&str>)| FoundFilm {
            path: path.into(),
            searched: searched.map(PathBuf::from),
        };
        let films: Vec<_> = films.iter().map(film).collect();
        places(&films).iter().map(|place| place.display().to_string()).collect()
    }

    #[test]
    fn the_tree_of_films_is_the_tree_of_results() {
        assert_eq!(names(&[("a/1.png", None), ("b/2.tif", None)]), ["1", "2"]);
        assert_eq!(names(&[("p/a/ceph.png", Some("p")), ("p/b/ceph.png", Some("p"))]), ["a/ceph", "b/ceph"]);
        assert_eq!(names(&[("p/a/1.png", Some("p")), ("p/2.png", Some("p"))]), ["a/1", "2"]);
        // DICOM's names have no endings.
        assert_eq!(names(&[("p/1.2.840.10", Some("p")), ("p/1.2.840.11", Some("p"))]), ["1.2.840.10", "1.2.840.11"]);
    }

    #[test]
    fn films_of_one_name_have_their_folders() {
        assert_eq!(names(&[("a/ceph.png", Some("a")), ("b/ceph.png", Some("b"))]), ["a/ceph", "b/ceph"]);
        assert_eq!(names(&[("a/ceph.png", None), ("b/Ceph.png", None)]), ["a/ceph", "b/Ceph"]);
        assert_eq!(names(&[("/x/y/a/1.png", None), ("/x/y/1.png", None)]), ["a/1", "1"]);
        assert_eq!(names(&[("../a/1.png", None), ("../b/1.png", None)]), ["a/1", "b/1"]);
        // A film given twice is one film.
        assert_eq!(names(&[("a/1.png", None), ("a/1.png", None)]), ["1", "1"]);
    }

    #[test]
    fn films_of_one_name_in_one_folder_keep_their_endings() {
        let films = [("a/1.png", Some("a")), ("a/1.dcm", Some("a")), ("a/2.png", Some("a"))];
        assert_eq!(names(&films), ["1.png", "1.dcm", "2"]);
    }

    #[test]
    fn nothing_leads_out_of_the_output_folder() {
        for place in
            names(&[("../../x/1.png", Some("..")), ("/1.png", Some("/")), ("a/../../1.png", None), ("b/1.png", None)])
        {
            assert!(!place.starts_with('/') && !place.contains(".."), "{place}");
        }
    }
}
