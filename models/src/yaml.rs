//! The one door to YAML: strict reading with errors that name the key, the line and the nearest valid spelling.

use serde::de::DeserializeOwned;

/// Why a YAML text was refused.
#[derive(Debug, thiserror::Error)]
#[error("{origin}{}: {message}{}", at(.line), hint(.suggestion))]
pub struct YamlError {
    /// Where the text came from: a path or the name of a built-in file.
    pub origin: String,
    /// 1-based line, where known.
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

/// Reads a value. Types that refuse unknown fields make unknown keys errors here.
///
/// # Errors
/// The text is not YAML, or not a `T`.
pub fn read<T: DeserializeOwned>(origin: &str, text: &str) -> Result<T, YamlError> {
    serde_yaml::from_str(text).map_err(|error| {
        let message = error.to_string();
        YamlError {
            origin: origin.to_owned(),
            line: error.location().map(|place| place.line()),
            suggestion: unknown_word(&message),
            message,
        }
    })
}

/// Writes a value.
///
/// # Errors
/// The value has no YAML form.
pub fn write<T: serde::Serialize>(value: &T) -> Result<String, YamlError> {
    serde_yaml::to_string(value).map_err(|error| YamlError {
        origin: "writing YAML".into(),
        line: None,
        message: error.to_string(),
        suggestion: None,
    })
}

/// The candidate nearest to `word`, if it is near enough to be a slip of the keyboard.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let scored = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(word, candidate), candidate));
    scored.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word.to_owned())
}

/// Serde says "unknown field `x`, expected one of `a`, `b`": the first quoted word is wrong, the others are right.
fn unknown_word(message: &str) -> Option<String> {
    let rest = &message[message.find("unknown ")?..];
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let word = quoted.next()?;
    nearest(word, quoted)
}
