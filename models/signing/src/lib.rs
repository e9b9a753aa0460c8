//! Signatures of bundles: who made a bundle, and that nothing of it was changed since.
//!
//! A signature is a file beside the bundle, in the format of [OpenSSF Model Signing](https://github.com/sigstore/model-transparency):
//! a sigstore bundle with a DSSE envelope, which holds an in-toto statement with the SHA-256 of every file. Keys are ECDSA keys on
//! the curve P-256 in PEM files, as `openssl` makes them. Nothing is asked of a network.
//!
//! A program that runs bundles opens them with [`TrustedKeys::open_bundle`] instead of `Bundle::open`:
//!
//! ```
//! use onemark_signing::{SigningError, TrustedKeys};
//!
//! # fn open() -> Result<(), SigningError> {
//! let keys = TrustedKeys::open(["keys/lab.pem"])?;
//! let (bundle, signer) = keys.open_bundle("first.onemark", None)?;
//! println!("{} was signed with {signer}", bundle.manifest().name);
//! // From here on: `Detector::new(&bundle, options)` of onemark-runtime.
//! # Ok(()) }
//! # assert!(matches!(open(), Err(SigningError::Read { .. })));
//! ```
//!
//! docs/TRUST.md says what a signature proves, and what it does not.

mod envelope;
mod error;
mod key;
mod statement;
mod trusted;

use onemark_models::bundle::Bundle;

pub use self::envelope::{LARGEST_SIGNATURE, Signature};
pub use self::error::{KeyError, SigningError};
pub use self::key::{LARGEST_KEY, PublicKey, SigningKey};
use self::statement::Statement;
pub use self::trusted::{MOST_KEYS, Signer, TrustedKeys};

/// The signature of a bundle as the content of its file: one line of JSON. The same bundle and key give the same signature.
///
/// ```no_run
/// use onemark_models::bundle::Bundle;
/// use onemark_signing::{Signature, SigningKey, sign};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bundle = Bundle::open("first.onemark")?;
/// let key = SigningKey::open("lab.key")?;
/// std::fs::write(Signature::place_for("first.onemark"), sign(&bundle, &key)?)?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// The bundle lacks a file that its manifest lists, or the JSON can't be written; neither happens with a bundle that was opened.
pub fn sign(bundle: &Bundle, key: &SigningKey) -> Result<Vec<u8>, SigningError> {
    envelope::seal(&Statement::of(bundle)?.to_json()?, key)
}

#[cfg(test)]
mod tests;
