//! Reads a plain folder: `images/` and `landmarks.csv` (image,landmark,x,y; landmarks from 1). Images without rows are films
//! without annotation. This module reads the CSV files of both layouts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Case, Complain, DatasetError, SPACING_SOURCE, Split, StatedSpacing, films_in};
use onemark_film::Spacing;
use onemark_film::geometry::Point;

#[derive(Deserialize)]
struct LandmarkRow {
    image: String,
    landmark: usize,
    x: f64,
    y: f64,
}

#[derive(Deserialize)]
struct SpacingRow {
    image: String,
    mm_per_px_x: f64,
    mm_per_px_y: f64,
}

pub(super) fn open(root: &Path, split: Split, complain: &mut Complain<'_>) -> Result<Vec<Case>, DatasetError> {
    if matches!(split, Split::Test1 | Split::Test2) {
        return Err(DatasetError::NoSplits { root: root.to_owned(), split });
    }
    let case = |(id, film)| Case { id, film, points: None, spacing: None, readers: None };
    let films = films_in(&root.join("images"))?;
    let mut cases: Vec<Case> = films.into_iter().map(case).collect();
    read_landmarks(&root.join("landmarks.csv"), &mut cases, complain)?;
    Ok(cases)
}

/// Adds the points of `landmarks.csv` to `cases`, for films that have all landmarks.
fn read_landmarks(path: &Path, cases: &mut [Case], complain: &mut Complain<'_>) -> Result<(), DatasetError> {
    let rows: Vec<(u64, LandmarkRow)> = read_csv(path, complain)?;
    if rows.is_empty() {
        return complain(None, DatasetError::EmptyAnnotation { path: path.to_owned() });
    }
    let expected = landmarks_of_most(&rows);

    let films = films_by_name(cases);
    let mut missing = HashSet::new();
    let mut points: BTreeMap<usize, Vec<Option<Point>>> = BTreeMap::new();
    for (line, LandmarkRow { image, landmark, x, y }) in &rows {
        let problem = |problem: String| line_error(path, *line, problem);
        let Some(film) = films.get(image) else {
            // One complaint per image, not one per landmark.
            if missing.insert(image) {
                complain(None, problem(format!("there is no image \"{image}\" in images/")))?;
            }
            continue;
        };
        let id = Some(cases[*film].id.as_str());
        let slots = points.entry(*film).or_insert_with(|| vec![None; expected]);
        let slot = landmark.checked_sub(1).and_then(|index| slots.get_mut(index));
        match slot {
            _ if !(x.is_finite() && y.is_finite()) => {
                complain(id, problem(format!("({x}, {y}) is not a position in px")))?;
            }
            None => {
                let outside = format!("landmark {landmark} is outside 1 to {expected}, the landmarks of most films");
                complain(id, problem(outside))?;
            }
            Some(Some(_)) => complain(id, problem(format!("landmark {landmark} of {image} is given twice")))?,
            Some(slot) => *slot = Some(Point::new(*x, *y)),
        }
    }
    for (film, slots) in points {
        let found = slots.iter().flatten().count();
        cases[film].points = slots.into_iter().collect();
        if found != expected {
            let id = cases[film].id.as_str();
            let unit = format!("landmarks for film {id}");
            let expected = format!("{expected}, as most films have");
            complain(Some(id), DatasetError::WrongCount { path: path.to_owned(), found, unit, expected })?;
        }
    }
    Ok(())
}

/// The number of rows that most images have. If several numbers are equally frequent, the first image's, otherwise the largest.
fn landmarks_of_most(rows: &[(u64, LandmarkRow)]) -> usize {
    let mut of_image: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, row) in rows {
        *of_image.entry(&row.image).or_default() += 1;
    }
    let first = rows.first().and_then(|(_, row)| of_image.get(row.image.as_str()));
    let images_with = |count: &usize| of_image.values().filter(|other| *other == count).count();
    let counts: BTreeSet<usize> = of_image.values().copied().collect();
    counts.into_iter().max_by_key(|count| (images_with(count), Some(count) == first)).unwrap_or_default()
}

/// Adds the spacings of `spacing.csv` to `cases`. A film without a row has no spacing. Rows about films of other splits are ignored.
pub(super) fn read_spacing(path: &Path, cases: &mut [Case], complain: &mut Complain<'_>) -> Result<(), DatasetError> {
    let films = films_by_name(cases);
    for case in cases.iter_mut() {
        case.spacing = None;
    }
    for (line, SpacingRow { image, mm_per_px_x, mm_per_px_y }) in read_csv(path, complain)? {
        let case = films.get(&image).map(|film| &mut cases[*film]);
        let id = case.as_ref().map(|case| case.id.clone());
        let Ok(spacing) = Spacing::new(mm_per_px_x, mm_per_px_y, SPACING_SOURCE) else {
            let problem = format!("{mm_per_px_x} x {mm_per_px_y} mm is not the size of a pixel; it must be above 0");
            complain(id.as_deref(), line_error(path, line, problem))?;
            continue;
        };
        let stated = StatedSpacing { spacing, only_for: None };
        if case.is_some_and(|case| case.spacing.replace(stated).is_some()) {
            complain(id.as_deref(), line_error(path, line, format!("the spacing of {image} is given twice")))?;
        }
    }
    Ok(())
}

/// Indices into `cases` by file name ("3167.jpg") and by id ("3167"): a CSV may use either.
fn films_by_name(cases: &[Case]) -> HashMap<String, usize> {
    let mut names = HashMap::new();
    for (index, case) in cases.iter().enumerate() {
        names.insert(case.id.clone(), index);
        let file_name = case.film.file_name().and_then(|name| name.to_str());
        names.insert(file_name.unwrap_or(&case.id).to_owned(), index);
    }
    names
}

/// The rows of a CSV with a header, each with its line number.
fn read_csv<Row: DeserializeOwned>(path: &Path, complain: &mut Complain<'_>) -> Result<Vec<(u64, Row)>, DatasetError> {
    let csv_error = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(source) => DatasetError::Read { path: path.to_owned(), source },
            csv::ErrorKind::Deserialize { err, .. } => line_error(path, line, err.to_string()),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                line_error(path, line, format!("there are {len} fields where {expected_len} are named in line 1"))
            }
            _ => line_error(path, line, "it is not UTF-8 text".to_owned()),
        }
    };
    let mut reader = (csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path)).map_err(csv_error)?;
    let headers = reader.headers().map_err(csv_error)?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let row = record.and_then(|record| {
            let line = record.position().map_or(1, csv::Position::line);
            record.deserialize(Some(&headers)).map(|row| (line, row))
        });
        match row {
            Ok(row) => rows.push(row),
            Err(error) => complain(None, csv_error(error))?,
        }
    }
    Ok(rows)
}

fn line_error(path: &Path, line: u64, problem: String) -> DatasetError {
    DatasetError::Line { path: path.to_owned(), line, problem }
}
