//! docs/LIMITS.md has the numbers of the code.
#![allow(missing_docs, clippy::unwrap_used)]

use onemark_models::bundle::limits::{
    LARGEST_BUNDLE, LARGEST_GRID, LARGEST_MANIFEST, LONGEST_HISTORY, MOST_ADAPTED_FILMS, MOST_ELEMENTS, MOST_FILES,
    MOST_TENSORS,
};
use onemark_models::bundle::tiling;
use onemark_models::landmarks::{LONGEST_NAME, MOST_LANDMARKS, MOST_MEASUREMENTS, MOST_TERMS};
use onemark_models::statistics::LARGEST_NUMBER;
use onemark_models::text::{LONGEST_LINE, LONGEST_TEXT};
use onemark_models::yaml::{DEEPEST, MOST_VALUES};
use onemark_signing::{LARGEST_KEY, LARGEST_SIGNATURE, MOST_KEYS};

const DOCS: &str = include_str!("../../docs/LIMITS.md");

/// The second cell of the row that begins with `what`.
#[track_caller]
fn limit(what: &str) -> &'static str {
    let row = DOCS.lines().find(|line| line.starts_with(&format!("| {what} |")));
    row.unwrap_or_else(|| unreachable!("no row for {what}")).split('|').nth(2).unwrap().trim()
}

/// 8388608 as "8,388,608".
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(",")
}

/// The value of `const NAME: u64 = A << B;` in a source file: a constant that its crate keeps to itself.
#[track_caller]
fn private(source: &str, name: &str) -> u64 {
    let value = source.split(&format!("const {name}: u64 = ")).nth(1).and_then(|rest| rest.split(';').next());
    let (number, bits) = value.and_then(|value| value.split_once(" << ")).unwrap();
    number.parse::<u64>().unwrap() << bits.parse::<u32>().unwrap()
}

#[test]
fn the_limits_of_our_own_files_are_those_of_the_code() {
    for (what, source) in [
        ("the record of an audit", include_str!("../../runtime/cli/src/audit.rs")),
        ("the viewer's file of corrections", include_str!("../../runtime/viewer/src/kept_file.rs")),
    ] {
        assert_eq!(limit(what), format!("{} bytes", grouped(private(source, "MOST_BYTES"))), "{what}");
    }
}

#[test]
fn the_limits_of_bundles_are_those_of_the_code() {
    let number = |number: usize| grouped(number as u64);
    for (what, expected) in [
        ("files, sum of their sizes", format!("{} bytes", grouped(LARGEST_BUNDLE))),
        ("files, number", number(MOST_FILES)),
        ("a signature's file", format!("{} bytes", grouped(LARGEST_SIGNATURE))),
        ("a key's file, keys in a folder", format!("{} bytes, {}", grouped(LARGEST_KEY), number(MOST_KEYS))),
        ("manifest", format!("{} bytes", grouped(LARGEST_MANIFEST))),
        ("YAML: nesting", format!("{DEEPEST} levels")),
        ("YAML: values, keys and items", number(MOST_VALUES)),
        ("names and titles", format!("{LONGEST_LINE} characters")),
        ("other texts", format!("{} characters", number(LONGEST_TEXT))),
        ("history", format!("{} entries", number(LONGEST_HISTORY))),
        ("films adapted to", format!("{} entries", number(MOST_ADAPTED_FILMS))),
        ("landmarks", number(MOST_LANDMARKS)),
        ("a landmark's name", format!("{LONGEST_NAME} characters")),
        ("sources, lines, measurements", format!("{MOST_MEASUREMENTS} each")),
        ("terms of a sum, classes of a measurement", format!("{MOST_TERMS} each")),
        ("weights, template vectors", format!("finite, at most {LARGEST_NUMBER:e} ")),
        ("numbers of accuracy, calibration, prior and familiarity", format!("finite, at most {LARGEST_NUMBER:e} ")),
        ("the network's grid", format!("{} rows", number(LARGEST_GRID))),
        ("levels of a tiling", number(tiling::MAX_LEVELS)),
        ("tiles along an axis", number(tiling::MOST_TILES)),
        ("matrices of a tiling", format!("{} elements", number(tiling::MOST_MATRIX_ELEMENTS))),
        ("a graph's inputs, and its outputs", format!("{} each", number(MOST_TENSORS))),
        ("elements of a tensor", number(MOST_ELEMENTS)),
        ("a graph's file", format!("{} bytes", number(onemark_onnx::LARGEST_GRAPH))),
        ("a graph's multiplications", grouped(onemark_onnx::MOST_PRODUCTS)),
    ] {
        assert!(limit(what).starts_with(&expected), "{what}: {} instead of {expected}", limit(what));
    }
    // The weights are checked by one crate, the numbers that the manifest places by the other.
    assert_eq!((onemark_onnx::LARGEST_NUMBER, onemark_onnx::MOST_ELEMENTS), (LARGEST_NUMBER, MOST_ELEMENTS));
    assert_eq!(onemark_onnx::MOST_TENSORS, MOST_TENSORS);
}
