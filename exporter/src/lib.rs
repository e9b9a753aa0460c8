//! Compiles a checkpoint into a bundle: [`passes`] rewrite the network's graphs, the result is [emitted](emit) and
//! [verified](verify) against the network as it was trained. An export that differs is an error and leaves nothing behind.
//!
//! What a network is, and the bundle's format, are in `onemark_models`; running bundles is `onemark_runtime`'s.

pub mod compile;
pub mod emit;
pub mod explain;
pub mod module;
pub mod passes;
pub mod untrained;
pub mod verify;

use std::path::PathBuf;

use onemark_film::FilmError;
use onemark_models::bundle::{Bundle, BundleError, Precision};
use onemark_models::checkpoint::{Checkpoint, CheckpointError};
use onemark_models::graph::GraphError;
use onemark_models::landmarks::{LandmarkError, LandmarkSet};
use onemark_models::recipe::RecipeError;
use onemark_models::reference::ReferenceError;
use onemark_runtime::RuntimeError;

use crate::compile::{Compiled, Progress, compile, grid};
use crate::passes::PassError;
use crate::verify::{Judge, SelfCheck};

/// What a bundle says of itself beside what its checkpoint knows.
#[derive(Clone, Debug)]
pub struct Labels {
    /// What it is called in reports.
    pub name: String,
    /// What it may be used for.
    pub intended_use: String,
    /// The licence of its weights.
    pub weights_licence: String,
}

/// How to compile.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the bundle stores its numbers.
    pub precision: Precision,
    /// Films by which the trunk's convolutions are quantised to 8 bits, of those that the network was trained on; none: they are
    /// not.
    pub calibration: Vec<PathBuf>,
    /// The names of passes to leave out: the bundle computes the same, at another cost.
    pub without: Vec<String>,
}

/// A finished bundle, still in memory.
#[derive(Debug)]
#[non_exhaustive]
pub struct Export {
    /// The bundle. [`Bundle::write`] puts it on disk.
    pub bundle: Bundle,
    /// What the self-check compared.
    pub check: SelfCheck,
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The checkpoint can't be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is of a training that has not ended.
    #[error(
        "the checkpoint holds no template vectors: they are made when training ends, so let it end and export then"
    )]
    NoTemplateVectors,
    /// The recipe asks for a shape prior that can't be fitted.
    #[error(
        "the recipe asks for decoding with a shape prior, but the checkpoint holds pseudo-labels of {films} films, too few to \
         fit one to: train on more films, or with `decoding: argmax`"
    )]
    NoShapePrior {
        /// Films with pseudo-labels.
        films: usize,
    },
    /// The recipe in the checkpoint can't be used.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recipe names no known landmark set.
    #[error(transparent)]
    Landmarks(#[from] LandmarkError),
    /// The recipe describes no possible network.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// There is no pass of this name.
    #[error("there is no pass `{name}`{}; there are {known}", suggestion(.nearest))]
    UnknownPass {
        /// The name asked for.
        name: String,
        /// The nearest one.
        nearest: Option<String>,
        /// All of them.
        known: String,
    },
    /// A pass can't be left out.
    #[error("pass {pass} is required and can't be left out: it establishes \"{property}\"")]
    NeededPass {
        /// The pass.
        pass: &'static str,
        /// What it establishes.
        property: String,
    },
    /// A film to check with can't be read.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// A pass failed: a mistake in this program, not in the checkpoint.
    #[error("pass {pass} failed{}", after(.before))]
    Pass {
        /// The pass.
        pass: &'static str,
        /// The passes that ran before.
        before: Vec<&'static str>,
        /// What went wrong.
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
    NoBackend {
        /// What each backend said.
        why: String,
    },
    /// The self-check could not run the network as it was trained.
    #[error("self-check: the network as it was trained can't be run")]
    Reference(#[from] ReferenceError),
    /// The bundle computes something else than the network as it was trained.
    #[error(
        "self-check: with {backend}, {output} of landmark {landmark} on {film} differs from the reference by {difference:.1e} of its \
         largest number ({tolerance:.0e} is allowed): nothing was written"
    )]
    Differs {
        /// What ran the bundle.
        backend: &'static str,
        /// The film.
        film: String,
        /// The landmark, from 1.
        landmark: usize,
        /// The output.
        output: String,
        /// The difference, as a share of the output's largest number.
        difference: f32,
        /// The largest that is allowed.
        tolerance: f32,
    },
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!(" (did you mean {nearest}?)"))
}

fn after(before: &[&str]) -> String {
    if before.is_empty() { String::new() } else { format!(" (after {})", before.join(", ")) }
}

/// Compiles a checkpoint and checks the result on a synthetic film and on `films`. `observe` sees the network before the
/// first pass and after each step. Nothing is written.
///
/// # Errors
/// The checkpoint does not fit its recipe, a pass fails, or the bundle differs from the network as it was trained.
///
/// # Example
/// ```no_run
/// use std::path::Path;
/// use onemark_exporter::{Labels, Options, export};
/// use onemark_models::checkpoint::Checkpoint;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let checkpoint = Checkpoint::read(Path::new("head.safetensors"))?;
/// let labels = Labels { name: "head".into(), intended_use: "research".into(), weights_licence: "MIT".into() };
/// let export = export(&checkpoint, &labels, &Options::default(), &[], |_| {})?;
/// export.bundle.write(Path::new("head.onemark"), false)?;
/// # Ok(())
/// # }
/// ```
pub fn export(
    checkpoint: &Checkpoint,
    labels: &Labels,
    options: &Options,
    films: &[PathBuf],
    observe: impl FnMut(&Progress<'_>),
) -> Result<Export, ExportError> {
    let landmarks = LandmarkSet::named(&checkpoint.recipe.landmarks)?;
    let size = checkpoint.recipe.network.size;
    let synthetic = ("a synthetic film".to_owned(), verify::synthetic_film(size));
    let given = films.iter().map(|path| Ok((path.display().to_string(), grid(path, size)?)));
    let films = std::iter::once(Ok(synthetic)).chain(given).collect::<Result<Vec<_>, FilmError>>()?;
    let Compiled { onnx, reference, tolerance } = compile(checkpoint, &landmarks, options, observe)?;
    let bundle = emit::pack::pack(onnx, checkpoint, landmarks, labels, options.calibration.len())?;
    let judge = reference.as_ref().map_or(Judge::Network(checkpoint), Judge::Module);
    let check = verify::verify(&bundle, &judge, &films, tolerance.max(verify::TOLERANCE))?;
    Ok(Export { bundle, check })
}
