#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use onemark_film::geometry::GridPoint;
use tempfile::TempDir;

use super::tiling::LevelWindows;
use super::*;
use crate::graph::Level;
use crate::landmarks::{Analysis, Landmark, LandmarkId, LandmarkSet};
use crate::network::SCORE;
use crate::shape_prior::ShapePrior;

mod limits;
mod second_look;

fn vector(number: usize, level: Level) -> String {
    names::vector(LandmarkId::new(number).unwrap(), level)
}

fn toy() -> Bundle {
    let tensor = |name: &str, shape| TensorEntry { name: name.into(), shape };
    let graph = |file: &str, inputs, outputs| GraphEntry { file: file.into(), inputs, outputs };
    let grid = [1, 1, 32, 32];
    let tap = || vec![tensor("trunk.tap5", [1, 8, 1, 1])];
    let landmark = Landmark {
        number: LandmarkId::from_index(0),
        name: "tip".into(),
        title: "Tip".into(),
        definition: "The end.".into(),
    };
    let manifest = Manifest {
        format: FORMAT,
        name: "toy".into(),
        made_by: "a test".into(),
        landmark_set: LandmarkSet {
            id: "toy".into(),
            name: "Toy".into(),
            source: "".into(),
            landmarks: vec![landmark],
            analysis: Analysis::default(),
            joints: Vec::new(),
        },
        input: Input { size: 32, preprocessing: "grey, 32x32, [0, 1]".into() },
        trunk: graph("trunk.onnx", vec![tensor("film", grid)], tap()),
        heads: vec![HeadEntry { landmark: 1, graph: graph("landmark-01-tip.onnx", tap(), vec![tensor(SCORE, grid)]) }],
        plan: None,
        weights: Precision::F32,
        template_vectors: Level::COARSE_TO_FINE.map(|level| (vector(1, level), Span { offset: 0, length: 8 })).into(),
        shape_prior: None,
        accuracy: None,
        calibration: None,
        familiarity: None,
        second_look: None,
        adapted: None,
        recipe: "name: toy\n".into(),
        history: vec![],
        intended_use: "tests".into(),
        weights_licence: "none".into(),
        files: BTreeMap::new(),
    };
    let weights = [0.5_f32, -0.25].map(f32::to_le_bytes).concat();
    let files: [(&str, &[u8]); 3] =
        [("trunk.onnx", b"trunk graph"), ("landmark-01-tip.onnx", b"head graph"), (WEIGHTS, &weights)];
    Bundle::new(manifest, files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).into()).unwrap()
}

/// Writes a toy bundle to a temporary folder, changes it with `harm`, and opens it.
fn opened_after(harm: impl FnOnce(&Path)) -> Result<Bundle, BundleError> {
    reopened(&toy(), harm)
}

/// The same with this bundle.
fn reopened(bundle: &Bundle, harm: impl FnOnce(&Path)) -> Result<Bundle, BundleError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("toy");
    bundle.write(&path, false).unwrap();
    harm(&path);
    Bundle::open(path)
}

fn edit_manifest(path: &Path, from: &str, to: &str) {
    let file = path.join(MANIFEST);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn what_is_written_is_read_back_from_folder_and_archive() {
    let folder = TempDir::new().unwrap();
    let (plain, archive) = (folder.path().join("toy"), folder.path().join("toy.onemark"));
    toy().write(&plain, false).unwrap();
    toy().write_archive(&archive, false).unwrap();
    let in_memory = Bundle::from_bytes(&fs::read(&archive).unwrap(), "toy.zip");
    for bundle in [Bundle::open(plain), Bundle::open(archive), in_memory] {
        let bundle = bundle.unwrap();
        assert_eq!(bundle.manifest(), toy().manifest());
        assert_eq!(bundle.bytes("trunk.onnx").unwrap().as_ref(), b"trunk graph");
        assert!(matches!(bundle.bytes("other"), Err(BundleError::Missing { .. })));
    }
}

#[test]
fn only_a_bundle_is_replaced_and_only_when_asked() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("toy");
    toy().write(&path, false).unwrap();
    assert!(matches!(toy().write(&path, false), Err(BundleError::Exists { .. })));
    toy().write(&path, true).unwrap();
    Bundle::open(&path).unwrap();
    // The other folder is unchanged, and no temporary folder is left.
    let other = folder.path().join("films");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("film.png"), "a film").unwrap();
    assert!(matches!(toy().write(&other, true), Err(BundleError::NotReplaced { .. })));
    assert!(other.join("film.png").exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn no_bundle_is_written_into_another() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("toy");
    toy().write(&path, false).unwrap();
    let inside = path.join("new");
    for refused in [Bundle::validate_target(&inside, false), toy().write(&inside, false)] {
        assert!(matches!(refused, Err(BundleError::Inside { .. })));
    }
    Bundle::open(&path).unwrap();
}

#[test]
fn a_target_below_a_file_is_refused_before_the_work() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(Bundle::validate_target(&file.join("new"), false).is_err());
    assert!(Bundle::validate_target(&folder.path().join("new"), false).is_ok());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn damage_to_files_is_found_before_anything_is_parsed() {
    let flipped = opened_after(|path| fs::write(path.join("trunk.onnx"), "trunk grapH").unwrap());
    assert!(matches!(flipped, Err(BundleError::Damaged { file, .. }) if file == "trunk.onnx"));
    let cut = opened_after(|path| fs::write(path.join(WEIGHTS), "eight").unwrap());
    assert!(matches!(cut, Err(BundleError::Damaged { file, .. }) if file == WEIGHTS));
    let grown = opened_after(|path| fs::write(path.join(WEIGHTS), "eight by eight").unwrap());
    assert!(matches!(grown, Err(BundleError::Damaged { file, .. }) if file == WEIGHTS));
    let missing = opened_after(|path| fs::remove_file(path.join(WEIGHTS)).unwrap());
    assert!(matches!(missing, Err(BundleError::Missing { file, .. }) if file == WEIGHTS));
    let extra = opened_after(|path| fs::write(path.join("libevil.so"), "").unwrap());
    assert!(matches!(extra, Err(BundleError::Extra { file, .. }) if file == "libevil.so"));
    let folder = opened_after(|path| fs::create_dir(path.join("more")).unwrap());
    assert!(matches!(folder, Err(BundleError::NotPlain { file, .. }) if file == "more"));
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_not_followed_even_to_the_right_bytes() {
    let linked = opened_after(|path| {
        let elsewhere = path.with_file_name("elsewhere");
        fs::rename(path.join("trunk.onnx"), &elsewhere).unwrap();
        std::os::unix::fs::symlink(elsewhere, path.join("trunk.onnx")).unwrap();
    });
    assert!(matches!(linked, Err(BundleError::NotPlain { file, .. }) if file == "trunk.onnx"));
}

#[test]
fn no_name_leads_out_of_the_bundle() {
    for name in ["/etc/passwd", "../trunk.onnx", "..", "a/b", "a\\b", "C:trunk.onnx", ".hidden", "", "manifest.yaml"] {
        let hostile = opened_after(|path| edit_manifest(path, "  trunk.onnx:", &format!("  '{name}':")));
        let error = hostile.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(&format!("files: `{name}`")), "{name}: {error}");
    }
    let twins = opened_after(|path| edit_manifest(path, "  trunk.onnx:", "  Weights.BIN:"));
    assert!(twins.unwrap_err().to_string().contains("differs in case only"));
}

#[test]
fn a_manifest_is_whole_current_and_without_contradiction() {
    let newer = opened_after(|path| edit_manifest(path, "format: 1", "format: 3\nnew_key: 3"));
    assert!(matches!(newer, Err(BundleError::Version { found: 3, .. })));
    let unknown = opened_after(|path| edit_manifest(path, "decoding:", "decodign:"));
    assert!(unknown.unwrap_err().to_string().contains("did you mean `decoding`?"));
    for (from, to, key) in [
        ("landmark: 1", "landmark: 2", "heads"),
        ("  size: 32", "  size: 64", "trunk.inputs"),
        ("offset: 0", "offset: 8", "template_vectors"),
        ("name: score", "name: scores", "heads"),
    ] {
        let error = opened_after(|path| edit_manifest(path, from, to)).unwrap_err();
        assert!(matches!(&error, BundleError::Manifest { invalid, .. } if invalid.key.starts_with(key)), "{error}");
    }
    let misnumbered = opened_after(|path| edit_manifest(path, "number: 1", "number: 7")).unwrap_err().to_string();
    assert!(misnumbered.contains("landmark set \"toy\": entry 1: its number is 7, it must be 1"), "{misnumbered}");
    // A truncated manifest is refused, wherever it is cut, even at the end of a line.
    let whole = yaml::write(toy().manifest()).unwrap();
    for length in 0..whole.trim_end().len() {
        assert!(read_manifest(Path::new("toy"), &whole.as_bytes()[..length]).is_err(), "{length}");
    }
}

#[test]
fn archives_are_stored_and_flat() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("toy.onemark");
    toy().write_archive(&path, false).unwrap();
    let whole = fs::read(&path).unwrap();
    let place = whole.windows(11).position(|window| window == b"trunk graph").unwrap();
    let mut flipped = whole.clone();
    flipped[place] ^= 1;
    fs::write(&path, flipped).unwrap();
    assert!(Bundle::open(&path).is_err());
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(Bundle::open(&path), Err(BundleError::NotABundle { .. })));
    let mut writer = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file("../manifest.yaml", options).unwrap();
    writer.finish().unwrap();
    assert!(matches!(Bundle::open(&path), Err(BundleError::NotABundle { .. })));
}

#[test]
fn a_set_a_prior_and_a_tiling_keep_their_rules() {
    let graph = |name: &str| GraphEntry { file: "trunk.onnx".into(), inputs: vec![], outputs: vec![grid(name)] };
    let levels = vec![LevelWindows { cells: 32, starts: vec![0] }];
    let tiling = Tiling { size: 32, tile: 32, levels };
    let plan = Plan { coarse: graph("bound"), window: graph(SCORE), tiling, max_windows: 1, specific: vec![[].into()] };
    let whole = Manifest { plan: Some(plan), ..toy().manifest().clone() };
    toy().with_manifest(whole.clone()).unwrap();
    let prior = ShapePrior {
        mean: vec![GridPoint::new(1.0, 2.0)],
        covariance: vec![vec![1.0, 0.0], vec![0.0, -1.0]],
        noise: 1.0,
    };
    type Harm<'a> = &'a dyn Fn(&mut Manifest);
    let harms: [(Harm<'_>, &str); 4] = [
        (&|manifest| levels_of(manifest).resize(65, LevelWindows { cells: 32, starts: vec![0] }), "tiling.levels"),
        (&|manifest| levels_of(manifest)[0].starts.clear(), "tiling.levels[0]"),
        (&|manifest| manifest.landmark_set.landmarks.push(manifest.landmark_set.landmarks[0].clone()), "landmark_set"),
        (&|manifest| manifest.shape_prior = Some(prior.clone()), "covariance"),
    ];
    for (harm, key) in harms {
        let mut manifest = whole.clone();
        harm(&mut manifest);
        let made = toy().with_manifest(manifest.clone()).unwrap_err();
        assert!(matches!(&made, BundleError::Manifest { invalid, .. } if invalid.key.contains(key)), "{made}");
        // Reading the manifest's text refuses it too.
        let text = yaml::write(&manifest).unwrap();
        assert!(matches!(read_manifest(Path::new("toy"), text.as_bytes()), Err(BundleError::Yaml(_))), "{key}");
    }
    let mut twins = whole;
    let twin = Landmark { number: LandmarkId::from_index(1), ..twins.landmark_set.landmarks[0].clone() };
    twins.landmark_set.landmarks.push(twin);
    let refused = read_manifest(Path::new("toy"), yaml::write(&twins).unwrap().as_bytes()).unwrap_err().to_string();
    assert!(refused.contains("name \"tip\" is taken"), "{refused}");
}

fn levels_of(manifest: &mut Manifest) -> &mut Vec<LevelWindows> {
    &mut manifest.plan.as_mut().unwrap().tiling.levels
}

fn grid(name: &str) -> TensorEntry {
    TensorEntry { name: name.into(), shape: [1, 1, 32, 32] }
}

#[test]
fn every_vector_lies_inside_the_weights() {
    let mut manifest = toy().manifest().clone();
    manifest.template_vectors.insert("template.77.level1".into(), Span { offset: 0, length: 1 << 20 });
    let error = toy().with_manifest(manifest).unwrap_err().to_string();
    assert!(error.contains("template.77.level1") && error.contains("8 bytes"), "{error}");
}

/// The toy with five vectors of two numbers, and other weights before and after them.
fn with_vectors() -> Bundle {
    with_numbers(&Vec::from_iter((0_u8..14).map(f32::from)))
}

/// A bundle with these weights, whose first numbers but two are the vectors.
fn with_numbers(numbers: &[f32]) -> Bundle {
    let toy = toy();
    let mut manifest = toy.manifest().clone();
    let spans = Level::COARSE_TO_FINE
        .iter()
        .enumerate()
        .map(|(index, level)| (vector(1, *level), Span { offset: 8 * (index + 1), length: 8 }));
    manifest.template_vectors = spans.collect();
    let weights: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut files: BTreeMap<_, _> = toy.files.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect();
    files.insert(WEIGHTS.to_owned(), weights);
    Bundle::new(manifest, files).unwrap()
}

fn learnt(numbers: [f32; 2]) -> BTreeMap<String, Vec<f32>> {
    Level::COARSE_TO_FINE.map(|level| (vector(1, level), numbers.to_vec())).into()
}

fn adapted_film(sha256: &str) -> Vec<AdaptedFilm> {
    vec![AdaptedFilm { sha256: sha256.into(), source: Some("ward 7".into()), landmarks: vec![1] }]
}

#[test]
fn vectors_are_replaced_and_can_be_had_back() {
    let folder = TempDir::new().unwrap();
    let before = with_vectors();
    assert_eq!(before.template_vectors().unwrap()[&vector(1, Level::new(5).unwrap())], [2.0, 3.0]);
    let once = before.with_template_vectors(&learnt([0.5, 0.25]), adapted_film("a")).unwrap();
    let twice = once.with_template_vectors(&learnt([-1.0, 8.0]), adapted_film("b")).unwrap();
    twice.write(&folder.path().join("twice"), false).unwrap();
    let twice = Bundle::open(folder.path().join("twice")).unwrap();
    assert_eq!(twice.template_vectors().unwrap(), learnt([-1.0, 8.0]));
    let record = twice.manifest().adapted.as_ref().unwrap();
    assert_eq!((record.films.len(), record.films_with(1), record.films_with(2)), (2, 3, 1));
    // All other weights are unchanged, and undoing restores the export bit for bit.
    assert_eq!(twice.bytes(WEIGHTS).unwrap()[..8], before.bytes(WEIGHTS).unwrap()[..8]);
    let undone = twice.without_adaptation().unwrap();
    assert_eq!(undone.manifest(), before.manifest());
    assert_eq!(undone.bytes(WEIGHTS).unwrap(), before.bytes(WEIGHTS).unwrap());
}

#[test]
fn only_vectors_that_fit_are_replaced() {
    let wrong = [
        (BTreeMap::from([(vector(1, Level::new(5).unwrap()), vec![1.0; 3])]), "has 8 bytes, not 12"),
        (BTreeMap::from([(vector(9, Level::new(5).unwrap()), vec![1.0; 2])]), "has 0 bytes, not 8"),
    ];
    for (vectors, expected) in wrong {
        let error = with_vectors().with_template_vectors(&vectors, adapted_film("a")).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_record_that_contradicts_the_weights_is_refused() {
    let adapted = with_vectors().with_template_vectors(&learnt([0.5, 0.25]), adapted_film("a")).unwrap();
    let harms: [fn(&mut Adaptation); 3] = [
        |record| record.weights_bytes += 1,
        |record| record.original.values_mut().for_each(|span| span.offset += 1 << 20),
        |record| drop(record.original.pop_first()),
    ];
    for harm in harms {
        let mut manifest = adapted.manifest().clone();
        harm(manifest.adapted.as_mut().unwrap());
        let error = adapted.with_manifest(manifest).unwrap_err().to_string();
        assert!(error.contains("adapted."), "{error}");
    }
}
