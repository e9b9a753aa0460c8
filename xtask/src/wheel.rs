//! The Python wheel: built by maturin from what the workspace has compiled, installed into a fresh environment, tested there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{peers, setup, shell};

const PACKAGE: &str = "runtime/bindings/python";

/// The command line, for maturin.
const SCRIPTS: &str = "runtime/bindings/python/onemark.data/scripts";

/// Made afresh each time: what an earlier wheel left behind must not help this one.
const FOLDER: &str = "target/wheel";

/// Builds all that the wheel is compared with, then the wheel, and tests it.
pub fn run() -> Result<()> {
    setup::run(&setup::Options::default())?;
    shell::build_binaries()?;
    test()
}

/// Builds the wheel from the binaries, which are there, and says where it is.
pub fn build() -> Result<PathBuf> {
    let maturin = peers::python("wheel", "requirements-wheel.txt")?;
    if Path::new(FOLDER).exists() {
        fs::remove_dir_all(FOLDER).with_context(|| format!("cannot remove {FOLDER}"))?;
    }
    // maturin puts what is in this folder where Python has its programs.
    shell::replace_folder(Path::new(SCRIPTS), |scripts| {
        let program = format!("onemark{}", env::consts::EXE_SUFFIX);
        shell::copy_stripped(&shell::bin_dir()?.join(&program), &scripts.join(&program))
    })?;
    let mut build = Command::new(maturin);
    build.args(["-m", "maturin", "build", "--quiet", "--out", FOLDER, "--manifest-path"]);
    shell::run(build.arg(format!("{PACKAGE}/Cargo.toml")))?;
    let files = fs::read_dir(FOLDER).with_context(|| format!("cannot read {FOLDER}"))?;
    let wheel = files.filter_map(|file| Some(file.ok()?.path())).next();
    wheel.with_context(|| format!("maturin has left no wheel in {FOLDER}"))
}

/// Builds the wheel, and tests it against the binaries, which are there.
pub fn test() -> Result<()> {
    let wheel = build()?;
    let environment = Path::new(FOLDER).join("python");
    shell::run(shell::python().args(["-m", "venv"]).arg(&environment))?;
    let python = environment.join("bin/python");
    let install = |requirements: &str| {
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--requirement"]);
        install.arg(format!("{PACKAGE}/tests/{requirements}"));
        install
    };
    shell::run(install("requirements.txt").arg(wheel))?;
    // Large, and not there for every Python: its tests say that they are skipped.
    if let Err(error) = shell::run(&mut install("requirements-archive.txt")) {
        println!("onemark.archive can't be tested: {error:#}");
    }
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "-rs"]).arg(format!("{PACKAGE}/tests")).env(shell::BIN_DIR, shell::bin_dir()?);
    shell::run(&mut pytest)
}
