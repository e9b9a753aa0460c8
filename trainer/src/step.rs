//! One training step: what it sees, its loss, and how it changes the parameters.

pub mod adam;
pub mod average;
pub mod loss;
mod memory;
pub mod pairs;
pub mod sampler;
pub mod update;
