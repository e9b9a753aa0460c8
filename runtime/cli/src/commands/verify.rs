//! `onemark verify`: whether a bundle is whole. Opening it proves that; nothing is run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onemark_models::bundle::Bundle;

use crate::console;

/// Checks that a bundle is whole: every file there, none added, sizes and SHA-256 as its manifest says
///
/// Exit status: 0 where it is whole. Digests prove that files belong together, not who made them: compare the printed digest
/// with the one that its maker gave you.
#[derive(Args)]
pub struct Verify {
    /// The bundle
    bundle: PathBuf,
}

impl Verify {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = Bundle::open(&self.bundle)?;
        let (files, bytes) = (bundle.manifest().files.len(), bundle.total_bytes());
        console::print(format_args!(
            "{}: whole, {files} files with {:.1} MB\nSHA-256 of its manifest: {}\n",
            self.bundle.display(),
            bytes as f64 / 1e6,
            bundle.digest()?,
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
