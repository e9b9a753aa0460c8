//! A training run: phases of epochs, each Train-Template, Train-PL, Infer-PL (paper Fig. 1), kept in a folder from which it can
//! go on after a stop.
//!
//! The folder holds `recipe.yaml` (resolved), `environment.json`, `log.jsonl`, TensorBoard events and the checkpoints:
//!
//! - `checkpoint.safetensors`, replaced after every epoch, at an interval within epochs, when the run is interrupted, at the end;
//! - `epoch-P-E.safetensors`, what it held after the last few epochs E of phase P;
//! - `best.safetensors`, finished as the last one is, from the epoch with the least error on copies of the template that nothing
//!   trained on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onemark_models::checkpoint::{Checkpoint, Tensors, parameters, write_whole};
use onemark_models::dataset::Case;
use onemark_models::graph::{Level, Owner, ParamShapes, Parameters};
use onemark_models::init;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::network::{Architecture, LABELS};
use onemark_models::recipe::{Decay, Phase, Recipe, RecipeError, Stage};
use onemark_models::shape::{self, ShapePrior};
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::adam::Adam;
use crate::average::Average;
use crate::environment;
use crate::features::{Features, Trunk};
use crate::films::Films;
use crate::interpreter::Mode;
use crate::labels::{Heads, Inferred};
use crate::log::RunLog;
use crate::params::{Params, widen};
use crate::precision;
use crate::profile::Profile;
use crate::progress::Progress;
use crate::steps::{Labels, Place, Plan, Sampler, Step, renews};
use crate::update::{Batch, Settings, Update, update};

mod budget;
mod checkpoints;

/// The checkpoint's name in a run's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The name there of the best epoch's.
const BEST: &str = "best.safetensors";

/// The note in a checkpoint that says what the run computes in.
const KIND: &str = "precision";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All phases are done and the template's vectors are in the checkpoint.
    Finished,
    /// It was interrupted; the checkpoint goes on from there.
    Interrupted,
}

/// What a run trains on and where it keeps itself.
pub struct Run<'a> {
    /// The experiment.
    pub recipe: &'a Recipe,
    /// The training films.
    pub cases: &'a [Case],
    /// Where to compute.
    pub device: Device,
    /// What the convolutions of a step compute in, f32 or bf16; everything else is f32. Nothing for what suits the device or, when
    /// resuming, what the run has computed in so far.
    pub kind: Option<Kind>,
    /// The run's folder.
    pub folder: PathBuf,
    /// Where the trunk's features of films are kept, to be shared with other runs; nothing for the device's memory.
    pub features: Option<PathBuf>,
    /// Longest time between checkpoints.
    pub interval: Duration,
    /// How many epochs' checkpoints are kept.
    pub keep: usize,
    /// Whether to print where the time goes, after every epoch.
    pub profile: bool,
    /// Set from outside to stop after the step at hand.
    pub interrupted: &'a AtomicBool,
}

/// What changes while a run goes on.
struct State {
    params: Params,
    adam: Adam,
    average: Option<Average>,
    labels: Option<Labels>,
    place: Place,
    /// The least error so far on the held-out copies of the template, in cells.
    best: Option<f64>,
    history: Vec<String>,
    /// What steps compute in.
    kind: Kind,
}

impl State {
    /// The network that looks for landmarks: the average where the recipe has one, else what is trained.
    fn steady(&self) -> Params {
        self.average.as_ref().map_or_else(|| self.params.with(std::iter::empty()), |average| average.of(&self.params))
    }
}

impl Run<'_> {
    /// Starts a new run from the trunk's weights, named as in the graph.
    ///
    /// # Errors
    /// The folder holds a run, a film can't be read, training diverges, a file can't be written.
    pub fn start(&self, trunk: Parameters) -> Result<Ending, TrainError> {
        if self.checkpoint_path().exists() {
            return Err(TrainError::RunExists { folder: self.folder.clone() });
        }
        Films::check(self.recipe, self.cases)?;
        let log = RunLog::open(&self.folder, None)?;
        let recipe = self.recipe.to_yaml().map_err(RecipeError::from)?;
        let path = self.folder.join("recipe.yaml");
        write_whole(&path, recipe.as_bytes()).map_err(|source| TrainError::Write { path, source })?;
        self.go(self.new_state(trunk, self.recipe.phases[0].adapters)?, log)
    }

    /// Goes on with the run in the folder.
    ///
    /// # Errors
    /// As [`Run::start`]; and there is no run, it is finished, or it was another recipe or other films.
    pub fn resume(&self) -> Result<Ending, TrainError> {
        let path = self.checkpoint_path();
        let Checkpoint { recipe, history, notes, mut tensors } = Checkpoint::read(&path)?;
        let refuse = |why: &str| TrainError::CantResume { path: path.clone(), why: why.to_owned() };
        if recipe != *self.recipe {
            return Err(refuse("it was trained by another recipe: resume without --recipe, or choose another folder"));
        }
        if notes.get("films") != Some(&self.film_ids()) {
            return Err(refuse("it was trained on other films: give it the same --data"));
        }
        let number = |key: &str| notes.get(key).and_then(|text| text.parse().ok());
        let best = notes.get("best").and_then(|text| text.parse().ok());
        let (Some(phase), Some(epoch), Some(step)) = (number("phase"), number("epoch"), number("step")) else {
            return Err(refuse("it is finished"));
        };
        let place = Place { phase, epoch, step };
        let labels = tensors.contains_key(LABELS).then(|| Labels::resume(&mut tensors));
        let labels =
            labels.map(|labels| labels.ok_or_else(|| refuse("its pseudo-labels are no points"))).transpose()?;
        let mut shapes = Architecture::from(self.recipe).trunk_graph()?.params().clone();
        shapes.extend(self.decoder_shapes(self.has_adapters(&tensors)?)?);
        let adam = Adam::resume(self.recipe.optimiser, &mut tensors, &shapes, self.device)?;
        let average = self.recipe.average.map(|decay| Average::resume(decay, &mut tensors, &shapes, self.device));
        let average = average.transpose()?;
        let params = Params::new(&parameters(&tensors, &shapes)?, self.device)?;
        let so_far = notes.get(KIND).and_then(|name| precision::named(name));
        let kind = self.kind.or(so_far).unwrap_or_else(|| precision::suits(self.device));
        let state = State { params, adam, average, labels, place, best, history, kind };
        let log = RunLog::open(&self.folder, Some(self.steps_before(place)))?;
        self.go(state, log)
    }

    /// Where a run starts from.
    fn new_state(&self, trunk: Parameters, adapters: bool) -> Result<State, TrainError> {
        let mut parameters = self.fresh(adapters)?;
        parameters.extend(trunk);
        Ok(State {
            params: Params::new(&parameters, self.device)?,
            adam: Adam::new(self.recipe.optimiser),
            average: self.recipe.average.map(Average::new),
            labels: None,
            place: Place::default(),
            best: None,
            history: Vec::new(),
            kind: self.kind.unwrap_or_else(|| precision::suits(self.device)),
        })
    }

    fn go(&self, mut state: State, mut log: RunLog) -> Result<Ending, TrainError> {
        environment::record(&self.folder, self.device, state.kind, &mut log)?;
        let started = Instant::now();
        let mut progress = Progress::of("trunk features");
        let features = Features::new(self.recipe, &state.params, self.features.as_deref())?;
        let films = Films::prepare(self.recipe, self.cases, &features, |done, total| progress.tell(done, total, ""))?;
        drop(progress);
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("features of {} films and copies in {seconds:.0} s", films.len());
        log.event(&json!({"event": "features", "seconds": seconds}))?;

        let needed = ShapePrior::films_needed(films.template_points().len());
        if self.recipe.prior_rounds > 0 && films.count() < needed {
            eprintln!(
                "pseudo-labels go without a prior over shapes: it takes {needed} films, and there are {}",
                films.count()
            );
        }
        let sampler = Sampler::new(self.recipe, &films);
        let mut vectors = None;
        while let Some(phase) = self.recipe.phases.get(state.place.phase) {
            self.join_adapters(&mut state, phase)?;
            let heads = Heads::new(self.recipe, films.template_points().len(), phase.adapters)?;
            let work = Work { phase, films: &films, heads: &heads, sampler: &sampler };
            while state.place.epoch < phase.epochs {
                let mut profile = if self.profile { Profile::of(self.device) } else { Profile::off() };
                let began = Instant::now();
                let Some(loss) = self.train_epoch(&mut state, &mut log, &work, &mut profile)? else {
                    self.save(&state)?;
                    return Ok(Ending::Interrupted);
                };
                let epoch = state.place.epoch + 1;
                state.place = Place { epoch, step: 0, ..state.place };
                let steady = state.steady();
                let vectors = vectors.insert(heads.template_vectors(self.recipe, &steady, &films)?);
                // After the last epoch, no step reads labels any more.
                let goes_on = epoch < phase.epochs || state.place.phase + 1 < self.recipe.phases.len();
                if goes_on && self.recipe.needs_labels() {
                    self.infer(&mut state, &mut log, &work, vectors, &mut profile)?;
                }
                let error =
                    profile.time("validation", || heads.held_out_error(self.recipe, &steady, &films, vectors))?;
                log.scalar("validation/held_out_cells", self.steps_before(state.place), error)?;
                let seconds = began.elapsed().as_secs_f64();
                let line = format!(
                    "phase {}, epoch {epoch}/{}: loss {loss:.3}, {error:.2} cells off on held-out copies of the template, \
                     {seconds:.0} s",
                    phase.name, phase.epochs
                );
                eprintln!("{line}");
                log.event(&json!({
                    "event": "epoch", "phase": phase.name, "epoch": epoch, "loss": loss, "held_out_cells": error,
                    "seconds": seconds,
                }))?;
                state.history.push(line);
                profile.time("checkpoint", || {
                    if state.best.is_none_or(|best| error < best) {
                        state.best = Some(error);
                        self.write_finished(&state, vectors, &self.folder.join(BEST))?;
                    }
                    self.save(&state)?;
                    self.keep_epoch(state.place)
                })?;
                if !profile.is_empty() {
                    eprintln!("{profile}");
                }
            }
            state.place = Place { phase: state.place.phase + 1, epoch: 0, step: 0 };
        }
        let vectors = match vectors {
            Some(vectors) => vectors,
            None => {
                let adapters = self.recipe.phases.last().is_some_and(|phase| phase.adapters);
                let heads = Heads::new(self.recipe, films.template_points().len(), adapters)?;
                heads.template_vectors(self.recipe, &state.steady(), &films)?
            }
        };
        self.write_finished(&state, &vectors, &self.checkpoint_path())?;
        Ok(Ending::Finished)
    }

    /// The rest of an epoch; its mean loss, or nothing when it was interrupted.
    fn train_epoch(
        &self,
        state: &mut State,
        log: &mut RunLog,
        work: &Work,
        profile: &mut Profile,
    ) -> Result<Option<f64>, TrainError> {
        let sampler = work.sampler;
        let plans = sampler.epoch(state.place);
        let labels = state.labels.clone();
        sampler.ahead(state.place, &plans, labels.as_ref(), |steps| self.take(steps, &plans, state, log, work, profile))
    }

    /// Takes the steps planned for an epoch from the state's place on.
    fn take(
        &self,
        steps: &mut dyn Iterator<Item = Result<Step, TrainError>>,
        plans: &[Plan],
        state: &mut State,
        log: &mut RunLog,
        work: &Work,
        profile: &mut Profile,
    ) -> Result<Option<f64>, TrainError> {
        let Work { phase, films, heads, .. } = work;
        let trunk = Trunk::new(self.recipe)?;
        let mut told = Progress::of(format!("{} {}/{}", phase.name, state.place.epoch + 1, phase.epochs));
        let (mut sum, mut count, mut saved) = (0.0, 0, Instant::now());
        let mut unread: Vec<Unread> = Vec::new();
        while let Some(step) = profile.time("wait for a step", || steps.next()) {
            let (step, plan) = (step?, &plans[state.place.step]);
            let progress =
                (state.place.epoch as f64 + state.place.step as f64 / plans.len() as f64) / phase.epochs as f64;
            let learning_rate = phase.learning_rate * decay(phase, state.place.epoch, progress);
            let batch = Batch::of(&step, films, &trunk, &state.params, state.kind, profile)?;
            let graph = heads.graph(plan.landmark);
            let mode = Mode::Train { freeze_shared: phase.freeze_statistics };
            let settings = Settings { loss: &self.recipe.loss, mode, learning_rate };
            let Update { losses, .. } = update(graph, &state.params, &mut state.adam, &batch, &settings, profile)?;
            if let Some(average) = &mut state.average {
                profile.time("average", || average.update(graph, &state.params))?;
            }
            let number = self.steps_before(state.place);
            unread.push(Unread { step: number, landmark: plan.landmark, learning_rate, losses });
            state.place.step += 1;

            let interrupted = self.interrupted.load(Ordering::Relaxed);
            let due = saved.elapsed() > self.interval;
            if interrupted || due || unread.len() == READ_EVERY || state.place.step == plans.len() {
                let (total, steps) = (sum, unread.len());
                sum = total + profile.time("log", || read_losses(&mut unread, log))?;
                count += steps;
                told.tell(state.place.step, plans.len(), &format!("loss {:.3}", sum / count as f64));
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

    /// Infer-PL, and what can be said of its labels without knowing the truth.
    fn infer(
        &self,
        state: &mut State,
        log: &mut RunLog,
        work: &Work,
        vectors: &[Tensor],
        profile: &mut Profile,
    ) -> Result<(), TrainError> {
        let mut progress = Progress::of("Infer-PL");
        let tell = |done, total| progress.tell(done, total, "");
        let params = state.steady();
        let trained = state.place.epoch - 1;
        let earlier = self.recipe.phases.iter().take(state.place.phase).map(|phase| phase.epochs).sum::<usize>();
        let prior = earlier + trained < self.recipe.prior_rounds;
        let renew = |film| renews(self.recipe, trained, film);
        let Inferred { labels, seen } = profile.time("Infer-PL", || {
            work.heads.infer(self.recipe, &params, work.films, vectors, state.labels.as_ref(), prior, renew, tell)
        })?;
        let number = self.steps_before(state.place);
        if let Some(before) = state.labels.replace(labels) {
            let moved =
                before.points.iter().flatten().zip(seen.iter().flatten()).map(|(a, b)| (a.0 - b.0).hypot(a.1 - b.1));
            log.scalar("validation/moved_cells", number, moved.sum::<f64>() / seen.iter().flatten().count() as f64)?;
        }
        if let Some(incoherence) = shape::incoherence(&seen, self.recipe.network.size) {
            let mean = incoherence.iter().sum::<f64>() / incoherence.len() as f64;
            log.scalar("validation/incoherence_cells", number, mean)?;
            for (index, value) in incoherence.iter().enumerate() {
                log.scalar(&format!("validation/incoherence_cells/{:02}", index + 1), number, *value)?;
            }
        }
        Ok(())
    }

    /// Steps of all epochs before `place`, plus its own: the number under which it is logged.
    fn steps_before(&self, place: Place) -> u64 {
        let landmarks = LandmarkSet::named(&self.recipe.landmarks).map_or(0, |set| set.len());
        let per_epoch = |phase: &Phase| match &self.recipe.pairs.patch {
            None => phase.steps.unwrap_or(0),
            Some(pairs) => {
                let films = (self.cases.len() * pairs.repeats).div_ceil(pairs.batch);
                let steps = |stage: &Stage| match stage {
                    Stage::Template => landmarks * self.recipe.template_copies.count.div_ceil(pairs.batch),
                    Stage::PseudoLabels => landmarks * films,
                    Stage::RandomPoints => films,
                };
                self.recipe.stages.iter().map(steps).sum()
            }
        };
        let phases = &self.recipe.phases;
        let before: usize = phases.iter().take(place.phase).map(|phase| phase.epochs * per_epoch(phase)).sum();
        let this = phases.get(place.phase).map_or(0, |phase| place.epoch * per_epoch(phase));
        (before + this + place.step) as u64
    }

    /// Adds the adapters at the start of the first phase that has them.
    fn join_adapters(&self, state: &mut State, phase: &Phase) -> Result<(), TrainError> {
        if phase.adapters && !state.params.have_adapters() {
            let wide = widen(state.steady().to_parameters()?, self.fresh(true)?);
            state.params = Params::new(&wide, self.device)?;
            state.average = self.recipe.average.map(Average::new);
            // Moments of convolutions that grew no longer fit, and the rest would be out of step with them.
            state.adam = Adam::new(self.recipe.optimiser);
        }
        Ok(())
    }

    /// Untrained decoder, and adapters if asked for.
    fn fresh(&self, adapters: bool) -> Result<Parameters, TrainError> {
        Ok(init::initial(&self.decoder_shapes(adapters)?, self.recipe.seed))
    }

    fn decoder_shapes(&self, adapters: bool) -> Result<ParamShapes, TrainError> {
        let mut network = self.recipe.network.clone();
        if !adapters {
            network.adapter_channels = 0;
        }
        let landmarks = LandmarkSet::named(&self.recipe.landmarks)?.len();
        Ok(Architecture { trunk: &self.recipe.trunk, network: &network }.decoder_params(landmarks)?)
    }

    /// Whether a checkpoint holds any landmark's adapter.
    fn has_adapters(&self, tensors: &Tensors) -> Result<bool, TrainError> {
        let shapes = self.decoder_shapes(true)?;
        let mut adapters = shapes.keys().filter(|param| matches!(param.node.owner, Owner::Adapter(_)));
        Ok(adapters.any(|param| tensors.contains_key(&param.to_string())))
    }
}

/// What an epoch works with.
struct Work<'a> {
    phase: &'a Phase,
    films: &'a Films,
    heads: &'a Heads,
    sampler: &'a Sampler<'a>,
}

/// A step whose losses the device still holds.
struct Unread {
    step: u64,
    landmark: Option<usize>,
    learning_rate: f64,
    losses: Tensor,
}

/// Steps from one reading of losses to the next: reading waits for the device.
const READ_EVERY: usize = 20;

/// Logs what steps have found, and forgets them; the sum of their losses.
fn read_losses(unread: &mut Vec<Unread>, log: &mut RunLog) -> Result<f64, TrainError> {
    let mut sum = 0.0;
    for Unread { step, landmark, learning_rate, losses } in unread.drain(..) {
        let losses = Vec::<f32>::try_from(losses.f_to_device(Device::Cpu)?)?;
        if let Some(index) = losses.iter().position(|value| !value.is_finite()) {
            let landmark = landmark.map_or("all landmarks".to_owned(), |index| format!("landmark {}", index + 1));
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

/// The recipe of the run in a folder.
///
/// # Errors
/// There is no run, or its checkpoint is damaged.
pub fn recipe_of(folder: &Path) -> Result<Recipe, TrainError> {
    Ok(Checkpoint::read(&folder.join(CHECKPOINT))?.recipe)
}

/// Whether the run in a folder has come to its end.
///
/// # Errors
/// As [`recipe_of`].
pub fn is_finished(folder: &Path) -> Result<bool, TrainError> {
    Ok(!Checkpoint::read(&folder.join(CHECKPOINT))?.notes.contains_key("step"))
}

/// What is left of the learning rate when the share `progress` of the phase is done.
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
