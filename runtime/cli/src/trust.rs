//! Whose bundles the commands open: those that trusted keys have signed, or any. The signatures are in [`onemark_signing`].

use std::env;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use onemark_models::bundle::Bundle;
use onemark_signing::{Signature, Signer, TrustedKeys};

use crate::console;

/// The variable with the keys that are trusted if `--trust` names none; separated like the folders of `PATH`.
const TRUST: &str = "ONEMARK_TRUST";

/// Options of all commands that open a bundle.
#[derive(Args)]
pub struct TrustOptions {
    /// Refuse the bundle unless one of these keys has signed it: a public key (PEM), or a folder of them; may be given several
    /// times [default: what ONEMARK_TRUST names]
    #[arg(long, value_name = "KEY")]
    trust: Vec<PathBuf>,
    /// The bundle's signature [default: beside the bundle, its name with .sig at the end]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
}

impl TrustOptions {
    /// Opens a bundle. If keys are trusted, one of them must have signed it; which one is noted.
    pub fn open(&self, path: &Path) -> anyhow::Result<Bundle> {
        Ok(self.open_noted(path)?.0)
    }

    /// Opens a bundle like [`TrustOptions::open`]; who signed it, if keys are trusted.
    pub fn open_noted(&self, path: &Path) -> anyhow::Result<(Bundle, Option<Signer>)> {
        let (bundle, signer) = self.open_signed(path)?;
        if let Some(signer) = &signer {
            console::note(format_args!("{}: signed with {signer}", path.display()));
        }
        Ok((bundle, signer))
    }

    /// The same without a note.
    pub fn open_signed(&self, path: &Path) -> anyhow::Result<(Bundle, Option<Signer>)> {
        match self.keys()? {
            Some(keys) => {
                let (bundle, signer) = keys.open_bundle(path, self.signature.as_deref())?;
                Ok((bundle, Some(signer)))
            }
            None if self.signature.is_some() => {
                bail!("--signature says nothing without a key that is trusted: give --trust or set {TRUST}")
            }
            None => Ok((Bundle::open(path)?, None)),
        }
    }

    /// The files that it reads beside this bundle: keys, or their folders, and the signature.
    pub fn files(&self, bundle: &Path) -> impl Iterator<Item = PathBuf> {
        let trusted = env::var_os(TRUST).filter(|_| self.trust.is_empty());
        let trusted: Vec<PathBuf> = trusted.iter().flat_map(env::split_paths).collect();
        let signature = self.signature.clone().unwrap_or_else(|| Signature::place_for(bundle));
        self.trust.iter().cloned().chain(trusted).chain([signature])
    }

    /// The trusted keys; `None` if any bundle is opened.
    fn keys(&self) -> anyhow::Result<Option<TrustedKeys>> {
        if !self.trust.is_empty() {
            return Ok(Some(TrustedKeys::open(&self.trust)?));
        }
        let Some(paths) = env::var_os(TRUST) else { return Ok(None) };
        let paths: Vec<PathBuf> = env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect();
        // A mistake in a script must not switch the check off.
        if paths.is_empty() {
            bail!("{TRUST} is set, but empty: set it to public keys or their folder, or unset it");
        }
        Ok(Some(TrustedKeys::open(paths)?))
    }
}
