//! Recipes: whole experiments as YAML, one per row of the paper's tables. Each choice that the paper leaves open is a key with the
//! default that METHOD.md sec. 4 recommends. Reading is strict; see [`crate::yaml`].
//!
//! Distances are in cells of the network's grid (384 a side in the paper), angles in degrees.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use self::base::Chain;
use crate::invalid::Invalid;
use crate::landmarks::LandmarkSet;
use crate::network::Architecture;
use crate::network::config::{Network, Trunk};
use crate::yaml::{self, Value, YamlError};

mod base;
mod rules;
mod set;
mod templates;
mod values;

pub use self::templates::templates_of;
use self::values::stages_of_the_paper;
pub use self::values::{
    AffineRange, Border, Committee, Copies, Decay, Elastic, FilmPairs, Jitter, Loss, Optimiser, Pairs, PatchPairs,
    Phase, PriorUse, Stage, TemplateSource, TemplateVectors,
};

/// The recipes that are built in, by name.
pub const BUILT_IN: [(&str, &str); 13] = [
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
    ("second-look-laptop", include_str!("../recipes/second-look-laptop.yaml")),
    ("instant", include_str!("../recipes/instant.yaml")),
    ("phantom", include_str!("../recipes/phantom.yaml")),
];

/// A whole experiment that satisfies all rules of recipes. It can't be changed; [`Recipe::edit`] makes a changed copy.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe(Spec);

/// The content of a recipe, whose rules are not checked yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The recipe's name in reports.
    pub name: String,
    /// Its purpose, in a sentence.
    pub about: String,
    /// The landmarks: in a file, the id of a built-in set, the path of another set's file relative to the recipe's, or the whole set.
    #[serde(with = "set")]
    pub landmarks: LandmarkSet,
    /// Ids of the annotated films: `template: "125"`, or `template: ["3", "125"]` if there are several. Each landmark is annotated on
    /// at least one of them.
    #[serde(rename = "template", alias = "templates", with = "templates")]
    pub templates: Vec<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// The frozen part of the network.
    pub trunk: Trunk,
    /// The trained part of the network.
    pub network: Network,
    /// Whether it looks at films that another network's landmarks have aligned (METHOD.md sec. 8c).
    #[serde(default, skip_serializing_if = "is_false")]
    pub second_look: bool,
    /// Random changes of grey values, METHOD.md sec. 1b.
    #[serde(default)]
    pub jitter: Jitter,
    /// The augmented template data (ATD) made once before training, METHOD.md sec. 2c.
    pub template_copies: Copies,
    /// The stages of an epoch.
    #[serde(default = "stages_of_the_paper")]
    pub stages: Vec<Stage>,
    /// How training pairs are drawn.
    pub pairs: Pairs,
    /// The loss.
    #[serde(default)]
    pub loss: Loss,
    /// The optimiser.
    pub optimiser: Optimiser,
    /// Independent trainings before this one, whose labels it trains on. Without the key, a network trains on its own labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committee: Option<Committee>,
    /// The phases of training, in order. Each continues from the result of the previous one.
    pub phases: Vec<Phase>,
    /// Decay of the running mean of all weights. Pseudo-labels, template vectors and the bundle are made with this mean. Without
    /// the key, they are made with the weights of the last step, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
    /// The number of first rounds of Infer-PL, counted over all phases, that use a prior over all landmarks
    /// ([`crate::shape_prior`]): a pseudo-label at an anatomically impossible place is moved to a possible one. Later rounds use the
    /// score only. If there are too few films to fit a prior, all rounds do.
    #[serde(default)]
    pub prior_rounds: usize,
    /// How the template vectors are made when training has ended.
    #[serde(default)]
    pub template_vectors: TemplateVectors,
    /// How the runtime turns score maps into points.
    #[serde(default)]
    pub decoding: PriorUse,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Why a recipe is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum RecipeError {
    /// Neither a built-in recipe nor a file.
    #[error("no recipe `{name}`: neither built in ({built_in}) nor a file{hint}")]
    Unknown { name: String, built_in: String, hint: String },
    /// The file can't be read.
    #[error("recipe {path} can't be read")]
    Read { path: String, source: std::io::Error },
    /// The text is not a recipe.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A value breaks a rule, alone or together with other values.
    #[error("recipe {origin}{}: {invalid}", .line.map_or(String::new(), |line| format!(":{line}")))]
    Invalid {
        /// The recipe that sets the key: the recipe that was read, or one of its bases.
        origin: String,
        /// The line, counted from 1, if a text sets the key.
        line: Option<usize>,
        /// The key to change, and the rule.
        invalid: Invalid,
    },
    /// A change of a recipe breaks a rule.
    #[error(transparent)]
    Edited(#[from] Invalid),
}

impl Spec {
    /// Sets the annotated films, with more template copies where a step of film pairs could not find two of each.
    pub fn learn_from(&mut self, templates: &[String]) {
        self.templates = templates.to_vec();
        if self.pairs.film.is_some() {
            self.template_copies.count = self.template_copies.count.max(2 * templates.len());
        }
    }
}

impl Recipe {
    /// Reads the built-in recipe called `name`, otherwise the file at the path `name`.
    ///
    /// # Errors
    /// No such recipe, or [`Recipe::parse`] refuses it.
    pub fn load(name: &str) -> Result<Self, RecipeError> {
        Self::parse(name, &base::text_of(name)?)
    }

    /// Reads a recipe's text. Errors name `origin`. A text with the key `base` states only its differences from another recipe,
    /// which `base` names: mappings are merged key by key, any other value is replaced.
    ///
    /// ```
    /// use onemark_models::recipe::Recipe;
    ///
    /// let text = "{base: c-adapter, name: mine, about: A smaller network., network: {adapter_channels: 4}}";
    /// let recipe = Recipe::parse("mine.yaml", text)?;
    /// assert_eq!((recipe.network.adapter_channels, recipe.network.size), (4, 384));
    ///
    /// let error = Recipe::parse("mine.yaml", &text.replace("channels", "chanels")).unwrap_err();
    /// assert!(error.to_string().ends_with("did you mean `adapter_channels`?"));
    /// # Ok::<(), onemark_models::recipe::RecipeError>(())
    /// ```
    ///
    /// # Errors
    /// Unknown keys, wrong types, impossible values, an unknown base.
    pub fn parse(origin: &str, text: &str) -> Result<Self, RecipeError> {
        let chain = Chain::read(origin, text)?;
        let spec = chain.spec()?;
        spec.validate().map_err(|invalid| chain.refuse(invalid))?;
        Ok(Self(spec))
    }

    /// The recipe's content. [`Recipe`] dereferences to it.
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

    /// The recipe as YAML, with every key, and with the whole landmark set unless that is built in.
    ///
    /// # Errors
    /// The recipe can't be written as YAML.
    pub fn to_yaml(&self) -> Result<String, YamlError> {
        yaml::write(&self.0)
    }

    /// The same, with the landmark set's id alone: for bundles, which hold the set beside the recipe.
    ///
    /// # Errors
    /// Those of [`Recipe::to_yaml`].
    pub fn to_yaml_with_set_id(&self) -> Result<String, YamlError> {
        let mut value: Value = yaml::read("recipe", &self.to_yaml()?)?;
        if let Some(keys) = value.as_mapping_mut() {
            keys.insert("landmarks".into(), self.landmarks.id.as_str().into());
        }
        yaml::write(&value)
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
    /// Whether pseudo-labels must be inferred, because training or the shape prior needs them.
    pub fn needs_labels(&self) -> bool {
        self.stages.contains(&Stage::PseudoLabels) || self.decoding == PriorUse::ShapePrior
    }
}
