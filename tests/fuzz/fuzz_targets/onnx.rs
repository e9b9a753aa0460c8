//! Any file as an ONNX graph beside 64 bytes of weights. What passes the check is encoded anew; that passes too, and is the same.
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
