//! Bundles that somebody made on purpose: the sizes and digests of their files are right.

use onemark_models::files::sha256;

use super::*;

const DETECT: &str = "detect films/RawImage/Test1Data/151.png --bundle head.onemark";

/// Replaces a file of the bundle, and its size and digest in the manifest.
fn replace(here: &Path, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = here.join("head.onemark").join(name);
    let before = fs::read(&path).unwrap();
    let entry = |bytes: &[u8]| format!("  {name}:\n    bytes: {}\n    sha256: {}\n", bytes.len(), sha256(bytes));
    let (old, after) = (entry(&before), change(before));
    edit_manifest(here, |text| text.replace(&old, &entry(&after)));
    fs::write(path, after).unwrap();
}

fn edit_manifest(here: &Path, change: impl FnOnce(&str) -> String) {
    edit(&here.join("head.onemark").join(MANIFEST), change);
}

fn no_numbers(here: &Path) {
    replace(here, WEIGHTS, |bytes| f32::NAN.to_le_bytes().repeat(bytes.len() / 4));
}

/// Only the first number, which no template vector has.
fn one_infinity(here: &Path) {
    replace(here, WEIGHTS, |bytes| [&f32::INFINITY.to_le_bytes()[..], &bytes[4..]].concat());
}

pub const CASES: &[Case] = &[
    Case {
        name: "bundle whose weights are no numbers",
        harm: no_numbers,
        line: DETECT,
        says: &[MANIFEST, WEIGHTS, "not finite", "export the bundle again"],
    },
    Case {
        name: "bundle with an infinite weight, for detecting",
        harm: one_infinity,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --backend tract",
        says: &[".onnx", "tensor", "not finite", "export the bundle again"],
    },
    Case {
        name: "bundle with an infinite weight, for verifying",
        harm: one_infinity,
        line: "verify head.onemark",
        says: &[".onnx", "tensor", "not finite", "export the bundle again"],
    },
    Case {
        name: "bundle whose graph is of another operator set",
        harm: |here| {
            replace(here, "trunk.onnx", |bytes| {
                // Field 8 of the file, which has field 2: the version.
                let (old, new) = ([0x42, 2, 0x10, 18], [0x42, 3, 0x10, 0x8F, 0x4E]);
                let place = bytes.windows(4).rposition(|window| window == old).unwrap();
                [&bytes[..place], &new, &bytes[place + 4..]].concat()
            });
        },
        line: DETECT,
        says: &["trunk.onnx", "operator set 9999", "format 1", "export the bundle again"],
    },
    Case {
        name: "bundle with a file that no graph uses",
        harm: |here| {
            fs::write(here.join("head.onemark/payload.exe"), "MZ").unwrap();
            let entry = format!("files:\n  payload.exe:\n    bytes: 2\n    sha256: {}\n", sha256(b"MZ"));
            edit_manifest(here, |text| text.replace("\nfiles:\n", &format!("\n{entry}")));
        },
        line: "verify head.onemark",
        says: &[MANIFEST, "payload.exe", "is no graph"],
    },
    Case {
        name: "bundle with a long title",
        harm: |here| {
            edit_manifest(here, |text| text.replacen("title: Sella", &format!("title: {}", "x".repeat(70_000)), 1))
        },
        line: "inspect head.onemark",
        says: &[MANIFEST, "entry 1.title", "70000 characters", "at most 200"],
    },
    Case {
        name: "bundle whose intended use steers the terminal",
        harm: |here| {
            edit_manifest(here, |text| text.replace("intended_use: tests", "intended_use: \"\\e[2JFor diagnosis.\""));
        },
        line: "inspect head.onemark",
        says: &[MANIFEST, "intended_use", "\\u{1b}", "remove it"],
    },
    Case {
        name: "bundle with aliases in its manifest",
        harm: |here| {
            let aliases = format!("- &a {}\n{}", "z".repeat(100_000), "- *a\n".repeat(6000));
            edit_manifest(here, |text| format!("more:\n{aliases}{text}"));
        },
        line: "verify head.onemark",
        says: &[MANIFEST, "anchor", "write the value itself"],
    },
    Case {
        name: "bundle with a manifest of brackets",
        harm: |here| edit_manifest(here, |_| format!("format: 1\nx: {}", "[".repeat(100_000))),
        line: "verify head.onemark",
        says: &[MANIFEST, "nested deeper than 32 levels"],
    },
];
