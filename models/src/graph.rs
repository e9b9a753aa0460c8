//! The typed graph in which a network is written down once: nodes with an op from a short list, named parameters,
//! static shapes. The trainer and [`crate::reference`] interpret it, the exporter rewrites it and lowers it to ONNX.
//!
//! What a network looks like is in [`crate::network`]; no weights live here, only their names and shapes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ndarray::Array2;

use crate::shape_text;

/// `[batch, channels, rows, columns]`. Graphs are written for a batch of one; interpreters may run larger batches.
pub type Shape = [usize; 4];

/// The tensor that a node makes, by the node's place in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(usize);

/// How an up-sampling places its output cells over the input (ONNX `coordinate_transformation_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corners {
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
        corners: Corners,
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
    Channels {
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
    /// Rounded to one of 256 levels: `scale * clamp(round(x / scale), 0, 255)`, ties to even. Parameter: scale `[]`.
    Quantise,
    /// Cosine of every cell's vector with one parameter vector `[channels]`:
    /// `<e, v> / (|e| |v| + 1e-3)` (METHOD.md sec. 1b). Makes one channel.
    Cosine,
}

/// The constant that the cosine adds to the product of norms (METHOD.md sec. 1b).
pub const COSINE_EPSILON: f32 = 1e-3;
/// The constant that batch normalisation adds to the variance (METHOD.md sec. 1a).
pub const BATCH_NORM_EPSILON: f32 = 1e-5;

/// One operation, its operands and its result's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique in the graph.
    pub name: String,
    /// What is computed.
    pub op: Op,
    /// The operands.
    pub inputs: Vec<Value>,
    /// Names of the parameters, in the op's order.
    pub params: Vec<String>,
    /// Shape of the result.
    pub shape: Shape,
}

/// A directed acyclic graph of [`Node`]s in an order in which they can be run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    params: BTreeMap<String, Vec<usize>>,
    outputs: Vec<(String, Value)>,
}

/// Why a node can't be added to a graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The operands don't fit the op.
    #[error("graph {graph}, node {node}: {op:?} can't take operands of shape {operands}: {why}")]
    Operands {
        /// The graph's name.
        graph: String,
        /// The node's name.
        node: String,
        /// The op.
        op: Op,
        /// The operands' shapes.
        operands: String,
        /// The rule that was broken.
        why: &'static str,
    },
    /// Two nodes, or two outputs, have one name.
    #[error("graph {graph}: the name {name} is taken")]
    NameTaken {
        /// The graph's name.
        graph: String,
        /// The name.
        name: String,
    },
    /// A parameter is used with two shapes.
    #[error("graph {graph}: parameter {param} is used as {first:?} and as {second:?}")]
    ParamShape {
        /// The graph's name.
        graph: String,
        /// The parameter's name.
        param: String,
        /// The shape of its first use.
        first: Vec<usize>,
        /// The shape asked for now.
        second: Vec<usize>,
    },
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The graph's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All nodes with their values, operands first.
    pub fn nodes(&self) -> impl Iterator<Item = (Value, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (Value(index), node))
    }

    /// The node that makes `value`. `value` must be of this graph.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.0]
    }

    /// The value that the node called `name` makes.
    pub fn value(&self, name: &str) -> Option<Value> {
        self.nodes.iter().position(|node| node.name == name).map(Value)
    }

    /// Names and shapes of all parameters, in name order.
    pub fn params(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.params
    }

    /// The outputs by name, in the order in which they were declared.
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }

    /// The tensors that a caller must provide.
    pub fn inputs(&self) -> impl Iterator<Item = (Value, &Node)> {
        self.nodes().filter(|(_, node)| node.op == Op::Input)
    }

    /// How often each value is read, by nodes and as an output.
    pub fn reads(&self) -> BTreeMap<Value, usize> {
        let mut reads = BTreeMap::new();
        let outputs = self.outputs.iter().map(|(_, value)| value);
        for value in self.nodes.iter().flat_map(|node| &node.inputs).chain(outputs) {
            *reads.entry(*value).or_default() += 1;
        }
        reads
    }

    /// Number of trained numbers: everything but the running statistics of batch normalisation (as METHOD.md sec. 5 counts).
    pub fn parameter_count(&self) -> usize {
        let trained = self.params.iter().filter(|(name, _)| !is_statistic(name));
        trained.map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Multiply-accumulates of all convolutions (as METHOD.md sec. 5 counts: nothing else counts).
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|node| self.node_macs(node)).sum()
    }

    fn node_macs(&self, node: &Node) -> u64 {
        match node.op {
            Op::Conv { .. } => {
                let weight = node.params.first().and_then(|name| self.params.get(name));
                let kernel: usize = weight.map_or(0, |shape| shape.iter().product());
                (kernel * node.shape[2] * node.shape[3]) as u64
            }
            _ => 0,
        }
    }

    /// Declares `value` as an output called `name`.
    ///
    /// # Errors
    /// The name is taken by another output.
    pub fn output(&mut self, name: impl Into<String>, value: Value) -> Result<(), GraphError> {
        let name = name.into();
        if self.outputs.iter().any(|(other, _)| *other == name) {
            return Err(GraphError::NameTaken { graph: self.name.clone(), name });
        }
        self.outputs.push((name, value));
        Ok(())
    }

    /// A tensor that the caller provides.
    ///
    /// # Errors
    /// The name is taken.
    pub fn input(&mut self, name: impl Into<String>, shape: Shape) -> Result<Value, GraphError> {
        self.insert(Node { name: name.into(), op: Op::Input, inputs: vec![], params: vec![], shape })
    }

    /// A padded convolution with parameters `{name}.weight` and, if asked for, `{name}.bias`; kernel as (rows, columns).
    ///
    /// # Errors
    /// The name is taken, or the parameters are used elsewhere with another shape.
    pub fn conv(
        &mut self,
        name: &str,
        input: Value,
        out: usize,
        kernel: (usize, usize),
        dilation: usize,
        bias: bool,
    ) -> Result<Value, GraphError> {
        let weight = format!("{name}.weight");
        self.declare(&weight, vec![out, self.node(input).shape[1], kernel.0, kernel.1])?;
        let mut params = vec![weight];
        if bias {
            params.push(format!("{name}.bias"));
            self.declare(&params[1], vec![out])?;
        }
        self.push(name, Op::Conv { dilation, padded: true, bias }, &[input], params)
    }

    /// Batch normalisation with parameters `{name}.weight`, `.bias`, `.running_mean`, `.running_var`.
    ///
    /// # Errors
    /// The name is taken, or the parameters are used elsewhere with another shape.
    pub fn batch_norm(&mut self, name: &str, input: Value) -> Result<Value, GraphError> {
        let channels = self.node(input).shape[1];
        let params: Vec<_> =
            ["weight", "bias", "running_mean", "running_var"].iter().map(|part| format!("{name}.{part}")).collect();
        for param in &params {
            self.declare(param, vec![channels])?;
        }
        self.push(name, Op::BatchNorm, &[input], params)
    }

    /// The cosine of every cell of `input` with the parameter vector called `vector`.
    ///
    /// # Errors
    /// The name is taken, or the vector is used elsewhere with another length.
    pub fn cosine(&mut self, name: &str, input: Value, vector: &str) -> Result<Value, GraphError> {
        self.declare(vector, vec![self.node(input).shape[1]])?;
        self.push(name, Op::Cosine, &[input], vec![vector.to_owned()])
    }

    /// A node without parameters.
    ///
    /// # Errors
    /// The name is taken or the operands don't fit the op.
    pub fn apply(&mut self, name: &str, op: Op, inputs: &[Value]) -> Result<Value, GraphError> {
        self.push(name, op, inputs, vec![])
    }

    /// Declares a parameter's shape; the same parameter may be declared again with the same shape.
    ///
    /// # Errors
    /// It was declared with another shape.
    pub fn declare(&mut self, name: &str, shape: Vec<usize>) -> Result<(), GraphError> {
        match self.params.get(name) {
            Some(first) if *first != shape => Err(GraphError::ParamShape {
                graph: self.name.clone(),
                param: name.to_owned(),
                first: first.clone(),
                second: shape,
            }),
            _ => {
                self.params.insert(name.to_owned(), shape);
                Ok(())
            }
        }
    }

    /// Adds a node of any op. Its parameters must have been declared; its shape is inferred.
    ///
    /// # Errors
    /// The name is taken or the operands don't fit the op.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[Value], params: Vec<String>) -> Result<Value, GraphError> {
        let shape = self.infer(name, op, inputs, &params)?;
        self.insert(Node { name: name.to_owned(), op, inputs: inputs.to_vec(), params, shape })
    }

    fn insert(&mut self, node: Node) -> Result<Value, GraphError> {
        if self.value(&node.name).is_some() {
            return Err(GraphError::NameTaken { graph: self.name.clone(), name: node.name });
        }
        self.nodes.push(node);
        Ok(Value(self.nodes.len() - 1))
    }

    fn infer(&self, name: &str, op: Op, inputs: &[Value], params: &[String]) -> Result<Shape, GraphError> {
        let shapes: Vec<Shape> = inputs.iter().map(|value| self.node(*value).shape).collect();
        let sizes: Vec<&Vec<usize>> = params.iter().filter_map(|param| self.params.get(param)).collect();
        infer_shape(op, &shapes, &sizes).map_err(|why| GraphError::Operands {
            graph: self.name.clone(),
            node: name.to_owned(),
            op,
            operands: shapes.iter().map(|shape| shape_text(shape)).collect::<Vec<_>>().join(" "),
            why,
        })
    }

    /// A new graph made node by node: `rewrite` gets the new graph, each old node and its operands in the new graph, and
    /// returns the value that stands for the old node's result. Nodes that no output needs any more are dropped.
    ///
    /// # Errors
    /// Whatever `rewrite` returns.
    pub fn rewrite<E: From<GraphError>>(
        &self,
        mut rewrite: impl FnMut(&mut Graph, &Node, &[Value]) -> Result<Value, E>,
    ) -> Result<Graph, E> {
        let mut graph = Graph::new(self.name.clone());
        let mut values: Vec<Value> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs: Vec<Value> = node.inputs.iter().map(|input| values[input.0]).collect();
            values.push(rewrite(&mut graph, node, &inputs)?);
        }
        for (name, value) in &self.outputs {
            graph.output(name.clone(), values[value.0])?;
        }
        Ok(graph.pruned())
    }

    /// Adds `node` of graph `of` unchanged, with `inputs` of this graph: the usual case of [`Graph::rewrite`].
    ///
    /// # Errors
    /// The name is taken, or a parameter has another shape here.
    pub fn copy(&mut self, of: &Graph, node: &Node, inputs: &[Value]) -> Result<Value, GraphError> {
        for param in &node.params {
            if let Some(shape) = of.params.get(param) {
                self.declare(param, shape.clone())?;
            }
        }
        match node.op {
            Op::Input => self.input(node.name.clone(), node.shape),
            op => self.push(&node.name, op, inputs, node.params.clone()),
        }
    }

    /// The graph with other names of nodes and outputs.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(&str) -> String) -> Graph {
        let mut graph = self.clone();
        graph.nodes.iter_mut().for_each(|node| node.name = name(&node.name));
        graph.outputs.iter_mut().for_each(|(output, _)| *output = name(output));
        graph
    }

    /// The part of the graph that `outputs` need.
    #[must_use]
    pub fn part(&self, name: &str, outputs: Vec<(String, Value)>) -> Graph {
        Graph { name: name.to_owned(), outputs, ..self.clone() }.pruned()
    }

    /// The graph without the nodes (inputs excepted) and parameters that no output needs.
    pub fn pruned(&self) -> Graph {
        let mut needed: BTreeSet<Value> = self.outputs.iter().map(|(_, value)| *value).collect();
        for (value, node) in self.nodes().collect::<Vec<_>>().into_iter().rev() {
            if needed.contains(&value) {
                needed.extend(&node.inputs);
            }
        }
        let mut graph = Graph::new(self.name.clone());
        let mut values: BTreeMap<Value, Value> = BTreeMap::new();
        for (value, node) in self.nodes().filter(|(value, node)| needed.contains(value) || node.op == Op::Input) {
            let inputs = node.inputs.iter().map(|input| values[input]).collect();
            values.insert(value, Value(graph.nodes.len()));
            graph.nodes.push(Node { inputs, ..node.clone() });
        }
        let used: BTreeSet<&String> = graph.nodes.iter().flat_map(|node| &node.params).collect();
        graph.params =
            self.params.iter().filter(|(name, _)| used.contains(name)).map(|(n, s)| (n.clone(), s.clone())).collect();
        graph.outputs = self.outputs.iter().map(|(name, value)| (name.clone(), values[value])).collect();
        graph
    }
}

/// Whether a parameter is a running statistic of batch normalisation rather than a trained number.
pub fn is_statistic(param: &str) -> bool {
    param.ends_with(".running_mean") || param.ends_with(".running_var")
}

fn infer_shape(op: Op, inputs: &[Shape], params: &[&Vec<usize>]) -> Result<Shape, &'static str> {
    let same =
        |first: &Shape, second: &Shape| if first == second { Ok(*first) } else { Err("the shapes must be equal") };
    match (op, inputs, params) {
        (Op::Conv { dilation, padded, bias }, [x], [weight, rest @ ..]) => match weight.as_slice() {
            [out, channels, rows, columns] if *channels == x[1] => {
                if rows % 2 == 0 || columns % 2 == 0 || dilation == 0 {
                    return Err("kernel sides must be odd and the dilation positive");
                }
                let lost = |kernel: usize| if padded { 0 } else { (kernel - 1) * dilation };
                if x[2] <= lost(*rows) || x[3] <= lost(*columns) {
                    return Err("without padding, the operand must be larger than the kernel reaches");
                }
                match (bias, rest) {
                    (false, []) => {}
                    (true, [b]) if **b == [*out] => {}
                    _ => return Err("the bias must be [out]"),
                }
                Ok([x[0], *out, x[2] - lost(*rows), x[3] - lost(*columns)])
            }
            _ => Err("the weight must be [out, in, rows, columns] with the operand's channels as in"),
        },
        (Op::BatchNorm, [x], params) if params.len() == 4 && params.iter().all(|p| **p == [x[1]]) => Ok(*x),
        (Op::Cosine, [x], [vector]) if **vector == [x[1]] => Ok([x[0], 1, x[2], x[3]]),
        (Op::Relu | Op::Clamp, [x], []) => Ok(*x),
        (Op::Quantise, [x], [scale]) if scale.is_empty() => Ok(*x),
        (Op::MaxPool, [x], []) if x[2] % 2 == 0 && x[3] % 2 == 0 => Ok([x[0], x[1], x[2] / 2, x[3] / 2]),
        (Op::MaxPool, [_], []) => Err("both sides must be even"),
        (Op::Upsample { factor, .. }, [x], []) if factor > 0 => Ok([x[0], x[1], x[2] * factor, x[3] * factor]),
        (Op::Crop { rows, columns }, [x], []) => match (x[2] > 2 * rows, x[3] > 2 * columns) {
            (true, true) => Ok([x[0], x[1], x[2] - 2 * rows, x[3] - 2 * columns]),
            _ => Err("nothing would be left"),
        },
        (Op::Channels { first, count }, [x], []) => match count > 0 && first + count <= x[1] {
            true => Ok([x[0], count, x[2], x[3]]),
            false => Err("the operand has no such channels"),
        },
        (Op::Concat, [first, rest @ ..], []) => {
            rest.iter().try_fold(*first, |sum, next| match (sum[0], sum[2], sum[3]) == (next[0], next[2], next[3]) {
                true => Ok([sum[0], sum[1] + next[1], sum[2], sum[3]]),
                false => Err("all but the channels must be equal"),
            })
        }
        (Op::Interpolate, [x, rows, columns], []) => match (rows, columns) {
            ([1, 1, height, r], [1, 1, c, width]) if (*r, *c) == (x[2], x[3]) => Ok([x[0], x[1], *height, *width]),
            _ => Err("the matrices must be [1, 1, new rows, rows] and [1, 1, columns, new columns]"),
        },
        (Op::Mul, [x, [1, 1, rows, columns]], []) if (*rows, *columns) == (x[2], x[3]) => Ok(*x),
        (Op::Add | Op::Mul, [first, second], []) => same(first, second),
        _ => Err("wrong number or shape of operands or parameters"),
    }
}

/// What [`Op::Upsample`] does to an axis, as a matrix `[factor * size, size]`.
pub fn interpolation(size: usize, factor: usize, corners: Corners) -> Array2<f32> {
    let out = size * factor;
    let mut matrix = Array2::zeros((out, size));
    for to in 0..out {
        let from = match corners {
            Corners::Aligned if out > 1 => to as f32 * (size - 1) as f32 / (out - 1) as f32,
            Corners::Aligned => 0.0,
            Corners::HalfPixel => (((to as f32 + 0.5) / factor as f32) - 0.5).max(0.0),
        };
        let low = (from as usize).min(size - 1);
        let high = (low + 1).min(size - 1);
        let share = from - low as f32;
        matrix[[to, low]] += 1.0 - share;
        matrix[[to, high]] += share;
    }
    matrix
}

impl fmt::Display for Graph {
    /// One node a line: `%name = op attributes (%operands; parameters) [shape]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {} {{", self.name)?;
        for node in &self.nodes {
            let operands: Vec<_> = node.inputs.iter().map(|input| format!("%{}", self.node(*input).name)).collect();
            let params: Vec<_> = node
                .params
                .iter()
                .map(|name| format!("{name} {}", shape_text(self.params.get(name).map_or(&[], |s| s))))
                .collect();
            write!(f, "  %{} = {}", node.name, node.op)?;
            if !operands.is_empty() {
                write!(f, " {}", operands.join(" "))?;
            }
            writeln!(
                f,
                "{} : {}",
                params.iter().map(|p| format!(" <{p}>")).collect::<String>(),
                shape_text(&node.shape)
            )?;
        }
        let outputs: Vec<_> =
            self.outputs.iter().map(|(name, value)| format!("{name} = %{}", self.node(*value).name)).collect();
        writeln!(f, "  return {}\n}}", outputs.join(", "))
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
            Op::Upsample { factor, corners: Corners::Aligned } => write!(f, "upsample x{factor} align_corners"),
            Op::Upsample { factor, corners: Corners::HalfPixel } => write!(f, "upsample x{factor} half_pixel"),
            Op::Interpolate => write!(f, "interpolate"),
            Op::Crop { rows, columns } => write!(f, "crop {rows}x{columns}"),
            Op::Channels { first, count } => write!(f, "channels {first}..{}", first + count),
            Op::Concat => write!(f, "concat"),
            Op::Add => write!(f, "add"),
            Op::Mul => write!(f, "mul"),
            Op::Clamp => write!(f, "clamp"),
            Op::Quantise => write!(f, "quantise"),
            Op::Cosine => write!(f, "cosine"),
        }
    }
}
