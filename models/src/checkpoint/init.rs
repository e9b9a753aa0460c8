//! Initial values of parameters. They depend on the seed and the parameter's name, not on the order of calls.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

use crate::reference::Tensors;

/// What training starts from, for parameters given by name and shape.
///
/// Convolutions get PyTorch's default (METHOD.md sec. 1a): weight and bias uniform in `+-1/sqrt(fan_in)`. The trunk gets He's
/// uniform `+-sqrt(6/fan_in)` and no bias, which keeps the size of random features from level to level. Batch normalisation
/// starts as the identity. Other vectors (template vectors) are uniform in [-1, 1].
pub fn initial(params: &BTreeMap<String, Vec<usize>>, seed: u64) -> Tensors {
    params.iter().map(|(name, shape)| (name.clone(), initial_tensor(params, name, shape, seed))).collect()
}

fn initial_tensor(params: &BTreeMap<String, Vec<usize>>, name: &str, shape: &[usize], seed: u64) -> ArrayD<f32> {
    let (owner, part) = name.rsplit_once('.').unwrap_or((name, ""));
    let is_norm = params.contains_key(&format!("{owner}.running_mean"));
    let fan_in = params.get(&format!("{owner}.weight")).map_or(1, |shape| fan_in(shape));
    let is_trunk = name.starts_with("trunk.");
    match (part, is_norm) {
        ("weight" | "running_var", true) => ArrayD::ones(IxDyn(shape)),
        (_, true) => ArrayD::zeros(IxDyn(shape)),
        ("bias", false) if is_trunk => ArrayD::zeros(IxDyn(shape)),
        ("weight", false) if is_trunk => uniform(name, shape, he(fan_in), seed),
        _ => uniform(name, shape, symmetric(1.0 / (fan_in as f32).sqrt()), seed),
    }
}

/// Every parameter random, batch normalisation and its statistics too, drawn so that activations neither die nor grow: what
/// a network costs, and whether two programs compute the same, before anybody trains it.
pub fn random<'a>(params: impl IntoIterator<Item = (&'a String, &'a Vec<usize>)>, seed: u64) -> Tensors {
    let draw = |(name, shape): (&String, &Vec<usize>)| {
        let range = match shape.len() {
            // A ReLU follows most convolutions.
            4 => he(fan_in(shape)),
            // Scales and variances of batch normalisation must be positive.
            _ if name.ends_with(".running_var") || name.ends_with(".weight") => 0.5..1.5,
            _ => symmetric(0.1),
        };
        (name.clone(), uniform(name, shape, range, seed))
    };
    params.into_iter().map(draw).collect()
}

fn fan_in(shape: &[usize]) -> usize {
    shape.iter().skip(1).product::<usize>().max(1)
}

/// He's uniform initialisation.
fn he(fan_in: usize) -> std::ops::Range<f32> {
    symmetric((6.0 / fan_in as f32).sqrt())
}

fn symmetric(bound: f32) -> std::ops::Range<f32> {
    -bound..bound
}

fn uniform(name: &str, shape: &[usize], range: std::ops::Range<f32>, seed: u64) -> ArrayD<f32> {
    let digest = Sha256::digest(name);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)));
    ArrayD::from_shape_simple_fn(IxDyn(shape), || rng.random_range(range.clone()))
}
