//! A rule that a value breaks.

use std::borrow::Cow;

use crate::text::for_message;

/// A rule that a value breaks. The caller adds the name of the file, if it knows one. The message escapes hidden characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", prefix(.key), for_message(.why))]
pub struct Invalid {
    /// The key of the wrong value: `network.size`, `phases[0].epochs`. Empty if it is the whole value.
    pub key: String,
    /// The rule, or what is wrong and how to correct it.
    pub why: Cow<'static, str>,
}

fn prefix(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("{}: ", for_message(key)) }
}

impl Invalid {
    /// An error: the value of `key` breaks the rule `why`.
    pub fn new(key: impl Into<String>, why: impl Into<Cow<'static, str>>) -> Self {
        Self { key: key.into(), why: why.into() }
    }

    /// The same error, with `parent` before its key.
    #[must_use]
    pub fn within(self, parent: &str) -> Self {
        let key = if self.key.is_empty() { parent.to_owned() } else { format!("{parent}.{}", self.key) };
        Self { key, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_from_the_outermost_value_to_the_wrong_one() {
        let wrong = Invalid::new("epochs", "must be at least 1").within("phases[0]").within("recipe");
        assert_eq!(wrong.to_string(), "recipe.phases[0].epochs: must be at least 1");
        assert_eq!(Invalid::new("", "must be a mapping").to_string(), "must be a mapping");
        assert_eq!(Invalid::new("", "must be a mapping").within("trunk").to_string(), "trunk: must be a mapping");
    }
}
