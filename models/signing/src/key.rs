//! Keys: ECDSA on the curve P-256 with SHA-256, in PEM files as `openssl` makes them.

use std::fmt;
use std::path::Path;

use onemark_models::files::{read_at_most, read_file_at_most, sha256};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{self, VerifyingKey};
use p256::elliptic_curve::zeroize::Zeroizing;
use p256::pkcs8::spki::AlgorithmIdentifierRef;
use p256::pkcs8::{
    Document, EncodePublicKey as _, LineEnding, PrivateKeyInfo, SecretDocument, SubjectPublicKeyInfoRef,
};
use p256::{SecretKey, elliptic_curve};

use crate::{KeyError, SigningError};

/// The largest file of a key that is read, in bytes: a hundred times the usual size.
pub const LARGEST_KEY: u64 = 1 << 16;

const PUBLIC: &str = "PUBLIC KEY";
const PRIVATE: &str = "PRIVATE KEY";
const PRIVATE_EC: &str = "EC PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// The public half of a key: it verifies signatures.
///
/// ```
/// use onemark_signing::{KeyError, PublicKey};
///
/// assert!(matches!(PublicKey::from_pem("ssh-rsa AAAA"), Err(KeyError::NoKey { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    fingerprint: String,
    hint: String,
}

impl PublicKey {
    /// Reads a file with [`PublicKey::from_pem`].
    ///
    /// # Errors
    /// It can't be read, is larger than [`LARGEST_KEY`], or holds no such key.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SigningError> {
        let path = path.as_ref();
        let bytes = read_file_at_most(path, LARGEST_KEY)
            .map_err(|source| SigningError::Read { path: path.to_owned(), source })?;
        Self::from_pem(&String::from_utf8_lossy(&bytes))
            .map_err(|source| SigningError::Key { path: path.to_owned(), source })
    }

    /// The one key in a PEM text (`BEGIN PUBLIC KEY`, as `openssl pkey -pubout` writes it).
    ///
    /// # Errors
    /// There is none, there are several, or it is of another kind.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if [PRIVATE, PRIVATE_EC, ENCRYPTED].iter().any(|label| text.contains(&begin(label))) {
            return Err(KeyError::Private);
        }
        let block = block(text, PUBLIC)?.ok_or(KeyError::NoKey { expected: "BEGIN PUBLIC KEY" })?;
        let (_, document) = Document::from_pem(block).map_err(|_| KeyError::Damaged)?;
        let info: SubjectPublicKeyInfoRef<'_> = document.decode_msg().map_err(|_| KeyError::Damaged)?;
        other_kind(&info.algorithm).map_or(Ok(()), Err)?;
        Self::of(VerifyingKey::try_from(info).map_err(|_| KeyError::Damaged)?)
    }

    fn of(key: VerifyingKey) -> Result<Self, KeyError> {
        let der = key.to_public_key_der().map_err(|_| KeyError::Damaged)?;
        let pem = key.to_public_key_pem(LineEnding::LF).map_err(|_| KeyError::Damaged)?;
        Ok(Self { key, fingerprint: sha256(der.as_bytes()), hint: sha256(pem.as_bytes()) })
    }

    /// SHA-256 of the key (SubjectPublicKeyInfo in DER) as 64 lower-case hexadecimal digits, as
    /// `openssl pkey -pubin -in KEY.pem -outform DER | sha256sum` prints it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// By what a signature names its key: SHA-256 of the key's PEM.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether the private half of this key made `signature` of `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &ecdsa::Signature) -> bool {
        self.key.verify(message, signature).is_ok()
    }
}

/// The private half of a key: it makes signatures. It is not shown by `Debug`, and is erased from memory when it is dropped.
pub struct SigningKey {
    key: ecdsa::SigningKey,
    public: PublicKey,
}

impl SigningKey {
    /// Reads a file, or a pipe, with [`SigningKey::from_pem`].
    ///
    /// # Errors
    /// It can't be read, is larger than [`LARGEST_KEY`], or holds no such key.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SigningError> {
        let path = path.as_ref();
        let bytes = read_at_most(path, LARGEST_KEY).map(Zeroizing::new);
        let bytes = bytes.map_err(|source| SigningError::Read { path: path.to_owned(), source })?;
        // A text that is not UTF-8 is no PEM.
        Self::from_pem(str::from_utf8(&bytes).unwrap_or_default())
            .map_err(|source| SigningError::Key { path: path.to_owned(), source })
    }

    /// The one key in a PEM text: PKCS#8 (`BEGIN PRIVATE KEY`) or SEC1 (`BEGIN EC PRIVATE KEY`), not encrypted.
    ///
    /// # Errors
    /// There is none, there are several, it is encrypted, or it is of another kind.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.contains(&begin(ENCRYPTED)) || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let secret = match (block(text, PRIVATE)?, block(text, PRIVATE_EC)?) {
            (Some(_), Some(_)) => return Err(KeyError::Several),
            (Some(pem), None) => of_pkcs8(pem)?,
            (None, Some(pem)) => SecretKey::from_sec1_pem(pem).map_err(|elliptic_curve::Error| KeyError::Damaged)?,
            (None, None) if text.contains(&begin(PUBLIC)) => return Err(KeyError::Public),
            (None, None) => return Err(KeyError::NoKey { expected: "BEGIN PRIVATE KEY" }),
        };
        let key = ecdsa::SigningKey::from(secret);
        let public = PublicKey::of(*key.verifying_key())?;
        Ok(Self { key, public })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature of a message. It needs no random numbers (RFC 6979).
    pub(crate) fn sign(&self, message: &[u8]) -> ecdsa::Signature {
        self.key.sign(message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

fn of_pkcs8(pem: &str) -> Result<SecretKey, KeyError> {
    let (_, document) = SecretDocument::from_pem(pem).map_err(|_| KeyError::Damaged)?;
    let info: PrivateKeyInfo<'_> = document.decode_msg().map_err(|_| KeyError::Damaged)?;
    other_kind(&info.algorithm).map_or(Ok(()), Err)?;
    SecretKey::try_from(info).map_err(|_| KeyError::Damaged)
}

fn begin(label: &str) -> String {
    format!("-----BEGIN {label}-----")
}

/// The one block of PEM with this label. `openssl ecparam -genkey` writes the curve in a block of its own before it.
fn block<'a>(text: &'a str, label: &str) -> Result<Option<&'a str>, KeyError> {
    let (begin, end) = (begin(label), format!("-----END {label}-----"));
    let Some(start) = text.find(&begin) else { return Ok(None) };
    let length = text[start..].find(&end).ok_or(KeyError::Damaged)? + end.len();
    if text[start + length..].contains(&begin) {
        return Err(KeyError::Several);
    }
    Ok(Some(&text[start..start + length]))
}

/// What kind of key it is, if it is not the one that is supported.
fn other_kind(algorithm: &AlgorithmIdentifierRef<'_>) -> Option<KeyError> {
    let (algorithm, curve) = algorithm.oids().ok()?;
    let kind = match curve.unwrap_or(algorithm).to_string().as_str() {
        "1.2.840.10045.3.1.7" => return None,
        "1.2.840.113549.1.1.1" => "an RSA key".to_owned(),
        "1.3.101.112" => "an Ed25519 key".to_owned(),
        "1.3.132.0.10" => "a key on the curve secp256k1".to_owned(),
        "1.3.132.0.34" => "a key on the curve P-384".to_owned(),
        "1.3.132.0.35" => "a key on the curve P-521".to_owned(),
        other => format!("a key of another kind ({other})"),
    };
    Some(KeyError::OtherKind { kind })
}
