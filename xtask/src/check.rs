//! `cargo xtask check`: checks for releases and for changes of manifests. A step that this machine can't run
//! is listed as skipped, with the reason.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::{fuzz, shell};

/// Options of `check`.
#[derive(clap::Args)]
pub struct Options {
    /// Run only the steps whose name contains this
    only: Option<String>,
    /// Print the steps and their commands without running them
    #[arg(long)]
    list: bool,
}

/// Feature sets that are compiled alone, without default features. The last column says whether the library's tests run too.
const FEATURES: [(&str, &[&str], bool); 7] = [
    ("onemark-film", &["", "raster", "dicom", "schema", "raster,dicom,schema"], true),
    ("onemark-models", &["", "checkpoint", "schema", "checkpoint,schema"], true),
    (
        "onemark-runtime",
        &["", "onnxruntime", "cuda", "tract", "default", "default,raster", "default,raster,dicom,schema"],
        true,
    ),
    (
        "onemark-results",
        &["", "csv", "html", "overlay", "dicom-sr", "schema", "csv,html,overlay,dicom-sr,schema"],
        true,
    ),
    ("onemark-viewer", &["", "server"], false),
    ("onemark-exporter", &["onnxruntime", "tract"], false),
    ("onemark", &["onnxruntime", "tract"], false),
];

/// The other steps: name, requirements, command.
const STEPS: [(&str, &[Need], &str); 10] = [
    (
        "browser, tract alone",
        &[Need::Target("wasm32-unknown-unknown")],
        "cargo check -p onemark-runtime --no-default-features --features tract --target wasm32-unknown-unknown",
    ),
    (
        concat!("oldest Rust, ", env!("CARGO_PKG_RUST_VERSION")),
        &[Need::Run(
            concat!("rustup run ", env!("CARGO_PKG_RUST_VERSION"), " cargo --version"),
            concat!("`rustup toolchain install ", env!("CARGO_PKG_RUST_VERSION"), "`"),
        )],
        concat!("rustup run ", env!("CARGO_PKG_RUST_VERSION"), " cargo check --workspace --exclude onemark-trainer"),
    ),
    ("Windows", &[Need::Target("x86_64-pc-windows-msvc")], "cargo check --target x86_64-pc-windows-msvc"),
    ("macOS", &[Need::Target("aarch64-apple-darwin")], "cargo check --target aarch64-apple-darwin"),
    ("versions of ONNX Runtime", &[Need::File("target/libtorch")], "cargo xtask versions"),
    ("docs", &[], "cargo doc --workspace --exclude onemark-trainer --no-deps --all-features"),
    ("docs of the trainer", &[Need::File("target/libtorch")], "cargo doc -p onemark-trainer --no-deps --all-features"),
    ("licences, bans and sources", &[DENY], "cargo deny check licenses bans sources"),
    (
        "advisories",
        &[DENY, Need::Run("cargo deny fetch db", "the list of advisories can't be fetched")],
        "cargo deny check --disable-fetch advisories",
    ),
    (
        "semver",
        &[
            Need::Run(
                "cargo semver-checks --version",
                "no cargo-semver-checks: `cargo install --locked cargo-semver-checks`",
            ),
            Need::Run("git describe --tags --abbrev=0", "there is no release yet"),
        ],
        "cargo semver-checks --baseline-rev {tag} -p onemark-runtime -p onemark-results",
    ),
];

const DENY: Need = Need::Run("cargo deny --version", "no cargo-deny: `cargo install --locked cargo-deny`");

/// A requirement of a step.
#[derive(Clone, Copy)]
enum Need {
    /// Rust's standard library for this target.
    Target(&'static str),
    /// A file; `cargo xtask setup` makes it.
    File(&'static str),
    /// A command that must succeed, and the reason to report if it fails.
    Run(&'static str, &'static str),
}

const CARGO_FUZZ: Need = Need::Run(
    "rustup run nightly cargo fuzz --version",
    "no nightly Rust or no cargo-fuzz: `rustup toolchain install nightly`, `cargo install --locked cargo-fuzz`",
);

struct Step {
    name: String,
    needs: Vec<Need>,
    line: String,
}

/// Runs all steps, then lists the failed and the skipped ones.
pub fn run(options: &Options) -> Result<()> {
    let only = options.only.as_deref().unwrap_or_default();
    let steps: Vec<Step> = steps()?.into_iter().filter(|step| step.name.contains(only)).collect();
    if steps.is_empty() {
        bail!("no step's name contains `{only}`: see `cargo xtask check --list`");
    }
    if options.list {
        steps.iter().for_each(|Step { name, line, .. }| println!("{name}\n    {line}"));
        return Ok(());
    }
    let (mut skipped, mut failed) = (Vec::new(), Vec::new());
    for Step { name, needs, line } in &steps {
        println!("\n# {name}\n$ {line}");
        match needs.iter().find_map(|need| need.missing()) {
            Some(why) => skipped.push(format!("{name}: {why}")),
            None => failed.extend(shell::run(&mut command(line)?).err().map(|error| format!("{name}: {error:#}"))),
        }
    }
    println!("\n{} of {} steps passed", steps.len() - skipped.len() - failed.len(), steps.len());
    skipped.iter().for_each(|what| println!("skipped  {what}"));
    failed.iter().for_each(|what| println!("failed   {what}"));
    if failed.is_empty() { Ok(()) } else { bail!("{} steps failed", failed.len()) }
}

fn steps() -> Result<Vec<Step>> {
    let step = |name: String, needs: &[Need], line: String| Step { name, needs: needs.to_vec(), line };
    let mut steps = Vec::new();
    for (package, sets, tested) in FEATURES {
        for set in sets {
            let features = if set.is_empty() { String::new() } else { format!(" --features {set}") };
            let build = format!("-p {package} --no-default-features{features}");
            let name = format!("features of {package}: {}", if set.is_empty() { "none" } else { set });
            steps.push(step(name.clone(), &[], format!("cargo check {build}")));
            if tested {
                steps.push(step(format!("{name}, tests"), &[], format!("cargo test --lib {build}")));
            }
        }
    }
    steps.extend(STEPS.map(|(name, needs, line)| step(name.to_owned(), needs, line.to_owned())));
    for target in fuzz::targets()? {
        steps.push(step(format!("fuzz {target}"), &[CARGO_FUZZ], format!("cargo xtask fuzz {target}")));
    }
    for package in published()? {
        steps.push(step(format!("package {package}"), &[], format!("cargo package --list --allow-dirty -p {package}")));
    }
    Ok(steps)
}

/// The workspace's packages without `publish = false`.
fn published() -> Result<Vec<String>> {
    let metadata = shell::capture(shell::cargo().args(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let published = packages.filter(|package| package["publish"].is_null());
    Ok(published.filter_map(|package| Some(package["name"].as_str()?.to_owned())).collect())
}

impl Need {
    /// Why a step that needs this can't run here.
    fn missing(self) -> Option<String> {
        match self {
            Self::Target(target) => match shell::has_target(target) {
                Ok(true) => None,
                Ok(false) => Some(format!("`rustup target add {target}`")),
                Err(error) => Some(format!("{error:#}")),
            },
            Self::File(path) => (!Path::new(path).exists()).then(|| format!("no {path}: `cargo xtask setup`")),
            Self::Run(line, why) => match command(line).and_then(|mut command| shell::capture(&mut command)) {
                Ok(_) => None,
                Err(_) => Some(why.to_owned()),
            },
        }
    }
}

/// Parses a command line; `{tag}` is the last release.
fn command(line: &str) -> Result<Command> {
    let mut words = line.split(' ');
    let mut command = match words.next() {
        Some("cargo") => shell::cargo(),
        program => Command::new(program.unwrap_or_default()),
    };
    for word in words {
        match word {
            "{tag}" => command.arg(shell::capture(Command::new("git").args(["describe", "--tags", "--abbrev=0"]))?),
            word => command.arg(word),
        };
    }
    Ok(command)
}
