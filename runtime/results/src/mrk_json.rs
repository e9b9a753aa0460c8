//! 3D Slicer's markups (`.mrk.json`): the landmarks as a point list that Slicer shows on the film.
//!
//! Slicer must show the film with the spacing of the points. It takes the spacing from the film's file, for most radiographs from
//! ImagerPixelSpacing also where PixelSpacing is calibrated. So the list's name has the spacing, and [`note`] says what to do where
//! Slicer would take another one.
//!
//! Slicer places the centre of a film's first pixel at the origin, x along L and y along P. So a point is
//! `spacing x (px - 0.5)` in mm, L then P, and 0 along S. The schema is Slicer's markups-schema-v1.0.3.

use onemark_film::geometry::Point;
use serde::Serialize;

use crate::json::to_text;
use crate::{FilmResults, ResultsError, remark};
use onemark_runtime::Detection;

const SCHEMA: &str = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(rename = "@schema")]
    schema: &'static str,
    markups: [PointList; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PointList {
    r#type: &'static str,
    name: String,
    coordinate_system: &'static str,
    coordinate_units: &'static str,
    locked: bool,
    label_format: &'static str,
    control_points: Vec<ControlPoint>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ControlPoint {
    id: String,
    label: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<[f64; 3]>,
    position_status: &'static str,
}

/// Writes the film's landmarks as a point list in mm.
///
/// ```
/// # use onemark_film::Film;
/// # use onemark_results::{FilmResults, json::{Document, FilmReport}, mrk_json};
/// # let document = Document::read(&std::fs::read_to_string("tests/films.json")?)?;
/// # let [FilmReport::Done { file, detections, .. }, ..] = document.films.as_slice() else { return Err("no film".into()) };
/// # let film = Film::open("tests/film.png")?;
/// let results = FilmResults { detections, film: &film, name: file, time: chrono::Local::now() };
/// let markups = String::from_utf8(mrk_json::write(&results)?)?;
/// assert!(markups.contains(r#""coordinateUnits": "mm""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ResultsError::NoSpacing`] if no pixel spacing is stated.
pub fn write(results: &FilmResults<'_>) -> Result<Vec<u8>, ResultsError> {
    let Some(spacing) = results.detections.spacing() else {
        return Err(ResultsError::NoSpacing { film: results.name.to_owned(), format: "mrk-json" });
    };
    let (x, y) = (spacing.x(), spacing.y());
    let point = |landmark: &Detection| {
        let position = landmark.unless_guess().map(Detection::position);
        let position = position.map(|Point { x: right, y: down }| [x * (right - 0.5), y * (down - 0.5), 0.0]);
        ControlPoint {
            id: landmark.number().to_string(),
            label: landmark.title().to_owned(),
            description: remark(landmark),
            position_status: if position.is_some() { "defined" } else { "undefined" },
            position,
        }
    };
    let points = PointList {
        r#type: "Fiducial",
        name: format!("Landmarks of {} for a film of {spacing}", results.detections.bundle().name),
        coordinate_system: "LPS",
        coordinate_units: "mm",
        locked: false,
        label_format: "%N-%d",
        control_points: results.detections.landmarks().iter().map(point).collect(),
    };
    let document = Document { schema: SCHEMA, markups: [points] };
    let text = to_text(&document, true).map_err(|error| results.error("mrk-json", error))?;
    Ok(text.into_bytes())
}

/// What a person must do before the points lie on the film in Slicer, if the film's file states no spacing there or another one than
/// the points have.
///
/// ```
/// # use onemark_film::Film;
/// # use onemark_results::{FilmResults, json::{Document, FilmReport}, mrk_json};
/// # let document = Document::read(&std::fs::read_to_string("tests/films.json")?)?;
/// # let [FilmReport::Done { file, detections, .. }, ..] = document.films.as_slice() else { return Err("no film".into()) };
/// # let film = Film::open("tests/film.png")?;
/// let results = FilmResults { detections, film: &film, name: file, time: chrono::Local::now() };
/// assert!(mrk_json::note(&results).is_some_and(|note| note.contains("the film's file states no spacing")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn note(results: &FilmResults<'_>) -> Option<String> {
    let used = results.detections.spacing()?;
    let shown = match results.film.file_spacing() {
        Some(shown) if shown.agrees_with(used) => return None,
        Some(shown) => format!("its file states {shown}"),
        None => "the film's file states no spacing".to_owned(),
    };
    Some(format!(
        "3D Slicer must show the film with {} x {} mm per px, which these points have: set it there, because {shown}",
        used.x(),
        used.y(),
    ))
}
