//! Runs a graph of `onemark_models` with torch, in training or evaluation mode, on any device.

use std::collections::BTreeMap;

use onemark_models::graph::{BATCH_NORM_EPSILON, COSINE_EPSILON, Corners, Graph, Op, Value};
use tch::{Kind, Tensor};

use crate::TrainError;
use crate::params::Params;

/// How batch normalisation behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It uses the running statistics.
    Evaluate,
    /// It uses the batch's statistics and updates the running ones (momentum 0.1, METHOD.md sec. 1a).
    Train {
        /// The shared layers use their running statistics all the same; only adapters' follow the batch.
        freeze_shared: bool,
    },
}

const MOMENTUM: f64 = 0.1;

/// The outputs of `graph`, in its order, for inputs `[batch, channels, rows, columns]` by name.
///
/// # Errors
/// An input or parameter is missing, or torch fails.
pub fn run(
    graph: &Graph,
    params: &Params,
    inputs: &BTreeMap<String, Tensor>,
    mode: Mode,
) -> Result<Vec<Tensor>, TrainError> {
    let mut values: BTreeMap<Value, Tensor> = BTreeMap::new();
    for (value, node) in graph.nodes() {
        let x = |index: usize| -> &Tensor { &values[&node.inputs[index]] };
        let param = |index: usize| params.get(&node.params[index]);
        let result = match node.op {
            Op::Input => {
                let input = inputs.get(&node.name);
                input.ok_or_else(|| TrainError::NoInput { name: node.name.clone() })?.shallow_clone()
            }
            Op::Conv { dilation, bias } => {
                let (weight, dilation) = (param(0)?, dilation as i64);
                let kernel = weight.size();
                let padding = [kernel[2] / 2 * dilation, kernel[3] / 2 * dilation];
                let bias = if bias { Some(param(1)?) } else { None };
                x(0).f_conv2d(weight, bias, [1, 1], padding, [dilation, dilation], 1)?
            }
            Op::BatchNorm => {
                let frozen = Mode::Train { freeze_shared: true };
                let train = mode != Mode::Evaluate && (mode != frozen || node.name.starts_with("adapter."));
                let [weight, bias, mean, variance] = [param(0)?, param(1)?, param(2)?, param(3)?];
                let epsilon = f64::from(BATCH_NORM_EPSILON);
                x(0).f_batch_norm(Some(weight), Some(bias), Some(mean), Some(variance), train, MOMENTUM, epsilon, true)?
            }
            Op::Relu => x(0).f_relu()?,
            Op::MaxPool => x(0).f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?,
            Op::Upsample { factor, corners } => {
                let size = x(0).size();
                let size = [size[2] * factor as i64, size[3] * factor as i64];
                x(0).f_upsample_bilinear2d(size, corners == Corners::Aligned, None, None)?
            }
            Op::Concat => {
                let parts: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input]).collect();
                Tensor::f_cat(&parts, 1)?
            }
            Op::Add => x(0).f_add(x(1))?,
            Op::Mul => x(0).f_mul(x(1))?,
            Op::Clamp => x(0).f_clamp(0.0, 1.0)?,
            Op::Cosine => {
                let vector = param(0)?.f_view([1, -1, 1, 1])?;
                let product = x(0).f_mul(&vector)?.f_sum_dim_intlist(1, true, None::<Kind>)?;
                product.f_div(&norm(x(0))?.f_mul(&norm(&vector)?)?.f_add_scalar(f64::from(COSINE_EPSILON))?)?
            }
        };
        values.insert(value, result);
    }
    Ok(graph.outputs().iter().map(|(_, value)| values[value].shallow_clone()).collect())
}

/// Euclidean norm over the channels.
fn norm(x: &Tensor) -> Result<Tensor, TrainError> {
    Ok(x.f_norm_scalaropt_dim(2, 1, true)?)
}
