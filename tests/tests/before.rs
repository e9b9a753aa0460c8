//! Files of earlier versions open and give the same results. `goldens/before.zip` holds the files of a run of version 0.1.0 on phantom
//! films, from a time when the names of parameters showed how passes had changed them:
//! - `checkpoint.safetensors`, the run's end;
//! - `before.onemark`, its export, with heads in windows and stacked adapters;
//! - `film.png`, the template, smaller.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::io::{Cursor, Read as _};
use std::path::Path;

use onemark_exporter::{BundleInfo, Options as ExportOptions, export};
use onemark_film::Film;
use onemark_film::geometry::GridSize;
use onemark_models::bundle::{Bundle, WEIGHTS};
use onemark_models::checkpoint::Checkpoint;
use onemark_runtime::{Detector, Options};
use onemark_tests::backends;

/// The landmarks that version 0.1.0 found with both backends: cells (row, column) of a grid of 64 x 64.
const CELLS: [(usize, usize); 19] = [
    (29, 26),
    (26, 43),
    (36, 40),
    (38, 19),
    (43, 43),
    (56, 43),
    (56, 43),
    (56, 43),
    (56, 43),
    (45, 24),
    (45, 44),
    (45, 44),
    (43, 51),
    (48, 52),
    (42, 50),
    (52, 52),
    (39, 25),
    (36, 43),
    (38, 22),
];
const SIDE: usize = 64;

/// Tensors start at multiples of this number of bytes in the weights.
const ALIGNMENT: usize = 64;

#[test]
fn a_bundle_of_before_finds_the_same_cells() {
    let bundle = bundle();
    let numbered = |name: &str| bundle.manifest().trunk.outputs.iter().any(|output| output.name == name);
    assert!(numbered("adapter.07.level4.conv1"), "landmarks' own outputs of the trunk have numbers");
    assert_finds_cells(&bundle);
}

#[test]
fn a_checkpoint_of_before_becomes_the_same_bundle_but_for_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    fs::write(&path, file("checkpoint.safetensors")).unwrap();
    let checkpoint = Checkpoint::read(&path).unwrap();
    let labels = BundleInfo { name: "before".into(), intended_use: "tests".into(), weights_licence: "none".into() };
    let again = export(&checkpoint, &labels, &ExportOptions::default(), &[], |_| {}).unwrap().bundle;
    let before = bundle();
    assert_eq!(again.template_vectors().unwrap(), before.template_vectors().unwrap());
    assert_eq!(numbers(&again), numbers(&before), "other order, same numbers");
    let plans = [&again, &before].map(|bundle| bundle.manifest().plan.as_ref().unwrap());
    assert_eq!((&plans[0].tiling, plans[0].max_windows), (&plans[1].tiling, plans[1].max_windows));
    assert_finds_cells(&again);
}

/// Detection with whole heads and with windows, which give the same maximum.
fn assert_finds_cells(bundle: &Bundle) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.png");
    fs::write(&path, file("film.png")).unwrap();
    let film = Film::open(&path).unwrap();
    let grid = film.to_grid(GridSize { height: SIDE, width: SIDE }).unwrap();
    for backend in backends() {
        let detector = Detector::new(bundle, Options::default().with_backend(backend.parse().unwrap())).unwrap();
        let found = detector.detect(&film).unwrap();
        let found: Vec<_> =
            found.landmarks().iter().map(|landmark| <(usize, usize)>::from(landmark.cell().index())).collect();
        assert_eq!(found, CELLS, "{backend}");
        for (landmark, cell) in (1..).zip(CELLS) {
            let scores = detector.score_map(&grid, landmark).unwrap();
            let best = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert!(scores[cell] >= best, "{backend}, landmark {landmark}: {} below {best}", scores[cell]);
        }
    }
}

/// The weights in pieces of one alignment, sorted: the same for the same tensors in any order.
fn numbers(bundle: &Bundle) -> Vec<Vec<u8>> {
    let weights = bundle.bytes(WEIGHTS).unwrap();
    let pieces = weights.chunks(ALIGNMENT).map(|piece| {
        let mut piece = piece.to_vec();
        piece.resize(ALIGNMENT, 0);
        piece
    });
    let mut pieces: Vec<_> = pieces.collect();
    pieces.sort();
    pieces
}

fn bundle() -> Bundle {
    Bundle::from_bytes(&file("before.onemark"), "before.onemark").unwrap()
}

fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/before.zip");
    let mut archive = zip::ZipArchive::new(Cursor::new(fs::read(path).unwrap())).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}
