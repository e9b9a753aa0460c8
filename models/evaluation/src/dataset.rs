//! Datasets on disk: the films, their annotated landmarks and their spacings.
//!
//! Two layouts are read: ISBI 2015 as published (`RawImage/`, two readers' annotations) and a plain folder (films, in `images/` or in
//! the folder itself, and `landmarks.csv` or another of the [files of points](crate::points)). In both, a `spacing.csv`
//! (image,mm_per_px_x,mm_per_px_y) states the spacings.
//! This module does not read pixels (see [`onemark_film::Film`]). The landmarks' names are in [`onemark_models::landmarks`].

mod error;
mod isbi2015;
mod plain;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use onemark_film::geometry::Point;
use onemark_film::{Film, Size, Spacing};
use onemark_models::landmarks::LandmarkSet;

use crate::points::film::without_extension;

pub use error::DatasetError;
pub(crate) use error::other_size;
pub use isbi2015::REPEATED_TEST1_FILMS;
use plain::Plain;

/// The file with the spacings of a dataset's films.
const SPACING_SOURCE: &str = "the dataset";

/// The number of ids in an error about films.
const NEARBY_IDS: usize = 5;

/// A part of a dataset's films.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// All films.
    All,
    /// The training films; in a plain folder, all films.
    Train,
    /// ISBI 2015's first test set, films 151 to 300.
    Test1,
    /// ISBI 2015's second test set, films 301 to 400.
    Test2,
}

impl Split {
    /// The splits and how they are spelled.
    pub const NAMES: [(&'static str, Split); 4] =
        [("all", Split::All), ("train", Split::Train), ("test1", Split::Test1), ("test2", Split::Test2)];
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, split)| split == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Split {
    type Err = DatasetError;

    fn from_str(text: &str) -> Result<Self, DatasetError> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, split)| *split).ok_or_else(|| DatasetError::UnknownSplit { name: text.to_owned() })
    }
}

/// What a dataset states about the spacing of a film.
#[derive(Debug, Clone, PartialEq)]
pub struct StatedSpacing {
    /// The spacing.
    pub spacing: Spacing,
    /// The only size of films to which it applies, if a layout states it: films of another size were made smaller or larger, and
    /// then their pixels have another size too.
    pub only_for: Option<Size>,
}

/// One film of a dataset and what is known about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Case {
    /// The film's file name without extension: "125".
    pub id: String,
    /// The film's file.
    pub film: PathBuf,
    /// The landmarks' true positions in film px, in the set's order, if the film is annotated: at least one of them is known.
    pub points: Option<Vec<Option<Point>>>,
    /// The size of the film on which they were placed, if their file states it.
    pub points_size: Option<Size>,
    /// The size of a pixel, if the dataset states it.
    pub spacing: Option<StatedSpacing>,
    /// The annotations of the senior and the junior reader, if `points` are their mean (ISBI 2015).
    pub readers: Option<[Vec<Option<Point>>; 2]>,
}

impl Case {
    /// The original annotations in film px, each with its reader: `senior` and `junior` if there are two readers, otherwise the film's
    /// points with an empty name. Empty if the film is not annotated.
    pub fn readings(&self) -> Vec<(&'static str, &[Option<Point>])> {
        match (&self.readers, &self.points) {
            (Some([senior, junior]), _) => vec![("senior", senior), ("junior", junior)],
            (None, Some(points)) => vec![("", points)],
            (None, None) => Vec::new(),
        }
    }

    /// The spacing that the dataset states for the film, which has this size.
    pub fn spacing_for(&self, size: Size) -> Option<&Spacing> {
        let stated = self.spacing.as_ref().filter(|stated| stated.only_for.is_none_or(|only| only == size));
        stated.map(|stated| &stated.spacing)
    }

    /// The film with its spacing: the one that a person states, else the dataset's, else the file's
    /// (see [`Film::with_stated`]).
    #[must_use]
    pub fn with_spacing(&self, film: Film, person: Option<&Spacing>) -> Film {
        let dataset = self.spacing_for(film.size()).cloned();
        film.with_stated(dataset.as_ref(), person)
    }

    /// The spacing of this film, which [`Case::with_spacing`] has returned.
    ///
    /// # Errors
    /// [`DatasetError::NoSpacing`] if nobody states it.
    pub fn required_spacing<'a>(&self, film: &'a Film) -> Result<&'a Spacing, DatasetError> {
        film.spacing().ok_or_else(|| DatasetError::NoSpacing {
            film: self.film.clone(),
            size: film.size(),
            only_for: self.spacing.as_ref().and_then(|stated| stated.only_for),
        })
    }

    /// Whether the film is in the folder of training films of the layout of ISBI 2015.
    pub fn is_of_training_folder(&self) -> bool {
        self.film.parent().is_some_and(|folder| folder.ends_with(isbi2015::TRAINING))
    }

    /// The landmarks' true positions in film px, if all of them are known.
    ///
    /// # Errors
    /// [`DatasetError::Incomplete`] with the landmarks that are not annotated, or [`DatasetError::NotAnnotated`].
    pub fn complete(&self) -> Result<Vec<Point>, DatasetError> {
        let film = || self.film.clone();
        let points = self.points.as_deref().ok_or_else(|| DatasetError::NotAnnotated { film: film() })?;
        points.iter().copied().collect::<Option<Vec<Point>>>().ok_or_else(|| {
            let missing = (1..).zip(points).filter(|(_, point)| point.is_none());
            let missing: Vec<String> = missing.map(|(number, _): (usize, _)| number.to_string()).collect();
            DatasetError::Incomplete { film: film(), missing: missing.join(", ") }
        })
    }

    /// Checks that every landmark lies on the film, which has this size, and was placed on a film of this size.
    ///
    /// # Errors
    /// [`DatasetError::OutsideFilm`] for the first one that does not, [`DatasetError::OtherSize`].
    pub fn validate_inside(&self, size: Size) -> Result<(), DatasetError> {
        if let Some(stated) = self.points_size.filter(|stated| *stated != size) {
            return Err(DatasetError::OtherSize { film: self.film.clone(), size, stated });
        }
        let points = self.points.as_deref().unwrap_or_default();
        let points = (1..).zip(points).filter_map(|(landmark, point)| Some((landmark, (*point)?)));
        match points.into_iter().find(|(_, point)| !point.is_inside(size)) {
            None => Ok(()),
            Some((landmark, point)) => Err(DatasetError::OutsideFilm {
                film: self.film.clone(),
                landmark,
                x: point.x,
                y: point.y,
                width: size.width,
                height: size.height,
            }),
        }
    }
}

/// An error in a dataset, found while it is read.
#[derive(Debug)]
pub struct Complaint {
    /// The id of the film it concerns, if it concerns a single film.
    pub film: Option<String>,
    /// The error.
    pub error: DatasetError,
}

/// Receives an error about the film of this id, or about no single film. If it returns an error, reading ends with it.
type Complain<'a> = dyn FnMut(Option<&str>, DatasetError) -> Result<(), DatasetError> + 'a;

/// The films of one split of a dataset, sorted by id.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The folder.
    pub root: PathBuf,
    /// The split.
    pub split: Split,
    /// The films.
    pub cases: Vec<Case>,
}

impl Dataset {
    /// Opens the dataset in `root`, in whichever known layout it is, and reads all annotations of `split`. Landmarks that are written
    /// by name are those of a built-in landmark set; [`Dataset::open_for`] takes any set.
    ///
    /// # Errors
    /// See [`DatasetError`]. An existing annotation is never skipped.
    pub fn open(root: impl AsRef<Path>, split: Split) -> Result<Self, DatasetError> {
        Self::read(root.as_ref(), split, None, &mut |_, error| Err(error))
    }

    /// Opens the dataset in `root` with the landmarks of `set`: see [`Dataset::open`].
    ///
    /// # Errors
    /// The same, and [`DatasetError::WrongSet`] if the annotations are numbered for a set of another size.
    pub fn open_for(root: impl AsRef<Path>, split: Split, set: &LandmarkSet) -> Result<Self, DatasetError> {
        let data = Self::read(root.as_ref(), split, Some(set), &mut |_, error| Err(error))?;
        data.validate_set(set)?;
        Ok(data)
    }

    /// Opens all films of a dataset and collects its errors. Each error for which [`Dataset::open`] would fail is in the returned list,
    /// and the annotation, spacing or second film that causes it is left out of the dataset.
    ///
    /// # Errors
    /// Only if no film can be found: [`DatasetError::Read`], [`DatasetError::NoLayout`], [`DatasetError::NoFilms`].
    pub fn survey(root: impl AsRef<Path>) -> Result<(Self, Vec<Complaint>), DatasetError> {
        Self::survey_with(root.as_ref(), None)
    }

    /// The same with the landmarks of `set`: each error for which [`Dataset::open_for`] would fail.
    ///
    /// # Errors
    /// Those of [`Dataset::survey`].
    pub fn survey_for(root: impl AsRef<Path>, set: &LandmarkSet) -> Result<(Self, Vec<Complaint>), DatasetError> {
        let (data, mut complaints) = Self::survey_with(root.as_ref(), Some(set))?;
        if let Err(error) = data.validate_set(set) {
            complaints.push(Complaint { film: None, error });
        }
        Ok((data, complaints))
    }

    fn survey_with(root: &Path, set: Option<&LandmarkSet>) -> Result<(Self, Vec<Complaint>), DatasetError> {
        let mut complaints = Vec::new();
        let data = Self::read(root, Split::All, set, &mut |film, error| {
            complaints.push(Complaint { film: film.map(str::to_owned), error });
            Ok(())
        })?;
        Ok((data, complaints))
    }

    fn read(
        root: &Path,
        split: Split,
        set: Option<&LandmarkSet>,
        complain: &mut Complain<'_>,
    ) -> Result<Self, DatasetError> {
        fs::metadata(root).map_err(|source| DatasetError::Read { path: root.to_owned(), source })?;
        let mut cases = if root.join("RawImage").is_dir() {
            isbi2015::open(root, split, complain)?
        } else if let Some(folder) = Plain::find(root)? {
            folder.open(split, set, complain)?
        } else {
            return Err(DatasetError::NoLayout { root: root.to_owned() });
        };
        if cases.is_empty() {
            return Err(DatasetError::NoFilms { root: root.to_owned(), split });
        }
        let spacing = root.join("spacing.csv");
        if spacing.is_file() {
            plain::read_spacing(&spacing, &mut cases, complain)?;
        }
        cases.sort_by(|a, b| natural(&a.id).cmp(&natural(&b.id)));
        for pair in cases.windows(2).filter(|pair| pair[0].id == pair[1].id) {
            let (id, first, second) = (pair[0].id.clone(), pair[0].film.clone(), pair[1].film.clone());
            complain(Some(&pair[0].id), DatasetError::DuplicateId { id, first, second })?;
        }
        cases.dedup_by(|later, kept| later.id == kept.id);
        Ok(Self { root: root.to_owned(), split, cases })
    }

    /// The film with this id; leading zeros and a film's file extension do not matter ("25", "025", "025.jpg").
    ///
    /// # Errors
    /// [`DatasetError::NoSuchFilm`] with the ids nearest to it.
    pub fn case(&self, id: &str) -> Result<&Case, DatasetError> {
        let wanted = without_extension(id);
        let exact = self.cases.iter().find(|case| case.id == wanted);
        let found = exact.or_else(|| {
            let number = wanted.parse::<u64>().ok()?;
            let mut same = (self.cases.iter()).filter(|case| case.id.parse() == Ok(number));
            // "1" could be "01" or "001". If both exist, only the exact id is accepted.
            same.next().filter(|_| same.next().is_none())
        });
        found.ok_or_else(|| DatasetError::NoSuchFilm {
            id: id.to_owned(),
            root: self.root.clone(),
            split: self.split,
            nearest: self.nearest_ids(wanted).join(", "),
        })
    }

    /// The films to learn the landmarks from: those that somebody names; else those that are usual, if all of them are annotated;
    /// else all that are annotated. If it is one, all its landmarks are known.
    ///
    /// # Errors
    /// [`DatasetError::NoSuchFilm`] or [`DatasetError::NotAnnotated`] about a film that is named,
    /// [`DatasetError::NoneAnnotated`], or [`DatasetError::Incomplete`].
    pub fn templates(&self, named: &[String], usual: &[String]) -> Result<Vec<&Case>, DatasetError> {
        let find = |ids: &[String]| ids.iter().map(|id| self.annotated(id)).collect::<Result<Vec<_>, _>>();
        let templates = match (named, find(usual)) {
            ([], Ok(usual)) if !usual.is_empty() => usual,
            ([], _) => self.cases.iter().filter(|case| case.points.is_some()).collect(),
            (named, _) => find(named)?,
        };
        match templates.as_slice() {
            [] => Err(DatasetError::NoneAnnotated { root: self.root.clone(), split: self.split }),
            [case] => case.complete().map(|_| templates),
            _ => Ok(templates),
        }
    }

    /// The film with an id, which is annotated.
    fn annotated(&self, id: &str) -> Result<&Case, DatasetError> {
        let case = self.case(id)?;
        match case.points {
            Some(_) => Ok(case),
            None => Err(DatasetError::NotAnnotated { film: case.film.clone() }),
        }
    }

    /// Checks that the annotations have as many landmarks as `set`.
    ///
    /// # Errors
    /// [`DatasetError::WrongSet`] for the first film whose annotation has another number.
    pub fn validate_set(&self, set: &LandmarkSet) -> Result<(), DatasetError> {
        for case in &self.cases {
            let found = case.points.as_ref().map_or(set.len(), Vec::len);
            if found != set.len() {
                return Err(DatasetError::WrongSet {
                    film: case.film.clone(),
                    found,
                    set: set.id.clone(),
                    expected: set.len(),
                });
            }
        }
        Ok(())
    }

    /// Up to [`NEARBY_IDS`] ids, nearest first: by number where both are numbers, by spelling otherwise.
    fn nearest_ids(&self, wanted: &str) -> Vec<&str> {
        let number = wanted.parse::<u64>().ok();
        let mut ids: Vec<&str> = self.cases.iter().map(|case| case.id.as_str()).collect();
        ids.sort_by_key(|id| {
            let distance = number.zip(id.parse().ok()).map(|(a, b)| a.abs_diff(b));
            distance.unwrap_or_else(|| strsim::levenshtein(wanted, id) as u64)
        });
        ids.truncate(NEARBY_IDS);
        ids
    }
}

/// A sort key that places "9" before "10", and words after numbers.
fn natural(id: &str) -> (u64, &str) {
    (id.parse().unwrap_or(u64::MAX), id)
}

/// The files in which the plain folder `root` has the points of its films. There should be one, or one for each film.
pub fn points_files(root: &Path) -> Vec<PathBuf> {
    Plain::find(root).ok().flatten().map(Plain::points_files).unwrap_or_default()
}

/// The films of a folder as (id, file). Hidden and other files are ignored. Empty if the folder does not exist.
fn films_in(folder: &Path) -> Result<Vec<(String, PathBuf)>, DatasetError> {
    let read_error = |source| DatasetError::Read { path: folder.to_owned(), source };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut films = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error)? {
        let path = entry.map_err(read_error)?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            let id = without_extension(name);
            if id.len() < name.len() && !name.starts_with('.') {
                films.push((id.to_owned(), path.clone()));
            }
        }
    }
    Ok(films)
}
