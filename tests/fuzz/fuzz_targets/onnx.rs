//! Checks bytes as an ONNX graph with 64 bytes of weights. The encoding of a checked graph passes the check too, and is equal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onemark_onnx::{Weights, check};

fuzz_target!(|bytes: &[u8]| {
    let weights = Weights::new("weights.bin", vec![1; 64].into());
    let Ok(graph) = check("fuzz.onnx", bytes, &weights) else { return };
    assert!(graph.external().all(|(_, bytes)| bytes.len() <= 64));
    let again = check("fuzz.onnx", graph.bytes(), &weights).expect("what was checked passes the check");
    assert_eq!(graph.bytes(), again.bytes());
});
