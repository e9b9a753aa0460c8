//! Reads the ISBI 2015 cephalometric films as published (METHOD.md sec. 1e and 7): folders of films, and two readers' text files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Case, Complain, DatasetError, SPACING_SOURCE, Split, StatedSpacing, films_in};
use onemark_film::geometry::Point;
use onemark_film::{Size, Spacing};

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

pub(super) fn open(root: &Path, split: Split, complain: &mut Complain<'_>) -> Result<Vec<Case>, DatasetError> {
    let annotations = Annotations::find(root);
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
            let readers = match annotations.read(&id) {
                // Training films need no annotation, except the template. A test film without one can't be evaluated.
                Ok(None) if belongs_to != Split::Train => {
                    let wanted = annotations.files(&id).map(|path| path.display().to_string()).join(" and ");
                    complain(Some(&id), DatasetError::NoAnnotation { film: film.clone(), wanted })?;
                    None
                }
                Ok(readers) => readers,
                Err(error) => {
                    complain(Some(&id), error)?;
                    None
                }
            };
            cases.push(Case {
                id,
                film,
                points: readers.as_ref().map(mean_of_readers),
                spacing: spacing.clone(),
                readers,
            });
        }
    }
    Ok(cases)
}

/// The true position: per coordinate, half of senior + junior, truncated (METHOD.md sec. 1e).
fn mean_of_readers([senior, junior]: &[Vec<Point>; 2]) -> Vec<Point> {
    let mean = |a: f64, b: f64| (0.5 * (a + b)).trunc();
    let both = senior.iter().zip(junior);
    both.map(|(s, j)| Point::new(mean(s.x, j.x), mean(s.y, j.y))).collect()
}

/// The two readers' folders, senior first.
struct Annotations([PathBuf; 2]);

impl Annotations {
    /// `AnnotationsByMD/400_*` as published, or `400_*` beside the films as re-packed by later methods.
    fn find(root: &Path) -> Self {
        let published = root.join("AnnotationsByMD");
        let parent = if published.is_dir() { published } else { root.to_owned() };
        Self(["400_senior", "400_junior"].map(|reader| parent.join(reader)))
    }

    fn files(&self, id: &str) -> [PathBuf; 2] {
        [0, 1].map(|reader: usize| self.0[reader].join(format!("{id}.txt")))
    }

    /// Both readers' points; `None` if neither annotated the film. It is an error if only one did.
    fn read(&self, id: &str) -> Result<Option<[Vec<Point>; 2]>, DatasetError> {
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
fn read_points(path: &Path) -> Result<Option<Vec<Point>>, DatasetError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let path = path.to_owned();
            return Err(DatasetError::Read { path, source });
        }
    };
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
    let points = lines.iter().take(LANDMARKS).map(|(line, text)| {
        parse_point(text).ok_or_else(|| DatasetError::Line {
            path: path.to_owned(),
            line: *line,
            problem: format!("\"{}\" is not a position \"x,y\" in px", text.trim()),
        })
    });
    points.collect::<Result<_, _>>().map(Some)
}

/// The first two numbers of a line, `x,y`. Text after white space is ignored.
fn parse_point(line: &str) -> Option<Point> {
    let mut tokens = line.split([',', ' ', '\t']).filter(|token| !token.is_empty());
    let mut number = || tokens.next()?.trim().parse().ok().filter(|n: &f64| n.is_finite());
    Some(Point::new(number()?, number()?))
}
