//! `cargo xtask setup`: finds libtorch and ONNX Runtime, or fetches them once. One module per part; each has one
//! `find_or_make`, which returns the line to print. Running it again finds what is there.

mod libtorch;
pub mod onnxruntime;
mod weights;
pub mod wheel;

use std::fs::File;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Options of `setup`.
#[derive(clap::Args, Default)]
pub struct Options {
    /// Fetch the ONNX Runtime with CUDA (256 MB; needs CUDA 13 and cuDNN 9), and look for a libtorch with CUDA
    #[arg(long)]
    cuda: bool,
    /// Fetch torchvision's VGG19 (548 MB), the initial trunk of every recipe for real films
    #[arg(long)]
    weights: bool,
}

/// Sets up each part and prints one line for it.
pub fn run(options: &Options) -> Result<()> {
    // Two set-ups at once would download the same files into the same folders. The lock ends with the file handle.
    let lock_path = shell::cache()?.join("setup.lock");
    let lock = File::create(&lock_path).with_context(|| format!("cannot write {}", lock_path.display()))?;
    lock.lock().with_context(|| format!("cannot lock {}", lock_path.display()))?;

    println!("libtorch      {}", libtorch::find_or_make(options.cuda)?);
    println!("ONNX Runtime  {}", onnxruntime::find_or_make(options.cuda)?);
    if options.weights {
        println!("VGG19         {}", weights::find_or_fetch()?);
    }
    Ok(())
}

/// The libraries in the pinned wheels are for Linux x86_64; on other platforms they must already be installed.
fn ensure_wheels_fit(part: &str, variable: &str) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("set-up fetches {part} for Linux x86_64 only: install it yourself and set {variable} to it");
    }
    Ok(())
}
