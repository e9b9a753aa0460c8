//! Trains an Onemark network from one annotated film (paper sec. 2; METHOD.md sec. 1 and 4). The only crate that links libtorch:
//! it ends in a checkpoint, from which the exporter makes a bundle.

use std::path::PathBuf;

use onemark_evaluation::dataset::DatasetError;
use onemark_film::FilmError;
use onemark_models::checkpoint::CheckpointError;
use onemark_models::graph::GraphError;
use onemark_models::landmarks::LandmarkError;
use onemark_models::recipe::RecipeError;

pub mod adam;
pub mod augment;
pub mod average;
pub mod environment;
pub mod features;
pub mod films;
pub mod interpreter;
pub mod labels;
pub mod log;
pub mod loss;
pub mod params;
pub mod phantom;
pub mod precision;
pub mod profile;
pub mod progress;
pub mod run;
pub mod steps;
pub mod update;
pub mod vgg;
pub mod warp;

/// Why training can't start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Torch failed.
    #[error("torch: {0}")]
    Torch(#[from] tch::TchError),
    /// Tensors and their shapes don't agree.
    #[error("a tensor's numbers don't fill its shape: {source}")]
    Shape {
        /// What ndarray said.
        source: ndarray::ShapeError,
    },
    /// The network needs a parameter that is not there.
    #[error("the network needs the parameter {name}, which is missing")]
    NoParameter {
        /// Its name.
        name: String,
    },
    /// The graph needs an input that is not there.
    #[error("the network needs the input {name}, which was not given")]
    NoInput {
        /// Its name.
        name: String,
    },
    /// The recipe's template can't be used.
    #[error(
        "the template, film {id}, is not among the training films or has no annotation; name another by `template` in the \
         recipe or by --template"
    )]
    NoTemplate {
        /// The recipe's template.
        id: String,
    },
    /// The recipe asks for a shape prior, and there are too few films to fit one to.
    #[error(
        "a shape prior needs {needed} films, and there are {films}: give more, or set `decoding: argmax` in the recipe"
    )]
    FewFilms {
        /// The films there are.
        films: usize,
        /// As many as it takes.
        needed: usize,
    },
    /// A spread in the recipe is no number that a normal distribution can have.
    #[error("a spread of {deviation} cells is impossible: {source}")]
    Spread {
        /// The spread.
        deviation: f64,
        /// What the distribution said.
        source: rand_distr::NormalError,
    },
    /// Training diverged.
    #[error(
        "training diverged at step {step} ({landmark}): the loss of level {level} is no number; lower the learning rate"
    )]
    Diverged {
        /// The step.
        step: u64,
        /// The landmark that was trained.
        landmark: String,
        /// The level.
        level: usize,
    },
    /// The folder of a new run holds a run.
    #[error("{folder} holds a run: go on with it by --resume, or choose another folder")]
    RunExists {
        /// The folder.
        folder: PathBuf,
    },
    /// A run can't go on.
    #[error("{path} can't be resumed: {why}")]
    CantResume {
        /// Its checkpoint.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file can't be written.
    #[error("{path} can't be written: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The recipe is refused.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recipe describes no possible network.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A checkpoint can't be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The data can't be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A film can't be read.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// The landmark set can't be used.
    #[error(transparent)]
    Landmarks(#[from] LandmarkError),
    /// The log can't be written.
    #[error(transparent)]
    Log(#[from] log::LogError),
}
