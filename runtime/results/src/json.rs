//! JSON: everything that is known about the films, in the form that `docs/detections.schema.json` describes, both ways.
//!
//! Programs may rely on the version in `schema`: within one, fields are added and never change their meaning. A reader ignores
//! fields that it does not know, so it reads what later versions of this crate write.

use std::borrow::Cow;

use onemark_film::geometry::Point;
use onemark_runtime::{Detections, Status};
use serde::{Deserialize, Serialize};

use crate::{PROGRAM, ResultsError};

/// The version of the form.
pub const SCHEMA: &str = "onemark-detections/1";

/// What was found on films.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(title = "Onemark detections"))]
#[non_exhaustive]
pub struct Document {
    /// The version of this form.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA)))]
    pub schema: Cow<'static, str>,
    /// What made it, with its version.
    pub program: Cow<'static, str>,
    /// The films in the order in which they were given.
    pub films: Vec<FilmReport>,
}

/// What happened to one film.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
#[non_exhaustive]
pub enum FilmReport {
    /// It was read, and landmarks were looked for.
    #[non_exhaustive]
    Done {
        /// The film's file, as it was given.
        file: String,
        /// How long it took.
        seconds: f64,
        /// What a person should know about how the film was read.
        warnings: Vec<String>,
        /// What was found.
        #[serde(flatten)]
        detections: Box<Detections>,
    },
    /// It could not be read, or its results not be written.
    #[non_exhaustive]
    Failed {
        /// The film's file, as it was given.
        file: String,
        /// Why, and what to do.
        error: String,
    },
}

impl Document {
    /// The document of these films, made by this program.
    ///
    /// ```
    /// use onemark_results::json::{Document, FilmReport};
    ///
    /// let failed = FilmReport::failed("2.dcm", "cannot read film 2.dcm");
    /// let text = serde_json::to_string(&Document::new(vec![failed]))?;
    /// assert!(text.starts_with(r#"{"schema":"onemark-detections/1","program":"onemark "#));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn new(films: Vec<FilmReport>) -> Self {
        Self { schema: SCHEMA.into(), program: PROGRAM.into(), films }
    }

    /// Reads a document.
    ///
    /// ```
    /// use onemark_results::json::{Document, FilmReport};
    ///
    /// let document = Document::read(&std::fs::read_to_string("tests/films.json")?)?;
    /// let [FilmReport::Done { detections, .. }, ..] = document.films.as_slice() else { return Err("no landmarks".into()) };
    /// assert_eq!(detections.landmark(1).map(|sella| sella.name()), Some("sella"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ResultsError::NotADocument`], [`ResultsError::OtherSchema`].
    pub fn read(text: &str) -> Result<Self, ResultsError> {
        let document: Self = serde_json::from_str(text).map_err(ResultsError::NotADocument)?;
        if document.schema != SCHEMA {
            return Err(ResultsError::OtherSchema { found: document.schema.into_owned(), expected: SCHEMA });
        }
        Ok(document)
    }

    /// The JSON Schema of all documents: `docs/detections.schema.json`.
    ///
    /// ```
    /// let schema = onemark_results::json::Document::schema();
    /// assert_eq!(schema.get("title").and_then(|title| title.as_str()), Some("Onemark detections"));
    /// ```
    #[cfg(feature = "schema")]
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}

impl FilmReport {
    /// The report on a film on which landmarks were looked for; `seconds` is how long that took.
    pub fn done(file: impl Into<String>, seconds: f64, warnings: Vec<String>, detections: Detections) -> Self {
        Self::Done { file: file.into(), seconds, warnings, detections: Box::new(detections) }
    }

    /// The report on a film that could not be read, or whose results could not be written. `error` says why and what to do.
    pub fn failed(file: impl Into<String>, error: impl Into<String>) -> Self {
        Self::Failed { file: file.into(), error: error.into() }
    }
}

/// A landmark's name, position and status: all that is needed of a document whose points a person may have typed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct NamedPosition {
    /// Short name: "posterior-nasal-spine".
    pub name: String,
    /// In film px from the film's top-left corner.
    pub position: Point,
    /// How much the position is worth.
    pub status: Status,
}

/// Reads the landmarks of each film of a document and ignores the rest, which a person who edits positions may have left out.
///
/// ```
/// let typed = r#"{"films": [{"landmarks": [{"name": "sella", "position": {"x": 833.5, "y": 1002}, "status": "edited-by-hand"}]}]}"#;
/// let films = onemark_results::json::positions(typed)?;
/// assert_eq!(films[0][0].position.x, 833.5);
/// # Ok::<(), onemark_results::ResultsError>(())
/// ```
///
/// # Errors
/// [`ResultsError::NotADocument`], for films that failed too: they have no landmarks.
pub fn positions(text: &str) -> Result<Vec<Vec<NamedPosition>>, ResultsError> {
    #[derive(Deserialize)]
    struct Positions {
        films: Vec<Film>,
    }
    #[derive(Deserialize)]
    struct Film {
        landmarks: Vec<NamedPosition>,
    }
    let document: Positions = serde_json::from_str(text).map_err(ResultsError::NotADocument)?;
    Ok(document.films.into_iter().map(|film| film.landmarks).collect())
}
