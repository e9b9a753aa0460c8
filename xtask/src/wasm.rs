//! The viewer's page in a browser: as `onemark view` serves it, and with the engine compiled to WebAssembly, which needs no server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{peers, setup, shell};

/// The files of the viewer's page.
const PAGE_FILES: &str = "runtime/viewer/page";
const TESTS: &str = "tests/browser";
const TARGET: &str = "wasm32-unknown-unknown";

/// The folder of the complete page, which any web server can serve.
const PAGE: &str = "target/wasm/page";

/// Builds the binaries that the pages are compared with, then the page, and tests both.
pub fn run() -> Result<()> {
    if !can_build()? {
        bail!("Rust can't compile for browsers here: `rustup target add {TARGET}`");
    }
    setup::run(&setup::Options::default())?;
    shell::build_binaries()?;
    test()
}

/// Whether Rust can compile for browsers here.
pub fn can_build() -> Result<bool> {
    shell::has_target(TARGET)
}

/// Tests the page that `onemark view` serves, and, if Rust can compile for browsers here, builds and tests the one that needs no
/// server. The binaries must exist.
pub fn test() -> Result<()> {
    let mut pytest = Command::new(peers::python("browser", "requirements-browser.txt")?);
    pytest.args(["-m", "pytest", "-rs", TESTS]).env(shell::BIN_DIR, shell::bin_dir()?);
    if can_build()? {
        build()?;
        pytest.args(["--page", PAGE]);
    }
    shell::run(&mut pytest)
}

fn build() -> Result<()> {
    // A separate target folder, so that two kinds of build do not wait for each other.
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
        // The page imports `engine.js`; here it is the engine in the browser.
        fs::rename(page.join("engine-worker.js"), page.join("engine.js"))?;
        // What only a server answers for.
        for file in ["engine-server.js", "annotate.html", "annotate.js"] {
            fs::remove_file(page.join(file))?;
        }
        Ok(())
    })?;
    println!("page          {PAGE}");
    Ok(())
}

/// wasm-bindgen's program in the version of the library; compiled once into the cache folder.
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
