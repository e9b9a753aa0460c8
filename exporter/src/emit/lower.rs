//! `lower-onnx`: converts each graph to an ONNX file of standard operators (opset 18) that ONNX Runtime and tract both run.
//! Parameters are stored outside the file, in `weights.bin`; constants for shapes and modes are inside.
//!
//! In graphs that serve any landmark, the landmark's parameters are inputs.
//!
//! Each op has an arm in `Lowering::node`. Every ONNX value has the name of its node or its port.

use std::collections::{BTreeMap, BTreeSet};

use onemark_models::bundle::{Span, WEIGHTS};
use onemark_models::graph::{COSINE_EPSILON, CoordinateMode, Graph, Node, Of, Op, ParamId, Shape, Value};
use onemark_onnx::builder::{self, floats, indices, integer, integers, node, string, value, zero_point};
use onemark_onnx::proto::{DataType, GraphProto, NodeProto, TensorProto};

use super::layout::{Layout, Storage};
use crate::passes::{PassError, Property};

/// The stage's name.
pub const STAGE: &str = "lower-onnx";

/// A network as ONNX files.
#[derive(Clone, Debug)]
pub struct OnnxFiles {
    /// The module, and the numbers to which the files refer.
    pub layout: Layout,
    /// The trunk.
    pub trunk: Vec<u8>,
    /// The heads, in landmark order.
    pub heads: Vec<Vec<u8>>,
    /// The coarse and the window graph, if heads can run in windows.
    pub split_head: Option<[Vec<u8>; 2]>,
}

impl OnnxFiles {
    /// Lowers all graphs.
    ///
    /// # Errors
    /// A graph has a node that can't be written as ONNX, or a parameter has no place in the weights.
    pub fn new(layout: Layout) -> Result<Self, PassError> {
        let file = |graph: &Graph| {
            let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
            Ok::<Vec<u8>, PassError>(builder::file(lower(graph, &layout)?, name, version))
        };
        let trunk = file(&layout.module.trunk)?;
        let heads = layout.module.heads.iter().map(file).collect::<Result<_, _>>()?;
        let split_head = match &layout.module.split_head {
            Some(split) => Some([file(&split.coarse)?, file(&split.window)?]),
            None => None,
        };
        Ok(Self { layout, trunk, heads, split_head })
    }
}

/// Whether a parameter is an input of a graph: the graph serves any landmark, and the parameter belongs to the landmark.
pub(super) fn is_given(param: &ParamId) -> bool {
    param.node.owner.of() == Of::Any
}

/// The inputs of a graph for the parameters of the landmark for which it runs. Template vectors lie along the channel axis.
pub(super) fn given(graph: &Graph) -> impl Iterator<Item = (&ParamId, Shape)> {
    let shape = |shape: &[usize]| match shape {
        [out, channels, rows, columns] => [*out, *channels, *rows, *columns],
        other => [1, other.iter().product(), 1, 1],
    };
    graph.params().iter().filter(|(param, _)| is_given(param)).map(move |(param, dims)| (param, shape(dims)))
}

fn lower(graph: &Graph, layout: &Layout) -> Result<GraphProto, PassError> {
    let mut names: BTreeMap<Value, String> = graph.nodes().map(|(value, node)| (value, node.id.to_string())).collect();
    names.extend(graph.inputs().iter().map(|(port, value)| (*value, port.to_string())));
    // A value has one name. If it is several outputs, it has the name of the first one, and the others are copies. An input that is also
    // an output is copied too.
    let mut named: BTreeSet<Value> = graph.inputs().iter().map(|(_, value)| *value).collect();
    let mut copies = Vec::new();
    for (port, made) in graph.outputs() {
        if named.insert(*made) {
            names.insert(*made, port.to_string());
        } else {
            copies.push((port.to_string(), *made));
        }
    }
    let mut lowering = Lowering { graph, layout, names, nodes: vec![], tensors: vec![], known: BTreeSet::new() };
    for (made, node) in graph.nodes() {
        lowering.node(lowering.names[&made].clone().as_str(), node)?;
    }
    for (output, made) in copies {
        lowering.nodes.push(node("Identity", &output, &[&lowering.names[&made]], vec![]));
    }
    let shape = |made: &Value| &graph.node(*made).shape;
    let inputs = graph.inputs().iter().map(|(port, made)| value(&port.to_string(), shape(made)));
    let given = given(graph).map(|(param, shape)| value(&param.to_string(), &shape));
    let outputs = graph.outputs().iter().map(|(port, made)| value(&port.to_string(), shape(made)));
    let Lowering { nodes, tensors, .. } = lowering;
    Ok(builder::graph(graph.name(), nodes, tensors, inputs.chain(given).collect(), outputs.collect()))
}

/// A tensor with its numbers in `weights.bin`.
fn external(name: &str, dims: &[usize], span: Span, data_type: DataType) -> TensorProto {
    builder::external(name, dims, data_type, WEIGHTS, span.offset..span.offset + span.length)
}

struct Lowering<'a> {
    graph: &'a Graph,
    layout: &'a Layout,
    names: BTreeMap<Value, String>,
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
    /// Names of `tensors`.
    known: BTreeSet<String>,
}

impl Lowering<'_> {
    /// Adds the ONNX nodes that compute the value `name` like the node `source`.
    fn node(&mut self, name: &str, source: &Node) -> Result<(), PassError> {
        let operands = source.inputs.iter().map(|input| self.names[input].clone());
        let inputs: Vec<String> = operands.chain(source.params.iter().map(ParamId::to_string)).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let lowered = match source.op {
            Op::Input => return Ok(()),
            Op::Conv { dilation, padded, .. } => {
                let kernel = self.kernel(source)?;
                let [rows, columns] = kernel.map(|side| if padded { side / 2 * dilation } else { 0 });
                let attributes = vec![
                    integers("dilations", [dilation; 2]),
                    integers("kernel_shape", kernel),
                    integers("pads", [rows, columns, rows, columns]),
                ];
                match inputs.as_slice() {
                    // A bias must be a vector in ONNX, but all inputs have four axes.
                    [x, weight, bias] if is_given(&source.params[1]) => {
                        let unbiased = format!("{}.unbiased", source.id);
                        self.nodes.push(node("Conv", &unbiased, &[x, weight], attributes));
                        node("Add", name, &[&unbiased, bias], vec![])
                    }
                    inputs => node("Conv", name, inputs, attributes),
                }
            }
            Op::BatchNorm => {
                let why = format!("graph {}: {}", self.graph.name(), source.id);
                return Err(PassError::Property { property: Property::NoBatchNorm, when: "while lowering", why });
            }
            Op::Relu => node("Relu", name, &inputs, vec![]),
            Op::MaxPool => {
                let attributes = vec![integers("kernel_shape", [2; 2]), integers("strides", [2; 2])];
                node("MaxPool", name, &inputs, attributes)
            }
            Op::Upsample { factor, mode } => {
                let mode = match mode {
                    CoordinateMode::Aligned => "align_corners",
                    CoordinateMode::HalfPixel => "half_pixel",
                };
                let scales = format!("scales.x{factor}");
                self.add(floats(&scales, &[4], &[1.0, 1.0, factor as f32, factor as f32]));
                let attributes = vec![string("coordinate_transformation_mode", mode), string("mode", "linear")];
                // The empty name stands for the optional input of the region of interest, which is not used.
                node("Resize", name, &[inputs[0], "", &scales], attributes)
            }
            Op::Interpolate => {
                let [x, rows, columns] = inputs.as_slice() else {
                    return Err(malformed(source));
                };
                let half = format!("{}.rows", source.id);
                self.nodes.push(node("MatMul", &half, &[rows, x], vec![]));
                node("MatMul", name, &[&half, columns], vec![])
            }
            Op::Crop { rows, columns } => {
                let [_, _, height, width] = source.shape;
                self.add(indices("rows_and_columns", &[2, 3]));
                self.slice(
                    name,
                    source,
                    inputs[0],
                    "rows_and_columns",
                    &[(rows, rows + height), (columns, columns + width)],
                )
            }
            Op::Slice { first, count } => {
                self.add(indices("channels", &[1]));
                self.slice(name, source, inputs[0], "channels", &[(first, first + count)])
            }
            Op::Concat => node("Concat", name, &inputs, vec![integer("axis", 1)]),
            Op::Add => node("Add", name, &inputs, vec![]),
            Op::Mul => node("Mul", name, &inputs, vec![]),
            Op::Clamp => {
                self.add(floats("zero", &[], &[0.0]));
                self.add(floats("one", &[], &[1.0]));
                node("Clip", name, &[inputs[0], "zero", "one"], vec![])
            }
            Op::FakeQuantise => {
                let [x, scale] = inputs.as_slice() else {
                    return Err(malformed(source));
                };
                let levels = format!("{}.levels", source.id);
                self.add(zero_point("level.zero"));
                self.nodes.push(node("QuantizeLinear", &levels, &[x, scale, "level.zero"], vec![]));
                node("DequantizeLinear", name, &[&levels, scale, "level.zero"], vec![])
            }
            Op::Cosine => self.cosine(name, source, &inputs)?,
        };
        for param in source.params.iter().filter(|param| !is_given(param)) {
            let dims = self.graph.shape_of(param)?.to_vec();
            // The dot product of every cell with a vector is a 1x1 convolution with one output channel.
            let dims = if source.op == Op::Cosine { vec![1, dims.iter().product(), 1, 1] } else { dims };
            self.add_external(param, &dims)?;
        }
        self.nodes.push(lowered);
        Ok(())
    }

    /// Adds a slice of `x`: ranges (start, end) along the axes that the tensor `axes` lists.
    fn slice(&mut self, name: &str, source: &Node, x: &str, axes: &str, ranges: &[(usize, usize)]) -> NodeProto {
        let [starts, ends] = ["starts", "ends"].map(|what| format!("{}.{what}", source.id));
        self.add(indices(&starts, &ranges.iter().map(|(start, _)| *start as i64).collect::<Vec<_>>()));
        self.add(indices(&ends, &ranges.iter().map(|(_, end)| *end as i64).collect::<Vec<_>>()));
        node("Slice", name, &[x, &starts, &ends, axes], vec![])
    }

    /// Adds `<e, v> / (|e| |v| + epsilon)`. The graph computes the vector's norm, so that only the vector needs to be replaced.
    fn cosine(&mut self, name: &str, source: &Node, inputs: &[&str]) -> Result<NodeProto, PassError> {
        let [embedding, vector] = inputs else {
            return Err(malformed(source));
        };
        self.add(indices("channels", &[1]));
        self.add(floats("epsilon", &[], &[COSINE_EPSILON]));
        let part = |what: &str| format!("{}.{what}", source.id);
        let [dot, norm, vector_norm, norms, sum] = ["dot", "norm", "vector_norm", "norms", "sum"].map(part);
        self.nodes.extend([
            node("Conv", &dot, &[embedding, vector], vec![integers("kernel_shape", [1; 2])]),
            node("ReduceL2", &norm, &[embedding, "channels"], vec![integer("keepdims", 1)]),
            node("ReduceL2", &vector_norm, &[vector, "channels"], vec![integer("keepdims", 1)]),
            node("Mul", &norms, &[&norm, &vector_norm], vec![]),
            node("Add", &sum, &[&norms, "epsilon"], vec![]),
        ]);
        Ok(node("Div", name, &[&dot, &sum], vec![]))
    }

    fn kernel(&self, source: &Node) -> Result<[usize; 2], PassError> {
        match source.params.first().map(|weight| self.graph.shape_of(weight)).transpose()? {
            Some([_, _, rows, columns]) => Ok([*rows, *columns]),
            _ => Err(malformed(source)),
        }
    }

    fn add_external(&mut self, param: &ParamId, dims: &[usize]) -> Result<(), PassError> {
        let span = self.layout.spans.get(param);
        let span = *span.ok_or_else(|| PassError::NoTensor { param: param.clone() })?;
        let name = &param.to_string();
        let (narrow, scale) = (format!("{name}.narrow"), format!("{name}.scale"));
        let (tensor, widen) = match self.layout.storage(param) {
            Storage::F32 => (external(name, dims, span, DataType::Float), None),
            Storage::F16 => {
                let widen = node("Cast", name, &[&narrow], vec![integer("to", DataType::Float as i64)]);
                (external(&narrow, dims, span, DataType::Float16), Some(widen))
            }
            Storage::Int8(scales) => {
                self.add(floats(&scale, &[scales.len()], scales));
                let widen = node("DequantizeLinear", name, &[&narrow, &scale], vec![integer("axis", 0)]);
                (external(&narrow, dims, span, DataType::Int8), Some(widen))
            }
        };
        self.nodes.extend(widen.filter(|_| !self.known.contains(&narrow)));
        self.add(tensor);
        Ok(())
    }

    fn add(&mut self, tensor: TensorProto) {
        if self.known.insert(tensor.name.clone()) {
            self.tensors.push(tensor);
        }
    }
}

fn malformed(node: &Node) -> PassError {
    PassError::Malformed { node: node.id.clone(), why: "it has other operands or parameters than its operation takes" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::bundle::Precision;

    use onemark_models::graph::{Conv, Port, Role};

    use super::*;
    use crate::module::Module;
    use crate::passes::testing::{FINEST, conv, node as node_id, of, random_module};

    /// One line per node, similar to the graph's text form; attributes by value.
    fn text(graph: &GraphProto) -> String {
        let line = |node: &NodeProto| {
            let attributes = node.attribute.iter().map(|attribute| match attribute.ints.as_slice() {
                [] if attribute.s.is_empty() => format!(" {}={}", attribute.name, attribute.i),
                [] => format!(" {}={}", attribute.name, String::from_utf8_lossy(&attribute.s)),
                ints => format!(" {}={ints:?}", attribute.name),
            });
            let attributes: String = attributes.collect();
            format!("{} = {}({}){attributes}\n", node.output[0], node.op_type, node.input.join(", "))
        };
        graph.node.iter().map(line).collect()
    }

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("head");
        let tap = graph.input(Port::Tap(FINEST), [1, 2, 4, 4]).unwrap();
        let a = graph.conv(node_id("a"), tap, Conv { dilation: 5, ..conv(2, (1, 3)) }).unwrap();
        let up = Op::Upsample { factor: 2, mode: CoordinateMode::Aligned };
        let up = graph.apply(node_id("up"), up, &[a]).unwrap();
        let down = graph.apply(node_id("down"), Op::MaxPool, &[up]).unwrap();
        let cosine = graph.cosine(node_id("cosine"), down, ParamId::vector(of(1), FINEST)).unwrap();
        let clamp = graph.apply(node_id("clamp"), Op::Clamp, &[cosine]).unwrap();
        let up = Op::Upsample { factor: 4, mode: CoordinateMode::HalfPixel };
        let up = graph.apply(node_id("map"), up, &[clamp]).unwrap();
        graph.output(Port::Score, up).unwrap();
        graph.output(Port::Embedding(FINEST), down).unwrap();
        graph.output(Port::Crossing(node_id("again")), down).unwrap();
        graph.output(Port::Crossing(node_id("a")), a).unwrap();
        graph.output(Port::Crossing(node_id("tap")), tap).unwrap();
        let module = random_module(vec![graph]);
        let lowered = |module: Module, precision| {
            lower(&module.heads[0], &Layout::new(module.clone(), precision).unwrap()).unwrap()
        };
        let steps = [(node_id("a").param(Role::Weight), vec![0.5, 0.25])].into();
        let narrow = lowered(Module { steps, ..module.clone() }, Precision::F16);
        let widened = "trunk.a.weight = DequantizeLinear(trunk.a.weight.narrow, trunk.a.weight.scale) axis=0\n\
             trunk.a.bias = Cast(trunk.a.bias.narrow) to=1\n";
        assert!(text(&narrow).starts_with(widened), "{}", text(&narrow));
        assert!(!text(&narrow).contains("Cast(template"), "template vectors stay f32");
        let lowered = lowered(module, Precision::F32);
        assert_eq!(
            text(&lowered),
            "\
trunk.a = Conv(tap1, trunk.a.weight, trunk.a.bias) dilations=[5, 5] kernel_shape=[1, 3] pads=[0, 5, 0, 5]
trunk.up = Resize(trunk.a, , scales.x2) coordinate_transformation_mode=align_corners mode=linear
embedding1 = MaxPool(trunk.up) kernel_shape=[2, 2] strides=[2, 2]
trunk.cosine.dot = Conv(embedding1, template.01.level1) kernel_shape=[1, 1]
trunk.cosine.norm = ReduceL2(embedding1, channels) keepdims=1
trunk.cosine.vector_norm = ReduceL2(template.01.level1, channels) keepdims=1
trunk.cosine.norms = Mul(trunk.cosine.norm, trunk.cosine.vector_norm)
trunk.cosine.sum = Add(trunk.cosine.norms, epsilon)
trunk.cosine = Div(trunk.cosine.dot, trunk.cosine.sum)
trunk.clamp = Clip(trunk.cosine, zero, one)
score = Resize(trunk.clamp, , scales.x4) coordinate_transformation_mode=half_pixel mode=linear
trunk.again = Identity(embedding1)
trunk.tap = Identity(tap1)
"
        );
        let place =
            |tensor: &TensorProto| tensor.external_data.iter().map(|e| e.value.clone()).collect::<Vec<_>>().join(" ");
        let outside: Vec<_> = lowered.initializer.iter().filter(|t| !t.external_data.is_empty()).collect();
        let outside: Vec<_> = outside.iter().map(|t| format!("{} {:?} {}", t.name, t.dims, place(t))).collect();
        assert_eq!(
            outside,
            [
                "trunk.a.weight [2, 2, 1, 3] weights.bin 0 48",
                "trunk.a.bias [2] weights.bin 64 8",
                "template.01.level1 [1, 2, 1, 1] weights.bin 128 8"
            ]
        );
    }
}
