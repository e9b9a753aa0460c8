//! COCO keypoints: many films per file. A category names its keypoints in order; an annotation has x, y and a visibility for each.
//!
//! Visibility 0 means "not annotated", and then x and y, which are 0 or -1, are not a position. Programs that write COCO keypoints
//! (CVAT, COCO Annotator, Label Studio) count from the top-left corner of the film, as we do. Readers that take whole numbers for
//! the centres of pixels, such as detectron2, add half a px themselves.

use std::collections::HashMap;

use onemark_film::visible::short;
use onemark_models::landmarks::LandmarkSet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::marks::{Label, Marks, annotated};
use super::{FilmIdentity, FilmPoints, Form, PointsError};
use crate::table::{Problem, said, shown};

/// Visibilities: not annotated, and annotated and visible.
const NOT_ANNOTATED: f64 = 0.0;
const VISIBLE: u8 = 2;

#[derive(Deserialize)]
struct Document {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: Value,
    file_name: String,
    width: Option<f64>,
    height: Option<f64>,
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Value,
    category_id: Value,
    /// Boxes and outlines have none.
    #[serde(default)]
    keypoints: Vec<f64>,
}

#[derive(Deserialize)]
struct Category {
    id: Value,
    #[serde(default)]
    keypoints: Vec<String>,
}

pub(super) fn read(json: Value) -> Result<Marks, Problem> {
    let not_coco =
        |error: serde_json::Error| Problem::new(format!("it is not COCO keypoints: {}", said(&error.to_string())));
    let document: Document = serde_json::from_value(json).map_err(not_coco)?;
    let mut marks = Marks::new(Form::Coco);
    let mut films: HashMap<String, usize> = HashMap::new();
    for Image { id, file_name, width, height, sha256 } in document.images {
        let film = FilmIdentity { sha256, ..FilmIdentity::named(&file_name).with_size(width, height) };
        let film = marks.add_film(film);
        if films.insert(id.to_string(), film).is_some() {
            let id = shown(&id.to_string()).into_owned();
            return Err(Problem::new(format!("two images have the id {id}; give each its own")));
        }
    }
    let names: HashMap<String, Vec<String>> =
        document.categories.into_iter().map(|category| (category.id.to_string(), category.keypoints)).collect();
    for Annotation { image_id, category_id, keypoints } in document.annotations {
        if keypoints.is_empty() {
            continue;
        }
        let (id, image_id) = (image_id.to_string(), shown(&image_id.to_string()).into_owned());
        let Some(film) = films.get(&id) else {
            return Err(Problem::new(format!("an annotation is for image {image_id}, which is not in images")));
        };
        let names = names.get(&category_id.to_string()).map_or(&[][..], Vec::as_slice);
        let (triples, rest) = keypoints.as_chunks::<3>();
        if names.len() != triples.len() || !rest.is_empty() {
            return Err(Problem::new(format!(
                "an annotation of image {image_id} has {} numbers, and its category names {} keypoints; each takes x, y \
                 and visibility",
                keypoints.len(),
                names.len()
            )));
        }
        for (name, [x, y, visibility]) in names.iter().zip(triples) {
            if ![0.0, 1.0, 2.0].contains(visibility) {
                return Err(Problem::new(format!(
                    "\"{}\" of image {image_id} has the visibility {}; write 0 (not annotated), 1 (hidden) or 2 (visible)",
                    shown(name),
                    short(*visibility)
                )));
            }
            let at = (*visibility > NOT_ANNOTATED).then(|| annotated(*x, *y)).flatten();
            marks.add(*film, Label::of(name.trim()), at);
        }
    }
    Ok(marks)
}

pub(super) fn write(films: &[FilmPoints], set: &LandmarkSet) -> Result<String, PointsError> {
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for (id, film) in (1_u32..).zip(films) {
        let (name, size) = film.film.stated(Form::Coco)?;
        images.push(json!({
            "id": id,
            "file_name": name,
            "width": size.width,
            "height": size.height,
            "sha256": film.film.sha256,
        }));
        let annotated: Vec<_> = film.points.iter().flatten().collect();
        let side = |of: fn(&onemark_film::geometry::Point) -> f64| {
            let [least, most] = [f64::min, f64::max].map(|choose| annotated.iter().copied().map(of).reduce(choose));
            let least = least.unwrap_or_default();
            (least, most.unwrap_or_default() - least)
        };
        let ((left, width), (top, height)) = (side(|point| point.x), side(|point| point.y));
        let keypoints = film.points.iter().flat_map(|point| match point {
            Some(point) => [json!(point.x), json!(point.y), json!(VISIBLE)],
            None => [json!(0), json!(0), json!(0)],
        });
        annotations.push(json!({
            "id": id,
            "image_id": id,
            "category_id": 1,
            "keypoints": keypoints.collect::<Vec<_>>(),
            "num_keypoints": annotated.len(),
            "bbox": [left, top, width, height],
            "area": width * height,
            "segmentation": [],
            "iscrowd": 0,
        }));
    }
    Ok(super::json(&json!({
        "info": { "description": "landmarks on radiographs" },
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{
            "id": 1,
            "name": set.id,
            "supercategory": "",
            "keypoints": set.landmarks.iter().map(|landmark| &landmark.name).collect::<Vec<_>>(),
            "skeleton": [],
        }],
    })))
}
