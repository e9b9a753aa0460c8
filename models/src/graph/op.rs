//! The operations of graphs.

use ndarray::Array2;

/// How an up-sampling places its output cells over the input (ONNX `coordinate_transformation_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinateMode {
    /// The centres of corner cells coincide (`align_corners`). The decoder uses it, METHOD.md sec. 1a.
    Aligned,
    /// The outer edges coincide (`half_pixel`). The similarity maps use it, METHOD.md sec. 1c.
    HalfPixel,
}

/// What a node computes. Each operation has one output tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// A tensor that the caller provides.
    Input,
    /// Convolution of stride 1. Parameters: weight `[out, in, rows, columns]` with odd kernel sides, and if `bias`, bias `[out]`.
    Conv {
        /// Spacing of the kernel's cells.
        dilation: usize,
        /// Whether zeros are added around the operand, so that the size stays the same. Without them, the result has only the cells
        /// for which the whole kernel lies on the operand.
        padded: bool,
        /// Whether a bias parameter follows the weight.
        bias: bool,
    },
    /// Batch normalisation per channel. Parameters: weight, bias, running_mean, running_var, each `[channels]`.
    BatchNorm,
    /// `max(x, 0)`.
    Relu,
    /// Maximum over 2x2 cells, stride 2.
    MaxPool,
    /// Bilinear up-sampling by an integer factor.
    Upsample {
        /// Output cells per input cell and axis.
        factor: usize,
        /// How output cells are placed over the input.
        mode: CoordinateMode,
    },
    /// Bilinear interpolation by matrices that the caller provides. Operands: the tensor `[1, channels, rows, columns]`, a matrix
    /// `[1, 1, new rows, rows]` that interpolates rows, and a matrix `[1, 1, columns, new columns]` that interpolates columns.
    Interpolate,
    /// The operand without its outermost cells.
    Crop {
        /// The number of rows removed at the top, and the same number at the bottom.
        rows: usize,
        /// The number of columns removed on the left, and the same number on the right.
        columns: usize,
    },
    /// A range of the operand's channels.
    Slice {
        /// The first channel.
        first: usize,
        /// The number of channels.
        count: usize,
    },
    /// Concatenation along the channels, in input order.
    Concat,
    /// Sum of two tensors of the same shape.
    Add,
    /// Product of two tensors of the same shape. If the second has a single channel, it multiplies all channels of the first.
    Mul,
    /// Clamped to [0, 1].
    Clamp,
    /// Rounded to one of 256 steps: `step * clamp(round(x / step), 0, 255)`, ties to even. Parameter: step `[]`.
    FakeQuantise,
    /// Cosine of every cell's vector with one parameter vector `[channels]`:
    /// `<e, v> / (|e| |v| + 1e-3)` (METHOD.md sec. 1b). Makes one channel.
    Cosine,
}

/// The shape of a convolution that [`super::Graph::conv`] adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Output channels.
    pub out: usize,
    /// The kernel's rows and columns, both odd.
    pub kernel: (usize, usize),
    /// Spacing of the kernel's cells.
    pub dilation: usize,
    /// Whether it has a bias.
    pub bias: bool,
}

/// The constant that the cosine adds to the product of norms (METHOD.md sec. 1b).
pub const COSINE_EPSILON: f32 = 1e-3;
/// The constant that batch normalisation adds to the variance (METHOD.md sec. 1a).
pub const BATCH_NORM_EPSILON: f32 = 1e-5;

/// The matrix `[factor * size, size]` by which [`Op::Upsample`] interpolates along an axis.
pub fn interpolation(size: usize, factor: usize, mode: CoordinateMode) -> Array2<f32> {
    let out = size * factor;
    let mut matrix = Array2::zeros((out, size));
    for to in 0..out {
        let from = match mode {
            CoordinateMode::Aligned if out > 1 => to as f32 * (size - 1) as f32 / (out - 1) as f32,
            CoordinateMode::Aligned => 0.0,
            CoordinateMode::HalfPixel => (((to as f32 + 0.5) / factor as f32) - 0.5).max(0.0),
        };
        let low = (from as usize).min(size - 1);
        let high = (low + 1).min(size - 1);
        let share = from - low as f32;
        matrix[[to, low]] += 1.0 - share;
        matrix[[to, high]] += share;
    }
    matrix
}
