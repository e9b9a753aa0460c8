//! Reads the points that a person has placed on a film: corrected JSON of `onemark detect --json`, or a table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use onemark_film::geometry::Point;
use onemark_models::landmarks::{Landmark, LandmarkSet};
use onemark_models::spelling;
use onemark_results::json;
use onemark_runtime::Status;
use serde::Deserialize;

/// Largest size of a file of points, in bytes; far more than any film's points need.
const LARGEST: u64 = 16 << 20;

/// A row of a table: the landmark by name or number, and its position in px from the film's left and top edge.
#[derive(Deserialize)]
struct Row {
    landmark: String,
    x: f64,
    y: f64,
}

/// The points of one film, in the order of the set; `None` for landmarks that are missing in the file or not found.
pub fn read(path: &Path, set: &LandmarkSet) -> anyhow::Result<Vec<Option<Point>>> {
    let reading = || format!("reading the points of {}", path.display());
    if fs::metadata(path).with_context(reading)?.len() > LARGEST {
        bail!("{} is too large for a file of points", path.display());
    }
    let text = fs::read_to_string(path).with_context(reading)?;
    let named = if text.trim_start().starts_with('{') { from_json(&text) } else { from_table(&text) };
    let mut named = named.with_context(|| {
        format!(
            "{} holds no points: give a JSON file of `onemark detect` for one film, or a table `landmark,x,y` in px",
            path.display()
        )
    })?;
    let mut of =
        |landmark: &Landmark| named.remove(&landmark.name).or_else(|| named.remove(&landmark.number.to_string()));
    let points = set.landmarks.iter().map(&mut of).collect();
    if let Some(name) = named.keys().next() {
        let nearest = spelling::nearest(name, set.landmarks.iter().map(|landmark| landmark.name.as_str()));
        let nearest = nearest.map_or(String::new(), |name| format!(" (did you mean {name}?)"));
        bail!(
            "{}: the bundle has no landmark `{name}`{nearest}: `onemark inspect` lists its landmarks",
            path.display()
        );
    }
    Ok(points)
}

fn from_json(text: &str) -> anyhow::Result<BTreeMap<String, Point>> {
    let films = json::positions(text)?;
    let [film] = films.as_slice() else { bail!("it is about {} films", films.len()) };
    let found = film.iter().filter(|landmark| landmark.status != Status::NotFound);
    Ok(found.map(|landmark| (landmark.name.clone(), landmark.position)).collect())
}

fn from_table(text: &str) -> anyhow::Result<BTreeMap<String, Point>> {
    let mut points = BTreeMap::new();
    for row in csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes()).deserialize() {
        let Row { landmark, x, y } = row?;
        if points.insert(landmark.clone(), Point::new(x, y)).is_some() {
            bail!("it gives {landmark} twice");
        }
    }
    if points.is_empty() {
        bail!("it has no rows");
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn points(text: &str) -> anyhow::Result<Vec<Option<Point>>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let mut set = LandmarkSet::named("isbi19")?;
        set.landmarks.truncate(3);
        read(file.path(), &set)
    }

    #[test]
    fn tables_and_documents() {
        let expected = [Some(Point::new(1.5, 2.0)), None, Some(Point::new(-3.0, 4e2))];
        assert_eq!(points("landmark,x,y\n3, -3,400\nsella,1.5,2\n").unwrap(), expected);
        let landmark = |name: &str, x: f64, y: f64, status: &str| {
            format!(r#"{{"name": "{name}", "position": {{"x": {x}, "y": {y}}}, "status": "{status}", "score": 0.5}}"#)
        };
        let all = [
            landmark("sella", 1.5, 2.0, "edited-by-hand"),
            landmark("nasion", 7.0, 7.0, "not-found"),
            landmark("orbitale", -3.0, 400.0, "found"),
        ];
        let film = format!(r#"{{"file": "a.png", "landmarks": [{}]}}"#, all.join(","));
        assert_eq!(points(&format!(r#"{{"films": [{film}]}}"#)).unwrap(), expected);
        let two = points(&format!(r#"{{"films": [{film}, {film}]}}"#)).unwrap_err();
        assert!(format!("{two:#}").contains("about 2 films"), "{two:#}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("landmark,x,y\nsela,1,2\n", "no landmark `sela` (did you mean sella?)"),
            ("landmark,x,y\nsella,1,2\nsella,1,2\n", "gives sella twice"),
            ("landmark,x,y\nsella,1,high\n", "invalid float"),
            ("landmark,x,y\n", "no rows"),
            ("1,2\n3,4\n", "missing field"),
            ("{", "EOF"),
            ("", "no rows"),
        ] {
            let error = format!("{:#}", points(text).unwrap_err());
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
