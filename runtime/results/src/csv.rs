//! CSV for spreadsheets and statistics: one table for all films, with one row per film and landmark.
//!
//! An empty cell means "unknown". A landmark that was not found has no position here, so that statistics do not include a
//! guess by mistake. A film that failed has one row, which holds the error. No cell is a formula: see [`cell`].

use std::borrow::Cow;

use csv::{Writer, WriterBuilder};
use onemark_film::visible::cell;
use serde::Serialize;

use crate::ResultsError;
use crate::json::FilmReport;
use onemark_runtime::{Detection, Status};

/// The columns: the names of the fields of [`Row`].
const COLUMNS: [&str; 15] = [
    "file",
    "number",
    "name",
    "title",
    "status",
    "x_px",
    "y_px",
    "x_mm",
    "y_mm",
    "score",
    "confidence",
    "radius_mm",
    "surprise",
    "error",
    "spacing",
];

/// A row of the table; its fields are the columns.
#[derive(Default, Serialize)]
struct Row<'a> {
    file: Cow<'a, str>,
    number: Option<usize>,
    name: Cow<'a, str>,
    title: Cow<'a, str>,
    status: Option<Status>,
    x_px: Option<String>,
    y_px: Option<String>,
    x_mm: Option<String>,
    y_mm: Option<String>,
    score: Option<String>,
    confidence: Option<String>,
    radius_mm: Option<String>,
    surprise: Option<String>,
    error: Cow<'a, str>,
    /// Where mm come from. Later columns are added at the end.
    spacing: Option<String>,
}

/// Writes the table of these films as UTF-8.
///
/// ```
/// use onemark_results::{csv, json::Document};
///
/// let document = Document::read(&std::fs::read_to_string("tests/films.json")?)?;
/// let table = String::from_utf8(csv::write(&document.films)?)?;
/// assert!(table.starts_with("file,number,name,title,status,x_px,y_px,"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ResultsError::Write`] if the CSV writer fails.
pub fn write<'a>(films: impl IntoIterator<Item = &'a FilmReport>) -> Result<Vec<u8>, ResultsError> {
    let mut table = header().into_bytes();
    for film in films {
        table.extend(rows(film)?);
    }
    Ok(table)
}

/// The table's first line, with the names of its columns.
pub fn header() -> String {
    COLUMNS.join(",") + "\n"
}

/// The rows of one film, for a table that grows as films finish. They follow [`header`] and the rows of other films.
///
/// # Errors
/// As [`write()`].
pub fn rows(film: &FilmReport) -> Result<Vec<u8>, ResultsError> {
    let error = |source| ResultsError::Write { film: "the table".into(), format: "csv", source };
    let mut table: Writer<Vec<u8>> = WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    match film {
        FilmReport::Failed { file, error: why, .. } => {
            let row = Row { file: cell(file), error: cell(why), ..Row::default() };
            table.serialize(row).map_err(|cause| error(cause.into()))?;
        }
        FilmReport::Done { file, detections, .. } => {
            let spacing = detections.spacing().map(|spacing| cell(&spacing.to_string()).into_owned());
            for landmark in detections.landmarks() {
                let row = Row { spacing: spacing.clone(), ..row(file, landmark) };
                table.serialize(row).map_err(|cause| error(cause.into()))?;
            }
        }
    }
    table.into_inner().map_err(|cause| error(cause.into()))
}

fn row<'a>(file: &'a str, landmark: &'a Detection) -> Row<'a> {
    let here = landmark.unless_guess();
    let [px, mm] = [|px: f64| format!("{px:.3}"), |mm: f64| format!("{mm:.4}")];
    Row {
        file: cell(file),
        number: Some(landmark.number()),
        name: cell(landmark.name()),
        title: cell(landmark.title()),
        status: Some(landmark.status()),
        x_px: here.map(|landmark| px(landmark.position().x)),
        y_px: here.map(|landmark| px(landmark.position().y)),
        x_mm: here.and_then(Detection::mm).map(|place| mm(place.x)),
        y_mm: here.and_then(Detection::mm).map(|place| mm(place.y)),
        score: Some(format!("{:.4}", landmark.score())),
        confidence: here.and_then(Detection::confidence).map(|confidence| format!("{confidence:.4}")),
        radius_mm: here.and_then(Detection::radius_mm).map(|radius| format!("{radius:.2}")),
        surprise: here.and_then(Detection::mahalanobis).map(|deviations| format!("{deviations:.2}")),
        ..Row::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_columns_are_the_fields() {
        let mut table = Writer::from_writer(Vec::new());
        table.serialize(Row::default()).unwrap();
        let text = String::from_utf8(table.into_inner().unwrap()).unwrap();
        assert_eq!(text.lines().next().unwrap().to_owned() + "\n", header());
    }
}
