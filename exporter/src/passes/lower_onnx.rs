//! `lower-onnx`: each graph becomes an ONNX file of standard operators (opset 18) that ONNX Runtime and tract both run.
//! Numbers stay outside, in `weights.bin`; only what fixes a shape or a mode is inside.
//!
//! In the plan's graphs, which serve all landmarks, a landmark's own parameters are inputs, and names have no number.
//!
//! One op, one arm of [`Lowering::node`]. Every ONNX value has the name of the node that makes it, or of the output it is.

use std::collections::{BTreeMap, BTreeSet};

use onemark_models::bundle::{Span, WEIGHTS};
use onemark_models::graph::{COSINE_EPSILON, Corners, Graph, Node, Op, Value};
use onemark_models::network::{is_own, placeholder};
use onemark_onnx::builder::{self, floats, indices, integer, integers, node, string, value, zero_point};
use onemark_onnx::proto::{DataType, GraphProto, NodeProto, TensorProto};

use super::{Pass, PassError, Property};
use crate::module::{Module, Storage, Weights, own_inputs};

pub(super) struct LowerOnnx;

impl Pass for LowerOnnx {
    fn name(&self) -> &'static str {
        "lower-onnx"
    }

    fn requires(&self) -> &'static [Property] {
        &[Property::NoBatchNorm, Property::TrunkAndHeads, Property::WeightsLaidOut]
    }

    fn ensures(&self) -> &'static [Property] {
        &[Property::Lowered]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        let weights = module.weights.take().unwrap_or_default();
        for graph in module.plan.iter_mut().flat_map(|plan| [&mut plan.coarse, &mut plan.window]) {
            *graph = graph.renamed(|name| placeholder(name, 1));
        }
        let ours = std::iter::once(&module.trunk).chain(&module.heads).map(|graph| (graph, false));
        let for_all = module.plan.iter().flat_map(|plan| [(&plan.coarse, true), (&plan.window, true)]);
        let files = ours
            .chain(for_all)
            .map(|(graph, own)| Ok(file(lower(graph, &module, &weights, own)?)))
            .collect::<Result<_, PassError>>()?;
        module.onnx = files;
        module.weights = Some(weights);
        Ok(module)
    }
}

/// `for_all`: a landmark's own parameters are inputs.
fn lower(graph: &Graph, module: &Module, weights: &Weights, for_all: bool) -> Result<GraphProto, PassError> {
    let mut names: BTreeMap<Value, &str> = graph.nodes().map(|(value, node)| (value, node.name.as_str())).collect();
    // A value can have one name: the first output that it is. Further outputs, and inputs handed through, are copies.
    let mut named: BTreeSet<Value> = graph.inputs().map(|(value, _)| value).collect();
    let mut copies = Vec::new();
    for (output, made) in graph.outputs() {
        if named.insert(*made) {
            names.insert(*made, output);
        } else {
            copies.push((output, *made));
        }
    }
    let own = if for_all { own_inputs(graph) } else { vec![] };
    let mut lowering =
        Lowering { graph, module, weights, names, for_all, nodes: vec![], tensors: vec![], known: BTreeSet::new() };
    for (made, node) in graph.nodes() {
        lowering.node(lowering.names[&made].to_owned().as_str(), node)?;
    }
    for (output, made) in copies {
        lowering.nodes.push(node("Identity", output, &[lowering.names[&made]], vec![]));
    }
    let inputs = graph.inputs().map(|(_, node)| value(&node.name, &node.shape));
    let own = own.iter().map(|(name, shape)| value(&placeholder(name, 1), shape));
    let outputs = graph.outputs().iter().map(|(name, made)| value(name, &graph.node(*made).shape));
    let Lowering { nodes, tensors, .. } = lowering;
    Ok(builder::graph(graph.name(), nodes, tensors, inputs.chain(own).collect(), outputs.collect()))
}

fn file(graph: GraphProto) -> Vec<u8> {
    builder::file(graph, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

/// A tensor whose numbers are in `weights.bin`.
fn external(name: &str, dims: &[usize], span: Span, data_type: DataType) -> TensorProto {
    builder::external(name, dims, data_type, WEIGHTS, span.offset..span.offset + span.length)
}

struct Lowering<'a> {
    graph: &'a Graph,
    module: &'a Module,
    weights: &'a Weights,
    names: BTreeMap<Value, &'a str>,
    for_all: bool,
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
    /// Names of `tensors`.
    known: BTreeSet<String>,
}

impl Lowering<'_> {
    /// Adds what makes the value `name` as `source` does.
    fn node(&mut self, name: &str, source: &Node) -> Result<(), PassError> {
        let params: Vec<String> = source.params.iter().map(|param| self.called(param)).collect();
        let operands = source.inputs.iter().map(|input| self.names[input]);
        let inputs: Vec<&str> = operands.chain(params.iter().map(String::as_str)).collect();
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
                    // ONNX wants a vector as bias, and all inputs have four axes.
                    [x, weight, bias] if self.is_given(&source.params[1]) => {
                        let unbiased = format!("{}.unbiased", source.name);
                        self.nodes.push(node("Conv", &unbiased, &[x, weight], attributes));
                        node("Add", name, &[&unbiased, bias], vec![])
                    }
                    inputs => node("Conv", name, inputs, attributes),
                }
            }
            Op::BatchNorm => {
                let why = format!("graph {}: {} stands alone", self.graph.name(), source.name);
                return Err(PassError::Property { property: Property::NoBatchNorm, when: "while lowering", why });
            }
            Op::Relu => node("Relu", name, &inputs, vec![]),
            Op::MaxPool => {
                let attributes = vec![integers("kernel_shape", [2; 2]), integers("strides", [2; 2])];
                node("MaxPool", name, &inputs, attributes)
            }
            Op::Upsample { factor, corners } => {
                let mode = match corners {
                    Corners::Aligned => "align_corners",
                    Corners::HalfPixel => "half_pixel",
                };
                let scales = format!("scales.x{factor}");
                self.add(floats(&scales, &[4], &[1.0, 1.0, factor as f32, factor as f32]));
                let attributes = vec![string("coordinate_transformation_mode", mode), string("mode", "linear")];
                // The empty name leaves out the region of interest.
                node("Resize", name, &[inputs[0], "", &scales], attributes)
            }
            Op::Interpolate => {
                let [x, rows, columns] = inputs.as_slice() else {
                    return Err(PassError::NoTensor { name: source.name.clone() });
                };
                let half = format!("{}.rows", source.name);
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
            Op::Channels { first, count } => {
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
            Op::Quantise => {
                let [x, scale] = inputs.as_slice() else {
                    return Err(PassError::NoTensor { name: source.name.clone() });
                };
                let levels = format!("{}.levels", source.name);
                self.add(zero_point("level.zero"));
                self.nodes.push(node("QuantizeLinear", &levels, &[x, scale, "level.zero"], vec![]));
                node("DequantizeLinear", name, &[&levels, scale, "level.zero"], vec![])
            }
            Op::Cosine => self.cosine(name, source, &inputs)?,
        };
        for param in &source.params {
            if self.is_given(param) {
                continue;
            }
            let dims = self.graph.params().get(param).cloned().unwrap_or_default();
            // A product with one vector is a 1x1 convolution with one output channel.
            let dims = if source.op == Op::Cosine { vec![1, dims.iter().product(), 1, 1] } else { dims };
            self.add_external(param, &dims)?;
        }
        self.nodes.push(lowered);
        Ok(())
    }

    /// Whether a parameter is an input.
    fn is_given(&self, param: &str) -> bool {
        self.for_all && is_own(param)
    }

    /// What a parameter is called in the file.
    fn called(&self, param: &str) -> String {
        if self.for_all { placeholder(param, 1) } else { param.to_owned() }
    }

    /// These ranges of `x`, (start, end), along the axes that the tensor `axes` lists.
    fn slice(&mut self, name: &str, source: &Node, x: &str, axes: &str, ranges: &[(usize, usize)]) -> NodeProto {
        let [starts, ends] = ["starts", "ends"].map(|what| format!("{}.{what}", source.name));
        self.add(indices(&starts, &ranges.iter().map(|(start, _)| *start as i64).collect::<Vec<_>>()));
        self.add(indices(&ends, &ranges.iter().map(|(_, end)| *end as i64).collect::<Vec<_>>()));
        node("Slice", name, &[x, &starts, &ends, axes], vec![])
    }

    /// `<e, v> / (|e| |v| + epsilon)`. The vector's norm is taken in the graph, so that the vector alone can be replaced.
    fn cosine(&mut self, name: &str, source: &Node, inputs: &[&str]) -> Result<NodeProto, PassError> {
        let [embedding, vector] = inputs else {
            return Err(PassError::NoTensor { name: source.name.clone() });
        };
        self.add(indices("channels", &[1]));
        self.add(floats("epsilon", &[], &[COSINE_EPSILON]));
        let part = |what: &str| format!("{}.{what}", source.name);
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
        let weight = source.params.first().and_then(|name| self.graph.params().get(name));
        match weight.map(Vec::as_slice) {
            Some([_, _, rows, columns]) => Ok([*rows, *columns]),
            _ => Err(PassError::NoTensor { name: source.name.clone() }),
        }
    }

    fn add_external(&mut self, name: &str, dims: &[usize]) -> Result<(), PassError> {
        let span = *self.weights.spans.get(name).ok_or_else(|| PassError::NoTensor { name: name.into() })?;
        let (narrow, scale) = (format!("{name}.narrow"), format!("{name}.scale"));
        let (tensor, widen) = match self.module.storage(name) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::bundle::Precision;

    use super::super::bake_template::BakeTemplate;
    use super::super::testing::random_module;
    use super::super::tie_weights::TieWeights;
    use super::*;

    /// One line a node, as the graph's own text form; attributes by value.
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
        let tap = graph.input("tap", [1, 2, 4, 4]).unwrap();
        let a = graph.conv("a", tap, 2, (1, 3), 5, true).unwrap();
        let up = Op::Upsample { factor: 2, corners: Corners::Aligned };
        let up = graph.apply("up", up, &[a]).unwrap();
        let down = graph.apply("down", Op::MaxPool, &[up]).unwrap();
        let cosine = graph.cosine("cosine", down, "template.01.level1").unwrap();
        let clamp = graph.apply("clamp", Op::Clamp, &[cosine]).unwrap();
        let up = Op::Upsample { factor: 4, corners: Corners::HalfPixel };
        let up = graph.apply("map", up, &[clamp]).unwrap();
        graph.output("score", up).unwrap();
        graph.output("embedding1", down).unwrap();
        graph.output("again", down).unwrap();
        graph.output("a", a).unwrap();
        graph.output("tap again", tap).unwrap();
        let module = TieWeights.run(BakeTemplate.run(random_module(vec![graph])).unwrap()).unwrap();
        let mut module = module;
        let weights = module.weights.take().unwrap();
        let lowered = |module: &Module| lower(&module.heads[0], module, &weights, false).unwrap();
        let narrow = lowered(&Module {
            precision: Precision::F16,
            int8: [("a.weight".to_owned(), vec![0.5, 0.25])].into(),
            ..module.clone()
        });
        let widened =
            "a.weight = DequantizeLinear(a.weight.narrow, a.weight.scale) axis=0\na.bias = Cast(a.bias.narrow) to=1\n";
        assert!(text(&narrow).starts_with(widened), "{}", text(&narrow));
        assert!(!text(&narrow).contains("Cast(template"), "what is compared with stays f32");
        let lowered = lowered(&module);
        assert_eq!(
            text(&lowered),
            "\
a = Conv(tap, a.weight, a.bias) dilations=[5, 5] kernel_shape=[1, 3] pads=[0, 5, 0, 5]
up = Resize(a, , scales.x2) coordinate_transformation_mode=align_corners mode=linear
embedding1 = MaxPool(up) kernel_shape=[2, 2] strides=[2, 2]
cosine.dot = Conv(embedding1, template.01.level1) kernel_shape=[1, 1]
cosine.norm = ReduceL2(embedding1, channels) keepdims=1
cosine.vector_norm = ReduceL2(template.01.level1, channels) keepdims=1
cosine.norms = Mul(cosine.norm, cosine.vector_norm)
cosine.sum = Add(cosine.norms, epsilon)
cosine = Div(cosine.dot, cosine.sum)
clamp = Clip(cosine, zero, one)
score = Resize(clamp, , scales.x4) coordinate_transformation_mode=half_pixel mode=linear
again = Identity(embedding1)
tap again = Identity(tap)
"
        );
        let place =
            |tensor: &TensorProto| tensor.external_data.iter().map(|e| e.value.clone()).collect::<Vec<_>>().join(" ");
        let outside: Vec<_> = lowered.initializer.iter().filter(|t| !t.external_data.is_empty()).collect();
        let outside: Vec<_> = outside.iter().map(|t| format!("{} {:?} {}", t.name, t.dims, place(t))).collect();
        assert_eq!(
            outside,
            [
                "a.weight [2, 2, 1, 3] weights.bin 64 48",
                "a.bias [2] weights.bin 0 8",
                "template.01.level1 [1, 2, 1, 1] weights.bin 128 8"
            ]
        );
    }
}
