//! Links the trainer to libtorch so that it runs with no `LD_LIBRARY_PATH`.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let Some(libtorch) = std::env::var_os("LIBTORCH") else {
        return; // torch-sys looks in other places, or reports what is missing
    };
    let libtorch = PathBuf::from(libtorch);
    // Every libtorch states its version in this file.
    if let Ok(version) = std::fs::read_to_string(libtorch.join("build-version")) {
        println!("cargo::rustc-env=ONEMARK_LIBTORCH_VERSION={}", version.trim());
    }
    let lib = libtorch.join("lib");
    println!("cargo::rerun-if-changed={}", lib.join("libtorch_cpu.so").display());
    let Ok(lib) = lib.canonicalize() else {
        return; // as above
    };
    // The real path: `target/libtorch` is a link that set-up may point elsewhere.
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    if lib.join("libtorch_cuda.so").exists() {
        // No symbol of it is named, so the linker would drop it; yet loading it is what brings CUDA.
        println!("cargo::rustc-link-arg=-Wl,--no-as-needed");
        println!("cargo::rustc-link-arg=-ltorch_cuda");
    }
}
