//! What training sees: films, augmented copies of them, and the trunk's features.

pub mod augment;
pub mod features;
pub mod motion;
pub mod samples;
pub mod templates;
pub mod views;
pub mod warp;
