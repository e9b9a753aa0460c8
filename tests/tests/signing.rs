//! Signed bundles as people have them: the lines of docs/TRUST.md, and what the commands refuse. What can be done to a signed bundle is
//! tested in onemark-signing.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used)]

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use image::{GrayImage, Luma};
use onemark_tests::{commands, shell, tiny_bundle};
use tempfile::TempDir;

const DOCS: &str = include_str!("../../docs/TRUST.md");

/// The first lines of shell in the section about signed bundles.
fn walk() -> String {
    let section = DOCS.split("\n## Signed bundles\n").nth(1).unwrap();
    commands(section.split("(`tests/tests/signing.rs` runs these lines.)").next().unwrap())
}

/// A folder with a bundle and a film. `None`, and a note, if openssl is not there to make keys; where `CI` is set, that is a failure.
fn lab() -> Option<TempDir> {
    if !Command::new("openssl").arg("version").output().is_ok_and(|done| done.status.success()) {
        assert!(env::var_os("CI").is_none(), "there is no openssl to make keys, and CI skips no test");
        eprintln!("skipped: there is no openssl to make keys");
        return None;
    }
    let here = tempfile::tempdir().unwrap();
    tiny_bundle().write(&here.path().join("first.onemark"), false).unwrap();
    fs::create_dir(here.path().join("films")).unwrap();
    let film = GrayImage::from_fn(90, 80, |x, y| Luma([((x * x + 3 * y) % 256) as u8]));
    film.save(here.path().join("films/film.png")).unwrap();
    Some(here)
}

#[track_caller]
fn refused(here: &Path, line: &str, expected: &str) {
    let done = shell(here, line);
    assert!(!done.success && done.stderr.contains(expected), "{line}: {}{}", done.stdout, done.stderr);
}

#[test]
fn the_lines_of_the_manual_sign_ship_and_verify() {
    let Some(here) = lab() else { return };
    let here = here.path();
    let done = shell(here, &walk());
    assert!(done.success, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("signed with the key lab.pem (SHA-256 "), "{}", done.stdout);
    assert!(done.stderr.contains("first.onemark: signed with the key lab.pem"), "{}", done.stderr);
    assert!(here.join("found.json").is_file());
    // openssl and onemark name the key by the same digits, and nothing shows the secret.
    let digits = done.stdout.split("SHA-256 of the public key: ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(done.stdout.matches(digits).count(), 3, "{}", done.stdout);
    let secret = fs::read_to_string(here.join("lab.key")).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    assert!(!done.stdout.contains(secret) && !done.stderr.contains(secret));
}

#[test]
fn a_bundle_that_was_hashed_again_is_whole_and_refused() {
    let Some(here) = lab() else { return };
    let here = here.path();
    assert!(shell(here, &walk()).success);
    fs::remove_file(here.join("found.json")).unwrap();
    // Another network under the same name: whole, with the old signature beside it.
    let mut manifest = tiny_bundle().manifest().clone();
    manifest.intended_use = "anything".into();
    let other = tiny_bundle().with_manifest(manifest).unwrap();
    other.write(&here.join("first.onemark"), true).unwrap();
    assert!(shell(here, "onemark verify first.onemark").success);
    let why = "first.onemark is not the bundle that was signed";
    refused(here, "onemark verify first.onemark --trust lab.pem", why);
    for command in [
        "onemark detect films --bundle first.onemark --json found.json",
        "onemark evaluate first.onemark --data films",
        "onemark inspect first.onemark",
        "onemark doctor first.onemark",
        "onemark cycle first.onemark --data films --template film",
        "onemark adapt first.onemark --undo --out new.onemark",
        "onemark calibrate first.onemark --data films --out new.onemark",
        "onemark view films --bundle first.onemark",
    ] {
        refused(here, &format!("{command} --trust keys"), why);
        refused(here, &format!("ONEMARK_TRUST=keys {command}"), why);
    }
    assert!(!here.join("found.json").exists() && !here.join("new.onemark").exists());
}

#[test]
fn mistakes_with_keys_are_told() {
    let Some(here) = lab() else { return };
    let here = here.path();
    assert!(shell(here, &walk()).success);
    let verify = "onemark verify first.onemark";
    refused(
        here,
        "onemark sign first.onemark --key lab.key",
        "first.onemark.sig already exists; choose another name, or replace it (--force)",
    );
    refused(here, "onemark sign first.onemark --force", "there is no key: give --key, or set ONEMARK_SIGNING_KEY");
    refused(here, "onemark sign first.onemark --force --key lab.pem", "it holds a public key; give the private one");
    refused(here, "onemark sign first.onemark --key lab.key --out first.onemark/model.sig", "is in the bundle");
    let secret = fs::read(here.join("lab.key")).unwrap();
    refused(here, "onemark sign first.onemark --force --key lab.key --out ./lab.key", "./lab.key is the private key");
    fs::write(here.join("other.key"), &secret).unwrap();
    fs::write(here.join("notes.json"), "{}").unwrap();
    for other in ["films/film.png", "other.key", "lab.pem", "notes.json"] {
        let before = fs::read(here.join(other)).unwrap();
        refused(
            here,
            &format!("onemark sign first.onemark --force --key lab.key --out {other}"),
            "only a signature is replaced",
        );
        assert!(fs::read(here.join(other)).unwrap() == before, "{other}");
    }
    assert!(fs::read(here.join("lab.key")).unwrap() == secret);
    assert!(shell(here, "onemark sign first.onemark --force --key lab.key").success);
    refused(here, &format!("{verify} --trust lab.key"), "lab.key can't be used as a key: it holds a private key");
    refused(here, &format!("{verify} --trust nowhere.pem"), "nowhere.pem can't be read");
    refused(here, &format!("{verify} --signature first.onemark.sig"), "--signature says nothing without a key");
    refused(here, &format!("ONEMARK_TRUST= {verify}"), "ONEMARK_TRUST is set, but empty");
    let done = shell(here, verify);
    assert!(done.success && done.stdout.contains("its signature was not verified"), "{}", done.stdout);
    // The same signature, by a key that others can read, and through a pipe.
    fs::set_permissions(here.join("lab.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let done = shell(here, "ONEMARK_SIGNING_KEY=lab.key onemark sign first.onemark --out again.sig");
    assert!(
        done.success && done.stderr.contains("warning: others can read or change the private key lab.key"),
        "{}",
        done.stderr
    );
    assert!(shell(here, "cat lab.key | onemark sign first.onemark --key /dev/stdin --out pipe.sig").success);
    for other in ["again.sig", "pipe.sig"] {
        assert_eq!(fs::read(here.join(other)).unwrap(), fs::read(here.join("first.onemark.sig")).unwrap());
        assert!(shell(here, &format!("{verify} --trust lab.pem --signature {other}")).success);
    }
    fs::remove_file(here.join("first.onemark.sig")).unwrap();
    refused(here, &format!("{verify} --trust lab.pem"), "for this file, or say where it is by --signature");
}
