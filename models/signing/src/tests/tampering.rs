//! What somebody can do to a signed bundle on its way, and what is said of it. Each line of the table is one such change.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::*;
use crate::envelope::seal;

impl Scene {
    fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.bundle.join(file), bytes).unwrap();
    }

    /// Computes all digests in the manifest again, so that the bundle is whole.
    fn hash_again(&self) {
        write_manifest(&self.bundle);
        Bundle::open(&self.bundle).unwrap();
    }

    /// Signs the bundle as it is.
    fn sign(&self, number: u8) {
        fs::write(&self.signature, sign(&Bundle::open(&self.bundle).unwrap(), &key(number)).unwrap()).unwrap();
    }

    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut json: Value = serde_json::from_slice(&fs::read(&self.signature).unwrap()).unwrap();
        change(&mut json);
        fs::write(&self.signature, json.to_string()).unwrap();
    }

    fn payload(&self) -> Value {
        let json: Value = serde_json::from_slice(&fs::read(&self.signature).unwrap()).unwrap();
        serde_json::from_slice(&BASE64.decode(json["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap()).unwrap()
    }

    /// The lab itself signs something else: what an attacker can't do, but another program of the lab's may.
    fn lab_signs(&self, change: impl FnOnce(&mut Value)) {
        let mut payload = self.payload();
        change(&mut payload);
        self.lab_signs_text(&payload.to_string());
    }

    fn lab_signs_text(&self, text: &str) {
        fs::write(&self.signature, seal(text.as_bytes(), &key(LAB)).unwrap()).unwrap();
    }

    /// The same for the list of files, with the digest of the whole computed again.
    fn lab_lists(&self, change: impl FnOnce(&mut Vec<Value>)) {
        self.lab_signs(|payload| {
            let list = payload["predicate"]["resources"].as_array_mut().unwrap();
            change(list);
            let digests = list.iter().map(|file| file["digest"].as_str().unwrap());
            let pairs: Vec<u8> = digests
                .flat_map(|digest| digest.as_bytes().chunks(2))
                .flat_map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16))
                .collect();
            payload["subject"][0]["digest"]["sha256"] = sha256(&pairs).into();
        });
    }
}

fn signature(json: &mut Value) -> &mut Value {
    &mut json["dsseEnvelope"]["signatures"]
}

type Change = fn(&Scene);

/// What is changed, how, and a part of the message.
const TAMPERINGS: &[(&str, Change, &str)] = &[
    // The bundle.
    ("a byte of the weights", |s| s.write(WEIGHTS, [0; 8]), "the file weights.bin was changed or damaged"),
    ("a longer graph", |s| s.write("trunk.onnx", "trunk graph, and more"), "trunk.onnx was changed or damaged (longer"),
    (
        "the weights, all digests computed again",
        |s| {
            s.write(WEIGHTS, [0; 8]);
            s.hash_again();
        },
        "its weights.bin was changed after the signature was made",
    ),
    (
        "a graph, all digests computed again",
        |s| {
            s.write("landmark-01-tip.onnx", "another graph");
            s.hash_again();
        },
        "its landmark-01-tip.onnx was changed after the signature was made",
    ),
    (
        "only the manifest: another name in reports",
        |s| {
            let text = fs::read_to_string(s.bundle.join(MANIFEST)).unwrap();
            s.write(MANIFEST, text.replace("a test", "a lab"));
        },
        "its manifest.yaml was changed after",
    ),
    (
        "only the manifest: a comment",
        |s| {
            let text = fs::read_to_string(s.bundle.join(MANIFEST)).unwrap();
            s.write(MANIFEST, format!("# for diagnosis\n{text}"));
        },
        "its manifest.yaml was changed after",
    ),
    ("a file more", |s| s.write("extra.onnx", "graph"), "extra.onnx is not listed in the manifest"),
    (
        "a file more, all digests computed again",
        |s| {
            s.write("extra.onnx", "graph");
            s.hash_again();
        },
        "its extra.onnx is not signed",
    ),
    ("a file more, hidden as git's are", |s| s.write(".gitignore", "*"), ".gitignore is not listed in the manifest"),
    (
        "the signature in the bundle",
        |s| drop(fs::copy(&s.signature, s.bundle.join("model.sig"))),
        "model.sig is not listed",
    ),
    ("a file less", |s| fs::remove_file(s.bundle.join(WEIGHTS)).unwrap(), "the file weights.bin is missing"),
    (
        "a file less, all digests computed again",
        |s| {
            fs::remove_file(s.bundle.join("unused.onnx")).unwrap();
            s.hash_again();
        },
        "names the file unused.onnx, which it does not have",
    ),
    // Who signed.
    ("no signature", |s| fs::remove_file(&s.signature).unwrap(), "is not signed: there is no "),
    (
        "the signature of another bundle",
        |s| {
            let other = Scene::new();
            other.write(WEIGHTS, [0; 8]);
            other.hash_again();
            other.sign(LAB);
            fs::copy(other.signature, &s.signature).unwrap();
        },
        "is not the bundle that was signed",
    ),
    ("another person's key", |s| s.sign(OTHER), "was made with a key that is not trusted (SHA-256 of its PEM file: "),
    (
        "changed and signed again by another person",
        |s| {
            s.write(WEIGHTS, [0; 8]);
            s.hash_again();
            s.sign(OTHER);
        },
        "a key that is not trusted",
    ),
    (
        "another person's key under the name of the lab's",
        |s| {
            s.sign(OTHER);
            let hint = PublicKey::from_pem(&public_pem(LAB)).unwrap().hint().to_owned();
            s.edit(|json| json["verificationMaterial"]["publicKey"]["hint"] = hint.into());
        },
        "names the key lab.pem, but that key did not sign this",
    ),
    (
        "another person's key without a name",
        |s| {
            s.sign(OTHER);
            s.edit(|json| json["verificationMaterial"]["publicKey"] = json!({}));
        },
        "a key that is not trusted: only lab.pem is",
    ),
    // The envelope.
    (
        "another digest in what is signed",
        |s| {
            let payload = s.payload().to_string().replacen("sha256", "sha257", 1);
            s.edit(|json| json["dsseEnvelope"]["payload"] = BASE64.encode(payload).into());
        },
        "that key did not sign this",
    ),
    (
        "a digest of what is signed fits the changed file",
        |s| {
            let before = sha256(&fs::read(s.bundle.join(WEIGHTS)).unwrap());
            s.write(WEIGHTS, [0; 8]);
            s.hash_again();
            let payload = s.payload().to_string().replace(&before, &sha256(&[0; 8]));
            s.edit(|json| json["dsseEnvelope"]["payload"] = BASE64.encode(payload).into());
        },
        "that key did not sign this",
    ),
    (
        "another type of what is signed",
        |s| {
            s.edit(|json| json["dsseEnvelope"]["payloadType"] = "text/plain".into());
        },
        "what it signs is of type text/plain, not application/vnd.in-toto+json",
    ),
    (
        "several signatures",
        |s| {
            s.edit(|json| {
                let one = signature(json)[0].clone();
                *signature(json) = json!([one, one]);
            })
        },
        "its envelope has 2 signatures; there must be one",
    ),
    ("no signatures in it", |s| s.edit(|json| *signature(json) = json!([])), "has 0 signatures"),
    ("an empty signature", |s| s.edit(|json| signature(json)[0]["sig"] = "".into()), "its signature is empty"),
    (
        "a signature of zeros",
        |s| {
            s.edit(|json| signature(json)[0]["sig"] = BASE64.encode([0x30, 6, 2, 1, 0, 2, 1, 0]).into());
        },
        "its signature is not one by an EC key",
    ),
    (
        "a signature without its DER",
        |s| s.edit(|json| signature(json)[0]["sig"] = BASE64.encode([7; 64]).into()),
        "its signature is not one by an EC key",
    ),
    ("a signature that is not base64", |s| s.edit(|json| signature(json)[0]["sig"] = "?".into()), "is not base64"),
    (
        "an envelope that is not base64",
        |s| s.edit(|json| json["dsseEnvelope"]["payload"] = "?".into()),
        "what it signs is not base64",
    ),
    (
        "another version of sigstore's format",
        |s| {
            s.edit(|json| json["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1".into());
        },
        "its media type is application/vnd.dev.sigstore.bundle+json;version=0.1",
    ),
    (
        "a certificate instead of a key",
        |s| {
            s.edit(|json| json["verificationMaterial"] = json!({"certificate": {"rawBytes": ""}, "tlogEntries": []}));
        },
        "only signatures by keys are supported",
    ),
    (
        "a signature of one message, not of a model",
        |s| {
            s.edit(|json| {
                json.as_object_mut().unwrap().remove("dsseEnvelope");
            })
        },
        "it has no DSSE envelope",
    ),
    ("an empty file", |s| fs::write(&s.signature, "").unwrap(), "it is not the JSON of a sigstore bundle (EOF"),
    (
        "half of it",
        |s| {
            let text = fs::read(&s.signature).unwrap();
            fs::write(&s.signature, &text[..text.len() / 2]).unwrap();
        },
        "it is not the JSON of a sigstore bundle (EOF",
    ),
    (
        "two in one file",
        |s| {
            let text = fs::read(&s.signature).unwrap();
            fs::write(&s.signature, text.repeat(2)).unwrap();
        },
        "trailing characters",
    ),
    (
        "a key of the JSON twice",
        |s| {
            let text = fs::read_to_string(&s.signature).unwrap();
            fs::write(&s.signature, text.replace("\"payloadType\"", "\"payload\":\"\",\"payloadType\"")).unwrap();
        },
        "duplicate field `payload`",
    ),
    (
        "huge JSON",
        |s| fs::write(&s.signature, vec![b' '; 2 << 20]).unwrap(),
        "it has more than 1048576 bytes; check that it is the right file",
    ),
    (
        "deep JSON",
        |s| fs::write(&s.signature, "{\"x\":".repeat(100_000)).unwrap(),
        "it is not the JSON of a sigstore bundle (EOF",
    ),
    (
        "a folder",
        |s| {
            fs::remove_file(&s.signature).unwrap();
            fs::create_dir(&s.signature).unwrap();
        },
        "it is a folder, a pipe or a device; give a file",
    ),
    // What the lab's key signed is no bundle.
    (
        "no JSON",
        |s| s.lab_signs_text("\u{fffd}"),
        "is signed with the key lab.pem, but does not describe a bundle: it is not the JSON",
    ),
    (
        "another statement",
        |s| s.lab_signs(|p| p["_type"] = "https://in-toto.io/Statement/v0.1".into()),
        "its type is https://in-toto.io/Statement/v0.1, not https://in-toto.io/Statement/v1",
    ),
    (
        "another predicate",
        |s| {
            s.lab_signs(|p| {
                p["predicateType"] = "https://slsa.dev/provenance/v1".into();
                p["predicate"] = json!({"buildDefinition": {}});
            })
        },
        "its predicate's type is https://slsa.dev/provenance/v1",
    ),
    (
        "the predicate of the reference's first versions",
        |s| {
            s.lab_signs(|p| p["predicateType"] = "https://model_signing/Digests/v0.1".into());
        },
        "made by model_signing before 1.0",
    ),
    ("no subject", |s| s.lab_signs(|p| p["subject"] = json!([])), "it has 0 subjects; there must be one"),
    (
        "the subject twice",
        |s| {
            s.lab_signs(|p| {
                let one = p["subject"][0].clone();
                p["subject"] = json!([one, one]);
            })
        },
        "it has 2 subjects; there must be one",
    ),
    (
        "a subject with another digest",
        |s| {
            s.lab_signs(|p| p["subject"][0]["digest"]["sha256"] = "0".repeat(64).into());
        },
        "the sha256 of its subject is not that of the digests that it lists",
    ),
    (
        "a subject with another algorithm",
        |s| {
            s.lab_signs(|p| p["subject"][0]["digest"] = json!({"sha512": "0".repeat(128)}));
        },
        "the sha256 of its subject is not that",
    ),
    (
        "digests by another algorithm",
        |s| {
            s.lab_signs(|p| p["predicate"]["serialization"]["hash_type"] = "blake3".into());
        },
        "its digest algorithm is blake3, not sha256",
    ),
    (
        "one digest by another algorithm",
        |s| {
            s.lab_lists(|list| list[0]["algorithm"] = "md5".into());
        },
        "the digest of landmark-01-tip.onnx is by md5, not sha256",
    ),
    (
        "a digest in capitals",
        |s| {
            s.lab_lists(|list| list[0]["digest"] = list[0]["digest"].as_str().unwrap().to_uppercase().into());
        },
        "has not 64 lower-case hexadecimal digits",
    ),
    (
        "files in shards",
        |s| s.lab_signs(|p| p["predicate"]["serialization"]["method"] = "shards".into()),
        "its method is shards, not files",
    ),
    ("a file twice", |s| s.lab_lists(|list| list.push(list[0].clone())), "it lists landmark-01-tip.onnx twice"),
    (
        "a file of a folder above",
        |s| s.lab_lists(|list| list[0]["name"] = "../trunk.onnx".into()),
        "it lists `../trunk.onnx`, and a bundle has no folders",
    ),
    ("a file of any folder", |s| s.lab_lists(|list| list[0]["name"] = "/etc/passwd".into()), "it lists `/etc/passwd`"),
    (
        "a file of a folder on Windows",
        |s| s.lab_lists(|list| list[0]["name"] = "..\\x".into()),
        "and a bundle has no folders",
    ),
    ("an archive as one file", |s| s.lab_lists(|list| list[0]["name"] = ".".into()), "it signs an archive as one file"),
    ("a file fewer than the bundle has", |s| s.lab_lists(|list| drop(list.pop())), "its weights.bin is not signed"),
    (
        "a file left out by name",
        |s| {
            s.lab_lists(|list| drop(list.pop()));
            s.lab_signs(|p| p["predicate"]["serialization"]["ignore_paths"] = json!(["weights.bin"]));
        },
        "its weights.bin is not signed",
    ),
    (
        "a file more than the bundle has",
        |s| {
            s.lab_lists(|list| {
                list.push(json!({"name": "zoo.onnx", "algorithm": "sha256", "digest": "0".repeat(64)}));
            })
        },
        "names the file zoo.onnx, which it does not have",
    ),
    ("no files", |s| s.lab_lists(Vec::clear), "its landmark-01-tip.onnx is not signed"),
    (
        "very many files",
        |s| {
            s.lab_lists(|list| {
                list.extend(
                    (0..1500)
                        .map(|n| json!({"name": format!("{n}.onnx"), "algorithm": "sha256", "digest": "0".repeat(64)})),
                );
            })
        },
        "it lists 1505 files; a bundle has at most 1000",
    ),
    (
        "a name that plays with the terminal",
        |s| {
            s.lab_lists(|list| {
                list.push(json!({"name": "\u{1b}[2J/", "algorithm": "sha256", "digest": "0".repeat(64)}));
            })
        },
        r"it lists `\u{1b}[2J/`",
    ),
];

#[test]
fn every_tampering_is_refused_with_its_reason() {
    let mut wrong = String::new();
    for (what, change, expected) in TAMPERINGS {
        let scene = Scene::new();
        scene.open().unwrap();
        change(&scene);
        match scene.open() {
            Ok(_) => wrong += &format!("\n{what}: not refused"),
            Err(error) => {
                let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
                let why = format!("{error}{cause}");
                println!("{what}: {}", why.replace(scene.folder.path().to_str().unwrap(), ""));
                if !why.contains(expected) || why.contains('\u{1b}') {
                    wrong += &format!("\n{what}: {why}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_beginning_of_a_signature_is_refused() {
    let scene = Scene::new();
    let whole = fs::read(&scene.signature).unwrap();
    let json = whole.trim_ascii_end().len();
    for length in 0..json {
        assert!(Signature::from_bytes(&whole[..length], "half.sig").is_err(), "{length}");
    }
    Signature::from_bytes(&whole[..json], "whole.sig").unwrap();
}

#[test]
fn a_changed_byte_never_changes_what_was_signed() {
    let scene = Scene::new();
    let whole = fs::read(&scene.signature).unwrap();
    let original = scene.payload();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let Ok(signature) = Signature::from_bytes(&changed, "changed.sig") else { continue };
        // Outside of what is signed, a byte may say nothing; then what is signed is the same.
        if trusting(LAB).verify(&Bundle::open(&scene.bundle).unwrap(), &signature).is_ok() {
            assert_eq!(serde_json::from_slice::<Value>(signature.payload()).unwrap(), original, "{at}");
        }
    }
}

#[test]
fn nothing_of_the_bundle_is_read_before_its_signature_is_verified() {
    let scene = Scene::new();
    scene.write(MANIFEST, "not a manifest");
    fs::remove_file(&scene.signature).unwrap();
    assert!(matches!(scene.open(), Err(SigningError::NotSigned { .. })));
}
