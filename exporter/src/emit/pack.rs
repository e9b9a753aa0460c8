//! The last stage: packs ONNX files and weights as a bundle, with a manifest.

use std::collections::BTreeMap;

use ndarray::ArrayD;
use onemark_models::bundle::{
    Bundle, FORMAT, GraphEntry, HeadEntry, Input, Manifest, Plan, Precision, SecondLook, TensorEntry, WEIGHTS,
};
use onemark_models::checkpoint::Checkpoint;
use onemark_models::checkpoint::pseudo_labels::from_tensor;
use onemark_models::familiarity::Familiarity;
use onemark_models::graph::{Graph, ParamId, Port, Value};
use onemark_models::landmarks::{Landmark, LandmarkId, LandmarkSet};
use onemark_models::network::{FILM_SCORES, PSEUDO_LABELS};
use onemark_models::recipe::{PriorUse, RecipeError};
use onemark_models::shape_prior::ShapePrior;

use super::layout::Layout;
use super::lower::{OnnxFiles, given};
use crate::module::SplitHead;
use crate::{BundleInfo, ExportError};

/// The trunk's file.
const TRUNK: &str = "trunk.onnx";
/// The file of the coarse graph of all landmarks.
const COARSE: &str = "coarse.onnx";
/// The file of the window graph of all landmarks.
const WINDOW: &str = "window.onnx";

/// How a film becomes the trunk's input, for authors of other programs.
const PREPROCESSING: &str = "Grey values of the whole film (a coloured one turned grey), resized to size x size without \
keeping the aspect ratio, as PIL does it with BILINEAR (triangle filter whose support grows with the reduction, 8-bit \
result), divided by 255. Axes: batch, channel, row, column; the origin is the top left corner.";

/// The file of a landmark's graph: `landmark-01-sella.onnx`.
fn file(landmark: &Landmark) -> String {
    format!("landmark-{:02}-{}.onnx", landmark.number, landmark.name)
}

/// Packs ONNX files as a bundle. `films` is the number of films with which the trunk was quantised.
///
/// # Errors
/// The bundle breaks a rule, or the recipe asks for a shape prior and there are too few pseudo-labels for it.
pub fn pack(
    onnx: OnnxFiles,
    checkpoint: &Checkpoint,
    landmarks: LandmarkSet,
    labels: &BundleInfo,
    films: usize,
) -> Result<Bundle, ExportError> {
    let OnnxFiles { layout, trunk, heads, split_head } = onnx;
    let module = &layout.module;
    let entries = landmarks.landmarks.iter().zip(&module.heads);
    let entries = entries
        .map(|(landmark, head)| HeadEntry { landmark: landmark.number.number(), graph: entry(file(landmark), head) });
    let vectors = layout.spans.iter().filter(|(param, _)| param.is_vector());
    let mut files = BTreeMap::from([(TRUNK.to_owned(), trunk)]);
    files.extend(landmarks.landmarks.iter().map(file).zip(heads));
    files.extend([COARSE, WINDOW].map(str::to_owned).into_iter().zip(split_head.into_iter().flatten()));
    let manifest = Manifest {
        format: FORMAT,
        name: labels.name.clone(),
        made_by: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
        input: Input { size: checkpoint.recipe.network.size, preprocessing: PREPROCESSING.to_owned() },
        trunk: entry(TRUNK.to_owned(), &module.trunk),
        heads: entries.collect(),
        plan: module.split_head.as_ref().map(|split| plan(split, landmarks.len(), &layout)),
        weights: layout.precision,
        template_vectors: vectors.map(|(param, span)| (param.to_string(), *span)).collect(),
        shape_prior: shape_prior(checkpoint)?,
        accuracy: None,
        calibration: None,
        familiarity: checkpoint.tensors.get(FILM_SCORES).and_then(familiarity),
        second_look: None,
        adapted: None,
        recipe: checkpoint.recipe.to_yaml_with_set_id().map_err(RecipeError::from)?,
        history: history(checkpoint, &layout, films),
        intended_use: labels.intended_use.clone(),
        weights_licence: labels.weights_licence.clone(),
        files: BTreeMap::new(),
        landmark_set: landmarks.for_bundle(),
    };
    files.insert(WEIGHTS.to_owned(), layout.weights);
    Ok(Bundle::new(manifest, files)?)
}

/// The first look's bundle with the second look's, under the second's name and terms.
///
/// # Errors
/// They do not have the same landmarks.
pub fn with_second_look(first: &Bundle, look: SecondLook, second: &Bundle) -> Result<Bundle, ExportError> {
    let both = first.with_second_look(look, second)?;
    let mut manifest = both.manifest().clone();
    let Manifest { name, made_by, intended_use, weights_licence, .. } = second.manifest().clone();
    (manifest.name, manifest.made_by) = (name, made_by);
    (manifest.intended_use, manifest.weights_licence) = (intended_use, weights_licence);
    manifest.history.push("exported with a second look".to_owned());
    Ok(both.with_manifest(manifest)?)
}

/// The checkpoint's history, and how the export changed its numbers.
fn history(checkpoint: &Checkpoint, layout: &Layout, films: usize) -> Vec<String> {
    let mut history = checkpoint.history.clone();
    if !layout.module.steps.is_empty() {
        history.push(format!("exported with the trunk's convolutions in 8 bits, quantised with {films} films"));
    }
    if layout.precision == Precision::F16 {
        history.push("exported with numbers rounded to f16".to_owned());
    }
    history
}

/// The shape prior, if the recipe asks for one.
fn shape_prior(checkpoint: &Checkpoint) -> Result<Option<ShapePrior>, ExportError> {
    match checkpoint.recipe.decoding {
        PriorUse::Argmax => Ok(None),
        PriorUse::ShapePrior => {
            let labels = checkpoint.tensors.get(PSEUDO_LABELS).and_then(from_tensor).unwrap_or_default();
            let prior = ShapePrior::fit(&labels, checkpoint.recipe.network.size);
            prior.map(Some).ok_or(ExportError::NoShapePrior { films: labels.len() })
        }
    }
}

/// The scores of the training films, `[films, landmarks]`, as the bundle keeps them.
fn familiarity(scores: &ArrayD<f32>) -> Option<Familiarity> {
    Familiarity::fit(scores.view().into_dimensionality().ok()?)
}

/// The plan: the files of its graphs, and the bytes of each landmark's parameters.
fn plan(split: &SplitHead, landmarks: usize, layout: &Layout) -> Plan {
    let given_of = |graph| given(graph).map(|(param, _)| param.clone());
    let own: Vec<ParamId> = [&split.coarse, &split.window].into_iter().flat_map(given_of).collect();
    let spans = |landmark: LandmarkId| {
        let span = |param: &ParamId| layout.spans.get(&param.map(|of| of.for_landmark(landmark)));
        // If a span is missing, the validation of the manifest refuses it.
        own.iter().filter_map(|param| Some((param.to_string(), *span(param)?))).collect()
    };
    let graph = |file: &str, graph: &Graph| {
        let mut entry = entry(file.to_owned(), graph);
        entry.inputs.extend(given(graph).map(|(param, shape)| TensorEntry { name: param.to_string(), shape }));
        entry
    };
    Plan {
        coarse: graph(COARSE, &split.coarse),
        window: graph(WINDOW, &split.window),
        specific: LandmarkId::up_to(landmarks).map(spans).collect(),
        tiling: split.tiling.clone(),
        max_windows: split.max_windows,
    }
}

fn entry(file: String, graph: &Graph) -> GraphEntry {
    let tensors = |ports: &[(Port, Value)]| {
        let tensor =
            |(port, value): &(Port, Value)| TensorEntry { name: port.to_string(), shape: graph.node(*value).shape };
        ports.iter().map(tensor).collect()
    };
    GraphEntry { file, inputs: tensors(graph.inputs()), outputs: tensors(graph.outputs()) }
}
