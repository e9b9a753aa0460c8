//! Runs a graph of `onemark_models` with torch, in training or evaluation mode, on any device.
//!
//! It computes in the kind of its inputs, f32 or bf16; parameters are f32 and are rounded where a convolution reads them, and batch
//! normalisation keeps its statistics in f32. Convolutions have their channels last in memory where that is faster.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use onemark_models::graph::{
    BATCH_NORM_EPSILON, COSINE_EPSILON, CoordinateMode, Graph, NodeId, Op, Owner, ParamId, Port, Value,
};
use tch::{Kind, Tensor};

use crate::TrainError;
use crate::net::params::Params;
use crate::net::precision::gradients_like_channels_last;

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

/// The invariant values that the networks of several landmarks share on the same inputs, in evaluation mode: convolutions, and parts
/// of convolutions, that depend on no landmark's parameters. By node, and first channel of the part.
#[derive(Default)]
pub struct SharedValues(BTreeMap<(NodeId, i64), Tensor>);

/// A value, or some of its channels.
struct Part {
    tensor: Tensor,
    /// Whether it depends on a landmark's parameters.
    specific: bool,
}

/// The outputs of `graph`, in its order, for inputs `[batch, channels, rows, columns]` by port.
///
/// # Errors
/// An input or parameter is missing, or torch fails.
pub fn run(
    graph: &Graph,
    params: &Params,
    inputs: &BTreeMap<Port, Tensor>,
    mode: Mode,
) -> Result<Vec<Tensor>, TrainError> {
    compute(graph, params, inputs, mode, None)
}

/// The same in evaluation mode, for one landmark after another. The first fills `common`, so the others need not compute these values.
///
/// # Errors
/// As [`run`].
pub fn run_in_turn(
    graph: &Graph,
    params: &Params,
    inputs: &BTreeMap<Port, Tensor>,
    common: &mut SharedValues,
) -> Result<Vec<Tensor>, TrainError> {
    compute(graph, params, inputs, Mode::Evaluate, Some(common))
}

fn compute(
    graph: &Graph,
    params: &Params,
    inputs: &BTreeMap<Port, Tensor>,
    mode: Mode,
    mut common: Option<&mut SharedValues>,
) -> Result<Vec<Tensor>, TrainError> {
    // A concatenation stays in parts, for the convolution that reads it.
    let mut values: BTreeMap<Value, Vec<Part>> = BTreeMap::new();
    for (value, node) in graph.nodes() {
        let owns = common.is_some() && node.params.iter().any(ParamId::is_specific);
        let parts = |index: usize| values[&node.inputs[index]].as_slice();
        let x = |index: usize| join(parts(index));
        let param = |index: usize| params.get(&node.params[index]);
        let result = match node.op {
            Op::Input => {
                let input = graph.input_port(value).and_then(|port| inputs.get(port));
                input.ok_or_else(|| TrainError::NoInput { name: node.id.to_string() })?.shallow_clone()
            }
            Op::Conv { dilation, padded, bias } => {
                let bias = if bias { Some(param(1)?) } else { None };
                let common = common.as_deref_mut().filter(|_| !owns).map(|common| (common, &node.id));
                conv(parts(0), param(0)?, bias, (dilation as i64, padded), common)?
            }
            Op::BatchNorm => {
                let frozen = Mode::Train { freeze_shared: true };
                let train = mode != Mode::Evaluate && (mode != frozen || matches!(node.id.owner, Owner::Adapter(_)));
                let [weight, bias, mean, variance] = [param(0)?, param(1)?, param(2)?, param(3)?];
                let epsilon = f64::from(BATCH_NORM_EPSILON);
                let [weight, bias, mean, variance] = [weight, bias, mean, variance].map(Some);
                x(0)?.f_batch_norm(weight, bias, mean, variance, train, MOMENTUM, epsilon, true)?
            }
            Op::Relu => x(0)?.f_relu()?,
            Op::MaxPool => x(0)?.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?,
            Op::Upsample { factor, mode } => {
                let x = x(0)?;
                let size = x.size();
                let size = [size[2] * factor as i64, size[3] * factor as i64];
                x.f_upsample_bilinear2d(size, mode == CoordinateMode::Aligned, None, None)?
            }
            Op::Crop { rows, columns } => {
                let [_, _, height, width] = node.shape.map(|cells| cells as i64);
                x(0)?.f_narrow(2, rows as i64, height)?.f_narrow(3, columns as i64, width)?
            }
            Op::Slice { first, count } => x(0)?.f_narrow(1, first as i64, count as i64)?,
            Op::Interpolate => x(1)?.f_matmul(&x(0)?)?.f_matmul(&x(2)?)?,
            Op::Concat => {
                let copy = |part: &Part| Part { tensor: part.tensor.shallow_clone(), specific: part.specific };
                let all = (0..node.inputs.len()).flat_map(parts).map(copy).collect();
                values.insert(value, all);
                continue;
            }
            Op::Add => x(0)?.f_add(&x(1)?)?,
            Op::Mul => x(0)?.f_mul(&x(1)?)?,
            Op::Clamp => x(0)?.f_clamp(0.0, 1.0)?,
            Op::FakeQuantise => x(0)?.f_div(param(0)?)?.f_round()?.f_clamp(0.0, 255.0)?.f_mul(param(0)?)?,
            Op::Cosine => {
                let x = x(0)?;
                let vector = param(0)?.f_view([1, -1, 1, 1])?.f_to_kind(x.f_kind()?)?;
                let product = x.f_mul(&vector)?.f_sum_dim_intlist(1, true, None::<Kind>)?;
                product.f_div(&norm(&x)?.f_mul(&norm(&vector)?)?.f_add_scalar(f64::from(COSINE_EPSILON))?)?
            }
        };
        let specific = owns || (0..node.inputs.len()).flat_map(parts).any(|part| part.specific);
        values.insert(value, vec![Part { tensor: result, specific }]);
    }
    graph.outputs().iter().map(|(_, value)| join(&values[value])).collect()
}

/// A value's parts as one tensor.
fn join(parts: &[Part]) -> Result<Tensor, TrainError> {
    match parts {
        [whole] => Ok(whole.tensor.shallow_clone()),
        parts => Ok(Tensor::f_cat(&parts.iter().map(|part| &part.tensor).collect::<Vec<_>>(), 1)?),
    }
}

/// The convolution of a concatenation as the sum of convolutions of its parts. Split where parts that need a gradient meet the
/// trunk's features, which need none: torch would compute the gradient of all channels or of none. And where parts of one
/// landmark meet those of all, which are in `common`, by the node's name, if computed before.
fn conv(
    parts: &[Part],
    weight: &Tensor,
    bias: Option<&Tensor>,
    (dilation, padded): (i64, bool),
    mut common: Option<(&mut SharedValues, &NodeId)>,
) -> Result<Tensor, TrainError> {
    let kernel = weight.size();
    let padding = [kernel[2], kernel[3]].map(|side| if padded { side / 2 * dilation } else { 0 });
    let mut first = 0;
    let mut sum: Option<Tensor> = None;
    for parts in parts.chunk_by(|a, b| a.specific == b.specific && a.tensor.requires_grad() == b.tensor.requires_grad())
    {
        let group = join(parts)?;
        let channels = group.size()[1];
        let bias = bias.filter(|_| sum.is_none());
        let compute = || -> Result<Tensor, TrainError> {
            let kind = group.f_kind()?;
            let columns = weight.f_narrow(1, first, channels)?.f_to_kind(kind)?;
            // Torch uses the memory order of one of its inputs.
            let (group, columns) = match !columns.requires_grad() || gradients_like_channels_last(group.device()) {
                true => (group.shallow_clone(), channels_last(&columns)?),
                false => (group.f_contiguous()?, columns.f_contiguous()?),
            };
            let bias = bias.map(|bias| bias.f_to_kind(kind)).transpose()?;
            Ok(group.f_conv2d(&columns, bias, [1, 1], padding, [dilation, dilation], 1)?)
        };
        let part = match common.as_mut().filter(|_| !parts[0].specific) {
            None => compute()?,
            Some((common, node)) => match common.0.entry(((*node).clone(), first)) {
                Entry::Occupied(known) => known.get().shallow_clone(),
                Entry::Vacant(unknown) => unknown.insert(compute()?).shallow_clone(),
            },
        };
        first += channels;
        sum = Some(match sum {
            None => part,
            Some(sum) => sum.f_add(&part)?,
        });
    }
    sum.ok_or(TrainError::NoInput { name: "of a convolution".to_owned() })
}

/// The same tensor with channels last in memory.
///
/// # Errors
/// Torch has no memory left.
pub fn channels_last(x: &Tensor) -> Result<Tensor, TrainError> {
    Ok(x.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?)
}

/// Euclidean norm over the channels.
fn norm(x: &Tensor) -> Result<Tensor, TrainError> {
    Ok(x.f_norm_scalaropt_dim(2, 1, true)?)
}
