//! The landmark set of a recipe as YAML: the id of a built-in set, or a whole set. Paths are replaced by sets before.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

use crate::landmarks::LandmarkSet;

pub(super) fn serialize<S: Serializer>(set: &LandmarkSet, serializer: S) -> Result<S::Ok, S::Error> {
    match LandmarkSet::named(&set.id) {
        Ok(built_in) if built_in == *set => serializer.serialize_str(&set.id),
        _ => set.serialize(serializer),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LandmarkSet, D::Error> {
    deserializer.deserialize_any(Either)
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = LandmarkSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id or the file of a landmark set, or a whole set")
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<LandmarkSet, E> {
        LandmarkSet::named(id).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LandmarkSet, A::Error> {
        LandmarkSet::deserialize(MapAccessDeserializer::new(map))
    }
}
