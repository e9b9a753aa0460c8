//! The ids of the annotated films in a recipe as YAML: one id, or a list of ids.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

use crate::yaml;

/// The annotated films from which a network was trained, of the recipe in a bundle's manifest; `None` if the text is not a recipe.
#[must_use]
pub fn templates_of(recipe: &str) -> Option<Vec<String>> {
    /// The one key of a recipe that is read.
    #[derive(Deserialize)]
    struct Trained {
        #[serde(rename = "template", alias = "templates", deserialize_with = "deserialize")]
        templates: Vec<String>,
    }
    yaml::read("the bundle's recipe", recipe).ok().map(|trained: Trained| trained.templates)
}

pub(super) fn serialize<S: Serializer>(ids: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match ids {
        [id] => serializer.serialize_str(id),
        ids => ids.serialize(serializer),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(OneOrMore)
}

struct OneOrMore;

impl<'de> Visitor<'de> for OneOrMore {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of the annotated film, or a list of ids")
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<Self::Value, E> {
        Ok(vec![id.to_owned()])
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<Self::Value, E> {
        Ok(vec![id.to_string()])
    }

    fn visit_i64<E: Error>(self, id: i64) -> Result<Self::Value, E> {
        Ok(vec![id.to_string()])
    }

    fn visit_f64<E: Error>(self, id: f64) -> Result<Self::Value, E> {
        Ok(vec![id.to_string()])
    }

    fn visit_bool<E: Error>(self, id: bool) -> Result<Self::Value, E> {
        Ok(vec![id.to_string()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut ids = Vec::new();
        while let Some(id) = list.next_element()? {
            ids.push(id);
        }
        Ok(ids)
    }
}
