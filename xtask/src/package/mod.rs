//! `cargo xtask package`: one archive for users, in `target/package`.
//!
//! ```text
//! bin/      onemark, onemark-export, and ONNX Runtime, which they find in their own folder
//! c/        the C library, shared and static, and its header
//! python/   the wheel, whose `onemark` script is the whole command line
//! docs/, README.md, licences, THIRD-PARTY.txt and -rust.html, sbom.cdx.json
//! ```
//!
//! The trainer is not included, because it needs a libtorch that fits the lab's GPU (1.4 GB unpacked). Labs build it from source.

mod notices;
mod parts;
mod sbom;

use std::env::consts::{ARCH, DLL_PREFIX, DLL_SUFFIX, EXE_SUFFIX, OS};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::setup::onnxruntime;
use crate::{setup, shell, wheel};

const FOLDER: &str = "target/package";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const RUST_NOTICES: &str = "share/doc/rust/COPYRIGHT-library.html";
const PROGRAMS: [&str; 2] = ["onemark", "onemark-export"];
const DOCUMENTS: [&str; 5] = ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// Builds all parts, tests them, and packs them.
pub fn run() -> Result<()> {
    setup::run(&setup::Options::default())?;
    shell::build_all()?;
    let wheel = wheel::build()?;
    let library = Path::new(FOLDER).join("onnxruntime");
    let version = onnxruntime::unpack_for_shipping(&library)?;

    let name = format!("onemark-{VERSION}-{ARCH}-{OS}");
    let folder = Path::new(FOLDER).join(&name);
    shell::replace_folder(&folder, |folder| fill(folder, &wheel, &library, &version))?;
    for program in PROGRAMS {
        // The programs must run without this machine's variables.
        let mut program = Command::new(folder.join("bin").join(program));
        println!("{}", shell::capture(program.arg("--version").env_clear())?);
    }
    let archive = format!("{name}.tar.gz");
    shell::run(Command::new("tar").current_dir(FOLDER).args(["-czf", &archive, &name]))?;
    println!("archive       {FOLDER}/{archive}");
    Ok(())
}

fn fill(folder: &Path, wheel: &Path, library: &Path, version: &str) -> Result<()> {
    let built = shell::bin_dir()?;
    let place = |part: &str| -> Result<PathBuf> {
        let place = folder.join(part);
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        Ok(place)
    };
    let bin = place("bin")?;
    for program in PROGRAMS {
        let program = format!("{program}{EXE_SUFFIX}");
        shell::copy_stripped(&built.join(&program), &bin.join(&program))?;
    }
    // Providers are libraries for other devices; the CPU needs none.
    shell::copy(&library.join(onnxruntime::LIBRARY), &bin)?;
    let (lib, include) = (place("c/lib")?, place("c/include")?);
    let static_library = if cfg!(windows) { "onemark_c.lib" } else { "libonemark_c.a" };
    for file in [&format!("{DLL_PREFIX}onemark_c{DLL_SUFFIX}"), static_library] {
        shell::copy_stripped(&built.join(file), &lib.join(file))?;
    }
    shell::copy(Path::new("runtime/bindings/c/include/onemark.h"), &include)?;
    shell::copy(Path::new("runtime/bindings/c/examples/detect.c"), &place("c/examples")?)?;
    shell::copy(wheel, &place("python")?)?;
    for document in DOCUMENTS {
        shell::copy(Path::new(document), folder)?;
    }
    let docs = place("docs")?;
    for document in fs::read_dir("docs")? {
        shell::copy(&document?.path(), &docs)?;
    }

    let parts = parts::parts()?;
    let sha256 = format!("{:x}", Sha256::digest(fs::read(library.join(onnxruntime::LIBRARY))?));
    let sbom = sbom::sbom(VERSION, &parts, &sbom::Library { version: version.to_owned(), sha256 });
    fs::write(folder.join("sbom.cdx.json"), serde_json::to_string_pretty(&sbom)? + "\n")?;
    let others = [("ONNX Runtime", onnxruntime::notices(library)?)];
    fs::write(folder.join("THIRD-PARTY.txt"), notices::notices(&parts, &others)?)?;
    // The notices of Rust's standard library, which is part of every program.
    let sysroot = shell::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    fs::copy(Path::new(&sysroot).join(RUST_NOTICES), folder.join("THIRD-PARTY-rust.html"))
        .with_context(|| format!("this compiler has no {RUST_NOTICES}"))?;
    println!("parts         {} crates and ONNX Runtime {version}", parts.len());
    Ok(())
}
