//! Compiles a checkpoint into a bundle: [`passes`] rewrite the network's graphs, the result is [emitted](emit) and
//! [verified](mod@verify) against the trained network. An export that differs is an error, and nothing is written.
//!
//! `onemark_models` defines networks and the bundle's format; `onemark_runtime` runs bundles.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod compile;
pub mod emit;
pub mod explain;
mod films;
pub mod module;
pub mod passes;
pub mod synthetic;
pub mod untrained;
pub mod verify;

use std::path::PathBuf;

use onemark_film::FilmError;
use onemark_models::bundle::{Bundle, BundleError, Precision, SecondLook};
use onemark_models::checkpoint::{Checkpoint, CheckpointError, FirstLook};
use onemark_models::graph::GraphError;
use onemark_models::invalid::Invalid;
use onemark_models::recipe::{RecipeError, templates_of};
use onemark_models::reference::ReferenceError;
use onemark_models::text::{validate_line, validate_text};
use onemark_runtime::RuntimeError;

use crate::compile::{Compiled, Progress, compile};
use crate::passes::PassError;
use crate::verify::{Reference, SelfCheck};

/// Texts of a bundle's manifest that are not in the checkpoint.
#[derive(Clone, Debug)]
pub struct BundleInfo {
    /// The bundle's name in reports.
    pub name: String,
    /// The intended use.
    pub intended_use: String,
    /// The licence of its weights.
    pub weights_licence: String,
}

impl BundleInfo {
    /// Checks the rules for texts of a manifest.
    fn validate(&self) -> Result<(), Invalid> {
        validate_line("name", &self.name)?;
        validate_text("intended_use", &self.intended_use)?;
        validate_text("weights_licence", &self.weights_licence)
    }
}

/// How to compile.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the bundle stores its numbers.
    pub precision: Precision,
    /// Training films with which the trunk's convolutions are quantised to 8 bits. If empty, they are not quantised. For a second
    /// look, the first one aligns them.
    pub quantisation_films: Vec<PathBuf>,
    /// The names of passes to leave out. The bundle computes the same, at another cost.
    pub without: Vec<String>,
    /// The bundle of the first look, if the checkpoint is of a second one. The new bundle holds both.
    pub first_look: Option<Bundle>,
}

/// A finished bundle, still in memory.
#[derive(Debug)]
#[non_exhaustive]
pub struct Export {
    /// The bundle. [`Bundle::write`] puts it on disk.
    pub bundle: Bundle,
    /// The result of the self-check.
    pub self_check: SelfCheck,
}

/// Why an export fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum ExportError {
    /// A text of the [`BundleInfo`] breaks a rule.
    #[error(transparent)]
    Info(Invalid),
    /// The checkpoint can't be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The training of the checkpoint has not ended.
    #[error(
        "the checkpoint contains no template vectors, which are made at the end of training; let training end before the export"
    )]
    NoTemplateVectors,
    /// The checkpoint is of a second look, and there is no bundle of the first one.
    #[error("the checkpoint is of a second look, which can't be used alone: name the bundle of its first look")]
    NeedsFirstLook,
    /// The checkpoint is not of a second look, and there is a bundle for the first one.
    #[error("the checkpoint is not of a second look; train one on the first look's run, or export it alone")]
    NotASecondLook,
    /// The bundle of the first look looks twice already.
    #[error("{bundle} looks twice already; name the bundle of its first look alone")]
    LooksTwice { bundle: PathBuf },
    /// The bundle of the first look is not the one that this second look was trained for.
    #[error(
        "the second look was trained on film {second}, the first one's bundle on film {first}: export the run that the second look \
         was trained with, and name that bundle"
    )]
    OtherFirstLook {
        /// The annotated films of the first look.
        first: String,
        /// Those of the second look.
        second: String,
    },
    /// The recipe asks for a shape prior that can't be fitted.
    #[error(
        "the recipe asks for decoding with a shape prior, but the checkpoint holds pseudo-labels of {films} films, too few to \
         fit one to: train on more films, or with `decoding: argmax`"
    )]
    NoShapePrior {
        /// The number of films with pseudo-labels.
        films: usize,
    },
    /// The recipe in the checkpoint can't be used.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recipe describes no possible network.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// No pass has this name.
    #[error("there is no pass `{name}`{}; there are {known}", suggestion(.nearest))]
    UnknownPass { name: String, nearest: Option<String>, known: String },
    /// A pass can't be left out.
    #[error("pass {pass} is required and can't be left out: it establishes \"{property}\"")]
    NeededPass {
        pass: &'static str,
        /// What it establishes.
        property: String,
    },
    /// A film for quantisation or for the self-check can't be read.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// The first look, which aligns films for the second one, can't be run.
    #[error("the first look can't be run")]
    FirstLook { source: RuntimeError },
    /// The landmarks that the first look finds on a film do not lie like those of the template.
    #[error(
        "{film}: the first look's landmarks do not lie like those of the template, so the second look can't be aligned; choose another film"
    )]
    NotAligned { film: PathBuf },
    /// A pass failed. This is an error in this program, not in the checkpoint.
    #[error("pass {pass} failed{}", after(.before))]
    Pass {
        pass: &'static str,
        /// The passes that ran before.
        before: Vec<&'static str>,
        source: Box<PassError>,
    },
    /// The bundle is refused or can't be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The self-check could not run the bundle.
    #[error("self-check: the bundle can't be run")]
    Runtime(#[from] RuntimeError),
    /// No backend works on this machine, so there is no self-check.
    #[error("self-check: no backend works here, so the bundle can't be checked: {why}")]
    NoBackend { why: String },
    /// The self-check could not run the trained network.
    #[error("self-check: the trained network can't be run")]
    Reference(#[from] ReferenceError),
    /// The bundle computes other results than the trained network.
    #[error(
        "self-check: with {backend}, {output} of landmark {landmark} on {film} differs from the reference by {difference:.1e} of its \
         largest number ({tolerance:.0e} is allowed): nothing was written"
    )]
    Differs {
        /// The backend that ran the bundle.
        backend: &'static str,
        film: String,
        /// The landmark's number, from 1.
        landmark: usize,
        output: String,
        /// The difference, as a share of the output's largest number.
        difference: f32,
        /// The largest allowed difference.
        tolerance: f32,
    },
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!(" (did you mean {nearest}?)"))
}

fn after(before: &[&str]) -> String {
    if before.is_empty() { String::new() } else { format!(" (after {})", before.join(", ")) }
}

/// Compiles a checkpoint and verifies the bundle on a synthetic film and on `films`. `observe` is called with the network before the
/// first pass and after each step. The bundle is in memory; nothing is written to disk.
///
/// # Errors
/// A text of `info` breaks a rule, the checkpoint does not fit its recipe, a pass fails, or the bundle differs from the trained network.
///
/// # Example
/// ```
/// use onemark_exporter::{BundleInfo, Options, export, untrained::untrained};
/// use onemark_models::recipe::Recipe;
///
/// // A small network with random weights. Checkpoint::read opens the file of a trained network.
/// let recipe = Recipe::parse(
///     "tiny.yaml",
///     "{base: phantom, name: tiny, about: A small network., trunk: {widths: [4, 6, 8, 8, 8]},
///       network: {size: 64, decoder: [8, 8, 6, 6], rfb: [8, 8, 6], embedding: 5}}",
/// )?;
/// let checkpoint = untrained(recipe, 1)?;
/// let info = BundleInfo { name: "tiny".into(), intended_use: "research".into(), weights_licence: "MIT".into() };
/// let export = export(&checkpoint, &info, &Options::default(), &[], |_| {})?;
/// assert!(export.self_check.worst <= export.self_check.tolerance);
///
/// let folder = std::env::temp_dir().join(format!("onemark-example-{}", std::process::id()));
/// std::fs::create_dir(&folder)?;
/// export.bundle.write(&folder.join("tiny.onemark"), false)?;
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn export(
    checkpoint: &Checkpoint,
    info: &BundleInfo,
    options: &Options,
    films: &[PathBuf],
    observe: impl FnMut(&Progress<'_>),
) -> Result<Export, ExportError> {
    info.validate().map_err(ExportError::Info)?;
    let second_look = match (&options.first_look, FirstLook::of(&checkpoint.tensors)) {
        (Some(first), Some(look)) => {
            validate_first_look(first, checkpoint)?;
            Some((first, SecondLook::equal(&look.frame())))
        }
        (None, None) => None,
        (None, Some(_)) => return Err(ExportError::NeedsFirstLook),
        (Some(_), None) => return Err(ExportError::NotASecondLook),
    };
    let landmarks = checkpoint.recipe.landmarks.clone();
    let size = checkpoint.recipe.network.size;
    let synthetic = ("a synthetic film".to_owned(), synthetic::synthetic_film(size));
    let grids = films::grids(films, checkpoint, options.first_look.as_ref())?;
    let given = films.iter().map(|path| path.display().to_string()).zip(grids);
    let films: Vec<_> = std::iter::once(synthetic).chain(given).collect();
    let Compiled { onnx, reference, tolerance } = compile(checkpoint, &landmarks, options, observe)?;
    let bundle = emit::pack::pack(onnx, checkpoint, landmarks, info, options.quantisation_films.len())?;
    let reference = reference.as_ref().map_or(Reference::Network(checkpoint), Reference::Module);
    let self_check = verify::verify(&bundle, &reference, &films, tolerance.max(verify::TOLERANCE))?;
    let bundle = match second_look {
        Some((first, look)) => emit::pack::with_second_look(first, look, &bundle)?,
        None => bundle,
    };
    Ok(Export { bundle, self_check })
}

/// Refuses a first look that looks twice, or was trained on other annotated films than the second one.
fn validate_first_look(first: &Bundle, second: &Checkpoint) -> Result<(), ExportError> {
    if first.second_look().is_some() {
        return Err(ExportError::LooksTwice { bundle: first.origin().to_owned() });
    }
    let templates = templates_of(&first.manifest().recipe);
    if templates.as_ref() == Some(&second.recipe.templates) {
        return Ok(());
    }
    let first = templates.map_or_else(|| "(not stated)".to_owned(), |ids| ids.join(", "));
    Err(ExportError::OtherFirstLook { first, second: second.recipe.templates.join(", ") })
}
