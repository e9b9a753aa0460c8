//! The file of a signature: a sigstore bundle (JSON) whose DSSE envelope holds what was signed.
//!
//! Formats: <https://docs.sigstore.dev/about/bundle/>, <https://github.com/secure-systems-lab/dsse>. Names and values are those of
//! the reference implementation, `model_signing` in Python.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use onemark_models::files::read_file_at_most;
use onemark_models::text::for_message;
use p256::ecdsa;
use serde::{Deserialize, Serialize};

use crate::{PublicKey, SigningError, SigningKey};

/// The largest file of a signature that is read, in bytes: twice that of a bundle with as many files as are allowed.
pub const LARGEST_SIGNATURE: u64 = 1 << 20;

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A signature that was read, and not yet verified: [`crate::TrustedKeys::verify`] does this.
#[derive(Clone, Debug)]
pub struct Signature {
    origin: PathBuf,
    hint: Option<String>,
    payload: Vec<u8>,
    signature: ecdsa::Signature,
}

/// The keys that are read. Nothing outside of the envelope is signed, so nothing else of it matters.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigstoreBundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<KeyIdentifier>,
    #[serde(skip_deserializing)]
    tlog_entries: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct KeyIdentifier {
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
struct EnvelopeSignature {
    sig: String,
    #[serde(default)]
    keyid: String,
}

impl Signature {
    /// Where the signature of a bundle is unless somebody says otherwise: beside it, with `.sig` at the end of its name. So it does
    /// not change the bundle, be it a folder or an archive.
    ///
    /// ```
    /// use std::path::Path;
    /// use onemark_signing::Signature;
    ///
    /// assert_eq!(Signature::place_for("lab/first.onemark/"), Path::new("lab/first.onemark.sig"));
    /// ```
    pub fn place_for(bundle: impl AsRef<Path>) -> PathBuf {
        let bundle = bundle.as_ref();
        // `.` and `..` have no name of their own.
        let named = if bundle.file_name().is_none() { bundle.canonicalize().ok() } else { None };
        let bundle = named.as_deref().unwrap_or(bundle);
        let mut name = bundle.file_name().unwrap_or_default().to_owned();
        name.push(".sig");
        bundle.with_file_name(name)
    }

    /// Reads a file with [`Signature::from_bytes`].
    ///
    /// # Errors
    /// It can't be read, is larger than [`LARGEST_SIGNATURE`], or is not such a signature.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SigningError> {
        let path = path.as_ref();
        let bytes = read_file_at_most(path, LARGEST_SIGNATURE)
            .map_err(|source| SigningError::Read { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes, path)
    }

    /// The signature in the bytes of a file; `name` appears in messages only.
    ///
    /// # Errors
    /// It is not a sigstore bundle with one signature by a key.
    pub fn from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self, SigningError> {
        let origin = name.as_ref().to_owned();
        match parse(bytes) {
            Ok((hint, payload, signature)) => Ok(Self { origin, hint, payload, signature }),
            Err(why) => Err(SigningError::NotASignature { path: origin, why }),
        }
    }

    /// The file from which it was read, for messages.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// The key that it names. It is not signed.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What was signed.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether a key made it.
    pub(crate) fn is_by(&self, key: &PublicKey) -> bool {
        key.verifies(&encoded(&self.payload), &self.signature)
    }
}

type Parts = (Option<String>, Vec<u8>, ecdsa::Signature);

fn parse(bytes: &[u8]) -> Result<Parts, String> {
    let SigstoreBundle { media_type, verification_material, dsse_envelope } =
        serde_json::from_slice(bytes).map_err(|error| format!("it is not the JSON of a sigstore bundle ({error})"))?;
    if media_type != MEDIA_TYPE {
        return Err(format!("its media type is {}, not {MEDIA_TYPE}", for_message(&media_type)));
    }
    let Some(key) = verification_material.public_key else {
        return Err("it names no key; only signatures by keys are supported, none by certificates or by sign-in".into());
    };
    let Some(Envelope { payload, payload_type, signatures }) = dsse_envelope else {
        return Err("it has no DSSE envelope; it does not sign a model".into());
    };
    if payload_type != PAYLOAD_TYPE {
        return Err(format!("what it signs is of type {}, not {PAYLOAD_TYPE}", for_message(&payload_type)));
    }
    let [EnvelopeSignature { sig, .. }] = signatures.as_slice() else {
        return Err(format!("its envelope has {} signatures; there must be one", signatures.len()));
    };
    let decoded =
        |what: &str, text: &str| BASE64.decode(text).map_err(|error| format!("{what} is not base64 ({error})"));
    let signature = decoded("its signature", sig)?;
    if signature.is_empty() {
        return Err("its signature is empty".into());
    }
    let signature = ecdsa::Signature::from_der(&signature)
        .map_err(|_| "its signature is not one by an EC key on the curve P-256 (ECDSA in DER)")?;
    Ok((key.hint.filter(|hint| !hint.is_empty()), decoded("what it signs", &payload)?, signature))
}

/// The content of a signature's file.
pub(crate) fn seal(payload: &[u8], key: &SigningKey) -> Result<Vec<u8>, SigningError> {
    let sig = BASE64.encode(key.sign(&encoded(payload)).to_der().as_bytes());
    let bundle = SigstoreBundle {
        media_type: MEDIA_TYPE.into(),
        verification_material: Material {
            public_key: Some(KeyIdentifier { hint: Some(key.public().hint().into()) }),
            tlog_entries: vec![],
        },
        dsse_envelope: Some(Envelope {
            payload: BASE64.encode(payload),
            payload_type: PAYLOAD_TYPE.into(),
            signatures: vec![EnvelopeSignature { sig, keyid: String::new() }],
        }),
    };
    let mut text = serde_json::to_vec(&bundle).map_err(SigningError::Json)?;
    text.push(b'\n');
    Ok(text)
}

/// The bytes that are signed: DSSE's pre-authentication encoding, which binds the payload to its type.
fn encoded(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
