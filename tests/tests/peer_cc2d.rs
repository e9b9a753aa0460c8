//! Compares the graph with CC2D in tests/peers/cc2d.py, an independent implementation in another framework from METHOD.md.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use ndarray::{Array4, Ix4};
use onemark_models::checkpoint::{Tensors, parameters, read_safetensors};
use onemark_models::graph::Port;
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::config::{Network, Trunk};
use onemark_models::network::{Architecture, FILM};
use onemark_models::reference;
use onemark_tests::{Tolerance, assert_close};
use serde_json::from_str;

/// Without adapters: base CC2D.
#[test]
fn no_adapters_is_cc2d() {
    equals_peer("cc2d");
}

#[test]
fn adapter_beside_each_block_is_variant_a() {
    equals_peer("adapter-block");
}

#[test]
fn adapter_beside_each_convolution_is_variant_b() {
    equals_peer("adapter-convolution");
}

fn equals_peer(golden: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/goldens/{golden}.safetensors"));
    let (mut tensors, metadata) = read_safetensors(&path).unwrap();
    let trunk: Trunk = from_str(&metadata["trunk"]).unwrap();
    let network: Network = from_str(&metadata["network"]).unwrap();
    let landmark = LandmarkId::new(metadata["landmark"].parse().unwrap()).unwrap();
    let graph = Architecture { trunk: &trunk, network: &network }.graph(landmark).unwrap();

    let film = take(&mut tensors, FILM);
    let expected: Vec<(&Port, Array4<f32>)> =
        graph.outputs().iter().map(|(port, _)| (port, take(&mut tensors, &port.to_string()))).collect();
    // Exactly the parameters of the peer.
    assert_eq!(tensors.len(), graph.params().len());
    let parameters = parameters(&tensors, graph.params()).unwrap();

    let found = reference::run(&graph, &parameters, &[(Port::Film, film)].into()).unwrap();
    assert!(found.contains_key(&Port::Score) && found.len() == 6);
    for (port, expected) in expected {
        assert_close(&expected, &found[port], Tolerance::Close, &format!("{golden}, {port}"));
    }
}

fn take(tensors: &mut Tensors, name: &str) -> Array4<f32> {
    tensors.remove(name).unwrap().into_dimensionality::<Ix4>().unwrap()
}
