//! C programs, compiled against the header and the library as users compile theirs: the example finds the same as Rust, and
//! every misuse is an error.
//!
//! Needs a C and a C++ compiler, which building the workspace needs too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use onemark_film::{Film, Pixels, Size, Spacing};
use onemark_runtime::{Detector, Options};
use onemark_tests::{backends, data_set, tiny_bundle};
use tempfile::TempDir;

const WIDTH: u32 = 131;
const HEIGHT: u32 = 170;

/// System libraries that our static library needs (`cargo rustc -p onemark-c -- --print native-static-libs`).
const SYSTEM: [&str; 4] = ["-lgcc_s", "-lm", "-lpthread", "-ldl"];

#[test]
fn the_example_finds_what_rust_finds_to_the_last_bit() {
    let here = TempDir::new().unwrap();
    let bundle = here.path().join("tiny.onemark");
    tiny_bundle().write(&bundle, false).unwrap();
    let programs = [shared(here.path(), "examples/detect.c"), linked_whole(here.path(), "examples/detect.c")];
    for (program, bits) in programs.iter().zip([8_u32, 12]) {
        let pixels = pixels(bits);
        let film = here.path().join("film");
        fs::write(&film, &pixels).unwrap();
        for backend in backends() {
            let expected = found_by_rust(&bundle, backend, &pixels, bits);
            assert!(expected.len() == 19 && expected.iter().all(|(_, numbers)| numbers.iter().all(|n| n.is_finite())));
            let mut command = Command::new(program);
            command.arg(&bundle).arg(backend).arg(&film).args([WIDTH, HEIGHT, bits].map(|n| n.to_string()));
            let said = succeed(&mut command);
            assert_eq!(said.lines().map(parsed).collect::<Vec<_>>(), expected, "{program:?}, {bits} bits, {backend}");
        }
    }
}

#[test]
fn misuse_is_an_error() {
    let here = TempDir::new().unwrap();
    let bundle = here.path().join("tiny.onemark");
    tiny_bundle().write(&bundle, false).unwrap();
    assert_eq!(succeed(Command::new(shared(here.path(), "tests/misuse.c")).arg(bundle)), "all refused\n");
}

/// What a file and the calling program state gives the same mm in C as in Rust, and the same is said.
#[test]
fn c_has_the_same_rule_for_spacing() {
    let here = TempDir::new().unwrap();
    let bundle = here.path().join("tiny.onemark");
    tiny_bundle().write(&bundle, false).unwrap();
    let program = shared(here.path(), "tests/spacing.c");
    // What the file states; what the program states, x and y; how many warnings there are.
    for (file, [x, y], warnings) in [
        ("", [0.0, 0.0], 1),
        ("", [0.2, 0.2], 0),
        ("0.6\\0.6 ", [0.0, 0.0], 0),
        ("0.6\\0.6 ", [0.6, 0.6], 0),
        ("0.6\\0.6 ", [0.2, 0.3], 1),
        ("1\\1 ", [0.0, 0.0], 1),
        ("1\\1 ", [600.0, 600.0], 2),
    ] {
        let path = here.path().join("film.dcm");
        fs::write(&path, dicom(file)).unwrap();
        let stated = (x > 0.0).then(|| Spacing::new(x, y, "the calling program").unwrap());
        let film = Film::open(&path).unwrap().with_stated(None, stated.as_ref());
        let said = succeed(Command::new(&program).arg(&bundle).arg(&path).args([x, y].map(|mm| mm.to_string())));
        let mut lines = said.lines();
        let json: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!(json["spacing"], serde_json::to_value(film.spacing()).unwrap(), "{file} {x}");
        let expected: Vec<String> = film.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(expected.len(), warnings, "{expected:?}");
        assert_eq!(
            (lines.collect::<Vec<_>>(), &json["warnings"]),
            (expected.iter().map(String::as_str).collect(), &expected.clone().into())
        );
    }
}

/// A DICOM film of 8 bits that states this spacing.
fn dicom(spacing: &str) -> Vec<u8> {
    let [one, eight, rows, columns] = [1, 8, HEIGHT, WIDTH].map(|number| (number as u16).to_le_bytes());
    let pixels = pixels(8);
    let attributes: BTreeMap<u32, &[u8]> = [
        (0x0008_0005, &b"ISO_IR 192"[..]),
        (0x0028_0002, &one),
        (0x0028_0004, b"MONOCHROME2 "),
        (0x0028_0010, &rows),
        (0x0028_0011, &columns),
        (0x0028_0030, spacing.as_bytes()),
        (0x0028_0100, &eight),
        (0x7FE0_0010, &pixels),
    ]
    .into();
    data_set(&attributes)
}

#[test]
fn the_header_is_cpp_too() {
    let here = TempDir::new().unwrap();
    let source = here.path().join("program.cpp");
    fs::write(&source, "#include \"onemark.h\"\nint main() { return onemark_abi_version() - ONEMARK_ABI_VERSION; }\n")
        .unwrap();
    compile("CXX", "c++", &source, &here.path().join("program"), &dynamic());
}

/// A film as a camera would store it, with `bits` per pixel, as bytes.
fn pixels(bits: u32) -> Vec<u8> {
    let last = (1_u32 << bits) - 1;
    let grey = |x: f64, y: f64| 0.5 + 0.25 * (x / 9.0 + y / 17.0).sin() + 0.25 * (x * y / 400.0).cos();
    let places = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
    let values = places.map(|(x, y)| (grey(f64::from(x), f64::from(y)) * f64::from(last)) as u16);
    if bits == 8 { values.map(|value| value as u8).collect() } else { values.flat_map(u16::to_ne_bytes).collect() }
}

/// Each landmark's name, then x and y in px, x and y in mm, and the score.
type Found = Vec<(String, Vec<f64>)>;

fn found_by_rust(bundle: &Path, backend: &str, bytes: &[u8], bits: u32) -> Found {
    let size = Size { width: WIDTH, height: HEIGHT };
    let pixels = if bits == 8 { Pixels::grey8(bytes, size) } else { Pixels::grey16(bytes, size) };
    let film = Film::from_pixels(pixels.unwrap().with_bits(bits)).unwrap();
    let film = film.with_spacing(Spacing::new(0.1, 0.1, "a test").unwrap());
    let detector = Detector::open(bundle, Options::default().with_backend(backend.parse().unwrap())).unwrap();
    let found = detector.detect(&film).unwrap();
    let numbers = found.landmarks().iter().map(|landmark| {
        let (px, mm) = (landmark.position(), landmark.mm().unwrap());
        (landmark.name().to_owned(), vec![px.x, px.y, mm.x, mm.y, f64::from(landmark.score())])
    });
    numbers.collect()
}

fn parsed(line: &str) -> (String, Vec<f64>) {
    let (name, numbers) = line.split_once(' ').unwrap();
    (name.into(), numbers.split(' ').filter_map(|number| number.parse().ok()).collect())
}

/// The folder in which cargo puts the package's libraries: beside the test. Cargo does not build them for the test.
fn libraries() -> PathBuf {
    let folder = env::current_exe().unwrap().parent().unwrap().to_owned();
    let here = folder.join("libonemark_c.a").is_file();
    assert!(here, "there is no C library in {}: run `cargo xtask test`, which builds it first", folder.display());
    folder
}

fn dynamic() -> Vec<OsString> {
    let folder = libraries().into_os_string().into_string().unwrap();
    vec![format!("-L{folder}").into(), "-lonemark_c".into(), format!("-Wl,-rpath,{folder}").into()]
}

/// Compiles `source` with the shared library.
fn shared(folder: &Path, source: &str) -> PathBuf {
    let program = folder.join("shared");
    compile("CC", "cc", &package(source), &program, &dynamic());
    program
}

/// Compiles `source` with the static library.
fn linked_whole(folder: &Path, source: &str) -> PathBuf {
    let program = folder.join("static");
    let mut libraries = vec![libraries().join("libonemark_c.a").into_os_string()];
    libraries.extend(SYSTEM.map(OsString::from));
    compile("CC", "cc", &package(source), &program, &libraries);
    program
}

fn package(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn compile(variable: &str, default: &str, source: &Path, program: &Path, libraries: &[OsString]) {
    let mut compiler = Command::new(env::var_os(variable).unwrap_or_else(|| default.into()));
    compiler.args(["-Wall", "-Wextra", "-Werror", "-I"]).arg(package("include"));
    succeed(compiler.arg(source).arg("-o").arg(program).args(libraries));
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
