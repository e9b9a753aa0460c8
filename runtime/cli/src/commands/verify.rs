//! `onemark verify`: verifies a bundle by opening it, without running it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onemark_runtime::backend::check_graphs;
use onemark_signing::Signature;

use crate::console;
use crate::trust::TrustOptions;

/// Verifies that a bundle is complete: no file missing, none added, sizes and SHA-256 as its manifest states
///
/// All graphs must be of the bundle's format, and all weights finite numbers.
///
/// Exit status: 0 if it is. Digests prove that files belong together, not who made them: give the maker's public key with
/// --trust if the bundle is signed, or compare the printed digest with the one that the maker gave you.
#[derive(Args)]
pub struct Verify {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    trust: TrustOptions,
}

impl Verify {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (bundle, signer) = self.trust.open_signed(&self.bundle)?;
        check_graphs(&bundle)?;
        let (files, bytes) = (bundle.manifest().files.len(), bundle.total_bytes());
        console::print(format_args!(
            "{}: whole, {files} files with {:.1} MB\nSHA-256 of its manifest: {}\n",
            self.bundle.display(),
            bytes as f64 / 1e6,
            bundle.digest(),
        ))?;
        match signer {
            Some(signer) => console::print(format_args!("signed with {signer}\n"))?,
            None if Signature::place_for(&self.bundle).exists() => {
                console::print("its signature was not verified: give the maker's public key with --trust\n")?;
            }
            None => {}
        }
        let unused: Vec<&str> = bundle.unused().collect();
        if !unused.is_empty() {
            console::print(format_args!("not used by it: {}\n", unused.join(", ")))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
