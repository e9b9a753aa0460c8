//! `cargo xtask versions`: the parity suite with every ONNX Runtime that the runtime accepts, and the refusal of one that it does not.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::setup::{onnxruntime, wheel::Wheel};
use crate::{setup, shell};

/// The last of those that end the program: version and SHA-256 of its wheel.
const TOO_OLD: (&str, &str) = ("1.22.1", "f6effa1299ac549a05c784d50292e3378dbbf010346ded67400193b09ddc2f04");

/// Those from the oldest on, one of each minor version.
const ACCEPTED: [(&str, &str); 10] = [
    ("1.23.0", "3c681ab5ae4fce92d09f4a86ac088a18ea36f8739115b8abf55e557cb6729e97"),
    ("1.24.1", "1cabe71ca14dcfbf812d312aab0a704507ac909c137ee6e89e4908755d0fc60e"),
    ("1.25.0", "a349feb15476092372eb045a340cd88e53f7965ce5b489ebf5fea20c0bd49add"),
    ("1.26.0", "11a8df4dcfe9ad5ff0bd71a7571dbed019fabc7594676c89fe8b86ea029c246f"),
    ("1.27.0", "e4f7b0e90d2d212e2c2deaa6c8291616183ab815d3ec558ea12d3ac8b26d36f4"),
    ("1.28.0", "a166b78ee04f3a37fa1ef82034b6a3ce96d9684e582d4d30b296de83e9998bb5"),
    ("1.29.0", "85f8e8406c52658735fe5c7fbfd3ebaa1ed340768324f6252e4274e374580a23"),
    ("1.30.0", "fd54b314ea385bcecac69ab431f020ba503e3878dad4ebb645fec5a24b041242"),
    ("1.31.0", "d4092b78fc5bab77ce6522393098cdb2535423045ecdcff15cc0d022162d6b66"),
    ("1.32.0", "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d"),
];

/// Fetches each version into target/onnxruntime and tries it.
pub fn run() -> Result<()> {
    setup::run(&setup::Options::default())?;
    shell::build_binaries()?;
    let mut failed = Vec::new();
    for (version, sha256) in ACCEPTED {
        println!("\n# ONNX Runtime {version}");
        let mut parity = shell::cargo();
        parity.args(["test", "--workspace", "--test", "parity"]);
        if shell::run(parity.env("ORT_DYLIB_PATH", library(version, sha256)?)).is_err() {
            failed.push(version);
        }
    }
    println!("\n# ONNX Runtime {}, which must be refused", TOO_OLD.0);
    refused(&library(TOO_OLD.0, TOO_OLD.1)?)?;
    if failed.is_empty() { Ok(()) } else { bail!("failed with ONNX Runtime {}", failed.join(", ")) }
}

/// The path of a version's library.
fn library(version: &'static str, sha256: &'static str) -> Result<String> {
    let folder = Path::new("target/onnxruntime").join(version);
    fs::create_dir_all("target/onnxruntime")?;
    if !folder.join(onnxruntime::LIBRARY).exists() {
        onnxruntime::make(Wheel { name: "onnxruntime", version, sha256 }, &folder)?;
    }
    let path = folder.join(onnxruntime::LIBRARY).canonicalize()?;
    path.into_os_string().into_string().ok().context("this folder's path is not UTF-8")
}

fn refused(library: &str) -> Result<()> {
    let mut doctor = Command::new(shell::bin_dir()?.join("onemark"));
    let said = doctor.arg("doctor").env("ORT_DYLIB_PATH", library).output()?;
    let text = String::from_utf8_lossy(&said.stdout);
    println!("{text}");
    if said.status.code().is_none() || !text.contains("use 1.23 or newer") {
        bail!("`onemark doctor` does not refuse it: {}", said.status);
    }
    Ok(())
}
