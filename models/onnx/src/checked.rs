//! Checks the bytes of an ONNX file. Only a checked graph can be opened by a backend.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use prost::Message as _;

use crate::error::OnnxError;
use crate::external::{Weights, is_external};
use crate::proto::{AttributeProto, DataLocation, GraphProto, ModelProto, NodeProto, TensorProto};

/// A graph that [`check()`] has accepted: it uses only ONNX's own operators and no file except the weights.
#[derive(Clone, Debug)]
pub struct CheckedGraph {
    file: Arc<str>,
    bytes: Vec<u8>,
    /// The range of each initialiser in the weights.
    external: BTreeMap<String, Range<usize>>,
    weights: Weights,
}

impl CheckedGraph {
    /// The name of the graph's file in the bundle, for messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The ONNX file, encoded from the checked messages, so it contains nothing that was not checked.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file that the initialisers refer to.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The initialisers whose numbers are in the weights, by name: little-endian bytes, row-major.
    pub fn external(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.external.iter().map(|(name, range)| {
            // `check` has verified that the range lies within the weights.
            (name.as_str(), self.weights.bytes().get(range.clone()).unwrap_or_default())
        })
    }
}

/// Checks the bytes of an ONNX file: `file` is its name, `weights` the one file that its initialisers may refer to.
///
/// ```
/// use onemark_onnx::{OnnxError, Weights, check};
/// let weights = Weights::new("weights.bin", vec![].into());
/// assert!(matches!(check("trunk.onnx", b"", &weights), Err(OnnxError::NoGraph)));
/// assert!(matches!(check("trunk.onnx", b"not a graph", &weights), Err(OnnxError::NotOnnx { .. })));
/// ```
///
/// # Errors
/// The bytes are not an ONNX file, or the graph uses what a bundle must not use; see [`OnnxError`].
pub fn check(file: &str, onnx: &[u8], weights: &Weights) -> Result<CheckedGraph, OnnxError> {
    let mut model = ModelProto::decode(onnx).map_err(|why| OnnxError::NotOnnx { why })?;
    if !model.functions.is_empty() {
        return Err(OnnxError::Functions);
    }
    if !model.training_info.is_empty() {
        return Err(OnnxError::TrainingInfo);
    }
    let graph = model.graph.as_mut().ok_or(OnnxError::NoGraph)?;
    validate_values(graph)?;
    graph.node.iter().try_for_each(validate_node)?;
    let external = validate_initialisers(graph, weights)?;
    Ok(CheckedGraph { file: file.into(), bytes: model.encode_to_vec(), external, weights: weights.clone() })
}

fn validate_values(graph: &GraphProto) -> Result<(), OnnxError> {
    if !graph.sparse_initializer.is_empty() {
        return Err(OnnxError::Sparse { place: "the graph".into() });
    }
    let mut values = graph.input.iter().chain(&graph.output);
    let other = values.find(|value| value.r#type.as_ref().is_none_or(|r#type| r#type.tensor_type.is_none()));
    other.map_or(Ok(()), |value| Err(OnnxError::NotATensor { value: value.name.clone() }))
}

fn validate_node(node: &NodeProto) -> Result<(), OnnxError> {
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Err(OnnxError::Operator { node: node.name.clone(), domain: node.domain.clone() });
    }
    node.attribute.iter().try_for_each(|attribute| validate_attribute(node, attribute))
}

fn validate_attribute(node: &NodeProto, attribute: &AttributeProto) -> Result<(), OnnxError> {
    if attribute.g.is_some() || !attribute.graphs.is_empty() {
        return Err(OnnxError::InnerGraph { node: node.name.clone() });
    }
    if attribute.sparse_tensor.is_some() || !attribute.sparse_tensors.is_empty() {
        return Err(OnnxError::Sparse { place: format!("node {}", node.name) });
    }
    if !attribute.ref_attr_name.is_empty() {
        return Err(OnnxError::Functions);
    }
    attribute.t.iter().chain(&attribute.tensors).try_for_each(|tensor| {
        if is_external(tensor) {
            return Err(OnnxError::ExternalAttribute { node: node.name.clone() });
        }
        validate_whole(tensor)
    })
}

/// The ranges of all initialisers with external data.
fn validate_initialisers(
    graph: &mut GraphProto,
    weights: &Weights,
) -> Result<BTreeMap<String, Range<usize>>, OnnxError> {
    let mut names = BTreeSet::new();
    if let Some(twice) = graph.initializer.iter().find(|tensor| !names.insert(&tensor.name)) {
        return Err(OnnxError::Twice { tensor: twice.name.clone() });
    }
    let mut external = BTreeMap::new();
    for tensor in &mut graph.initializer {
        validate_whole(tensor)?;
        if is_external(tensor) {
            let range = weights.range(tensor);
            let range = range.map_err(|why| OnnxError::External { tensor: tensor.name.clone(), why })?;
            external.insert(tensor.name.clone(), range);
            // Some parsers use `data_location` to recognise external data, others the reference.
            tensor.data_location = Some(DataLocation::External as i32);
        }
    }
    Ok(external)
}

fn validate_whole(tensor: &TensorProto) -> Result<(), OnnxError> {
    match tensor.segment {
        None => Ok(()),
        Some(_) => Err(OnnxError::Segment { tensor: tensor.name.clone() }),
    }
}

#[cfg(test)]
mod tests;
