//! `cargo xtask bench detect`: from films' pixels to all landmarks on the CPU, compared with what a lab would run in Python
//! (tests/peers/detect.py): same weights, same films, same threads, in turns.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::median;
use crate::{peers, setup, shell};

/// How to compare detection.
#[derive(clap::Args)]
pub struct Detect {
    /// A trained checkpoint (the speed depends on how well the network separates landmarks)
    checkpoint: PathBuf,
    /// Films
    #[arg(required = true)]
    films: Vec<PathBuf>,
    /// A bundle of that checkpoint, instead of exporting one now
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// A bundle with its trunk in 8 bits, to compare too
    #[arg(long)]
    int8: Option<PathBuf>,
    /// A Python with the packages of tests/peers/requirements-detect.txt, instead of setting one up
    #[arg(long)]
    python: Option<PathBuf>,
    /// Numbers of threads to compare at
    #[arg(long, value_delimiter = ',', default_values_t = [1, cores()])]
    threads: Vec<usize>,
    /// Number of turns of each side
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

/// The ways of detection, the peers' and ours, with a title each.
const THEIRS: [(&str, &str); 4] = [
    ("separate", "a  19 self-contained graphs, Python ONNX Runtime"),
    ("shared", "b  trunk once, 19 whole heads, Python ONNX Runtime"),
    ("eager", "c  trunk once, 19 whole heads, PyTorch eager"),
    ("trunk", "   trunk alone, Python ONNX Runtime"),
];
const OURS: [(&str, &str, usize); 4] = [
    ("onnxruntime", "d  Onemark, ONNX Runtime", LANDMARKS),
    ("onnxruntime", "   the same, one landmark", 1),
    ("tract", "e  Onemark, tract", LANDMARKS),
    ("tract", "   the same, one landmark", 1),
];
const INT8: (&str, &str, usize) = ("onnxruntime", "f  Onemark, ONNX Runtime, trunk in 8 bits", LANDMARKS);
const LANDMARKS: usize = 19;

/// The output of a side.
#[derive(Deserialize)]
struct Turn {
    seconds: Vec<f64>,
    peak_mb: f64,
    /// Seconds to read each film's file; from our side only.
    #[serde(default)]
    reading: Vec<f64>,
    /// Per film and landmark, (row, column) on the grid.
    cells: Vec<Vec<(usize, usize)>>,
    /// Per film and landmark, the number of windows run; `None` if the head ran whole.
    #[serde(default)]
    windows: Vec<Vec<Option<usize>>>,
}

pub fn run(options: &Detect) -> Result<()> {
    setup::run(&setup::Options::default())?;
    shell::build_binaries()?;
    shell::run(shell::cargo().args(["build", "--workspace", "--exclude", "xtask", "--example", "speed"]))?;
    let python = match &options.python {
        Some(python) => python.clone(),
        None => peers::python("peers-detect", "requirements-detect.txt").context(
            "cannot set up the peers; give --python, with a Python that has the packages of requirements-detect.txt",
        )?,
    };
    let folder = tempfile::tempdir()?;
    let bundle = match &options.bundle {
        Some(bundle) => bundle.clone(),
        None => {
            let bundle = folder.path().join("bench.onemark");
            let mut export = Command::new(shell::bin_dir()?.join("onemark-export"));
            shell::run(export.arg(&options.checkpoint).arg("--out").arg(&bundle))?;
            bundle
        }
    };
    let script = || {
        let mut command = Command::new(&python);
        command.arg(Path::new(peers::FOLDER).join("detect.py"));
        command
    };
    let graphs = folder.path().join("graphs");
    std::fs::create_dir(&graphs)?;
    shell::capture(script().arg("export").arg(&options.checkpoint).arg(&graphs))?;

    println!(
        "\nbytes: {:.1} MB in our bundle, {:.1} MB in the self-contained graphs",
        megabytes(&bundle, "")?,
        megabytes(&graphs, "separate")?
    );
    for threads in &options.threads {
        let mut sides: Vec<(&str, Command)> = Vec::new();
        for (way, what) in THEIRS {
            let mut command = script();
            command.arg(way).arg(&options.checkpoint).arg(&graphs).arg(threads.to_string());
            sides.push((what, command));
        }
        let int8 = options.int8.iter().map(|bundle| (bundle, INT8));
        for (bundle, (backend, what, landmarks)) in OURS.into_iter().map(|side| (&bundle, side)).chain(int8) {
            let mut command = Command::new(shell::bin_dir()?.join("examples/speed"));
            command.arg(bundle).args([backend, &threads.to_string(), &landmarks.to_string()]);
            sides.push((what, command));
        }
        sides.iter_mut().for_each(|(_, command)| {
            command.args(&options.films);
        });
        compare(*threads, &mut sides, options.rounds)?;
    }
    Ok(())
}

/// Runs all sides in turns, then prints their table.
fn compare(threads: usize, sides: &mut [(&str, Command)], rounds: u16) -> Result<()> {
    let mut turns: Vec<Vec<Turn>> = sides.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((_, command), turns) in sides.iter_mut().zip(&mut turns) {
            turns.push(serde_json::from_str(&shell::capture(command)?).context("a side's report")?);
        }
    }
    let seconds = |turns: &[Turn]| median(turns.iter().flat_map(|turn| turn.seconds.iter().copied()).collect());
    let [separate, shared] = [seconds(&turns[0]), seconds(&turns[1])];
    let title = format!("threads: {threads}");
    println!(
        "\n{title:52}{:>10}{:>8}{:>8}{:>10}{:>16}{:>10}",
        "s per film", "of (a)", "of (b)", "peak MB", "windows of each", "s to read"
    );
    for ((what, _), turns) in sides.iter().zip(&turns) {
        let time = seconds(turns);
        let peak = turns.iter().map(|turn| turn.peak_mb).fold(0.0, f64::max);
        let windows: Vec<f64> = turns[0].windows.iter().flatten().flatten().map(|count| *count as f64).collect();
        let windows = match windows.is_empty() {
            true => String::new(),
            false => format!("{:.2}", windows.iter().sum::<f64>() / windows.len() as f64),
        };
        let reading: Vec<f64> = turns.iter().flat_map(|turn| turn.reading.iter().copied()).collect();
        let reading = if reading.is_empty() { String::new() } else { format!("{:.3}", median(reading)) };
        let ratios = format!("{:8.3}{:8.3}", time / separate, time / shared);
        println!("{what:52}{time:10.3}{ratios}{peak:10.0}{windows:>16}{reading:>10}");
    }
    let first = &turns[0][0].cells;
    for ((what, _), turns) in sides.iter().zip(&turns).skip(1) {
        let pairs = first.iter().flatten().zip(turns[0].cells.iter().flatten());
        // With one landmark there is no counterpart for the others.
        if turns[0].cells.iter().map(Vec::len).eq(first.iter().map(Vec::len)) {
            let all = first.iter().map(Vec::len).sum::<usize>();
            println!("cells other than (a) found: {} of {all}, {}", pairs.filter(|(a, b)| a != b).count(), what.trim());
        }
    }
    Ok(())
}

/// The size of a folder's files whose names start with `prefix`.
fn megabytes(folder: &Path, prefix: &str) -> Result<f64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes as f64 / 1e6)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
