//! Bundles that somebody could make on purpose. Sizes and digests are right, so the fault itself must be found.

use super::*;
use crate::confidence::{Calibration, LandmarkCalibration, Reliability};
use crate::familiarity::Familiarity;

type Harm<'a> = &'a dyn Fn(&mut Manifest);

/// Why the toy is refused with a manifest that was harmed.
#[track_caller]
fn refused(harm: Harm<'_>) -> String {
    let mut manifest = toy().manifest().clone();
    harm(&mut manifest);
    let made = toy().with_manifest(manifest.clone()).unwrap_err().to_string();
    // Reading the manifest's text refuses it too.
    assert!(read_manifest(Path::new("toy"), yaml::write(&manifest).unwrap().as_bytes()).is_err(), "{made}");
    made
}

#[test]
fn texts_are_short_and_steer_nothing() {
    let harms: [(Harm<'_>, &str); 10] = [
        (&|manifest| title(manifest, "x".repeat(70_000)), "landmark_set.entry 1.title: has 70000 characters"),
        (&|manifest| title(manifest, "\u{1b}]0;title\u{7}".into()), "title: holds the hidden character \\u{1b}"),
        (&|manifest| title(manifest, "=1+1".into()), "title: must not begin with ="),
        (
            &|manifest| manifest.landmark_set.landmarks[0].name = "a\0b".into(),
            "\"a\\u{0}b\" must be lower-case letters",
        ),
        (&|manifest| manifest.name = "a\nb".into(), "name: holds the hidden character \\n"),
        (&|manifest| manifest.made_by = "x".repeat(201), "made_by: has 201 characters"),
        (&|manifest| manifest.intended_use = "\u{9b}31m".into(), "intended_use: holds the hidden character \\u{9b}"),
        (&|manifest| manifest.recipe = "x".repeat(20_001), "recipe: has 20001 characters"),
        (&|manifest| manifest.history = vec!["\u{1b}[2J".into()], "history: holds the hidden character"),
        (&|manifest| manifest.history = vec![String::new(); 50_001], "history: has 50001 entries"),
    ];
    for (harm, why) in harms {
        let error = refused(harm);
        assert!(error.contains(why), "{error}");
    }
    let mut manifest = toy().manifest().clone();
    manifest.intended_use = "For tests:\n- nothing else.\n".into();
    toy().with_manifest(manifest).unwrap();
}

/// A line for each epoch.
#[test]
fn a_long_training_has_a_long_history() {
    let line = "phase adapters, epoch 40000/50000: loss 0.123, 0.52 cells off on held-out copies of the template, 31 s";
    let folder = TempDir::new().unwrap();
    let manifest = Manifest { history: vec![line.to_owned(); 50_000], ..toy().manifest().clone() };
    toy().with_manifest(manifest).unwrap().write(&folder.path().join("toy"), false).unwrap();
    assert_eq!(Bundle::open(folder.path().join("toy")).unwrap().manifest().history.len(), 50_000);
}

/// What can't be opened can't be made.
#[test]
fn a_manifest_is_not_too_large_to_be_read() {
    let made = |manifest: Manifest| toy().with_manifest(manifest).unwrap_err().to_string();
    let long = made(Manifest { history: vec!["x".repeat(200); 50_000], ..toy().manifest().clone() });
    assert!(long.contains("toy/manifest.yaml: has 10") && long.contains("bytes; at most 8388608 are read"), "{long}");
    let mut manifest = toy().manifest().clone();
    let spans = (0..70_000).map(|number| (format!("more{number}"), Span { offset: 0, length: 8 }));
    manifest.template_vectors.extend(spans);
    let many = made(manifest);
    assert!(many.contains("more than 400000 values"), "{many}");
    let mut files: BTreeMap<_, _> = toy().files.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect();
    files.extend((0..997).map(|number| (format!("more{number}.onnx"), vec![])));
    let many = Bundle::new(toy().manifest().clone(), files.clone()).unwrap_err().to_string();
    assert!(many.contains("files: has 1001 entries with the manifest; at most 1000 are read"), "{many}");
    files.remove("more0.onnx");
    let folder = TempDir::new().unwrap();
    Bundle::new(toy().manifest().clone(), files).unwrap().write(&folder.path().join("toy"), false).unwrap();
    Bundle::open(folder.path().join("toy")).unwrap();
}

#[test]
fn films_that_a_bundle_was_adapted_to_are_counted() {
    let films = |count| vec![adapted_film("a").remove(0); count];
    with_vectors().with_template_vectors(&learnt([0.5, 1.0]), films(1000)).unwrap();
    let many = with_vectors().with_template_vectors(&learnt([0.5, 1.0]), films(1001)).unwrap_err().to_string();
    assert!(many.contains("adapted.films: has 1001 entries; at most 1000 are read"), "{many}");
}

fn title(manifest: &mut Manifest, title: String) {
    manifest.landmark_set.landmarks[0].title = title;
}

#[test]
fn sizes_are_bounded() {
    let tensor = |name: &str, shape| TensorEntry { name: name.into(), shape };
    let harms: [(Harm<'_>, &str); 6] = [
        (&|manifest| manifest.input.size = 1 << 40, "input.size: must be 1 to 2048"),
        (&|manifest| manifest.input.size = 0, "input.size: must be 1 to 2048"),
        (
            &|manifest| manifest.trunk.outputs.push(tensor("more", [1 << 32, 1 << 32, 2, 1])),
            "`trunk.onnx`: outputs: `more`: must have 1 to 268435456 elements",
        ),
        (&|manifest| manifest.trunk.outputs.push(tensor("more", [1, 0, 1, 1])), "must have 1 to 268435456 elements"),
        (&|manifest| manifest.trunk.outputs.push(tensor("trunk.tap5", [1, 8, 1, 1])), "`trunk.tap5`: is there twice"),
        (
            &|manifest| manifest.trunk.outputs = (0..4097).map(|i| tensor(&i.to_string(), [1; 4])).collect(),
            "outputs: has 4097 entries",
        ),
    ];
    for (harm, why) in harms {
        let error = refused(harm);
        assert!(error.contains(why), "{error}");
    }
    let large = opened_after(|path| edit_manifest(path, "bytes: 8", "bytes: 18446744073709551615"));
    let large = large.unwrap_err().to_string();
    assert!(large.contains("files: together have more than 2147483648 bytes"), "{large}");
}

#[test]
fn windows_fit_into_memory() {
    let tiling = |size, tile, cells, starts| Tiling {
        size,
        tile,
        levels: vec![LevelWindows { cells, starts: vec![0; starts] }; 6],
    };
    assert_eq!(tiling(2048, 16, 40, 128).validate(), Ok(()));
    let many = tiling(2048, 1, 4, 2048).validate().unwrap_err().to_string();
    assert!(many.starts_with("tile: there are 2048 along an axis"), "{many}");
    let large = tiling(2048, 32, 4096, 64).validate().unwrap_err().to_string();
    assert!(large.contains("do not fit into memory"), "{large}");
}

/// As a bundle's maker might sell it: the file is listed, with its right digest.
#[test]
fn a_file_that_no_graph_uses_is_named() {
    let mut files: BTreeMap<_, _> = toy().files.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect();
    files.insert("payload.exe".into(), b"MZ".to_vec());
    let error = Bundle::new(toy().manifest().clone(), files).unwrap_err().to_string();
    assert!(error.contains("files: `payload.exe`: is no graph of the bundle and not its weights"), "{error}");
}

/// As when the plan is taken out of the manifest, and its graphs stay.
#[test]
fn a_graph_that_is_not_used_is_named() {
    let mut files: BTreeMap<_, _> = toy().files.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect();
    files.insert("coarse.onnx".into(), b"a graph".to_vec());
    let bundle = Bundle::new(toy().manifest().clone(), files).unwrap();
    assert_eq!(bundle.unused().collect::<Vec<_>>(), ["coarse.onnx"]);
    assert_eq!(toy().unused().count(), 0);
}

/// The digest is that of the file, whatever comments it has, and writing the bundle elsewhere changes nothing.
#[test]
fn the_digest_is_that_of_the_file() {
    let folder = TempDir::new().unwrap();
    let [path, copy, zip] = ["toy", "copy", "toy.zip"].map(|name| folder.path().join(name));
    toy().write(&path, false).unwrap();
    let text = fs::read_to_string(path.join(MANIFEST)).unwrap();
    let commented = format!("# Cleared for diagnosis.\n{text}");
    fs::write(path.join(MANIFEST), &commented).unwrap();
    let bundle = Bundle::open(&path).unwrap();
    assert_eq!(bundle.digest(), sha256(commented.as_bytes()));
    bundle.write(&copy, false).unwrap();
    bundle.write_archive(&zip, false).unwrap();
    for again in [copy, zip] {
        assert_eq!(Bundle::open(again).unwrap().digest(), bundle.digest());
    }
    let changed = bundle.with_manifest(toy().manifest().clone()).unwrap();
    assert_eq!(changed.digest(), sha256(text.as_bytes()));
}

#[test]
fn a_manifest_is_not_larger_than_it_looks() {
    let text = "z".repeat(100_000);
    let aliases = format!("history:\n- &a {text}\n{}", "- *a\n".repeat(6000));
    let aliases = opened_after(|path| edit_manifest(path, "history: []\n", &aliases)).unwrap_err().to_string();
    assert!(aliases.contains("manifest.yaml:") && aliases.contains("an anchor"), "{aliases}");
    let brackets = opened_after(|path| {
        fs::write(path.join(MANIFEST), format!("format: 1\nx: {}", "[".repeat(100_000))).unwrap();
    });
    let brackets = brackets.unwrap_err().to_string();
    assert!(brackets.contains("manifest.yaml:2: ") && brackets.contains("nested deeper"), "{brackets}");
    // What a message repeats steers nothing.
    let unknown = opened_after(|path| edit_manifest(path, "format: 1\n", "format: 1\n\"\\e[2J\": 1\n"));
    let unknown = unknown.unwrap_err().to_string();
    assert!(unknown.contains("unknown field `\\u{1b}[2J`"), "{unknown}");
}

fn with_weights(weights: &[f32], harm: Harm<'_>) -> Result<Bundle, BundleError> {
    let mut files: BTreeMap<_, _> = toy().files.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect();
    files.insert(WEIGHTS.into(), weights.iter().flat_map(|weight| weight.to_le_bytes()).collect());
    let mut manifest = toy().manifest().clone();
    harm(&mut manifest);
    Bundle::new(manifest, files)
}

#[test]
fn template_vectors_are_finite() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38] {
        let error = with_weights(&[0.5, bad], &|_| {}).unwrap_err().to_string();
        assert!(
            error.contains("weights.bin: template_vectors: `template.01.level1`: holds a number that is"),
            "{error}"
        );
        // A zip with such numbers is refused when it is opened.
        let error = adapted_to(bad).unwrap_err().to_string();
        assert!(error.contains("holds a number that is not finite"), "{error}");
    }
    with_weights(&[0.5, 1e9], &|_| {}).unwrap();
    adapted_to(1.0).unwrap();
}

fn adapted_to(number: f32) -> Result<Bundle, BundleError> {
    with_vectors().with_template_vectors(&learnt([0.5, number]), adapted_film("a"))
}

/// The numbers of a landmark that are inputs of the plan's graphs: in the precision of the weights.
#[test]
fn numbers_of_landmarks_are_finite() {
    let planned = |manifest: &mut Manifest, weights: Precision| {
        let graph = |name: &str| GraphEntry { file: "trunk.onnx".into(), inputs: vec![], outputs: vec![grid(name)] };
        let tiling = Tiling { size: 32, tile: 32, levels: vec![LevelWindows { cells: 32, starts: vec![0] }] };
        let own = [("adapter.bias".to_owned(), Span { offset: 8, length: 4 })].into();
        let (coarse, window) = (graph("bound"), graph(SCORE));
        manifest.plan = Some(Plan { coarse, window, tiling, max_windows: 1, specific: vec![own] });
        manifest.weights = weights;
    };
    let halves = |low: u16, high: u16| f32::from_bits(u32::from(high) << 16 | u32::from(low));
    for (weights, good, bad) in [
        (Precision::F32, 1.0, f32::NAN),
        (Precision::F16, halves(0x3C00, 0x3C00), halves(0x3C00, 0x7E00)),
        (Precision::F16, halves(0x3C00, 0x7BFF), halves(0x7C00, 0)),
    ] {
        let harm: Harm<'_> = &|manifest| planned(manifest, weights);
        with_weights(&[0.5, 0.5, good], harm).unwrap();
        let error = with_weights(&[0.5, 0.5, bad], harm).unwrap_err().to_string();
        assert!(error.contains("weights.bin: plan.own: `adapter.bias`"), "{error}");
    }
}

pub(super) fn calibration() -> Calibration {
    let landmark = LandmarkCalibration {
        median: -1.0,
        deviation: 1.0,
        log_odds: 2.0,
        mean_error_mm: 1.0,
        within_2_mm: 0.9,
        radius_mm: 2.0,
    };
    Calibration {
        films: "20 films".into(),
        landmarks: vec![landmark],
        slope: 1.0,
        weakest: -3.0,
        out_of_distribution: -2.0,
        reliability: Reliability { draws: 1, ..Reliability::default() },
    }
}

#[test]
fn a_calibration_and_a_prior_hold_numbers() {
    let good = calibration();
    let calibrated = |harm: &dyn Fn(&mut Calibration)| {
        let mut calibration = good.clone();
        harm(&mut calibration);
        toy().with_manifest(Manifest { calibration: Some(calibration), ..toy().manifest().clone() })
    };
    calibrated(&|_| {}).unwrap();
    let harms: [&dyn Fn(&mut Calibration); 6] = [
        &|calibration| calibration.slope = f64::NAN,
        &|calibration| calibration.weakest = f64::INFINITY,
        &|calibration| calibration.landmarks[0].median = 1e38,
        &|calibration| calibration.landmarks[0].within_2_mm = 1.5,
        &|calibration| calibration.reliability.coverage = f64::NAN,
        &|calibration| calibration.films = "\u{1b}[2J".into(),
    ];
    for (index, harm) in harms.into_iter().enumerate() {
        let error = calibrated(harm).unwrap_err().to_string();
        assert!(error.contains("calibration"), "{index}: {error}");
        assert!(index > 2 || error.contains("numbers must be finite and at most 1e9 in absolute value"), "{error}");
    }
    let known = |median: f64, farthest: f64| {
        let familiarity = Some(Familiarity { films: 8, medians: vec![median], farthest });
        toy().with_manifest(Manifest { familiarity, ..toy().manifest().clone() })
    };
    known(-1e9, 1e9).unwrap();
    for (median, farthest) in [(f64::NAN, 1.0), (1e38, 1.0), (-1.0, f64::INFINITY), (-1.0, 1e38), (-1.0, 0.0)] {
        let error = known(median, farthest).unwrap_err().to_string();
        assert!(error.contains("familiarity."), "{error}");
    }
    let prior = |noise| ShapePrior {
        mean: vec![GridPoint::new(1.0, 2.0)],
        covariance: vec![vec![1.0, 0.0], vec![0.0, 1.0]],
        noise,
    };
    assert_eq!(prior(1.0).validate(1), Ok(()));
    assert!([f64::NAN, f64::INFINITY, 1e38].into_iter().all(|noise| prior(noise).validate(1).is_err()));
}

/// A local header with its data, and its line in the zip's directory.
fn stored(name: &str, data: &[u8], at: u32) -> (Vec<u8>, Vec<u8>) {
    let size = (data.len() as u32).to_le_bytes();
    let name_length = (name.len() as u16).to_le_bytes();
    // The version; flags, method and time; the date; the checksum, which is not read; twice the size; the lengths.
    let middle = [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &[0; 4], &size, &size, &name_length, &[0, 0]].concat();
    let local = [b"PK\x03\x04", middle.as_slice(), name.as_bytes(), data].concat();
    let mode = (0o100_644_u32 << 16).to_le_bytes();
    let end = [&[0; 6][..], &mode, &at.to_le_bytes(), name.as_bytes()].concat();
    (local, [&b"PK\x01\x02\x14\x03"[..], &middle, &end].concat())
}

#[test]
fn files_of_an_archive_do_not_overlap() {
    let zip = |entries: &[(&str, u32)]| {
        let data = [7; 100];
        let body = [stored("a.bin", &data, 0).0, stored("b.bin", &data, 0).0].concat();
        let directory: Vec<u8> = entries.iter().flat_map(|(name, at)| stored(name, &data, *at).1).collect();
        let count = (entries.len() as u16).to_le_bytes();
        let sizes = [(directory.len() as u32).to_le_bytes(), (body.len() as u32).to_le_bytes()].concat();
        let end = [&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &sizes, &[0, 0]].concat();
        Bundle::from_bytes(&[body, directory, end].concat(), "toy.zip").unwrap_err().to_string()
    };
    let apart = zip(&[("a.bin", 0), ("b.bin", 135)]);
    assert!(apart.contains("it contains no manifest.yaml"), "{apart}");
    for shared in [&[("a.bin", 0), ("b.bin", 135), ("c.bin", 135)][..], &[("a.bin", 0), ("b.bin", 0)]] {
        let error = zip(shared);
        assert!(error.contains("two files of its zip directory share bytes"), "{error}");
    }
    let names: Vec<String> = (0..1001).map(|index| format!("f{index}")).collect();
    let many = zip(&names.iter().map(|name| (name.as_str(), 0)).collect::<Vec<_>>());
    assert!(many.contains("it has 1001 files; a bundle has at most 1000"), "{many}");
}

#[cfg(unix)]
#[test]
fn a_device_is_not_read() {
    for device in ["/dev/null", "/dev/zero"] {
        let error = Bundle::open(device).unwrap_err().to_string();
        assert!(error.contains("a pipe or a device"), "{error}");
    }
}
