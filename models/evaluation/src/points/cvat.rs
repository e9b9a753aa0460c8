//! CVAT for images 1.1: XML with many films per file. A landmark is a shape `points` of one point, or one of a `skeleton`; its label
//! is the landmark's name.
//!
//! CVAT's origin is the top-left corner of the film, as ours.

use std::fmt::Write as _;

use onemark_models::landmarks::LandmarkSet;
use roxmltree::{Document, Node, ParsingOptions};

use super::marks::{Label, Marks, annotated};
use super::{FilmIdentity, FilmPoints, Form, PointsError};
use crate::table::{Problem, said, shown};

/// The most elements and texts of a file: those of ten thousand films.
const MOST_NODES: u32 = 1_000_000;

pub(super) fn read(text: &str) -> Result<Marks, Problem> {
    // Document types, which could name other files or grow without bound, are refused.
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let not_xml =
        |error: roxmltree::Error| Problem::new(format!("it is not XML that can be read: {}", said(&error.to_string())));
    let document = Document::parse_with_options(text, options).map_err(not_xml)?;
    if !document.root_element().has_tag_name("annotations") {
        let name = shown(document.root_element().tag_name().name());
        return Err(Problem::new(format!(
            "it is XML of <{name}>, not CVAT's <annotations>; export \"CVAT for images 1.1\""
        )));
    }
    if document.root_element().children().any(|node| node.has_tag_name("track")) {
        let text =
            "it has the tracks of a video, which name no images; export the annotations as \"CVAT for images 1.1\"";
        return Err(Problem::new(text));
    }
    let mut marks = Marks::new(Form::Cvat);
    for image in document.root_element().children().filter(|node| node.has_tag_name("image")) {
        let side = |name: &str| image.attribute(name).and_then(|side| side.parse().ok());
        let film = FilmIdentity::named(image.attribute("name").unwrap_or_default());
        let film = marks.add_film(film.with_size(side("width"), side("height")));
        for shape in image.children().filter(Node::is_element) {
            match shape.tag_name().name() {
                "points" => add(&mut marks, film, shape)?,
                "skeleton" => {
                    let joints = shape.children().filter(|node| node.has_tag_name("points"));
                    joints.into_iter().try_for_each(|joint| add(&mut marks, film, joint))?;
                }
                // Tags of the film, and shapes that are no points.
                _ => {}
            }
        }
    }
    Ok(marks)
}

fn add(marks: &mut Marks, film: usize, shape: Node<'_, '_>) -> Result<(), Problem> {
    let label = shape.attribute("label").unwrap_or_default().trim();
    let points = shape.attribute("points").unwrap_or_default();
    let numbers: Option<Vec<f64>> = points.split([',', ';']).map(|number| number.trim().parse().ok()).collect();
    let numbers = numbers.filter(|numbers| numbers.iter().all(|number| number.is_finite()));
    let Some([x, y]) = numbers.as_deref() else {
        return Err(Problem::new(format!(
            "\"{}\" has the points \"{}\"; a landmark is one point x,y with its own label",
            shown(label),
            shown(points)
        )));
    };
    let is_outside = shape.attribute("outside") == Some("1");
    marks.add(film, Label::of(label), if is_outside { None } else { annotated(*x, *y) });
    Ok(())
}

pub(super) fn write(films: &[FilmPoints], set: &LandmarkSet) -> Result<String, PointsError> {
    let mut text = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<annotations>\n  <version>1.1</version>\n".to_owned();
    text += "  <meta>\n    <task>\n      <labels>\n";
    for landmark in &set.landmarks {
        let label = format!("<name>{}</name><type>points</type><attributes></attributes>", escaped(&landmark.name));
        // Writing to a string can't fail.
        let _ = writeln!(text, "        <label>{label}</label>");
    }
    text += "      </labels>\n    </task>\n  </meta>\n";
    for (id, film) in films.iter().enumerate() {
        let (name, size) = film.film.stated(Form::Cvat)?;
        let (name, width, height) = (escaped(name), size.width, size.height);
        let _ = writeln!(text, r#"  <image id="{id}" name="{name}" width="{width}" height="{height}">"#);
        for (landmark, point) in super::annotated(film, set) {
            let (name, x, y) = (escaped(&landmark.name), point.x, point.y);
            let shape = r#"source="manual" occluded="0""#;
            let _ = writeln!(text, r#"    <points label="{name}" {shape} points="{x},{y}" z_order="0"></points>"#);
        }
        text += "  </image>\n";
    }
    text += "</annotations>\n";
    Ok(text)
}

/// Text for an attribute in double quotes. Control characters and the two codes U+FFFE and U+FFFF, which XML does not have, are left
/// out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let is_xml = |letter: &char| !letter.is_control() && !matches!(letter, '\u{fffe}' | '\u{ffff}');
    for letter in text.chars().filter(is_xml) {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            letter => escaped.push(letter),
        }
    }
    escaped
}
