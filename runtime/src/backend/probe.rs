//! The smallest graph worth running: one convolution, to learn whether a backend really works on this machine.

use std::sync::Arc;

use ndarray::Array4;
use prost::Message as _;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    type_proto,
};

use super::{Backend, GraphBytes};
use crate::RuntimeError;

/// Opens and runs a convolution that doubles its input.
///
/// # Errors
/// Whatever the backend says; [`RuntimeError::Output`] where its answer is wrong.
pub(super) fn run(backend: &dyn Backend) -> Result<(), RuntimeError> {
    let weights: Arc<[u8]> = Arc::default();
    let session =
        backend.open(GraphBytes { file: "probe", onnx: &convolution(two()).encode_to_vec(), weights: &weights }, 1)?;
    let input = Array4::from_elem(SHAPE, 3.0);
    let outputs = session.run(&[("x", &input)])?;
    let found = outputs.iter().find(|(name, _)| name == "y").map(|(_, output)| output.array()).transpose()?;
    if found == Some((input * 2.0).view()) {
        return Ok(());
    }
    Err(RuntimeError::Output {
        graph: "probe".into(),
        tensor: "y".into(),
        expected: "6".into(),
        found: found.map_or("nothing".into(), |output| output.to_string()),
    })
}

pub(super) const SHAPE: [usize; 4] = [1, 1, 2, 2];

/// A kernel of one weight: 2.
fn two() -> TensorProto {
    TensorProto { raw_data: 2.0_f32.to_le_bytes().into(), ..kernel() }
}

/// A kernel of one weight that is yet to be given.
pub(super) fn kernel() -> TensorProto {
    TensorProto {
        name: "kernel".into(),
        dims: vec![1, 1, 1, 1],
        data_type: DataType::Float as i32,
        ..TensorProto::default()
    }
}

/// y = Conv(x, kernel), x and y `[1, 1, 2, 2]`.
pub(super) fn convolution(kernel: TensorProto) -> ModelProto {
    let value = |name: &str| {
        let side =
            |side: usize| Dimension { value: Some(dimension::Value::DimValue(side as i64)), ..Dimension::default() };
        let shape = TensorShapeProto { dim: SHAPE.map(side).into() };
        let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
        let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
        ValueInfoProto { name: name.into(), r#type: Some(r#type), ..ValueInfoProto::default() }
    };
    let conv = NodeProto {
        op_type: "Conv".into(),
        input: vec!["x".into(), kernel.name.clone()],
        output: vec!["y".into()],
        ..NodeProto::default()
    };
    let graph = GraphProto {
        name: "convolution".into(),
        node: vec![conv],
        initializer: vec![kernel],
        input: vec![value("x")],
        output: vec![value("y")],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 18 }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}
