//! A training run: phases of epochs, each Train-Template, Train-PL, Infer-PL (paper Fig. 1), in a folder from which it can be
//! resumed.
//!
//! The folder holds `recipe.yaml` (resolved), `environment.json`, `log.jsonl`, TensorBoard events, a page for people
//! (`progress.html`) and the checkpoints:
//!
//! - `checkpoint.safetensors`, replaced after every epoch, at an interval within epochs, when the run is interrupted, at the end;
//! - `epoch-P-E.safetensors`, a copy of it after each of the last few epochs, E of phase P;
//! - `best.safetensors`, finished like the last one, of the epoch with the least error where it is known (on copies of the template
//!   that no step trains on, or on annotated films), among those of the whole network: in a recipe with adapters, those of the phases
//!   that train them.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use onemark_models::checkpoint::Checkpoint;
use onemark_models::files::write_whole;
use onemark_models::graph::Parameters;
use onemark_models::recipe::{Phase, Recipe, RecipeError, Stage};
use onemark_models::shape_prior::ShapePrior;
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::data::features::Features;
use crate::data::samples::Films;
use crate::data::views::Views;
use crate::environment;
use crate::net::heads::Heads;
use crate::net::params::Params;
use crate::pseudo_labels::{PseudoLabels, Renewal, Scene};
use crate::report::log::RunLog;
use crate::report::observer::{Event, Observer};
use crate::report::page::{self, Seen};
use crate::report::progress::Progress;
use crate::step::adam::Adam;
use crate::step::average::Average;
use crate::step::sampler::{Sampler, SchedulePosition};

mod budget;
mod checkpoints;
mod committee;
mod epoch;
mod first_look;
mod resume;

pub use budget::Fitted;
use epoch::EpochContext;
pub use first_look::{first_look, first_look_of};

/// The name of the checkpoint in a run's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The name there of the best epoch's checkpoint.
const BEST: &str = "best.safetensors";

/// The key of a checkpoint's note on the kind of number that the run computes in.
const KIND: &str = "precision";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All phases are done and the template vectors are in the checkpoint.
    Finished,
    /// It was interrupted; it can be resumed from the checkpoint.
    Interrupted,
}

/// What a run trains on, and its folder.
pub struct Run<'a> {
    /// The experiment.
    pub recipe: &'a Recipe,
    /// The training films, as this network sees them.
    pub views: Views<'a>,
    /// The network to begin with, of another training; `None` for an untrained one. A resumed run has its own.
    pub from: Option<&'a Checkpoint>,
    /// Where to compute.
    pub device: Device,
    /// The kind of number in which the convolutions of a step compute, f32 or bf16; everything else is f32. `None` for the kind
    /// that suits the device or, when resuming, the run's own.
    pub kind: Option<Kind>,
    /// The run's folder.
    pub folder: PathBuf,
    /// The folder that keeps the trunk's features of films and shares them with other runs; `None` for the device's memory.
    pub features: Option<PathBuf>,
    /// Longest time between checkpoints.
    pub interval: Duration,
    /// Number of epochs whose checkpoints are kept.
    pub keep: usize,
    /// Whether to report where the time goes, after every epoch.
    pub profile: bool,
    /// Set from outside to stop after the current step.
    pub interrupted: &'a AtomicBool,
    /// Receives the events of the run.
    pub observer: &'a dyn Observer,
}

/// The state of a run, which steps change.
struct State {
    params: Params,
    adam: Adam,
    average: Option<Average>,
    labels: Option<PseudoLabels>,
    position: SchedulePosition,
    /// The least error so far on the held-out copies of the template, in cells.
    best: Option<f64>,
    history: Vec<String>,
    /// The kind of number in which steps compute.
    kind: Kind,
}

impl State {
    /// The network that finds landmarks: the average if the recipe has one, else the trained parameters.
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
        self.validate()?;
        self.start_with(trunk, None)
    }

    /// Refuses what can't be trained, before anything is computed or written.
    fn validate(&self) -> Result<(), TrainError> {
        if self.checkpoint_path().exists() {
            return Err(TrainError::RunExists { folder: self.folder.clone() });
        }
        let sizes = Films::validate(self.recipe, &self.views)?;
        if sizes.len() > 1 {
            self.observer.observe(Event::Sizes(&sizes));
        }
        Ok(())
    }

    /// Starts a new run on films that were validated, with their features if they are known.
    fn start_with(&self, trunk: Parameters, films: Option<&Films>) -> Result<Ending, TrainError> {
        let log = RunLog::open(&self.folder, None)?;
        let recipe = self.recipe.to_yaml().map_err(RecipeError::from)?;
        let path = self.folder.join("recipe.yaml");
        write_whole(&path, recipe.as_bytes()).map_err(|source| TrainError::Write { path, source })?;
        self.go(self.new_state(trunk, self.recipe.phases[0].adapters)?, log, films)
    }

    /// Resumes the run in the folder.
    ///
    /// # Errors
    /// As [`Run::start`]; and there is no run, it is finished, or it has another recipe or other films.
    pub fn resume(&self) -> Result<Ending, TrainError> {
        self.resume_on(None)
    }

    /// Resumes the run on films with their features, if they are known.
    fn resume_on(&self, films: Option<&Films>) -> Result<Ending, TrainError> {
        let state = self.saved_state()?;
        let log = RunLog::open(&self.folder, Some(self.steps_before(state.position)))?;
        self.go(state, log, films)
    }

    fn go(&self, mut state: State, mut log: RunLog, films: Option<&Films>) -> Result<Ending, TrainError> {
        environment::record(&self.folder, self.device, state.kind, &mut log)?;
        let own;
        let films = match films {
            Some(films) => films,
            None => {
                own = self.films(&state.params)?;
                &own
            }
        };
        self.set_up(&mut log, films)?;
        if let (Some(committee), None) = (self.recipe.committee, &state.labels) {
            self.save(&state)?;
            if self.train_members(committee.members, &mut state, films, &mut log)? == Ending::Interrupted {
                return Ok(Ending::Interrupted);
            }
        }
        if self.from.is_some() && state.labels.is_none() && self.recipe.needs_labels() {
            self.label_first(&mut state, films)?;
        }
        let sampler = Sampler::new(self.recipe, &films.samples);
        let mut vectors = None;
        while let Some(phase) = self.recipe.phases.get(state.position.phase) {
            self.join_adapters(&mut state, phase)?;
            let heads = Heads::new(self.recipe, films.samples.landmarks(), phase.adapters)?;
            let context = EpochContext { phase, films, heads: &heads, sampler: &sampler };
            while state.position.epoch < phase.epochs {
                match self.epoch(&mut state, &mut log, &context)? {
                    Some(found) => vectors = Some(found),
                    None => return Ok(Ending::Interrupted),
                }
            }
            state.position = SchedulePosition { phase: state.position.phase + 1, epoch: 0, step: 0 };
        }
        self.finish(&state, films, vectors)?;
        Ok(Ending::Finished)
    }

    /// Records what the films took, and says what they are too few for.
    fn set_up(&self, log: &mut RunLog, films: &Films) -> Result<(), TrainError> {
        log.event(&json!({"event": "features", "seconds": films.seconds}))?;

        let needed = ShapePrior::films_needed(films.samples.landmarks());
        if self.recipe.prior_rounds > 0 && films.samples.count() < needed {
            self.observer.observe(Event::NoShapePrior { films: films.samples.count(), needed });
        }
        let shifts = self.recipe.landmarks.joints.iter().any(|joint| joint.shift_mm != [0.0; 2]);
        let unknown = films.samples.templates().iter().any(|template| template.mm_per_cell().is_none());
        if self.recipe.template_copies.joints > 0.0 && shifts && unknown {
            self.observer.observe(Event::JointsOnlyTurn);
        }
        Ok(())
    }

    /// The films, their copies and the features of all.
    fn films(&self, params: &Params) -> Result<Films, TrainError> {
        let features = Features::new(self.recipe, params, self.features.as_deref())?;
        let progress = Progress::new(self.observer, "trunk features");
        let films = Films::prepare(self.recipe, &self.views, &features, |done, total| progress.report(done, total))?;
        drop(progress);
        self.observer.observe(Event::Features { samples: films.samples.len(), seconds: films.seconds });
        Ok(films)
    }

    /// Writes the finished checkpoint. A run that was resumed after its last epoch has no template vectors yet.
    fn finish(&self, state: &State, films: &Films, vectors: Option<Vec<Tensor>>) -> Result<(), TrainError> {
        let adapters = self.recipe.phases.last().is_some_and(|phase| phase.adapters);
        let heads = &Heads::new(self.recipe, films.samples.landmarks(), adapters)?;
        let (recipe, params) = (self.recipe, &state.steady());
        let scene = match vectors {
            Some(vectors) => Scene { recipe, heads, params, films, vectors },
            None => Scene::new(recipe, heads, params, films)?,
        };
        let progress = Progress::new(self.observer, "scores of the training films");
        let (points, scores) = scene.find_all(|done, total| progress.report(done, total))?;
        let all: Vec<usize> = (0..points.len()).collect();
        self.write_page(films, Some(&Seen { films: &all, points, scores: scores.clone() }))?;
        self.write_finished(state, &scene.vectors, Some(scores), &self.checkpoint_path())
    }

    /// Infers the first pseudo-labels with the network that the run begins with.
    fn label_first(&self, state: &mut State, films: &Films) -> Result<(), TrainError> {
        let heads = Heads::new(self.recipe, films.samples.landmarks(), self.recipe.phases[0].adapters)?;
        let params = state.steady();
        let scene = Scene::new(self.recipe, &heads, &params, films)?;
        let progress = Progress::new(self.observer, "Infer-PL");
        let renewal = Renewal { before: None, renews: |_| true, prior: self.recipe.prior_rounds > 0 };
        state.labels = Some(scene.infer(&renewal, |done, total| progress.report(done, total))?.labels);
        Ok(())
    }

    /// Writes the page for people.
    fn write_page(&self, films: &Films, seen: Option<&Seen<'_>>) -> Result<(), TrainError> {
        let ids: Vec<String> = self.views.ids().map(str::to_owned).collect();
        page::write(&self.folder, self.recipe, &ids, &films.samples, seen)
    }

    /// Number of steps before `position` in the whole run: the number under which the step is logged.
    fn steps_before(&self, position: SchedulePosition) -> u64 {
        let landmarks = self.recipe.landmarks.len();
        let per_epoch = |phase: &Phase| match &self.recipe.pairs.patch {
            None => phase.steps.unwrap_or(0),
            Some(pairs) => {
                let films = (self.views.len() * pairs.repeats).div_ceil(pairs.batch);
                let steps = |stage: &Stage| match stage {
                    Stage::Template => landmarks * self.recipe.template_copies.count.div_ceil(pairs.batch),
                    Stage::PseudoLabels => landmarks * films,
                    Stage::RandomPoints => films,
                };
                self.recipe.stages.iter().map(steps).sum()
            }
        };
        let phases = &self.recipe.phases;
        let before: usize = phases.iter().take(position.phase).map(|phase| phase.epochs * per_epoch(phase)).sum();
        let this = phases.get(position.phase).map_or(0, |phase| position.epoch * per_epoch(phase));
        (before + this + position.step) as u64
    }
}

/// The recipe of the run in a folder.
///
/// # Errors
/// There is no run, or its checkpoint is damaged.
pub fn recipe_of(folder: &Path) -> Result<Recipe, TrainError> {
    Ok(Checkpoint::read(&folder.join(CHECKPOINT))?.recipe)
}

/// Whether the run in a folder is finished.
///
/// # Errors
/// As [`recipe_of`].
pub fn is_finished(folder: &Path) -> Result<bool, TrainError> {
    Ok(!Checkpoint::read(&folder.join(CHECKPOINT))?.notes.contains_key("step"))
}
