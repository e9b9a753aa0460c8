//! More than one annotated film: all of them count in training, and a bundle says which film to annotate next.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use onemark_models::checkpoint::Checkpoint;
use onemark_phantom::Anatomy;
use onemark_tests::{Outcome, Program};

/// Films in the folder; the first ones are annotated.
const FILMS: usize = 9;
const ANNOTATED: usize = 6;

/// Draws films; the second one lacks landmark 4.
fn draw(here: &Path) {
    fs::create_dir_all(here.join("films/images")).unwrap();
    let (mut table, mut spacing) = ("image,landmark,x,y\n".to_owned(), "image,mm_per_px_x,mm_per_px_y\n".to_owned());
    for film in 0..FILMS {
        let phantom = onemark_phantom::draw(Anatomy::Head, 5, film);
        phantom.film.save(here.join(format!("films/images/film-{film}.png"))).unwrap();
        spacing += &format!("film-{film},0.1,0.1\n");
        for (landmark, point) in (1..).zip(&phantom.points).filter(|_| film < ANNOTATED) {
            if (film, landmark) != (1, 4) {
                table += &format!("film-{film},{landmark},{:.1},{:.1}\n", point.x, point.y);
            }
        }
    }
    fs::write(here.join("films/landmarks.csv"), table).unwrap();
    fs::write(here.join("films/spacing.csv"), spacing).unwrap();
}

#[test]
fn all_annotated_films_count_and_the_next_one_is_suggested() {
    if !Program::Train.is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    draw(here);
    let recipe = "{ base: phantom, name: several, about: A few steps., template_copies: { count: 10 }, template_vectors: { copies: 5 },
        phases: [
          { name: shared, epochs: 2, steps: 20, adapters: false, learning_rate: 2.0e-3 },
          { name: adapters, epochs: 1, steps: 5, adapters: true, freeze_statistics: true, learning_rate: 5.0e-4 } ] }";
    fs::write(here.join("recipe.yaml"), recipe).unwrap();
    let brief = "{ base: recipe.yaml, phases: [
          { name: shared, epochs: 1, steps: 4, adapters: false, learning_rate: 2.0e-3 },
          { name: adapters, epochs: 1, steps: 2, adapters: true, freeze_statistics: true, learning_rate: 5.0e-4 } ] }";
    fs::write(here.join("brief.yaml"), brief).unwrap();
    let train = |words: &str| {
        let recipe = if words.contains("--template") { "brief.yaml" } else { "recipe.yaml" };
        let line = format!("run --recipe {recipe} --data films --device cpu --threads 1 {words}");
        Program::Train.succeed(here, &line).stderr
    };
    let run = train("--out run");
    assert!(
        run.contains("6 annotated films, all of which count: film-0, film-1, film-2, film-3, film-4, film-5"),
        "{run}"
    );
    assert!(run.contains("mm off on the annotated film that it does not train on"), "{run}");
    let templates = Checkpoint::read(&here.join("run/checkpoint.safetensors")).unwrap().recipe.templates.clone();
    assert_eq!(templates, ["film-0", "film-1", "film-2", "film-3", "film-4", "film-5"]);
    let said = train("--out two --template film-0,film-1");
    assert!(said.contains("2 annotated films") && said.contains("on the 2 annotated films by each other"), "{said}");
    let said = train("--out one --template film-0");
    assert!(
        said.contains("template film-0 alone: the points of 5 other annotated films are not used; --template all"),
        "{said}"
    );
    assert!(said.contains("mm off on copies of the template itself (other films: more)"), "{said}");

    // A longer training goes on from it, a network of another shape does not.
    let first_loss = |said: &str| -> f64 {
        let epoch = said.lines().find(|line| line.contains("epoch 1/2")).unwrap();
        epoch.split("loss ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap()
    };
    let on = train("--out on --from run");
    assert!(first_loss(&on) < 0.9 * first_loss(&run), "{on}\n{run}");
    // Also from a network without adapters to one with them, and within a budget, which times all phases.
    let plain = "{ base: recipe.yaml, network: { adapter_channels: 0 }, phases: [
          { name: shared, epochs: 1, steps: 4, adapters: false, learning_rate: 2.0e-3 } ] }";
    fs::write(here.join("plain.yaml"), plain).unwrap();
    Program::Train.succeed(here, "run --recipe plain.yaml --data films --device cpu --threads 1 --out plain");
    train("--out budget --from plain --budget 1s --template film-0");
    fs::write(here.join("wide.yaml"), "base: recipe.yaml\nnetwork: { embedding: 24 }\n").unwrap();
    let wide = "run --recipe wide.yaml --data films --device cpu --out wide --from run";
    let said = Outcome::from(Program::Train.command(here, wide).output().unwrap());
    assert!(!said.success && said.stderr.contains("has another network than several"), "{said:?}");
    assert!(fs::read_to_string(here.join("run/progress.html")).unwrap().contains("least sure of"));
    assert!(image::open(here.join("run/sheet.png")).unwrap().width() == 3 * 192);

    Program::Export.succeed(here, "run/checkpoint.safetensors --out several.onemark");
    let suggested = Program::Runtime.succeed(here, "suggest films --bundle several.onemark --count 2").stdout;
    let films: Vec<&str> = suggested.lines().skip(1).take(2).filter_map(|line| line.split(' ').next()).collect();
    assert!(films.len() == 2 && films.iter().all(|film| ["film-6", "film-7", "film-8"].contains(film)), "{suggested}");
    let files = Program::Runtime.succeed(here, "suggest films --bundle several.onemark --count 9 --files").stdout;
    assert_eq!(files.lines().count(), FILMS - ANNOTATED, "{files}");
    assert!(files.lines().all(|file| here.join(file).exists()), "{files}");
}
