//! Reads the ISBI 2015 cephalometric films as published (METHOD.md sec. 1e and 7): folders of films, and two readers' text files.

use std::io;
use std::path::{Path, PathBuf};

use super::{Case, Complain, DatasetError, SPACING_SOURCE, Split, StatedSpacing, films_in};
use onemark_film::geometry::Point;
use onemark_film::{Size, Spacing};
use onemark_models::files::read_file_at_most;

use crate::points;
use crate::points::marks::{annotated, doubt};
use crate::table::{LARGEST, Problem, decode, shown};

/// Films of Test1 whose patient appears on an earlier film: in TrainingData (20), or in Test1 itself (278, 294, 277);
/// results are reported with and without them (METHOD.md sec. 7, and 280, 288, 201 and 299, which `onemark data check` found).
pub const REPEATED_TEST1_FILMS: [&str; 23] = [
    "275", "293", "295", "287", "296", "283", "282", "297", "289", "285", "276", "291", "292", "281", "279", "173",
    "280", "288", "201", "299", "278", "294", "277",
];

/// Landmarks per annotation file. In the original files, [`CLASS_LINES`] lines with clinical classes follow, which are not read.
const LANDMARKS: usize = 19;
const CLASS_LINES: usize = 8;

/// mm per px of every published film, along both axes.
const MM_PER_PX: f64 = 0.1;
/// The size of every published film. Films of another size are copies with other pixels.
const PUBLISHED: Size = Size { width: 1935, height: 2400 };

/// Some distributions have all test films in Test1Data. Films after this number belong to Test2.
const LAST_OF_TEST1: u64 = 300;

/// The folder of the training films.
pub(super) const TRAINING: &str = "RawImage/TrainingData";

pub(super) fn open(root: &Path, split: Split, complain: &mut Complain<'_>) -> Result<Vec<Case>, DatasetError> {
    let annotations = match Annotations::find(root) {
        Ok(annotations) => Some(annotations),
        Err(error) => {
            complain(None, error)?;
            None
        }
    };
    let spacing = Spacing::new(MM_PER_PX, MM_PER_PX, SPACING_SOURCE).ok();
    let spacing = spacing.map(|spacing| StatedSpacing { spacing, only_for: Some(PUBLISHED) });
    let mut cases = Vec::new();
    for (folder, folder_split) in
        [("TrainingData", Split::Train), ("Test1Data", Split::Test1), ("Test2Data", Split::Test2)]
    {
        for (id, film) in films_in(&root.join("RawImage").join(folder))? {
            let belongs_to = match id.parse::<u64>() {
                Ok(number) if folder_split == Split::Test1 && number > LAST_OF_TEST1 => Split::Test2,
                _ => folder_split,
            };
            if split != Split::All && split != belongs_to {
                continue;
            }
            let readers = match annotations.as_ref().map_or(Ok(None), |annotations| annotations.read(&id)) {
                Ok(readers) => readers,
                Err(error) => {
                    complain(Some(&id), error)?;
                    None
                }
            };
            // Training films need no annotation, except the template. A test film without one can't be evaluated.
            let needed = annotations.as_ref().filter(|_| readers.is_none() && belongs_to != Split::Train);
            if let Some(files) = needed.and_then(|annotations| annotations.missing(&id)) {
                let wanted = files.map(|path| path.display().to_string()).join(" and ");
                complain(Some(&id), DatasetError::NoAnnotation { film: film.clone(), wanted })?;
            }
            cases.push(Case {
                id,
                film,
                points: readers.as_ref().and_then(mean_of_readers),
                points_size: None,
                spacing: spacing.clone(),
                readers,
            });
        }
    }
    Ok(cases)
}

/// The true position: per coordinate, half of senior + junior, truncated (METHOD.md sec. 1e).
/// `None` if there is no landmark of which both positions are known.
fn mean_of_readers([senior, junior]: &[Vec<Option<Point>>; 2]) -> Option<Vec<Option<Point>>> {
    let mean = |a: f64, b: f64| (0.5 * (a + b)).trunc();
    let mean = |(s, j): (Point, Point)| Point::new(mean(s.x, j.x), mean(s.y, j.y));
    let points: Vec<_> = senior.iter().zip(junior).map(|(senior, junior)| senior.zip(*junior).map(mean)).collect();
    points.iter().any(Option::is_some).then_some(points)
}

/// The two readers' folders, senior first.
struct Annotations([PathBuf; 2]);

impl Annotations {
    /// `AnnotationsByMD/400_*` as published, or `400_*` beside the films as re-packed by later methods. It is an error if there is one reader's folder only.
    fn find(root: &Path) -> Result<Self, DatasetError> {
        let published = root.join("AnnotationsByMD");
        let parent = if published.is_dir() { published } else { root.to_owned() };
        let [senior, junior] = ["400_senior", "400_junior"].map(|reader| parent.join(reader));
        match (senior.is_dir(), junior.is_dir()) {
            (true, false) => Err(DatasetError::OneReaderOnly { there: senior, missing: junior }),
            (false, true) => Err(DatasetError::OneReaderOnly { there: junior, missing: senior }),
            _ => Ok(Self([senior, junior])),
        }
    }

    fn files(&self, id: &str) -> [PathBuf; 2] {
        [0, 1].map(|reader: usize| self.0[reader].join(format!("{id}.txt")))
    }

    /// The files of a film if neither exists.
    fn missing(&self, id: &str) -> Option<[PathBuf; 2]> {
        Some(self.files(id)).filter(|files| !files.iter().any(|file| file.exists()))
    }

    /// Both readers' points; `None` if neither annotated the film. It is an error if only one did.
    fn read(&self, id: &str) -> Result<Option<[Vec<Option<Point>>; 2]>, DatasetError> {
        let [senior, junior] = self.files(id);
        match (read_points(&senior)?, read_points(&junior)?) {
            (Some(a), Some(b)) => Ok(Some([a, b])),
            (None, None) => Ok(None),
            (found, _) => {
                let (there, missing) = if found.is_some() { (senior, junior) } else { (junior, senior) };
                Err(DatasetError::OneReader { there, missing })
            }
        }
    }
}

/// The points of one reader's file; `None` if the file does not exist.
fn read_points(path: &Path) -> Result<Option<Vec<Option<Point>>>, DatasetError> {
    let bytes = match read_file_at_most(path, LARGEST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let path = path.to_owned();
            return Err(DatasetError::Read { path, source });
        }
    };
    let text = decode(&bytes).map_err(|what| DatasetError::NotText { path: path.to_owned(), what })?;
    let lines: Vec<(u64, &str)> = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return Err(DatasetError::EmptyAnnotation { path: path.to_owned() });
    }
    if ![LANDMARKS, LANDMARKS + CLASS_LINES].contains(&lines.len()) {
        return Err(DatasetError::WrongCount {
            path: path.to_owned(),
            found: lines.len(),
            unit: "lines".to_owned(),
            expected: format!(
                "{LANDMARKS} landmarks, alone or with {CLASS_LINES} lines of clinical classes after them"
            ),
        });
    }
    let read = lines.iter().take(LANDMARKS).map(|(line, text)| {
        parse_point(text).map(|point| annotated(point.x, point.y)).ok_or_else(|| DatasetError::Line {
            path: path.to_owned(),
            line: *line,
            problem: format!("\"{}\" is not a position \"x,y\" in px", shown(text.trim())),
        })
    });
    let found: Vec<_> = read.collect::<Result<_, _>>()?;
    match doubt(points::Form::Csv, "the film", &found) {
        Some(text) => Err(points::error(path, Problem::new(text)).into()),
        None => Ok(Some(found)),
    }
}

/// The two numbers of a line, `x,y`. Text after white space is ignored, but not further numbers: with decimal commas, `72,5 88,0`
/// would be another position.
fn parse_point(line: &str) -> Option<Point> {
    let mut tokens = line.split([',', ' ', '\t']).map(str::trim).filter(|token| !token.is_empty());
    let mut number = || tokens.next()?.parse().ok().filter(|n: &f64| n.is_finite());
    let point = Point::new(number()?, number()?);
    tokens.all(|token| token.parse::<f64>().is_err()).then_some(point)
}
