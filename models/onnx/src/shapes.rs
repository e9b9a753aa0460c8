//! Follows a graph from its inputs to its outputs: every value is made once and before it is used, and its type and shape follow
//! from the operators. So no backend meets an operator, an attribute or a shape that was not checked here.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::OnnxError;
use crate::numbers::{Kind, elements};
use crate::operators;
use crate::proto::{DataType, GraphProto, NodeProto, ValueInfoProto};

/// The largest number of multiplications of a graph: some minutes on a small machine.
pub const MOST_PRODUCTS: u64 = 10_000_000_000_000;
/// The largest number of inputs, and of outputs, of a graph.
pub const MOST_TENSORS: usize = 4096;
/// To read and write a number takes about as long as so many multiplications of a convolution.
pub(crate) const PER_NUMBER: u64 = 16;

/// A value of a graph.
#[derive(Clone, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) kind: Kind,
    pub(crate) shape: Vec<usize>,
    /// Its numbers, little-endian, if it is a constant.
    pub(crate) bytes: Option<&'a [u8]>,
}

/// The name and shape of an input or an output.
pub(crate) type Named = (String, Vec<usize>);

/// Checks all nodes of a graph with these constants; gives its inputs and its outputs.
pub(crate) fn follow<'a>(
    graph: &'a GraphProto,
    constants: BTreeMap<&'a str, Value<'a>>,
) -> Result<[Vec<Named>; 2], OnnxError> {
    for (what, count) in [("inputs", graph.input.len()), ("outputs", graph.output.len())] {
        if count > MOST_TENSORS {
            return Err(OnnxError::TooMany { what, count, most: MOST_TENSORS });
        }
    }
    let inputs = graph.input.iter().map(declared).collect::<Result<Vec<Named>, OnnxError>>()?;
    let mut values = constants;
    for (value, (_, shape)) in graph.input.iter().zip(&inputs) {
        let input = Value { kind: Kind::F32, shape: shape.clone(), bytes: None };
        if values.insert(&value.name, input).is_some() {
            return Err(OnnxError::Twice { tensor: value.name.clone() });
        }
    }
    let mut products = 0_u64;
    for node in &graph.node {
        let (value, cost) = made(node, &values).map_err(|why| OnnxError::Node { node: node.name.clone(), why })?;
        products = products.saturating_add(cost);
        let [output] = node.output.as_slice() else {
            return Err(OnnxError::Node { node: node.name.clone(), why: "it must have one output".into() });
        };
        if output.is_empty() || values.insert(output, value).is_some() {
            return Err(OnnxError::Twice { tensor: output.clone() });
        }
    }
    if products > MOST_PRODUCTS {
        return Err(OnnxError::TooMuch { products, most: MOST_PRODUCTS });
    }
    let outputs = graph.output.iter().map(declared).collect::<Result<Vec<Named>, OnnxError>>()?;
    let mut names = BTreeSet::new();
    if let Some((twice, _)) = outputs.iter().find(|(name, _)| !names.insert(name)) {
        return Err(OnnxError::Twice { tensor: twice.clone() });
    }
    for (name, shape) in &outputs {
        let refuse = |why: String| OnnxError::Value { value: name.clone(), why };
        let value = values.get(name.as_str()).ok_or_else(|| refuse("no node makes it".into()))?;
        if value.kind != Kind::F32 || value.shape != *shape {
            return Err(refuse(format!("its shape is stated as {shape:?}, but its node makes {:?}", value.shape)));
        }
    }
    Ok([inputs, outputs])
}

/// The name and shape of an input or an output as the graph states them.
fn declared(value: &ValueInfoProto) -> Result<Named, OnnxError> {
    let not_a_tensor = || OnnxError::NotATensor { value: value.name.clone() };
    let tensor = value.r#type.as_ref().and_then(|r#type| r#type.tensor_type.as_ref()).ok_or_else(not_a_tensor)?;
    let refuse = |why: &str| OnnxError::Value { value: value.name.clone(), why: why.into() };
    if tensor.elem_type != DataType::Float as i32 {
        return Err(refuse("inputs and outputs must be f32"));
    }
    let sides = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let side = |side: Option<i64>| side.and_then(|side| usize::try_from(side).ok());
    let shape: Option<Vec<usize>> = sides.map(|dim| side(dim.dim_value.filter(|_| dim.dim_param.is_none()))).collect();
    let shape = shape.filter(|shape| tensor.shape.is_some() && elements(shape).is_some());
    Ok((value.name.clone(), shape.ok_or_else(|| refuse("its shape must be stated in numbers, and not be too large"))?))
}

/// The value that a node makes, and how many multiplications take as long.
fn made(node: &NodeProto, values: &BTreeMap<&str, Value<'_>>) -> Result<(Value<'static>, u64), String> {
    let input = |name: &String| match name.as_str() {
        // The empty name stands for an optional input that is not given.
        "" => Ok(None),
        name => values.get(name).map(Some).ok_or_else(|| format!("its input {name} is not made before it")),
    };
    let inputs = node.input.iter().map(input).collect::<Result<Vec<Option<&Value<'_>>>, String>>()?;
    let (kind, shape, products) = operators::apply(node, &inputs)?;
    let Some(written) = elements(&shape) else {
        return Err(format!("it makes a tensor that is too large: {shape:?}"));
    };
    let cost = products.saturating_add(PER_NUMBER * written as u64);
    Ok((Value { kind, shape, bytes: None }, cost))
}
