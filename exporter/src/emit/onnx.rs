//! The few ONNX messages that lowering needs, built from plain values. What they say about a network is in
//! [`super::lower_onnx`].

use onemark_models::bundle::{Span, WEIGHTS};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// The version of ONNX's operators.
const OPSET: i64 = 18;
/// The version of ONNX's file format that came with them.
const IR_VERSION: i64 = 8;

/// A node with one output, which has the node's name.
pub(super) fn node(op: &str, name: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: name.into(),
        op_type: op.into(),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![name.into()],
        attribute,
        ..NodeProto::default()
    }
}

pub(super) fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..AttributeProto::default() }
}

pub(super) fn integers(name: &str, values: impl IntoIterator<Item = usize>) -> AttributeProto {
    let ints = values.into_iter().map(|value| value as i64).collect();
    AttributeProto { name: name.into(), r#type: AttributeType::Ints as i32, ints, ..AttributeProto::default() }
}

pub(super) fn string(name: &str, value: &str) -> AttributeProto {
    let (r#type, s) = (AttributeType::String as i32, value.into());
    AttributeProto { name: name.into(), r#type, s, ..AttributeProto::default() }
}

/// A tensor of f32 whose numbers are in the graph's file.
pub(super) fn floats(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { raw_data: bytes, ..tensor(name, dims, DataType::Float) }
}

/// A list of i64 whose numbers are in the graph's file.
pub(super) fn indices(name: &str, values: &[i64]) -> TensorProto {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { raw_data: bytes, ..tensor(name, &[values.len()], DataType::Int64) }
}

/// A tensor whose numbers are in `weights.bin`.
pub(super) fn external(name: &str, dims: &[usize], span: Span, data_type: DataType) -> TensorProto {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
    TensorProto {
        data_location: Some(DataLocation::External as i32),
        external_data: vec![
            entry("location", WEIGHTS.into()),
            entry("offset", span.offset.to_string()),
            entry("length", span.length.to_string()),
        ],
        ..tensor(name, dims, data_type)
    }
}

/// The zero of unsigned levels.
pub(super) fn zero_level(name: &str) -> TensorProto {
    TensorProto { raw_data: vec![0], ..tensor(name, &[], DataType::Uint8) }
}

fn tensor(name: &str, dims: &[usize], data_type: DataType) -> TensorProto {
    let dims = dims.iter().map(|&side| side as i64).collect();
    TensorProto { name: name.into(), dims, data_type: data_type as i32, ..TensorProto::default() }
}

/// What a graph says about its inputs and outputs: f32 of a fixed shape.
pub(super) fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let side =
        |&side: &usize| Dimension { value: Some(dimension::Value::DimValue(side as i64)), ..Dimension::default() };
    let shape = Some(TensorShapeProto { dim: shape.iter().map(side).collect() });
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), ..ValueInfoProto::default() }
}

/// A whole file.
pub(super) fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        ..ModelProto::default()
    }
}
