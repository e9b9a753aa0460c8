//! `cargo xtask bench`: speed as a ratio of two sides, which run in turns on this machine.

mod detect;
mod train;

use anyhow::Result;

/// The comparisons.
#[derive(clap::Subcommand)]
pub enum Task {
    /// Compare training steps on the CPU with a straightforward PyTorch script (tests/peers/training.py)
    Train(train::Train),
    /// Compare detection on the CPU with ONNX Runtime and PyTorch in Python (tests/peers/detect.py)
    Detect(detect::Detect),
}

/// Runs a comparison and prints its table.
pub fn run(task: &Task) -> Result<()> {
    match task {
        Task::Train(options) => train::run(options),
        Task::Detect(options) => detect::run(options),
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() % 2 {
        0 => (numbers[middle - 1] + numbers[middle]) / 2.0,
        _ => numbers[middle],
    }
}
