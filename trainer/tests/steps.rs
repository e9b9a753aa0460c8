//! The drawn steps: points that mark the same position on both sides of a pair, and repeatable draws.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;

use image::{GrayImage, Luma};
use ndarray::{Array2, ArrayView2};
use onemark_evaluation::dataset::Case;
use onemark_film::geometry::{GridPoint, Point};
use onemark_models::checkpoint::init;
use onemark_models::network::{Architecture, LABEL_WEIGHTS};
use onemark_models::recipe::{PatchPairs, Recipe, Stage};
use onemark_trainer::data::features::Features;
use onemark_trainer::data::samples::{Films, Samples};
use onemark_trainer::data::templates::Templates;
use onemark_trainer::data::views::Views;
use onemark_trainer::net::params::Params;
use onemark_trainer::pseudo_labels::PseudoLabels;
use onemark_trainer::step::pairs::{Cell, Match};
use onemark_trainer::step::sampler::{Sampler, SchedulePosition, renews};
use tch::Device;

/// A blob's brightest cell may be off by what rotation, resizing and rounding shift it.
const NEAR: f64 = 2.0;

/// Where the films show a bright blob, px: the template's only landmark.
const BLOB: Point = Point { x: 170.0, y: 140.0 };

/// Black but for one soft blob, whose position on other films is off by `shift`.
fn film(folder: &Path, id: &str, shift: f64) -> Case {
    let grey = GrayImage::from_fn(300, 360, |x, y| {
        let (dx, dy) = (f64::from(x) + 0.5 - BLOB.x - shift, f64::from(y) + 0.5 - BLOB.y);
        Luma([(20.0 + 100.0 * (-(dx * dx + dy * dy) / 128.0).exp()) as u8])
    });
    let path = folder.join(format!("{id}.png"));
    grey.save(&path).unwrap();
    Case { id: id.into(), film: path, points: Some(vec![Some(BLOB)]), ..Case::default() }
}

fn films(recipe: &Recipe, folder: &Path) -> Samples {
    let cases = [film(folder, "001", 0.0), film(folder, "002", 20.0)];
    let trunk = init::initial(Architecture::from(recipe).trunk_graph().unwrap().params(), recipe.seed);
    let params = Params::new(&trunk, Device::Cpu).unwrap();
    Films::prepare(recipe, &Views::new(&cases, None), &Features::new(recipe, &params, None).unwrap(), |_, _| ())
        .unwrap()
        .samples
}

fn film_pairs() -> Recipe {
    let changed = Recipe::load("phantom").unwrap().edit(|spec| {
        spec.network.size = 96;
        spec.template_copies.count = 4;
        spec.template_vectors.copies = 4;
        spec.phases[0].steps = Some(6);
    });
    changed.unwrap()
}

fn patch_pairs() -> Recipe {
    let changed = film_pairs().edit(|spec| {
        spec.pairs.film = None;
        spec.pairs.patch = Some(PatchPairs { size: 64, degrees: 20.0, centre_shift: 6, repeats: 1, batch: 2 });
        spec.phases.iter_mut().for_each(|phase| phase.steps = None);
    });
    changed.unwrap()
}

fn template_points(films: &Samples) -> Vec<GridPoint> {
    films.templates()[0].points.iter().map(|point| point.unwrap()).collect()
}

fn brightest(film: ArrayView2<f32>) -> Cell {
    let best = film.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    (best.0 as i64, best.1 as i64)
}

fn assert_near(cell: Cell, film: ArrayView2<f32>) {
    let blob = brightest(film);
    let distance = ((cell.0 - blob.0) as f64).hypot((cell.1 - blob.1) as f64);
    assert!(distance <= NEAR, "{cell:?} is not where the film shows the landmark, {blob:?}");
}

#[test]
fn patches_and_their_films_show_the_landmark_where_the_match_says() {
    let (recipe, folder) = (patch_pairs(), tempfile::tempdir().unwrap());
    let films = films(&recipe, folder.path());
    let sampler = Sampler::new(&recipe, &films);
    let position = SchedulePosition::default();
    let plans = sampler.epoch(position);
    // One landmark: two batches of the four copies of the template, then one of the two films.
    let stages: Vec<Option<Stage>> = plans.iter().map(|plan| plan.stage).collect();
    assert_eq!(stages, [Stage::Template, Stage::Template, Stage::PseudoLabels].map(Some));
    for (step, plan) in plans.iter().enumerate().take(2) {
        let step = sampler.draw(SchedulePosition { step, ..position }, plan, None).unwrap();
        assert_eq!(step.patches.len(), 2);
        for point in &step.matches {
            assert_near(point.target.1, films.grey(step.samples[point.target.0]));
            assert_near(point.source.1, step.patches[point.source.0].view());
        }
    }
}

#[test]
fn copies_show_the_landmark_where_the_match_says() {
    let (recipe, folder) = (film_pairs(), tempfile::tempdir().unwrap());
    let films = films(&recipe, folder.path());
    let sampler = Sampler::new(&recipe, &films);
    // True labels: the blob of the second film is 20 px to the right, of 300 px on 96 cells.
    let (template, right) = (template_points(&films)[0], 20.0 * 96.0 / 300.0);
    let labels = PseudoLabels::from(vec![vec![template], vec![GridPoint::new(template.row, template.column + right)]]);
    for (step, plan) in sampler.epoch(SchedulePosition::default()).iter().enumerate() {
        let step = sampler.draw(SchedulePosition { step, ..SchedulePosition::default() }, plan, Some(&labels)).unwrap();
        let [first, .., last] = step.matches.as_slice() else { panic!("a step without points") };
        // The first match is the landmark itself on two copies of the template; the last, on the template and a film.
        for (side, cell) in [first.source, first.target, last.source, last.target] {
            assert_near(cell, films.grey(step.samples[side]));
        }
    }
}

#[test]
fn a_label_counts_against_the_template_by_its_weight() {
    let (recipe, folder) = (film_pairs(), tempfile::tempdir().unwrap());
    let films = films(&recipe, folder.path());
    let sampler = Sampler::new(&recipe, &films);
    let draw = |weight: f32| {
        let mut labels = PseudoLabels::from(vec![template_points(&films); 2]);
        labels.weights.fill(weight);
        sampler
            .draw(SchedulePosition::default(), &sampler.epoch(SchedulePosition::default())[0], Some(&labels))
            .unwrap()
            .matches
    };
    let [whole, half] = [1.0, 0.5].map(draw);
    // The last match is the template's landmark and its label; the others are points of one film on two of its samples.
    let weights = |matches: &[Match]| matches.iter().map(|point| point.weight).collect::<Vec<_>>();
    let (mut expected, found) = (weights(&whole), weights(&half));
    *expected.last_mut().unwrap() *= 0.5;
    assert_eq!(found, expected);
}

#[test]
fn labels_come_back_from_a_checkpoint() {
    let points = vec![vec![GridPoint::new(1.5, 2.5), GridPoint::new(3.5, 4.5)]];
    let mut labels = PseudoLabels::from(points.clone());
    labels.weights[[0, 1]] = 0.25;
    assert_eq!(PseudoLabels::resume(&mut labels.to_tensors()), Some(labels.clone()));
    let mut before = labels.to_tensors();
    before.remove(LABEL_WEIGHTS);
    assert_eq!(PseudoLabels::resume(&mut before), Some(PseudoLabels::from(points)));
    let mut harmed = labels.to_tensors();
    harmed.insert(LABEL_WEIGHTS.to_owned(), Array2::ones((2, 1)).into_dyn());
    assert_eq!(PseudoLabels::resume(&mut harmed), None);
}

#[test]
fn draws_depend_on_seed_and_place_only() {
    let (recipe, folder) = (film_pairs(), tempfile::tempdir().unwrap());
    let films = films(&recipe, folder.path());
    let draw = |recipe: &Recipe, step: usize| {
        let sampler = Sampler::new(recipe, &films);
        let position = SchedulePosition { step, ..SchedulePosition::default() };
        sampler.draw(position, &sampler.epoch(position)[0], None).unwrap().matches
    };
    assert_eq!(draw(&recipe, 3), draw(&recipe, 3));
    assert_ne!(draw(&recipe, 3), draw(&recipe, 4));
    let other = recipe.edit(|spec| spec.seed += 1).unwrap();
    assert_ne!(draw(&recipe, 3), draw(&other, 3));
}

#[test]
fn without_the_template_two_films_are_shown() {
    let recipe = film_pairs().edit(|spec| spec.stages = vec![Stage::PseudoLabels]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let films = films(&recipe, folder.path());
    let sampler = Sampler::new(&recipe, &films);
    let right = 20.0 * 96.0 / 300.0;
    let template = template_points(&films)[0];
    let labels = PseudoLabels::from(vec![vec![template], vec![GridPoint::new(template.row, template.column + right)]]);
    for (step, plan) in sampler.epoch(SchedulePosition::default()).iter().enumerate() {
        let step = sampler.draw(SchedulePosition { step, ..SchedulePosition::default() }, plan, Some(&labels)).unwrap();
        assert!(step.samples.iter().all(|sample| !films.template_copies().contains(sample)));
        assert!(step.matches.iter().all(|point| [(1, 0), (3, 2)].contains(&(point.source.0, point.target.0))));
    }
}

#[test]
fn crosswise_an_epoch_shows_the_films_whose_labels_it_does_not_renew() {
    let (recipe, folder) = (film_pairs(), tempfile::tempdir().unwrap());
    let films = films(&recipe, folder.path());
    let labels = PseudoLabels::from(vec![template_points(&films); 2]);
    let shown = |recipe: &Recipe, epoch: usize, labels: Option<&PseudoLabels>| -> BTreeSet<usize> {
        let (sampler, start) =
            (Sampler::new(recipe, &films), SchedulePosition { epoch, ..SchedulePosition::default() });
        let plans = sampler.epoch(start);
        let draw = |(step, plan)| sampler.draw(SchedulePosition { step, ..start }, plan, labels).unwrap().samples;
        plans.iter().enumerate().flat_map(draw).filter(|sample| *sample < films.count()).collect()
    };
    assert_eq!(shown(&recipe, 0, Some(&labels)), [0, 1].into());
    let recipe = recipe.edit(|spec| spec.pairs.film.as_mut().unwrap().cross_fit = true).unwrap();
    assert_eq!(shown(&recipe, 0, None), [0, 1].into());
    for epoch in 0..2 {
        let shown = shown(&recipe, epoch, Some(&labels));
        assert_eq!(shown.len(), 1);
        assert!((0..2).all(|film| renews(&recipe, epoch, film) != shown.contains(&film)));
    }
}

#[test]
fn random_points_need_no_landmark() {
    let changed = patch_pairs().edit(|spec| {
        spec.stages = vec![Stage::RandomPoints];
        spec.network.adapter_channels = 0;
        spec.phases.retain(|phase| !phase.adapters);
    });
    let (recipe, folder) = (changed.unwrap(), tempfile::tempdir().unwrap());
    let films = films(&recipe, folder.path());
    let sampler = Sampler::new(&recipe, &films);
    let plans = sampler.epoch(SchedulePosition::default());
    // One batch of the two films, for all landmarks together; other points in the next epoch.
    assert_eq!(
        plans.iter().map(|plan| (plan.stage, plan.landmark)).collect::<Vec<_>>(),
        [(Some(Stage::RandomPoints), None)]
    );
    let targets = |epoch: usize| -> Vec<Cell> {
        let position = SchedulePosition { epoch, ..SchedulePosition::default() };
        let step = sampler.draw(position, &plans[0], None).unwrap();
        step.matches.iter().map(|point| point.target.1).collect()
    };
    assert_ne!(targets(0), targets(1));
}

/// Two annotated films, the second without its second landmark, and one that is not annotated.
fn two_templates(recipe: &Recipe, folder: &Path) -> Samples {
    let shifts = [("001", 0.0), ("002", 20.0), ("003", 40.0)];
    let mut cases = shifts.map(|(id, shift)| film(folder, id, shift));
    let at = |shift: f64| Point { x: BLOB.x + shift, ..BLOB };
    cases[0].points = Some(vec![Some(BLOB), Some(BLOB)]);
    cases[1].points = Some(vec![Some(at(20.0)), None]);
    cases[2].points = None;
    let trunk = init::initial(Architecture::from(recipe).trunk_graph().unwrap().params(), recipe.seed);
    let params = Params::new(&trunk, Device::Cpu).unwrap();
    Films::prepare(recipe, &Views::new(&cases, None), &Features::new(recipe, &params, None).unwrap(), |_, _| ())
        .unwrap()
        .samples
}

#[test]
fn several_templates_share_the_copies_and_are_matched_with_each_other() {
    let ids = ["001".to_owned(), "002".to_owned()];
    let recipe = film_pairs().edit(|spec| spec.learn_from(&ids)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let films = two_templates(&recipe, folder.path());
    let copies: Vec<usize> = films.templates().iter().map(|template| template.copies.len()).collect();
    assert_eq!((copies, films.held_out().len(), films.landmarks()), (vec![2, 2], 0, 2));

    let (mut of_one, mut of_two) = (0, 0);
    let sampler = Sampler::new(&recipe, &films);
    for epoch in 0..8 {
        let start = SchedulePosition { epoch, ..SchedulePosition::default() };
        for (step, plan) in sampler.epoch(start).iter().enumerate() {
            let step = sampler.draw(SchedulePosition { step, ..start }, plan, None).unwrap();
            let film = |image: usize| films.template_of(step.samples[image]).unwrap().film;
            let matched: Vec<&Match> = step.matches.iter().filter(|point| point.source.0 == 0).collect();
            assert!((matched.iter().map(|point| point.weight).sum::<f32>() - 1.0).abs() < 1e-5);
            if film(0) == film(1) {
                of_one += 1;
            } else {
                of_two += 1;
                // The landmark that both have.
                assert_eq!(matched.len(), 1);
            }
            for (image, cell) in [matched[0].source, matched[0].target] {
                assert_near(cell, films.grey(step.samples[image]));
            }
        }
    }
    assert!(of_one > 10 && of_two > 10, "{of_one} steps with two copies of one film, {of_two} with copies of two");
}

#[test]
fn steps_of_a_landmark_use_the_templates_that_have_it() {
    let ids = ["001".to_owned(), "002".to_owned()];
    let recipe = patch_pairs().edit(|spec| spec.learn_from(&ids)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let films = two_templates(&recipe, folder.path());
    let plans = Sampler::new(&recipe, &films).epoch(SchedulePosition::default());
    let used = |landmark: usize| -> usize {
        let plans = plans.iter().filter(|plan| (plan.stage, plan.landmark) == (Some(Stage::Template), Some(landmark)));
        plans
            .map(|plan| {
                Sampler::new(&recipe, &films).draw(SchedulePosition::default(), plan, None).unwrap().samples.len()
            })
            .sum()
    };
    assert_eq!([used(0), used(1)], [4, 2]);
}

#[test]
fn a_fifth_of_more_than_five_annotated_films_judges() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (1..=11).map(|id| format!("{id:03}")).collect();
    let cases: Vec<Case> = ids.iter().map(|id| film(folder.path(), id, 0.0)).collect();
    let found = |count: usize| {
        let recipe = film_pairs().edit(|spec| spec.learn_from(&ids[..count])).unwrap();
        let found = Templates::find(&recipe, &Views::new(&cases, None)).unwrap();
        (found.trained.len(), found.judges.iter().map(|judge| judge.film).collect::<Vec<_>>())
    };
    assert_eq!(found(5), (5, vec![]));
    assert_eq!(found(6), (5, vec![4]));
    assert_eq!(found(11), (9, vec![4, 9]));
}
