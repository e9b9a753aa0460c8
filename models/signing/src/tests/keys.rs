//! Which keys are read, and what is said of the others.

use p256::pkcs8::der::asn1::ObjectIdentifier;
use p256::pkcs8::der::pem::LineEnding;
use p256::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use p256::pkcs8::{Document, PrivateKeyInfo, SecretDocument};

use super::*;
use crate::KeyError;

fn other(oid: &str) -> AlgorithmIdentifierRef<'static> {
    AlgorithmIdentifierRef { oid: ObjectIdentifier::new(oid).unwrap(), parameters: None }
}

fn other_private(oid: &str) -> String {
    let document = SecretDocument::encode_msg(&PrivateKeyInfo::new(other(oid), &[0; 32])).unwrap();
    document.to_pem("PRIVATE KEY", LineEnding::LF).unwrap().to_string()
}

fn other_public(oid: &str) -> String {
    let key = p256::pkcs8::der::asn1::BitStringRef::from_bytes(&[0; 32]).unwrap();
    let info = SubjectPublicKeyInfoRef { algorithm: other(oid), subject_public_key: key };
    Document::encode_msg(&info).unwrap().to_pem("PUBLIC KEY", LineEnding::LF).unwrap()
}

#[test]
fn both_forms_of_openssl_are_the_same_key() {
    let sec1 = secret(LAB).to_sec1_pem(LineEnding::LF).unwrap();
    let with_curve =
        format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}", sec1.as_str());
    let windows = secret(LAB).to_pkcs8_pem(LineEnding::CRLF).unwrap();
    for text in [sec1.as_str(), &with_curve, &windows, &format!("my key\n\n{}", sec1.as_str())] {
        assert_eq!(SigningKey::from_pem(text).unwrap().public(), key(LAB).public());
    }
    assert_eq!(&PublicKey::from_pem(&public_pem(LAB)).unwrap(), key(LAB).public());
}

#[test]
fn other_keys_are_refused_by_name() {
    let private = secret(LAB).to_pkcs8_pem(LineEnding::LF).unwrap();
    let (private, public) = (private.as_str(), public_pem(LAB));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n";
    for (text, expected) in [
        ("", "it is not PEM with `BEGIN PRIVATE KEY`"),
        (&public, "it holds a public key"),
        (encrypted, "it is encrypted; give what `openssl pkey -in`"),
        ("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "it is encrypted"),
        (&format!("{private}{private}"), "several keys"),
        (&private[..100], "its key is damaged"),
        (&private.replace("MIGH", "MIGG"), "its key is damaged"),
        (&other_private("1.3.101.112"), "an Ed25519 key; an EC key on the curve P-256"),
        (&other_private("1.3.132.0.34"), "a key on the curve P-384"),
        (&other_private("1.2.840.113549.1.1.1"), "an RSA key"),
        (&other_private("1.2.3.4"), "a key of another kind (1.2.3.4)"),
    ] {
        let why = SigningKey::from_pem(text).map(|_| text).unwrap_err().to_string();
        assert!(why.contains(expected), "{text}: {why}");
    }
    for (text, expected) in [
        ("ssh-ed25519 AAAA", "it is not PEM with `BEGIN PUBLIC KEY`"),
        (private, "it holds a private key, which must stay with"),
        (encrypted, "it holds a private key"),
        (&format!("{private}{public}"), "it holds a private key"),
        (&format!("{public}{public}"), "several keys"),
        (&public.replace("MFkw", "MFkx"), "its key is damaged"),
        (&other_public("1.3.101.112"), "an Ed25519 key"),
        (&other_public("1.3.132.0.10"), "a key on the curve secp256k1"),
        (&other_public("1.3.132.0.35"), "a key on the curve P-521"),
    ] {
        let why = PublicKey::from_pem(text).unwrap_err().to_string();
        assert!(why.contains(expected), "{text}: {why}");
    }
}

#[test]
fn a_private_key_is_never_shown() {
    let shown = format!("{:?}", key(LAB));
    assert!(!shown.contains("01010101") && !shown.contains("1, 1, 1") && shown.contains("fingerprint"), "{shown}");
    // Neither by the errors about its text.
    let text = secret(LAB).to_pkcs8_pem(LineEnding::LF).unwrap().replace("MIGH", "MIGG");
    let error: KeyError = SigningKey::from_pem(&text).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("AQEBAQEB"));
}

#[test]
fn folders_of_keys_hold_keys_only() {
    let folder = TempDir::new().unwrap();
    let open = || {
        TrustedKeys::open([folder.path()]).map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))
    };
    assert!(open().unwrap_err().contains("it holds no public key; the name of a key's file ends in .pem"));
    fs::write(folder.path().join("readme.txt"), "no key").unwrap();
    fs::write(folder.path().join("b.pem"), public_pem(OTHER)).unwrap();
    fs::write(folder.path().join("a.PEM"), public_pem(LAB)).unwrap();
    let scene = Scene::new();
    assert_eq!(open().unwrap().open_bundle(&scene.bundle, None).unwrap().1.name, "a.PEM");
    fs::write(folder.path().join("c.pem"), secret(LAB).to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap();
    let why = open().unwrap_err();
    assert!(why.contains("c.pem can't be used as a key") && why.contains("Private"), "{why}");
    fs::write(folder.path().join("c.pem"), vec![b' '; 70_000]).unwrap();
    assert!(open().unwrap_err().contains("more than 65536 bytes"));
    assert!(matches!(TrustedKeys::open([folder.path().join("d.pem")]), Err(SigningError::Read { .. })));
}
