//! Initial values of parameters. They depend on the seed and the parameter's spelling, not on the order of calls.

use ndarray::{ArrayD, IxDyn};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

use crate::graph::{Owner, ParamId, ParamShapes, Parameters, Role};

/// The values of parameters at the start of training.
///
/// Convolutions get PyTorch's default (METHOD.md sec. 1a): weight and bias uniform in `+-1/sqrt(fan_in)`. The trunk gets He's
/// uniform `+-sqrt(6/fan_in)` and zero bias, so that random features have a similar size on all levels. Batch normalisation
/// starts as the identity. Template vectors are uniform in [-1, 1].
pub fn initial(params: &ParamShapes, seed: u64) -> Parameters {
    let draw = |(param, shape): (&ParamId, &Vec<usize>)| (param.clone(), initial_tensor(params, param, shape, seed));
    params.iter().map(draw).collect()
}

fn initial_tensor(params: &ParamShapes, param: &ParamId, shape: &[usize], seed: u64) -> ArrayD<f32> {
    let fan_in = params.get(&param.node.param(Role::Weight)).map_or(1, |weight| fan_in(weight));
    match (param.role, param.node.owner) {
        (Role::NormScale | Role::RunningVariance, _) => ArrayD::ones(IxDyn(shape)),
        (Role::NormShift | Role::RunningMean, _) | (Role::Bias, Owner::Trunk) => ArrayD::zeros(IxDyn(shape)),
        (Role::Weight, Owner::Trunk) => uniform(param, shape, he(fan_in), seed),
        _ => uniform(param, shape, symmetric(1.0 / (fan_in as f32).sqrt()), seed),
    }
}

/// Random values for every parameter, including batch normalisation and its statistics. Activations neither vanish nor explode, so
/// an untrained network can be used to measure costs and to compare two programs.
pub fn random<'a>(params: impl IntoIterator<Item = (&'a ParamId, &'a Vec<usize>)>, seed: u64) -> Parameters {
    let draw = |(param, shape): (&ParamId, &Vec<usize>)| {
        let range = match param.role {
            // The factor 2 of He's initialisation: a ReLU follows most convolutions.
            Role::Weight => he(fan_in(shape)),
            // Scales and variances of batch normalisation must be positive.
            Role::NormScale | Role::RunningVariance => 0.5..1.5,
            _ => symmetric(0.1),
        };
        (param.clone(), uniform(param, shape, range, seed))
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

/// The random numbers of a parameter: each has its own stream, which depends on the seed and the parameter's spelling.
fn uniform(param: &ParamId, shape: &[usize], range: std::ops::Range<f32>, seed: u64) -> ArrayD<f32> {
    let digest = Sha256::digest(param.to_string());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)));
    ArrayD::from_shape_simple_fn(IxDyn(shape), || rng.random_range(range.clone()))
}
