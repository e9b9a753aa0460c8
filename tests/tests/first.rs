//! docs/FIRST.md, as a stranger follows it: its commands on drawn hands, fewer of them than on the page.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;

use onemark_models::bundle::Bundle;
use onemark_models::landmarks::LandmarkSet;
use onemark_tests::{Program, commands, shell};

const DOCS: &str = include_str!("../../docs/FIRST.md");
/// What the page draws, and what this test does: six films for training, three for testing.
const COUNT: [&str; 2] = ["--count 60", "--count 9"];
/// What a test takes of a recipe's steps.
const RECIPE: [&str; 2] = ["--recipe phantom", "--recipe short.yaml"];
const SHORT: &str = "{ base: phantom, name: short, about: A few steps., template_copies: { count: 4 },
    template_vectors: { copies: 2 }, phases: [
      { name: shared, epochs: 1, steps: 16, adapters: false, learning_rate: 2.0e-3 },
      { name: adapters, epochs: 1, steps: 9, adapters: true, freeze_statistics: true, learning_rate: 5.0e-4 } ] }";
/// Opens a page and ends it when its link is there: nobody is here to look at it.
const PAGE: &str = r#"page() {
    : > link.txt
    onemark "$@" > link.txt & page=$!
    until grep -q http: link.txt; do kill -0 $page; sleep 0.05; done
    kill $page; wait $page || true
}
"#;

#[test]
fn the_commands_of_the_first_page_lead_to_a_bundle() {
    if !Program::Train.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("short.yaml"), SHORT).unwrap();
    let mut lines = commands(DOCS);
    for [on_the_page, here] in [COUNT, RECIPE] {
        assert!(lines.contains(on_the_page), "no {on_the_page} in\n{lines}");
        lines = lines.replace(on_the_page, here);
    }
    let lines = lines.replace("onemark annotate", "page annotate").replace("onemark view", "page view");
    let done = shell(here, &format!("{PAGE}set -x\n{lines}"));
    assert!(done.success, "{}{}", done.stdout, done.stderr);

    let set = LandmarkSet::load("hands/hand.yaml", here).unwrap();
    for bundle in ["first", "ours", "again"] {
        let bundle = Bundle::open(here.join(format!("hands/{bundle}.onemark"))).unwrap();
        assert_eq!(bundle.manifest().landmark_set, set.clone().for_bundle());
    }
    assert_eq!(fs::read_to_string(here.join("hands/found.csv")).unwrap().lines().count(), 1 + 3 * set.len());
    assert!(done.stdout.contains("as recorded by evaluate on 20"), "{}", done.stdout);
}

#[test]
fn the_set_of_the_drawn_hands_is_whole_and_not_built_in() {
    let set = LandmarkSet::from_yaml(onemark_phantom::Anatomy::Hand.set().unwrap()).unwrap();
    assert!((6..=10).contains(&set.len()) && LandmarkSet::named(&set.id).is_err());
}
