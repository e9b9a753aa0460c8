//! A training run: phases of epochs, each Train-Template, Train-PL, Infer-PL (paper Fig. 1), kept in a folder from which it can
//! go on after a stop.
//!
//! The folder holds `recipe.yaml` (resolved), `log.jsonl`, TensorBoard events and `checkpoint.safetensors`, which is replaced
//! after every epoch, when the run is interrupted, and at the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use onemark_models::checkpoint::{Checkpoint, Tensors, check_tensors, write_whole};
use onemark_models::dataset::Case;
use onemark_models::init;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::network::{Architecture, LABELS, LEVELS, template_vector_name};
use onemark_models::recipe::{Decay, Phase, Recipe, RecipeError, Stage};
use onemark_models::shape;
use serde_json::json;
use tch::{Device, Tensor};

use crate::TrainError;
use crate::adam::Adam;
use crate::average::Average;
use crate::features::{Features, Trunk};
use crate::films::Films;
use crate::interpreter::{self, Mode};
use crate::labels::Heads;
use crate::log::RunLog;
use crate::loss::matching_loss;
use crate::params::{Params, from_torch, widen};
use crate::progress::Progress;
use crate::steps::{Labels, Place, Plan, Sampler};

/// The checkpoint's name in a run's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

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
    /// The run's folder.
    pub folder: PathBuf,
    /// Where the trunk's features of films are kept, to be shared with other runs; nothing for the device's memory.
    pub features: Option<PathBuf>,
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
    history: Vec<String>,
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
    pub fn start(&self, trunk: Tensors) -> Result<Ending, TrainError> {
        if self.checkpoint_path().exists() {
            return Err(TrainError::RunExists { folder: self.folder.clone() });
        }
        Films::check(self.recipe, self.cases)?;
        let log = RunLog::open(&self.folder, None)?;
        let recipe = self.recipe.to_yaml().map_err(RecipeError::from)?;
        let path = self.folder.join("recipe.yaml");
        write_whole(&path, recipe.as_bytes()).map_err(|source| TrainError::Write { path, source })?;
        let adapters = self.recipe.phases[0].adapters;
        let mut tensors = self.fresh(adapters)?;
        tensors.extend(trunk);
        let state = State {
            params: Params::new(&tensors, self.device)?,
            adam: Adam::new(self.recipe.optimiser),
            average: self.recipe.average.map(Average::new),
            labels: None,
            place: Place::default(),
            history: Vec::new(),
        };
        self.go(state, log)
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
        let (Some(phase), Some(epoch), Some(step)) = (number("phase"), number("epoch"), number("step")) else {
            return Err(refuse("it is finished"));
        };
        let place = Place { phase, epoch, step };
        let labels = tensors
            .remove(LABELS)
            .map(|labels| shape::from_tensor(&labels).ok_or_else(|| refuse("its pseudo-labels are no points")));
        let labels = labels.transpose()?;
        let adam = Adam::resume(self.recipe.optimiser, &mut tensors, self.device)?;
        let average = self.recipe.average.map(|decay| Average::resume(decay, &mut tensors, self.device)).transpose()?;
        let mut shapes = Architecture::from(self.recipe).trunk_graph()?.params().clone();
        shapes.extend(self.decoder_shapes(has_adapters(&tensors))?);
        check_tensors(&tensors, &shapes)?;
        let params = Params::new(&tensors, self.device)?;
        let state = State { params, adam, average, labels, place, history };
        let log = RunLog::open(&self.folder, Some(self.steps_before(place)))?;
        self.go(state, log)
    }

    fn go(&self, mut state: State, mut log: RunLog) -> Result<Ending, TrainError> {
        let started = Instant::now();
        let mut progress = Progress::of("trunk features");
        let features = Features::new(self.recipe, &state.params, self.features.as_deref())?;
        let films = Films::prepare(self.recipe, self.cases, &features, |done, total| progress.tell(done, total, ""))?;
        drop(progress);
        eprintln!(
            "features of {} films and copies in {:.0} s",
            films.template_copies().end,
            started.elapsed().as_secs_f64()
        );
        log.event(&json!({"event": "features", "seconds": started.elapsed().as_secs_f64()}))?;

        let sampler = Sampler::new(self.recipe, &films);
        let landmarks = films.template_points().len();
        while let Some(phase) = self.recipe.phases.get(state.place.phase) {
            self.join_adapters(&mut state, phase)?;
            let heads = Heads::new(self.recipe, landmarks, phase.adapters)?;
            while state.place.epoch < phase.epochs {
                let began = Instant::now();
                let plans = sampler.epoch(state.place);
                let loss = self.train_epoch(&mut state, &mut log, &heads, &films, &sampler, &plans, phase)?;
                let Some(loss) = loss else {
                    self.save(&state)?;
                    return Ok(Ending::Interrupted);
                };
                let epoch = state.place.epoch + 1;
                state.place = Place { epoch, step: 0, ..state.place };
                // After the last epoch, no step reads labels any more.
                let goes_on = epoch < phase.epochs || state.place.phase + 1 < self.recipe.phases.len();
                if goes_on && self.recipe.needs_labels() {
                    let mut progress = Progress::of("Infer-PL");
                    let tell = |done, total| progress.tell(done, total, "");
                    state.labels = Some(heads.infer(self.recipe, &state.steady(), &films, tell)?);
                }
                let seconds = began.elapsed().as_secs_f64();
                let line =
                    format!("phase {}, epoch {epoch}/{}: loss {loss:.3}, {seconds:.0} s", phase.name, phase.epochs);
                eprintln!("{line}");
                log.event(
                    &json!({"event": "epoch", "phase": phase.name, "epoch": epoch, "loss": loss, "seconds": seconds}),
                )?;
                state.history.push(line);
                self.save(&state)?;
            }
            state.place = Place { phase: state.place.phase + 1, epoch: 0, step: 0 };
        }
        self.finish(&state, &films)?;
        Ok(Ending::Finished)
    }

    /// The rest of an epoch; its mean loss, or nothing when it was interrupted.
    #[allow(clippy::too_many_arguments)]
    fn train_epoch(
        &self,
        state: &mut State,
        log: &mut RunLog,
        heads: &Heads,
        films: &Films,
        sampler: &Sampler,
        plans: &[Plan],
        phase: &Phase,
    ) -> Result<Option<f64>, TrainError> {
        let trunk = Trunk::new(self.recipe)?;
        let mut told = Progress::of(format!("{} {}/{}", phase.name, state.place.epoch + 1, phase.epochs));
        let (mut sum, mut count) = (0.0, 0);
        while let Some(plan) = plans.get(state.place.step) {
            let number = self.steps_before(state.place);
            let progress =
                (state.place.epoch as f64 + state.place.step as f64 / plans.len() as f64) / phase.epochs as f64;
            let learning_rate = phase.learning_rate * decay(phase, state.place.epoch, progress);
            let step = sampler.draw(state.place, plan, state.labels.as_ref())?;

            let graph = heads.graph(plan.landmark);
            let mode = Mode::Train { freeze_shared: phase.freeze_statistics };
            let target = interpreter::run(graph, &state.params, &films.taps(&step.samples, self.device)?, mode)?;
            let losses = if step.patches.is_empty() {
                matching_loss(&self.recipe.loss, &target, &target, &step.matches)?
            } else {
                let source = interpreter::run(graph, &state.params, &trunk.taps(&state.params, &step.patches)?, mode)?;
                matching_loss(&self.recipe.loss, &source, &target, &step.matches)?
            };
            let values =
                losses.iter().map(|loss| Ok(f64::try_from(loss)?)).collect::<Result<Vec<f64>, TrainError>>()?;
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                let landmark =
                    plan.landmark.map_or("all landmarks".to_owned(), |index| format!("landmark {}", index + 1));
                return Err(TrainError::Diverged { step: number, landmark, level: LEVELS[index] });
            }
            let total = losses.iter().skip(1).try_fold(losses[0].shallow_clone(), |sum, loss| sum.f_add(loss))?;
            let trained = state.params.trained(graph)?;
            let tensors: Vec<&Tensor> = trained.iter().map(|(_, tensor)| *tensor).collect();
            let gradients = Tensor::f_run_backward(&[total], &tensors, false, false)?;
            state.adam.step(&trained, &gradients, learning_rate)?;
            if let Some(average) = &mut state.average {
                average.update(graph, &state.params)?;
            }

            let value: f64 = values.iter().sum();
            (sum, count) = (sum + value, count + 1);
            log.scalar("loss/total", number, value)?;
            for (level, value) in LEVELS.into_iter().zip(&values) {
                log.scalar(&format!("loss/level{level}"), number, *value)?;
            }
            log.scalar("learning_rate", number, learning_rate)?;
            state.place.step += 1;
            told.tell(state.place.step, plans.len(), &format!("loss {:.3}", sum / f64::from(count)));
            if self.interrupted.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        Ok(Some(sum / f64::from(count.max(1))))
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
        if phase.adapters && !has_adapters(&state.params.to_tensors()?) {
            let tensors = widen(state.steady().to_tensors()?, self.fresh(true)?);
            state.params = Params::new(&tensors, self.device)?;
            state.average = self.recipe.average.map(Average::new);
            // Moments of convolutions that grew no longer fit, and the rest would be out of step with them.
            state.adam = Adam::new(self.recipe.optimiser);
        }
        Ok(())
    }

    /// Untrained decoder, and adapters if asked for.
    fn fresh(&self, adapters: bool) -> Result<Tensors, TrainError> {
        Ok(init::initial(&self.decoder_shapes(adapters)?, self.recipe.seed))
    }

    fn decoder_shapes(&self, adapters: bool) -> Result<BTreeMap<String, Vec<usize>>, TrainError> {
        let mut network = self.recipe.network.clone();
        if !adapters {
            network.adapter_channels = 0;
        }
        let landmarks = LandmarkSet::named(&self.recipe.landmarks)?.len();
        Ok(Architecture { trunk: &self.recipe.trunk, network: &network }.decoder_params(landmarks)?)
    }

    fn save(&self, state: &State) -> Result<(), TrainError> {
        let mut tensors = state.params.to_tensors()?;
        tensors.extend(state.adam.to_tensors()?);
        if let Some(average) = &state.average {
            tensors.extend(average.to_tensors()?);
        }
        let Place { phase, epoch, step } = state.place;
        let notes = [("phase", phase), ("epoch", epoch), ("step", step)]
            .map(|(key, number)| (key.to_owned(), number.to_string()));
        self.write(state, tensors, notes.into())
    }

    /// The checkpoint that the exporter takes: with the template's vectors and the last pseudo-labels, without the optimiser's
    /// memory.
    fn finish(&self, state: &State, films: &Films) -> Result<(), TrainError> {
        let adapters = self.recipe.phases.last().is_some_and(|phase| phase.adapters);
        let heads = Heads::new(self.recipe, films.template_points().len(), adapters)?;
        let params = state.steady();
        let mut tensors = params.to_tensors()?;
        for (level, vectors) in LEVELS.into_iter().zip(heads.template_vectors(self.recipe, &params, films)?) {
            for (index, vector) in from_torch(&vectors)?.outer_iter().enumerate() {
                tensors.insert(template_vector_name(index + 1, level), vector.to_owned());
            }
        }
        self.write(state, tensors, BTreeMap::new())
    }

    fn write(
        &self,
        state: &State,
        mut tensors: Tensors,
        mut notes: BTreeMap<String, String>,
    ) -> Result<(), TrainError> {
        notes.insert("films".into(), self.film_ids());
        if let Some(labels) = &state.labels {
            tensors.insert(LABELS.to_owned(), shape::to_tensor(labels));
        }
        let checkpoint = Checkpoint { recipe: self.recipe.clone(), history: state.history.clone(), notes, tensors };
        Ok(checkpoint.write(&self.checkpoint_path())?)
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.folder.join(CHECKPOINT)
    }

    fn film_ids(&self) -> String {
        self.cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>().join(" ")
    }
}

fn has_adapters(tensors: &Tensors) -> bool {
    tensors.keys().any(|name| name.starts_with("adapter."))
}

/// The recipe of the run in a folder.
///
/// # Errors
/// There is no run, or its checkpoint is damaged.
pub fn recipe_of(folder: &Path) -> Result<Recipe, TrainError> {
    Ok(Checkpoint::read(&folder.join(CHECKPOINT))?.recipe)
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
