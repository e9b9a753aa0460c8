//! The typed graph of a network: nodes with an [`Op`] from a short list, parameters by id, static shapes. It is the only
//! description of a network: the trainer and [`crate::reference`] interpret it, and the exporter rewrites it and lowers it to ONNX.
//!
//! The networks themselves are in [`crate::network`]. A graph stores ids and shapes of parameters, not their values.
//!
//! ```
//! use onemark_models::graph::{Conv, Graph, Level, Op, Owner, Port};
//!
//! let mut graph = Graph::new("example");
//! let film = graph.input(Port::Film, [1, 1, 64, 64])?;
//! let conv = Conv { out: 8, kernel: (3, 3), dilation: 1, bias: true };
//! let features = graph.conv(Owner::Trunk.node("conv"), film, conv)?;
//! let pooled = graph.apply(Owner::Trunk.node("pool"), Op::MaxPool, &[features])?;
//! graph.output(Port::Tap(Level::COARSE_TO_FINE[4]), pooled)?;
//!
//! assert_eq!(graph.node(pooled).shape, [1, 8, 32, 32]);
//! assert_eq!(graph.macs(), 8 * 9 * 64 * 64);
//! println!("{graph}"); // one node per line
//! # Ok::<(), onemark_models::graph::GraphError>(())
//! ```

mod id;
mod infer;
mod level;
mod op;
mod rewrite;
mod text;

use std::collections::BTreeMap;

use ndarray::ArrayD;

pub use self::id::{NodeId, Of, Owner, ParamId, Part, Port, Role};
pub use self::level::{Level, PerLevel};
pub use self::op::{BATCH_NORM_EPSILON, COSINE_EPSILON, Conv, CoordinateMode, Op, interpolation};
use crate::shape_text;

/// `[batch, channels, rows, columns]`. Graphs are written for a batch of one; interpreters may run larger batches.
pub type Shape = [usize; 4];

/// Shapes of parameters.
pub type ParamShapes = BTreeMap<ParamId, Vec<usize>>;

/// Values of parameters.
pub type Parameters = BTreeMap<ParamId, ArrayD<f32>>;

/// The output of a node, identified by the node's index in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(usize);

/// One operation, its operands and its result's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique in the graph.
    pub id: NodeId,
    /// The operation.
    pub op: Op,
    /// The operands.
    pub inputs: Vec<Value>,
    /// The parameters, in the op's order.
    pub params: Vec<ParamId>,
    /// Shape of the result.
    pub shape: Shape,
}

/// A directed acyclic graph of [`Node`]s in an order in which they can be run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    params: ParamShapes,
    inputs: Vec<(Port, Value)>,
    outputs: Vec<(Port, Value)>,
}

/// Why a node can't be added to a graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum GraphError {
    /// The operands don't fit the op.
    #[error("graph {graph}, node {node}: {op:?} can't take operands of shape {operands}: {why}")]
    Operands {
        graph: String,
        node: NodeId,
        op: Op,
        operands: String,
        /// The rule that was broken.
        why: &'static str,
    },
    /// Two nodes, two inputs or two outputs have the same name.
    #[error("graph {graph}: the name {name} is already used")]
    NameTaken { graph: String, name: String },
    /// A parameter is used with two shapes.
    #[error("graph {graph}: parameter {param} is used as {first:?} and as {second:?}")]
    ParamShape { graph: String, param: ParamId, first: Vec<usize>, second: Vec<usize> },
    /// A parameter has no shape in the graph.
    #[error("graph {graph}: parameter {param} is not declared")]
    NotDeclared { graph: String, param: ParamId },
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
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (Value, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (Value(index), node))
    }

    /// The node with the output `value`. `value` must belong to this graph.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.0]
    }

    /// The output of the node with this id, if the graph has such a node.
    pub fn value(&self, id: &NodeId) -> Option<Value> {
        self.nodes.iter().position(|node| node.id == *id).map(Value)
    }

    /// All parameters with their shapes.
    pub fn params(&self) -> &ParamShapes {
        &self.params
    }

    /// The shape of a parameter.
    ///
    /// # Errors
    /// [`GraphError::NotDeclared`].
    pub fn shape_of(&self, param: &ParamId) -> Result<&[usize], GraphError> {
        let shape = self.params.get(param).map(Vec::as_slice);
        shape.ok_or_else(|| GraphError::NotDeclared { graph: self.name.clone(), param: param.clone() })
    }

    /// The tensors that a caller provides, in the order in which they were declared.
    pub fn inputs(&self) -> &[(Port, Value)] {
        &self.inputs
    }

    /// The outputs, in the order in which they were declared.
    pub fn outputs(&self) -> &[(Port, Value)] {
        &self.outputs
    }

    /// The port that provides `value`, if it is an input.
    pub fn input_port(&self, value: Value) -> Option<&Port> {
        self.inputs.iter().find(|(_, input)| *input == value).map(|(port, _)| port)
    }

    /// How often each value is read by a node or is an output of the graph.
    pub fn reads(&self) -> BTreeMap<Value, usize> {
        let mut reads = BTreeMap::new();
        let outputs = self.outputs.iter().map(|(_, value)| value);
        for value in self.nodes.iter().flat_map(|node| &node.inputs).chain(outputs) {
            *reads.entry(*value).or_default() += 1;
        }
        reads
    }

    /// Multiply-accumulates of all convolutions. Other operations are not counted (METHOD.md sec. 5).
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|node| self.node_macs(node)).sum()
    }

    fn node_macs(&self, node: &Node) -> u64 {
        match node.op {
            Op::Conv { .. } => {
                let weight = node.params.first().and_then(|weight| self.params.get(weight));
                let kernel: usize = weight.map_or(0, |shape| shape.iter().product());
                (kernel * node.shape[2] * node.shape[3]) as u64
            }
            _ => 0,
        }
    }

    /// Declares `value` as an output.
    ///
    /// # Errors
    /// The graph already has such an output.
    pub fn output(&mut self, port: Port, value: Value) -> Result<(), GraphError> {
        if self.outputs.iter().any(|(other, _)| *other == port) {
            return Err(self.taken(&port));
        }
        self.outputs.push((port, value));
        Ok(())
    }

    /// Adds an input: a tensor that the caller provides.
    ///
    /// # Errors
    /// The graph already has such an input.
    pub fn input(&mut self, port: Port, shape: Shape) -> Result<Value, GraphError> {
        if self.inputs.iter().any(|(other, _)| *other == port) {
            return Err(self.taken(&port));
        }
        let value = self.insert(Node { id: port.node(), op: Op::Input, inputs: vec![], params: vec![], shape })?;
        self.inputs.push((port, value));
        Ok(value)
    }

    /// Adds a padded convolution with its weight and, if `conv.bias` is true, its bias.
    ///
    /// # Errors
    /// The id is taken, or the parameters are used elsewhere with another shape.
    pub fn conv(&mut self, id: NodeId, input: Value, conv: Conv) -> Result<Value, GraphError> {
        let Conv { out, kernel: (rows, columns), dilation, bias } = conv;
        let mut params = vec![id.param(Role::Weight)];
        self.declare(&params[0], vec![out, self.node(input).shape[1], rows, columns])?;
        if bias {
            params.push(id.param(Role::Bias));
            self.declare(&params[1], vec![out])?;
        }
        self.push(id, Op::Conv { dilation, padded: true, bias }, &[input], params)
    }

    /// Adds batch normalisation with its four parameters.
    ///
    /// # Errors
    /// The id is taken, or the parameters are used elsewhere with another shape.
    pub fn batch_norm(&mut self, id: NodeId, input: Value) -> Result<Value, GraphError> {
        let channels = self.node(input).shape[1];
        let roles = [Role::NormScale, Role::NormShift, Role::RunningMean, Role::RunningVariance];
        let params = roles.map(|role| id.param(role)).to_vec();
        for param in &params {
            self.declare(param, vec![channels])?;
        }
        self.push(id, Op::BatchNorm, &[input], params)
    }

    /// Adds the cosine of every cell of `input` with a parameter vector.
    ///
    /// # Errors
    /// The id is taken, or the vector is used elsewhere with another length.
    pub fn cosine(&mut self, id: NodeId, input: Value, vector: ParamId) -> Result<Value, GraphError> {
        self.declare(&vector, vec![self.node(input).shape[1]])?;
        self.push(id, Op::Cosine, &[input], vec![vector])
    }

    /// Adds a node without parameters.
    ///
    /// # Errors
    /// The id is taken or the operands don't fit the op.
    pub fn apply(&mut self, id: NodeId, op: Op, inputs: &[Value]) -> Result<Value, GraphError> {
        self.push(id, op, inputs, vec![])
    }

    /// Declares a parameter's shape; the same parameter may be declared again with the same shape.
    ///
    /// # Errors
    /// It was declared with another shape.
    pub fn declare(&mut self, param: &ParamId, shape: Vec<usize>) -> Result<(), GraphError> {
        match self.params.get(param) {
            Some(first) if *first != shape => Err(GraphError::ParamShape {
                graph: self.name.clone(),
                param: param.clone(),
                first: first.clone(),
                second: shape,
            }),
            _ => {
                self.params.insert(param.clone(), shape);
                Ok(())
            }
        }
    }

    /// Adds a node of any op. Its parameters must have been declared; its shape is inferred.
    ///
    /// # Errors
    /// The id is taken, a parameter is not declared, or the operands don't fit the op.
    pub fn push(&mut self, id: NodeId, op: Op, inputs: &[Value], params: Vec<ParamId>) -> Result<Value, GraphError> {
        let shape = self.infer(&id, op, inputs, &params)?;
        self.insert(Node { id, op, inputs: inputs.to_vec(), params, shape })
    }

    fn insert(&mut self, node: Node) -> Result<Value, GraphError> {
        if self.value(&node.id).is_some() {
            return Err(self.taken(&node.id));
        }
        self.nodes.push(node);
        Ok(Value(self.nodes.len() - 1))
    }

    fn taken(&self, name: &impl ToString) -> GraphError {
        GraphError::NameTaken { graph: self.name.clone(), name: name.to_string() }
    }

    fn infer(&self, id: &NodeId, op: Op, inputs: &[Value], params: &[ParamId]) -> Result<Shape, GraphError> {
        let shapes: Vec<Shape> = inputs.iter().map(|value| self.node(*value).shape).collect();
        let sizes = params.iter().map(|param| self.shape_of(param)).collect::<Result<Vec<_>, _>>()?;
        infer::infer_shape(op, &shapes, &sizes).map_err(|why| GraphError::Operands {
            graph: self.name.clone(),
            node: id.clone(),
            op,
            operands: shapes.iter().map(|shape| shape_text(shape)).collect::<Vec<_>>().join(" "),
            why,
        })
    }
}
