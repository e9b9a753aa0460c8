//! Constants that are no numbers, or not those of their shape.

use super::*;

/// The convolution with the kernel's number in the weights.
fn with_weight(data_type: DataType, bytes: &[u8]) -> Result<CheckedGraph, OnnxError> {
    let kernel = external("kernel", &[1, 1, 1, 1], data_type, "weights.bin", 0..bytes.len());
    check("test.onnx", &convolution(kernel), &Weights::new("weights.bin", bytes.into()))
}

fn constant(refused: OnnxError) -> String {
    match refused {
        OnnxError::Constant { tensor, why } if tensor == "kernel" => why,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn every_number_is_finite_and_bounded() {
    for good in [0.0, -1e9, 1e9, f32::MIN_POSITIVE] {
        assert!(with_weight(DataType::Float, &good.to_le_bytes()).is_ok(), "{good}");
        assert!(check("test.onnx", &convolution(floats("kernel", &[1, 1, 1, 1], &[good])), &weights()).is_ok());
    }
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.001e9, -1e38, f32::MAX] {
        let outside = constant(with_weight(DataType::Float, &bad.to_le_bytes()).unwrap_err());
        assert!(outside.contains("not finite or larger than 1e9"), "{bad}: {outside}");
        let inside = floats("kernel", &[1, 1, 1, 1], &[bad]);
        let inside = constant(check("test.onnx", &convolution(inside), &weights()).unwrap_err());
        assert!(inside.contains("not finite or larger than 1e9"), "{bad}: {inside}");
    }
}

/// In half precision, beside a graph that widens it.
#[test]
fn numbers_in_half_precision_are_checked_too() {
    let halves = |bits: u16| {
        let narrow = external("kernel", &[1, 1, 1, 1], DataType::Float16, "weights.bin", 0..2);
        let widen = node("Cast", "wide", &["kernel"], vec![crate::builder::integer("to", 1)]);
        let conv = node("Conv", "y", &["x", "wide"], vec![]);
        let graph = graph("half", vec![widen, conv], vec![narrow], vec![value("x", &SHAPE)], vec![value("y", &SHAPE)]);
        check("test.onnx", &file(graph, "a test", "1"), &Weights::new("weights.bin", bits.to_le_bytes().into()))
    };
    // 1, the largest number, a subnormal number.
    assert!([0x3C00, 0x7BFF, 0x8001].into_iter().all(|bits| halves(bits).is_ok()));
    for bits in [0x7C00, 0xFC00, 0x7E00, 0x7C01] {
        assert!(constant(halves(bits).unwrap_err()).contains("not finite"), "{bits:x}");
    }
}

/// One bad number anywhere, in a tensor longer than the widest instructions.
#[test]
fn no_number_is_left_out() {
    for place in [0, 1, 15, 63, 64, 99] {
        let mut numbers = vec![0.5_f32; 100];
        numbers[place] = f32::NAN;
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let kernel = external("kernel", &[100, 1, 1, 1], DataType::Float, "weights.bin", 0..400);
        let refused = check("test.onnx", &convolution(kernel), &Weights::new("weights.bin", bytes.into()));
        assert!(matches!(refused, Err(OnnxError::Constant { .. })), "{place}");
    }
}

#[test]
fn a_constant_has_the_bytes_of_its_shape() {
    for (dims, bytes) in
        [(vec![1, 1, 1, 2], 4), (vec![1 << 32, 1 << 32, 2, 1], 4), (vec![0], 0), (vec![-1, 1, 1, 1], 4)]
    {
        let kernel = TensorProto { dims, raw_data: vec![0; bytes], ..kernel() };
        let why = constant(check("test.onnx", &convolution(kernel), &weights()).unwrap_err());
        assert!(why.contains("are not the numbers of its shape"), "{why}");
    }
    let unknown = TensorProto { data_type: 11, ..kernel() };
    let why = constant(check("test.onnx", &convolution(unknown), &weights()).unwrap_err());
    assert!(why.contains("type 11"), "{why}");
    let elsewhere = TensorProto { float_data: vec![f32::NAN], raw_data: vec![], ..kernel() };
    let why = constant(check("test.onnx", &convolution(elsewhere), &weights()).unwrap_err());
    assert!(why.contains("not stored as raw data"), "{why}");
}

/// The same bytes under many descriptions would be read again and again.
#[test]
fn bytes_are_not_shared_in_different_ways() {
    let bytes: std::sync::Arc<[u8]> = vec![0; 4000].into();
    let many = |lengths: &[usize]| {
        let tensors = lengths.iter().enumerate();
        let tensors = tensors.map(|(index, length)| {
            external(&format!("c{index}"), &[*length], DataType::Float, "weights.bin", 0..4 * length)
        });
        let relu = node("Relu", "y", &["x"], vec![]);
        let graph = graph("many", vec![relu], tensors.collect(), vec![value("x", &SHAPE)], vec![value("y", &SHAPE)]);
        check("test.onnx", &file(graph, "a test", "1"), &Weights::new("weights.bin", bytes.clone()))
    };
    assert!(many(&[1000; 50]).is_ok());
    assert!(matches!(many(&[1000, 999, 998]), Err(OnnxError::Shared { .. })));
}
