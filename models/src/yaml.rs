//! The only reader and writer of YAML: strict reading with errors that name the key, the line and the nearest valid spelling.
//! `bounds.rs` refuses texts that would take too much time or memory to read.

mod bounds;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as _, Deserializer};
pub use serde_yaml::Value;
pub(crate) use serde_yaml::with::singleton_map;

pub use self::bounds::{DEEPEST, MOST_VALUES};
use crate::bundle::limits::LARGEST_MANIFEST;
use crate::files::read_at_most;
use crate::invalid::Invalid;
use crate::spelling::nearest;
use crate::text::for_message;

/// Why a YAML text is refused. Where the message repeats words of the text, it escapes hidden characters and shortens long words.
#[derive(Debug, thiserror::Error)]
#[error("{origin}{}: {}{}", at(.line), for_message(.message), hint(.suggestion))]
pub struct YamlError {
    /// Where the text came from: a path or the name of a built-in file.
    pub origin: String,
    /// The line, counted from 1, if known.
    pub line: Option<usize>,
    /// What is wrong, naming the key.
    pub message: String,
    /// The nearest valid spelling of an unknown word.
    pub suggestion: Option<String>,
}

fn at(line: &Option<usize>) -> String {
    line.map_or(String::new(), |line| format!(":{line}"))
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or(String::new(), |word| format!("; did you mean `{word}`?"))
}

/// The text of a YAML file of at most [`LARGEST_MANIFEST`] bytes.
///
/// # Errors
/// It can't be read, is larger, or is not UTF-8.
pub fn load(path: &Path) -> io::Result<String> {
    let bytes = read_at_most(path, LARGEST_MANIFEST)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Reads a value. Unknown keys are errors if the type refuses unknown fields.
///
/// # Errors
/// The text is not YAML, has anchors or aliases, is nested deeper than [`DEEPEST`] levels or has more than [`MOST_VALUES`] values, or
/// does not describe a `T`.
pub fn read<T: DeserializeOwned>(origin: &str, text: &str) -> Result<T, YamlError> {
    bounds::check(origin, text)?;
    read_bounded(origin, text)
}

/// The same for a text whose bounds were checked before.
pub(crate) fn read_bounded<T: DeserializeOwned>(origin: &str, text: &str) -> Result<T, YamlError> {
    serde_path_to_error::deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let (mut line, mut message) = (None, error.to_string());
        if let Some(place) = error.location() {
            // A value that its type refuses after reading it has the line of the mapping around it. Its path leads to its own.
            line = Some(place.line()).max(line_of(text, &path));
            let said = format!(" at line {} column {}", place.line(), place.column());
            message.truncate(message.trim_end_matches(&said).len());
        }
        YamlError { origin: origin.to_owned(), line, suggestion: unknown_word(&message), message }
    })
}

/// Writes a value.
///
/// # Errors
/// The value can't be written as YAML.
pub fn write<T: serde::Serialize>(value: &T) -> Result<String, YamlError> {
    serde_yaml::to_string(value).map_err(cant_write)
}

/// A value as YAML's own.
///
/// # Errors
/// The same as [`write`].
pub(crate) fn to_value<T: serde::Serialize>(value: &T) -> Result<Value, YamlError> {
    serde_yaml::to_value(value).map_err(cant_write)
}

fn cant_write(error: serde_yaml::Error) -> YamlError {
    YamlError { origin: "writing YAML".into(), line: None, message: error.to_string(), suggestion: None }
}

/// Converts a value that was read before to a `T`. The error's key is the path to the wrong part.
///
/// # Errors
/// The value does not describe a `T`.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Invalid> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        let hint = hint(&unknown_word(&message));
        Invalid::new(if path == "." { String::new() } else { path }, format!("{message}{hint}"))
    })
}

/// Applies `changes` to `base`: mappings are merged key by key, any other value is replaced.
pub(crate) fn merge(base: &mut Value, changes: Value) {
    match (base, changes) {
        (Value::Mapping(base), Value::Mapping(changes)) => {
            for (key, value) in changes {
                match base.get_mut(&key) {
                    Some(old) => merge(old, value),
                    None => drop(base.insert(key, value)),
                }
            }
        }
        (base, changes) => *base = changes,
    }
}

/// A map in which no key may occur twice. Serde alone would silently use the last value.
pub(crate) fn without_repeats<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let map = serde_yaml::Mapping::deserialize(deserializer)?;
    serde_yaml::from_value(map.into()).map_err(D::Error::custom)
}

/// The line, counted from 1, on which a text sets the value at `path` (`phases[0].epochs`), or a value that contains it. `None` if
/// the text does not set it.
pub(crate) fn line_of(text: &str, path: &str) -> Option<usize> {
    let path: Vec<&str> = path.split(['.', '[', ']']).filter(|part| !part.is_empty()).collect();
    let stopped = Walk(&path).deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    Some(stopped.location()?.line())
}

/// Walks to the value at a path and refuses it, because serde_yaml tells the line of errors only.
#[derive(Clone, Copy)]
struct Walk<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path to the value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.0.split_first() else { return Err(A::Error::custom("this is the value")) };
        while let Some(key) = map.next_key::<Value>()? {
            match key.as_str() == Some(first) {
                true => map.next_value_seed(Walk(rest))?,
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let Some((first, rest)) = self.0.split_first() {
            for _ in 0..first.parse().unwrap_or(0) {
                list.next_element::<IgnoredAny>()?;
            }
            list.next_element_seed(Walk(rest))?;
        }
        Err(A::Error::custom("this is the value"))
    }
}

/// Serde says "unknown field `x`, expected one of `a`, `b`": the first quoted word is wrong, the others are right.
fn unknown_word(message: &str) -> Option<String> {
    let rest = &message[message.find("unknown ")?..];
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let word = quoted.next()?;
    nearest(word, quoted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_are_short_texts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a: 1").unwrap();
        assert_eq!(load(file.path()).unwrap(), "a: 1");
        std::fs::write(file.path(), [b'#', 0xFF]).unwrap();
        assert!(load(file.path()).unwrap_err().to_string().contains("not UTF-8"));
        file.as_file().set_len(LARGEST_MANIFEST + 1).unwrap();
        assert_eq!(load(file.path()).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    const TEXT: &str = "a: 1\nb:\n  c: 2\n  d:\n    - e: 3\n      f: !tag { g: 4 }\n";

    #[test]
    fn the_line_of_a_value_is_found() {
        for (path, line) in [("a", 1), ("b.c", 3), ("b.d[0].e", 5), ("b.d[0].f", 6)] {
            assert_eq!(line_of(TEXT, path), Some(line), "{path}");
        }
        // A list or a scalar replaces all of a base's value, so it sets every value below its path too.
        for (path, line) in [("b.d[4].e", 5), ("b.d[0].x", 5), ("a.x", 1)] {
            assert_eq!(line_of(TEXT, path), Some(line), "{path}");
        }
        for path in ["x", "b.x"] {
            assert_eq!(line_of(TEXT, path), None, "{path}");
        }
    }

    #[test]
    fn mappings_are_merged_and_all_else_is_replaced() {
        let read = |text: &str| read::<Value>("a test", text).unwrap();
        let mut base = read("{ a: 1, b: { c: 2, d: [3, 4] } }");
        merge(&mut base, read("{ b: { d: [5], e: 6 } }"));
        assert_eq!(base, read("{ a: 1, b: { c: 2, d: [5], e: 6 } }"));
    }

    #[test]
    fn what_is_wrong_in_a_value_is_named_by_its_path() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Inner {
            #[allow(dead_code)]
            width: usize,
        }
        let value = |text: &str| from_value::<BTreeMap<String, Inner>>(read("a test", text).unwrap()).unwrap_err();
        assert_eq!(value("a: { width: many }").key, "a.width");
        let unknown = value("a: { widht: 1 }");
        assert!(unknown.key == "a.widht" && unknown.why.ends_with("did you mean `width`?"), "{unknown}");
    }

    /// A value that is refused as a whole, after it was read.
    #[derive(Debug, serde::Deserialize)]
    #[serde(try_from = "BTreeMap<String, u8>")]
    struct Refused;

    impl TryFrom<BTreeMap<String, u8>> for Refused {
        type Error = &'static str;

        fn try_from(_: BTreeMap<String, u8>) -> Result<Self, &'static str> {
            Err("is refused")
        }
    }

    #[test]
    fn a_line_is_that_of_the_value_and_said_once() {
        let text = "first: 1\nsecond:\n  third:\n    a: 1\n";
        let error = read::<BTreeMap<String, BTreeMap<String, Refused>>>("here", &text[9..]).unwrap_err();
        assert_eq!(error.to_string(), "here:3: second: is refused");
    }
}
