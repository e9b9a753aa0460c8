//! The state of a run: at its start, from its checkpoint, and where a phase adds adapters.

use ndarray::{ArrayD, Slice};
use onemark_models::checkpoint::{Checkpoint, Tensors, init, parameters};
use onemark_models::graph::{Owner, ParamShapes, Parameters};
use onemark_models::network::{Architecture, PSEUDO_LABELS};
use onemark_models::recipe::Phase;

use super::{KIND, Run, State};
use crate::net::params::{Params, widen};
use crate::net::precision;
use crate::pseudo_labels::PseudoLabels;
use crate::step::adam::Adam;
use crate::step::average::Average;
use crate::step::sampler::SchedulePosition;
use crate::{ResumeObstacle, TrainError};

impl Run<'_> {
    /// The state at the start of a run.
    pub(super) fn new_state(&self, trunk: Parameters, adapters: bool) -> Result<State, TrainError> {
        let mut parameters = self.fresh(adapters)?;
        if let Some(from) = self.from {
            self.begin_with(from, &mut parameters)?;
        }
        parameters.extend(trunk);
        Ok(State {
            params: Params::new(&parameters, self.device)?,
            adam: Adam::new(self.recipe.optimiser),
            average: self.recipe.average.map(Average::new),
            labels: None,
            position: SchedulePosition::default(),
            best: None,
            history: Vec::new(),
            kind: self.kind.unwrap_or_else(|| precision::suits(self.device)),
        })
    }

    /// The folder's checkpoint.
    ///
    /// # Errors
    /// It can't be read, or it is of another recipe or of other films.
    pub(super) fn own_checkpoint(&self) -> Result<Checkpoint, TrainError> {
        let path = self.checkpoint_path();
        let checkpoint = Checkpoint::read(&path)?;
        let obstacle = if checkpoint.recipe != *self.recipe {
            Some(ResumeObstacle::OtherRecipe)
        } else if checkpoint.notes.get("films") != Some(&self.film_ids()) {
            Some(ResumeObstacle::OtherFilms)
        } else {
            None
        };
        obstacle.map_or(Ok(checkpoint), |why| Err(TrainError::CantResume { path, why }))
    }

    /// The state in the folder's checkpoint.
    pub(super) fn saved_state(&self) -> Result<State, TrainError> {
        let path = self.checkpoint_path();
        let Checkpoint { history, notes, mut tensors, .. } = self.own_checkpoint()?;
        let refuse = |why| TrainError::CantResume { path: path.clone(), why };
        let number = |key: &str| notes.get(key).and_then(|text| text.parse().ok());
        let best = notes.get("best").and_then(|text| text.parse().ok());
        let (Some(phase), Some(epoch), Some(step)) = (number("phase"), number("epoch"), number("step")) else {
            return Err(refuse(ResumeObstacle::Finished));
        };
        let position = SchedulePosition { phase, epoch, step };
        let labels = tensors.contains_key(PSEUDO_LABELS).then(|| PseudoLabels::resume(&mut tensors));
        let labels = labels.map(|labels| labels.ok_or_else(|| refuse(ResumeObstacle::PseudoLabels))).transpose()?;
        let shapes = self.shapes(self.has_adapters(&tensors)?)?;
        let adam = Adam::resume(self.recipe.optimiser, &mut tensors, &shapes, self.device)?;
        let average = self.recipe.average.map(|decay| Average::resume(decay, &mut tensors, &shapes, self.device));
        let average = average.transpose()?;
        let params = Params::new(&parameters(&tensors, &shapes)?, self.device)?;
        let own_kind = notes.get(KIND).and_then(|name| precision::named(name));
        let kind = self.kind.or(own_kind).unwrap_or_else(|| precision::suits(self.device));
        Ok(State { params, adam, average, labels, position, best, history, kind })
    }

    /// Adds the adapters at the start of the first phase that has them.
    pub(super) fn join_adapters(&self, state: &mut State, phase: &Phase) -> Result<(), TrainError> {
        if phase.adapters && !state.params.have_adapters() {
            let wide = widen(state.steady().to_parameters()?, self.fresh(true)?);
            state.params = Params::new(&wide, self.device)?;
            state.average = self.recipe.average.map(Average::new);
            // Moments of widened convolutions no longer fit, and the others would be out of step with them.
            state.adam = Adam::new(self.recipe.optimiser);
        }
        Ok(())
    }

    /// Untrained decoder, and adapters if requested.
    fn fresh(&self, adapters: bool) -> Result<Parameters, TrainError> {
        Ok(init::initial(&self.decoder_shapes(adapters)?, self.recipe.seed))
    }

    /// Replaces untrained parameters of the decoder by those of another training: all that landmarks share, and adapters if both have
    /// them, of the same landmarks.
    fn begin_with(&self, from: &Checkpoint, parameters: &mut Parameters) -> Result<(), TrainError> {
        let same_landmarks = from.recipe.landmarks.landmarks == self.recipe.landmarks.landmarks;
        let kept = |owner: Owner| same_landmarks || !matches!(owner, Owner::Adapter(_));
        for (param, value) in parameters.iter_mut().filter(|(param, _)| kept(param.node.owner)) {
            match from.tensors.get(&param.to_string()).map(|trained| with_columns(trained, value.shape())) {
                Some(Some(trained)) => *value = trained,
                None if matches!(param.node.owner, Owner::Adapter(_)) => (),
                _ => {
                    let (from, to) = (from.recipe.name.clone(), self.recipe.name.clone());
                    return Err(TrainError::OtherNetwork { from, to, parameter: param.to_string() });
                }
            }
        }
        Ok(())
    }

    /// The parameters of trunk and decoder.
    pub(super) fn shapes(&self, adapters: bool) -> Result<ParamShapes, TrainError> {
        let mut shapes = Architecture::from(self.recipe).trunk_graph()?.params().clone();
        shapes.extend(self.decoder_shapes(adapters)?);
        Ok(shapes)
    }

    fn decoder_shapes(&self, adapters: bool) -> Result<ParamShapes, TrainError> {
        let mut network = self.recipe.network.clone();
        if !adapters {
            network.adapter_channels = 0;
        }
        Ok(Architecture { trunk: &self.recipe.trunk, network: &network }.decoder_params(self.recipe.landmarks.len())?)
    }

    /// Whether a checkpoint holds any landmark's adapter.
    fn has_adapters(&self, tensors: &Tensors) -> Result<bool, TrainError> {
        let shapes = self.decoder_shapes(true)?;
        let mut adapters = shapes.keys().filter(|param| matches!(param.node.owner, Owner::Adapter(_)));
        Ok(adapters.any(|param| tensors.contains_key(&param.to_string())))
    }
}

/// A trained parameter in a shape that differs from its own, if at all, in the columns that read adapter channels. They come last:
/// those that the shape lacks are left out, those that it has more are zero. `None` if it differs otherwise.
fn with_columns(trained: &ArrayD<f32>, shape: &[usize]) -> Option<ArrayD<f32>> {
    let same = |(axis, (from, to)): (usize, (&usize, &usize))| from == to || axis == 1;
    let fits = trained.ndim() == shape.len() && trained.shape().iter().zip(shape).enumerate().all(same);
    let common = |axis: usize| Slice::from(..shape[axis].min(trained.shape()[axis]));
    fits.then(|| {
        let mut fitted = ArrayD::zeros(shape);
        let inside = trained.slice_each_axis(|axis| common(axis.axis.index()));
        fitted.slice_each_axis_mut(|axis| common(axis.axis.index())).assign(&inside);
        fitted
    })
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;

    #[test]
    fn a_parameter_gets_and_loses_the_columns_of_adapters() {
        let [narrow, wide] = [arr2(&[[1.0], [3.0]]), arr2(&[[1.0, 2.0], [3.0, 4.0]])].map(|array| array.into_dyn());
        assert_eq!(with_columns(&wide, &[2, 1]), Some(narrow.clone()));
        assert_eq!(with_columns(&narrow, &[2, 2]), Some(arr2(&[[1.0, 0.0], [3.0, 0.0]]).into_dyn()));
        assert_eq!(with_columns(&wide, &[3, 2]), None);
        assert_eq!(with_columns(&wide, &[2]), None);
    }
}
