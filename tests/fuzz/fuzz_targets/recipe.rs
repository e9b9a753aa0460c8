//! Parses text as a landmark set if it has a definition, otherwise as a recipe. What parses is written; parsed again, it is equal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::recipe::Recipe;
use onemark_models::yaml;

/// A key that every landmark of a set has, and no recipe.
const OF_SETS: &str = "definition";

fuzz_target!(|text: &str| {
    if text.contains(OF_SETS) {
        let Ok(set) = LandmarkSet::from_yaml(text) else { return };
        let written = yaml::write(&set).expect("every set can be written");
        assert_eq!(set, LandmarkSet::from_yaml(&written).expect("what was written can be parsed"));
        return;
    }
    let Ok(recipe) = Recipe::parse("fuzz", text) else { return };
    let yaml = recipe.to_yaml().expect("every recipe can be written");
    let again = Recipe::parse("fuzz", &yaml).expect("what was written can be parsed");
    assert_eq!(yaml, again.to_yaml().expect("every recipe can be written"));
});
