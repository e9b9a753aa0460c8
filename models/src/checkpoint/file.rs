//! Checkpoint files: safetensors with all tensors by name. The metadata holds the recipe and the history.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use ndarray::ArrayD;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use crate::files::write_whole;
use crate::graph::{ParamId, ParamShapes, Parameters};
use crate::recipe::{Recipe, RecipeError};

/// Tensors by name: parameters, under the spelling of their ids, and all other tensors of a checkpoint.
pub type Tensors = BTreeMap<String, ArrayD<f32>>;

/// The version of the metadata that this code reads and writes.
const FORMAT: &str = "onemark-checkpoint-1";

/// A network during or after training.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The recipe of its training.
    pub recipe: Recipe,
    /// What was done to it, in chronological order: a sentence for each step.
    pub history: Vec<String>,
    /// Other texts that the program keeps, by key.
    pub notes: BTreeMap<String, String>,
    /// All tensors.
    pub tensors: Tensors,
}

/// Why a file of tensors can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum CheckpointError {
    /// The file can't be read or written.
    #[error("{path} can't be read or written")]
    Io { path: PathBuf, source: std::io::Error },
    /// The file is not a safetensors file, or was cut short.
    #[error("{path} is not a whole safetensors file")]
    Format { path: PathBuf, source: SafeTensorError },
    /// A tensor has a type of numbers that Onemark does not use.
    #[error("{path}: tensor {tensor} has numbers of type {dtype:?}; only F32, F16 and BF16 are read")]
    Dtype {
        path: PathBuf,
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// The file's metadata do not describe a checkpoint.
    #[error("{path} is not an Onemark checkpoint: {why}")]
    Metadata {
        path: PathBuf,
        /// What is missing or wrong.
        why: String,
    },
    /// The recipe in the file is refused.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A tensor that the network needs is missing or has another shape.
    #[error("tensor {tensor}: expected {expected:?}, found {found}")]
    Tensor {
        tensor: String,
        /// The shape that the network needs.
        expected: Vec<usize>,
        found: String,
    },
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// The file does not exist, is incomplete or is not a checkpoint, or this version refuses its recipe.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let (tensors, mut metadata) = read_safetensors(path)?;
        let refuse = |why: String| CheckpointError::Metadata { path: path.to_owned(), why };
        match metadata.remove("format") {
            Some(format) if format == FORMAT => {}
            Some(format) => return Err(refuse(format!("its format is {format}, this program reads {FORMAT}"))),
            None => return Err(refuse("its metadata state no format".into())),
        }
        let recipe = metadata.remove("recipe").ok_or_else(|| refuse("its metadata contain no recipe".into()))?;
        let recipe = Recipe::parse(&path.display().to_string(), &recipe)?;
        let history = metadata.remove("history").unwrap_or_default();
        Ok(Self {
            recipe,
            history: history.lines().map(str::to_owned).collect(),
            notes: metadata.into_iter().collect(),
            tensors,
        })
    }

    /// Writes the checkpoint under a temporary name, then renames it.
    ///
    /// # Errors
    /// The folder can't be written to, or the disk is full.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let recipe = self.recipe.to_yaml().map_err(RecipeError::from)?;
        let mut metadata: HashMap<String, String> = self.notes.clone().into_iter().collect();
        metadata.insert("format".into(), FORMAT.into());
        metadata.insert("recipe".into(), recipe);
        metadata.insert("history".into(), self.history.join("\n"));
        write_safetensors(path, &self.tensors, metadata)
    }
}

/// The parameters in `expected`, each found by the spelling of its id.
///
/// # Errors
/// The first parameter that is missing or has another shape.
pub fn parameters(tensors: &Tensors, expected: &ParamShapes) -> Result<Parameters, CheckpointError> {
    let find = |(param, shape): (&ParamId, &Vec<usize>)| {
        let name = param.to_string();
        match tensors.get(&name) {
            Some(tensor) if tensor.shape() == shape => Ok((param.clone(), tensor.clone())),
            found => Err(CheckpointError::Tensor {
                tensor: name,
                expected: shape.clone(),
                found: found.map_or("nothing".into(), |tensor| format!("{:?}", tensor.shape())),
            }),
        }
    };
    expected.iter().map(find).collect()
}

/// These parameters as tensors of a checkpoint.
pub fn spelled(parameters: Parameters) -> Tensors {
    parameters.into_iter().map(|(param, tensor)| (param.to_string(), tensor)).collect()
}

/// Reads all tensors of a safetensors file as f32, and its metadata.
///
/// # Errors
/// The file does not exist or is incomplete, or a tensor has other numbers than F32, F16 and BF16.
pub fn read_safetensors(path: &Path) -> Result<(Tensors, HashMap<String, String>), CheckpointError> {
    let bytes = fs::read(path).map_err(|source| CheckpointError::Io { path: path.to_owned(), source })?;
    let format = |source| CheckpointError::Format { path: path.to_owned(), source };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        let data = view.data();
        let numbers: Vec<f32> = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
            Dtype::BF16 => data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
            dtype => return Err(CheckpointError::Dtype { path: path.to_owned(), tensor: name.to_owned(), dtype }),
        };
        let array = ArrayD::from_shape_vec(view.shape(), numbers);
        // The reader has checked that shape and bytes agree.
        tensors.insert(name.to_owned(), array.map_err(|_| format(SafeTensorError::MetadataIncompleteBuffer))?);
    }
    Ok((tensors, header.metadata().clone().unwrap_or_default()))
}

fn write_safetensors(path: &Path, tensors: &Tensors, metadata: HashMap<String, String>) -> Result<(), CheckpointError> {
    let bytes: Vec<(&String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            (name, tensor.shape().to_vec(), tensor.iter().flat_map(|number| number.to_le_bytes()).collect())
        })
        .collect();
    let format = |source| CheckpointError::Format { path: path.to_owned(), source };
    let mut views = Vec::with_capacity(bytes.len());
    for (name, shape, data) in &bytes {
        views.push((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).map_err(format)?));
    }
    let file = safetensors::serialize(views, Some(metadata)).map_err(format)?;
    write_whole(path, &file).map_err(|source| CheckpointError::Io { path: path.to_owned(), source })
}
