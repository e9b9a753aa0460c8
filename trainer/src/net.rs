//! The network on torch: its graphs, its parameters and the trunk's weights.

pub mod interpreter;
pub mod params;
pub mod precision;
pub mod vgg;
