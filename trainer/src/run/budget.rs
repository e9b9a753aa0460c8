//! Cutting a recipe's schedule to the time there is: some steps of each phase are taken and timed, on a network that is then
//! forgotten.

use std::time::{Duration, Instant};

use onemark_models::graph::Parameters;
use onemark_models::recipe::{Decay, Phase, Recipe};

use super::{Films, Heads, Place, Run, Sampler, State};
use crate::TrainError;
use crate::features::{Features, Trunk};
use crate::interpreter::Mode;
use crate::profile::Profile;
use crate::progress::Progress;
use crate::update::{Batch, Settings, update};

/// Steps of a phase that are taken before the clock starts, and then with it.
const STEPS: (usize, usize) = (2, 4);
/// Share of the time that is not planned for: machines are not equally fast all day.
const RESERVE: f64 = 0.07;

/// How long the parts of a phase take, in seconds.
struct Pace {
    step: f64,
    /// Everything between two epochs.
    between: f64,
}

impl Run<'_> {
    /// The recipe, its schedule cut so that training takes about `budget`, and what was cut, in words; nothing where it fits as
    /// it is. With film pairs epochs get fewer steps, with patch pairs, whose epochs the data make, there are fewer epochs.
    ///
    /// # Errors
    /// As [`Run::start`].
    pub fn fit(&self, trunk: &Parameters, budget: Duration) -> Result<Option<(Recipe, String)>, TrainError> {
        let began = Instant::now();
        let params = self.new_state(trunk.clone(), false)?.params;
        let features = Features::new(self.recipe, &params, self.features.as_deref())?;
        let mut progress = Progress::of("trunk features");
        let films = Films::prepare(self.recipe, self.cases, &features, |done, total| progress.tell(done, total, ""))?;
        drop(progress);
        let ready = if self.features.is_some() { 1.0 } else { 2.0 } * began.elapsed().as_secs_f64();
        let paces = (0..self.recipe.phases.len()).map(|phase| self.pace(phase, trunk, &films));
        let paces = paces.collect::<Result<Vec<Pace>, TrainError>>()?;

        let sampler = Sampler::new(self.recipe, &films);
        let (mut steps, mut between) = (0.0, 0.0);
        for (index, (phase, pace)) in self.recipe.phases.iter().zip(&paces).enumerate() {
            let place = Place { phase: index, ..Place::default() };
            steps += (phase.epochs * sampler.epoch(place).len()) as f64 * pace.step;
            between += phase.epochs as f64 * pace.between;
        }
        let left = (budget.as_secs_f64() - ready) * (1.0 - RESERVE);
        let by_steps = self.recipe.pairs.film.is_some();
        let share = if by_steps { (left - between) / steps } else { left / (steps + between) };
        if share >= 1.0 {
            return Ok(None);
        }
        if by_steps && left < between {
            eprintln!(
                "the budget is too short for this recipe, however few its steps: features, pseudo-labels and validation alone take \
                 about {:.0} minutes",
                (ready + between) / 60.0
            );
        }
        let mut recipe = self.recipe.clone();
        let cut = |count: usize| ((count as f64 * share) as usize).max(1);
        let mut words = Vec::new();
        for phase in &mut recipe.phases {
            let before = phase.clone();
            match phase.steps {
                Some(steps) => phase.steps = Some(cut(steps)),
                None => {
                    phase.epochs = cut(phase.epochs);
                    if let Decay::Step { epochs, .. } = &mut phase.decay {
                        *epochs = cut(*epochs);
                    }
                }
            }
            words.push(format!("{}: {} instead of {}", phase.name, schedule(phase), schedule(&before)));
        }
        Ok(Some((recipe, words.join("; "))))
    }

    fn pace(&self, phase: usize, trunk: &Parameters, films: &Films) -> Result<Pace, TrainError> {
        let place = Place { phase, ..Place::default() };
        let phase = &self.recipe.phases[phase];
        let State { params, mut adam, kind, .. } = self.new_state(trunk.clone(), phase.adapters)?;
        let heads = Heads::new(self.recipe, films.template_points().len(), phase.adapters)?;
        let sampler = Sampler::new(self.recipe, films);
        let trunk = Trunk::new(self.recipe)?;
        let mut began = Instant::now();
        let mut taken = 0;
        for (index, plan) in sampler.epoch(place).iter().take(STEPS.0 + STEPS.1).enumerate() {
            if index == STEPS.0 {
                began = Instant::now();
            }
            let step = sampler.draw(place, plan, None)?;
            let batch = Batch::of(&step, films, &trunk, &params, kind, &mut Profile::off())?;
            let mode = Mode::Train { freeze_shared: phase.freeze_statistics };
            let settings = Settings { loss: &self.recipe.loss, mode, learning_rate: phase.learning_rate };
            let found = update(heads.graph(plan.landmark), &params, &mut adam, &batch, &settings, &mut Profile::off())?;
            // Reading waits for the device.
            let _ = Vec::<f32>::try_from(found.losses.f_to_device(tch::Device::Cpu)?)?;
            taken = index + 1;
        }
        // Where an epoch has no more steps than are not timed, all are.
        let step = began.elapsed().as_secs_f64() / taken.saturating_sub(STEPS.0).max(1) as f64;

        // Where each landmark has a graph of its own, one stands for all.
        let graphs = heads.count();
        let heads = if graphs > 1 { Heads::new(self.recipe, 1, phase.adapters)? } else { heads };
        let began = Instant::now();
        let vectors = heads.template_vectors(self.recipe, &params, films)?;
        let of_vectors = began.elapsed().as_secs_f64();
        let began = Instant::now();
        heads.held_out_error(self.recipe, &params, films, &vectors)?;
        let of_held_out = began.elapsed().as_secs_f64();
        let inferred = if self.recipe.needs_labels() { films.count() } else { 0 };
        let each = of_vectors + of_held_out * (1.0 + inferred as f64 / films.held_out().len() as f64);
        let between = graphs as f64 * each;
        Ok(Pace { step, between })
    }
}

fn schedule(phase: &Phase) -> String {
    match phase.steps {
        Some(steps) => format!("{} x {steps} steps", phase.epochs),
        None => format!("{} epochs", phase.epochs),
    }
}
