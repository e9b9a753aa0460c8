//! Recipes: built-in recipes are read back unchanged, and errors name misspelt keys with their line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use onemark_models::landmarks::LandmarkSet;
use onemark_models::recipe::{BUILT_IN, Committee, PriorUse, Recipe, Spec, templates_of};

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
    let expected = base.edit(|spec| {
        (spec.name, spec.about, spec.seed) = ("mine".into(), "Mine.".into(), 1);
        spec.network.adapter_channels = 4;
    });
    assert_eq!(mine, expected.unwrap());

    let unknown = on_c_adapter("network: { adapter_chanels: 4 }\n").unwrap_err();
    assert!(
        unknown.starts_with("recipe mine.yaml:4: network.adapter_chanels")
            && unknown.ends_with("did you mean `adapter_channels`?"),
        "{unknown}"
    );
    let nowhere = Recipe::parse("mine.yaml", "base: c-adaptor").unwrap_err().to_string();
    assert!(nowhere.contains("did you mean `c-adapter`?"), "{nowhere}");
}

#[test]
fn an_error_names_the_recipe_of_the_chain_that_sets_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("middle.yaml");
    let refused = |middle: &str, own: &str| {
        std::fs::write(&path, format!("base: c-adapter\n{middle}")).unwrap();
        Recipe::parse("mine.yaml", &format!("base: {}\n{own}", path.display())).unwrap_err().to_string()
    };
    let middle = |line: usize| format!("recipe {}:{line}: ", path.display());
    let value = refused("seed: 1\nnetwork: { size: 380 }\n", "name: mine\n");
    assert!(value.starts_with(&middle(3)) && value.contains("network.size: 380 is impossible"), "{value}");
    let wrong_type = refused("seed: many\n", "name: mine\n");
    assert!(wrong_type.starts_with(&middle(2)) && wrong_type.contains("seed: invalid type"), "{wrong_type}");
    // If both set a key, the recipe's own value is used.
    let own = refused("network: { size: 384 }\n", "name: mine\nnetwork: { size: 380 }\n");
    assert!(own.starts_with("recipe mine.yaml:3: network.size"), "{own}");
    let phases = refused("phases: []\n", "name: mine\n");
    assert!(phases.starts_with(&middle(2)) && phases.contains("phases: there must be at least one"), "{phases}");
}

#[test]
fn numbers_stand_for_texts_with_a_base_and_without() {
    let text = BUILT_IN.iter().find(|(name, _)| *name == "c-adapter").unwrap().1;
    let without = Recipe::parse("mine.yaml", &text.replace("template: \"125\"", "template: 125")).unwrap();
    let with = Recipe::parse("mine.yaml", "base: c-adapter\ntemplate: 125\n").unwrap();
    assert_eq!((&without.templates, &with.templates), (&vec!["125".to_owned()], &vec!["125".to_owned()]));
}

/// `template` names one annotated film or several; `templates` is another spelling of it, also over a base.
#[test]
fn a_recipe_names_one_annotated_film_or_several() {
    let several = |text: &str| Recipe::parse("mine.yaml", text).map(|recipe| recipe.templates.clone());
    let text = BUILT_IN.iter().find(|(name, _)| *name == "c-adapter").unwrap().1;
    for text in [
        text.replace("template: \"125\"", "template: [7, \"021\"]"),
        text.replace("template: \"125\"", "templates: [\"7\", \"021\"]"),
        "base: c-adapter\ntemplate: [7, \"021\"]\n".to_owned(),
        "base: c-adapter\ntemplates: [7, \"021\"]\n".to_owned(),
    ] {
        let ids = several(&text).unwrap();
        assert_eq!(ids, ["7", "021"]);
        let written = Recipe::parse("mine.yaml", &text).unwrap().to_yaml().unwrap();
        assert_eq!(templates_of(&written).unwrap(), ids, "{written}");
    }
    assert_eq!(templates_of(text).unwrap(), ["125"]);
    for (ids, why) in [("[]", "at least one"), ("[a, b, a]", "names a film twice"), ("{ a: b }", "a list of ids")] {
        let error = several(&format!("base: c-adapter\ntemplate: {ids}\n")).unwrap_err().to_string();
        assert!(error.contains("mine.yaml:2: template: ") && error.contains(why), "{error}");
    }
    let few = several(
        "base: c-adapter-laptop\ntemplate: [a, b]\ntemplate_copies: { count: 3 }\ntemplate_vectors: { copies: 3 }\n",
    );
    assert!(few.unwrap_err().to_string().contains("two of each annotated film"));
}

/// A set in a file is named relative to the recipe that names it, and is whole in the recipe as it is written.
#[test]
fn a_recipe_names_the_file_of_its_landmark_set() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let load = |name: &str| Recipe::load(folder.path().join(name).to_str().unwrap());
    let (finger, set) = finger();
    write("finger.yaml", &finger);
    write("whole.yaml", &BUILT_IN[3].1.replace("landmarks: isbi19", "landmarks: finger.yaml"));
    write("base.yaml", "base: c-adapter\nlandmarks: finger.yaml\n");
    write("own.yaml", &format!("base: {}\nname: mine\n", folder.path().join("base.yaml").display()));
    for name in ["whole.yaml", "base.yaml", "own.yaml"] {
        assert_eq!(load(name).unwrap().landmarks, set, "{name}");
    }
    let recipe = load("own.yaml").unwrap();
    std::fs::remove_file(folder.path().join("finger.yaml")).unwrap();
    assert_eq!(Recipe::parse("run/recipe.yaml", &recipe.to_yaml().unwrap()).unwrap(), recipe);
    assert!(recipe.to_yaml_with_set_id().unwrap().contains("\nlandmarks: finger\n"));

    let gone = load("base.yaml").unwrap_err().to_string();
    assert!(
        gone.contains("base.yaml:2: landmarks: the landmark set") && gone.contains("finger.yaml can't be read"),
        "{gone}"
    );
    write("finger.yaml", &finger.replace("number: 2", "number: 4"));
    let broken = load("own.yaml").unwrap_err().to_string();
    assert!(
        broken.contains("base.yaml:2: landmarks: ") && broken.contains("finger.yaml:6: entry 2: its number"),
        "{broken}"
    );
}

#[test]
fn a_built_in_landmark_set_stays_an_id() {
    let recipe = Recipe::load("c-adapter").unwrap();
    let yaml = recipe.to_yaml().unwrap();
    assert!(yaml.contains("\nlandmarks: isbi19\n"));
    assert_eq!(recipe.to_yaml_with_set_id().unwrap(), yaml);
    // A changed one does not.
    let changed = recipe.edit(|spec| spec.landmarks.landmarks.truncate(4)).unwrap_err();
    assert!(changed.to_string().contains("landmarks.line"), "{changed}");
}

/// A set of two landmarks, as text and as it is read.
fn finger() -> (String, LandmarkSet) {
    let landmark = |number, name| format!("  - {{ number: {number}, name: {name}, title: T, definition: D. }}\n");
    let text =
        format!("id: finger\nname: Finger\nsource: tests\nlandmarks:\n{}{}", landmark(1, "tip"), landmark(2, "base"));
    let set = LandmarkSet::from_yaml(&text).unwrap();
    (text, set)
}

#[test]
fn an_edit_keeps_the_rules() {
    let recipe = Recipe::load("cc2d").unwrap();
    assert_eq!(recipe.edit(|spec| spec.seed = 7).unwrap().seed, 7);
    for (change, key) in [
        ((|spec| spec.network.size = 0) as fn(&mut Spec), "network.size"),
        (|spec| spec.network.decoder[2] = 0, "network.decoder"),
        (|spec| spec.phases[0].epochs = 0, "phases[0].epochs"),
        (|spec| spec.average = Some(f64::NAN), "average"),
        (|spec| spec.landmarks.landmarks.clear(), "landmarks.landmarks"),
        (|spec| spec.committee = Some(Committee { members: 1 }), "committee.members"),
        (
            |spec| {
                spec.second_look = true;
                spec.landmarks.landmarks.truncate(1);
            },
            "second_look",
        ),
        (|spec| spec.template_copies.joints = 1.5, "template_copies.joints"),
        (
            |spec| {
                spec.template_copies.joints = 0.5;
                spec.landmarks.joints.clear();
            },
            "template_copies.joints",
        ),
        (
            |spec| {
                spec.decoding = PriorUse::ShapePrior;
                spec.phases.truncate(1);
                spec.phases[0].epochs = 1;
            },
            "decoding",
        ),
    ] {
        assert_eq!(recipe.edit(change).unwrap_err().key, key);
    }
}

#[test]
fn recipes_that_are_each_others_base_are_refused() {
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
