//! The printed form of a graph.

use std::fmt;

use super::{CoordinateMode, Graph, Op, Port, Value};
use crate::shape_text;

impl fmt::Display for Graph {
    /// One node a line: `%name = op attributes %operands <parameter [shape]> : [shape]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {} {{", self.name())?;
        for (value, node) in self.nodes() {
            write!(f, "  %{} = {}", self.label(value), node.op)?;
            for input in &node.inputs {
                write!(f, " %{}", self.label(*input))?;
            }
            for param in &node.params {
                write!(f, " <{param} {}>", shape_text(self.params().get(param).map_or(&[], |shape| shape)))?;
            }
            writeln!(f, " : {}", shape_text(&node.shape))?;
        }
        let outputs: Vec<_> =
            self.outputs().iter().map(|(port, value)| format!("{port} = %{}", self.label(*value))).collect();
        writeln!(f, "  return {}\n}}", outputs.join(", "))
    }
}

impl Graph {
    /// The printed name of a value: the input's port, or the node's id.
    fn label(&self, value: Value) -> String {
        self.input_port(value).map_or_else(|| self.node(value).id.to_string(), Port::to_string)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Input => write!(f, "input"),
            Op::Conv { dilation, padded, .. } => {
                write!(f, "conv")?;
                if *dilation > 1 {
                    write!(f, " dilation={dilation}")?;
                }
                if *padded { Ok(()) } else { write!(f, " unpadded") }
            }
            Op::BatchNorm => write!(f, "batch_norm"),
            Op::Relu => write!(f, "relu"),
            Op::MaxPool => write!(f, "max_pool"),
            Op::Upsample { factor, mode: CoordinateMode::Aligned } => write!(f, "upsample x{factor} align_corners"),
            Op::Upsample { factor, mode: CoordinateMode::HalfPixel } => write!(f, "upsample x{factor} half_pixel"),
            Op::Interpolate => write!(f, "interpolate"),
            Op::Crop { rows, columns } => write!(f, "crop {rows}x{columns}"),
            Op::Slice { first, count } => write!(f, "slice {first}..{}", first + count),
            Op::Concat => write!(f, "concat"),
            Op::Add => write!(f, "add"),
            Op::Mul => write!(f, "mul"),
            Op::Clamp => write!(f, "clamp"),
            Op::FakeQuantise => write!(f, "fake_quantise"),
            Op::Cosine => write!(f, "cosine"),
        }
    }
}
