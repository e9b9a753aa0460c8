//! Why a key, a signature or a signed bundle is refused.

use std::path::PathBuf;

use onemark_models::bundle::BundleError;
use onemark_models::text::for_message;

/// Why a bundle is not signed, or its signature is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum SigningError {
    /// The file of a key or a signature can't be read.
    #[error("{path} can't be read")]
    Read { path: PathBuf, source: std::io::Error },
    /// A file is not a key for signatures.
    #[error("{path} can't be used as a key")]
    Key { path: PathBuf, source: KeyError },
    /// There is nothing to trust.
    #[error("{path}: it holds no public key; the name of a key's file ends in .pem")]
    NoKeys { path: PathBuf },
    /// A folder has more keys than [`crate::MOST_KEYS`].
    #[error("{path}: it holds more than {} keys; check that it is the right folder", crate::MOST_KEYS)]
    TooManyKeys { path: PathBuf },
    /// The bundle has no signature.
    #[error("{bundle} is not signed: there is no {path}; ask the bundle's maker for this file")]
    NotSigned { bundle: PathBuf, path: PathBuf },
    /// A file is not a signature of a bundle.
    #[error("{path} is no signature that can be verified: {why}")]
    NotASignature {
        path: PathBuf,
        /// How it differs from a signature.
        why: String,
    },
    /// None of the trusted keys made the signature.
    #[error("{path} was made with a key that is not trusted{}: {}", named(.hint), only(.trusted))]
    UnknownKey {
        path: PathBuf,
        /// What the signature says of its key: the SHA-256 of its PEM file.
        hint: Option<String>,
        /// The names of the trusted keys.
        trusted: Vec<String>,
    },
    /// The signature names a trusted key, which did not make it.
    #[error(
        "{path} names the key {key}, but that key did not sign this: it was changed; get it from the bundle's maker again"
    )]
    Forged { path: PathBuf, key: String },
    /// A trusted key signed something that does not describe a bundle.
    #[error("{path} is signed with the key {key}, but does not describe a bundle: {why}")]
    Statement {
        path: PathBuf,
        key: String,
        /// How it differs from the description of a bundle.
        why: String,
    },
    /// The bundle is not the one that was signed.
    #[error("{bundle} is not the bundle that was signed ({path}): {why}")]
    OtherBundle {
        bundle: PathBuf,
        path: PathBuf,
        /// The file that differs.
        why: String,
    },
    /// The bundle is damaged, or is not a bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The signature can't be written as JSON.
    #[error("the signature can't be written as JSON")]
    Json(#[source] serde_json::Error),
}

/// Why a text is not a key for signatures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum KeyError {
    /// It is not PEM, or PEM of something else.
    #[error("it is not PEM with `{expected}`; `openssl genpkey` and `openssl pkey` make such files")]
    NoKey {
        /// The first line of such a key.
        expected: &'static str,
    },
    /// A public key is needed.
    #[error(
        "it holds a private key, which must stay with the one who signs; give the public one (`openssl pkey -pubout`)"
    )]
    Private,
    /// A private key is needed.
    #[error("it holds a public key; give the private one that belongs to it")]
    Public,
    /// The private key is encrypted.
    #[error(
        "it is encrypted; give what `openssl pkey -in` makes of it, for example through a pipe: <(openssl pkey -in FILE)"
    )]
    Encrypted,
    /// Nobody says which key is meant.
    #[error("it holds several keys; keep each in a file of its own")]
    Several,
    /// Only ECDSA keys on the curve P-256 are supported.
    #[error("it holds {kind}; an EC key on the curve P-256 (prime256v1) is needed")]
    OtherKind { kind: String },
    /// The text between the first and the last line is not a key.
    #[error("its key is damaged, or is no EC key on the curve P-256 (prime256v1)")]
    Damaged,
}

fn named(hint: &Option<String>) -> String {
    hint.as_ref().map_or(String::new(), |hint| format!(" (SHA-256 of its PEM file: {})", for_message(hint)))
}

fn only(names: &[String]) -> String {
    match names {
        [] => "no key is trusted".to_owned(),
        [one] => format!("only {one} is"),
        [first, .., last] => format!("only the {} keys from {first} to {last} are", names.len()),
    }
}
