//! One step of the optimiser on given batches: losses, gradients, new parameters. tests/peers/training.py is its judge.

use std::collections::BTreeMap;

use onemark_models::graph::Graph;
use onemark_models::recipe::Loss;
use tch::Tensor;

use crate::TrainError;
use crate::adam::Adam;
use crate::interpreter::{self, Mode};
use crate::loss::{Match, matching_loss};
use crate::params::Params;
use crate::profile::Profile;

/// The trunk's taps of a batch, by name.
pub type Taps = BTreeMap<String, Tensor>;

/// What a step looks at.
pub struct Batch<'a> {
    /// Taps of the target images.
    pub target: &'a Taps,
    /// Taps of the source images, where those are others.
    pub source: Option<&'a Taps>,
    /// The points.
    pub matches: &'a [Match],
}

/// How a step is taken.
pub struct Settings<'a> {
    /// The loss.
    pub loss: &'a Loss,
    /// How batch normalisation behaves.
    pub mode: Mode,
    /// Adam's.
    pub learning_rate: f64,
}

/// What a step found.
pub struct Update {
    /// The loss of each level, level 5 first, `[5]`, on the device: reading it waits for the device. Where one is no number,
    /// the parameters are none either from now on.
    pub losses: Tensor,
    /// The gradients of [`Params::trained`], in its order.
    pub gradients: Vec<Tensor>,
}

/// Takes one step: parameters that `graph` reads change, and so do its running statistics, first by the target batch, then by
/// the source batch (METHOD.md sec. 1b).
///
/// # Errors
/// An input or parameter is missing, or torch fails.
pub fn update(
    graph: &Graph,
    params: &Params,
    adam: &mut Adam,
    batch: &Batch,
    settings: &Settings,
    profile: &mut Profile,
) -> Result<Update, TrainError> {
    let mut embed = |taps| profile.time("forward", || interpreter::run(graph, params, taps, settings.mode));
    let target = embed(batch.target)?;
    let source = batch.source.map(embed).transpose()?;
    let source = source.as_ref().unwrap_or(&target);
    let losses = profile.time("loss", || matching_loss(settings.loss, source, &target, batch.matches))?;
    let losses = Tensor::f_stack(&losses, 0)?;
    let trained = params.trained(graph)?;
    let tensors: Vec<&Tensor> = trained.iter().map(|(_, tensor)| *tensor).collect();
    let total = losses.f_sum(tch::Kind::Float)?;
    let gradients = profile.time("backward", || Tensor::f_run_backward(&[total], &tensors, false, false))?;
    profile.time("optimiser", || adam.step(&trained, &gradients, settings.learning_rate))?;
    Ok(Update { losses: losses.f_detach()?, gradients })
}
