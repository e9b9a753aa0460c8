//! The page that needs no server: the viewer's page with the engine compiled to WebAssembly, tested in a browser.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::test::BIN_DIR;
use crate::{peers, setup, shell};

/// The viewer's page, whoever serves it.
const PAGE_FILES: &str = "runtime/viewer/page";
const PACKAGE: &str = "runtime/bindings/wasm";
const TARGET: &str = "wasm32-unknown-unknown";

/// The page, whole: any web server can serve it.
const PAGE: &str = "target/wasm/page";

/// Builds all that the page is compared with, then the page, and tests it.
pub fn run() -> Result<()> {
    if !can_build()? {
        bail!("Rust can't compile for browsers here: `rustup target add {TARGET}`");
    }
    setup::run(&setup::Options::default())?;
    shell::build_binaries()?;
    test()
}

/// Whether Rust's standard library is here for browsers, or is to be built with the rest.
pub fn can_build() -> Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries = shell::capture(Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]))?;
    Ok(Path::new(&libraries).exists() || env::var_os("CARGO_UNSTABLE_BUILD_STD").is_some())
}

/// Builds the page, and tests it against the binaries, which are there.
pub fn test() -> Result<()> {
    build()?;
    let mut pytest = Command::new(peers::python("wasm", "requirements-wasm.txt")?);
    pytest.args(["-m", "pytest", "-rs"]).arg(format!("{PACKAGE}/tests")).env(BIN_DIR, shell::bin_dir()?);
    shell::run(&mut pytest)
}

fn build() -> Result<()> {
    // A folder of its own, so that two kinds of build do not wait for each other.
    shell::run(shell::cargo().args([
        "build",
        "--release",
        "--package",
        "onemark-wasm",
        "--target",
        TARGET,
        "--target-dir",
        "target/wasm",
    ]))?;
    shell::replace_folder(Path::new(PAGE), |page| {
        let mut bindgen = Command::new(wasm_bindgen()?);
        bindgen.args(["--target", "web", "--out-name", "onemark", "--remove-name-section", "--out-dir"]).arg(page);
        shell::run(bindgen.arg(format!("target/wasm/{TARGET}/release/onemark_wasm.wasm")))?;
        for file in fs::read_dir(PAGE_FILES)? {
            let file = file?;
            fs::copy(file.path(), page.join(file.file_name()))?;
        }
        // The page asks `engine.js`: here the one that works within the browser.
        fs::rename(page.join("engine-worker.js"), page.join("engine.js"))?;
        fs::remove_file(page.join("engine-server.js"))?;
        Ok(())
    })?;
    println!("page          {PAGE}");
    Ok(())
}

/// wasm-bindgen's program, of the version that the code is compiled with; compiled once into the cache folder.
fn wasm_bindgen() -> Result<PathBuf> {
    let package = shell::capture(shell::cargo().args(["pkgid", "wasm-bindgen"]))?;
    let (_, version) = package.rsplit_once('@').context("Cargo.lock names no version of wasm-bindgen")?;
    let folder = shell::cache()?.join(format!("wasm-bindgen-{version}"));
    let program = folder.join("bin/wasm-bindgen");
    if !program.exists() {
        let mut install = shell::cargo();
        install.args(["install", "--quiet", "wasm-bindgen-cli", "--version", version, "--root"]);
        shell::run(install.arg(&folder))?;
    }
    Ok(program)
}
