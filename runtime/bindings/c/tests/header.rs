//! The header in the tree is what cbindgen generates from the sources (`ONEMARK_UPDATE=1` writes it again), and
//! docs/EMBEDDING.md quotes the example exactly.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::{env, fs};

use cbindgen::{Builder, Config};

#[test]
fn the_header_is_that_of_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::from_file(root.join("cbindgen.toml")).unwrap();
    let sources = Builder::new().with_config(config).with_src(root.join("src/types.rs"));
    let mut made = Vec::new();
    sources.with_src(root.join("src/lib.rs")).generate().unwrap().write(&mut made);
    let made = String::from_utf8(made).unwrap();

    let header = root.join("include/onemark.h");
    if env::var_os("ONEMARK_UPDATE").is_some() {
        fs::write(&header, &made).unwrap();
    }
    let kept = fs::read_to_string(&header).unwrap_or_default();
    assert!(kept == made, "{} is out of date; run this test with ONEMARK_UPDATE=1", header.display());
}

#[test]
fn the_manual_shows_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(root.join("examples/detect.c")).unwrap();
    let manual = fs::read_to_string(root.join("../../../docs/EMBEDDING.md")).unwrap();
    let shown: Vec<&str> = manual.split("```c\n").skip(1).map(|lines| lines.split_once("```").unwrap().0).collect();
    assert!(!shown.is_empty() && shown.iter().all(|lines| example.contains(lines)), "{shown:?}");
}
