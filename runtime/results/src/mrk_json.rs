//! 3D Slicer's markups (`.mrk.json`): the landmarks as a list of points that Slicer shows on the film.
//!
//! Slicer places a film's first pixel, its centre, at the origin, the rows along L and the columns along P; so a point is
//! `spacing x (px - 0.5)` in mm, L then P, and 0 along S. Schema: Slicer's markups-schema-v1.0.3.

use serde::Serialize;

use crate::{FilmResults, ResultsError, remark};
use onemark_runtime::{Detection, Status};

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

/// The film's landmarks as a point list in mm.
///
/// # Errors
/// [`ResultsError::NoSpacing`] where nobody stated how large a pixel is.
pub fn write(results: &FilmResults<'_>) -> Result<Vec<u8>, ResultsError> {
    let Some(spacing) = &results.detections.spacing else {
        return Err(ResultsError::NoSpacing { film: results.name.to_owned(), format: "mrk-json" });
    };
    let (x, y) = (spacing.x(), spacing.y());
    let point = |landmark: &Detection| {
        let found = landmark.status != Status::NotFound;
        let position = [x * (landmark.position.x - 0.5), y * (landmark.position.y - 0.5), 0.0];
        ControlPoint {
            id: landmark.number.to_string(),
            label: landmark.title.clone(),
            description: remark(landmark),
            position: found.then_some(position),
            position_status: if found { "defined" } else { "undefined" },
        }
    };
    let points = PointList {
        r#type: "Fiducial",
        name: format!("Landmarks of {}", results.detections.bundle.name),
        coordinate_system: "LPS",
        coordinate_units: "mm",
        locked: false,
        label_format: "%N-%d",
        control_points: results.detections.landmarks.iter().map(point).collect(),
    };
    let mut text = serde_json::to_vec_pretty(&Document { schema: SCHEMA, markups: [points] })
        .map_err(|error| results.error("mrk-json", error))?;
    text.push(b'\n');
    Ok(text)
}
