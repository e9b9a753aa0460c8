//! Checkpoints: the tensors of a network during or after training, with its recipe and history.
//!
//! Users of a trained network get a bundle, which has another format: [`crate::bundle`].

mod file;
mod first_look;
pub mod init;
pub mod pseudo_labels;

pub use file::{Checkpoint, CheckpointError, Tensors, parameters, read_safetensors, spelled};
pub use first_look::FirstLook;
