//! What the tasks share: running commands and saying which one failed, the cache folder, and filling a folder whole or
//! not at all.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs a command in the open; its output is the user's.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs a command and returns what it printed, trimmed. What it said on standard error is in the error.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // Python's last line names the error; what is above it is the traceback.
        let said = said.trim().lines().last().unwrap_or("it said nothing");
        bail!("`{}` failed: {said}", name(command));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The cargo that runs this task.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The Python that fetches wheels; nothing of Onemark needs it later.
pub fn python() -> Command {
    Command::new("python3")
}

/// Builds the three binaries, with the features that testing the whole workspace needs too: nothing is compiled twice.
pub fn build_binaries() -> Result<()> {
    run(cargo().args(["build", "--workspace", "--exclude", "xtask", "--bins"]))
}

/// The same, and the libraries for other languages.
pub fn build_all() -> Result<()> {
    run(cargo().args(["build", "--workspace", "--exclude", "xtask", "--bins", "--lib"]))
}

/// Where cargo puts the binaries it builds: beside the one that runs now.
pub fn bin_dir() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell where this program is")?;
    Ok(exe.parent().map(Path::to_owned).unwrap_or_default())
}

/// Onemark's cache folder, `${XDG_CACHE_HOME:-~/.cache}/onemark`, made if it is not there.
pub fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from) {
        Some(folder) if folder.is_absolute() => folder,
        _ => std::env::home_dir().context("no home folder: set HOME or XDG_CACHE_HOME")?.join(".cache"),
    };
    let folder = base.join("onemark");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Replaces `folder` by what `fill` writes into the empty folder it is given; when that fails, nothing has changed.
pub fn replace_folder(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let part = with_suffix(folder, ".part");
    if part.exists() {
        // What an interrupted run left behind.
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
