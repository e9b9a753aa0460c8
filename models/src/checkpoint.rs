//! Checkpoints: the tensors of a network in training or after it, with its recipe and history.
//!
//! The bundle that ships has its own format, in [`crate::bundle`].

mod file;
pub mod init;
pub mod pseudo_labels;

pub use file::{Checkpoint, CheckpointError, Tensors, parameters, read_safetensors, spelled};
