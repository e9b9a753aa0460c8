//! Finds recipes by name, and merges recipes that state only their differences from another recipe, their `base`.

use std::borrow::Cow;
use std::error::Error as _;
use std::path::Path;

use super::{BUILT_IN, RecipeError, Spec};
use crate::invalid::Invalid;
use crate::landmarks::LandmarkSet;
use crate::spelling::did_you_mean;
use crate::yaml::{self, Value};

/// The longest chain of `base` recipes. A longer one is a cycle.
const LONGEST_CHAIN: usize = 8;

/// The keys of recipes that have texts as values.
const TEXTS: [&str; 4] = ["name", "about", "landmarks", "template"];

/// The text of the built-in recipe called `name`, otherwise of the file at the path `name`.
pub(super) fn text_of(name: &str) -> Result<Cow<'static, str>, RecipeError> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        return Ok(Cow::Borrowed(text));
    }
    if !Path::new(name).exists() {
        let names = BUILT_IN.map(|(name, _)| name);
        return Err(RecipeError::Unknown {
            name: name.to_owned(),
            built_in: names.join(", "),
            hint: did_you_mean(name, names),
        });
    }
    let text = yaml::load(Path::new(name)).map_err(|source| RecipeError::Read { path: name.to_owned(), source })?;
    Ok(Cow::Owned(text))
}

/// A recipe's text, followed by its bases: each text changes the text after it.
pub(super) struct Chain<'a>(Vec<Link<'a>>);

struct Link<'a> {
    /// The file or the built-in name.
    origin: String,
    text: Cow<'a, str>,
    /// The text's values, without its `base`.
    value: Value,
}

impl<'a> Chain<'a> {
    /// Reads a recipe's bases.
    pub(super) fn read(origin: &str, text: &'a str) -> Result<Self, RecipeError> {
        let mut chain = Self(Vec::new());
        let mut next = Some((origin.to_owned(), Cow::Borrowed(text)));
        while let Some((origin, text)) = next {
            let mut value: Value = yaml::read(&format!("recipe {origin}"), &text)?;
            let base = value.as_mapping_mut().and_then(|own| {
                // Two spellings of one key.
                if let Some(ids) = own.remove("templates") {
                    own.insert("template".into(), ids);
                }
                own.remove("base")
            });
            chain.0.push(Link { origin, text, value });
            let Some(base) = base else { break };
            let refuse = |why| chain.refuse(Invalid::new("base", why));
            let name = base.as_str().ok_or_else(|| refuse("must name a built-in recipe or a recipe file"))?;
            if chain.0.len() > LONGEST_CHAIN {
                return Err(refuse("the `base` recipes form a cycle"));
            }
            next = Some((name.to_owned(), text_of(name)?));
        }
        Ok(chain)
    }

    /// The merged values of the recipe and its bases.
    pub(super) fn spec(&self) -> Result<Spec, RecipeError> {
        let set = self.set_of_file()?;
        if let ([Link { origin, text, .. }], None) = (self.0.as_slice(), &set) {
            return Ok(yaml::read(&format!("recipe {origin}"), text)?);
        }
        let mut merged = Value::Null;
        self.0.iter().rev().for_each(|link| yaml::merge(&mut merged, link.value.clone()));
        spell_texts(&mut merged);
        if let (Some(set), Some(keys)) = (set, merged.as_mapping_mut()) {
            keys.insert("landmarks".into(), set);
        }
        yaml::from_value(merged).map_err(|invalid| self.refuse(invalid))
    }

    /// The landmark set, if the recipe names it, or else the first of its bases that does, and the set is not built in. Its path is
    /// relative to the file of the recipe that names it.
    fn set_of_file(&self) -> Result<Option<Value>, RecipeError> {
        let named = self.0.iter().find_map(|link| Some((link, link.value.get("landmarks")?)));
        let Some((link, Value::String(name))) = named else { return Ok(None) };
        if LandmarkSet::ids().any(|id| id == name) {
            return Ok(None);
        }
        let folder = Path::new(&link.origin).parent().unwrap_or(Path::new(""));
        let set = LandmarkSet::load(name, folder).map_err(|error| {
            let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
            self.refuse(Invalid::new("landmarks", format!("{error}{cause}")))
        })?;
        Ok(Some(yaml::to_value(&set)?))
    }

    /// An error that names the recipe that sets the wrong key, and the line.
    pub(super) fn refuse(&self, invalid: Invalid) -> RecipeError {
        let set_by = |link: &Link<'_>| Some((link.origin.clone(), yaml::line_of(&link.text, &invalid.key)?));
        let own = || self.0.first().map(|own| own.origin.clone()).unwrap_or_default();
        let (origin, line) = match self.0.iter().find_map(set_by) {
            Some((origin, line)) => (origin, Some(line)),
            None => (own(), None),
        };
        RecipeError::Invalid { origin, line, invalid }
    }
}

/// Turns numbers and booleans into texts where a recipe has a text: `template: 125`. Reading directly from a text does the same.
fn spell_texts(value: &mut Value) {
    match value {
        Value::Mapping(map) => {
            for (key, value) in map {
                match value {
                    Value::Sequence(list) if is_text(key) => list.iter_mut().for_each(spell),
                    value if is_text(key) => spell(value),
                    value => spell_texts(value),
                }
            }
        }
        Value::Sequence(list) => list.iter_mut().for_each(spell_texts),
        _ => {}
    }
}

fn is_text(key: &Value) -> bool {
    key.as_str().is_some_and(|key| TEXTS.contains(&key))
}

fn spell(value: &mut Value) {
    match value {
        Value::Number(number) => *value = number.to_string().into(),
        Value::Bool(truth) => *value = truth.to_string().into(),
        _ => {}
    }
}
