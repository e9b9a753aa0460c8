//! Checks the bytes of an ONNX file. Only a checked graph can be opened by a backend.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use prost::Message as _;

use crate::builder::{IR_VERSION, OPSET};
use crate::error::{OnnxError, some};
use crate::external::{Weights, is_external};
use crate::numbers;
use crate::proto::{AttributeProto, DataLocation, GraphProto, ModelProto, NodeProto, TensorProto};
use crate::shapes::{self, Named, Value};

/// The largest file of a graph that is read, in bytes. Its messages take up to some hundred times as much memory.
pub const LARGEST_GRAPH: usize = 2 << 20;
/// The longest name in a graph, in bytes.
const LONGEST_NAME: usize = 250;

/// A graph that [`check()`] has accepted: it uses only operators of format 1, in shapes that fit together, with finite constants, and
/// no file except the weights.
#[derive(Clone, Debug)]
pub struct CheckedGraph {
    file: Arc<str>,
    bytes: Vec<u8>,
    /// The range of each initialiser in the weights.
    external: BTreeMap<String, Range<usize>>,
    weights: Weights,
    inputs: Vec<Named>,
    outputs: Vec<Named>,
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

    /// Its inputs, by name and shape.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.inputs.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))
    }

    /// Its outputs, by name and shape.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.outputs.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))
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
    if onnx.len() > LARGEST_GRAPH {
        return Err(OnnxError::TooLarge { bytes: onnx.len(), most: LARGEST_GRAPH });
    }
    let mut model = ModelProto::decode(onnx).map_err(|why| OnnxError::NotOnnx { why })?;
    if !model.functions.is_empty() {
        return Err(OnnxError::Functions);
    }
    if !model.training_info.is_empty() {
        return Err(OnnxError::TrainingInfo);
    }
    let mut graph = model.graph.take().ok_or(OnnxError::NoGraph)?;
    validate_versions(&model)?;
    validate_names(&graph)?;
    validate_values(&graph)?;
    graph.node.iter().try_for_each(validate_node)?;
    let external = validate_initialisers(&mut graph, weights)?;
    let [inputs, outputs] = shapes::follow(&graph, constants(&graph, &external, weights)?)?;
    let bytes = ModelProto { graph: Some(graph), ..model }.encode_to_vec();
    Ok(CheckedGraph { file: file.into(), bytes, external, weights: weights.clone(), inputs, outputs })
}

/// Format 1 has one version of the operators, and the version of the file format that belongs to it.
fn validate_versions(model: &ModelProto) -> Result<(), OnnxError> {
    if model.ir_version != IR_VERSION {
        let found = model.ir_version.to_string();
        return Err(OnnxError::Version { what: "IR version", found, expected: IR_VERSION });
    }
    match model.opset_import.as_slice() {
        [only] if is_own(&only.domain) && only.version == OPSET => Ok(()),
        others => {
            let versions: Vec<i64> = others.iter().map(|set| set.version).collect();
            let found = if let [only] = versions.as_slice() { only.to_string() } else { some(&versions) };
            Err(OnnxError::Version { what: "operator set", found, expected: OPSET })
        }
    }
}

/// Whether a domain is ONNX's own.
fn is_own(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Messages repeat names, so all must be short, and nothing in them may be hidden.
fn validate_names(graph: &GraphProto) -> Result<(), OnnxError> {
    let nodes = graph.node.iter().flat_map(|node| {
        let attributes = node.attribute.iter().map(|attribute| &attribute.name);
        [&node.name, &node.op_type, &node.domain].into_iter().chain(&node.input).chain(&node.output).chain(attributes)
    });
    let values = graph.input.iter().chain(&graph.output).map(|value| &value.name);
    let mut names = nodes.chain(values).chain(graph.initializer.iter().map(|tensor| &tensor.name));
    let is_plain = |name: &String| name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match names.all(|name| name.len() <= LONGEST_NAME && is_plain(name)) {
        true => Ok(()),
        false => Err(OnnxError::Name { longest: LONGEST_NAME }),
    }
}

/// The initialisers as values, after a check of their numbers.
fn constants<'a>(
    graph: &'a GraphProto,
    external: &BTreeMap<String, Range<usize>>,
    weights: &'a Weights,
) -> Result<BTreeMap<&'a str, Value<'a>>, OnnxError> {
    let constant = |tensor: &'a TensorProto| {
        numbers::validate_fields(tensor)?;
        let range = external.get(&tensor.name);
        let bytes = match range {
            Some(range) => weights.bytes().get(range.clone()).unwrap_or_default(),
            None => &tensor.raw_data,
        };
        let (kind, shape) = numbers::describe(tensor, bytes)?;
        match range {
            Some(range) => weights.validate(tensor, kind, range)?,
            None => numbers::validate(tensor, kind, bytes)?,
        }
        Ok((tensor.name.as_str(), Value { kind, shape, bytes: Some(bytes) }))
    };
    graph.initializer.iter().map(constant).collect()
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
    if !is_own(&node.domain) {
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
