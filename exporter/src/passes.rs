//! The passes: each rewrites a network into one that computes the same at less cost, and has a file of its own. [`PASSES`] is
//! their order; what a pass is, and what holds between passes, is in [`pass`], and [`pipeline`] checks it.

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

/// Whether a landmark's own convolution with a weight of this shape is better done for the whole field, and for all landmarks at
/// once, where its operand depends on the film alone: one of many channels to few outputs. In a graph that serves any landmark its
/// weight is an input, for which a backend lays out nothing in advance. Finer levels have fewer channels, and more cells than windows
/// open.
fn is_thin(weight: &[usize]) -> bool {
    const CHANNELS_OF_EACH_OUTPUT: usize = 32;
    matches!(weight, [out, channels, rows, columns] if rows * columns > 1 && *channels >= CHANNELS_OF_EACH_OUTPUT * out)
}

#[cfg(test)]
pub(crate) mod testing;
