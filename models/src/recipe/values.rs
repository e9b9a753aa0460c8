//! The values of a recipe's keys.
//!
//! Distances are in cells of the network's grid, angles in degrees.

use serde::{Deserialize, Serialize};

/// How score maps become points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorUse {
    /// The maximum of each score map, as in the paper.
    #[default]
    Argmax,
    /// The scores and a prior over all landmarks, which is fitted to the pseudo-labels ([`crate::shape_prior`]).
    ShapePrior,
}

/// A part of an epoch (paper Fig. 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Train-Template: trains on copies of the template, at its landmarks.
    Template,
    /// Train-PL: trains on films, at their pseudo-labels.
    PseudoLabels,
    /// Trains on films, at random points: CC2D's self-supervised training (METHOD.md sec. 1b), which uses no landmarks.
    RandomPoints,
}

pub(super) fn stages_of_the_paper() -> Vec<Stage> {
    vec![Stage::Template, Stage::PseudoLabels]
}

/// Random brightness and contrast, each a factor drawn from `1 +- value`, and gamma.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jitter {
    /// Half-width of the brightness factor.
    pub brightness: f64,
    /// Half-width of the contrast factor.
    pub contrast: f64,
    /// Grey values in [0, 1] are raised to a power between 1/(1 + this) and 1 + this. The paper does not do this.
    pub gamma: f64,
}

impl Default for Jitter {
    fn default() -> Self {
        Self { brightness: 0.15, contrast: 0.25, gamma: 0.0 }
    }
}

/// Random affine maps about the film's centre, each value drawn from `+-` the one given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffineRange {
    /// Rotation, degrees.
    pub degrees: f64,
    /// Shift per axis, as a fraction of the side.
    pub shift: f64,
    /// Scale, as a difference from 1.
    pub scale: f64,
    /// Whether each axis gets its own scale.
    #[serde(default)]
    pub anisotropic: bool,
}

/// Random smooth deformations: cubic B-splines over a square lattice that covers the film.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Largest displacement per axis, as a fraction of the side. More than a sixth of the lattice's spacing could fold the film.
    pub shift: f64,
    /// Lattice points along a side.
    pub lattice: usize,
}

/// Augmented copies of a film.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copies {
    /// The number of copies.
    pub count: usize,
    /// Their affine maps.
    pub affine: AffineRange,
    /// Their elastic deformation, if any. The paper has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Elastic>,
    /// What a copy shows outside its film.
    #[serde(default)]
    pub border: Border,
    /// Whether their grey values are changed too.
    #[serde(default)]
    pub jitter: bool,
    /// Share of the copies on which the joints of the landmark set move, if it has any. Only templates have joints, because only
    /// their landmarks are known. The paper moves none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub joints: f64,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// What lies outside a film.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Border {
    /// Black.
    #[default]
    Zero,
    /// The nearest pixel of the film.
    Nearest,
}

/// How training pairs are drawn: exactly one of the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// A crop around a point and the film from which it was cut, as in the paper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchPairs>,
    /// A film and an augmented copy of the whole film, with many points at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub film: Option<FilmPairs>,
}

/// METHOD.md sec. 1b and 4, items 11-18.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchPairs {
    /// Side of the crop, a multiple of 32.
    pub size: usize,
    /// Rotation drawn from `+-` this, degrees.
    pub degrees: f64,
    /// The largest distance per axis of the crop's centre from the point, in cells (METHOD.md sec. 4, item 12).
    pub centre_shift: usize,
    /// How often an epoch uses each film.
    pub repeats: usize,
    /// Pairs per step.
    pub batch: usize,
}

/// Whole-film pairs: the trunk's features of every film and copy are computed once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilmPairs {
    /// Copies of each training film, made once.
    pub film_copies: Copies,
    /// Points per pair, divided among the step's landmarks: first the landmarks themselves, then random points around them.
    pub points: usize,
    /// Share of the steps that draw a film's points uniformly (without a margin of 5 %) although pseudo-labels are known.
    pub random_share: f64,
    /// Standard deviation of random points around the template's landmarks.
    pub template_spread: f64,
    /// Standard deviation of random points around pseudo-labels.
    pub film_spread: f64,
    /// Weight of the loss from the template's landmarks to the films' pseudo-labels.
    pub template_to_film: f64,
    /// Whether an epoch trains on half of the films (every second one) and renews the pseudo-labels of the other half. Then no
    /// pseudo-label comes from a network that was just trained on it; otherwise the network is trained to confirm its own errors.
    #[serde(default)]
    pub cross_fit: bool,
    /// Whether the loss from the template's landmarks to a film's pseudo-labels weights each pseudo-label by its score, relative to
    /// the median score of its landmark over the films. The upper half has weight 1, the lower half less.
    #[serde(default)]
    pub confidence_weighted: bool,
}

/// Networks that are trained as the recipe says, up to its adapters, each with a seed of its own. Where they find the landmarks on
/// the training films, taken together, are the pseudo-labels of the recipe's network, from its first step to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committee {
    /// The number of networks.
    pub members: usize,
}

/// METHOD.md sec. 1b, loss of C2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// T: factor of the cosines.
    pub temperature: f64,
    /// s: bias per cell of distance, before the temperature.
    pub slope: f64,
    /// c: largest bias, before the temperature.
    pub cap: f64,
    /// On levels 4 to 1, candidates lie at most this far from the match along each axis, cells.
    #[serde(rename = "window")]
    pub radius: usize,
}

impl Default for Loss {
    fn default() -> Self {
        Self { temperature: 10.0, slope: 0.07, cap: 0.8, radius: 11 }
    }
}

/// Adam with L2 weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimiser {
    /// Decay of the first and second moment.
    #[serde(default = "default_betas")]
    pub betas: [f64; 2],
    /// Added to the denominator.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
    /// L2 penalty added to the gradient (not AdamW).
    pub weight_decay: f64,
}

fn default_betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn default_epsilon() -> f64 {
    1e-8
}

/// A phase of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its name in reports.
    pub name: String,
    /// The number of epochs. Each consists of Train-Template, Train-PL and Infer-PL.
    pub epochs: usize,
    /// Steps per epoch, for film pairs only. With patch pairs, the number follows from the data.
    #[serde(default)]
    pub steps: Option<usize>,
    /// Whether adapters are trained. In their first phase, their columns in shared convolutions start at zero.
    pub adapters: bool,
    /// Whether shared batch normalisation keeps its statistics instead of using those of the batch.
    #[serde(default)]
    pub freeze_statistics: bool,
    /// Learning rate at the start of the phase.
    pub learning_rate: f64,
    /// How the learning rate decreases.
    #[serde(default)]
    pub decay: Decay,
}

/// How a phase's learning rate decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Decay {
    /// Multiplied by `factor` after every `epochs` epochs.
    Step {
        /// Epochs between two decreases.
        epochs: usize,
        /// The factor.
        factor: f64,
    },
    /// Constant up to the share `after` of the phase, then linear to `floor` times the rate at the end.
    Linear {
        /// Share of the phase after which the rate decreases.
        after: f64,
        /// The rate at the end, as a share of the rate at the start.
        floor: f64,
    },
    /// Constant.
    #[default]
    None,
}

/// METHOD.md sec. 4, item 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplateVectors {
    /// The pictures from which the vectors are read.
    pub source: TemplateSource,
    /// The number of augmented copies of the template over which, with the template, the mean is taken.
    pub copies: usize,
}

impl Default for TemplateVectors {
    fn default() -> Self {
        Self { source: TemplateSource::Patch, copies: 0 }
    }
}

/// The pictures from which the template vectors are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TemplateSource {
    /// A crop around each landmark (the paper's text). Needs patch pairs, which state its size.
    Patch,
    /// The whole template.
    Film,
}
