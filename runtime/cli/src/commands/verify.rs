//! `onemark verify`: verifies a bundle by opening it, without running it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onemark_models::bundle::Bundle;
use onemark_runtime::backend::check_graphs;

use crate::console;

/// Verifies that a bundle is complete: no file missing, none added, sizes and SHA-256 as its manifest states
///
/// All graphs must be of the bundle's format, and all weights finite numbers.
///
/// Exit status: 0 if it is. Digests prove that files belong together, not who made them: compare the printed digest
/// with the one that the bundle's maker gave you.
#[derive(Args)]
pub struct Verify {
    /// The bundle
    bundle: PathBuf,
}

impl Verify {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = Bundle::open(&self.bundle)?;
        check_graphs(&bundle)?;
        let (files, bytes) = (bundle.manifest().files.len(), bundle.total_bytes());
        console::print(format_args!(
            "{}: whole, {files} files with {:.1} MB\nSHA-256 of its manifest: {}\n",
            self.bundle.display(),
            bytes as f64 / 1e6,
            bundle.digest(),
        ))?;
        let unused: Vec<&str> = bundle.unused().collect();
        if !unused.is_empty() {
            console::print(format_args!("not used by it: {}\n", unused.join(", ")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
