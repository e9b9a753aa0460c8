//! Cuts a recipe's schedule to a time budget: takes and times some steps of each phase, on a network that is then discarded.

use std::time::{Duration, Instant};

use onemark_models::graph::Parameters;
use onemark_models::recipe::{Decay, Phase, Recipe};

use super::{Run, State};
use crate::TrainError;
use crate::data::features::Trunk;
use crate::data::samples::Films;
use crate::net::heads::Heads;
use crate::net::interpreter::Mode;
use crate::pseudo_labels::Scene;
use crate::report::observer::Event;
use crate::report::profile::Profile;
use crate::step::sampler::{Sampler, SchedulePosition};
use crate::step::update::{Batch, Settings, update};

/// Steps of a phase that are taken before the clock starts, and after.
const STEPS: (usize, usize) = (2, 4);
/// Share of the budget kept in reserve, because a machine's speed varies.
const RESERVE: f64 = 0.07;

/// Time that the parts of a phase take, in seconds.
struct Pace {
    step: f64,
    /// Everything between two epochs.
    between: f64,
}

impl Run<'_> {
    /// The recipe with its schedule cut so that training takes about `budget`, and what was cut, in words; `None` if it fits
    /// uncut. With film pairs, epochs get fewer steps; with patch pairs, whose steps per epoch follow from the data, there are
    /// fewer epochs.
    ///
    /// # Errors
    /// As [`Run::start`].
    pub fn fit(&self, trunk: &Parameters, budget: Duration) -> Result<Option<(Recipe, String)>, TrainError> {
        let began = Instant::now();
        let params = self.new_state(trunk.clone(), false)?.params;
        let films = self.films(&params)?;
        let ready = if self.features.is_some() { 1.0 } else { 2.0 } * began.elapsed().as_secs_f64();
        let paces = (0..self.recipe.phases.len()).map(|phase| self.pace(phase, trunk, &films));
        let paces = paces.collect::<Result<Vec<Pace>, TrainError>>()?;

        let sampler = Sampler::new(self.recipe, &films.samples);
        let (mut steps, mut between) = (0.0, 0.0);
        for (index, (phase, pace)) in self.recipe.phases.iter().zip(&paces).enumerate() {
            let position = SchedulePosition { phase: index, ..SchedulePosition::default() };
            steps += (phase.epochs * sampler.epoch(position).len()) as f64 * pace.step;
            between += phase.epochs as f64 * pace.between;
        }
        let left = (budget.as_secs_f64() - ready) * (1.0 - RESERVE);
        let by_steps = self.recipe.pairs.film.is_some();
        let share = if by_steps { (left - between) / steps } else { left / (steps + between) };
        if share >= 1.0 {
            return Ok(None);
        }
        if by_steps && left < between {
            self.observer.observe(Event::ShortBudget { minutes: (ready + between) / 60.0 });
        }
        let recipe = self.recipe.edit(|spec| spec.phases.iter_mut().for_each(|phase| shorten(phase, share)));
        let recipe = recipe.map_err(TrainError::Budget)?;
        let phases = recipe.phases.iter().zip(&self.recipe.phases);
        let words = phases
            .map(|(now, before)| format!("{}: {} instead of {}", now.name, schedule(now), schedule(before)))
            .collect::<Vec<_>>()
            .join("; ");
        Ok(Some((recipe, words)))
    }

    fn pace(&self, phase: usize, trunk: &Parameters, films: &Films) -> Result<Pace, TrainError> {
        let position = SchedulePosition { phase, ..SchedulePosition::default() };
        let phase = &self.recipe.phases[phase];
        let State { params, mut adam, kind, .. } = self.new_state(trunk.clone(), phase.adapters)?;
        let heads = Heads::new(self.recipe, films.samples.template_points().len(), phase.adapters)?;
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

        // If each landmark has a graph of its own, one is timed for all.
        let graphs = heads.count();
        let heads = if graphs > 1 { Heads::new(self.recipe, 1, phase.adapters)? } else { heads };
        let began = Instant::now();
        let scene = Scene::new(self.recipe, &heads, &params, films)?;
        let of_vectors = began.elapsed().as_secs_f64();
        let began = Instant::now();
        scene.held_out_error()?;
        let of_held_out = began.elapsed().as_secs_f64();
        let inferred = if self.recipe.needs_labels() { films.samples.count() } else { 0 };
        let each = of_vectors + of_held_out * (1.0 + inferred as f64 / films.samples.held_out().len() as f64);
        let between = graphs as f64 * each;
        Ok(Pace { step, between })
    }
}

/// Leaves a share of a phase: of its steps, or else of its epochs.
fn shorten(phase: &mut Phase, share: f64) {
    let cut = |count: usize| ((count as f64 * share) as usize).max(1);
    match &mut phase.steps {
        Some(steps) => *steps = cut(*steps),
        None => {
            phase.epochs = cut(phase.epochs);
            if let Decay::Step { epochs, .. } = &mut phase.decay {
                *epochs = cut(*epochs);
            }
        }
    }
}

fn schedule(phase: &Phase) -> String {
    match phase.steps {
        Some(steps) => format!("{} x {steps} steps", phase.epochs),
        None => format!("{} epochs", phase.epochs),
    }
}
