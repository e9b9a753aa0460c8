//! labelme's JSON: one film per file, a shape of type `point` per landmark, its label the landmark's name.
//!
//! labelme's origin is the top-left corner of the film, as ours. Keys that it does not know, such as `sha256`, it keeps.

use onemark_film::geometry::Point;
use onemark_models::landmarks::LandmarkSet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::marks::{Label, Marks, annotated};
use super::{FilmIdentity, FilmPoints, Form};
use crate::table::{Problem, said, shown};

/// The version of labelme whose form is written.
const VERSION: &str = "5.4.1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    shapes: Vec<Shape>,
    image_path: Option<String>,
    image_width: Option<f64>,
    image_height: Option<f64>,
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct Shape {
    label: String,
    points: Vec<[f64; 2]>,
    #[serde(default = "point")]
    shape_type: String,
}

fn point() -> String {
    "point".to_owned()
}

pub(super) fn read(json: Value) -> Result<Marks, Problem> {
    let not_labelme =
        |error: serde_json::Error| Problem::new(format!("it is not labelme's JSON: {}", said(&error.to_string())));
    let document: Document = serde_json::from_value(json).map_err(not_labelme)?;
    let mut marks = Marks::new(Form::Labelme);
    let film = FilmIdentity::named(document.image_path.as_deref().unwrap_or_default());
    let film = film.with_size(document.image_width, document.image_height);
    let film = marks.add_film(FilmIdentity { sha256: document.sha256, ..film });
    for Shape { label, points, shape_type } in document.shapes {
        let ([[x, y]], "point") = (&points[..], shape_type.as_str()) else {
            let (label, count) = (shown(&label), points.len());
            let count = if count == 1 { "1 point".to_owned() } else { format!("{count} points") };
            return Err(Problem::new(format!(
                "shape \"{label}\" is a {} of {count}; landmarks are shapes of type point: remove it, or place a \
                 point instead",
                shown(&shape_type)
            )));
        };
        marks.add(film, Label::of(label.trim()), annotated(*x, *y));
    }
    Ok(marks)
}

pub(super) fn write(films: &[FilmPoints], set: &LandmarkSet) -> String {
    let film = films.first().map(|film| &film.film);
    let shapes = films.iter().flat_map(|film| super::annotated(film, set));
    let shapes = shapes.map(|(landmark, Point { x, y })| {
        json!({
            "label": landmark.name,
            "points": [[x, y]],
            "group_id": null,
            "description": landmark.title,
            "shape_type": "point",
            "flags": {},
            "mask": null,
        })
    });
    let size = film.and_then(|film| film.size);
    super::json(&json!({
        "version": VERSION,
        "flags": {},
        "shapes": shapes.collect::<Vec<_>>(),
        "imagePath": film.and_then(|film| film.name.clone()).unwrap_or_default(),
        "imageData": null,
        "imageHeight": size.map(|size| size.height),
        "imageWidth": size.map(|size| size.width),
        "sha256": film.and_then(|film| film.sha256.clone()),
    }))
}
