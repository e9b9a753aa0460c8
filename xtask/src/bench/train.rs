//! `cargo xtask bench train`: compares training steps on the CPU with a straightforward PyTorch script (tests/peers/training.py).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::median;
use crate::{peers, setup, shell};

/// How to compare training.
#[derive(clap::Args)]
pub struct Train {
    /// A Python with torch 2.11 and safetensors, instead of setting one up
    #[arg(long)]
    python: Option<PathBuf>,
    /// Threads of each side [default: one per core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// The trainer's kind of number; the script computes in f32
    #[arg(long, default_value = "f32", value_parser = ["f32", "bf16"])]
    precision: String,
    /// Number of turns of each side
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Steps per turn; the first is a warm-up
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=19))]
    steps: u16,
}

/// Recipes and phases: the paper's, and both phases of the laptop's.
const PHASES: [(&str, &str); 3] =
    [("c-adapter", "all"), ("c-adapter-laptop", "shared"), ("c-adapter-laptop", "adapters")];

/// Both sides take the same steps: same films, patches, points and threads, and an update after each step. The script computes
/// the trunk's features of every film in every step, as the paper's text describes, and whole cosine maps. The trainer keeps
/// the features of films, which never change, as f16, and compares only cells that compete. The trainer's time includes drawing
/// the steps; the script reads them from a file. Features of films and copies, computed once per run, are reported separately.
/// Both use the same libtorch_cpu if Python's torch is the one that set-up unpacks. The weights differ, without effect on time.
pub fn run(options: &Train) -> Result<()> {
    setup::run(&setup::Options::default())?;
    shell::run(shell::cargo().args(["build", "--workspace", "--exclude", "xtask", "--example", "throughput"]))?;
    let python = match &options.python {
        Some(python) => python.clone(),
        None => peers::python("peers-training", "requirements-training.txt")
            .context("cannot set up PyTorch; give --python, with a Python that has torch 2.11 and safetensors")?,
    };
    let threads = match options.threads {
        Some(threads) => threads.into(),
        None => std::thread::available_parallelism().context("cannot count the cores; give --threads")?.get(),
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("steps.safetensors");
    println!(
        "\n{:36}{:>16}{:>16}{:>8}",
        format!("films per second, {threads} threads"),
        "PyTorch script",
        format!("trainer {}", options.precision),
        "ratio"
    );
    for (recipe, phase) in PHASES {
        let (mut script, mut trainer, mut features) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let mut ours = Command::new(shell::bin_dir()?.join("examples/throughput"));
            ours.args([recipe, phase, &options.steps.to_string(), &options.precision]).arg(&file);
            let mut numbers = turn(&mut ours, threads)?;
            features.push(numbers.remove(0));
            trainer.extend_from_slice(&numbers[1..]);

            let mut theirs = Command::new(&python);
            theirs.arg(Path::new(peers::FOLDER).join("training.py")).arg("bench").arg(&file);
            script.extend_from_slice(&turn(&mut theirs, threads)?[1..]);
        }
        let [script, trainer, features] = [script, trainer, features].map(median);
        let name = format!("{recipe}, phase {phase}");
        println!("{name:36}{script:16.3}{trainer:16.3}{:8.2}", trainer / script);
        println!("    once per run, the trainer's features: {features:.2} s per film or copy");
    }
    Ok(())
}

/// The numbers that a side prints, one per line. Threads spin as briefly as in `onemark-train`, so that other work on the machine
/// slows down both sides equally.
fn turn(side: &mut Command, threads: usize) -> Result<Vec<f64>> {
    let printed = shell::capture(side.env("OMP_NUM_THREADS", threads.to_string()).env("GOMP_SPINCOUNT", "3000"))?;
    printed.lines().map(|line| line.parse().with_context(|| format!("`{line}` is not a number"))).collect()
}
