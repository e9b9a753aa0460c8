//! Onemark's own JSON: what `onemark detect --json` writes, corrected by hand or not, and points without a detection.

use onemark_film::geometry::Point;
use onemark_models::landmarks::LandmarkSet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::marks::{Label, Marks, annotated, has_position, unknown_status};
use super::{FilmIdentity, FilmPoints, Form};
use crate::table::{Problem, said};

/// The version of the form that is written, for points alone.
const SCHEMA: &str = "onemark-points/1";
/// What `onemark detect` writes. Other versions may mean other things by the same fields.
const DETECTIONS: &str = "onemark-detections/1";
/// The status of a landmark that a person placed.
const BY_HAND: &str = "edited-by-hand";
/// The status of a landmark of which a person said that it can't be seen.
const NOT_VISIBLE: &str = "not-found";

#[derive(Deserialize)]
struct Document {
    /// What a person types has none.
    schema: Option<String>,
    films: Vec<Film>,
}

#[derive(Deserialize)]
struct Film {
    file: Option<String>,
    #[serde(default)]
    film: Stated,
    film_sha256: Option<String>,
    /// A film that failed has none.
    #[serde(default)]
    landmarks: Vec<Landmark>,
}

#[derive(Default, Deserialize)]
struct Stated {
    width: Option<f64>,
    height: Option<f64>,
}

#[derive(Deserialize)]
struct Landmark {
    number: Option<usize>,
    name: Option<String>,
    position: Option<Point>,
    status: Option<String>,
}

pub(super) fn read(json: Value) -> Result<Marks, Problem> {
    let not_ours = |error: serde_json::Error| {
        Problem::new(format!("it is not JSON of `onemark detect`: {}", said(&error.to_string())))
    };
    let document: Document = serde_json::from_value(json).map_err(not_ours)?;
    let is_annotation = document.schema.as_deref() == Some(SCHEMA);
    if let Some(other) = document.schema.filter(|schema| ![SCHEMA, DETECTIONS].contains(&schema.as_str())) {
        let other = said(&other);
        let text =
            format!("its schema is \"{other}\", and {DETECTIONS} and {SCHEMA} are read; use a version that reads it");
        return Err(Problem::new(text));
    }
    let mut marks = Marks { is_annotation, ..Marks::new(Form::Json) };
    for Film { file, film: Stated { width, height }, film_sha256: sha256, landmarks } in document.films {
        let identity = FilmIdentity::named(file.as_deref().unwrap_or_default()).with_size(width, height);
        let film = marks.add_film(FilmIdentity { sha256, ..identity });
        for Landmark { number, name, position, status } in landmarks {
            if number.is_none() && name.is_none() {
                return Err(Problem::new("a landmark has neither a name nor a number"));
            }
            let has_position = match &status {
                None => true,
                Some(status) => has_position(status).ok_or_else(|| Problem::new(unknown_status(status)))?,
            };
            let at = position.filter(|_| has_position).and_then(|point| annotated(point.x, point.y));
            marks.add(film, Label { number, name }, at);
        }
    }
    Ok(marks)
}

pub(super) fn write(films: &[FilmPoints], set: &LandmarkSet) -> String {
    let films = films.iter().map(|film| {
        let landmarks = set.landmarks.iter().zip(&film.points).enumerate().filter_map(|(index, (landmark, point))| {
            let status = match point {
                Some(_) => BY_HAND,
                None if film.not_visible.contains(&index) => NOT_VISIBLE,
                None => return None,
            };
            let mut entry = json!({
                "number": landmark.number.number(),
                "name": landmark.name,
                "title": landmark.title,
                "status": status,
            });
            if let Some(Point { x, y }) = point {
                entry["position"] = json!({ "x": x, "y": y });
            }
            Some(entry)
        });
        let size = film.film.size;
        json!({
            "file": film.film.name,
            "film": {
                "width": size.map(|size| size.width),
                "height": size.map(|size| size.height),
            },
            "film_sha256": film.film.sha256,
            "landmarks": landmarks.collect::<Vec<_>>(),
        })
    });
    super::json(&json!({ "schema": SCHEMA, "films": films.collect::<Vec<_>>() }))
}
