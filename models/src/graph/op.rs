//! The operations that a graph is made of.

use ndarray::Array2;

/// How an up-sampling places its output cells over the input (ONNX `coordinate_transformation_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinateMode {
    /// Corner cells lie on corner cells (`align_corners`): the decoder, METHOD.md sec. 1a.
    Aligned,
    /// Cells are areas (`half_pixel`): the similarity maps, METHOD.md sec. 1c.
    HalfPixel,
}

/// What a node computes. Each makes one tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// A tensor that the caller provides.
    Input,
    /// Convolution of stride 1. Parameters: weight `[out, in, rows, columns]` with odd kernel sides, and if `bias`, bias `[out]`.
    Conv {
        /// Spacing of the kernel's cells.
        dilation: usize,
        /// Whether zeros around the operand make the size stay. Without them the result has only the cells whose kernel lies on it.
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
    /// Bilinear up-sampling by a whole factor.
    Upsample {
        /// Output cells per input cell and axis.
        factor: usize,
        /// Where output cells lie.
        mode: CoordinateMode,
    },
    /// Bilinear interpolation by matrices that the caller provides. Operands: the tensor `[1, channels, rows, columns]`, a matrix
    /// `[1, 1, new rows, rows]` that makes the new rows of the old, and a matrix `[1, 1, columns, new columns]` for the columns.
    Interpolate,
    /// The operand without its outermost cells.
    Crop {
        /// Rows left out at the top, and as many at the bottom.
        rows: usize,
        /// Columns left out on the left, and as many on the right.
        columns: usize,
    },
    /// Some of the operand's channels.
    Slice {
        /// The first of them.
        first: usize,
        /// How many.
        count: usize,
    },
    /// Concatenation along the channels, in input order.
    Concat,
    /// Sum of two tensors of one shape.
    Add,
    /// Product of two tensors of one shape; the second may have a single channel, which then multiplies them all.
    Mul,
    /// Clamped to [0, 1].
    Clamp,
    /// Rounded to one of 256 steps: `step * clamp(round(x / step), 0, 255)`, ties to even. Parameter: step `[]`.
    FakeQuantise,
    /// Cosine of every cell's vector with one parameter vector `[channels]`:
    /// `<e, v> / (|e| |v| + 1e-3)` (METHOD.md sec. 1b). Makes one channel.
    Cosine,
}

/// A convolution to be added: [`super::Graph::conv`].
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

/// What [`Op::Upsample`] does to an axis, as a matrix `[factor * size, size]`.
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
