//! Recipes: what is built in reads back unchanged, and slips of the keyboard are named with their line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use onemark_models::recipe::{BUILT_IN, Recipe};

fn error(change: impl Fn(&str) -> String) -> String {
    let text = BUILT_IN.iter().find(|(name, _)| *name == "c-adapter").unwrap().1;
    let changed = change(text);
    assert_ne!(text, changed, "the test changes nothing");
    Recipe::parse("mine.yaml", &changed).unwrap_err().to_string()
}

#[test]
fn built_in_recipes_read_back_unchanged() {
    for (name, text) in BUILT_IN {
        let recipe = Recipe::parse(name, text).unwrap();
        assert_eq!(recipe.name, name);
        assert_eq!(Recipe::parse(name, &recipe.to_yaml().unwrap()).unwrap(), recipe);
    }
}

#[test]
fn unknown_key_is_named_with_line_and_nearest_spelling() {
    let message = error(|text| text.replace("adapter_channels", "adapter_chanels"));
    assert!(message.starts_with("recipe mine.yaml:16"), "{message}");
    assert!(message.contains("unknown field `adapter_chanels`"), "{message}");
    assert!(message.ends_with("did you mean `adapter_channels`?"), "{message}");
}

#[test]
fn wrong_type_is_named_with_key_and_line() {
    let message = error(|text| text.replace("embedding: 64", "embedding: many"));
    assert!(message.contains("mine.yaml:15") && message.contains("network.embedding"), "{message}");
}

#[test]
fn impossible_value_is_named_with_key_line_and_rule() {
    let message = error(|text| text.replace("size: 384", "size: 380"));
    assert!(
        message.contains("mine.yaml:12") && message.contains("network.size") && message.contains("multiple of 32"),
        "{message}"
    );
    let message = error(|text| text.replace("landmarks: isbi19", "landmarks: isbi91"));
    assert!(message.contains("landmarks") && message.contains("isbi19"), "{message}");
}

#[test]
fn impossible_combination_is_named() {
    let message = error(|text| text.replace("adapters: true", "adapters: false"));
    assert!(message.contains("phases.adapters"), "{message}");
}

/// A recipe that differs from c-adapter.
fn on_c_adapter(differences: &str) -> Result<Recipe, String> {
    let text = format!("base: c-adapter\nname: mine\nabout: Mine.\n{differences}");
    Recipe::parse("mine.yaml", &text).map_err(|error| error.to_string())
}

#[test]
fn a_recipe_on_a_base_says_only_how_it_differs() {
    let base = Recipe::load("c-adapter").unwrap();
    let mine = on_c_adapter("network: { adapter_channels: 4 }\nseed: 1\n").unwrap();
    let mut expected = Recipe { name: "mine".into(), about: "Mine.".into(), seed: 1, ..base };
    expected.network.adapter_channels = 4;
    assert_eq!(mine, expected);

    let unknown = on_c_adapter("network: { adapter_chanels: 4 }\n").unwrap_err();
    assert!(
        unknown.contains("mine.yaml, spelt out") && unknown.contains("did you mean `adapter_channels`?"),
        "{unknown}"
    );
    let nowhere = Recipe::parse("mine.yaml", "base: c-adaptor").unwrap_err().to_string();
    assert!(nowhere.contains("did you mean `c-adapter`?"), "{nowhere}");
}

#[test]
fn recipes_that_stand_on_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("circle.yaml");
    std::fs::write(&path, format!("base: {}\n", path.display())).unwrap();
    let message = Recipe::load(path.to_str().unwrap()).unwrap_err().to_string();
    assert!(message.contains("circle"), "{message}");
}

#[test]
fn unknown_recipe_lists_what_there_is() {
    let message = Recipe::load("c-adaptor").unwrap_err().to_string();
    assert!(message.contains("did you mean `c-adapter`?"), "{message}");
}
