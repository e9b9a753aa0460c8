//! `cargo xtask …`: tasks for developers of Onemark. One module per task; `shell` is shared by all.
//!
//! Every task first sets up what is missing. It runs from the repository's root, so no variables need to be exported, and paths
//! in messages are relative to that root.

mod bench;
mod check;
mod demo;
mod fuzz;
mod package;
mod peers;
mod setup;
mod shell;
mod test;
mod versions;
mod wasm;
mod wheel;

use std::process::ExitCode;

use clap::Parser;

/// Set-up, demo, test, check, packaging and benchmark of Onemark.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Find libtorch and ONNX Runtime, or fetch them once into the cache folder
    Setup(setup::Options),
    /// Run the whole pipeline on phantom films: train, export, detect and evaluate, into demo-out/
    Demo,
    /// Build everything and run all tests
    Test(test::Options),
    /// Run the checks for a release: feature sets, other targets, the oldest Rust, docs, licences, fuzzing, packages
    Check(check::Options),
    /// Feed made-up inputs to the readers of films, bundles and requests (needs nightly Rust and cargo-fuzz)
    Fuzz(fuzz::Options),
    /// Try every version of ONNX Runtime that the runtime accepts
    Versions,
    /// Make the archive for users, with the programs, the C library and the wheel, in target/package
    Package,
    /// Build the Python wheel into target/wheel and run its tests
    Wheel,
    /// Build the viewer's page with its engine into target/wasm/page, and test it in Chromium
    Wasm,
    /// Compare the speed of training or detection with other programs
    #[command(subcommand)]
    Bench(bench::Task),
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    match task {
        Task::Setup(options) => setup::run(&options),
        Task::Demo => demo::run(),
        Task::Test(options) => test::run(&options),
        Task::Check(options) => check::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Versions => versions::run(),
        Task::Package => package::run(),
        Task::Wheel => wheel::run(),
        Task::Wasm => wasm::run(),
        Task::Bench(task) => bench::run(&task),
    }
}
