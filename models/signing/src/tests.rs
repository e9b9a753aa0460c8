#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use onemark_models::bundle::{Bundle, MANIFEST, WEIGHTS};
use onemark_models::files::sha256;
use p256::SecretKey;
use p256::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use tempfile::TempDir;

use crate::{PublicKey, Signature, SigningError, SigningKey, TrustedKeys, sign};

mod keys;
mod tampering;

/// A secret key of a test, by its number.
fn secret(number: u8) -> SecretKey {
    SecretKey::from_slice(&[number; 32]).unwrap()
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_pem(&secret(number).to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap()
}

fn public_pem(number: u8) -> String {
    secret(number).public_key().to_public_key_pem(LineEnding::LF).unwrap()
}

/// The key of the lab that makes the bundle, and of somebody else.
const LAB: u8 = 1;
const OTHER: u8 = 2;

/// What is in a small bundle besides its manifest.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("landmark-01-tip.onnx", b"head graph".to_vec()),
        ("trunk.onnx", b"trunk graph".to_vec()),
        ("unused.onnx", b"a graph that nothing uses".to_vec()),
        (WEIGHTS, [0.5_f32, -0.25].map(f32::to_le_bytes).concat()),
    ]
}

/// Writes the manifest of the files in a folder, with their digests.
fn write_manifest(bundle: &Path) {
    let vectors: String =
        (1..=5).map(|level| format!("  template.01.level{level}: {{offset: 0, length: 8}}\n")).collect();
    let mut names: Vec<String> =
        fs::read_dir(bundle).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != MANIFEST);
    names.sort();
    let entry = |name: &String| {
        let bytes = fs::read(bundle.join(name)).unwrap();
        format!("  {name}: {{bytes: {}, sha256: '{}'}}\n", bytes.len(), sha256(&bytes))
    };
    let files: String = names.iter().map(entry).collect();
    let text = include_str!("tests/manifest.yaml").replace("VECTORS\n", &vectors).replace("FILES\n", &files);
    fs::write(bundle.join(MANIFEST), text).unwrap();
}

/// A bundle that the lab has signed, in a folder of its own.
struct Scene {
    folder: TempDir,
    bundle: PathBuf,
    signature: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let bundle = folder.path().join("toy.onemark");
        fs::create_dir(&bundle).unwrap();
        for (name, bytes) in files() {
            fs::write(bundle.join(name), bytes).unwrap();
        }
        write_manifest(&bundle);
        let signature = Signature::place_for(&bundle);
        fs::write(&signature, sign(&Bundle::open(&bundle).unwrap(), &key(LAB)).unwrap()).unwrap();
        Self { folder, bundle, signature }
    }

    /// Opens the bundle, trusting the lab and nobody else.
    fn open(&self) -> Result<(Bundle, crate::Signer), SigningError> {
        trusting(LAB).open_bundle(&self.bundle, None)
    }
}

fn trusting(number: u8) -> TrustedKeys {
    let mut trusted = TrustedKeys::default();
    trusted.add("lab.pem", PublicKey::from_pem(&public_pem(number)).unwrap());
    trusted
}

#[test]
fn a_signed_bundle_is_opened_as_folder_and_archive_wherever_it_is() {
    let scene = Scene::new();
    let (bundle, signer) = scene.open().unwrap();
    assert_eq!((signer.name.as_str(), signer.fingerprint.as_str()), ("lab.pem", key(LAB).public().fingerprint()));

    let archive = scene.folder.path().join("toy.zip");
    bundle.write_archive(&archive, false).unwrap();
    let moved = scene.folder.path().join("moved");
    fs::rename(&scene.bundle, &moved).unwrap();
    for path in [archive.clone(), moved] {
        trusting(LAB).open_bundle(&path, Some(&scene.signature)).unwrap();
        fs::copy(&scene.signature, Signature::place_for(&path)).unwrap();
        trusting(LAB).open_bundle(&path, None).unwrap();
    }
    // In memory, as in a browser.
    let bundle = Bundle::from_bytes(&fs::read(archive).unwrap(), "toy.zip").unwrap();
    let signature = Signature::from_bytes(&fs::read(&scene.signature).unwrap(), "toy.sig").unwrap();
    assert_eq!(trusting(LAB).verify(&bundle, &signature).unwrap(), signer);
    assert!(matches!(trusting(OTHER).verify(&bundle, &signature), Err(SigningError::UnknownKey { .. })));
    assert!(matches!(TrustedKeys::default().verify(&bundle, &signature), Err(SigningError::UnknownKey { .. })));
}

#[test]
fn the_same_bundle_and_key_give_the_same_signature() {
    let scene = Scene::new();
    let again = sign(&Bundle::open(&scene.bundle).unwrap(), &key(LAB)).unwrap();
    assert_eq!(again, fs::read(&scene.signature).unwrap());
}

/// The bundle, the signature and the key in `tests/reference` were made by `model_signing` 1.1.1 and `openssl`; the private key was
/// thrown away.
#[test]
fn a_signature_of_the_reference_implementation_is_verified() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/reference");
    let keys = TrustedKeys::open([folder.join("lab.pem")]).unwrap();
    let (_, signer) = keys.open_bundle(folder.join("toy"), None).unwrap();
    assert_eq!(signer.fingerprint, fs::read_to_string(folder.join("lab.sha256")).unwrap().trim());
}

#[test]
fn a_place_for_the_signature_is_beside_the_bundle() {
    for (bundle, place) in [("a.onemark", "a.onemark.sig"), ("b/a.zip", "b/a.zip.sig"), ("/a/", "/a.sig")] {
        assert_eq!(Signature::place_for(bundle), Path::new(place));
    }
    assert!(Signature::place_for(".").ends_with("signing.sig"));
}
