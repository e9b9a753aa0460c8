//! JSON with all results of all films, written and read. `docs/detections.schema.json` describes it.
//!
//! The field `schema` states the version. Within a version, fields may be added, and a field never changes its meaning. The
//! reader ignores unknown fields, so it can read documents that later versions of this crate write.

use std::borrow::Cow;

use onemark_film::visible::visible_json;
use onemark_runtime::Detections;
use serde::{Deserialize, Serialize};

use crate::{PROGRAM, ResultsError};

/// The version of the document's format.
pub const SCHEMA: &str = "onemark-detections/1";

/// The results of all films.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(title = "Onemark detections"))]
#[non_exhaustive]
pub struct Document {
    /// The version of the document's format.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA)))]
    pub schema: Cow<'static, str>,
    /// The program that wrote the document, with its version.
    pub program: Cow<'static, str>,
    /// The films, in the order in which they were given.
    pub films: Vec<FilmReport>,
}

/// The results of one film, or the reason why there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
#[non_exhaustive]
pub enum FilmReport {
    /// The film was read, and landmarks were looked for.
    #[non_exhaustive]
    Done {
        /// The film's file, as it was given.
        file: String,
        /// Time that the detection took, in seconds.
        seconds: f64,
        /// What a person should know about how the film was read.
        warnings: Vec<String>,
        /// The output files that could not be made for this film, each with the reason. Absent if there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_written: Vec<String>,
        /// The landmarks and measurements.
        #[serde(flatten)]
        detections: Box<Detections>,
    },
    /// The film could not be read, or no landmarks could be looked for on it.
    #[non_exhaustive]
    Failed {
        /// The film's file, as it was given.
        file: String,
        /// The reason, and what to do.
        error: String,
    },
}

impl Document {
    /// A document of these films, written by this program.
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
        Self::Done { file: file.into(), seconds, warnings, not_written: Vec::new(), detections: Box::new(detections) }
    }

    /// The same report with the output files that could not be made, each with the reason. A film that failed has none anyway.
    ///
    /// ```
    /// # use onemark_results::json::{Document, FilmReport};
    /// # let document = Document::read(&std::fs::read_to_string("tests/films.json")?)?;
    /// let report = document.films[0].clone().with_not_written(vec!["1.mrk.json is in mm: give a spacing".into()]);
    /// assert!(serde_json::to_string(&report)?.contains(r#""not_written":["1.mrk.json is in mm"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_not_written(mut self, files: Vec<String>) -> Self {
        if let Self::Done { not_written, .. } = &mut self {
            *not_written = files;
        }
        self
    }

    /// The report on a film that could not be read, or on which no landmarks could be looked for. `error` says why and what to do.
    pub fn failed(file: impl Into<String>, error: impl Into<String>) -> Self {
        Self::Failed { file: file.into(), error: error.into() }
    }
}

/// A value as JSON that is safe to show on a terminal: characters that hide or reorder others are written as `\u…`. It has the
/// same meaning as without.
///
/// ```
/// let text = onemark_results::json::to_text(&["Sella\u{9b}2J"], true)?;
/// assert_eq!(text, "[\n  \"Sella\\u009b2J\"\n]\n");
/// assert_eq!(serde_json::from_str::<Vec<String>>(&text)?, ["Sella\u{9b}2J"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// The value can't be written as JSON.
pub fn to_text(value: &impl Serialize, indented: bool) -> serde_json::Result<String> {
    let text = if indented { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }?;
    Ok(visible_json(&text).into_owned() + "\n")
}
