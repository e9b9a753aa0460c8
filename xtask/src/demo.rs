//! `cargo xtask demo`: the whole pipeline on phantom films, with the commands a user would type.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::{setup, shell};

const OUT: &str = "demo-out";

const MAKE_FILMS: &str = "onemark-train phantom --out demo-out/films --count 24 --seed 1";
const TRAIN: &str = "onemark-train run --recipe phantom --data demo-out/films --out demo-out/run";
const EXPORT: &str = "onemark-export demo-out/run/checkpoint.safetensors --out demo-out/phantom.onemark";
const EVALUATE: &str = "onemark evaluate demo-out/phantom.onemark --data demo-out/films --split test1 \
                        --overlays demo-out/overlays --report demo-out/report.json";

/// Builds the programs with ONNX Runtime alone: tract takes as long to compile as everything else. The tests compare the two.
const BUILD: &str = "build --bins --package onemark --package onemark-exporter --package onemark-trainer --no-default-features \
                     --features onemark/cuda,onemark/onnxruntime,onemark-exporter/onnxruntime";

/// Runs the pipeline into an empty `demo-out/`.
pub fn run() -> Result<()> {
    setup::run(&setup::Options::default())?;
    shell::run(shell::cargo().args(BUILD.split(' ')))?;

    let started = Instant::now();
    if Path::new(OUT).exists() {
        fs::remove_dir_all(OUT).with_context(|| format!("cannot empty {OUT}"))?;
    }
    step("draw phantom films: 24 synthetic heads with exact landmarks", MAKE_FILMS)?;
    step("train from one annotated film", TRAIN)?;
    step("compile the checkpoint into a bundle", EXPORT)?;
    step("find the landmarks of films it has not seen", EVALUATE)?;

    println!("\nDone in {} s. Look at", started.elapsed().as_secs());
    println!("  demo-out/overlays/          annotated landmarks in green, found ones in red");
    println!("  demo-out/report.json        all numbers of the table");
    println!("  demo-out/phantom.onemark    the bundle, which a clinic would install");
    println!("Next, with your own films, one of them annotated:");
    println!("  cargo xtask setup --weights");
    println!("  onemark-train run --data FILMS --out runs/first");
    println!("  onemark-export runs/first/checkpoint.safetensors --out first.onemark");
    println!("  onemark detect FILM.png --bundle first.onemark --overlay found.png");
    println!("The programs are in {}, without tract: `cargo build` adds it", shell::bin_dir()?.display());
    Ok(())
}

/// Prints a title and the command, then runs it.
fn step(what: &str, line: &str) -> Result<()> {
    println!("\n# {what}\n$ {line}");
    let mut words = line.split(' ');
    let program = shell::bin_dir()?.join(words.next().unwrap_or_default());
    shell::run(Command::new(program).args(words))
}
