//! Recipes by name, and recipes that only say how they differ from another, their `base`.

use std::borrow::Cow;
use std::path::Path;

use serde_yaml::Value;

use super::{BUILT_IN, RecipeError};
use crate::yaml;

/// How many recipes may stand on each other: more are a circle.
const LONGEST_LINE: usize = 8;

/// The text of a built-in recipe, or else of the file called `name`.
pub(super) fn text_of(name: &str) -> Result<Cow<'static, str>, RecipeError> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        return Ok(Cow::Borrowed(text));
    }
    if !Path::new(name).exists() {
        let names = BUILT_IN.map(|(name, _)| name);
        return Err(RecipeError::Unknown {
            name: name.to_owned(),
            built_in: names.join(", "),
            hint: yaml::nearest(name, names).map_or(String::new(), |near| format!("; did you mean `{near}`?")),
        });
    }
    let text = std::fs::read_to_string(name).map_err(|source| RecipeError::Read { path: name.to_owned(), source })?;
    Ok(Cow::Owned(text))
}

/// A recipe with a base merged into one; nothing where it has no base.
pub(super) fn merged(origin: &str, text: &str) -> Result<Option<Value>, RecipeError> {
    merged_within(LONGEST_LINE, origin, text)
}

fn merged_within(bases_left: usize, origin: &str, text: &str) -> Result<Option<Value>, RecipeError> {
    let mut own: Value = yaml::read(&format!("recipe {origin}"), text)?;
    let Some(base) = own.as_mapping_mut().and_then(|own| own.remove("base")) else { return Ok(None) };
    let refuse = |why: &str| RecipeError::Impossible { origin: origin.to_owned(), key: "base", why: why.to_owned() };
    let name = base.as_str().ok_or_else(|| refuse("must name a built-in recipe or a recipe file"))?;
    let left = bases_left.checked_sub(1).ok_or_else(|| refuse("recipes stand on each other in a circle"))?;
    let text = text_of(name)?;
    let mut base = match merged_within(left, name, &text)? {
        Some(merged) => merged,
        None => yaml::read(&format!("recipe {name}"), &text)?,
    };
    merge(&mut base, own);
    Ok(Some(base))
}

fn merge(base: &mut Value, own: Value) {
    match (base, own) {
        (Value::Mapping(base), Value::Mapping(own)) => {
            for (key, value) in own {
                match base.get_mut(&key) {
                    Some(old) => merge(old, value),
                    None => drop(base.insert(key, value)),
                }
            }
        }
        (base, own) => *base = own,
    }
}
