//! Why training cannot start or continue.

use std::fmt;
use std::io;
use std::path::PathBuf;

use onemark_evaluation::dataset::DatasetError;
use onemark_film::FilmError;
use onemark_models::checkpoint::CheckpointError;
use onemark_models::graph::GraphError;
use onemark_models::invalid::Invalid;
use onemark_models::recipe::RecipeError;

/// Why training cannot start or continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum TrainError {
    /// Torch failed.
    #[error("torch failed")]
    #[non_exhaustive]
    Torch(#[from] tch::TchError),
    /// The number of values of a tensor does not match its shape.
    #[error("the number of values of a tensor does not match its shape")]
    #[non_exhaustive]
    Shape { source: ndarray::ShapeError },
    /// The network needs a parameter that is missing.
    #[error("the network needs the parameter {name}, which is missing")]
    #[non_exhaustive]
    NoParameter { name: String },
    /// The graph needs an input that is missing.
    #[error("the network needs the input {name}, which was not given")]
    #[non_exhaustive]
    NoInput { name: String },
    /// The recipe's template cannot be used.
    #[error("the template, film {id}, is not among the training films; name another by `template` in the recipe")]
    #[non_exhaustive]
    NoTemplate { id: String },
    /// No annotated film has a landmark.
    #[error(
        "landmark {landmark} is annotated on none of the {films} annotated films to train on; annotate it on one of them"
    )]
    #[non_exhaustive]
    NowhereAnnotated {
        /// Its number, from 1.
        landmark: usize,
        films: usize,
    },
    /// There is no film beside the template.
    #[error("the template, film {id}, is the only film: training needs at least one more, which needs no annotation")]
    #[non_exhaustive]
    OneFilm { id: String },
    /// The recipe asks for a shape prior, and there are too few films to fit one.
    #[error(
        "a shape prior needs {needed} films, and there are {films}: give more, or set `decoding: argmax` in the recipe"
    )]
    #[non_exhaustive]
    FewFilms { films: usize, needed: usize },
    /// The first look's points do not say how a film lies.
    #[error(
        "the landmarks that the first look found on film {id} do not lie like those of the template, so a second look can't be aligned; leave the film out of both"
    )]
    #[non_exhaustive]
    NotAligned { id: String },
    /// A run can't be the first look of another one.
    #[error("{run} can't be the first look: {why}")]
    #[non_exhaustive]
    NoFirstLook { run: PathBuf, why: &'static str },
    /// A member of a committee would have a recipe that breaks a rule.
    #[error("a member of the committee can't be trained by this recipe")]
    Member(#[source] Invalid),
    /// The time budget leaves a recipe that breaks a rule.
    #[error("the time budget is too short for this recipe")]
    Budget(#[source] Invalid),
    /// A spread in the recipe is not a standard deviation.
    #[error("a spread of {deviation} cells is impossible")]
    #[non_exhaustive]
    Spread {
        /// In cells of the network's grid.
        deviation: f64,
        source: rand_distr::NormalError,
    },
    /// Training diverged.
    #[error(
        "training diverged at step {step} ({}): the loss of level {level} is NaN or infinite; lower the learning rate",
        trained(.landmark)
    )]
    #[non_exhaustive]
    Diverged {
        /// Counted from 0 over the whole run.
        step: u64,
        /// Index (from 0) of the landmark that the step trained; `None` for all landmarks.
        landmark: Option<usize>,
        /// 5 (coarsest) to 1.
        level: usize,
    },
    /// The folder of a new run already holds a run.
    #[error("{folder} already holds a run")]
    #[non_exhaustive]
    RunExists { folder: PathBuf },
    /// The network to begin with is not the recipe's.
    #[error("a training by {from} has another network than {to}: its {parameter} has another shape, or there is none")]
    #[non_exhaustive]
    OtherNetwork {
        /// The name of its recipe.
        from: String,
        /// The name of the run's recipe.
        to: String,
        /// The first parameter that differs.
        parameter: String,
    },
    /// A run cannot be resumed.
    #[error("{path} can't be resumed: {why}")]
    #[non_exhaustive]
    CantResume {
        /// The run's checkpoint.
        path: PathBuf,
        why: ResumeObstacle,
    },
    /// A file cannot be read.
    #[error("{path} can't be read")]
    #[non_exhaustive]
    Read { path: PathBuf, source: io::Error },
    /// A file or folder cannot be written.
    #[error("{path} can't be written")]
    #[non_exhaustive]
    Write { path: PathBuf, source: io::Error },
    /// An event cannot be written to the log as JSON.
    #[error("an event for {path} can't be written as JSON")]
    #[non_exhaustive]
    LogEvent {
        /// The log.
        path: PathBuf,
        source: serde_json::Error,
    },
    /// A curve cannot be drawn.
    #[error("a curve can't be drawn: {why}")]
    #[non_exhaustive]
    Plot { why: String },
    /// There is no file of trunk weights.
    #[error("{path} does not exist; it should hold VGG19's weights")]
    #[non_exhaustive]
    NoWeights { path: PathBuf },
    /// A file of trunk weights is neither safetensors nor what `torch.save` writes, or is cut short.
    #[error("{path} holds no whole set of weights (safetensors or PyTorch's .pth)")]
    #[non_exhaustive]
    NotWeights { path: PathBuf, source: pytorch_reader::PytorchError },
    /// A tensor of the trunk's weights is missing, or VGG19 has another one there.
    #[error("{path} is not VGG19: tensor {tensor} should be {expected:?}, found {found}")]
    #[non_exhaustive]
    NotVgg19 {
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// The shape that the trunk needs: output channels, input channels, rows, columns, or output channels alone.
        expected: Vec<usize>,
        /// The shape or type in the file, or `nothing`.
        found: String,
    },
    /// A weight of the trunk is NaN or infinite.
    #[error("{path}: tensor {tensor} holds values that are not finite; the file is damaged")]
    #[non_exhaustive]
    NotFinite {
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
    },
    /// The recipe is refused.
    #[error(transparent)]
    #[non_exhaustive]
    Recipe(#[from] RecipeError),
    /// The recipe describes an impossible network.
    #[error(transparent)]
    #[non_exhaustive]
    Graph(#[from] GraphError),
    /// A checkpoint, or a file of weights in its format, cannot be read or written.
    #[error(transparent)]
    #[non_exhaustive]
    Checkpoint(#[from] CheckpointError),
    /// The dataset cannot be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A film cannot be read.
    #[error(transparent)]
    #[non_exhaustive]
    Film(#[from] FilmError),
}

/// Why a run cannot be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeObstacle {
    /// The recipe given is not the run's.
    OtherRecipe,
    /// The films given are not the run's.
    OtherFilms,
    /// All phases are done.
    Finished,
    /// The pseudo-labels in the checkpoint are not points of films and landmarks.
    PseudoLabels,
}

impl fmt::Display for ResumeObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherRecipe => "it was trained by another recipe",
            Self::OtherFilms => "it was trained on other films",
            Self::Finished => "it is finished",
            Self::PseudoLabels => "its pseudo-labels are not points",
        })
    }
}

/// What a step trains, in words.
fn trained(landmark: &Option<usize>) -> String {
    landmark.map_or_else(|| "all landmarks".to_owned(), |index| format!("landmark {}", index + 1))
}
