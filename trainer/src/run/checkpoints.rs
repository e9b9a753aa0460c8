//! The checkpoints of a run: the one to resume from, those of the last epochs, and finished ones for the exporter.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use onemark_models::checkpoint::{Checkpoint, Tensors, spelled};
use onemark_models::graph::{Level, Of, ParamId};
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::FILM_SCORES;
use tch::Tensor;

use super::{CHECKPOINT, KIND, Run, State};
use crate::TrainError;
use crate::net::params::from_torch;
use crate::net::precision;
use crate::step::sampler::SchedulePosition;

impl Run<'_> {
    /// Writes the checkpoint that the run can be resumed from.
    pub(super) fn save(&self, state: &State) -> Result<(), TrainError> {
        let mut tensors = spelled(state.params.to_parameters()?);
        tensors.extend(state.adam.to_tensors()?);
        if let Some(average) = &state.average {
            tensors.extend(average.to_tensors()?);
        }
        let SchedulePosition { phase, epoch, step } = state.position;
        let mut notes: BTreeMap<String, String> = [("phase", phase), ("epoch", epoch), ("step", step)]
            .map(|(key, number)| (key.to_owned(), number.to_string()))
            .into();
        notes.extend(state.best.map(|best| ("best".to_owned(), best.to_string())));
        notes.insert(KIND.to_owned(), precision::name(state.kind).to_owned());
        self.write(state, tensors, notes, &self.checkpoint_path())
    }

    /// Writes a checkpoint for the exporter: with the template vectors, the last pseudo-labels and the scores of the training
    /// films, if they are known; without the optimiser's moments.
    pub(super) fn write_finished(
        &self,
        state: &State,
        vectors: &[Tensor],
        scores: Option<Array2<f32>>,
        path: &Path,
    ) -> Result<(), TrainError> {
        let mut parameters = state.steady().to_parameters()?;
        for (level, vectors) in Level::COARSE_TO_FINE.into_iter().zip(vectors) {
            for (index, vector) in from_torch(vectors)?.outer_iter().enumerate() {
                let of = Of::One(LandmarkId::from_index(index));
                parameters.insert(ParamId::vector(of, level), vector.to_owned());
            }
        }
        let mut tensors = spelled(parameters);
        tensors.extend(scores.map(|scores| (FILM_SCORES.to_owned(), scores.into_dyn())));
        self.write(state, tensors, BTreeMap::new(), path)
    }

    fn write(
        &self,
        state: &State,
        mut tensors: Tensors,
        mut notes: BTreeMap<String, String>,
        path: &Path,
    ) -> Result<(), TrainError> {
        notes.insert("films".into(), self.film_ids());
        if let Some(labels) = &state.labels {
            tensors.extend(labels.to_tensors());
        }
        tensors.extend(self.views.first_look().iter().flat_map(|look| look.to_tensors()));
        let checkpoint = Checkpoint { recipe: self.recipe.clone(), history: state.history.clone(), notes, tensors };
        Ok(checkpoint.write(path)?)
    }

    /// Keeps the checkpoint just written under its epoch's name, and removes those of epochs too long ago.
    pub(super) fn keep_epoch(&self, SchedulePosition { phase, epoch, .. }: SchedulePosition) -> Result<(), TrainError> {
        let path = |phase: usize, epoch: usize| self.folder.join(format!("epoch-{}-{epoch}.safetensors", phase + 1));
        if self.keep > 0 {
            let kept = path(phase, epoch);
            let _ = fs::remove_file(&kept);
            // A link takes no space: the next checkpoint is a new file.
            let linked = fs::hard_link(self.checkpoint_path(), &kept);
            linked
                .or_else(|_| fs::copy(self.checkpoint_path(), &kept).map(drop))
                .map_err(|source| TrainError::Write { path: kept, source })?;
        }
        let phases = &self.recipe.phases;
        let epochs: Vec<(usize, usize)> = (0..=phase)
            .flat_map(|phase| (1..=phases[phase].epochs).map(move |epoch| (phase, epoch)))
            .take_while(|at| *at <= (phase, epoch))
            .collect();
        for (phase, epoch) in epochs.iter().rev().skip(self.keep) {
            let _ = fs::remove_file(path(*phase, *epoch));
        }
        Ok(())
    }

    pub(super) fn checkpoint_path(&self) -> PathBuf {
        self.folder.join(CHECKPOINT)
    }

    pub(super) fn film_ids(&self) -> String {
        self.views.ids().collect::<Vec<_>>().join(" ")
    }
}
