//! From lowered graphs to a bundle: files and manifest. The bundle's format itself is in `onemark_models::bundle`.

use std::collections::{BTreeMap, BTreeSet};

use onemark_models::bundle::{
    Bundle, FORMAT, GraphEntry, HeadEntry, Input, Manifest, Plan, Precision, TensorEntry, WEIGHTS,
};
use onemark_models::checkpoint::Checkpoint;
use onemark_models::checkpoint::pseudo_labels::from_tensor;
use onemark_models::graph::Graph;
use onemark_models::landmarks::{Landmark, LandmarkSet};
use onemark_models::network::{LABELS, of_landmark, placeholder};
use onemark_models::recipe::{PriorUse, RecipeError};
use onemark_models::shape_prior::ShapePrior;

use crate::module::{self, Module, Weights, own_inputs};
use crate::{ExportError, Labels};

/// The trunk's file.
const TRUNK: &str = "trunk.onnx";
/// The file of the coarse graph of all landmarks.
const COARSE: &str = "coarse.onnx";
/// The file of the window graph of all landmarks.
const WINDOW: &str = "window.onnx";

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
    let mut history = checkpoint.history.clone();
    if !module.int8.is_empty() {
        let films = module.calibration.len();
        history.push(format!("exported with the trunk's convolutions in 8 bits, calibrated on {films} films"));
    }
    if module.precision == Precision::F16 {
        history.push("exported with numbers rounded to f16".to_owned());
    }
    let Module { trunk, heads, plan, precision, constants, weights, onnx, .. } = module;
    let weights = weights.unwrap_or_default();
    let mut names = vec![TRUNK.to_owned()];
    names.extend(landmarks.landmarks.iter().map(file));
    if plan.is_some() {
        names.extend([COARSE, WINDOW].map(str::to_owned));
    }
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
        plan: plan.map(|plan| packed(plan, landmarks.len(), &weights)),
        weights: precision,
        template_vectors: weights.spans.into_iter().filter(|(name, _)| constants.contains_key(name)).collect(),
        shape_prior: shape_prior(checkpoint)?,
        calibration: None,
        adapted: None,
        recipe: checkpoint.recipe.to_yaml().map_err(RecipeError::from)?,
        history,
        intended_use: labels.intended_use.clone(),
        weights_licence: labels.weights_licence.clone(),
        files: BTreeMap::new(),
        landmark_set: landmarks,
    };
    let files = names.into_iter().zip(onnx).chain([(WEIGHTS.to_owned(), weights.bytes)]);
    Ok(Bundle::new(manifest, files.collect())?)
}

/// The prior that points are chosen by, if the recipe asks for one.
fn shape_prior(checkpoint: &Checkpoint) -> Result<Option<ShapePrior>, ExportError> {
    match checkpoint.recipe.decoding {
        PriorUse::Argmax => Ok(None),
        PriorUse::ShapePrior => {
            let labels = checkpoint.tensors.get(LABELS).and_then(from_tensor).unwrap_or_default();
            let prior = ShapePrior::fit(&labels, checkpoint.recipe.network.size);
            prior.map(Some).ok_or(ExportError::NoShapePrior { films: labels.len() })
        }
    }
}

/// The plan with its graphs' files, and where each landmark's own numbers stand: every landmark has what landmark 1 has.
fn packed(plan: module::Plan, landmarks: usize, weights: &Weights) -> Plan {
    let own: BTreeSet<String> =
        [&plan.coarse, &plan.window].into_iter().flat_map(own_inputs).map(|(name, _)| name).collect();
    let spans = |landmark: usize| {
        let own = own.iter().map(|name| (placeholder(name, 1), weights.spans.get(&of_landmark(name, landmark))));
        // One that is missing is the manifest's to refuse.
        own.filter_map(|(name, span)| Some((name, *span?))).collect()
    };
    let graph = |file: &str, graph: &Graph| {
        let mut entry = entry(file.to_owned(), graph);
        entry.inputs.extend(
            own_inputs(graph).into_iter().map(|(name, shape)| TensorEntry { name: placeholder(&name, 1), shape }),
        );
        entry
    };
    Plan {
        coarse: graph(COARSE, &plan.coarse),
        window: graph(WINDOW, &plan.window),
        specific: (1..=landmarks).map(spans).collect(),
        tiling: plan.tiling,
        max_windows: plan.most,
    }
}

fn entry(file: String, graph: &Graph) -> GraphEntry {
    let inputs = graph.inputs().map(|(_, node)| TensorEntry { name: node.name.clone(), shape: node.shape });
    let outputs = graph.outputs().iter();
    let outputs = outputs.map(|(name, value)| TensorEntry { name: name.clone(), shape: graph.node(*value).shape });
    GraphEntry { file, inputs: inputs.collect(), outputs: outputs.collect() }
}
