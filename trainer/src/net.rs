//! The network on torch: its embedding graphs, its parameters and the trunk's weights.

pub mod heads;
pub mod interpreter;
pub mod params;
pub mod precision;
pub mod vgg;
