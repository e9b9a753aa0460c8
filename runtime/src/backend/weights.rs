//! The rule on external data: an initialiser may name a range of `weights.bin`, and nothing else.
//!
//! ONNX lets a tensor name any file. Both backends get their graphs from here, so neither ever opens a file.

use std::ops::Range;

use onemark_models::bundle::WEIGHTS;
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};
use tract_onnx::prelude::Framework as _;

use super::GraphBytes;
use crate::RuntimeError;

/// The graph as a message, every reference to external data in it checked.
pub(super) fn check(graph: GraphBytes<'_>) -> Result<ModelProto, RuntimeError> {
    let refuse = |why: String| RuntimeError::Graph { graph: graph.file.to_owned(), why };
    let mut bytes = graph.onnx;
    let model = tract_onnx::onnx()
        .proto_model_for_read(&mut bytes)
        .map_err(|error| refuse(format!("it is no ONNX graph: {error:#}")))?;
    let Some(main) = &model.graph else { return Err(refuse("the file holds no graph".into())) };
    if let Some(what) = beyond_the_format(&model, main) {
        return Err(refuse(format!("it holds {what}, which no bundle has")));
    }
    for tensor in main.initializer.iter().filter(|tensor| is_external(tensor)) {
        range(tensor, graph.weights.len()).map_err(|why| refuse(format!("tensor {}: {why}", tensor.name)))?;
    }
    Ok(model)
}

/// The same with every initialiser's bytes inside, for a parser that would look for the file on disk.
pub(super) fn inline(graph: GraphBytes<'_>) -> Result<ModelProto, RuntimeError> {
    let mut model = check(graph)?;
    for tensor in model.graph.iter_mut().flat_map(|main| &mut main.initializer).filter(|tensor| is_external(tensor)) {
        let bytes = range(tensor, graph.weights.len()).ok().and_then(|range| graph.weights.get(range));
        tensor.raw_data = bytes.unwrap_or_default().to_vec();
        tensor.data_location = None;
        tensor.external_data.clear();
    }
    Ok(model)
}

fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty()
}

/// The bytes of the weights that an external tensor names.
fn range(tensor: &TensorProto, weights: usize) -> Result<Range<usize>, String> {
    let entry = |key| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let number = |key| match entry(key) {
        None => Ok(None),
        Some(text) => text.parse::<usize>().map(Some).map_err(|_| format!("its {key} `{text}` is no number")),
    };
    let location = entry("location").unwrap_or_default();
    if location != WEIGHTS {
        return Err(format!("its data are in `{location}`; only {WEIGHTS} is read"));
    }
    let start = number("offset")?.unwrap_or(0);
    let end = number("length")?.map_or(Some(weights), |length| start.checked_add(length));
    match end {
        Some(end) if start <= end && end <= weights => Ok(start..end),
        _ => Err(format!("its data reach beyond the {weights} bytes of {WEIGHTS}")),
    }
}

/// What the graph has that Onemark's exporter never writes and that could hide a reference to a file.
fn beyond_the_format(model: &ModelProto, main: &GraphProto) -> Option<&'static str> {
    if !model.functions.is_empty() || !model.training_info.is_empty() {
        return Some("functions or training information");
    }
    if !main.sparse_initializer.is_empty() {
        return Some("sparse initialisers");
    }
    if main.node.iter().any(|node| !matches!(node.domain.as_str(), "" | "ai.onnx")) {
        return Some("operators beyond ONNX's own");
    }
    let mut attributes = main.node.iter().flat_map(|node| &node.attribute);
    let plain = attributes.all(|attribute| {
        attribute.g.is_none()
            && attribute.graphs.is_empty()
            && attribute.sparse_tensor.is_none()
            && attribute.sparse_tensors.is_empty()
            && !attribute.t.iter().chain(&attribute.tensors).any(is_external)
    });
    if plain { None } else { Some("inner graphs, or external data in attributes") }
}
