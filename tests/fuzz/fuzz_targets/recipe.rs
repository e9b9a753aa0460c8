//! Parses text as a recipe and as a landmark set. A recipe that parses is written; parsed again, it is equal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::recipe::Recipe;

fuzz_target!(|text: &str| {
    let _ = LandmarkSet::from_yaml(text);
    let Ok(recipe) = Recipe::parse("fuzz", text) else { return };
    let yaml = recipe.to_yaml().expect("every recipe can be written");
    let again = Recipe::parse("fuzz", &yaml).expect("what was written can be parsed");
    assert_eq!(yaml, again.to_yaml().expect("every recipe can be written"));
});
