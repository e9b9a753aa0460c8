//! What every backend must do, and what none may. tract is always there; ONNX Runtime where `cargo xtask setup` put it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use ndarray::Array4;
use prost::Message as _;
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{AttributeProto, FunctionProto, GraphProto, ModelProto, StringStringEntryProto, TensorProto};

use super::*;

fn backends() -> Vec<Box<dyn Backend>> {
    let names = if library().is_ok() { &["tract", "onnxruntime"][..] } else { &["tract"] };
    names.iter().map(|name| super::open(name).unwrap()).collect()
}

/// A kernel whose weight is elsewhere.
fn external(entries: &[(&str, &str)]) -> TensorProto {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto { key: (*key).into(), value: (*value).into() };
    TensorProto {
        data_location: Some(DataLocation::External as i32),
        external_data: entries.iter().map(entry).collect(),
        ..probe::kernel()
    }
}

/// Opens a graph beside the weights [9, 2].
fn open(backend: &dyn Backend, model: &ModelProto) -> Result<Box<dyn Session>, RuntimeError> {
    let weights: Arc<[u8]> = [9.0_f32, 2.0].iter().flat_map(|weight| weight.to_le_bytes()).collect();
    backend.open(GraphBytes { file: "test.onnx", onnx: &model.encode_to_vec(), weights: &weights }, 1)
}

#[track_caller]
fn refused(model: &ModelProto, expected: &str) {
    for backend in backends() {
        let message = open(backend.as_ref(), model).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains("test.onnx") && message.contains(expected), "{}: {message}", backend.name());
    }
}

#[test]
fn weights_are_read_from_memory() {
    let kernel = external(&[("location", "weights.bin"), ("offset", "4"), ("length", "4")]);
    let input = Array4::from_shape_fn(probe::SHAPE, |(.., y, x)| (2 * y + x) as f32);
    for backend in backends() {
        let session = open(backend.as_ref(), &probe::convolution(kernel.clone())).unwrap();
        let outputs = session.run(&[("x", &input)]).unwrap();
        assert_eq!(outputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["y"], "{}", backend.name());
        assert_eq!(outputs[0].1.array().unwrap(), &input * 2.0, "{}", backend.name());
    }
}

/// What one graph leaves is another's input, without a way through the host; so is what was kept there before.
#[test]
fn tensors_go_from_graph_to_graph() {
    let two = TensorProto { raw_data: 2.0_f32.to_le_bytes().into(), ..probe::kernel() };
    let input = Array4::from_shape_fn(probe::SHAPE, |(.., y, x)| (2 * y + x) as f32);
    for backend in backends() {
        let session = open(backend.as_ref(), &probe::convolution(two.clone())).unwrap();
        let kept = backend.keep(input.clone()).unwrap();
        for _ in 0..2 {
            let once = session.run(&[("x", kept.as_ref())]).unwrap();
            let twice = session.run(&[("x", once[0].1.as_ref())]).unwrap();
            assert_eq!(twice[0].1.array().unwrap(), &input * 4.0, "{}", backend.name());
            assert_eq!(once[0].1.array().unwrap(), &input * 2.0, "{}", backend.name());
        }
        assert_eq!(kept.array().unwrap(), input, "{}", backend.name());
    }
}

#[test]
fn no_other_place_is_read() {
    let elsewhere =
        ["/etc/hostname", "../weights.bin", "./weights.bin", "weights.bin/../other", "", "*/_ORT_MEM_ADDR_/*"];
    for location in elsewhere {
        refused(&probe::convolution(external(&[("location", location), ("length", "4")])), "only weights.bin");
    }
    let beyond = [("offset", "8"), ("length", "12"), ("offset", "18446744073709551615")];
    for beyond in beyond {
        let kernel = external(&[("location", "weights.bin"), ("length", "4"), beyond]);
        let kernel = if beyond.0 == "length" { external(&[("location", "weights.bin"), beyond]) } else { kernel };
        refused(&probe::convolution(kernel), "beyond the 8 bytes");
    }
    refused(&probe::convolution(external(&[("location", "weights.bin"), ("offset", "-4")])), "no number");
}

#[test]
fn nothing_hides_in_a_corner_of_the_graph() {
    let two = || TensorProto { raw_data: 2.0_f32.to_le_bytes().into(), ..probe::kernel() };
    let with_attribute = |attribute: AttributeProto| {
        let mut model = probe::convolution(two());
        model.graph.as_mut().unwrap().node[0].attribute.push(attribute);
        model
    };
    let outside = external(&[("location", "/etc/hostname")]);
    refused(&with_attribute(AttributeProto { t: Some(outside), ..AttributeProto::default() }), "attributes");
    refused(
        &with_attribute(AttributeProto { g: Some(GraphProto::default()), ..AttributeProto::default() }),
        "inner graphs",
    );
    let mut model = probe::convolution(two());
    model.graph.as_mut().unwrap().node[0].domain = "com.microsoft".into();
    refused(&model, "operators beyond");
    let mut model = probe::convolution(two());
    model.functions.push(FunctionProto::default());
    refused(&model, "functions");
}

#[test]
fn no_graph_is_an_error_not_a_panic() {
    let weights: Arc<[u8]> = Arc::default();
    for backend in backends() {
        for onnx in [&b""[..], b"not a graph", &[0xFF; 64]] {
            let opened = backend.open(GraphBytes { file: "test.onnx", onnx, weights: &weights }, 1);
            assert!(matches!(opened, Err(RuntimeError::Graph { .. })), "{}", backend.name());
        }
        // Well-formed, but the kernel's bytes do not fill its shape.
        let short = TensorProto { raw_data: vec![0; 3], ..probe::kernel() };
        assert!(open(backend.as_ref(), &probe::convolution(short)).is_err(), "{}", backend.name());
    }
}

#[test]
fn inputs_must_be_those_of_the_graph() {
    let two = TensorProto { raw_data: 2.0_f32.to_le_bytes().into(), ..probe::kernel() };
    for backend in backends() {
        let session = open(backend.as_ref(), &probe::convolution(two.clone())).unwrap();
        let (right, wrong) = (Array4::zeros(probe::SHAPE), Array4::zeros([1, 1, 3, 3]));
        for inputs in [&[][..], &[("other", &right as &dyn Tensor)], &[("x", &wrong)]] {
            assert!(matches!(session.run(inputs), Err(RuntimeError::Run { .. })), "{}", backend.name());
        }
    }
}

#[test]
fn names_come_from_the_table() {
    for choice in &BACKENDS[..1] {
        assert!(check(choice.name).is_ok());
    }
    let message = super::open("onnx-runtime").err().unwrap().to_string();
    assert!(message.contains("did you mean `onnxruntime`?") && message.contains("tract"), "{message}");
}

#[test]
fn cuda_is_never_replaced_by_something_else() {
    if library().is_ok_and(|library| library.cuda) {
        return; // Then it may work; that is for a machine with a device to show.
    }
    let message = super::open("onnxruntime-cuda").err().unwrap().to_string();
    assert!(message.contains("CUDA") || message.contains("ONNX Runtime can't be used"), "{message}");
}
