//! 3D Slicer's markups, as JSON and in the older table: points in mm, one film per file.
//!
//! Slicer places the centre of the first pixel at the origin, x along L and y along P. So px = mm / spacing + 0.5.

use std::fmt::Write as _;

use onemark_film::Spacing;
use onemark_film::geometry::Point;
use onemark_models::landmarks::LandmarkSet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::marks::{Label, Marks};
use super::{FilmIdentity, FilmPoints, Form};
use crate::table::{Problem, said, shown};

/// How the older table begins.
const TABLE: &str = "# Markups fiducial file version";
const SCHEMA: &str = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#";
/// A point farther than this from the plane of the film, in mm, is not on it.
const THICKNESS: f64 = 1.0;
/// The columns of the older table, if its header does not name them.
const COLUMNS: &str = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID";

#[derive(Deserialize)]
struct Document {
    markups: Vec<Markup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Markup {
    #[serde(default)]
    coordinate_system: Option<Value>,
    #[serde(default)]
    coordinate_units: Option<Value>,
    #[serde(default)]
    control_points: Vec<ControlPoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ControlPoint {
    label: String,
    position: Option<[f64; 3]>,
    position_status: Option<String>,
}

/// Film px of a point in mm.
pub(super) fn from_mm(mm: Point, spacing: &Spacing) -> Point {
    Point::new(mm.x / spacing.x() + 0.5, mm.y / spacing.y() + 0.5)
}

fn to_mm(px: Point, spacing: &Spacing) -> Point {
    Point::new((px.x - 0.5) * spacing.x(), (px.y - 0.5) * spacing.y())
}

/// A file that is about one film, which it does not name.
fn nameless(form: Form) -> (Marks, usize) {
    let mut marks = Marks::new(form);
    let film = marks.add_film(FilmIdentity::default());
    (marks, film)
}

/// The signs of x and y in LPS of a coordinate system as Slicer spells it.
fn signs(system: &str) -> Result<f64, Problem> {
    match system.trim() {
        "LPS" | "1" => Ok(1.0),
        "RAS" | "0" => Ok(-1.0),
        other => {
            let other = shown(other);
            Err(Problem::new(format!("its coordinate system is \"{other}\"; save it in 3D Slicer as LPS or RAS")))
        }
    }
}

/// A point in mm on the film, unless it lies in front of the film or behind it.
fn on_film([x, y, z]: [f64; 3], label: &str) -> Result<Point, Problem> {
    if !(z.abs() <= THICKNESS && x.is_finite() && y.is_finite()) {
        let label = shown(label);
        return Err(Problem::new(format!("point \"{label}\" is {z:.1} mm away from the film; place it on the film")));
    }
    Ok(Point::new(x, y))
}

pub(super) fn read(json: Value) -> Result<Marks, Problem> {
    let not_slicer = |error: serde_json::Error| {
        Problem::new(format!("it is not markups of 3D Slicer: {}", said(&error.to_string())))
    };
    let document: Document = serde_json::from_value(json).map_err(not_slicer)?;
    let (mut marks, film) = nameless(Form::Slicer);
    for markup in document.markups {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let sign = markup.coordinate_system.as_ref().map_or(Ok(1.0), |system| signs(&text(system)))?;
        let unit = match &markup.coordinate_units {
            Some(Value::Array(code)) => code.first().map(text),
            unit => unit.as_ref().map(text),
        };
        let scale = match unit.as_deref() {
            None | Some("mm") => 1.0,
            Some("um") => 1e-3,
            Some(other) => {
                let other = shown(other);
                return Err(Problem::new(format!("its unit is \"{other}\"; save it in 3D Slicer in mm")));
            }
        };
        for ControlPoint { label, position, position_status } in markup.control_points {
            let defined = position_status.as_deref().is_none_or(|status| status == "defined");
            let position =
                position.filter(|_| defined).map(|[x, y, z]| [sign * scale * x, sign * scale * y, scale * z]);
            let at = position.map(|position| on_film(position, &label)).transpose()?;
            marks.add(film, Label::of(label.trim()), at);
        }
    }
    Ok(marks)
}

/// Whether a text is the older table.
pub(super) fn is_table(text: &str) -> bool {
    text.starts_with(TABLE)
}

pub(super) fn read_table(text: &str) -> Result<Marks, Problem> {
    let (mut marks, film) = nameless(Form::SlicerTable);
    let stated = |name: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix('#')?.trim().strip_prefix(name));
        lines.filter_map(|rest| rest.trim().strip_prefix('=')).map(str::trim).next()
    };
    // Before there was a line about it, positions were RAS.
    let sign = signs(stated("CoordinateSystem").unwrap_or("RAS"))?;
    let columns: Vec<&str> = stated("columns").unwrap_or(COLUMNS).split(',').map(str::trim).collect();
    let column = |name: &str| {
        let missing = || Problem::new(format!("its header names no column {name}; save it in 3D Slicer again"));
        columns.iter().position(|column| *column == name).ok_or_else(missing)
    };
    let at = [column("x")?, column("y")?, column("z")?];
    let label = column("label")?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
    for (line, text) in lines {
        let reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let Some(row) = reader.into_records().find_map(Result::ok) else { continue };
        let cell = |column: usize| row.get(column).unwrap_or_default().trim();
        let numbers = at.map(|column| cell(column).parse::<f64>().ok());
        let [Some(x), Some(y), Some(z)] = numbers else {
            return Err(Problem::at(line, "x, y and z are not three numbers; save it in 3D Slicer again"));
        };
        let at = on_film([sign * x, sign * y, z], cell(label)).map_err(|problem| Problem::at(line, problem.text))?;
        marks.add(film, Label::of(cell(label)), Some(at));
    }
    Ok(marks)
}

pub(super) fn write(films: &[FilmPoints], set: &LandmarkSet, spacing: &Spacing) -> String {
    let points = films.iter().flat_map(|film| set.landmarks.iter().zip(&film.points)).map(|(landmark, point)| {
        let mut control = json!({
            "id": landmark.number.to_string(),
            "label": landmark.name,
            "description": landmark.title,
            "positionStatus": if point.is_some() { "defined" } else { "undefined" },
        });
        if let Some(Point { x, y }) = point.map(|point| to_mm(point, spacing)) {
            control["position"] = json!([x, y, 0.0]);
        }
        control
    });
    super::json(&json!({
        "@schema": SCHEMA,
        "markups": [{
            "type": "Fiducial",
            "name": films.first().and_then(|film| film.film.name.clone()).unwrap_or_else(|| set.name.clone()),
            "coordinateSystem": "LPS",
            "coordinateUnits": "mm",
            "locked": false,
            "labelFormat": "%N-%d",
            "controlPoints": points.collect::<Vec<_>>(),
        }],
    }))
}

pub(super) fn write_table(films: &[FilmPoints], set: &LandmarkSet, spacing: &Spacing) -> String {
    let mut text = format!("{TABLE} = 4.11\n# CoordinateSystem = LPS\n# columns = {COLUMNS}\n");
    for (landmark, px) in films.iter().flat_map(|film| super::annotated(film, set)) {
        let Point { x, y } = to_mm(px, spacing);
        // Writing to a string can't fail.
        let _ = writeln!(text, "{},{x},{y},0,0,0,0,1,1,1,0,{},,", landmark.number, landmark.name);
    }
    text
}
