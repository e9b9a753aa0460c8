//! JSON: everything that is known about the films, in the form that `docs/detections.schema.json` describes.
//!
//! Programs may rely on the version in `schema`: within one, fields are added and never change their meaning.

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

use crate::PROGRAM;
use onemark_runtime::Detections;

/// The version of the form.
pub const SCHEMA: &str = "onemark-detections/1";

/// What was found on films.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "Onemark detections")]
pub struct Document {
    /// The version of this form.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: &'static str,
    /// What made it, with its version.
    pub program: &'static str,
    /// The films in the order in which they were given.
    pub films: Vec<FilmReport>,
}

/// What happened to one film.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FilmReport {
    /// It was read, and landmarks were looked for.
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
    Failed {
        /// The film's file, as it was given.
        file: String,
        /// Why, and what to do.
        error: String,
    },
}

impl Document {
    /// The document of these films.
    pub fn new(films: Vec<FilmReport>) -> Self {
        Self { schema: SCHEMA, program: PROGRAM, films }
    }

    /// The JSON Schema of all documents.
    pub fn schema() -> Schema {
        schema_for!(Self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Published, so that others can read our results without our code. `ONEMARK_UPDATE=1` writes it anew.
    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/detections.schema.json");
        let schema = serde_json::to_value(Document::schema()).unwrap();
        if std::env::var_os("ONEMARK_UPDATE").is_some() {
            std::fs::write(path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
        }
        let published: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(published == schema, "docs/detections.schema.json is out of date: run this test with ONEMARK_UPDATE=1");
    }
}
