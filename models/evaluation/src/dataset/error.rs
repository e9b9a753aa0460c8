//! The errors of datasets.

use std::path::PathBuf;

use onemark_film::Size;
use onemark_film::visible::{short, visible};

use super::Split;
use crate::points::PointsError;
use crate::table::said;

/// Which films, behind the word film; nothing if they are all.
fn part(split: Split) -> &'static str {
    match split {
        Split::All => "",
        Split::Train => " for training",
        Split::Test1 => " of test1",
        Split::Test2 => " of test2",
    }
}

/// What must be annotated.
fn wanted(split: Split) -> &'static str {
    if split == Split::Train { "one, the template" } else { "at least one" }
}

/// Why a dataset cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum DatasetError {
    /// The operating system can't read a file or folder, or a text file is not UTF-8.
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The folder has neither layout.
    #[error(
        "{root} is not a dataset that Onemark knows; it looked for RawImage/ (ISBI 2015, as published) and for films, in images/ \
         or in the folder itself, with landmarks.csv or another file of points; point to the folder that contains them"
    )]
    NoLayout { root: PathBuf },
    /// There are films and no file of points.
    #[error(
        "there is no annotation of any of the {films} films in {images}; put landmarks.csv (image,landmark,x,y) into {root}, or a \
         file of points, such as labelme's, beside the film that it annotates"
    )]
    NoPoints { root: PathBuf, images: PathBuf, films: usize },
    /// The split has no films.
    #[error("there is no film{} in {root}; check the folder", part(*.split))]
    NoFilms { root: PathBuf, split: Split },
    /// No split has this name.
    #[error("no split is called \"{}\"; choose train, test1, test2 or all", said(.name))]
    UnknownSplit { name: String },
    /// A plain folder is not divided into test sets.
    #[error("{root} is a plain folder, of which no part is called {split}; choose all")]
    NoSplits { root: PathBuf, split: Split },
    /// Two films have the same id.
    #[error("two films are called \"{}\": {first} and {second}; keep one of them", said(.id))]
    DuplicateId { id: String, first: PathBuf, second: PathBuf },
    /// No film has this id.
    #[error("there is no film \"{}\"{} in {root}; the nearest ids are {}", said(.id), part(*.split), visible(.nearest))]
    NoSuchFilm {
        id: String,
        root: PathBuf,
        split: Split,
        /// The nearest ids, separated by commas.
        nearest: String,
    },
    /// A film that must be annotated is not.
    #[error("film {film} has no annotation {wanted}; add the file, or remove the film")]
    NoAnnotation {
        film: PathBuf,
        /// The file or files that were looked for.
        wanted: String,
    },
    /// A film that must be annotated is not.
    #[error("film {film} is not annotated; annotate it")]
    NotAnnotated { film: PathBuf },
    /// No film can be the template, because none is annotated.
    #[error("no film{} in {root} is annotated; annotate {}", part(*.split), wanted(*.split))]
    NoneAnnotated { root: PathBuf, split: Split },
    /// A film of which all landmarks are needed lacks some.
    #[error("film {film} is not annotated completely: landmarks {missing} are missing; add them")]
    Incomplete {
        film: PathBuf,
        /// The numbers of the landmarks, separated by commas.
        missing: String,
    },
    /// Only one of the two readers annotated a film.
    #[error("annotation {there} has no counterpart {missing}; add it, or remove the other")]
    OneReader {
        /// The existing file of one reader.
        there: PathBuf,
        /// The missing file of the other reader.
        missing: PathBuf,
    },
    /// The annotations of a whole reader are missing.
    #[error(
        "there is {there}, but no {missing}: this layout has the points of two readers; for one reader's, use a folder with \
         images/ and landmarks.csv (image,landmark,x,y)"
    )]
    OneReaderOnly {
        /// The folder of the one reader.
        there: PathBuf,
        /// The folder of the other.
        missing: PathBuf,
    },
    /// A text file is no UTF-8 text.
    #[error("cannot read {path}: {what}")]
    NotText {
        path: PathBuf,
        /// What it is, and how to make it text.
        what: &'static str,
    },
    /// A file of points can't be read.
    #[error(transparent)]
    Points(#[from] PointsError),
    /// There are several files of points for the same films.
    #[error("{} are several files of points for the same films; keep the one that is right", files(.paths))]
    Several { paths: Vec<PathBuf> },
    /// A file of points is in mm, which takes the film's spacing.
    #[error("{path} is in mm; convert it to a table in px with the film's spacing")]
    InMm { path: PathBuf },
    /// The points were placed on a film of another size.
    #[error(
        "film {film} has {size} px, but its points were placed on a film of {stated} px; give the film that they were placed on"
    )]
    OtherSize { film: PathBuf, size: Size, stated: Size },
    /// An annotation file has no content.
    #[error("annotation {path} is empty; copy it again from its source")]
    EmptyAnnotation { path: PathBuf },
    /// An annotation has too few or too many entries.
    #[error("annotation {path} has {found} {unit}, expected {expected}; complete or correct it")]
    WrongCount {
        path: PathBuf,
        found: usize,
        /// The unit of `found`, with the film.
        unit: String,
        expected: String,
    },
    /// A line of a text file has a wrong content.
    #[error("{path}, line {line}: {problem}")]
    Line {
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and how to correct it.
        problem: String,
    },
    /// The annotations are for another landmark set.
    #[error(
        "film {film} is annotated with {found} landmarks, but set \"{set}\" has {expected}; choose the set that fits, or write \
         the landmarks by name"
    )]
    WrongSet {
        film: PathBuf,
        /// The number of landmarks in the annotation.
        found: usize,
        set: String,
        /// The number of landmarks in the set.
        expected: usize,
    },
    /// A landmark does not lie on its film.
    #[error(
        "film {film}: landmark {landmark} at x {}, y {} lies outside its {width}x{height} px; correct the annotation",
        short(*x), short(*y)
    )]
    OutsideFilm {
        film: PathBuf,
        /// The landmark's number, from 1.
        landmark: usize,
        /// Its position in px.
        x: f64,
        /// Its position in px.
        y: f64,
        width: u32,
        height: u32,
    },
    /// Nobody states a film's spacing, so its errors have no mm.
    #[error("film {film} has no pixel spacing{}; add it to spacing.csv", other_size(*.size, *.only_for))]
    NoSpacing {
        film: PathBuf,
        size: Size,
        /// The size of films whose spacing the layout states.
        only_for: Option<Size>,
    },
}

/// Why the spacing that a layout states does not apply to a film of this size.
pub(crate) fn other_size(size: Size, only_for: Option<Size>) -> String {
    only_for.map_or(String::new(), |only| format!(": films of this layout have {only} px, and this one has {size} px"))
}

fn files(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
}
