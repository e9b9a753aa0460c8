//! Draws what each training step sees: which films, which points, which landmark's adapter. A draw depends only on the recipe's
//! seed and the step's position in the schedule, so a resumed run draws the same steps as an uninterrupted one.

use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::thread;

use ndarray::Array2;
use onemark_film::geometry::GridPoint;
use onemark_models::recipe::{FilmPairs, PatchPairs, Recipe, Stage};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

use crate::TrainError;
use crate::data::augment::{jitter, rotate_patch, rotate_point};
use crate::data::samples::Samples;
use crate::data::templates::Template;
use crate::pseudo_labels::PseudoLabels;
use crate::step::pairs::{Match, cell, clamp, crop, patch_origin};

/// A step before its points are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStep {
    /// Its stage; `None` if each step belongs to all stages, as with whole-film pairs.
    pub stage: Option<Stage>,
    /// The landmark (0-based) that it trains, `None` for all.
    pub landmark: Option<usize>,
    /// The samples that it uses, if they are chosen before it is drawn.
    samples: Vec<usize>,
}

/// A step that can be taken.
pub struct Step {
    /// Samples whose taps make the target batch, and the source batch too if there are no patches.
    pub samples: Vec<usize>,
    /// Patches that make the source batch.
    pub patches: Vec<Array2<f32>>,
    /// The points.
    pub matches: Vec<Match>,
}

/// A position in the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedulePosition {
    /// Index of the phase.
    pub phase: usize,
    /// Epoch in the phase.
    pub epoch: usize,
    /// Step in the epoch.
    pub step: usize,
}

/// Number of steps that are drawn in advance.
const AHEAD: usize = 2;
/// Share of the films that are drawn among the annotated ones only, if there are several.
const ANNOTATED_SHARE: f64 = 0.3;

/// Draws steps.
pub struct Sampler<'a> {
    recipe: &'a Recipe,
    films: &'a Samples,
}

impl<'a> Sampler<'a> {
    /// A sampler for the recipe's pairs.
    pub fn new(recipe: &'a Recipe, films: &'a Samples) -> Self {
        Self { recipe, films }
    }

    /// The steps of the epoch at `position`: Train-Template, then Train-PL, or both together.
    pub fn epoch(&self, position: SchedulePosition) -> Vec<PlannedStep> {
        let mut rng = self.rng(SchedulePosition { step: usize::MAX, ..position });
        let landmarks = self.films.landmarks();
        let phase = &self.recipe.phases[position.phase];
        match (&self.recipe.pairs.patch, phase.steps) {
            (Some(pairs), _) => {
                let films: Vec<usize> = (0..pairs.repeats).flat_map(|_| 0..self.films.count()).collect();
                let mut steps_of = |stage: &Stage| {
                    let landmarks = match stage {
                        Stage::RandomPoints => vec![None],
                        _ => (0..landmarks).map(Some).collect(),
                    };
                    let mut samples = match stage {
                        Stage::Template => self.films.template_copies().collect(),
                        _ => films.clone(),
                    };
                    let mut planned = Vec::new();
                    for landmark in landmarks {
                        if let (Stage::Template, Some(landmark)) = (stage, landmark) {
                            samples = self.films.template_copies().filter(|copy| self.shows(*copy, landmark)).collect();
                        }
                        samples.shuffle(&mut rng);
                        let batches = samples.chunks(pairs.batch).map(<[usize]>::to_vec);
                        planned.extend(batches.map(|samples| PlannedStep { stage: Some(*stage), landmark, samples }));
                    }
                    planned.shuffle(&mut rng);
                    planned
                };
                self.recipe.stages.iter().flat_map(&mut steps_of).collect()
            }
            (None, steps) => {
                let per_landmark = phase.adapters || self.recipe.network.separate;
                let landmark = |step: usize| per_landmark.then_some(step % landmarks);
                let step = |step| PlannedStep { stage: None, landmark: landmark(step), samples: Vec::new() };
                let mut planned: Vec<PlannedStep> = (0..steps.unwrap_or(0)).map(step).collect();
                planned.shuffle(&mut rng);
                planned
            }
        }
    }

    /// Draws the planned steps from `position` on, on a thread of its own and a little ahead of `work`, which takes them.
    pub fn ahead<T>(
        &self,
        position: SchedulePosition,
        planned: &[PlannedStep],
        labels: Option<&PseudoLabels>,
        work: impl FnOnce(&mut dyn Iterator<Item = Result<Step, TrainError>>) -> T,
    ) -> T {
        thread::scope(|scope| {
            let (sender, steps) = sync_channel(AHEAD);
            scope.spawn(move || {
                let rest = planned.iter().enumerate().skip(position.step);
                let mut drawn =
                    rest.map(|(step, planned)| self.draw(SchedulePosition { step, ..position }, planned, labels));
                // Ends after the last step, or when `work` has returned.
                drawn.try_for_each(|step| sender.send(step))
            });
            work(&mut steps.into_iter())
        })
    }

    /// Draws the step at `position`.
    ///
    /// # Errors
    /// A spread of the recipe is not a standard deviation.
    pub fn draw(
        &self,
        position: SchedulePosition,
        planned: &PlannedStep,
        labels: Option<&PseudoLabels>,
    ) -> Result<Step, TrainError> {
        let mut rng = self.rng(position);
        match (&self.recipe.pairs.patch, &self.recipe.pairs.film) {
            (Some(pairs), _) => Ok(self.draw_patches(pairs, planned, labels, &mut rng)),
            (None, Some(pairs)) => self.draw_films(pairs, planned, position.epoch, labels, &mut rng),
            (None, None) => Ok(Step { samples: vec![], patches: vec![], matches: vec![] }),
        }
    }

    fn rng(&self, position: SchedulePosition) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.recipe.seed);
        // Streams below 2^32 belong to the films' copies.
        rng.set_stream(
            (position.phase as u64 + 1) << 56 | (position.epoch as u64) << 32 | (position.step as u64 & 0xffff_ffff),
        );
        rng
    }

    /// METHOD.md sec. 1b with the crop centred at the landmark (paper sec. 2.1; METHOD.md sec. 4, items 11-14).
    fn draw_patches(
        &self,
        pairs: &PatchPairs,
        planned: &PlannedStep,
        labels: Option<&PseudoLabels>,
        rng: &mut ChaCha8Rng,
    ) -> Step {
        let size = self.recipe.network.size;
        let weight = 1.0 / planned.samples.len() as f32;
        let mut step = Step { samples: planned.samples.clone(), patches: Vec::new(), matches: Vec::new() };
        for (image, sample) in planned.samples.iter().enumerate() {
            let point = match (planned.stage, planned.landmark, labels) {
                (Some(Stage::Template), Some(landmark), _) => {
                    self.films.truth(*sample, landmark).unwrap_or_else(|| self.random_point(None, *sample, rng))
                }
                (_, Some(landmark), Some(labels)) => labels.points[*sample][landmark],
                (_, landmark, _) => self.random_point(landmark, *sample, rng),
            };
            let raw = cell(clamp(point, size));
            let origin = |at: i64, rng: &mut ChaCha8Rng| {
                let shift = pairs.centre_shift as i64;
                patch_origin(at + rng.random_range(-shift..=shift), pairs.size, size)
            };
            let (top, left) = (origin(raw.0, rng), origin(raw.1, rng));
            let mut patch = crop(self.films.grey(*sample), (top, left), pairs.size);
            jitter(&mut patch, &self.recipe.jitter, rng);
            let angle = rng.random_range(-pairs.degrees..=pairs.degrees).to_radians();
            let inside = ((raw.0 - top) as f64, (raw.1 - left) as f64);
            let label = rotate_point(inside, pairs.size, angle);
            // Rounded half up: the centre stays at (95.5, 95.5), one rule for all levels (METHOD.md sec. 4, item 12).
            let label = cell(clamp(GridPoint::new(label.0 + 0.5, label.1 + 0.5), pairs.size));
            step.patches.push(rotate_patch(&patch, angle));
            step.matches.push(Match { source: (image, label), target: (image, raw), weight });
        }
        step
    }

    /// Pairs two copies of templates, and a film with its copy; once there are pseudo-labels, also a template with the film. If no
    /// step trains on templates, a second film and its copy replace them.
    fn draw_films(
        &self,
        pairs: &FilmPairs,
        planned: &PlannedStep,
        epoch: usize,
        labels: Option<&PseudoLabels>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Step, TrainError> {
        let labels = labels.filter(|_| self.recipe.stages.contains(&Stage::PseudoLabels));
        let all = 0..self.films.count();
        let mut trained: Vec<usize> = all.clone().filter(|film| trains_on(self.recipe, epoch, *film)).collect();
        if labels.is_none() || trained.is_empty() {
            trained = all.collect();
        }
        let templates = self.films.templates();
        let film_and_copy = |rng: &mut ChaCha8Rng| {
            let film = match templates.len() > 1 && rng.random::<f64>() < ANNOTATED_SHARE {
                true => templates[rng.random_range(0..templates.len())].film,
                false => trained[rng.random_range(0..trained.len())],
            };
            let copies: Vec<usize> = self.films.copies(film).collect();
            (film, copies[rng.random_range(0..copies.len())])
        };
        let chosen = |points: &[GridPoint]| -> Vec<GridPoint> {
            planned.landmark.map_or_else(|| points.to_vec(), |landmark| vec![points[landmark]])
        };

        let on_film = |film: usize, rng: &mut ChaCha8Rng| -> Result<Vec<GridPoint>, TrainError> {
            let random = labels.is_none() || rng.random::<f64>() < pairs.random_share;
            match labels {
                Some(labels) if !random => {
                    spread(&chosen(&labels.points[film]), pairs.points, pairs.film_spread, false, rng)
                }
                _ => Ok((0..pairs.points).map(|_| self.random_point(None, film, rng)).collect()),
            }
        };

        if !self.recipe.stages.contains(&Stage::Template) {
            let [first, second] = [film_and_copy(rng), film_and_copy(rng)];
            let samples = vec![first.0, first.1, second.0, second.1];
            let mut matches = self.matches((1, 0), &samples, &on_film(first.0, rng)?, 1.0);
            matches.extend(self.matches((3, 2), &samples, &on_film(second.0, rng)?, 1.0));
            return Ok(Step { samples, patches: Vec::new(), matches });
        }
        let two = self.two_copies(planned.landmark, rng);
        let (film, copy) = film_and_copy(rng);
        let samples = vec![two[0], two[1], film, copy];
        let mut matches = self.template_matches(pairs, planned.landmark, &samples, rng)?;
        matches.extend(self.matches((3, 2), &samples, &on_film(film, rng)?, 1.0));
        if let Some(labels) = labels {
            let landmarks = self.landmarks(planned.landmark).filter(|landmark| self.shows(samples[0], *landmark));
            let landmarks: Vec<usize> = landmarks.collect();
            let each = pairs.template_to_film as f32 / landmarks.len() as f32;
            for landmark in landmarks {
                let Some(on_copy) = self.films.truth(samples[0], landmark) else { continue };
                let label = (2, labels.points[film][landmark]);
                matches.extend(self.pair((0, on_copy), label, each * labels.weights[[film, landmark]]));
            }
        }
        Ok(Step { samples, patches: Vec::new(), matches })
    }

    /// The landmarks (0-based) of a step.
    fn landmarks(&self, landmark: Option<usize>) -> Range<usize> {
        landmark.map_or(0..self.films.landmarks(), |landmark| landmark..landmark + 1)
    }

    /// Whether a copy is of a template on which a landmark is annotated.
    fn shows(&self, copy: usize, landmark: usize) -> bool {
        self.films.template_of(copy).is_some_and(|template| template.points[landmark].is_some())
    }

    /// Two copies of templates on which the landmark is annotated. If there are several such templates, every second step takes
    /// two copies of the same one, the others any two.
    fn two_copies(&self, landmark: Option<usize>, rng: &mut ChaCha8Rng) -> [usize; 2] {
        let shows = |template: &&Template| landmark.is_none_or(|landmark| template.points[landmark].is_some());
        let templates: Vec<&Template> = self.films.templates().iter().filter(shows).collect();
        let only = (templates.len() > 1 && rng.random()).then(|| templates[rng.random_range(0..templates.len())]);
        let copies: Vec<usize> = match only {
            Some(template) => template.copies.clone().collect(),
            None => templates.iter().flat_map(|template| template.copies.clone()).collect(),
        };
        let two = rand::seq::index::sample(rng, copies.len(), 2);
        [copies[two.index(0)], copies[two.index(1)]]
    }

    /// The landmarks on two copies of templates, the first two of the samples. If both are of one template, also random points about
    /// them.
    fn template_matches(
        &self,
        pairs: &FilmPairs,
        landmark: Option<usize>,
        samples: &[usize],
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<Match>, TrainError> {
        let [Some(first), Some(second)] = [samples[0], samples[1]].map(|copy| self.films.template_of(copy)) else {
            return Ok(Vec::new());
        };
        if first.film == second.film {
            let truth: Vec<GridPoint> =
                self.landmarks(landmark).filter_map(|landmark| first.points[landmark]).collect();
            let about_truth = spread(&truth, pairs.points, pairs.template_spread, true, rng)?;
            return Ok(self.matches((0, 1), samples, &about_truth, 1.0));
        }
        let truth = |copy: usize, landmark| Some((copy, self.films.truth(samples[copy], landmark)?));
        let both =
            self.landmarks(landmark).filter_map(|landmark| self.pair(truth(0, landmark)?, truth(1, landmark)?, 1.0));
        Ok(share(both.collect(), 1.0))
    }

    /// Points of a film on two of its samples (given by their index in `samples`); points outside either are dropped.
    fn matches(&self, images: (usize, usize), samples: &[usize], points: &[GridPoint], weight: f32) -> Vec<Match> {
        let on = |image: usize, point| (image, self.films.from_film(samples[image], point));
        let pair = |point: &GridPoint| self.pair(on(images.0, *point), on(images.1, *point), 1.0);
        share(points.iter().filter_map(pair).collect(), weight)
    }

    fn pair(&self, source: (usize, GridPoint), target: (usize, GridPoint), weight: f32) -> Option<Match> {
        let side = self.recipe.network.size as f64;
        let inside = |point: GridPoint| (0.0..side).contains(&point.row) && (0.0..side).contains(&point.column);
        let both = inside(source.1) && inside(target.1);
        both.then(|| Match { source: (source.0, cell(source.1)), target: (target.0, cell(target.1)), weight })
    }

    /// A point drawn uniformly from the film without a margin of 5 %. For a landmark, the same point of a film in every call
    /// (METHOD.md sec. 4, item 14).
    fn random_point(&self, landmark: Option<usize>, film: usize, rng: &mut ChaCha8Rng) -> GridPoint {
        let side = self.recipe.network.size as f64;
        let draw = |rng: &mut ChaCha8Rng| {
            GridPoint::new(rng.random_range(0.05..0.95) * side, rng.random_range(0.05..0.95) * side)
        };
        match landmark {
            None => draw(rng),
            Some(landmark) => {
                let mut fixed = ChaCha8Rng::seed_from_u64(self.recipe.seed);
                fixed.set_stream(1 << 48 | (landmark as u64) << 32 | film as u64);
                draw(&mut fixed)
            }
        }
    }
}

/// Divides a weight among matches.
fn share(mut matches: Vec<Match>, weight: f32) -> Vec<Match> {
    let each = weight / matches.len().max(1) as f32;
    matches.iter_mut().for_each(|point| point.weight = each);
    matches
}

/// Whether an epoch trains on a film whose pseudo-label is known: always, unless the recipe cross-fits.
pub fn trains_on(recipe: &Recipe, epoch: usize, film: usize) -> bool {
    !cross_fits(recipe) || (epoch + film).is_multiple_of(2)
}

/// Whether the pseudo-label of a film is renewed after an epoch.
pub fn renews(recipe: &Recipe, epoch: usize, film: usize) -> bool {
    !cross_fits(recipe) || !trains_on(recipe, epoch, film)
}

/// A committee's labels stay, so all films can be trained on.
fn cross_fits(recipe: &Recipe) -> bool {
    recipe.committee.is_none() && recipe.pairs.film.as_ref().is_some_and(|pairs| pairs.cross_fit)
}

/// At least `count` points, distributed evenly among `centres` and drawn from a normal distribution about each; with
/// `centres_first`, the centres themselves come first.
fn spread(
    centres: &[GridPoint],
    count: usize,
    deviation: f64,
    centres_first: bool,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<GridPoint>, TrainError> {
    let normal = Normal::new(0.0, deviation).map_err(|source| TrainError::Spread { deviation, source })?;
    let mut point = |index: usize| {
        let centre = centres[index % centres.len()];
        match centres_first && index < centres.len() {
            true => centre,
            false => GridPoint::new(centre.row + normal.sample(rng), centre.column + normal.sample(rng)),
        }
    };
    Ok((0..count.max(centres.len())).map(&mut point).collect())
}
