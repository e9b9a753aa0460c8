//! Extracts native libraries from Python wheels. pip downloads them and verifies the hashes; nothing is installed, and no
//! Python code of a wheel is ever run.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use zip::ZipArchive;

use crate::shell;

/// One wheel, identified by its SHA-256.
pub struct Wheel {
    /// Name on the package index.
    pub name: &'static str,
    /// Exact version.
    pub version: &'static str,
    /// SHA-256 of the file for CPython 3.11 on Linux x86_64, in hexadecimal.
    pub sha256: &'static str,
}

/// The file of a release to download, whichever Python runs pip. The libraries inside are the same in all files, so one hash
/// is enough.
const PLATFORM: [&str; 10] = [
    "--only-binary=:all:",
    "--implementation=cp",
    "--python-version=3.11",
    "--abi=cp311",
    "--platform",
    "manylinux_2_28_x86_64",
    "--platform",
    "manylinux_2_25_x86_64",
    "--platform",
    "manylinux_2_17_x86_64",
];

/// Downloads `wheels` and writes their members to where `place` says, relative to `folder`; `None` leaves one out.
pub fn unpack(wheels: &[Wheel], folder: &Path, place: impl Fn(&str) -> Option<PathBuf>) -> Result<()> {
    shell::capture(shell::python().args(["-m", "pip", "--version"]))
        .context("set-up fetches wheels with pip (on Debian and Ubuntu: apt install python3-pip)")?;

    let downloads = folder.join("wheels");
    fs::create_dir(&downloads).with_context(|| format!("cannot make {}", downloads.display()))?;
    download(wheels, &downloads)?;
    for entry in fs::read_dir(&downloads)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            take(&path, folder, &place).with_context(|| format!("cannot unpack {}", path.display()))?;
        }
    }
    fs::remove_dir_all(&downloads).with_context(|| format!("cannot remove {}", downloads.display()))
}

fn download(wheels: &[Wheel], downloads: &Path) -> Result<()> {
    let requirements = downloads.join("requirements.txt");
    let lines = wheels.iter().map(|w| format!("{}=={} --hash=sha256:{}\n", w.name, w.version, w.sha256));
    fs::write(&requirements, lines.collect::<String>())
        .with_context(|| format!("cannot write {}", requirements.display()))?;

    let mut pip = shell::python();
    pip.args(["-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--require-hashes"]).args(PLATFORM);
    pip.arg("--dest").arg(downloads).arg("--requirement").arg(&requirements);
    pip.env("TMPDIR", downloads); // where pip unpacks may be a small file system in memory
    let names = wheels.iter().map(|w| format!("{} {}", w.name, w.version)).collect::<Vec<_>>().join(", ");
    shell::run(&mut pip).map_err(|_| {
        anyhow!(
            "pip could not download {names}; see its message above. Without a package index, install the libraries \
             yourself and set LIBTORCH (a libtorch folder) and ORT_DYLIB_PATH (a libonnxruntime.so)"
        )
    })
}

fn take(wheel: &Path, folder: &Path, place: &impl Fn(&str) -> Option<PathBuf>) -> Result<()> {
    let mut archive = ZipArchive::new(File::open(wheel)?)?;
    for index in 0..archive.len() {
        let mut member = archive.by_index(index)?;
        let Some(target) = place(&member.name()?).filter(|_| member.is_file()) else {
            continue;
        };
        let target = folder.join(target);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let written = File::create(&target).and_then(|mut file| io::copy(&mut member, &mut file));
        written.with_context(|| format!("cannot write {}", target.display()))?;
    }
    Ok(())
}
