//! libtorch, for the trainer: finds one of the right version, or makes a CPU-only one, and links it to `target/libtorch`,
//! where cargo looks for it (`.cargo/config.toml`).

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_dir as symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::wheel::{self, Wheel};
use crate::shell;

/// The version tch is made for.
const VERSION: &str = "2.11.0";

/// Where cargo looks for it.
const LINK: &str = "target/libtorch";

/// Only PyTorch's CPU part is needed, but the package index has it only together with CUDA's part. The two small wheels hold
/// libraries that the CPU part needs.
const WHEELS: [Wheel; 3] = [
    Wheel {
        name: "torch",
        version: VERSION,
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
    },
    Wheel {
        name: "nvidia-cuda-runtime",
        version: "13.0.96",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    },
    Wheel {
        name: "nvidia-cuda-cupti",
        version: "13.0.85",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    },
];

/// The libraries of these wheels that form a CPU-only libtorch.
const LIBRARIES: [&str; 6] = [
    "torch/lib/libc10.so",
    "torch/lib/libgomp.so.1",
    "torch/lib/libtorch.so",
    "torch/lib/libtorch_cpu.so",
    "nvidia/cu13/lib/libcudart.so.13",
    "nvidia/cu13/lib/libcupti.so.13",
];

const PRINT_TORCH_FOLDER: &str = "import torch; print(torch.__path__[0])";

/// Makes `target/libtorch` a libtorch of the right version, and returns the line to print.
pub fn find_or_make(cuda: bool) -> Result<String> {
    let found = match find(cuda)? {
        None if cuda => find(false)?, // one without CUDA still runs everything else
        found => found,
    };
    let (folder, origin) = match found {
        Some(found) => found,
        None => make()?,
    };
    link(&folder)?;
    let kind = match (has_cuda(&folder), cuda) {
        (true, _) => "with CUDA",
        (false, false) => "CPU only",
        (false, true) => "CPU only (to train on CUDA: pip install torch==2.11.0, then set up again)",
    };
    Ok(format!("{}, {kind}, {origin}: {}", version(&folder)?, folder.display()))
}

/// The first of: LIBTORCH, what an earlier run linked, Python's torch. With `cuda`, the last two must have CUDA.
fn find(cuda: bool) -> Result<Option<(PathBuf, &'static str)>> {
    if let Some(folder) = users_own() {
        let version = version(&folder).context("LIBTORCH is set, but not to a libtorch")?;
        if !fits(&version) {
            bail!("LIBTORCH is libtorch {version} ({}), but {VERSION} is needed: unset it", folder.display());
        }
        return Ok(Some((folder.canonicalize()?, "from LIBTORCH")));
    }
    let suits = |folder: &Path| version(folder).is_ok_and(|v| fits(&v)) && (!cuda || has_cuda(folder));
    if let Ok(folder) = Path::new(LINK).canonicalize()
        && suits(&folder)
    {
        return Ok(Some((folder, "found")));
    }
    if let Ok(folder) = shell::capture(shell::python().args(["-c", PRINT_TORCH_FOLDER]))
        && suits(Path::new(&folder))
    {
        return Ok(Some((folder.into(), "found in Python")));
    }
    Ok(None)
}

/// LIBTORCH, unless cargo set it to the link itself, as `.cargo/config.toml` asks.
fn users_own() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("LIBTORCH")?);
    let is_link =
        folder.ends_with(LINK) && folder.ancestors().nth(2)?.canonicalize().ok() == std::env::current_dir().ok();
    (!is_link).then_some(folder)
}

/// Makes the CPU-only folder, unless an earlier run did.
fn make() -> Result<(PathBuf, &'static str)> {
    let folder = shell::cache()?.join(format!("libtorch-{VERSION}-cpu"));
    if version(&folder).is_ok_and(|v| fits(&v)) {
        return Ok((folder, "found"));
    }
    super::ensure_wheels_fit("libtorch", "LIBTORCH")?;
    println!("fetching libtorch {VERSION} out of PyTorch's wheel (540 MB; 1.6 GB of disk while unpacking) …");
    shell::replace_folder(&folder, |folder| {
        wheel::unpack(&WHEELS, folder, place)?;
        let path = folder.join("build-version");
        fs::write(&path, VERSION).with_context(|| format!("cannot write {}", path.display()))
    })?;
    Ok((folder, "fetched"))
}

/// Where a member of the wheels goes.
fn place(member: &str) -> Option<PathBuf> {
    if LIBRARIES.contains(&member) {
        return Some(Path::new("lib").join(Path::new(member).file_name()?));
    }
    let header = member.strip_prefix("torch/").filter(|path| path.starts_with("include/"));
    header.map(PathBuf::from)
}

fn link(folder: &Path) -> Result<()> {
    let link = Path::new(LINK);
    if link.canonicalize().ok() == folder.canonicalize().ok() {
        return Ok(());
    }
    let replaces = link.is_symlink();
    let new = shell::with_suffix(link, ".new");
    fs::create_dir_all("target").context("cannot make target")?;
    fs::remove_file(&new).ok(); // what an interrupted run left behind
    symlink(folder, &new)
        .and_then(|()| fs::rename(&new, link))
        .with_context(|| format!("cannot link {LINK} to {}", folder.display()))?;
    if replaces {
        // Cargo sees the same path as before, so it would link what was compiled against another libtorch.
        shell::run(shell::cargo().args(["clean", "-q", "-p", "torch-sys", "-p", "onemark-trainer"]))?;
    }
    Ok(())
}

fn has_cuda(folder: &Path) -> bool {
    folder.join("lib/libtorch_cuda.so").exists()
}

/// The version of the libtorch in `folder`: downloads state it in a separate file, Python's torch in a header.
fn version(folder: &Path) -> Result<String> {
    if let Ok(text) = fs::read_to_string(folder.join("build-version")) {
        return Ok(text.trim().to_owned());
    }
    let header = folder.join("include/torch/headeronly/version.h");
    let text = fs::read_to_string(&header)
        .with_context(|| format!("{} has neither build-version nor {}", folder.display(), header.display()))?;
    version_in_header(&text).with_context(|| format!("{} names no version", header.display()))
}

fn version_in_header(text: &str) -> Option<String> {
    let after = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let [major, minor, patch] =
        ["MAJOR", "MINOR", "PATCH"].map(|part| after(&format!("#define TORCH_VERSION_{part} ")));
    Some(format!("{}.{}.{}", major?, minor?, patch?))
}

/// Same major and minor version; what follows ("+cpu", a patch) does not change the interface.
fn fits(version: &str) -> bool {
    let minor = |version: &str| version.split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    minor(version) == minor(VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_from_the_header_of_pythons_torch() {
        let header = "/// major\n#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n\
                      #define TORCH_VERSION_PATCH 0\n#define TORCH_VERSION_ABI_TAG 0\n#define TORCH_VERSION \\\n  \"2.11.0\"\n";
        assert_eq!(version_in_header(header).as_deref(), Some("2.11.0"));
        assert_eq!(version_in_header("#define TORCH_VERSION_MAJOR 2\n"), None);
    }

    #[test]
    fn only_the_minor_version_tch_is_made_for_fits() {
        assert!(fits("2.11.0") && fits("2.11.0+cpu") && fits("2.11.1+cu130"));
        assert!(!fits("2.1.0") && !fits("2.110.0") && !fits("2.1") && !fits("1.11.0") && !fits(""));
    }

    #[test]
    fn only_headers_and_the_cpu_libraries_are_taken() {
        assert_eq!(place("torch/include/torch/torch.h"), Some("include/torch/torch.h".into()));
        assert_eq!(place("nvidia/cu13/lib/libcudart.so.13"), Some("lib/libcudart.so.13".into()));
        assert_eq!(place("torch/lib/libtorch_cuda.so"), None);
        assert_eq!(place("torch/__init__.py"), None);
    }
}
