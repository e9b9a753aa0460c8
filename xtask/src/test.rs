//! `cargo xtask test`: builds everything, runs all tests, and lists those that this machine can't run.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{peers, setup, shell, wasm, wheel};

/// The variable with the folder of real films, which may not be part of the repository.
const DATA: &str = "ONEMARK_DATA";

/// The variable with the folder of Cornerstone's adapter, for the test that reads DICOM reports with it.
const CORNERSTONE: &str = "ONEMARK_CORNERSTONE";

/// Options of `test`.
#[derive(clap::Args)]
pub struct Options {
    /// Leave out the tests of the wheel, in a browser and against independent implementations (they need package indexes, once)
    #[arg(long)]
    skip_peers: bool,
}

/// Runs the tests; the first suite that fails ends the run.
pub fn run(options: &Options) -> Result<()> {
    setup::run(&setup::Options::default())?;

    let mut settings = vec![(shell::BIN_DIR, shell::bin_dir()?)];
    let mut skipped = Vec::new();
    match std::env::var_os(DATA) {
        // Each crate's tests run in that crate's own folder: only an absolute path is the same for all.
        Some(folder) => {
            let folder = fs::canonicalize(&folder).with_context(|| format!("{DATA} is {}", folder.display()))?;
            settings.push((DATA, folder));
        }
        None => skipped.push(format!("tests on real films: set {DATA} to their folder")),
    }

    if !options.skip_peers {
        match peers::node("cornerstone") {
            Ok(folder) => settings.push((CORNERSTONE, folder)),
            Err(why) => skipped.push(format!("Cornerstone's adapter: {why:#}")),
        }
    }

    shell::build_all()?;
    shell::run(shell::cargo().args(["test", "--workspace"]).envs(settings.clone()))?;

    if options.skip_peers {
        skipped.push("Python wheel, browser and peers: --skip-peers".to_owned());
    } else if Path::new(peers::FOLDER).exists() {
        shell::run(pytest()?.envs(settings))?;
        wheel::test()?;
        wasm::test()?;
        if !wasm::can_build()? {
            skipped.push("the page that needs no server: `rustup target add wasm32-unknown-unknown`".to_owned());
        }
    }

    for what in skipped {
        println!("skipped  {what}");
    }
    Ok(())
}

/// The command that runs the peers, in their own Python environment with the versions that they require.
fn pytest() -> Result<Command> {
    let python = peers::python("peers", "requirements.txt")
        .context("cannot set up the Python peers; `cargo xtask test --skip-peers` leaves them out")?;
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", peers::FOLDER]);
    Ok(pytest)
}
