//! Points in files for the commands: those of one film, and which landmarks are missing. The forms are in
//! [`onemark_evaluation::points`].

use std::path::{Path, PathBuf};

use clap::Args;
use onemark_evaluation::points::{self, FilmIdentity, PointsError};
use onemark_film::Film;
use onemark_film::geometry::Point;
use onemark_models::bundle::Bundle;
use onemark_models::landmarks::LandmarkSet;

use crate::trust::TrustOptions;

/// Which landmarks points belong to.
#[derive(Args)]
pub struct SetOptions {
    /// The landmark set: the id of a built-in one, or a YAML file
    #[arg(long, value_name = "SET", conflicts_with = "bundle")]
    landmarks: Option<String>,
    /// The landmark set of this bundle
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustOptions,
}

impl SetOptions {
    /// The files and folders that are read for the set.
    pub fn files(&self) -> Vec<PathBuf> {
        let of_bundle = self.bundle.iter().flat_map(|bundle| self.trust.files(bundle).chain([bundle.clone()]));
        of_bundle.chain(self.landmarks.iter().map(PathBuf::from)).collect()
    }

    /// The bundle, if one was given.
    pub fn bundle(&self) -> anyhow::Result<Option<Bundle>> {
        self.bundle.as_ref().map(|bundle| self.trust.open(bundle)).transpose()
    }

    /// The set, if one was given.
    pub fn open(&self) -> anyhow::Result<Option<LandmarkSet>> {
        if let Some(bundle) = self.bundle()? {
            return Ok(Some(bundle.manifest().landmark_set.clone()));
        }
        let set = self.landmarks.as_ref().map(|name| LandmarkSet::load(name, Path::new("")));
        Ok(set.transpose()?)
    }
}

/// The points of the film that was read from `file`, in the order of the set; `None` for landmarks that are not annotated. With
/// `any_film`, points that were placed on a film of another name are taken too.
pub fn of_film(
    points: &Path,
    set: &LandmarkSet,
    (film, file): (&Film, &Path),
    any_film: bool,
) -> anyhow::Result<Vec<Option<Point>>> {
    let all = points::read(points)?.films(set, film.spacing());
    let found = all.and_then(|all| points::for_film(all, &FilmIdentity::of(film, file), any_film));
    Ok(found.map_err(|error| about(points, error))?.points)
}

/// An error about the points of a file, with the file's name.
pub fn about(points: &Path, error: PointsError) -> anyhow::Error {
    match error {
        error @ (PointsError::Line { .. } | PointsError::Content { .. }) => error.into(),
        error => anyhow::Error::from(error).context(points.display().to_string()),
    }
}

/// The landmarks that are not annotated on all films, with the number of films; `None` if none is missing.
pub fn missing<'a>(set: &LandmarkSet, films: impl Iterator<Item = &'a [Option<Point>]> + Clone) -> Option<String> {
    let total = films.clone().count();
    let of = |index: usize| films.clone().filter(|points| points.get(index).is_none_or(Option::is_none)).count();
    let missing = set.landmarks.iter().enumerate().map(|(index, landmark)| (landmark, of(index)));
    let missing = missing.filter(|(_, films)| *films > 0);
    let words: Vec<String> = missing.map(|(landmark, films)| format!("{} on {films}", landmark.name)).collect();
    let films = if total == 1 { "film" } else { "films" };
    (!words.is_empty()).then(|| format!("not annotated, of {total} {films}: {}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use onemark_film::Size;
    use onemark_runtime::Status;

    fn points(text: &str) -> anyhow::Result<Vec<Option<Point>>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut set = LandmarkSet::named("isbi19")?;
        set.landmarks.truncate(3);
        let film = Film::from_grey(Size { width: 4, height: 5 }, vec![0; 20])?;
        of_film(file.path(), &set, (&film, Path::new("films/a.png")), false)
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
        let film = |name: &str| format!(r#"{{"file": "{name}", "landmarks": [{}]}}"#, all.join(","));
        assert_eq!(points(&format!(r#"{{"films": [{}]}}"#, film("a.png"))).unwrap(), expected);
        // Of several films, the film's own.
        assert_eq!(points(&format!(r#"{{"films": [{}, {}]}}"#, film("b.png"), film("a.png"))).unwrap(), expected);
        let two = points(&format!(r#"{{"films": [{0}, {0}]}}"#, film("a.png"))).unwrap_err();
        assert!(format!("{two:#}").contains("for 2 films, of which 2 are called like a.png"), "{two:#}");
        let other = points(&format!(r#"{{"films": [{}]}}"#, film("152.png"))).unwrap_err();
        assert!(format!("{other:#}").contains("the points are for 152.png, not for a.png"), "{other:#}");
    }

    /// The reader of points knows every status that is written. It gives those a position that have one.
    #[test]
    fn every_status_is_read() {
        for (status, has_position) in [(Status::Found, true), (Status::EditedByHand, true), (Status::NotFound, false)] {
            // A status that is added here is added to the list above, and to the reader.
            match status {
                Status::Found | Status::NotFound | Status::EditedByHand => {}
            }
            let status = serde_json::to_value(status).unwrap();
            let json = format!(
                r#"{{"films": [{{"file": "a.png", "landmarks": [{{"number": 1, "status": {status}, "position": {{"x": 1.5, "y": 2}}}}]}}]}}"#
            );
            let status = status.as_str().unwrap();
            let table = format!("number,name,title,status,x_px,y_px\n1,sella,Sella,{status},1.5,2\n");
            for text in [json, table] {
                assert_eq!(points(&text).unwrap()[0], has_position.then_some(Point::new(1.5, 2.0)), "{text}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            (
                "landmark,x,y\nsela,1,2\n",
                "\"sela\" is none of the 3 landmarks of set \"isbi19\"; did you mean `sella`?",
            ),
            ("landmark,x,y\nsella,1,2\nsella,1,2\n", "line 3: landmark 1 (sella) is there twice"),
            ("landmark,x,y\n1,1,2\nsella,1,2\n", "line 3: landmark 1 (sella) is there twice"),
            ("number,name,x,y\n2,sella,1,2\n", "line 2: number 2 and name \"sella\" are two landmarks"),
            ("landmark,x,y\nsella,1,high\n", "line 2: (1, high) is not a position in px"),
            ("landmark,x,y\n", "there are no points for any film"),
            ("1,2\n3,4\n", "line 1: the first line must name landmark, x and y"),
            ("{", "it is not JSON that can be read: EOF"),
            ("{}", "holds no points in a form that is known"),
            ("<a/>", "not CVAT's <annotations>"),
            ("", "it is empty"),
        ] {
            let error = format!("{:#}", points(text).unwrap_err());
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn missing_landmarks_are_counted() {
        let mut set = LandmarkSet::named("isbi19").unwrap();
        set.landmarks.truncate(3);
        let point = Some(Point::new(1.0, 1.0));
        let films = [[point, None, None], [point, point, None]];
        let words = missing(&set, films.iter().map(<[_; 3]>::as_slice));
        assert_eq!(words.as_deref(), Some("not annotated, of 2 films: nasion on 1, orbitale on 2"));
        assert_eq!(missing(&set, [[point; 3]].iter().map(<[_; 3]>::as_slice)), None);
    }
}
