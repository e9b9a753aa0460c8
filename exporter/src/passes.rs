//! The passes: each rewrites a network so that it computes the same at a lower cost, and has its own file. [`PASSES`] defines their
//! order. [`pass`] defines passes and the properties that hold between them; [`pipeline`] runs the passes and checks the properties.

mod bake_template;
mod fold_affine_chains;
mod fold_batch_norm;
mod fold_grey_input;
mod hoist_landmark_invariant;
mod narrow;
pub mod pass;
pub mod pipeline;
mod plan_levels;
mod quantise_trunk;
mod renew;
mod split_affine;
mod stack_adapters;
mod window_needs;

pub use self::pass::{Context, Effect, Pass, PassError, Property};

/// The passes, in the order in which they run.
pub const PASSES: [Pass; 10] = [
    fold_batch_norm::PASS,
    fold_grey_input::PASS,
    split_affine::PASS,
    fold_affine_chains::PASS,
    plan_levels::PASS,
    hoist_landmark_invariant::PASS,
    stack_adapters::PASS,
    quantise_trunk::PASS,
    bake_template::PASS,
    narrow::PASS,
];

/// Whether a landmark's convolution with a weight of this shape is better computed on the whole field and for all landmarks together,
/// if its operand depends on the film alone. This is true for many input channels and few output channels. In a graph that serves any
/// landmark, the weight would be an input, so a backend could not prepare it in advance. Finer levels have fewer channels, and on them
/// windows cover only a part of the cells.
fn is_thin(weight: &[usize]) -> bool {
    const CHANNELS_OF_EACH_OUTPUT: usize = 32;
    matches!(weight, [out, channels, rows, columns] if rows * columns > 1 && *channels >= CHANNELS_OF_EACH_OUTPUT * out)
}

#[cfg(test)]
pub(crate) mod testing;
