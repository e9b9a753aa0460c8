//! The errors of files of points.

use std::path::PathBuf;

use onemark_film::Size;

use super::Form;
use crate::table::said;

/// Why points can't be read, written, or taken for a film's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum PointsError {
    /// The operating system can't read the file.
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is larger than any file of points.
    #[error("{path} has more than {most} bytes, which no file of points has; check that it is the right file")]
    TooLarge { path: PathBuf, most: u64 },
    /// The file is no UTF-8 text.
    #[error("cannot read {path}: {what}")]
    NotText {
        path: PathBuf,
        /// What it is, and how to make it text.
        what: &'static str,
    },
    /// A line of the file has a wrong content.
    #[error("{path}, line {line}: {problem}")]
    Line {
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and how to correct it.
        problem: String,
    },
    /// The file has a wrong content.
    #[error("{path}: {problem}")]
    Content {
        path: PathBuf,
        /// What is wrong, and how to correct it.
        problem: String,
    },
    /// No form has this name.
    #[error("no form of points is called \"{}\"; choose csv, json, labelme, coco, cvat, slicer or fcsv", said(.name))]
    UnknownForm { name: String },
    /// The points were placed on a film of another size.
    #[error("the points are for a film of {stated} px{}, but {film} has {size} px; give the film that they were placed on", in_brackets(.of))]
    OtherSize {
        film: String,
        size: Size,
        /// The film of the points, if it is named.
        of: Option<String>,
        stated: Size,
    },
    /// The points are for a film of another name.
    #[error(
        "the points are for {stated}, not for {film}; give the film that they were placed on, or rename it if it is the same"
    )]
    OtherFilm {
        film: String,
        /// The films of the points.
        stated: String,
    },
    /// The points are for a film of the same name and size with other pixels.
    #[error(
        "the points are for {stated} with other pixels than {film} has (their SHA-256 differs); check that it is the same film"
    )]
    OtherPixels { film: String, stated: String },
    /// The file has several films without names, or several with the film's name.
    #[error("the points are for {films} films, of which {matching} are called like {film}; keep the one that is meant")]
    Ambiguous { film: String, films: usize, matching: usize },
    /// The file has no film.
    #[error("there are no points for any film; annotate the film and save the file again")]
    NoFilm,
    /// The form has one film per file.
    #[error("{} is for one film per file, and there are {films} films; choose one of them", .form.about())]
    OneFilm { form: Form, films: usize },
    /// The form is in mm, and the spacing is not known.
    #[error("{} is in mm, and no pixel spacing is stated; state it", .form.about())]
    NoSpacing { form: Form },
    /// The form states the film's name, and it is not known.
    #[error("{} states the film's name, which is not known; give the film", .form.about())]
    NoName { form: Form },
    /// The form states the film's size, and it is not known.
    #[error("{} states the film's size, which is not known for {film}; give the film", .form.about())]
    NoSize { form: Form, film: String },
    /// A film has another number of points than its landmark set.
    #[error("a film has {found} points, but set \"{set}\" has {expected} landmarks; give one for each, in its order")]
    Count { found: usize, set: String, expected: usize },
}

fn in_brackets(film: &Option<String>) -> String {
    film.as_ref().map_or(String::new(), |film| format!(" ({film})"))
}
