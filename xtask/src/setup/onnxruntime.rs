//! ONNX Runtime, for the runtime: the library at ORT_DYLIB_PATH, or the one in the Python wheel, which is put where the runtime
//! looks for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::wheel::{self, Wheel};
use crate::shell;

const CPU: Wheel = Wheel {
    name: "onnxruntime",
    version: "1.31.0",
    sha256: "d4092b78fc5bab77ce6522393098cdb2535423045ecdcff15cc0d022162d6b66",
};

/// The wheel with CUDA, which also runs on the CPU.
const CUDA: Wheel = Wheel {
    name: "onnxruntime-gpu",
    version: "1.31.0",
    sha256: "f9a79e13492ce69cf58d7b97a7639bf407c8a4db291d9f6125131eac1d5758b9",
};

/// The oldest ONNX Runtime 1.x that the runtime accepts.
const OLDEST_MINOR: u32 = 23;

/// The file name of the library that the runtime looks for.
pub const LIBRARY: &str = "libonnxruntime.so";

/// The wheel's files with its licence and those of its parts.
const LICENCES: [&str; 2] = ["LICENSE", "ThirdPartyNotices.txt"];

/// Prints the version of a library by loading it, which proves more than its name.
const PRINT_VERSION: &str = r#"
import ctypes, sys
class Base(ctypes.Structure):
    _fields_ = [("get_api", ctypes.c_void_p), ("get_version", ctypes.CFUNCTYPE(ctypes.c_char_p))]
base = ctypes.CDLL(sys.argv[1]).OrtGetApiBase
base.restype = ctypes.POINTER(Base)
print(base().contents.get_version().decode())
"#;

/// Makes sure that the runtime finds an ONNX Runtime, and returns the line to print.
pub fn find_or_make(cuda: bool) -> Result<String> {
    if let Some(library) = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from) {
        let version = version(&library).context("ORT_DYLIB_PATH is set, but not to an ONNX Runtime that loads")?;
        if !fits(&version) {
            bail!("ORT_DYLIB_PATH is ONNX Runtime {version}, but 1.{OLDEST_MINOR} or newer is needed: unset it");
        }
        return Ok(format!("{version}, from ORT_DYLIB_PATH: {}", library.display()));
    }

    let folder = shell::cache()?.join("onnxruntime");
    let library = folder.join(LIBRARY);
    let installed = fs::read_to_string(folder.join("VERSION")).unwrap_or_default();
    let enough: &[Wheel] = if cuda { &[CUDA] } else { &[CPU, CUDA] };
    let origin = match enough.iter().any(|wheel| installed == label(wheel)) && library.exists() {
        true => "found",
        false => {
            super::ensure_wheels_fit("ONNX Runtime", "ORT_DYLIB_PATH")?;
            make(if cuda { CUDA } else { CPU }, &folder)?;
            "fetched"
        }
    };
    let version = version(&library)?;
    let kind = if folder.join("libonnxruntime_providers_cuda.so").exists() { "with CUDA" } else { "CPU only" };
    Ok(format!("{version}, {kind}, {origin}: {}", folder.display()))
}

/// Fills `folder` with the library of a wheel.
pub fn make(wheel: Wheel, folder: &Path) -> Result<()> {
    let label = label(&wheel);
    println!("fetching {label} …");
    shell::replace_folder(folder, |folder| {
        wheel::unpack(&[wheel], folder, place)?;
        let path = folder.join("VERSION");
        fs::write(&path, label).with_context(|| format!("cannot write {}", path.display()))
    })
}

/// Fills `folder` with the library for the CPU that ships, and its licences, unless an earlier run did; returns its version.
pub fn unpack_for_shipping(folder: &Path) -> Result<String> {
    if !LICENCES.iter().all(|name| folder.join(name).exists()) {
        super::ensure_wheels_fit("the ONNX Runtime that ships", "nothing")?;
        shell::replace_folder(folder, |folder| {
            let licence = |member: &str| LICENCES.iter().find(|name| member == format!("onnxruntime/{name}"));
            wheel::unpack(&[CPU], folder, |member| licence(member).map(PathBuf::from).or_else(|| place(member)))
        })?;
    }
    version(&folder.join(LIBRARY))
}

/// The licence texts in a folder that [`unpack_for_shipping`] has filled.
pub fn notices(folder: &Path) -> Result<Vec<String>> {
    let read = |name| fs::read_to_string(folder.join(name)).with_context(|| format!("cannot read {name}"));
    LICENCES.iter().map(read).collect()
}

/// The name for a member of the wheel. The library's name loses its version, because the runtime looks for it without one. The
/// providers keep their names, because the library loads them by name from its own folder.
fn place(member: &str) -> Option<PathBuf> {
    let name = member.strip_prefix("onnxruntime/capi/")?;
    if name.starts_with("libonnxruntime_providers_") {
        return Some(name.into());
    }
    name.starts_with("libonnxruntime.so").then(|| LIBRARY.into())
}

fn label(wheel: &Wheel) -> String {
    format!("{} {}", wheel.name, wheel.version)
}

fn version(library: &Path) -> Result<String> {
    shell::capture(shell::python().args(["-c", PRINT_VERSION]).arg(library))
        .with_context(|| format!("cannot load {}", library.display()))
}

fn fits(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    matches!((parts.next(), parts.next()), (Some(Ok(1)), Some(Ok(minor))) if minor >= OLDEST_MINOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runtime_refuses_does_not_fit() {
        assert!(fits("1.23.0") && fits("1.31.0"));
        assert!(!fits("1.22.1") && !fits("1.3.1") && !fits("0.31.0") && !fits("1") && !fits("new"));
    }

    #[test]
    fn only_the_library_and_its_providers_are_taken() {
        assert_eq!(place("onnxruntime/capi/libonnxruntime.so.1.31.0"), Some("libonnxruntime.so".into()));
        let provider = "libonnxruntime_providers_cuda.so";
        assert_eq!(place(&format!("onnxruntime/capi/{provider}")), Some(provider.into()));
        assert_eq!(place("onnxruntime/capi/onnxruntime_pybind11_state.so"), None);
    }
}
