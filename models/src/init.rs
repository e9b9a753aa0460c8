//! Values that parameters have before any training, the same for a seed whatever the order of asking.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

use crate::checkpoint::Tensors;

/// Initial values for parameters given by name and shape.
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
    let fan_in =
        params.get(&format!("{owner}.weight")).map_or(1, |shape| shape.iter().skip(1).product::<usize>()).max(1);
    let is_trunk = name.starts_with("trunk.");
    match (part, is_norm) {
        ("weight" | "running_var", true) => ArrayD::ones(IxDyn(shape)),
        (_, true) => ArrayD::zeros(IxDyn(shape)),
        ("bias", false) if is_trunk => ArrayD::zeros(IxDyn(shape)),
        ("weight", false) if is_trunk => uniform(name, shape, (6.0 / fan_in as f32).sqrt(), seed),
        _ => uniform(name, shape, 1.0 / (fan_in as f32).sqrt(), seed),
    }
}

/// Uniform in `+-bound`, from a stream that the name alone chooses.
fn uniform(name: &str, shape: &[usize], bound: f32, seed: u64) -> ArrayD<f32> {
    let digest = Sha256::digest(name.as_bytes());
    let stream = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    ArrayD::from_shape_simple_fn(IxDyn(shape), || rng.random_range(-bound..=bound))
}
