//! The graph against CC2D as tests/peers/cc2d.py has it: another framework, other hands, METHOD.md as the only source.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use ndarray::{Array4, Ix4};
use onemark_models::checkpoint::{Tensors, read_safetensors};
use onemark_models::network::{Architecture, FILM, SCORE};
use onemark_models::recipe::{Network, Trunk};
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
    let landmark = metadata["landmark"].parse().unwrap();
    let graph = Architecture { trunk: &trunk, network: &network }.graph(landmark).unwrap();

    let film = take(&mut tensors, FILM);
    let expected: Vec<(&String, Array4<f32>)> =
        graph.outputs().iter().map(|(name, _)| (name, take(&mut tensors, name))).collect();
    // Not one parameter more or less than the peer has.
    let shapes = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape().to_vec())).collect();
    assert_eq!(*graph.params(), shapes);

    let found = reference::run(&graph, &tensors, &[(FILM.to_owned(), film)].into()).unwrap();
    assert!(found.contains_key(SCORE) && found.len() == 6);
    for (name, expected) in expected {
        assert_close(&expected, &found[name], Tolerance::Close, &format!("{golden}, {name}"));
    }
}

fn take(tensors: &mut Tensors, name: &str) -> Array4<f32> {
    tensors.remove(name).unwrap().into_dimensionality::<Ix4>().unwrap()
}
