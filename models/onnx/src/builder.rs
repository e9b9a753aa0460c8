//! Builds graphs and files from plain values. It does not check what a graph computes.

use std::ops::Range;

use prost::Message as _;

use crate::proto::{
    AttributeProto, AttributeType, DataLocation, DataType, DimensionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};

/// The version of ONNX's operators.
pub(crate) const OPSET: i64 = 18;
/// The version of ONNX's file format that belongs to them.
pub(crate) const IR_VERSION: i64 = 8;

/// A node with one output, which has the same name as the node.
///
/// ```
/// let node = onemark_onnx::builder::node("Relu", "y", &["x"], vec![]);
/// assert_eq!(node.output, ["y"]);
/// ```
pub fn node(op: &str, name: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: name.into(),
        op_type: op.into(),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![name.into()],
        attribute,
        ..NodeProto::default()
    }
}

/// An attribute that is a whole number.
pub fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..AttributeProto::default() }
}

/// An attribute that is a list of whole numbers.
pub fn integers(name: &str, values: impl IntoIterator<Item = usize>) -> AttributeProto {
    let ints = values.into_iter().map(|value| value as i64).collect();
    AttributeProto { name: name.into(), r#type: AttributeType::Ints as i32, ints, ..AttributeProto::default() }
}

/// An attribute that is a text.
pub fn string(name: &str, value: &str) -> AttributeProto {
    let (r#type, s) = (AttributeType::String as i32, value.into());
    AttributeProto { name: name.into(), r#type, s, ..AttributeProto::default() }
}

/// A tensor of f32 with its numbers in the graph's file, row-major.
pub fn floats(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { raw_data: bytes, ..tensor(name, dims, DataType::Float) }
}

/// A list of i64 with its numbers in the graph's file.
pub fn indices(name: &str, values: &[i64]) -> TensorProto {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { raw_data: bytes, ..tensor(name, &[values.len()], DataType::Int64) }
}

/// The zero point of quantised values from 0 to 255: a u8 without axes.
pub fn zero_point(name: &str) -> TensorProto {
    TensorProto { raw_data: vec![0], ..tensor(name, &[], DataType::Uint8) }
}

/// A tensor whose numbers are in another file, in this range of bytes: little-endian, row-major.
///
/// ```
/// use onemark_onnx::{builder, proto::DataType};
/// let weight = builder::external("weight", &[8, 3, 3, 3], DataType::Float, "weights.bin", 64..64 + 4 * 216);
/// assert_eq!(weight.external_data[0].value, "weights.bin");
/// ```
pub fn external(name: &str, dims: &[usize], data_type: DataType, file: &str, range: Range<usize>) -> TensorProto {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
    TensorProto {
        data_location: Some(DataLocation::External as i32),
        external_data: vec![
            entry("location", file.into()),
            entry("offset", range.start.to_string()),
            entry("length", range.len().to_string()),
        ],
        ..tensor(name, dims, data_type)
    }
}

fn tensor(name: &str, dims: &[usize], data_type: DataType) -> TensorProto {
    let dims = dims.iter().map(|&side| side as i64).collect();
    TensorProto { name: name.into(), dims, data_type: data_type as i32, ..TensorProto::default() }
}

/// An input or an output of a graph: f32 of a fixed shape.
pub fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let side = |&side: &usize| DimensionProto { dim_value: Some(side as i64), dim_param: None };
    let shape = TensorShapeProto { dim: shape.iter().map(side).collect() };
    let tensor_type = TensorTypeProto { elem_type: DataType::Float as i32, shape: Some(shape) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

/// A graph: nodes in an order in which they can be computed, constants, inputs and outputs.
pub fn graph(
    name: &str,
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    input: Vec<ValueInfoProto>,
    output: Vec<ValueInfoProto>,
) -> GraphProto {
    GraphProto { name: name.into(), node, initializer, input, output, ..GraphProto::default() }
}

/// The bytes of a file with this graph; `producer` and `version` name the program that writes it.
pub fn file(graph: GraphProto, producer: &str, version: &str) -> Vec<u8> {
    let model = ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        producer_name: producer.into(),
        producer_version: version.into(),
        graph: Some(graph),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}
