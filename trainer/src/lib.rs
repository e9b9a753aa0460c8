//! Trains an Onemark network from one annotated film (paper sec. 2; METHOD.md sec. 1 and 4). This is the only crate that links
//! libtorch. A run ends in a checkpoint, from which the exporter makes a bundle.

pub mod data;
pub mod environment;
mod error;
pub mod net;
pub mod pseudo_labels;
pub mod report;
pub mod run;
pub mod step;

pub use error::{ResumeObstacle, TrainError};
