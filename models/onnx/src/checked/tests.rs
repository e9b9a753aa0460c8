//! Graphs that break each of the rules.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use prost::Message as _;

use super::*;
use crate::builder::{external, file, floats, graph, integers, node, value};
use crate::external::ExternalError;
use crate::proto::{DataType, OperatorSetIdProto, Refused, StringStringEntryProto};

mod numbers;
mod operators;

const SHAPE: [usize; 4] = [1, 1, 2, 2];

/// The numbers 9 and 2 as bytes. The convolution below uses the second.
fn weights() -> Weights {
    Weights::new("weights.bin", [9.0_f32, 2.0].iter().flat_map(|weight| weight.to_le_bytes()).collect())
}

/// y = Conv(x, kernel).
fn convolution(kernel: TensorProto) -> Vec<u8> {
    let conv = node("Conv", "y", &["x", "kernel"], vec![integers("kernel_shape", [1, 1])]);
    file(
        graph("convolution", vec![conv], vec![kernel], vec![value("x", &SHAPE)], vec![value("y", &SHAPE)]),
        "a test",
        "1",
    )
}

fn kernel() -> TensorProto {
    floats("kernel", &[1, 1, 1, 1], &[2.0])
}

/// A kernel with these entries of external data.
fn outside(entries: &[(&str, &str)]) -> TensorProto {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto { key: (*key).into(), value: (*value).into() };
    let external_data = entries.iter().map(entry).collect();
    TensorProto { external_data, ..external("kernel", &[1, 1, 1, 1], DataType::Float, "", 0..0) }
}

/// The convolution after a change to it.
fn changed(change: impl FnOnce(&mut ModelProto)) -> Result<CheckedGraph, OnnxError> {
    let mut model = ModelProto::decode(convolution(kernel()).as_slice()).unwrap();
    change(&mut model);
    check("test.onnx", &model.encode_to_vec(), &weights())
}

/// The convolution with an additional attribute.
fn with_attribute(attribute: AttributeProto) -> OnnxError {
    changed(|model| main(model).node[0].attribute.push(attribute)).unwrap_err()
}

fn main(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

fn refused(kernel: TensorProto) -> ExternalError {
    match check("test.onnx", &convolution(kernel), &weights()) {
        Err(OnnxError::External { tensor, why }) if tensor == "kernel" => why,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn what_was_built_is_let_pass_unchanged() {
    let kernel = external("kernel", &[1, 1, 1, 1], DataType::Float, "weights.bin", 4..8);
    let bytes = convolution(kernel);
    let checked = check("test.onnx", &bytes, &weights()).unwrap();
    assert_eq!((checked.file(), checked.bytes()), ("test.onnx", bytes.as_slice()));
    assert_eq!(checked.external().collect::<Vec<_>>(), [("kernel", &2.0_f32.to_le_bytes()[..])]);
    assert_eq!(checked.weights().bytes(), weights().bytes());

    let inside = check("test.onnx", &convolution(self::kernel()), &weights()).unwrap();
    assert_eq!(inside.external().count(), 0);
}

#[test]
fn without_offset_and_length_data_are_the_whole_file() {
    let whole = TensorProto { dims: vec![2], ..outside(&[("location", "weights.bin")]) };
    let add = node("Add", "y", &["x", "kernel"], vec![]);
    let sum = graph("sum", vec![add], vec![whole], vec![value("x", &SHAPE)], vec![value("y", &SHAPE)]);
    let checked = check("test.onnx", &file(sum, "a test", "1"), &weights()).unwrap();
    assert_eq!(checked.external().next().unwrap().1.len(), 8);
    let unmarked = TensorProto { data_location: None, ..outside(&[("location", "weights.bin"), ("offset", "4")]) };
    let checked = check("test.onnx", &convolution(unmarked), &weights()).unwrap();
    assert_eq!(checked.external().next().unwrap().1, 2.0_f32.to_le_bytes());
    let mut model = ModelProto::decode(checked.bytes()).unwrap();
    assert_eq!(main(&mut model).initializer[0].data_location, Some(DataLocation::External as i32));
}

#[test]
fn no_other_file_is_let_pass() {
    let elsewhere =
        ["/etc/hostname", "../weights.bin", "./weights.bin", "weights.bin/../other", "", "*/_ORT_MEM_ADDR_/*"];
    for location in elsewhere {
        let why = refused(outside(&[("location", location), ("length", "4")]));
        assert!(why.to_string().contains("only weights.bin"), "{location}: {why}");
    }
    assert!(matches!(refused(outside(&[("length", "4")])), ExternalError::OtherFile { .. }));
    assert!(matches!(refused(outside(&[])), ExternalError::OtherFile { .. }));
}

#[test]
fn no_range_reaches_beyond_the_file() {
    let largest = usize::MAX.to_string();
    let beyond = [("8", "4"), ("0", "12"), (largest.as_str(), "4"), ("9", "0"), ("4", largest.as_str())];
    for (offset, length) in beyond {
        let why = refused(outside(&[("location", "weights.bin"), ("offset", offset), ("length", length)]));
        assert!(why.to_string().contains("beyond the 8 bytes"), "{offset} {length}: {why}");
    }
    assert!(matches!(refused(outside(&[("location", "weights.bin"), ("offset", "9")])), ExternalError::Beyond { .. }));
    for text in ["-4", "", "4.0", "99999999999999999999999"] {
        let why = refused(outside(&[("location", "weights.bin"), ("offset", text)]));
        assert!(matches!(why, ExternalError::NotANumber { key: "offset", .. }), "{text}: {why}");
    }
}

/// Parsers differ in which of two equal keys they use.
#[test]
fn external_data_are_said_once() {
    let twice = refused(outside(&[("location", "weights.bin"), ("location", "/etc/hostname")]));
    assert!(matches!(&twice, ExternalError::Key { key } if key == "location"), "{twice}");
    let unknown = refused(outside(&[("location", "weights.bin"), ("prepacked_0", "kernel|0;4;|")]));
    assert!(matches!(&unknown, ExternalError::Key { key } if key == "prepacked_0"), "{unknown}");
    let doubled = changed(|model| main(model).initializer.push(kernel())).unwrap_err();
    assert!(matches!(&doubled, OnnxError::Twice { tensor } if tensor == "kernel"), "{doubled}");
}

#[test]
fn nothing_hides_in_attributes() {
    let tensor = outside(&[("location", "weights.bin"), ("length", "4")]);
    let refused = with_attribute(AttributeProto { t: Some(tensor.clone()), ..AttributeProto::default() });
    assert!(matches!(refused, OnnxError::ExternalAttribute { .. }), "{refused}");
    let refused = with_attribute(AttributeProto { tensors: vec![tensor], ..AttributeProto::default() });
    assert!(matches!(refused, OnnxError::ExternalAttribute { .. }), "{refused}");
    let segment = TensorProto { segment: Some(Refused {}), ..kernel() };
    let refused = with_attribute(AttributeProto { t: Some(segment), ..AttributeProto::default() });
    assert!(matches!(refused, OnnxError::Segment { .. }), "{refused}");
    let refused = with_attribute(AttributeProto { g: Some(Refused {}), ..AttributeProto::default() });
    assert!(matches!(refused, OnnxError::InnerGraph { .. }), "{refused}");
    let refused = with_attribute(AttributeProto { graphs: vec![Refused {}], ..AttributeProto::default() });
    assert!(matches!(refused, OnnxError::InnerGraph { .. }), "{refused}");
    let refused = with_attribute(AttributeProto { sparse_tensor: Some(Refused {}), ..AttributeProto::default() });
    assert!(matches!(refused, OnnxError::Sparse { .. }), "{refused}");
    let refused = with_attribute(AttributeProto { sparse_tensors: vec![Refused {}], ..AttributeProto::default() });
    assert!(matches!(refused, OnnxError::Sparse { .. }), "{refused}");
    let refused = with_attribute(AttributeProto { ref_attr_name: "axis".into(), ..AttributeProto::default() });
    assert!(matches!(refused, OnnxError::Functions), "{refused}");
}

#[test]
fn nothing_hides_in_the_graph_or_beside_it() {
    let refused = changed(|model| model.functions.push(Refused {})).unwrap_err();
    assert!(matches!(refused, OnnxError::Functions), "{refused}");
    let refused = changed(|model| model.training_info.push(Refused {})).unwrap_err();
    assert!(matches!(refused, OnnxError::TrainingInfo), "{refused}");
    let refused = changed(|model| main(model).sparse_initializer.push(Refused {})).unwrap_err();
    assert!(matches!(refused, OnnxError::Sparse { .. }), "{refused}");
    let refused = changed(|model| main(model).initializer[0].segment = Some(Refused {})).unwrap_err();
    assert!(matches!(refused, OnnxError::Segment { .. }), "{refused}");
    let refused = changed(|model| main(model).node[0].domain = "com.microsoft".into()).unwrap_err();
    assert!(matches!(&refused, OnnxError::Operator { domain, .. } if domain == "com.microsoft"), "{refused}");
    let refused = changed(|model| main(model).input[0].r#type = None).unwrap_err();
    assert!(matches!(&refused, OnnxError::NotATensor { value } if value == "x"), "{refused}");
    let refused = changed(|model| model.graph = None).unwrap_err();
    assert!(matches!(refused, OnnxError::NoGraph), "{refused}");
    assert!(changed(|model| main(model).node[0].domain = "ai.onnx".into()).is_ok());
}

/// A field that a bundle must not use is recognised whatever its content is.
#[test]
fn what_is_refused_need_not_be_understood() {
    // Field 25, functions: a message with a name (field 1).
    let function = [0xCA, 0x01, 3, 0x0A, 1, b'f'];
    let bytes = [convolution(kernel()).as_slice(), &function].concat();
    assert!(matches!(check("test.onnx", &bytes, &weights()), Err(OnnxError::Functions)));
}

#[test]
fn only_the_versions_of_format_1_are_let_pass() {
    let refused = changed(|model| model.opset_import[0].version = 9999).unwrap_err().to_string();
    assert_eq!(refused, "it has operator set 9999, but format 1 of bundles has 18; export the bundle again");
    let own = OperatorSetIdProto { domain: String::new(), version: 18 };
    let refused = changed(|model| model.opset_import.push(own)).unwrap_err().to_string();
    assert!(refused.contains("operator set [18, 18]"), "{refused}");
    let refused = changed(|model| model.opset_import.clear()).unwrap_err();
    assert!(matches!(refused, OnnxError::Version { what: "operator set", .. }), "{refused}");
    let refused = changed(|model| model.opset_import[0].domain = "com.microsoft".into()).unwrap_err();
    assert!(matches!(refused, OnnxError::Version { what: "operator set", .. }), "{refused}");
    let refused = changed(|model| model.ir_version = 99).unwrap_err();
    assert!(matches!(refused, OnnxError::Version { what: "IR version", .. }), "{refused}");
}

/// Messages repeat names.
#[test]
fn names_can_be_printed() {
    let hidden = ["\u{1b}[2J", "a\nb", "a\u{202e}b", "a\u{200b}b", "é"].map(str::to_owned);
    for name in hidden.into_iter().chain(["x".repeat(LONGEST_NAME + 1)]) {
        let refused = changed(|model| main(model).node[0].name = name.clone()).unwrap_err();
        assert!(matches!(refused, OnnxError::Name { .. }), "{name:?}: {refused}");
        assert!(refused.to_string().contains("hidden character"), "{refused}");
        let refused = changed(|model| main(model).initializer[0].name = name).unwrap_err();
        assert!(matches!(refused, OnnxError::Name { .. }), "{refused}");
    }
    let why = self::refused(outside(&[("location", "\u{1b}[2J")])).to_string();
    assert!(why.contains("\\u{1b}[2J"), "{why}");
}

/// What a file states at length is quoted in short.
#[test]
fn messages_are_short() {
    let long = "\u{202e}x".repeat(100_000);
    let external = [
        self::refused(outside(&[("location", &long)])),
        self::refused(outside(&[("location", "weights.bin"), ("offset", &long)])),
        self::refused(outside(&[(&long, "weights.bin")])),
    ];
    let own = OperatorSetIdProto { domain: String::new(), version: 18 };
    let sets = changed(|model| model.opset_import = vec![own; 100_000]).unwrap_err();
    let dims = TensorProto { dims: vec![1; 100_000], ..kernel() };
    let dims = check("test.onnx", &convolution(dims), &weights()).unwrap_err();
    let [sets, dims] = [sets, dims].map(|error| error.to_string());
    for message in external.iter().map(ToString::to_string).chain([sets, dims]) {
        assert!(message.len() < 1000 && !message.contains('\u{202e}'), "{} bytes", message.len());
    }
}

#[test]
fn a_large_file_is_not_read() {
    let refused = check("test.onnx", &vec![0; LARGEST_GRAPH + 1], &weights()).unwrap_err();
    assert!(matches!(refused, OnnxError::TooLarge { .. }), "{refused}");
}

#[test]
fn bytes_that_are_no_graph_are_an_error() {
    for bytes in [&b"not a graph"[..], &[0xFF; 64], &convolution(kernel())[..40]] {
        assert!(matches!(check("test.onnx", bytes, &weights()), Err(OnnxError::NotOnnx { .. })));
    }
    assert!(matches!(check("test.onnx", b"", &weights()), Err(OnnxError::NoGraph)));
}
