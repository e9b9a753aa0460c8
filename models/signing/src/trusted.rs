//! The keys whose bundles are opened.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use onemark_models::bundle::{Bundle, BundleError};

use crate::statement::Statement;
use crate::{PublicKey, Signature, SigningError};

/// The largest number of keys in a folder.
pub const MOST_KEYS: usize = 1000;

/// Public keys with their names. A bundle is trusted if one of them has signed it.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys {
    keys: Vec<(String, PublicKey)>,
}

/// Who signed a bundle: the name of a trusted key, usually that of its file, and its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The key's name.
    pub name: String,
    /// [`PublicKey::fingerprint`].
    pub fingerprint: String,
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key {} (SHA-256 {})", self.name, self.fingerprint)
    }
}

impl TrustedKeys {
    /// The keys in files, and in the files of folders whose names end in `.pem`. A key's name is that of its file.
    ///
    /// # Errors
    /// A file can't be read or is no public key; a folder has no key.
    pub fn open(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, SigningError> {
        let mut trusted = Self::default();
        for path in paths {
            let path = path.as_ref();
            for file in if path.is_dir() { keys_in(path)? } else { vec![path.to_owned()] } {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                trusted.add(name, PublicKey::open(file)?);
            }
        }
        Ok(trusted)
    }

    /// Adds a key.
    pub fn add(&mut self, name: impl Into<String>, key: PublicKey) {
        self.keys.push((name.into(), key));
    }

    /// Opens a bundle that one of these keys has signed. `signature` is its file; if it is `None`, it is that at
    /// [`Signature::place_for`] the bundle. The signature is verified first, then the bundle is opened, and the digests that were
    /// signed are compared with those of its bytes in memory, which are the ones that a detector runs.
    ///
    /// # Errors
    /// No signature, one that is not by these keys, one of another bundle; or as `Bundle::open`.
    pub fn open_bundle(
        &self,
        bundle: impl AsRef<Path>,
        signature: Option<&Path>,
    ) -> Result<(Bundle, Signer), SigningError> {
        let path = bundle.as_ref();
        fs::metadata(path).map_err(|source| BundleError::Io { path: path.to_owned(), source })?;
        let beside = Signature::place_for(path);
        let file = signature.unwrap_or(&beside);
        if signature.is_none() && fs::symlink_metadata(file).is_err() {
            return Err(SigningError::NotSigned { bundle: path.to_owned(), path: beside });
        }
        let signature = Signature::open(file)?;
        let (signer, statement) = self.signed(&signature)?;
        let bundle = Bundle::open(path)?;
        statement.compare(&bundle, signature.origin())?;
        Ok((bundle, signer))
    }

    /// Verifies that one of these keys has signed a bundle that is already open.
    ///
    /// # Errors
    /// The signature is not by these keys, or of another bundle.
    pub fn verify(&self, bundle: &Bundle, signature: &Signature) -> Result<Signer, SigningError> {
        let (signer, statement) = self.signed(signature)?;
        statement.compare(bundle, signature.origin())?;
        Ok(signer)
    }

    /// The key that made a signature, and what it signed. Nothing is read of what was signed before the key is known.
    fn signed(&self, signature: &Signature) -> Result<(Signer, Statement), SigningError> {
        let path = || signature.origin().to_owned();
        let named = |key: &PublicKey| signature.hint().is_none_or(|hint| hint == key.hint());
        let mut candidates = self.keys.iter().filter(|(_, key)| named(key)).peekable();
        let first = candidates.peek().map(|(name, _)| name.clone());
        let Some((name, key)) = candidates.find(|(_, key)| signature.is_by(key)) else {
            return Err(match (signature.hint(), first) {
                (Some(_), Some(key)) => SigningError::Forged { path: path(), key },
                (hint, _) => {
                    let trusted = self.keys.iter().map(|(name, _)| name.clone()).collect();
                    SigningError::UnknownKey { path: path(), hint: hint.map(str::to_owned), trusted }
                }
            });
        };
        let statement = Statement::from_json(signature.payload()).map_err(|why| SigningError::Statement {
            path: path(),
            key: name.clone(),
            why,
        })?;
        Ok((Signer { name: name.clone(), fingerprint: key.fingerprint().to_owned() }, statement))
    }
}

/// The files of a folder whose names end in `.pem`, in the order of their names.
fn keys_in(folder: &Path) -> Result<Vec<PathBuf>, SigningError> {
    let io = |source| SigningError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pem")) {
            files.push(file);
        }
        if files.len() > MOST_KEYS {
            return Err(SigningError::TooManyKeys { path: folder.to_owned() });
        }
    }
    if files.is_empty() {
        return Err(SigningError::NoKeys { path: folder.to_owned() });
    }
    files.sort();
    Ok(files)
}
