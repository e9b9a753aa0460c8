//! Cuts a recipe to a time budget: copies so that their features do not take most of it, then epochs and steps. Takes and times some
//! steps of each phase, on a network that is then discarded.

use std::time::{Duration, Instant};

use onemark_models::graph::Parameters;
use onemark_models::recipe::{Decay, Phase, PriorUse, Recipe};

use super::{Ending, Run, State};
use crate::TrainError;
use crate::data::features::{Features, Trunk};
use crate::data::samples::Films;
use crate::net::heads::Heads;
use crate::net::interpreter::Mode;
use crate::net::params::Params;
use crate::pseudo_labels::Scene;
use crate::report::observer::Event;
use crate::report::profile::Profile;
use crate::step::sampler::{Sampler, SchedulePosition};
use crate::step::update::{Batch, Settings, update};

/// Steps of a phase that are taken before the clock starts, and after.
const STEPS: (usize, usize) = (2, 4);
/// Share of the budget kept in reserve, because a machine's speed varies.
const RESERVE: f64 = 0.07;
/// The largest share of the budget for features, if fewer copies of the template keep it.
const FEATURES: f64 = 0.4;
/// The fewest copies of the template to cut to.
const FEWEST_COPIES: usize = 8;
/// The largest share of the time for epochs that goes to what is between them, if fewer epochs keep it.
const BETWEEN: f64 = 0.5;

/// Time that the parts of a phase take, in seconds.
struct Pace {
    step: f64,
    /// Everything between two epochs.
    between: f64,
    /// The scores of the training films at the end.
    finish: f64,
}

/// A recipe that fits a time budget, and its films with their features, which the run then need not compute again.
pub struct Fitted {
    /// The recipe, cut if that was necessary.
    pub recipe: Recipe,
    /// What was cut, in words; `None` if it fits uncut.
    pub cut: Option<String>,
    films: Films,
}

impl Run<'_> {
    /// Cuts the recipe so that the rest of training takes about `budget`: the template's copies if features took too much of it, then
    /// the schedule. With film pairs, epochs get fewer steps, and there are fewer epochs if what is between them took too much;
    /// with patch pairs, whose steps per epoch follow from the data, there are fewer epochs.
    ///
    /// # Errors
    /// As [`Run::start`].
    pub fn fit(&self, trunk: &Parameters, budget: Duration) -> Result<Fitted, TrainError> {
        let (began, budget) = (Instant::now(), budget.as_secs_f64());
        self.validate()?;
        let params = self.new_state(trunk.clone(), false)?.params;
        let features = Features::new(self.recipe, &params, self.features.as_deref())?;
        let each = Films::seconds_each(self.recipe, &self.views, &features)?;
        let fewest = Films::fewest(self.recipe, self.views.len());
        let copies = (budget * FEATURES / each) as usize;
        let recipe = self.recipe.edit(|spec| {
            let all = spec.template_copies.count;
            spec.template_copies.count =
                copies.saturating_sub(fewest).clamp(all.min(FEWEST_COPIES.max(2 * spec.templates.len())), all);
            spec.template_vectors.copies = spec.template_vectors.copies.min(spec.template_copies.count);
        });
        let recipe = recipe.map_err(TrainError::Budget)?;
        let samples = fewest + recipe.template_copies.count;
        if samples as f64 * each > budget {
            self.observer.observe(Event::ShortBudget { minutes: samples as f64 * each / 60.0 });
        }
        let run = self.with(&recipe);
        let films = run.films(&params)?;
        let paces = (0..recipe.phases.len()).map(|phase| run.pace(phase, trunk, &films));
        let paces = paces.collect::<Result<Vec<Pace>, TrainError>>()?;

        // Members of a committee take as long as the network that is trained on their labels, or less.
        let trainings = 1.0 + recipe.committee.map_or(0.0, |committee| committee.members as f64);
        let finish = paces.last().map_or(0.0, |pace| pace.finish);
        let left = (budget - began.elapsed().as_secs_f64()) * (1.0 - RESERVE) / trainings - finish;
        let recipe = run.shortened(&films, &paces, left)?;
        let (steps, between) = self.with(&recipe).seconds(&films, &paces);
        if steps + between > left {
            let minutes = (began.elapsed().as_secs_f64() + trainings * (steps + between + finish)) / 60.0;
            self.observer.observe(Event::ShortBudget { minutes });
        }
        Ok(Fitted { cut: what_is_cut(self.recipe, &recipe), recipe, films })
    }

    /// Starts a new run of a recipe that [`Run::fit`] has cut.
    ///
    /// # Errors
    /// As [`Run::start`].
    pub fn start_fitted(&self, trunk: Parameters, Fitted { recipe, films, .. }: Fitted) -> Result<Ending, TrainError> {
        self.with(&recipe).start_with(trunk, Some(&films))
    }

    /// The same run with another recipe.
    fn with<'a>(&'a self, recipe: &'a Recipe) -> Run<'a> {
        Run { recipe, folder: self.folder.clone(), features: self.features.clone(), ..*self }
    }

    /// The seconds of all steps, and of all that is between epochs.
    fn seconds(&self, films: &Films, paces: &[Pace]) -> (f64, f64) {
        let sampler = Sampler::new(self.recipe, &films.samples);
        let each = self.recipe.phases.iter().zip(paces).enumerate().map(|(index, (phase, pace))| {
            let position = SchedulePosition { phase: index, ..SchedulePosition::default() };
            let steps = sampler.epoch(position).len() as f64 * pace.step;
            (phase.epochs as f64 * steps, phase.epochs as f64 * pace.between)
        });
        each.fold((0.0, 0.0), |sum, each| (sum.0 + each.0, sum.1 + each.1))
    }

    /// The recipe with a schedule that takes about `left` seconds.
    fn shortened(&self, films: &Films, paces: &[Pace], left: f64) -> Result<Recipe, TrainError> {
        let (steps, between) = self.seconds(films, paces);
        let edit = |share_of_epochs: f64, share_of_steps: f64| {
            let edited = self.recipe.edit(|spec| {
                let least = if spec.decoding == PriorUse::ShapePrior && spec.phases.len() == 1 { 2 } else { 1 };
                for phase in &mut spec.phases {
                    shorten(phase, share_of_epochs, least, share_of_steps);
                }
            });
            edited.map_err(TrainError::Budget)
        };
        if steps + between <= left {
            return Ok(self.recipe.clone());
        }
        if self.recipe.pairs.film.is_none() {
            return edit(left / (steps + between), 1.0);
        }
        let share_of_epochs = (left * BETWEEN / between).min(1.0);
        let fewer = edit(share_of_epochs, 1.0)?;
        let (steps_of_fewer, between_fewer) = self.with(&fewer).seconds(films, paces);
        // Fewer epochs may have more steps each, but not more in all.
        let share_of_steps = ((left - between_fewer).min(steps) / steps_of_fewer).max(0.0);
        edit(share_of_epochs, share_of_steps)
    }

    fn pace(&self, phase: usize, trunk: &Parameters, films: &Films) -> Result<Pace, TrainError> {
        let position = SchedulePosition { phase, ..SchedulePosition::default() };
        let phase = &self.recipe.phases[phase];
        let State { params, mut adam, kind, .. } = self.new_state(trunk.clone(), phase.adapters)?;
        let heads = Heads::new(self.recipe, films.samples.landmarks(), phase.adapters)?;
        let sampler = Sampler::new(self.recipe, &films.samples);
        let trunk = Trunk::new(self.recipe)?;
        let mut began = Instant::now();
        let mut taken = 0;
        for (index, planned) in sampler.epoch(position).iter().take(STEPS.0 + STEPS.1).enumerate() {
            if index == STEPS.0 {
                began = Instant::now();
            }
            let step = sampler.draw(position, planned, None)?;
            let batch = Batch::of(&step, films, &trunk, &params, kind, &mut Profile::off())?;
            let mode = Mode::Train { freeze_shared: phase.freeze_statistics };
            let settings = Settings { loss: &self.recipe.loss, mode, learning_rate: phase.learning_rate };
            let found =
                update(heads.graph(planned.landmark), &params, &mut adam, &batch, &settings, &mut Profile::off())?;
            // Reading waits for the device.
            let _ = Vec::<f32>::try_from(found.losses.f_to_device(tch::Device::Cpu)?)?;
            taken = index + 1;
        }
        // If an epoch has no steps to time after those before the clock, these count.
        let step = began.elapsed().as_secs_f64() / taken.saturating_sub(STEPS.0).max(1) as f64;

        let [vectors, judging, seconds_each] = match heads.count() {
            1 => self.pace_of_scene(&heads, &params, films)?,
            // Graphs share what does not depend on the landmark: one is timed, then two, for the rest by the difference.
            graphs => {
                let few = |landmarks| Heads::new(self.recipe, landmarks, phase.adapters);
                let one = self.pace_of_scene(&few(1)?, &params, films)?;
                let two = self.pace_of_scene(&few(2)?, &params, films)?;
                [0, 1, 2].map(|part: usize| one[part] + (graphs - 1) as f64 * (two[part] - one[part]).max(0.0))
            }
        };
        let of_films = seconds_each * films.samples.count() as f64;
        // Where pseudo-labels are renewed in turn, each round infers half of them.
        let in_turn = self.recipe.pairs.film.as_ref().is_some_and(|pairs| pairs.cross_fit);
        let inferred = if self.recipe.needs_labels() { of_films * if in_turn { 0.5 } else { 1.0 } } else { 0.0 };
        Ok(Pace { step, between: vectors + judging + inferred, finish: of_films })
    }

    /// The seconds that the template vectors take, the validation, and one film of it.
    fn pace_of_scene(&self, heads: &Heads, params: &Params, films: &Films) -> Result<[f64; 3], TrainError> {
        let began = Instant::now();
        let scene = Scene::new(self.recipe, heads, params, films)?;
        let vectors = began.elapsed().as_secs_f64();
        let judged = scene.validate()?.judged;
        let judging = began.elapsed().as_secs_f64() - vectors;
        Ok([vectors, judging, judging / judged.count() as f64])
    }
}

/// Leaves a share of a phase: of its epochs, at least `least`, and of its steps.
fn shorten(phase: &mut Phase, share_of_epochs: f64, least: usize, share_of_steps: f64) {
    let cut = |count: usize, share: f64, least: usize| ((count as f64 * share) as usize).max(least.min(count));
    if let Decay::Step { epochs, .. } = &mut phase.decay {
        *epochs = cut(*epochs, share_of_epochs, 1);
    }
    phase.epochs = cut(phase.epochs, share_of_epochs, least);
    if let Some(steps) = &mut phase.steps {
        *steps = cut(*steps, share_of_steps, 1);
    }
}

/// The differences between a recipe and the recipe cut to a budget, in words.
fn what_is_cut(before: &Recipe, now: &Recipe) -> Option<String> {
    let [all, fewer] = [before, now].map(|recipe| recipe.template_copies.count);
    let copies = (fewer < all).then(|| format!("{fewer} copies of the template instead of {all}"));
    let phases = now.phases.iter().zip(&before.phases).filter(|(now, before)| now != before);
    let phases = phases.map(|(now, before)| format!("{}: {} instead of {}", now.name, schedule(now), schedule(before)));
    let words: Vec<String> = copies.into_iter().chain(phases).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

fn schedule(phase: &Phase) -> String {
    match phase.steps {
        Some(steps) => format!("{} x {steps} steps", phase.epochs),
        None => format!("{} epochs", phase.epochs),
    }
}
