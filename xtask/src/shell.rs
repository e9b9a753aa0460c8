//! Shared by the tasks: running commands and reporting the one that failed, the cache folder, and filling a folder completely
//! or not at all.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use etcetera::BaseStrategy as _;

/// The variable with the folder of the binaries that tests run.
pub const BIN_DIR: &str = "ONEMARK_BIN_DIR";

/// Runs a command; its output goes to the terminal.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs a command and returns its output, trimmed. If it fails, the error includes its last line on standard error.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // Python's last line names the error; the traceback is above it.
        let said = said.trim().lines().last().unwrap_or("it printed no error");
        bail!("`{}` failed: {said}", name(command));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The cargo that runs this task.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The Python that downloads wheels. Onemark does not need it later.
pub fn python() -> Command {
    Command::new("python3")
}

/// Builds the three binaries, with the features of the whole workspace's tests, so that nothing is compiled twice.
pub fn build_binaries() -> Result<()> {
    run(cargo().args(["build", "--workspace", "--exclude", "xtask", "--bins"]))
}

/// Builds the binaries, and the libraries for other languages.
pub fn build_all() -> Result<()> {
    run(cargo().args(["build", "--workspace", "--exclude", "xtask", "--bins", "--lib"]))
}

/// The folder in which cargo puts binaries: that of the running program.
pub fn bin_dir() -> Result<PathBuf> {
    let exe = env::current_exe().context("cannot tell where this program is")?;
    Ok(exe.parent().map(Path::to_owned).unwrap_or_default())
}

/// Whether Rust's standard library for `target` is installed, or will be built from source.
pub fn has_target(target: &str) -> Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries = capture(Command::new(rustc).args(["--print", "target-libdir", "--target", target]))?;
    Ok(Path::new(&libraries).exists() || env::var_os("CARGO_UNSTABLE_BUILD_STD").is_some())
}

/// Onemark's cache folder, on Linux and macOS `${XDG_CACHE_HOME:-~/.cache}/onemark`; it is made if missing. The runtime looks for
/// ONNX Runtime in the same folder.
pub fn cache() -> Result<PathBuf> {
    let folders = etcetera::choose_base_strategy().context("no home folder: set HOME or XDG_CACHE_HOME")?;
    let folder = folders.cache_dir().join("onemark");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Copies a file into a folder under its own name.
pub fn copy(file: &Path, folder: &Path) -> Result<()> {
    let to = folder.join(file.file_name().unwrap_or_default());
    fs::copy(file, &to).map(|_| ()).with_context(|| format!("cannot copy {} to {}", file.display(), to.display()))
}

/// Copies a program or a library, without debugging information if `strip` is installed.
pub fn copy_stripped(file: &Path, to: &Path) -> Result<()> {
    if cfg!(unix) && run(Command::new("strip").args(["-S", "-o"]).arg(to).arg(file)).is_ok() {
        return Ok(());
    }
    fs::copy(file, to).map(|_| ()).with_context(|| format!("cannot copy {} to {}", file.display(), to.display()))
}

/// Replaces `folder` with what `fill` writes into an empty folder. If `fill` fails, nothing changes.
pub fn replace_folder(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let part = with_suffix(folder, ".part");
    if part.exists() {
        // Left by an interrupted run.
        fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
    if let Err(error) = fill(&part) {
        fs::remove_dir_all(&part).ok();
        return Err(error);
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::rename(&part, folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// `path` with `suffix` after its file name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn cannot_start(command: &Command) -> String {
    format!("cannot run `{}` (is it installed?)", name(command))
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The command as a person would type it.
pub fn line(command: &Command) -> String {
    let arguments = command.get_args().map(OsStr::to_string_lossy);
    std::iter::once(name(command).into()).chain(arguments).collect::<Vec<_>>().join(" ")
}
