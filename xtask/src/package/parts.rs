//! The crates that the archive consists of, according to cargo.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// The packages that are shipped; all other crates are their dependencies.
const SHIPPED: [&str; 4] = ["onemark", "onemark-exporter", "onemark-c", "onemark-python"];

/// A crate.
#[derive(Default)]
pub struct Part {
    /// Its name on crates.io, or in the workspace.
    pub name: String,
    pub version: String,
    /// An SPDX expression.
    pub licence: Option<String>,
    pub authors: Vec<String>,
    /// Where its source is.
    pub folder: PathBuf,
    /// Whether it is one of the packages that are shipped.
    pub shipped: bool,
    /// SHA-256 of its package on crates.io; ours have none.
    pub checksum: Option<String>,
    /// `name@version` of the crates that it is made with.
    pub needs: Vec<String>,
}

/// The crates that are compiled into the archive on this machine, by `name@version`: all dependencies except those of tests and
/// build scripts, and except macros, which only generate code. A feature is on if any package of the workspace enables it, because
/// all are compiled together.
pub fn parts() -> Result<BTreeMap<String, Part>> {
    let host = shell::capture(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let mut command = shell::cargo();
    command.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &host]);
    let metadata: Value = serde_json::from_str(&shell::capture(&mut command)?)?;
    let checksums = checksums(&fs::read_to_string("Cargo.lock").context("cannot read Cargo.lock")?);
    from_metadata(&metadata, &checksums).context("cargo metadata lacks what every package has")
}

fn from_metadata(metadata: &Value, checksums: &BTreeMap<String, String>) -> Option<BTreeMap<String, Part>> {
    let by_id = |list: &Value, key: &str| -> Option<BTreeMap<String, Value>> {
        list.as_array()?.iter().map(|one| Some((text(&one[key])?, one.clone()))).collect()
    };
    let packages = by_id(&metadata["packages"], "id")?;
    let nodes = by_id(&metadata["resolve"]["nodes"], "id")?;
    let is_ours = |id: &String| SHIPPED.iter().any(|name| packages[id]["name"] == *name);
    let mut open: Vec<String> = packages.keys().filter(|id| is_ours(id)).cloned().collect();
    let mut parts = BTreeMap::new();
    while let Some(id) = open.pop() {
        let (package, node) = (packages.get(&id)?, nodes.get(&id)?);
        let (label, mut part) = part(package)?;
        if parts.contains_key(&label) {
            continue;
        }
        for needed in node["deps"].as_array()?.iter().filter(|one| is_normal(one)) {
            let id = text(&needed["pkg"])?;
            let package = packages.get(&id)?;
            if !is_macro(package) {
                part.needs.push(self::part(package)?.0);
                open.push(id);
            }
        }
        part.needs.sort();
        part.shipped = is_ours(&id);
        part.checksum = checksums.get(&label).cloned();
        parts.insert(label, part);
    }
    Some(parts)
}

fn part(package: &Value) -> Option<(String, Part)> {
    let (name, version) = (text(&package["name"])?, text(&package["version"])?);
    let licence = text(&package["license"]).map(|licence| licence.replace('/', " OR "));
    let authors = package["authors"].as_array().into_iter().flatten().filter_map(text).collect();
    let folder = Path::new(package["manifest_path"].as_str()?).parent()?.to_owned();
    Some((format!("{name}@{version}"), Part { name, version, licence, authors, folder, ..Part::default() }))
}

fn is_normal(dependency: &Value) -> bool {
    dependency["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"].is_null())
}

fn is_macro(package: &Value) -> bool {
    package["targets"].as_array().into_iter().flatten().any(|target| target["kind"][0] == "proc-macro")
}

fn text(value: &Value) -> Option<String> {
    Some(value.as_str()?.to_owned())
}

/// The checksums in a Cargo.lock by `name@version`.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let packages = lock.split("[[package]]").filter_map(|package| {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
        };
        Some((format!("{}@{}", value("name")?, value("version")?), value("checksum")?))
    });
    packages.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn tests_build_scripts_and_macros_are_no_parts() {
        let package = |name: &str, kind: &str| {
            json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0",
                   "manifest_path": format!("/source/{name}/Cargo.toml"), "targets": [{"kind": [kind]}]})
        };
        let needs = |name: &str, kind: Option<&str>| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package("onemark", "bin"), package("used", "lib"), package("tests", "lib"), package("build", "lib"),
                         package("derive", "proc-macro"), package("other", "lib")],
            "resolve": {"nodes": [
                {"id": "onemark", "deps": [needs("used", None), needs("tests", Some("dev")), needs("build", Some("build")), needs("derive", None)]},
                {"id": "used", "deps": []},
            ]},
        });
        let lock = "[[package]]\nname = \"used\"\nversion = \"1.0.0\"\nchecksum = \"12ab\"\n";
        let parts = from_metadata(&metadata, &checksums(lock)).unwrap();
        assert_eq!(parts.keys().collect::<Vec<_>>(), ["onemark@1.0.0", "used@1.0.0"]);
        assert_eq!(parts["onemark@1.0.0"].needs, ["used@1.0.0"]);
        assert!(parts["onemark@1.0.0"].shipped && !parts["used@1.0.0"].shipped);
        assert_eq!(parts["used@1.0.0"].licence.as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(parts["used@1.0.0"].checksum.as_deref(), Some("12ab"));
    }
}
