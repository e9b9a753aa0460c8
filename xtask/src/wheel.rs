//! The Python wheel: built by maturin from what the workspace has compiled, with the complete command line as its script `onemark`; installed into a new environment and tested there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{peers, setup, shell};

const PACKAGE: &str = "runtime/bindings/python";

/// Made again each time, so that files of an earlier wheel do not affect this one.
const FOLDER: &str = "target/wheel";

/// Builds the binaries that the wheel is compared with, then the wheel, and tests it.
pub fn run() -> Result<()> {
    setup::run(&setup::Options::default())?;
    shell::build_binaries()?;
    test()
}

/// Builds the wheel from the binaries, which must exist, and returns its path.
pub fn build() -> Result<PathBuf> {
    let python = peers::python("wheel", "requirements-wheel.txt")?;
    if Path::new(FOLDER).exists() {
        fs::remove_dir_all(FOLDER).with_context(|| format!("cannot remove {FOLDER}"))?;
    }
    let folder = Path::new(FOLDER);
    let mut build = Command::new(&python);
    build.args(["-m", "maturin", "build", "--quiet", "--out"]).arg(folder.join("library"));
    shell::run(build.arg("--manifest-path").arg(format!("{PACKAGE}/Cargo.toml")))?;

    // maturin builds either libraries or programs, so the program is added here and the wheel's list of files is updated.
    let (unpacked, wheels) = (folder.join("unpacked"), folder.join("wheels"));
    let wheel = |command: &str, from: &Path, to: &Path| {
        let mut wheel = Command::new(&python);
        shell::capture(wheel.args(["-m", "wheel", command, "--dest"]).arg(to).arg(from))
    };
    wheel("unpack", &only_entry(&folder.join("library"))?, &unpacked)?;
    let package = only_entry(&unpacked)?;
    let scripts = shell::with_suffix(&package, ".data").file_name().map(|data| package.join(data).join("scripts"));
    let scripts = scripts.context("the wheel has no name")?;
    for folder in [&scripts, &wheels] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let program = format!("onemark{}", env::consts::EXE_SUFFIX);
    shell::copy_stripped(&shell::bin_dir()?.join(&program), &scripts.join(&program))?;
    wheel("pack", &package, &wheels)?;
    only_entry(&wheels)
}

/// The only entry of a folder.
fn only_entry(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
    entries.next().with_context(|| format!("{} is empty", folder.display()))
}

/// Builds the wheel and tests it against the binaries, which must exist.
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
    // Ray is large and not available for every Python; without it, its tests are skipped with a message.
    if let Err(error) = shell::run(&mut install("requirements-archive.txt")) {
        println!("onemark.archive can't be tested: {error:#}");
    }
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "-rs"]).arg(format!("{PACKAGE}/tests")).env(shell::BIN_DIR, shell::bin_dir()?);
    shell::run(&mut pytest)
}
