//! A committee's labels train one network, also after a kill.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use onemark_models::checkpoint::Checkpoint;
use onemark_tests::{Outcome, Program, wait_for};

const RECIPE: &str = "{ base: phantom, name: together, about: A few steps., committee: { members: 2 },
    template_copies: { count: 6 }, template_vectors: { copies: 2 }, phases: [
      { name: shared, epochs: 2, steps: 6, adapters: false, learning_rate: 2.0e-3 },
      { name: adapters, epochs: 1, steps: 2, adapters: true, freeze_statistics: true, learning_rate: 5.0e-4 } ] }";

#[test]
fn members_agree_on_labels_and_a_kill_loses_none() {
    if !Program::Train.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    Program::Train.succeed(here, "phantom --out films --count 9");
    fs::write(here.join("recipe.yaml"), RECIPE).unwrap();
    let line = |rest: &str| format!("run --data films --device cpu --threads 1 {rest}");
    let said = Program::Train.succeed(here, &line("--recipe recipe.yaml --out run")).stderr;
    for text in ["member 1 of 2", "member 2 of 2", "committee: members lie ", " from their middle; farthest apart at "]
    {
        assert!(said.contains(text), "{text}: {said}");
    }
    let read = |path: &str| Checkpoint::read(&here.join(path)).unwrap();
    let whole = read("run/checkpoint.safetensors");
    let members = ["member-1", "member-2"].map(|member| read(&format!("run/{member}/checkpoint.safetensors")).recipe);
    let [first, second] = &members;
    assert!(first.seed != second.seed && first.committee.is_none() && first.network.adapter_channels == 0);
    // The labels are not those of either, and stay as they are.
    assert!(whole.history.iter().any(|line| line.starts_with("committee: ")), "{:?}", whole.history);

    let mut killed = Program::Train.command(here, &line("--recipe recipe.yaml --out killed")).spawn().unwrap();
    let second = here.join("killed/member-2/checkpoint.safetensors");
    wait_for(&second);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!is_whole(&here.join("killed/checkpoint.safetensors")));
    Program::Train.succeed(here, &line("--resume --out killed"));
    assert_eq!(read("killed/checkpoint.safetensors").tensors, whole.tensors);

    // Members of another recipe don't count.
    fs::create_dir(here.join("mixed")).unwrap();
    fs::rename(here.join("run/member-1"), here.join("mixed/member-1")).unwrap();
    let words = line("--recipe recipe.yaml --seed 9 --out mixed");
    let said = Outcome::from(Program::Train.command(here, &words).output().unwrap());
    assert!(!said.success && said.stderr.contains("mixed/member-1/checkpoint.safetensors"), "{said:?}");
}

fn is_whole(checkpoint: &Path) -> bool {
    !Checkpoint::read(checkpoint).unwrap().notes.contains_key("step")
}
