//! Datasets on disk: which films there are, where their landmarks lie, how many mm a pixel is.
//!
//! Two layouts are read: ISBI 2015 as published (`RawImage/`, two readers' annotations) and a plain folder (`images/`,
//! `landmarks.csv`). In either, a `spacing.csv` (image,mm_per_px_x,mm_per_px_y) says how large a pixel is.
//! Pixels are not read here (see [`onemark_film::Film`]); what the landmarks are called is in [`onemark_models::landmarks`].

mod error;
mod isbi2015;
mod plain;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use onemark_film::geometry::Point;
use onemark_film::{FILM_EXTENSIONS, Size, Spacing};
use onemark_models::landmarks::LandmarkSet;

pub use error::DatasetError;
pub use isbi2015::REPEATED_TEST1_FILMS;

/// Where the spacing of a dataset's films is stated.
const SPACING_SOURCE: &str = "the dataset";

/// How many ids an error for an unknown film lists.
const NEARBY_IDS: usize = 5;

/// Which films of a dataset.
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

/// One film of a dataset and what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The film's file name without extension: "125".
    pub id: String,
    /// The film's file.
    pub film: PathBuf,
    /// The landmarks' true positions in film px, in the set's order, where the film is annotated.
    pub points: Option<Vec<Point>>,
    /// How large a pixel is, where it is known.
    pub spacing: Option<Spacing>,
    /// What the senior and the junior reader annotated, where `points` was made from two (ISBI 2015).
    pub readers: Option<[Vec<Point>; 2]>,
}

impl Case {
    /// The annotations as they were made, in film px, and by whom: `senior` and `junior` where there are two readers, else
    /// the film's points by nobody in particular (""). None where the film is not annotated.
    pub fn readings(&self) -> Vec<(&'static str, &[Point])> {
        match (&self.readers, &self.points) {
            (Some([senior, junior]), _) => vec![("senior", senior), ("junior", junior)],
            (None, Some(points)) => vec![("", points)],
            (None, None) => Vec::new(),
        }
    }

    /// Checks that every landmark lies on the film, which has this size.
    ///
    /// # Errors
    /// [`DatasetError::OutsideFilm`] for the first one that does not.
    pub fn validate_inside(&self, size: Size) -> Result<(), DatasetError> {
        let points = self.points.as_deref().unwrap_or_default();
        match (1..).zip(points).find(|(_, point)| !point.is_inside(size)) {
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

/// Something wrong with a dataset, told while it is read.
#[derive(Debug)]
pub struct Complaint {
    /// The id of the film it is about, where it is about one.
    pub film: Option<String>,
    /// What is wrong.
    pub error: DatasetError,
}

/// Takes what is wrong with the film of that id, or with no one film. An error given back ends the reading.
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
    /// Opens the dataset in `root`, in whichever known layout it is, and reads all annotations of `split`.
    ///
    /// # Errors
    /// See [`DatasetError`]; an annotation that is there is never skipped.
    pub fn open(root: impl AsRef<Path>, split: Split) -> Result<Self, DatasetError> {
        Self::read(root.as_ref(), split, &mut |_, error| Err(error))
    }

    /// Opens all films of a dataset to find out what is wrong with it. What [`Dataset::open`] would refuse is told in a list,
    /// and the annotation, spacing or second film that it is about left out.
    ///
    /// # Errors
    /// Only where no film can be found: [`DatasetError::Read`], [`DatasetError::NoLayout`], [`DatasetError::NoFilms`].
    pub fn survey(root: impl AsRef<Path>) -> Result<(Self, Vec<Complaint>), DatasetError> {
        let mut complaints = Vec::new();
        let data = Self::read(root.as_ref(), Split::All, &mut |film, error| {
            complaints.push(Complaint { film: film.map(str::to_owned), error });
            Ok(())
        })?;
        Ok((data, complaints))
    }

    fn read(root: &Path, split: Split, complain: &mut Complain<'_>) -> Result<Self, DatasetError> {
        fs::metadata(root).map_err(|source| DatasetError::Read { path: root.to_owned(), source })?;
        let mut cases = if root.join("RawImage").is_dir() {
            isbi2015::open(root, split, complain)?
        } else if root.join("images").is_dir() && root.join("landmarks.csv").is_file() {
            plain::open(root, split, complain)?
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
            // "1" could be either of "01" and "001": then only the exact id will do.
            same.next().filter(|_| same.next().is_none())
        });
        found.ok_or_else(|| DatasetError::NoSuchFilm {
            id: id.to_owned(),
            root: self.root.clone(),
            split: self.split,
            nearest: self.nearest_ids(wanted).join(", "),
        })
    }

    /// Checks that the annotations have as many landmarks as `set`.
    ///
    /// # Errors
    /// [`DatasetError::WrongSet`] for the first film whose annotation does not.
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

/// Sort key under which "9" comes before "10", and words after numbers.
fn natural(id: &str) -> (u64, &str) {
    (id.parse().unwrap_or(u64::MAX), id)
}

/// A film's file name without its extension; a dot elsewhere stays.
fn without_extension(name: &str) -> &str {
    let is_film = |extension: &str| FILM_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str());
    match name.rsplit_once('.') {
        Some((stem, extension)) if is_film(extension) => stem,
        _ => name,
    }
}

/// The films of a folder as (id, file); other files and hidden ones are passed over. Empty where there is no folder.
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
