//! One step of the optimiser on given batches: losses, gradients, new parameters. It is verified against
//! tests/peers/training.py.

use std::collections::BTreeMap;

use onemark_models::graph::{Graph, Port};
use onemark_models::recipe::Loss;
use tch::{Kind, Tensor};

use crate::TrainError;
use crate::data::features::Trunk;
use crate::data::samples::Films;
use crate::net::interpreter::{self, Mode};
use crate::net::params::Params;
use crate::report::profile::Profile;
use crate::step::adam::Adam;
use crate::step::loss::matching_loss;
use crate::step::pairs::Match;
use crate::step::sampler::Step;

/// The trunk's taps of a batch, by name. Their kind, f32 or bf16, is what the network computes in.
pub type Taps = BTreeMap<Port, Tensor>;

/// The input of a step.
pub struct Batch<'a> {
    /// Taps of the target images.
    pub target: Taps,
    /// Taps of the source images, if they differ from the target images.
    pub source: Option<Taps>,
    /// The points.
    pub matches: &'a [Match],
}

impl<'a> Batch<'a> {
    /// The input of `step`, in `kind`: the kept features of its films, and those of its patches, computed now.
    ///
    /// # Errors
    /// Torch fails.
    pub fn of(
        step: &'a Step,
        films: &Films,
        trunk: &Trunk,
        params: &Params,
        kind: Kind,
        profile: &mut Profile,
    ) -> Result<Self, TrainError> {
        let target = profile.time("features", || films.taps(&step.samples, params.device(), kind))?;
        let source = match step.patches.is_empty() {
            true => None,
            false => Some(profile.time("trunk", || trunk.taps(params, &step.patches, kind))?),
        };
        Ok(Self { target, source, matches: &step.matches })
    }
}

/// The settings of a step.
pub struct Settings<'a> {
    /// The loss.
    pub loss: &'a Loss,
    /// How batch normalisation behaves.
    pub mode: Mode,
    /// The learning rate of Adam.
    pub learning_rate: f64,
}

/// The result of a step.
pub struct Update {
    /// The loss of each level, level 5 first, `[5]`, on the device: reading it waits for the device. If one is NaN or
    /// infinite, so are parameters from then on.
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
    // The loss sums over many cells, so it is f32 even if the network computes in bf16.
    let mut embed = |taps: &Taps| {
        profile.time("forward", || {
            let embeddings = interpreter::run(graph, params, taps, settings.mode)?;
            embeddings
                .iter()
                .map(|embedding| Ok(embedding.f_to_kind(Kind::Float)?))
                .collect::<Result<Vec<_>, TrainError>>()
        })
    };
    let target = embed(&batch.target)?;
    let source = batch.source.as_ref().map(embed).transpose()?;
    let source = source.as_ref().unwrap_or(&target);
    let losses = profile.time("loss", || matching_loss(settings.loss, source, &target, batch.matches))?;
    let losses = Tensor::f_stack(&losses, 0)?;
    let trained = params.trained(graph)?;
    let tensors: Vec<&Tensor> = trained.iter().map(|(_, tensor)| *tensor).collect();
    let total = losses.f_sum(Kind::Float)?;
    let gradients = profile.time("backward", || Tensor::f_run_backward(&[total], &tensors, false, false))?;
    profile.time("optimiser", || adam.step(&trained, &gradients, settings.learning_rate))?;
    Ok(Update { losses: losses.f_detach()?, gradients })
}
