//! Operators, attributes and shapes that format 1 does not have.

use super::*;
use crate::builder::{indices, integer, string, zero_point};
use crate::proto::AttributeType;

/// A graph of one node, from `x` with this shape to `y` with that one.
fn one(made: NodeProto, constants: Vec<TensorProto>, x: &[usize], y: &[usize]) -> Result<CheckedGraph, OnnxError> {
    let graph = graph("one", vec![made], constants, vec![value("x", x)], vec![value("y", y)]);
    check("test.onnx", &file(graph, "a test", "1"), &weights())
}

/// Why a graph of one node is refused.
fn why(made: NodeProto, constants: Vec<TensorProto>, x: &[usize], y: &[usize]) -> String {
    one(made, constants, x, y).unwrap_err().to_string()
}

fn conv(attributes: Vec<AttributeProto>) -> NodeProto {
    node("Conv", "y", &["x", "w"], attributes)
}

fn threes() -> Vec<TensorProto> {
    vec![floats("w", &[2, 1, 3, 3], &[0.5; 18])]
}

#[test]
fn a_kernel_is_that_of_its_weights() {
    let (x, y) = ([1, 1, 8, 8], [1, 2, 8, 8]);
    let pads = || integers("pads", [1; 4]);
    assert!(one(conv(vec![pads(), integers("kernel_shape", [3, 3])]), threes(), &x, &y).is_ok());
    let wide = why(conv(vec![pads(), integers("kernel_shape", [3, 1000])]), threes(), &x, &y);
    assert_eq!(wide, "node y: its `kernel_shape` is [3, 1000], but its weights are 3x3");
    let negative = AttributeProto { ints: vec![3, -3], ..integers("kernel_shape", [3, 3]) };
    for (attribute, says) in [
        (negative, "`kernel_shape` must be 2 numbers"),
        (integers("kernel_shape", [3]), "`kernel_shape` must be 2 numbers"),
        (integers("kernel_shape", [3; 100_000]), "from 1 to 4096, not [3, 3, 3, 3, 3, 3, 3, 3] and 99992 more"),
        (integers("strides", [0, 1]), "`strides` must be 2 numbers from 1"),
        (integers("dilations", [1 << 40, 1]), "`dilations` must be 2 numbers from 1 to 4096"),
        (integers("dilations", [100, 1]), "its kernel reaches over 201 cells of 10"),
        (integer("group", 1), "attribute `group` is not one of format 1"),
        (string("auto_pad", "SAME_UPPER"), "attribute `auto_pad` is not one of format 1"),
        (pads(), "attribute `pads` is not one of format 1, or is there twice"),
        (AttributeProto { r#type: AttributeType::Floats as i32, ..integers("strides", [1, 1]) }, "another type"),
    ] {
        let why = why(conv(vec![pads(), attribute]), threes(), &x, &y);
        assert!(why.contains(says), "{why}");
    }
}

#[test]
fn shapes_fit_together() {
    let stated = why(conv(vec![]), threes(), &[1, 1, 8, 8], &[1, 2, 8, 8]);
    assert_eq!(stated, "value y: its shape is stated as [1, 2, 8, 8], but its node makes [1, 2, 6, 6]");
    let channels = why(conv(vec![]), threes(), &[1, 3, 8, 8], &[1, 2, 6, 6]);
    assert!(channels.contains("for 1 channels, but its input has 3"), "{channels}");
    let bias = vec![threes().remove(0), floats("b", &[3], &[0.0; 3])];
    let bias = why(node("Conv", "y", &["x", "w", "b"], vec![]), bias, &[1, 1, 8, 8], &[1, 2, 6, 6]);
    assert!(bias.contains("bias must have 2 numbers"), "{bias}");
    let added = why(node("Add", "y", &["x", "w"], vec![]), threes(), &[1, 1, 8, 8], &[1, 1, 8, 8]);
    assert!(added.contains("do not fit together"), "{added}");
    for shape in [&[1, 1 << 20, 1 << 20, 1][..], &[1; 9]] {
        let huge = why(node("Relu", "y", &["x"], vec![]), vec![], shape, shape);
        assert!(huge.contains("value x: its shape must be stated in numbers"), "{huge}");
    }
    let scales = |by: f32| vec![floats("s", &[4], &[1.0, 1.0, by, by])];
    let modes = || vec![string("coordinate_transformation_mode", "half_pixel"), string("mode", "linear")];
    let resize = || node("Resize", "y", &["x", "", "s"], modes());
    assert!(one(resize(), scales(2.0), &SHAPE, &[1, 1, 4, 4]).is_ok());
    let large = why(resize(), scales(64.0), &[1, 256, 128, 128], &[1, 256, 8192, 8192]);
    assert!(large.contains("too large"), "{large}");
    for by in [0.5, 1.5, 1e9, -2.0] {
        assert!(why(resize(), scales(by), &SHAPE, &SHAPE).contains("its scales must be"), "{by}");
    }
}

#[test]
fn only_operators_of_format_1_are_let_pass() {
    for op in ["Loop", "If", "Constant", "AveragePool", "LSTM", "relu", ""] {
        let why = why(node(op, "y", &["x"], vec![]), vec![], &SHAPE, &SHAPE);
        assert_eq!(why, format!("node y: the operator {op} is not one of format 1"));
    }
    let few = why(node("Conv", "y", &["x"], vec![]), vec![], &SHAPE, &SHAPE);
    assert!(few.contains("it has 1 inputs; it must have 2 to 3"), "{few}");
    let many = why(node("Relu", "y", &["x", "x"], vec![]), vec![], &SHAPE, &SHAPE);
    assert!(many.contains("it has 2 inputs"), "{many}");
}

#[test]
fn what_says_a_shape_is_a_constant_in_order() {
    let list = |name: &str, values: &[i64]| indices(name, values);
    let slice = |start: i64, end: i64, axis: i64| {
        let constants = vec![list("s", &[start]), list("e", &[end]), list("a", &[axis])];
        one(node("Slice", "y", &["x", "s", "e", "a"], vec![]), constants, &[1, 4, 2, 2], &[1, 2, 2, 2])
    };
    assert!(slice(1, 3, 1).is_ok());
    for (start, end, axis) in [(3, 5, 1), (3, 1, 1), (-3, -1, 1), (0, 2, 9), (0, i64::MAX, 1)] {
        assert!(matches!(slice(start, end, axis), Err(OnnxError::Node { .. })), "{start} {end} {axis}");
    }
    let clip = |low: f32, high: f32| {
        let constants = vec![floats("l", &[], &[low]), floats("h", &[], &[high])];
        one(node("Clip", "y", &["x", "l", "h"], vec![]), constants, &SHAPE, &SHAPE)
    };
    assert!(clip(0.0, 1.0).is_ok() && clip(1.0, 0.0).is_err());
    let long = vec![floats("l", &[70_000], &[0.0; 70_000]), floats("h", &[], &[1.0])];
    let long = why(node("Clip", "y", &["x", "l", "h"], vec![]), long, &SHAPE, &SHAPE);
    assert!(long.contains("an input has 70000 numbers; at most 65536 are read"), "{long}");
    let unknown = why(node("Clip", "y", &["x", "x", "x"], vec![]), vec![], &SHAPE, &SHAPE);
    assert!(unknown.contains("must be a constant"), "{unknown}");
}

#[test]
fn steps_are_above_zero() {
    let quantised = |step: f32| {
        let nodes = vec![
            node("QuantizeLinear", "levels", &["x", "step", "zero"], vec![]),
            node("DequantizeLinear", "y", &["levels", "step", "zero"], vec![]),
        ];
        let constants = vec![floats("step", &[], &[step]), zero_point("zero")];
        let graph = graph("quantised", nodes, constants, vec![value("x", &SHAPE)], vec![value("y", &SHAPE)]);
        check("test.onnx", &file(graph, "a test", "1"), &weights())
    };
    assert!(quantised(0.01).is_ok());
    for step in [0.0, -0.01, f32::NAN, f32::INFINITY] {
        assert!(quantised(step).is_err(), "{step}");
    }
}

#[test]
fn every_value_is_made_once_before_it_is_used() {
    let nodes = |nodes: Vec<NodeProto>| {
        let graph = graph("nodes", nodes, vec![], vec![value("x", &SHAPE)], vec![value("y", &SHAPE)]);
        check("test.onnx", &file(graph, "a test", "1"), &weights())
    };
    let relu = |to: &str, from: &str| node("Relu", to, &[from], vec![]);
    assert!(nodes(vec![relu("a", "x"), relu("y", "a")]).is_ok());
    let early = nodes(vec![relu("y", "a"), relu("a", "x")]).unwrap_err().to_string();
    assert_eq!(early, "node y: its input a is not made before it");
    for twice in [vec![relu("y", "x"), relu("y", "x")], vec![relu("x", "x"), relu("y", "x")]] {
        assert!(matches!(nodes(twice), Err(OnnxError::Twice { .. })));
    }
    let none = nodes(vec![]).unwrap_err().to_string();
    assert_eq!(none, "value y: no node makes it");
    let two = NodeProto { output: vec!["y".into(), "z".into()], ..relu("y", "x") };
    assert!(nodes(vec![two]).unwrap_err().to_string().contains("must have one output"));
}

/// Billions of multiplications on a grid that is not large, or as much work without one.
#[test]
fn a_graph_ends_in_some_minutes() {
    let chain = |count: usize, side: usize, made: &dyn Fn(&str, &str) -> NodeProto| {
        let name = |place: usize| if place == 0 { "x".into() } else { format!("v{place}") };
        let nodes = (0..count).map(|place| made(&name(place), &name(place + 1))).collect();
        let over = vec![indices("channels", &[1])];
        let graph = graph("long", nodes, over, vec![value("x", &[1, 1, side, side])], vec![]);
        check("test.onnx", &file(graph, "a test", "1"), &weights())
    };
    let relu = |from: &str, to: &str| node("Relu", to, &[from], vec![]);
    let attempts = [
        chain(2000, 2048, &|from, to| node("MatMul", to, &[from, from], vec![])),
        chain(3000, 16_384, &relu),
        chain(3000, 16_384, &|_, to| node("Add", to, &["x", "x"], vec![])),
        chain(3000, 16_384, &|_, to| node("ReduceL2", to, &["x", "channels"], vec![])),
        chain(1, 8192, &|from, to| node("MaxPool", to, &[from], vec![integers("kernel_shape", [4096; 2])])),
    ];
    for (index, attempt) in attempts.into_iter().enumerate() {
        assert!(matches!(attempt, Err(OnnxError::TooMuch { .. })), "{index}");
    }
    chain(1000, 2048, &relu).unwrap();
}

/// Many channels become one: the time is that of reading them.
#[test]
fn what_is_read_counts_too() {
    let reduce = |place: usize| node("ReduceL2", &format!("v{place}"), &["x", "channels"], vec![]);
    let wide = vec![value("x", &[1, 1 << 28, 1, 1])];
    let graph = graph("wide", (0..3000).map(reduce).collect(), vec![indices("channels", &[1])], wide, vec![]);
    let refused = check("test.onnx", &file(graph, "a test", "1"), &weights()).unwrap_err();
    assert!(matches!(refused, OnnxError::TooMuch { .. }), "{refused}");
}

#[test]
fn a_graph_has_not_too_many_inputs_and_outputs() {
    let counted = |inputs: usize, outputs: usize| {
        let names = |what: &str, count: usize| (0..count).map(|i| format!("{what}{i}")).collect::<Vec<String>>();
        let (inputs, outputs) = (names("x", inputs), names("y", outputs));
        let nodes = outputs.iter().map(|output| node("Relu", output, &["x0"], vec![])).collect();
        let values = |names: &[String]| names.iter().map(|name| value(name, &SHAPE)).collect();
        let graph = graph("many", nodes, vec![], values(&inputs), values(&outputs));
        check("test.onnx", &file(graph, "a test", "1"), &weights())
    };
    counted(4096, 4096).unwrap();
    let refused = counted(4097, 1).unwrap_err().to_string();
    assert_eq!(refused, "it has 4097 inputs; a graph of a bundle has at most 4096");
    let refused = counted(1, 4097).unwrap_err().to_string();
    assert_eq!(refused, "it has 4097 outputs; a graph of a bundle has at most 4096");
}

/// A reader that counts outputs takes the second for another one.
#[test]
fn an_output_is_named_once() {
    let relu = node("Relu", "y", &["x"], vec![]);
    let graph = graph("twice", vec![relu], vec![], vec![value("x", &SHAPE)], vec![value("y", &SHAPE); 2]);
    let refused = check("test.onnx", &file(graph, "a test", "1"), &weights()).unwrap_err();
    assert!(matches!(&refused, OnnxError::Twice { tensor } if tensor == "y"), "{refused}");
}
