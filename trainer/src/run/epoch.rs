//! One epoch of a run: train, infer pseudo-labels, validate.

use std::sync::atomic::Ordering;
use std::time::Instant;

use onemark_evaluation::coherence::incoherence;
use onemark_models::graph::Level;
use onemark_models::recipe::{Decay, Phase};
use onemark_models::shape_prior::PointSets;
use serde_json::json;
use tch::{Device, Tensor};

use super::{BEST, Run, State};
use crate::TrainError;
use crate::data::features::Trunk;
use crate::data::samples::Films;
use crate::net::heads::Heads;
use crate::net::interpreter::Mode;
use crate::pseudo_labels::{Inferred, Renewal, Scene};
use crate::report::log::RunLog;
use crate::report::observer::{EpochReport, Event};
use crate::report::page::Seen;
use crate::report::profile::Profile;
use crate::report::progress::Progress;
use crate::step::sampler::{PlannedStep, Sampler, SchedulePosition, Step, renews};
use crate::step::update::{Batch, Settings, Update, update};

/// Steps from one reading of losses to the next: reading waits for the device.
const READ_EVERY: usize = 20;

/// What the epochs of a phase share.
pub(super) struct EpochContext<'a> {
    pub phase: &'a Phase,
    pub films: &'a Films,
    pub heads: &'a Heads,
    pub sampler: &'a Sampler<'a>,
}

/// A step whose losses are still on the device.
struct UnreadStep {
    step: u64,
    /// Index of the landmark, `None` for all.
    landmark: Option<usize>,
    learning_rate: f64,
    /// Per level, level 5 first.
    losses: Tensor,
}

impl Run<'_> {
    /// The rest of the epoch at the state's position: the template vectors after it, or `None` if it was interrupted.
    pub(super) fn epoch(
        &self,
        state: &mut State,
        log: &mut RunLog,
        context: &EpochContext,
    ) -> Result<Option<Vec<Tensor>>, TrainError> {
        let phase = context.phase;
        let mut profile = if self.profile { Profile::of(self.device) } else { Profile::off() };
        let began = Instant::now();
        let Some(loss) = self.train(state, log, context, &mut profile)? else {
            self.save(state)?;
            return Ok(None);
        };
        let epoch = state.position.epoch + 1;
        state.position = SchedulePosition { epoch, step: 0, ..state.position };
        let params = state.steady();
        let scene = Scene::new(self.recipe, context.heads, &params, context.films)?;
        // After the last epoch, no step reads pseudo-labels.
        let continues = epoch < phase.epochs || state.position.phase + 1 < self.recipe.phases.len();
        let renews = self.recipe.needs_labels() && self.recipe.committee.is_none();
        let seen = match continues && renews {
            true => Some(self.infer(state, log, &scene, &mut profile)?),
            false => None,
        };
        let validation = profile.time("validation", || scene.validate())?;
        let step = self.steps_before(state.position);
        log.scalar("validation/held_out_cells", step, validation.cells)?;
        validation.mm.map_or(Ok(()), |mm| log.scalar("validation/held_out_mm", step, mm))?;
        let seconds = began.elapsed().as_secs_f64();
        let report = EpochReport { phase: phase.name.clone(), epoch, epochs: phase.epochs, loss, validation, seconds };
        self.observer.observe(Event::Epoch(&report));
        log.event(&json!({
            "event": "epoch", "phase": phase.name, "epoch": epoch, "loss": loss, "held_out_cells": validation.cells,
            "held_out_mm": validation.mm, "seconds": seconds,
        }))?;
        state.history.push(report.to_string());
        let seen = seen.as_ref().map(|Inferred { seen, films, scores, .. }| {
            let points = films.iter().map(|film| seen[*film].clone()).collect();
            Seen { films, points, scores: scores.clone() }
        });
        self.write_page(context.films, seen.as_ref())?;
        profile.time("checkpoint", || self.save_epoch(state, &scene.vectors, validation.cells))?;
        if !profile.is_empty() {
            self.observer.observe(Event::Profile(&profile));
        }
        Ok(Some(scene.vectors))
    }

    /// Writes the checkpoints after an epoch with this error where it is known, in cells.
    fn save_epoch(&self, state: &mut State, vectors: &[Tensor], error: f64) -> Result<(), TrainError> {
        // Before its adapters are there, it is not the network of the recipe, and can't be exported.
        let is_whole = |phase: &Phase| Some(phase.adapters) == self.recipe.phases.last().map(|last| last.adapters);
        let phase = self.recipe.phases.get(state.position.phase);
        if phase.is_some_and(is_whole) && state.best.is_none_or(|best| error < best) {
            state.best = Some(error);
            self.write_finished(state, vectors, None, &self.folder.join(BEST))?;
        }
        self.save(state)?;
        self.keep_epoch(state.position)
    }

    /// Takes the rest of the epoch's steps: their mean loss, or `None` if the run was interrupted.
    fn train(
        &self,
        state: &mut State,
        log: &mut RunLog,
        context: &EpochContext,
        profile: &mut Profile,
    ) -> Result<Option<f64>, TrainError> {
        let (sampler, position) = (context.sampler, state.position);
        let planned = sampler.epoch(position);
        let labels = state.labels.clone();
        sampler.ahead(position, &planned, labels.as_ref(), |steps| {
            self.take(steps, &planned, state, log, context, profile)
        })
    }

    /// Takes the steps planned for an epoch from the state's position on.
    fn take(
        &self,
        steps: &mut dyn Iterator<Item = Result<Step, TrainError>>,
        planned: &[PlannedStep],
        state: &mut State,
        log: &mut RunLog,
        context: &EpochContext,
        profile: &mut Profile,
    ) -> Result<Option<f64>, TrainError> {
        let EpochContext { phase, films, heads, .. } = context;
        let trunk = Trunk::new(self.recipe)?;
        let progress =
            Progress::new(self.observer, format!("{} {}/{}", phase.name, state.position.epoch + 1, phase.epochs));
        let (mut sum, mut count, mut saved) = (0.0, 0, Instant::now());
        let mut unread: Vec<UnreadStep> = Vec::new();
        while let Some(step) = profile.time("wait for a step", || steps.next()) {
            let (step, landmark) = (step?, planned[state.position.step].landmark);
            let share =
                (state.position.epoch as f64 + state.position.step as f64 / planned.len() as f64) / phase.epochs as f64;
            let learning_rate = phase.learning_rate * decay(phase, state.position.epoch, share);
            let batch = Batch::of(&step, films, &trunk, &state.params, state.kind, profile)?;
            let graph = heads.graph(landmark);
            let mode = Mode::Train { freeze_shared: phase.freeze_statistics };
            let settings = Settings { loss: &self.recipe.loss, mode, learning_rate };
            let Update { losses, .. } = update(graph, &state.params, &mut state.adam, &batch, &settings, profile)?;
            if let Some(average) = &mut state.average {
                profile.time("average", || average.update(graph, &state.params))?;
            }
            let number = self.steps_before(state.position);
            unread.push(UnreadStep { step: number, landmark, learning_rate, losses });
            state.position.step += 1;

            let interrupted = self.interrupted.load(Ordering::Relaxed);
            let due = saved.elapsed() > self.interval;
            if interrupted || due || unread.len() == READ_EVERY || state.position.step == planned.len() {
                let (total, steps) = (sum, unread.len());
                sum = total + profile.time("log", || read_losses(&mut unread, log))?;
                count += steps;
                progress.report_loss(state.position.step, planned.len(), sum / count as f64);
            }
            if interrupted {
                return Ok(None);
            }
            if due {
                profile.time("checkpoint", || self.save(state))?;
                saved = Instant::now();
            }
        }
        Ok(Some(sum / count.max(1) as f64))
    }

    /// Infer-PL, and the measures of its pseudo-labels that need no annotations.
    fn infer(
        &self,
        state: &mut State,
        log: &mut RunLog,
        scene: &Scene,
        profile: &mut Profile,
    ) -> Result<Inferred, TrainError> {
        let progress = Progress::new(self.observer, "Infer-PL");
        let trained = state.position.epoch - 1;
        let phases = self.recipe.phases.iter().take(state.position.phase);
        let earlier = phases.map(|phase| phase.epochs).sum::<usize>();
        let renewal = Renewal {
            before: state.labels.as_ref(),
            renews: |film| renews(self.recipe, trained, film),
            prior: earlier + trained < self.recipe.prior_rounds,
        };
        let inferred =
            profile.time("Infer-PL", || scene.infer(&renewal, |done, total| progress.report(done, total)))?;
        let Inferred { labels, seen, .. } = &inferred;
        let step = self.steps_before(state.position);
        if let Some(before) = state.labels.replace(labels.clone()) {
            log.scalar("validation/moved_cells", step, mean_distance(&before.points, seen))?;
        }
        if let Some(distances) = incoherence(seen, self.recipe.network.size) {
            let mean = distances.iter().sum::<f64>() / distances.len() as f64;
            log.scalar("validation/incoherence_cells", step, mean)?;
            for (index, value) in distances.iter().enumerate() {
                log.scalar(&format!("validation/incoherence_cells/{:02}", index + 1), step, *value)?;
            }
        }
        Ok(inferred)
    }
}

/// The mean distance between points and their counterparts, in cells.
fn mean_distance(before: &PointSets, after: &PointSets) -> f64 {
    let pairs = before.iter().flatten().zip(after.iter().flatten());
    pairs.map(|(a, b)| (a.row - b.row).hypot(a.column - b.column)).sum::<f64>() / after.iter().flatten().count() as f64
}

/// Reads and logs the losses of steps and empties the list: the sum of their losses.
fn read_losses(unread: &mut Vec<UnreadStep>, log: &mut RunLog) -> Result<f64, TrainError> {
    let mut sum = 0.0;
    for UnreadStep { step, landmark, learning_rate, losses } in unread.drain(..) {
        let losses = Vec::<f32>::try_from(losses.f_to_device(Device::Cpu)?)?;
        if let Some(index) = losses.iter().position(|value| !value.is_finite()) {
            return Err(TrainError::Diverged { step, landmark, level: Level::COARSE_TO_FINE[index].number() });
        }
        let total: f64 = losses.iter().copied().map(f64::from).sum();
        log.scalar("loss/total", step, total)?;
        for (level, value) in Level::COARSE_TO_FINE.into_iter().zip(losses) {
            log.scalar(&format!("loss/level{level}"), step, value.into())?;
        }
        log.scalar("learning_rate", step, learning_rate)?;
        sum += total;
    }
    Ok(sum)
}

/// The factor on the learning rate when the share `progress` of the phase is done.
fn decay(phase: &Phase, epoch: usize, progress: f64) -> f64 {
    match phase.decay {
        Decay::None => 1.0,
        Decay::Step { epochs, factor } => factor.powi((epoch / epochs.max(1)) as i32),
        Decay::Linear { after, floor } if progress > after => floor + (1.0 - floor) * (1.0 - progress) / (1.0 - after),
        Decay::Linear { .. } => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::panic)]
    fn linear_decay_is_constant_then_falls_to_its_floor() {
        let text = onemark_models::recipe::Recipe::load("phantom");
        let mut phase = text.map(|recipe| recipe.phases[0].clone()).unwrap_or_else(|error| panic!("{error}"));
        phase.decay = Decay::Linear { after: 0.5, floor: 0.1 };
        assert_eq!([0.0, 0.5, 1.0].map(|progress| decay(&phase, 0, progress)), [1.0, 1.0, 0.1]);
    }
}
