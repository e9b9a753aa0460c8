//! Points that a person placed on films, in the files of many programs: tables, this program's JSON and CSV, labelme, COCO keypoints,
//! CVAT, and 3D Slicer's markups. [`read`] finds out by the content which form a file has; [`write()`] writes one.
//!
//! docs/FORMATS.md describes the forms. Positions are in film px from the top-left corner of the film, so the centre of the first
//! pixel is (0.5, 0.5); forms with another origin or unit are converted. Points know their film as far as their file states it
//! ([`FilmIdentity`]), so that they are not taken for another film's.
//!
//! ```
//! use onemark_evaluation::points::{self, Form};
//! use onemark_film::geometry::Point;
//! use onemark_models::landmarks::LandmarkSet;
//!
//! let set = LandmarkSet::named("isbi19")?;
//! let table = "Image;Landmark;X;Y\r\n152.png;Sella;72,2;87,7\r\n152.png;2;120,3;76,9\r\n";
//! let films = points::parse("table.csv".as_ref(), table.as_bytes())?.films(&set, None)?;
//! assert_eq!((films[0].film.name.as_deref(), films[0].points[0]), (Some("152.png"), Some(Point::new(72.2, 87.7))));
//! assert_eq!(films[0].points[2], None);
//!
//! let json = String::from_utf8(points::write(Form::Labelme, &films, &set, None)?)?;
//! assert!(json.contains(r#""imagePath": "152.png""#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod coco;
mod cvat;
mod detections;
mod error;
pub(crate) mod film;
mod labelme;
pub(crate) mod marks;
mod slicer;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use onemark_film::Spacing;
use onemark_film::geometry::Point;
use onemark_film::visible::visible_json;
use onemark_models::files::read_at_most;
use onemark_models::landmarks::LandmarkSet;

use crate::table::{LARGEST as LARGEST_TABLE, Problem, decode, said};
pub use error::PointsError;
pub use film::{FilmIdentity, for_film};
use marks::{Label, Marks, Names};

/// The largest size of a file of points, in bytes. Only JSON may be larger than a table, because labelme puts the whole film into it.
const LARGEST: u64 = 64 << 20;

/// The form of a file of points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// A table with a row per landmark or per film: CSV, also what `onemark detect --csv` writes.
    Csv,
    /// JSON of this program: what `onemark detect --json` writes.
    Json,
    /// labelme's JSON, one film per file.
    Labelme,
    /// COCO keypoints, JSON.
    Coco,
    /// CVAT for images 1.1, XML.
    Cvat,
    /// 3D Slicer's markups, `.mrk.json`, in mm, one film per file.
    Slicer,
    /// 3D Slicer's older table, `.fcsv`, in mm, one film per file.
    SlicerTable,
}

impl Form {
    /// The forms and how they are spelled.
    pub const NAMES: [(&'static str, Form); 7] = [
        ("csv", Form::Csv),
        ("json", Form::Json),
        ("labelme", Form::Labelme),
        ("coco", Form::Coco),
        ("cvat", Form::Cvat),
        ("slicer", Form::Slicer),
        ("fcsv", Form::SlicerTable),
    ];

    /// Whether its positions are in mm, so that it takes a pixel spacing to read or write it.
    pub fn is_in_mm(self) -> bool {
        matches!(self, Form::Slicer | Form::SlicerTable)
    }

    /// Whether a file of this form is about one film only.
    pub fn is_of_one_film(self) -> bool {
        matches!(self, Form::Labelme | Form::Slicer | Form::SlicerTable)
    }

    /// What it is, for messages.
    pub fn about(self) -> &'static str {
        match self {
            Form::Csv => "a table (CSV)",
            Form::Json => "Onemark's JSON",
            Form::Labelme => "labelme's JSON",
            Form::Coco => "COCO keypoints",
            Form::Cvat => "CVAT's XML",
            Form::Slicer => "3D Slicer's markups",
            Form::SlicerTable => "3D Slicer's fcsv",
        }
    }
}

/// As in [`Form::NAMES`].
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, form)| form == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Form {
    type Err = PointsError;

    fn from_str(text: &str) -> Result<Self, PointsError> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, form)| *form).ok_or_else(|| PointsError::UnknownForm { name: text.to_owned() })
    }
}

/// The points of one film.
#[derive(Clone, Debug, PartialEq)]
pub struct FilmPoints {
    /// The film, as far as it is known.
    pub film: FilmIdentity,
    /// In film px, in the order of the landmark set; `None` where a landmark is not annotated.
    pub points: Vec<Option<Point>>,
    /// The indices of landmarks, from 0, of which a person said that they can't be seen on the film; they have no point. Only
    /// [Onemark's JSON](Form::Json) states them.
    pub not_visible: BTreeSet<usize>,
}

impl FilmPoints {
    /// A film on which none of `landmarks` landmarks is annotated.
    pub fn none(film: FilmIdentity, landmarks: usize) -> Self {
        Self { film, points: vec![None; landmarks], not_visible: BTreeSet::new() }
    }
}

/// A file of points that was read. Its landmarks are not looked up yet.
#[derive(Debug)]
pub struct PointsFile {
    path: PathBuf,
    marks: Marks,
}

/// Reads a file of points.
///
/// # Errors
/// The file can't be read, has no form that is known, or breaks the rules of its form: see [`PointsError`].
pub fn read(path: &Path) -> Result<PointsFile, PointsError> {
    parse(path, &load(path)?)
}

/// The bytes of a file of points.
pub(crate) fn load(path: &Path) -> Result<Vec<u8>, PointsError> {
    read_at_most(path, LARGEST).map_err(|source| match source.kind() {
        io::ErrorKind::FileTooLarge => PointsError::TooLarge { path: path.to_owned(), most: LARGEST },
        _ => PointsError::Read { path: path.to_owned(), source },
    })
}

/// Reads points from the bytes of a file. `path` is only for messages.
///
/// # Errors
/// The same as [`read`], except for those of the operating system.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<PointsFile, PointsError> {
    let file = survey(path, bytes)?;
    match file.marks.problems.first() {
        Some(problem) => Err(error(path, problem.clone())),
        None => Ok(file),
    }
}

/// Reads points, and collects what can't be read in [`Marks::problems`].
pub(crate) fn survey(path: &Path, bytes: &[u8]) -> Result<PointsFile, PointsError> {
    let failed = |problem| error(path, problem);
    let text = decode(bytes).map_err(|what| PointsError::NotText { path: path.to_owned(), what })?;
    let marks = match text.trim_start() {
        start if start.starts_with(['{', '[']) => from_json(text),
        _ if text.len() as u64 > LARGEST_TABLE => {
            return Err(PointsError::TooLarge { path: path.to_owned(), most: LARGEST_TABLE });
        }
        start if start.starts_with('<') => cvat::read(text),
        start if slicer::is_table(start) => slicer::read_table(text),
        "" => Err(Problem::new("it is empty; copy it again from its source")),
        _ => table::read(text),
    };
    Ok(PointsFile { path: path.to_owned(), marks: marks.map_err(failed)? })
}

/// Reads any of the forms that are JSON.
fn from_json(text: &str) -> Result<Marks, Problem> {
    let not_json = |error: serde_json::Error| {
        Problem::new(format!("it is not JSON that can be read: {}", said(&error.to_string())))
    };
    let json: serde_json::Value = serde_json::from_str(text).map_err(not_json)?;
    let has = |key: &str| json.get(key).is_some();
    let read = if has("shapes") {
        labelme::read
    } else if has("markups") {
        slicer::read
    } else if has("annotations") && has("images") {
        coco::read
    } else if has("films") {
        detections::read
    } else {
        let forms = "labelme (shapes), COCO keypoints (images and annotations), 3D Slicer (markups), Onemark (films)";
        return Err(Problem::new(format!("it is JSON, but holds no points in a form that is known: {forms}")));
    };
    read(json)
}

pub(crate) fn error(path: &Path, Problem { line, text }: Problem) -> PointsError {
    match line {
        Some(line) => PointsError::Line { path: path.to_owned(), line, problem: text },
        None => PointsError::Content { path: path.to_owned(), problem: text },
    }
}

impl PointsFile {
    /// The form that the file has.
    pub fn form(&self) -> Form {
        self.marks.form
    }

    /// Whether it is Onemark's JSON of points alone, as [`write()`] makes it: a detector had no part in it.
    pub fn is_annotation(&self) -> bool {
        self.marks.is_annotation
    }

    pub(crate) fn into_marks(self) -> Marks {
        self.marks
    }

    /// The built-in landmark set that has all landmarks which the file names.
    ///
    /// # Errors
    /// [`PointsError::Content`] if none has all of them, or if the file has numbers only.
    pub fn built_in_set(&self) -> Result<LandmarkSet, PointsError> {
        let failed = |problem| error(&self.path, problem);
        let names = Names::built_in(self.marks.marks.iter().map(|mark| &mark.label), 0).map_err(failed)?;
        let numbers =
            || failed(Problem::new("its landmarks are numbers, which belong to any set; name the landmark set"));
        names.into_set().ok_or_else(numbers)
    }

    /// The landmarks that the file names, in the order in which they first appear: each by its name, or else by its number.
    pub fn landmarks(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for Label { number, name } in self.marks.marks.iter().map(|mark| &mark.label) {
            let name = name.clone().or_else(|| number.map(|number| number.to_string())).unwrap_or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The points of each film that the file names, by the landmarks of `set`. A form [in mm](Form::is_in_mm) needs the film's
    /// spacing; others ignore it.
    ///
    /// # Errors
    /// [`PointsError::NoSpacing`]; and [`PointsError::Line`] or [`PointsError::Content`] if the set does not have a landmark, a
    /// landmark is on a film twice, or a film's points can't be positions in px: all from 0 to 1, or all at one place.
    pub fn films(&self, set: &LandmarkSet, spacing: Option<&Spacing>) -> Result<Vec<FilmPoints>, PointsError> {
        let failed = |line, text| error(&self.path, Problem { line, text });
        let names = Names::of(set);
        let form = self.form();
        let to_px = match (form.is_in_mm(), spacing) {
            (true, None) => return Err(PointsError::NoSpacing { form }),
            (true, Some(spacing)) => Some(spacing),
            (false, _) => None,
        };
        let mut films: Vec<FilmPoints> =
            self.marks.films.iter().map(|film| FilmPoints::none(film.clone(), set.len())).collect();
        let mut seen = vec![vec![false; set.len()]; films.len()];
        for mark in &self.marks.marks {
            let film = &mut films[mark.film];
            let index = names.index(&mark.label).map_err(|text| failed(mark.line, text))?;
            if std::mem::replace(&mut seen[mark.film][index], true) {
                let on = film.film.name.as_ref().map_or(String::new(), |name| format!(" on {}", said(name)));
                let text = format!("landmark {} is there twice{on}; keep one of the two", names.describe(index));
                return Err(failed(mark.line, text));
            }
            let px = |mm: Point| to_px.map_or(mm, |spacing| slicer::from_mm(mm, spacing));
            film.points[index] = mark.at.map(px);
            if mark.at.is_none() && self.marks.is_annotation {
                film.not_visible.insert(index);
            }
            if film.points[index].is_some_and(|point| !(point.x.is_finite() && point.y.is_finite())) {
                let text = format!("landmark {} is at no position in px; place it on the film", names.describe(index));
                return Err(failed(mark.line, text));
            }
        }
        let doubtful =
            |film: &FilmPoints| marks::doubt(form, film.film.name.as_deref().unwrap_or("the film"), &film.points);
        match films.iter().find_map(doubtful) {
            Some(text) => Err(failed(None, text)),
            None => Ok(films),
        }
    }
}

/// Writes the points of films as a file of this form. A form in mm needs the film's spacing; others ignore it. Landmarks without a
/// point are left out, or marked as such where the form has a mark for that.
///
/// # Errors
/// [`PointsError::OneFilm`], [`PointsError::NoSpacing`], [`PointsError::NoSize`] or [`PointsError::NoName`] if the form needs more
/// than is known, [`PointsError::Count`] if a film has another number of points than the set.
pub fn write(
    form: Form,
    films: &[FilmPoints],
    set: &LandmarkSet,
    spacing: Option<&Spacing>,
) -> Result<Vec<u8>, PointsError> {
    if form.is_of_one_film() && films.len() != 1 {
        return Err(PointsError::OneFilm { form, films: films.len() });
    }
    if let Some(film) = films.iter().find(|film| film.points.len() != set.len()) {
        return Err(PointsError::Count { found: film.points.len(), set: set.id.clone(), expected: set.len() });
    }
    let needed = || spacing.ok_or(PointsError::NoSpacing { form });
    let mut text = match form {
        Form::Csv => table::write(films, set),
        Form::Json => detections::write(films, set),
        Form::Labelme => labelme::write(films, set),
        Form::Coco => coco::write(films, set)?,
        Form::Cvat => cvat::write(films, set)?,
        Form::Slicer => slicer::write(films, set, needed()?),
        Form::SlicerTable => slicer::write_table(films, set, needed()?),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text.into_bytes())
}

/// The landmarks of a set with a film's points, for those that are annotated.
fn annotated<'a>(
    film: &'a FilmPoints,
    set: &'a LandmarkSet,
) -> impl Iterator<Item = (&'a onemark_models::landmarks::Landmark, Point)> {
    set.landmarks.iter().zip(&film.points).filter_map(|(landmark, point)| Some((landmark, (*point)?)))
}

/// JSON text of a value of our own, whose keys are all strings.
fn json(value: &serde_json::Value) -> String {
    visible_json(&format!("{value:#}")).into_owned()
}
