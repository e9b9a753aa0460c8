//! What is signed: an in-toto statement with the SHA-256 of every file of a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use onemark_models::bundle::limits::MOST_FILES;
use onemark_models::bundle::{Bundle, BundleError, MANIFEST};
use onemark_models::files::sha256;
use onemark_models::text::for_message;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::SigningError;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://model_signing/signature/v1.0";
/// That of `model_signing` before 1.0.
const OLD_PREDICATE: &str = "https://model_signing/Digests/v0.1";
const METHOD: &str = "files";
const ALGORITHM: &str = "sha256";

/// The name and SHA-256 of every file of a bundle, the manifest included.
#[derive(Debug)]
pub(crate) struct Statement {
    name: String,
    files: BTreeMap<String, String>,
}

/// What every in-toto statement has.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InToto<P> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: P,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    #[serde(default)]
    name: String,
    digest: BTreeMap<String, String>,
}

/// The predicate [`PREDICATE`]. Other keys of it don't matter: which files were left out, for example, does not, because a file that
/// is not listed is not signed.
#[derive(Serialize, Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

#[derive(Serialize, Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default)]
    allow_symlinks: bool,
}

#[derive(Serialize, Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: String,
}

impl Statement {
    /// The statement about a bundle. Digests are those of the bytes in memory.
    pub(crate) fn of(bundle: &Bundle) -> Result<Self, BundleError> {
        let mut files = BTreeMap::from([(MANIFEST.to_owned(), bundle.digest())]);
        for name in bundle.manifest().files.keys() {
            files.insert(name.clone(), sha256(bundle.bytes(name)?));
        }
        Ok(Self { name: bundle.manifest().name.clone(), files })
    }

    pub(crate) fn to_json(&self) -> Result<Vec<u8>, SigningError> {
        let resource = |(name, digest): (&String, &String)| Resource {
            name: name.clone(),
            algorithm: ALGORITHM.into(),
            digest: digest.clone(),
        };
        let resources: Vec<Resource> = self.files.iter().map(resource).collect();
        let digest = BTreeMap::from([(ALGORITHM.to_owned(), root(&resources))]);
        let serialization = Serialization { method: METHOD.into(), hash_type: ALGORITHM.into(), allow_symlinks: false };
        let statement = InToto {
            kind: STATEMENT.into(),
            subject: vec![Subject { name: self.name.clone(), digest }],
            predicate_type: PREDICATE.into(),
            predicate: Predicate { serialization, resources },
        };
        serde_json::to_vec(&statement).map_err(SigningError::Json)
    }

    /// Reads what was signed; or says how it differs from the statement about a bundle.
    pub(crate) fn from_json(text: &[u8]) -> Result<Self, String> {
        let not_json = |error| format!("it is not the JSON of an in-toto statement ({error})");
        // The predicate's keys depend on its type.
        let any: InToto<serde::de::IgnoredAny> = serde_json::from_slice(text).map_err(not_json)?;
        let wrong = |what: &str, is: &str, due: &str| Err(format!("its {what} is {}, not {due}", for_message(is)));
        if any.kind != STATEMENT {
            return wrong("type", &any.kind, STATEMENT);
        }
        if any.predicate_type == OLD_PREDICATE {
            return Err("it was made by model_signing before 1.0; sign the bundle again with a newer one".into());
        }
        if any.predicate_type != PREDICATE {
            return wrong("predicate's type", &any.predicate_type, PREDICATE);
        }
        let [Subject { name, digest }] = any.subject.as_slice() else {
            return Err(format!("it has {} subjects; there must be one", any.subject.len()));
        };
        let InToto { predicate: Predicate { serialization, resources }, .. } =
            serde_json::from_slice(text).map_err(not_json)?;
        if serialization.method != METHOD {
            return wrong("method", &serialization.method, METHOD);
        }
        if serialization.hash_type != ALGORITHM {
            return wrong("digest algorithm", &serialization.hash_type, ALGORITHM);
        }
        validate(&resources)?;
        if digest.get(ALGORITHM).map(String::as_str) != Some(&root(&resources)) {
            return Err(format!("the {ALGORITHM} of its subject is not that of the digests that it lists"));
        }
        let files = resources.into_iter().map(|Resource { name, digest, .. }| (name, digest)).collect();
        Ok(Self { name: name.clone(), files })
    }

    /// Compares what was signed with a bundle's files, all of them.
    pub(crate) fn compare(&self, bundle: &Bundle, origin: &Path) -> Result<(), SigningError> {
        let found = Self::of(bundle)?;
        let name = if self.name == found.name { String::new() } else { format!(" of {}", for_message(&self.name)) };
        // The manifest comes last: it changes with every other file.
        let mut names: Vec<&String> = self.files.keys().chain(found.files.keys()).collect();
        names.sort_by_key(|name| (*name == MANIFEST, *name));
        let why = names.into_iter().find_map(|file| match (self.files.get(file), found.files.get(file)) {
            (Some(signed), Some(found)) if signed == found => None,
            (Some(_), Some(_)) => Some(format!(
                "its {file} was changed after the signature{name} was made, or is another; a bundle that was changed, for \
                 example adapted, must be signed again"
            )),
            (Some(_), None) => Some(format!("the signature{name} names the file {file}, which it does not have")),
            (None, _) => Some(format!("its {file} is not signed")),
        });
        let other = |why| SigningError::OtherBundle { bundle: bundle.origin().into(), path: origin.into(), why };
        why.map_or(Ok(()), |why| Err(other(why)))
    }
}

/// Refuses lists that name no files of a bundle, or one twice, or that have other digests than SHA-256.
fn validate(resources: &[Resource]) -> Result<(), String> {
    // The manifest is one more.
    if resources.len() > MOST_FILES + 1 {
        return Err(format!("it lists {} files; a bundle has at most {MOST_FILES}", resources.len()));
    }
    let mut names = BTreeSet::new();
    for Resource { name, algorithm, digest } in resources {
        let shown = for_message(name);
        if name == "." {
            return Err("it signs an archive as one file; sign the folder instead".into());
        }
        if name.contains(['/', '\\', ':']) || name.starts_with('.') || name.is_empty() {
            return Err(format!("it lists `{shown}`, and a bundle has no folders and no hidden files"));
        }
        if algorithm != ALGORITHM {
            return Err(format!("the digest of {shown} is by {}, not {ALGORITHM}", for_message(algorithm)));
        }
        let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        if digest.len() != 64 || !digest.chars().all(is_hex) {
            return Err(format!("the digest of {shown} has not 64 lower-case hexadecimal digits"));
        }
        if !names.insert(name) {
            return Err(format!("it lists {shown} twice"));
        }
    }
    Ok(())
}

/// The digest of the whole: SHA-256 over the bytes of all digests, in the order in which they are listed.
fn root(resources: &[Resource]) -> String {
    let byte = |pair: &[u8]| str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let mut all = Sha256::new();
    for resource in resources {
        all.update(resource.digest.as_bytes().chunks(2).filter_map(byte).collect::<Vec<u8>>());
    }
    all.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
