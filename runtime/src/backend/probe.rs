//! A run of one small convolution, to find out whether a backend works on this machine.

use std::sync::Arc;

use ndarray::Array4;
use onemark_onnx::builder;
use onemark_onnx::proto::TensorProto;

use super::Backend;
use crate::RuntimeError;

/// Opens and runs a convolution that doubles its input.
///
/// # Errors
/// The backend fails; [`RuntimeError::Output`] if its result is wrong.
pub(super) fn run(backend: &dyn Backend) -> Result<(), RuntimeError> {
    let graph = super::check("probe", &convolution(two()), &Arc::default())?;
    let session = backend.open(&graph, 1)?;
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
pub(super) fn two() -> TensorProto {
    builder::floats(KERNEL, &KERNEL_DIMS, &[2.0])
}

pub(super) const KERNEL: &str = "kernel";
pub(super) const KERNEL_DIMS: [usize; 4] = [1; 4];

/// The file of y = Conv(x, kernel), x and y `[1, 1, 2, 2]`.
pub(super) fn convolution(kernel: TensorProto) -> Vec<u8> {
    let conv = builder::node("Conv", "y", &["x", KERNEL], vec![]);
    let value = |name| vec![builder::value(name, &SHAPE)];
    let graph = builder::graph("convolution", vec![conv], vec![kernel], value("x"), value("y"));
    builder::file(graph, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
