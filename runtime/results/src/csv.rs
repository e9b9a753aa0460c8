//! CSV for spreadsheets and statistics: one table for all films, with one row per film and landmark.
//!
//! An empty cell means "unknown". A landmark that was not found has no position here, so that statistics do not include a
//! guess by mistake. A film that failed has one row, which holds the error.

use csv::Writer;
use serde::Serialize;

use crate::ResultsError;
use crate::json::FilmReport;
use onemark_runtime::{Detection, Status};

/// A row of the table; its fields are the columns.
#[derive(Default, Serialize)]
struct Row<'a> {
    file: &'a str,
    number: Option<usize>,
    name: &'a str,
    title: &'a str,
    status: Option<Status>,
    x_px: Option<String>,
    y_px: Option<String>,
    x_mm: Option<String>,
    y_mm: Option<String>,
    score: Option<String>,
    confidence: Option<String>,
    radius_mm: Option<String>,
    surprise: Option<String>,
    error: &'a str,
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
pub fn write(films: &[FilmReport]) -> Result<Vec<u8>, ResultsError> {
    let error = |source| ResultsError::Write { film: "the table".into(), format: "csv", source };
    let mut table = Writer::from_writer(Vec::new());
    for film in films {
        match film {
            FilmReport::Failed { file, error: why, .. } => {
                table.serialize(Row { file, error: why, ..Row::default() }).map_err(|cause| error(cause.into()))?;
            }
            FilmReport::Done { file, detections, .. } => {
                let spacing = detections.spacing().map(ToString::to_string);
                for landmark in detections.landmarks() {
                    let row = Row { spacing: spacing.clone(), ..row(file, landmark) };
                    table.serialize(row).map_err(|cause| error(cause.into()))?;
                }
            }
        }
    }
    table.into_inner().map_err(|cause| error(cause.into()))
}

fn row<'a>(file: &'a str, landmark: &'a Detection) -> Row<'a> {
    let here = (landmark.status() != Status::NotFound).then_some(landmark);
    let [px, mm] = [|px: f64| format!("{px:.3}"), |mm: f64| format!("{mm:.4}")];
    Row {
        file,
        number: Some(landmark.number()),
        name: landmark.name(),
        title: landmark.title(),
        status: Some(landmark.status()),
        x_px: here.map(|landmark| px(landmark.position().x)),
        y_px: here.map(|landmark| px(landmark.position().y)),
        x_mm: here.and_then(Detection::mm).map(|place| mm(place.x)),
        y_mm: here.and_then(Detection::mm).map(|place| mm(place.y)),
        score: Some(format!("{:.4}", landmark.score())),
        confidence: landmark.confidence().map(|confidence| format!("{confidence:.4}")),
        radius_mm: landmark.radius_mm().map(|radius| format!("{radius:.2}")),
        surprise: landmark.mahalanobis().map(|deviations| format!("{deviations:.2}")),
        ..Row::default()
    }
}
