//! What each training step looks at: which films, which points, which landmark's adapter. Every draw comes from the recipe's
//! seed and the step's place in the schedule alone, so a resumed run draws what an unbroken one would have.

use std::sync::mpsc::sync_channel;
use std::thread;

use ndarray::{Array2, s};
use onemark_models::checkpoint::{Tensors, pseudo_labels};
use onemark_models::network::{LABEL_WEIGHTS, LABELS};
use onemark_models::recipe::{FilmPairs, PatchPairs, Recipe, Stage};
use onemark_models::shape_prior::{GridPoint, PointSets};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

use crate::TrainError;
use crate::augment::{jitter, rotate_patch, rotate_point};
use crate::films::Samples;
use crate::loss::{Cell, Match};

/// Pseudo-labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// Where each landmark lies: `points[film][landmark]`.
    pub points: PointSets,
    /// What each weighs, 0 to 1: `[film, landmark]`.
    pub weights: Array2<f32>,
}

impl From<PointSets> for Labels {
    /// Labels that weigh 1 each.
    fn from(points: PointSets) -> Self {
        let weights = Array2::ones((points.len(), points.first().map_or(0, Vec::len)));
        Self { points, weights }
    }
}

impl Labels {
    /// As tensors of a checkpoint.
    pub fn to_tensors(&self) -> Tensors {
        let (points, weights) = (pseudo_labels::to_tensor(&self.points), self.weights.clone().into_dyn());
        [(LABELS.to_owned(), points), (LABEL_WEIGHTS.to_owned(), weights)].into()
    }

    /// Takes what [`Labels::to_tensors`] gave out of `tensors`; `None` where that is of another shape, or no points. Checkpoints from
    /// before labels had weights have none: then each weighs 1.
    pub fn resume(tensors: &mut Tensors) -> Option<Self> {
        let mut labels = Self::from(pseudo_labels::from_tensor(&tensors.remove(LABELS)?)?);
        if let Some(weights) = tensors.remove(LABEL_WEIGHTS) {
            let weights = weights.into_dimensionality().ok()?;
            labels.weights = (weights.dim() == labels.weights.dim()).then_some(weights)?;
        }
        Some(labels)
    }
}

/// A step before anything is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Its stage; nothing where one step is of all stages, as with whole-film pairs.
    pub stage: Option<Stage>,
    /// The landmark (0-based) that it trains, `None` for all.
    pub landmark: Option<usize>,
    /// The samples that it shows, where the plan chooses them.
    samples: Vec<usize>,
}

/// A step ready to be run.
pub struct Step {
    /// Samples whose taps make the target batch, and the source batch too where there are no patches.
    pub samples: Vec<usize>,
    /// Patches that make the source batch.
    pub patches: Vec<Array2<f32>>,
    /// The points.
    pub matches: Vec<Match>,
}

/// A place in the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Index of the phase.
    pub phase: usize,
    /// Epoch in the phase.
    pub epoch: usize,
    /// Step in the epoch.
    pub step: usize,
}

/// Steps that are drawn before they are asked for.
const AHEAD: usize = 2;

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

    /// The steps of the epoch that `place` lies in: Train-Template, then Train-PL, or both at once.
    pub fn epoch(&self, place: Place) -> Vec<Plan> {
        let mut rng = self.rng(Place { step: usize::MAX, ..place });
        let landmarks = self.films.template_points().len();
        let phase = &self.recipe.phases[place.phase];
        match (&self.recipe.pairs.patch, phase.steps) {
            (Some(pairs), _) => {
                let films: Vec<usize> = (0..pairs.repeats).flat_map(|_| 0..self.films.count()).collect();
                let mut plans_of = |stage: &Stage| {
                    let (samples, landmarks) = match stage {
                        Stage::Template => (self.films.template_copies().collect(), (0..landmarks).map(Some).collect()),
                        Stage::PseudoLabels => (films.clone(), (0..landmarks).map(Some).collect()),
                        Stage::RandomPoints => (films.clone(), vec![None]),
                    };
                    let (mut samples, mut plans): (Vec<usize>, Vec<Plan>) = (samples, Vec::new());
                    for landmark in landmarks {
                        samples.shuffle(&mut rng);
                        let batches = samples.chunks(pairs.batch).map(<[usize]>::to_vec);
                        plans.extend(batches.map(|samples| Plan { stage: Some(*stage), landmark, samples }));
                    }
                    plans.shuffle(&mut rng);
                    plans
                };
                self.recipe.stages.iter().flat_map(&mut plans_of).collect()
            }
            (None, steps) => {
                let per_landmark = phase.adapters || self.recipe.network.separate;
                let landmark = |step: usize| per_landmark.then_some(step % landmarks);
                let plan = |step| Plan { stage: None, landmark: landmark(step), samples: Vec::new() };
                let mut plans: Vec<Plan> = (0..steps.unwrap_or(0)).map(plan).collect();
                plans.shuffle(&mut rng);
                plans
            }
        }
    }

    /// Draws the steps of `plans` from `place` on, on a thread of its own and a little ahead of `work`, which takes them.
    pub fn ahead<T>(
        &self,
        place: Place,
        plans: &[Plan],
        labels: Option<&Labels>,
        work: impl FnOnce(&mut dyn Iterator<Item = Result<Step, TrainError>>) -> T,
    ) -> T {
        thread::scope(|scope| {
            let (sender, steps) = sync_channel(AHEAD);
            scope.spawn(move || {
                let rest = plans.iter().enumerate().skip(place.step);
                let mut drawn = rest.map(|(step, plan)| self.draw(Place { step, ..place }, plan, labels));
                // Until there are no more, or nobody takes them.
                drawn.try_for_each(|step| sender.send(step))
            });
            work(&mut steps.into_iter())
        })
    }

    /// Draws the step at `place`.
    ///
    /// # Errors
    /// The recipe's spreads are no numbers.
    pub fn draw(&self, place: Place, plan: &Plan, labels: Option<&Labels>) -> Result<Step, TrainError> {
        let mut rng = self.rng(place);
        match (&self.recipe.pairs.patch, &self.recipe.pairs.film) {
            (Some(pairs), _) => Ok(self.draw_patches(pairs, plan, labels, &mut rng)),
            (None, Some(pairs)) => self.draw_films(pairs, plan, place.epoch, labels, &mut rng),
            (None, None) => Ok(Step { samples: vec![], patches: vec![], matches: vec![] }),
        }
    }

    fn rng(&self, place: Place) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.recipe.seed);
        // Streams below 2^32 belong to the films' copies.
        rng.set_stream((place.phase as u64 + 1) << 56 | (place.epoch as u64) << 32 | (place.step as u64 & 0xffff_ffff));
        rng
    }

    /// METHOD.md sec. 1b with the crop centred at the landmark (paper sec. 2.1; METHOD.md sec. 4, items 11-14).
    fn draw_patches(&self, pairs: &PatchPairs, plan: &Plan, labels: Option<&Labels>, rng: &mut ChaCha8Rng) -> Step {
        let size = self.recipe.network.size;
        let weight = 1.0 / plan.samples.len() as f32;
        let mut step = Step { samples: plan.samples.clone(), patches: Vec::new(), matches: Vec::new() };
        for (image, sample) in plan.samples.iter().enumerate() {
            let point = match (plan.stage, plan.landmark, labels) {
                (Some(Stage::Template), Some(landmark), _) => {
                    self.films.from_film(*sample, self.films.template_points()[landmark])
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
            let label = cell(clamp((label.0 + 0.5, label.1 + 0.5), pairs.size));
            step.patches.push(rotate_patch(&patch, angle));
            step.matches.push(Match { source: (image, label), target: (image, raw), weight });
        }
        step
    }

    /// Two copies of the template, one against the other, and a film against its copy; once there are pseudo-labels, also the
    /// template against the film. Where the template is not trained on, a second film takes its place.
    fn draw_films(
        &self,
        pairs: &FilmPairs,
        plan: &Plan,
        epoch: usize,
        labels: Option<&Labels>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Step, TrainError> {
        let labels = labels.filter(|_| self.recipe.stages.contains(&Stage::PseudoLabels));
        let all = 0..self.films.count();
        let mut trained: Vec<usize> = all.clone().filter(|film| trains_on(self.recipe, epoch, *film)).collect();
        if labels.is_none() || trained.is_empty() {
            trained = all.collect();
        }
        let film_and_copy = |rng: &mut ChaCha8Rng| {
            let film = trained[rng.random_range(0..trained.len())];
            let copies: Vec<usize> = self.films.copies(film).collect();
            (film, copies[rng.random_range(0..copies.len())])
        };
        let chosen = |points: &[GridPoint]| -> Vec<GridPoint> {
            plan.landmark.map_or_else(|| points.to_vec(), |landmark| vec![points[landmark]])
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
        let template: Vec<usize> = self.films.template_copies().collect();
        let two = rand::seq::index::sample(rng, template.len(), 2);
        let (film, copy) = film_and_copy(rng);
        let samples = vec![template[two.index(0)], template[two.index(1)], film, copy];
        let truth = chosen(self.films.template_points());
        let about_truth = spread(&truth, pairs.points, pairs.template_spread, true, rng)?;
        let mut matches = self.matches((0, 1), &samples, &about_truth, 1.0);
        matches.extend(self.matches((3, 2), &samples, &on_film(film, rng)?, 1.0));
        if let Some(labels) = labels {
            let each = pairs.template_to_film as f32 / truth.len() as f32;
            for landmark in plan.landmark.map_or(0..truth.len(), |landmark| landmark..landmark + 1) {
                let on_copy = self.films.from_film(samples[0], self.films.template_points()[landmark]);
                let label = (2, labels.points[film][landmark]);
                matches.extend(self.pair((0, on_copy), label, each * labels.weights[[film, landmark]]));
            }
        }
        Ok(Step { samples, patches: Vec::new(), matches })
    }

    /// Points of a film on two of its samples (given by their index in `samples`); those that leave either are dropped.
    fn matches(&self, images: (usize, usize), samples: &[usize], points: &[GridPoint], weight: f32) -> Vec<Match> {
        let on = |image: usize, point| (image, self.films.from_film(samples[image], point));
        let pair = |point: &GridPoint| self.pair(on(images.0, *point), on(images.1, *point), 1.0);
        let mut matches: Vec<Match> = points.iter().filter_map(pair).collect();
        let each = weight / matches.len().max(1) as f32;
        matches.iter_mut().for_each(|point| point.weight = each);
        matches
    }

    fn pair(&self, source: (usize, GridPoint), target: (usize, GridPoint), weight: f32) -> Option<Match> {
        let side = self.recipe.network.size as f64;
        let inside = |point: GridPoint| (0.0..side).contains(&point.0) && (0.0..side).contains(&point.1);
        let both = inside(source.1) && inside(target.1);
        both.then(|| Match { source: (source.0, cell(source.1)), target: (target.0, cell(target.1)), weight })
    }

    /// Uniform over the film less a margin of 5 %. For a landmark, the same on a film at every call (METHOD.md sec. 4, item 14).
    fn random_point(&self, landmark: Option<usize>, film: usize, rng: &mut ChaCha8Rng) -> GridPoint {
        let side = self.recipe.network.size as f64;
        let draw = |rng: &mut ChaCha8Rng| (rng.random_range(0.05..0.95) * side, rng.random_range(0.05..0.95) * side);
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

/// Whether an epoch trains on a film whose pseudo-label is known: all of them, unless the recipe fits crosswise.
pub fn trains_on(recipe: &Recipe, epoch: usize, film: usize) -> bool {
    !crosswise(recipe) || (epoch + film).is_multiple_of(2)
}

/// Whether the pseudo-label of a film is renewed after an epoch.
pub fn renews(recipe: &Recipe, epoch: usize, film: usize) -> bool {
    !crosswise(recipe) || !trains_on(recipe, epoch, film)
}

fn crosswise(recipe: &Recipe) -> bool {
    recipe.pairs.film.as_ref().is_some_and(|pairs| pairs.cross_fit)
}

/// `count` points shared out among `centres`, normal about each; with `own`, each centre itself comes first.
fn spread(
    centres: &[GridPoint],
    count: usize,
    deviation: f64,
    own: bool,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<GridPoint>, TrainError> {
    let normal = Normal::new(0.0, deviation).map_err(|source| TrainError::Spread { deviation, source })?;
    let mut point = |index: usize| {
        let centre = centres[index % centres.len()];
        match own && index < centres.len() {
            true => centre,
            false => (centre.0 + normal.sample(rng), centre.1 + normal.sample(rng)),
        }
    };
    Ok((0..count.max(centres.len())).map(&mut point).collect())
}

/// Where a crop of side `patch` about the cell `at` starts on a film of side `size` (METHOD.md sec. 4, item 11).
pub fn patch_origin(at: i64, patch: usize, size: usize) -> i64 {
    (at - patch as i64 / 2).clamp(0, (size - patch) as i64)
}

/// The crop of side `side` that starts at `origin` (row, column), inside the film.
pub fn crop(film: ndarray::ArrayView2<f32>, origin: (i64, i64), side: usize) -> Array2<f32> {
    let (top, left) = (origin.0 as usize, origin.1 as usize);
    film.slice(s![top..top + side, left..left + side]).to_owned()
}

/// The cell that holds a point.
pub fn cell(point: GridPoint) -> Cell {
    (point.0.floor() as i64, point.1.floor() as i64)
}

/// The nearest point whose cell lies on a grid of side `side`.
fn clamp(point: GridPoint, side: usize) -> GridPoint {
    let last = side as f64 - 0.5;
    (point.0.clamp(0.0, last), point.1.clamp(0.0, last))
}
