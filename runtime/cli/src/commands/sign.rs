//! `onemark sign`: signs a bundle, so that others can verify who made it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use onemark_models::bundle::Bundle;
use onemark_models::files::is_same;
use onemark_signing::{Signature, SigningKey, TrustedKeys, sign};

use crate::console;

/// The variable with the file of the private key.
const KEY: &str = "ONEMARK_SIGNING_KEY";

/// Signs a bundle with a private key, so that others can verify who made it and that nothing of it was changed since
///
/// The signature becomes a file beside the bundle; ship both. The bundle itself does not change. The key is an EC key on the
/// curve P-256 in PEM, as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes it. Its public half verifies
/// the signature: `onemark verify BUNDLE --trust PUBLIC.pem`.
#[derive(Args)]
pub struct Sign {
    /// The bundle
    bundle: PathBuf,
    /// The private key (PEM), a file or a pipe [default: what ONEMARK_SIGNING_KEY names]
    #[arg(long, value_name = "KEY")]
    key: Option<PathBuf>,
    /// The signature [default: beside the bundle, its name with .sig at the end]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a signature that already exists
    #[arg(long)]
    force: bool,
}

impl Sign {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let out = self.out.clone().unwrap_or_else(|| Signature::place_for(&self.bundle));
        let file = self.key.clone().or_else(|| env::var_os(KEY).filter(|file| !file.is_empty()).map(PathBuf::from));
        self.validate(&out, file.as_deref())?;
        let file = file.with_context(|| format!("there is no key: give --key, or set {KEY} to its file"))?;
        let key = SigningKey::open(&file)?;
        if others_have_access(&file) {
            let file = file.display();
            console::note(format_args!(
                "warning: others can read or change the private key {file}; `chmod 600 {file}` prevents that"
            ));
        }
        let bundle = Bundle::open(&self.bundle)?;
        let signature = sign(&bundle, &key)?;

        // What nobody can verify is not written.
        let mut own = TrustedKeys::default();
        own.add("of the signature", key.public().clone());
        let signer = own.verify(&bundle, &Signature::from_bytes(&signature, &out)?)?;
        console::write_file(&out, &signature)?;
        console::note(format_args!("wrote {}", out.display()));
        console::print(format_args!("SHA-256 of the public key: {}\n", signer.fingerprint))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses a place that is not one for a signature, before any work is done.
    fn validate(&self, out: &Path, key: Option<&Path>) -> anyhow::Result<()> {
        let shown = out.display();
        if key.is_some_and(|key| is_same(out, key)) {
            bail!("{shown} is the private key, which a signature would replace; choose another place by --out");
        }
        if fs::symlink_metadata(out).is_ok() && !self.force {
            bail!("{shown} already exists; choose another name, or replace it (--force)");
        }
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if is_same(folder, &self.bundle) || is_same(out, &self.bundle) {
            bail!("{shown} is in the bundle, which holds only its own files; choose another place by --out");
        }
        if out.is_file() {
            Signature::open(out).context("only a signature is replaced; choose another place by --out")?;
        }
        console::validate_output(out)
    }
}

/// Whether other people on this machine may read or change a file.
#[cfg(unix)]
fn others_have_access(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file).is_ok_and(|there| there.is_file() && there.permissions().mode() & 0o066 != 0)
}

#[cfg(not(unix))]
fn others_have_access(_: &Path) -> bool {
    false
}
