//! From lowered graphs to a bundle: files and manifest. The bundle's format itself is in `onemark_models::bundle`.

use std::collections::BTreeMap;

use onemark_models::bundle::{Bundle, Decoding, FORMAT, GraphEntry, HeadEntry, Input, Manifest, TensorEntry, WEIGHTS};
use onemark_models::checkpoint::Checkpoint;
use onemark_models::graph::Graph;
use onemark_models::landmarks::{Landmark, LandmarkSet};
use onemark_models::network::LABELS;
use onemark_models::recipe;
use onemark_models::shape::{self, ShapePrior};

use crate::module::Module;
use crate::{ExportError, Labels};

/// The trunk's file.
const TRUNK: &str = "trunk.onnx";

/// How a film becomes the trunk's input, for people who write a program of their own.
const PREPROCESSING: &str = "Grey values of the whole film (a coloured one turned grey), resized to size x size without \
keeping the aspect ratio, as PIL does it with BILINEAR (triangle filter whose support grows with the reduction, 8-bit \
result), divided by 255. Axes: batch, channel, row, column; the origin is the top left corner.";

/// The file of a landmark's graph: `landmark-01-sella.onnx`.
fn file(landmark: &Landmark) -> String {
    format!("landmark-{:02}-{}.onnx", landmark.number, landmark.name)
}

/// Packs a module that all passes have been over.
///
/// # Errors
/// The bundle's rules are broken, or the recipe asks for a shape prior and there are no pseudo-labels to fit one to.
pub fn pack(
    module: Module,
    checkpoint: &Checkpoint,
    landmarks: LandmarkSet,
    labels: &Labels,
) -> Result<Bundle, ExportError> {
    let Module { trunk, heads, constants, weights, onnx, .. } = module;
    let weights = weights.unwrap_or_default();
    let names: Vec<String> = std::iter::once(TRUNK.to_owned()).chain(landmarks.landmarks.iter().map(file)).collect();
    let heads = landmarks.landmarks.iter().zip(&heads);
    let manifest = Manifest {
        format: FORMAT,
        name: labels.name.clone(),
        made_by: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
        input: Input { size: checkpoint.recipe.network.size, preprocessing: PREPROCESSING.to_owned() },
        trunk: entry(TRUNK.to_owned(), &trunk),
        heads: heads
            .map(|(landmark, head)| HeadEntry { landmark: landmark.number, graph: entry(file(landmark), head) })
            .collect(),
        template_vectors: weights.spans.into_iter().filter(|(name, _)| constants.contains_key(name)).collect(),
        decoding: decoding(checkpoint)?,
        recipe: checkpoint.recipe.to_yaml().map_err(onemark_models::recipe::RecipeError::from)?,
        history: checkpoint.history.clone(),
        intended_use: labels.intended_use.clone(),
        weights_licence: labels.weights_licence.clone(),
        files: BTreeMap::new(),
        landmark_set: landmarks,
    };
    let files = names.into_iter().zip(onnx).chain([(WEIGHTS.to_owned(), weights.bytes)]);
    Ok(Bundle::new(manifest, files.collect())?)
}

/// How score maps become points: as the recipe says.
fn decoding(checkpoint: &Checkpoint) -> Result<Decoding, ExportError> {
    match checkpoint.recipe.decoding {
        recipe::Decoding::Argmax => Ok(Decoding::Argmax),
        recipe::Decoding::ShapePrior => {
            let labels = checkpoint.tensors.get(LABELS).and_then(shape::from_tensor).unwrap_or_default();
            let prior = ShapePrior::fit(&labels, checkpoint.recipe.network.size);
            prior.map(Decoding::ShapePrior).ok_or(ExportError::NoShapePrior { films: labels.len() })
        }
    }
}

fn entry(file: String, graph: &Graph) -> GraphEntry {
    let inputs = graph.inputs().map(|(_, node)| TensorEntry { name: node.name.clone(), shape: node.shape });
    let outputs = graph.outputs().iter();
    let outputs = outputs.map(|(name, value)| TensorEntry { name: name.clone(), shape: graph.node(*value).shape });
    GraphEntry { file, inputs: inputs.collect(), outputs: outputs.collect() }
}
