//! Recipes: whole experiments as YAML, one per row of the paper's tables. What the paper leaves open is a named key whose
//! default is the recommendation of METHOD.md sec. 4. Reading is strict; see [`crate::yaml`].
//!
//! Distances are in cells of the network's grid (384 a side in the paper), angles in degrees.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use self::base::Chain;
use crate::invalid::Invalid;
use crate::network::Architecture;
use crate::network::config::{Network, Trunk};
use crate::yaml::{self, YamlError};

mod base;
mod rules;

/// The recipes that are built in, by name.
pub const BUILT_IN: [(&str, &str); 11] = [
    ("cc2d", include_str!("../recipes/cc2d.yaml")),
    ("cc2d-sla", include_str!("../recipes/cc2d-sla.yaml")),
    ("c-atd", include_str!("../recipes/c-atd.yaml")),
    ("c-adapter", include_str!("../recipes/c-adapter.yaml")),
    ("c-adapter-0", include_str!("../recipes/c-adapter-0.yaml")),
    ("cc2d-laptop", include_str!("../recipes/cc2d-laptop.yaml")),
    ("cc2d-sla-laptop", include_str!("../recipes/cc2d-sla-laptop.yaml")),
    ("c-atd-laptop", include_str!("../recipes/c-atd-laptop.yaml")),
    ("c-adapter-laptop", include_str!("../recipes/c-adapter-laptop.yaml")),
    ("c-adapter-0-laptop", include_str!("../recipes/c-adapter-0-laptop.yaml")),
    ("phantom", include_str!("../recipes/phantom.yaml")),
];

/// A whole experiment that keeps every rule of recipes. It is read, never changed: [`Recipe::edit`] makes another.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe(Spec);

/// What a recipe says, not yet held against the rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What the recipe is called in reports.
    pub name: String,
    /// What it is for, in a sentence.
    pub about: String,
    /// The landmark set's id.
    pub landmarks: String,
    /// Id of the one annotated film.
    pub template: String,
    /// Seed of everything random.
    pub seed: u64,
    /// The frozen part of the network.
    pub trunk: Trunk,
    /// The trained part of the network.
    pub network: Network,
    /// Random changes of grey values, METHOD.md sec. 1b.
    #[serde(default)]
    pub jitter: Jitter,
    /// The augmented template data (ATD) made once before training, METHOD.md sec. 2c.
    pub template_copies: Copies,
    /// What an epoch trains on.
    #[serde(default = "stages_of_the_paper")]
    pub stages: Vec<Stage>,
    /// How training pairs are drawn.
    pub pairs: Pairs,
    /// The loss.
    #[serde(default)]
    pub loss: Loss,
    /// The optimiser.
    pub optimiser: Optimiser,
    /// The phases of training, in order. Each starts from the one before.
    pub phases: Vec<Phase>,
    /// Decay of the running mean of all weights, which pseudo-labels, the template's vectors and the bundle are made with; when
    /// left out, they are made with the last step's weights, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
    /// In how many of the first rounds of Infer-PL, counted over all phases, pseudo-labels are found with a prior over all
    /// landmarks ([`crate::shape_prior`]): one that no skull can have is moved to where one can. Later rounds trust the score alone.
    /// Where there are too few films to fit a prior to, all do.
    #[serde(default)]
    pub prior_rounds: usize,
    /// How the template's vectors are made when training has ended.
    #[serde(default)]
    pub template_vectors: TemplateVectors,
    /// How the bundle turns score maps into points.
    #[serde(default)]
    pub decoding: PriorUse,
}

/// How score maps become points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorUse {
    /// The maximum of each, as in the paper.
    #[default]
    Argmax,
    /// Together with a prior over all landmarks, fitted to the pseudo-labels ([`crate::shape_prior`]).
    ShapePrior,
}

/// A part of an epoch (paper Fig. 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Train-Template: copies of the template, at its landmarks.
    Template,
    /// Train-PL: films, at their pseudo-labels.
    PseudoLabels,
    /// Films, at points drawn anywhere: CC2D's self-supervised training (METHOD.md sec. 1b), which knows no landmarks.
    RandomPoints,
}

fn stages_of_the_paper() -> Vec<Stage> {
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
    /// Grey values in [0, 1] are raised to a power between 1/(1 + this) and 1 + this. The paper has none.
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
    /// Whether each axis gets a scale of its own.
    #[serde(default)]
    pub anisotropic: bool,
}

/// Random smooth bends: cubic B-splines over a square lattice that spans the film.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Largest displacement per axis, as a fraction of the side. Bends of more than a sixth of the lattice's spacing could fold
    /// the film.
    pub shift: f64,
    /// Lattice points a side.
    pub lattice: usize,
}

/// Augmented copies of a film.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copies {
    /// How many.
    pub count: usize,
    /// How they differ.
    pub affine: AffineRange,
    /// How they are bent, if at all. The paper's are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Elastic>,
    /// What shows where a copy looks beyond its film.
    #[serde(default)]
    pub border: Border,
    /// Whether their grey values are jittered too.
    #[serde(default)]
    pub jitter: bool,
}

/// What lies beyond a film's edge.
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
    /// A crop about a point against the film it was cut from: the paper's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchPairs>,
    /// A film against an augmented copy of the whole film, many points at once.
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
    /// The crop's centre is off the point by up to this many cells per axis (METHOD.md sec. 4, item 12).
    pub centre_shift: usize,
    /// How often an epoch shows each film.
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
    /// Points per pair, shared out among the step's landmarks: their own first, then others drawn about them.
    pub points: usize,
    /// Share of the steps that draw a film's points uniformly (less a margin of 5 %) although pseudo-labels are known.
    pub random_share: f64,
    /// Standard deviation of points about the template's landmarks.
    pub template_spread: f64,
    /// Standard deviation of points about pseudo-labels.
    pub film_spread: f64,
    /// Weight of the loss from the template's landmarks to the films' pseudo-labels.
    pub template_to_film: f64,
    /// Whether an epoch trains on every other film only, and renews the pseudo-labels of those it left out: so no label comes
    /// from a network that was just taught it. Otherwise training teaches the network to agree with itself.
    #[serde(default)]
    pub cross_fit: bool,
    /// Whether the loss from the template's landmarks to a film's pseudo-labels weighs each label by its score, compared with the
    /// middle one of its landmark's over the films: half of them weigh 1, the others less.
    #[serde(default)]
    pub confidence_weighted: bool,
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

/// A stretch of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// What it is called in reports.
    pub name: String,
    /// How many epochs: each is Train-Template, Train-PL, Infer-PL.
    pub epochs: usize,
    /// Steps per epoch; only for film pairs (with patch pairs the data decide).
    #[serde(default)]
    pub steps: Option<usize>,
    /// Whether adapters take part. Joining for the first time, their columns in shared convolutions start at zero.
    pub adapters: bool,
    /// Whether shared batch normalisation keeps its statistics instead of using the batch's.
    #[serde(default)]
    pub freeze_statistics: bool,
    /// Learning rate at the phase's start.
    pub learning_rate: f64,
    /// How it falls.
    #[serde(default)]
    pub decay: Decay,
}

/// How a phase's learning rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Decay {
    /// Times `factor` after every `epochs` epochs.
    Step {
        /// Epochs between falls.
        epochs: usize,
        /// What the rate is multiplied by.
        factor: f64,
    },
    /// Constant up to the share `after` of the phase, then linear down to `floor` times the rate.
    Linear {
        /// Share of the phase before the rate starts to fall.
        after: f64,
        /// What is left at the end.
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
    /// What the vectors are read from.
    pub source: TemplateSource,
    /// The mean is taken over the template and this many of its augmented copies.
    pub copies: usize,
}

impl Default for TemplateVectors {
    fn default() -> Self {
        Self { source: TemplateSource::Patch, copies: 0 }
    }
}

/// What the template's vectors are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TemplateSource {
    /// A crop about each landmark (the paper's text). Needs patch pairs, which name its size.
    Patch,
    /// The whole template.
    Film,
}

/// Why a recipe was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Neither a built-in recipe nor a file.
    #[error("no recipe `{name}`: neither built in ({built_in}) nor a file{hint}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names that are built in.
        built_in: String,
        /// The nearest name, as a question.
        hint: String,
    },
    /// The file can't be read.
    #[error("recipe {path} can't be read")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not a recipe.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A value is impossible, by itself or together with others.
    #[error("recipe {origin}{}: {invalid}", .line.map_or(String::new(), |line| format!(":{line}")))]
    Invalid {
        /// The recipe that sets the key: the one that was read, or one of its bases.
        origin: String,
        /// 1-based line, where a text sets the key.
        line: Option<usize>,
        /// The key to change, and the rule.
        invalid: Invalid,
    },
    /// A change of a recipe breaks a rule.
    #[error(transparent)]
    Edited(#[from] Invalid),
}

impl Recipe {
    /// Reads a recipe by built-in name, or else from the file called `name`.
    ///
    /// # Errors
    /// No such recipe, or [`Recipe::parse`] refuses it.
    pub fn load(name: &str) -> Result<Self, RecipeError> {
        Self::parse(name, &base::text_of(name)?)
    }

    /// Reads a recipe's text; `origin` is named in errors. A text with the key `base`, which names another recipe, only says how
    /// it differs from that one: mappings are merged key by key, anything else is replaced.
    ///
    /// # Errors
    /// Unknown keys, wrong types, impossible values, an unknown base.
    pub fn parse(origin: &str, text: &str) -> Result<Self, RecipeError> {
        let chain = Chain::read(origin, text)?;
        let spec = chain.spec()?;
        spec.validate().map_err(|invalid| chain.refuse(invalid))?;
        Ok(Self(spec))
    }

    /// What the recipe says. [`Recipe`] dereferences to it.
    pub fn spec(&self) -> &Spec {
        &self.0
    }

    /// A changed copy.
    ///
    /// # Errors
    /// The change breaks a rule.
    ///
    /// ```
    /// use onemark_models::recipe::Recipe;
    ///
    /// let recipe = Recipe::load("c-adapter")?;
    /// assert_eq!(recipe.edit(|spec| spec.seed = 3)?.seed, 3);
    /// let refused = recipe.edit(|spec| spec.phases.clear()).unwrap_err();
    /// assert_eq!(refused.key, "phases");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn edit(&self, change: impl FnOnce(&mut Spec)) -> Result<Self, Invalid> {
        let mut spec = self.0.clone();
        change(&mut spec);
        spec.validate()?;
        Ok(Self(spec))
    }

    /// The recipe as YAML, every key spelt out.
    ///
    /// # Errors
    /// It has no YAML form.
    pub fn to_yaml(&self) -> Result<String, YamlError> {
        yaml::write(&self.0)
    }
}

impl<'a> From<&'a Recipe> for Architecture<'a> {
    fn from(recipe: &'a Recipe) -> Self {
        Self { trunk: &recipe.trunk, network: &recipe.network }
    }
}

impl Deref for Recipe {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        &self.0
    }
}

impl Spec {
    /// Whether anything reads pseudo-labels: else none need be inferred.
    pub fn needs_labels(&self) -> bool {
        self.stages.contains(&Stage::PseudoLabels) || self.decoding == PriorUse::ShapePrior
    }
}
