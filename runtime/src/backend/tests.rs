//! What every backend must do, and what none may. tract is always there; ONNX Runtime where `cargo xtask setup` put it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use ndarray::Array4;
use onemark_onnx::builder;
use onemark_onnx::proto::{DataType, TensorProto};

use super::probe::{KERNEL, KERNEL_DIMS, convolution, two};
use super::*;
use crate::Chain;

fn backends() -> Vec<Arc<dyn Backend>> {
    let kinds =
        if library().is_ok() { &[BackendKind::Tract, BackendKind::OnnxRuntime][..] } else { &[BackendKind::Tract] };
    kinds.iter().map(|kind| kind.open().unwrap()).collect()
}

/// Opens the convolution with a kernel, beside the weights [9, 2].
fn open(backend: &dyn Backend, kernel: TensorProto) -> Result<Box<dyn Session>, RuntimeError> {
    let weights: Arc<[u8]> = [9.0_f32, 2.0].iter().flat_map(|weight| weight.to_le_bytes()).collect();
    backend.open(&check("test.onnx", &convolution(kernel), &weights)?, 1)
}

#[test]
fn weights_are_read_from_memory() {
    let kernel = builder::external(KERNEL, &KERNEL_DIMS, DataType::Float, WEIGHTS, 4..8);
    let input = Array4::from_shape_fn(probe::SHAPE, |(.., y, x)| (2 * y + x) as f32);
    for backend in backends() {
        let session = open(backend.as_ref(), kernel.clone()).unwrap();
        let outputs = session.run(&[("x", &input)]).unwrap();
        assert_eq!(outputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["y"], "{}", backend.name());
        assert_eq!(outputs[0].1.array().unwrap(), &input * 2.0, "{}", backend.name());
    }
}

/// What one graph leaves is another's input, without a way through the host; so is what was kept there before.
#[test]
fn tensors_go_from_graph_to_graph() {
    let input = Array4::from_shape_fn(probe::SHAPE, |(.., y, x)| (2 * y + x) as f32);
    for backend in backends() {
        let session = open(backend.as_ref(), two()).unwrap();
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

/// What a graph must not use is refused before a backend sees it, and in the graph's name.
#[test]
fn a_refused_graph_is_named() {
    let outside = builder::external(KERNEL, &KERNEL_DIMS, DataType::Float, "/etc/hostname", 0..4);
    for (onnx, why) in [(convolution(outside), "only weights.bin"), (b"not a graph".into(), "not an ONNX file")] {
        let error = check("test.onnx", &onnx, &Arc::default()).err().unwrap();
        assert!(matches!(&error, RuntimeError::Graph { graph, .. } if graph == "test.onnx"), "{error}");
        let message = Chain(&error).to_string();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn a_graph_that_contradicts_itself_is_an_error_not_a_panic() {
    for backend in backends() {
        // The kernel's bytes do not fill its shape; the file holds no node that makes its output.
        let short = TensorProto { raw_data: vec![0; 3], ..two() };
        let opened = open(backend.as_ref(), short);
        assert!(matches!(opened, Err(RuntimeError::Graph { .. })), "{}", backend.name());
        let empty =
            builder::file(builder::graph("test", vec![], vec![], vec![], vec![builder::value("y", &[1])]), "", "");
        let opened = check("test.onnx", &empty, &Arc::default()).and_then(|graph| backend.open(&graph, 1));
        assert!(matches!(opened, Err(RuntimeError::Graph { .. })), "{}", backend.name());
    }
}

#[test]
fn inputs_must_be_those_of_the_graph() {
    for backend in backends() {
        let session = open(backend.as_ref(), two()).unwrap();
        let (right, wrong) = (Array4::zeros(probe::SHAPE), Array4::zeros([1, 1, 3, 3]));
        for inputs in [&[][..], &[("other", &right as &dyn Tensor)], &[("x", &wrong)]] {
            assert!(matches!(session.run(inputs), Err(RuntimeError::Run { .. })), "{}", backend.name());
        }
    }
}

#[test]
fn names_come_from_the_table() {
    assert!(BackendKind::Auto.probe().is_ok());
    for kind in BackendKind::compiled() {
        assert_eq!(kind.name().parse::<BackendKind>().unwrap(), *kind);
    }
    let message = "onnx-runtime".parse::<BackendKind>().err().unwrap().to_string();
    assert!(message.contains("did you mean `onnxruntime`?") && message.contains("tract"), "{message}");
}

#[test]
fn cuda_is_never_replaced_by_something_else() {
    if library().is_ok_and(|library| library.cuda) {
        return; // Then it may work; that is for a machine with a device to show.
    }
    let message = BackendKind::OnnxRuntimeCuda.open().err().unwrap().to_string();
    assert!(message.contains("CUDA") || message.contains("ONNX Runtime can't be used"), "{message}");
}

/// A process has one ONNX Runtime: the same file is it again, another file is refused.
#[test]
fn a_host_names_its_library() {
    let Ok(library) = library() else { return };
    assert!(OnnxRuntime::from_library(&library.path).is_ok());
    let message = OnnxRuntime::from_library(std::env::current_exe().unwrap()).err().unwrap();
    let message = Chain(&message).to_string();
    assert!(message.contains("loaded already"), "{message}");
}
