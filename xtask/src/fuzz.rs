//! `cargo xtask fuzz`: feeds made-up inputs to the readers of films, bundles, graphs, tables and requests. Needs nightly Rust and
//! cargo-fuzz; nothing else does.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// The workspace of the targets.
const FOLDER: &str = "tests/fuzz";

/// An input that takes longer, in seconds, or more memory, in MB, is a finding: docs/LIMITS.md promises less.
const LIMITS: [&str; 2] = ["-timeout=25", "-rss_limit_mb=2048"];

/// Without the stacks of allocations, targets run a fifth faster. Who needs them runs the input that was found alone.
const SANITIZER: (&str, &str) = ("ASAN_OPTIONS", "malloc_context_size=0");

/// What a run prints of these is repeated at its end.
const FIGURES: [&str; 2] = ["stat::number_of_executed_units", "stat::peak_rss_mb"];

/// Options of `fuzz`.
#[derive(clap::Args)]
pub struct Options {
    /// The target, a file in tests/fuzz/fuzz_targets [default: all, one after the other]
    target: Option<String>,
    /// How long each target runs: 90s, 15m, 2h
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// A folder of inputs to begin with, such as films that other programs wrote; nothing is written there
    #[arg(long, value_name = "DIR")]
    seeds: Option<PathBuf>,
}

/// Runs the targets. An input that ends one is kept in tests/fuzz/artifacts, and the others still run.
pub fn run(options: &Options) -> Result<()> {
    let known = targets()?;
    let chosen = match &options.target {
        Some(target) if known.contains(target) => vec![target.clone()],
        Some(target) => bail!("there is no target {target}; there are {}", known.join(", ")),
        None => known,
    };
    let cargo_fuzz = ["run", "nightly", "cargo", "fuzz"];
    shell::capture(Command::new("rustup").args(cargo_fuzz).arg("--version")).context(
        "fuzzing needs nightly Rust and cargo-fuzz: `rustup toolchain install nightly`, `cargo install --locked cargo-fuzz`",
    )?;
    let (mut told, mut failed) = (Vec::new(), Vec::new());
    for target in &chosen {
        let corpus = Path::new(FOLDER).join("corpus").join(target);
        let log = corpus.with_extension("log");
        println!("{target}: {} s, to be followed in {}", options.time.as_secs(), log.display());
        fs::create_dir_all(&corpus)?;
        let mut fuzz = Command::new("rustup");
        fuzz.args(cargo_fuzz).args(["run", "--fuzz-dir", FOLDER, target]).arg(&corpus).args(&options.seeds);
        fuzz.args(["--", &format!("-max_total_time={}", options.time.as_secs()), "-print_final_stats=1"]).args(LIMITS);
        let (name, value) = SANITIZER;
        if env::var_os(name).is_none() {
            fuzz.env(name, value);
        }
        let ran = shell::run(fuzz.stderr(File::create(&log)?));
        let text = fs::read_to_string(&log).unwrap_or_default();
        let edges = text.lines().rev().find_map(|line| line.split("cov: ").nth(1)?.split(' ').next());
        let figures = FIGURES.iter().filter_map(|figure| text.lines().rev().find(|line| line.starts_with(figure)));
        let figures: Vec<&str> = figures.filter_map(|line| line.split_whitespace().last()).collect();
        told.push(format!(
            "{target}: {} executions, {} edges, {} MB at most{}",
            figures.first().unwrap_or(&"?"),
            edges.unwrap_or("?"),
            figures.get(1).unwrap_or(&"?"),
            if ran.is_ok() { "" } else { ", A FINDING" },
        ));
        failed.extend(ran.err().map(|error| format!("{target}: {error:#}")));
    }
    told.iter().chain(&failed).for_each(|line| println!("{line}"));
    if failed.is_empty() { Ok(()) } else { bail!("{} targets found something: see {FOLDER}/artifacts", failed.len()) }
}

/// The names of all targets.
pub fn targets() -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for file in fs::read_dir(format!("{FOLDER}/fuzz_targets"))? {
        targets.extend(file?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    targets.sort();
    Ok(targets)
}
