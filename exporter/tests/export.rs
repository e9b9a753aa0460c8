//! Whole exports of small networks, tests that the self-check finds errors, and the sizes of the paper's network.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;

use onemark_exporter::compile::compile;
use onemark_exporter::emit::pack::pack;
use onemark_exporter::explain::Summary;
use onemark_exporter::untrained::untrained;
use onemark_exporter::{BundleInfo, Export, ExportError, Options, export, passes, synthetic, verify};
use onemark_film::geometry::GridPoint;
use onemark_models::bundle::names::vector;
use onemark_models::bundle::{Bundle, GraphEntry, Precision, TensorEntry, WEIGHTS};
use onemark_models::checkpoint::pseudo_labels::to_tensor;
use onemark_models::checkpoint::{Checkpoint, init, spelled};
use onemark_models::graph::Level;
use onemark_models::landmarks::{LandmarkId, LandmarkSet};
use onemark_models::network::PSEUDO_LABELS;
use onemark_models::network::config::AdapterVariant;
use onemark_models::recipe::{PriorUse, Recipe};
use onemark_models::shape_prior::ShapePrior;

const SEED: u64 = 3;
/// The number of maps: score and five embeddings of each of 19 landmarks; if heads run in windows, also the score in windows.
const MAPS: usize = 19 * 6;
const MAPS_WITH_WINDOWS: usize = 19 * 7;
/// The largest bundle of the paper's network that is accepted (66.5 million numbers are 266 MB).
const LARGEST_PAPER_BUNDLE: u64 = 290_000_000;

fn small_recipe(adapter_channels: usize, adapter_variant: AdapterVariant) -> Recipe {
    let recipe = Recipe::parse("tiny", include_str!("../../tests/tiny.yaml")).unwrap();
    let changed = recipe.edit(|spec| {
        // Wide enough on levels 4 and 3 that adapters of two channels are stacked, as in real networks.
        spec.trunk.widths = [4, 6, 56, 32, 32];
        spec.network.adapter_channels = adapter_channels;
        spec.network.adapter_variant = adapter_variant;
        spec.phases.retain(|phase| adapter_channels > 0 || !phase.adapters);
    });
    changed.unwrap()
}

fn small(adapter_channels: usize, adapter_variant: AdapterVariant) -> Checkpoint {
    untrained(small_recipe(adapter_channels, adapter_variant), SEED).unwrap()
}

/// A network with adapters and its bundle, which most tests use.
static SMALL: LazyLock<(Checkpoint, Bundle)> = LazyLock::new(|| {
    let checkpoint = small(2, AdapterVariant::Block);
    let export = exported(&checkpoint);
    assert_eq!(export.self_check.comparisons, MAPS_WITH_WINDOWS);
    (checkpoint, export.bundle)
});

fn template_vector_name(landmark: usize, level: usize) -> String {
    vector(LandmarkId::new(landmark).unwrap(), Level::new(level).unwrap())
}

fn info() -> BundleInfo {
    BundleInfo { name: "small".into(), intended_use: "tests".into(), weights_licence: "none".into() }
}

fn exported(checkpoint: &Checkpoint) -> Export {
    export(checkpoint, &info(), &Options::default(), &[], |_| {}).unwrap()
}

#[test]
fn every_architecture_survives_its_passes() {
    // Without adapters, embeddings do not depend on landmarks. The trunk computes them, and heads compute only the score.
    let separate = {
        let recipe = small_recipe(0, AdapterVariant::Block).edit(|spec| spec.network.separate = true);
        untrained(recipe.unwrap(), SEED).unwrap()
    };
    let with_adapters = small(2, AdapterVariant::Convolution);
    let without = small(0, AdapterVariant::Block);
    let cases = [(with_adapters, (0, 5), MAPS_WITH_WINDOWS), (without, (5, 0), MAPS), (separate, (0, 5), MAPS)];
    for (checkpoint, expected, maps) in cases {
        let Export { bundle, self_check, .. } = exported(&checkpoint);
        assert_eq!(self_check.comparisons, maps);
        let manifest = bundle.manifest();
        let embeddings =
            |graph: &GraphEntry| graph.outputs.iter().filter(|output| output.name.starts_with("embedding")).count();
        assert_eq!((embeddings(&manifest.trunk), embeddings(&manifest.heads[0].graph)), expected);
    }
}

/// Before the work begins.
#[test]
fn texts_of_a_bundle_are_checked_first() {
    let checkpoint = &SMALL.0;
    let long = "x".repeat(20_001);
    for (info, says) in [
        (BundleInfo { name: "=1+1".into(), ..info() }, "name: must not begin with"),
        (BundleInfo { intended_use: "\u{1b}[2J".into(), ..info() }, "intended_use: holds the hidden character"),
        (BundleInfo { weights_licence: long, ..info() }, "weights_licence: has 20001 characters"),
    ] {
        let mut steps = 0;
        let refused = export(checkpoint, &info, &Options::default(), &[], |_| steps += 1).unwrap_err();
        assert!(steps == 0 && refused.to_string().starts_with(says), "{steps}: {refused}");
    }
}

/// Exports without optional passes, with a quantised trunk and in half precision. The self-check accepts each of them.
#[test]
fn other_ways_to_compile_come_to_the_same() {
    let (checkpoint, whole) = &*SMALL;
    let compiled = |options: Options| export(checkpoint, &info(), &options, &[], |_| {});
    let optional = passes::PASSES.iter().filter(|pass| pass.ensures.is_empty()).map(|pass| pass.name.to_owned());
    let optional: Vec<String> = optional.collect();
    assert_eq!(
        optional,
        [
            "fold-grey-input",
            "split-affine",
            "fold-affine-chains",
            "plan-levels",
            "stack-adapters",
            "quantise-trunk",
            "narrow"
        ]
    );
    let plain = compiled(Options { without: optional, ..Options::default() }).unwrap();
    assert_eq!((plain.self_check.comparisons, plain.bundle.manifest().plan.is_none()), (MAPS, true));
    for (name, says) in [("hoist", "did you mean hoist-landmark-invariant"), ("fold-batch-norm", "can't be left out")] {
        let refused = compiled(Options { without: vec![name.to_owned()], ..Options::default() }).unwrap_err();
        assert!(refused.to_string().contains(says), "{refused}");
    }

    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.png");
    image::GrayImage::from_fn(80, 100, |x, y| image::Luma([((x * y) % 251) as u8])).save(&film).unwrap();
    let quantised = compiled(Options { quantisation_films: vec![film], ..Options::default() }).unwrap().bundle;
    assert!(quantised.manifest().history.iter().any(|line| line.contains("8 bits, quantised with 1 films")));
    let trunk = |bundle: &Bundle| String::from_utf8_lossy(bundle.bytes("trunk.onnx").unwrap()).into_owned();
    assert!(trunk(&quantised).contains("QuantizeLinear") && !trunk(whole).contains("QuantizeLinear"));

    let half = compiled(Options { precision: Precision::F16, ..Options::default() }).unwrap();
    assert_eq!(half.self_check.comparisons, MAPS_WITH_WINDOWS);
    // The numbers are rounded, by little more than half a unit in the last place of f16.
    let narrow = passes::PASSES.iter().find(|pass| pass.name == "narrow").unwrap();
    assert!((1e-5..narrow.effect.tolerance()).contains(&half.self_check.worst), "{}", half.self_check.worst);
    let bytes = |bundle: &Bundle| bundle.manifest().files[WEIGHTS].bytes as f64;
    let share = bytes(&half.bundle) / bytes(whole);
    // Vectors and padding take a larger share of such a small network.
    assert!((0.5..0.75).contains(&share), "{share}");
    let span = |bundle: &Bundle| bundle.manifest().template_vectors[&template_vector_name(3, 2)].length;
    assert_eq!(span(&half.bundle), span(whole), "vectors stay f32");
}

/// Processors without instructions for dot products of bytes add two products in 16 bits and saturate. The steps must avoid this.
#[test]
fn sums_of_8_bit_products_are_exact_on_every_processor() {
    let mut checkpoint = SMALL.0.clone();
    let trunk =
        checkpoint.tensors.iter_mut().filter(|(name, _)| name.starts_with("trunk.") && name.ends_with("weight"));
    // Equal weights, which are all 127 in 8 bits: powers of two, so that sums in f32 are exact, that keep numbers from growing.
    for (_, weight) in trunk {
        let terms = weight.len() / weight.shape()[0];
        weight.fill(1.0 / terms.next_power_of_two() as f32);
    }
    let folder = tempfile::tempdir().unwrap();
    let white = folder.path().join("white.png");
    image::GrayImage::from_pixel(80, 100, image::Luma([255])).save(&white).unwrap();
    let options = Options { quantisation_films: vec![white.clone()], ..Options::default() };
    let export = export(&checkpoint, &info(), &options, &[white], |_| {}).unwrap();
    // A number that is rounded the other way makes three thousandths; sums that saturate make far more.
    assert!(export.self_check.worst < 1e-2, "{}", export.self_check.worst);
}

#[test]
fn an_export_is_reproducible_and_whole_on_disk() {
    let (checkpoint, bundle) = &*SMALL;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.onemark");
    bundle.write(&path, false).unwrap();
    let landmarks = checkpoint.recipe.landmarks.clone();
    let compiled = compile(checkpoint, &landmarks, &Options::default(), |_| {}).unwrap();
    let again = pack(compiled.onnx, checkpoint, landmarks, &info(), 0).unwrap();
    assert_eq!(Bundle::open(&path).unwrap().manifest(), again.manifest());
    // Joints are for training.
    assert!(!checkpoint.recipe.landmarks.joints.is_empty() && again.manifest().landmark_set.joints.is_empty());
}

#[test]
fn the_self_check_notices_one_wrong_number() {
    let (checkpoint, bundle) = &*SMALL;
    let films = [("film".to_owned(), synthetic::synthetic_film(64))];
    let name = template_vector_name(7, 3);
    let span = bundle.manifest().template_vectors[&name];
    let mut files: BTreeMap<_, _> =
        bundle.manifest().files.keys().map(|file| (file.clone(), bundle.bytes(file).unwrap().to_vec())).collect();
    let weights = files.get_mut(WEIGHTS).unwrap();
    weights[span.offset..span.offset + 4].copy_from_slice(&9.0_f32.to_le_bytes());
    let harmed = Bundle::new(bundle.manifest().clone(), files).unwrap();
    match verify::verify(&harmed, &verify::Reference::Network(checkpoint), &films, verify::TOLERANCE).unwrap_err() {
        ExportError::Differs { landmark: 7, output, .. } => assert_eq!(output, "score"),
        other => panic!("{other}"),
    }
}

/// Without this rule, landmark 7 would be found by another landmark's parameters, or not at all.
#[test]
fn what_the_trunk_makes_for_one_landmark_must_be_there_for_each() {
    let (_, bundle) = &*SMALL;
    let mut manifest = bundle.manifest().clone();
    let of_seven = |tensor: &TensorEntry| tensor.name.starts_with("adapter.07.");
    assert!(manifest.trunk.outputs.iter().any(of_seven));
    manifest.trunk.outputs.retain(|output| !of_seven(output));
    manifest.heads[6].graph.inputs.retain(|input| !of_seven(input));
    let files = manifest.files.keys().map(|file| (file.clone(), bundle.bytes(file).unwrap().to_vec())).collect();
    let refused = Bundle::new(manifest, files).unwrap_err().to_string();
    assert!(
        refused.contains("coarse.onnx")
            && refused.contains("no graph produces its input")
            && refused.contains("for landmark 7"),
        "{refused}"
    );
}

#[test]
fn an_unfinished_checkpoint_is_refused_by_what_it_lacks() {
    let (checkpoint, _) = &*SMALL;
    let without = |gone: &str| {
        let mut checkpoint = checkpoint.clone();
        checkpoint.tensors.retain(|name, _| !name.starts_with(gone));
        export(&checkpoint, &info(), &Options::default(), &[], |_| {}).unwrap_err()
    };
    assert!(matches!(without("template."), ExportError::NoTemplateVectors));
    let error = without("adapter.07.level3.conv1").to_string();
    assert!(error.contains("adapter.07.level3.conv1.weight"), "{error}");
}

/// METHOD.md sec. 5b and 5c, C_A = 16, variant A.
#[test]
fn the_papers_network_fits() {
    let recipe = Recipe::load("c-adapter").unwrap();
    let landmarks = LandmarkSet::named("isbi19").unwrap();
    let architecture = onemark_models::network::Architecture::from(&recipe);
    let graphs = LandmarkId::up_to(19).map(|landmark| architecture.graph(landmark).unwrap());
    let tensors = spelled(graphs.flat_map(|graph| init::random(graph.params(), SEED)).collect());
    let checkpoint = Checkpoint { recipe, history: vec![], notes: BTreeMap::new(), tensors };
    let mut summaries = Vec::new();
    let compiled = compile(&checkpoint, &landmarks, &Options::default(), |progress| {
        summaries.push(Summary::of(progress));
    })
    .unwrap();
    let (start, end) = (&summaries[0], &summaries[summaries.len() - 1]);
    let vectors = 19 * 5 * 64;
    assert_eq!(start.heads.parameters, 66_452_320 + vectors);
    let gmac = |macs: u64| (macs as f64 / 1e7).round() / 100.0;
    assert_eq!(gmac(start.heads.macs), 1658.27);
    // The trunk also computes the invariant part of the decoder, and the adapters' first convolutions of it on levels 4 and 3.
    assert_eq!(gmac(end.trunk.macs), 75.86);
    assert_eq!((gmac(end.coarse.macs), gmac(end.window.macs)), (2.63, 0.56));
    let bundle = pack(compiled.onnx, &checkpoint, landmarks, &info(), 0).unwrap();
    assert!(bundle.total_bytes() <= LARGEST_PAPER_BUNDLE, "{}", bundle.total_bytes());
}

#[test]
fn nothing_is_written_when_the_command_fails() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("cut.safetensors");
    fs::write(&checkpoint, b"not a checkpoint").unwrap();
    let command = std::process::Command::new(env!("CARGO_BIN_EXE_onemark-export"))
        .arg(&checkpoint)
        .arg("--out")
        .arg(folder.path().join("small.onemark"))
        .output()
        .unwrap();
    assert!(!command.status.success());
    let message = String::from_utf8_lossy(&command.stderr).into_owned();
    assert!(message.contains("cut.safetensors is not a whole safetensors file"), "{message}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Pseudo-labels of films whose landmarks move together.
fn labels_of(films: usize) -> Vec<Vec<GridPoint>> {
    let point = |film: usize, landmark: usize| {
        GridPoint::new((film % 9 + 2 * landmark) as f64, (film / 9 + 20 + landmark) as f64)
    };
    (0..films).map(|film| (0..19).map(|landmark| point(film, landmark)).collect()).collect()
}

#[test]
fn the_shape_prior_is_fitted_to_the_pseudo_labels() {
    let mut checkpoint = small(0, AdapterVariant::Block);
    assert_eq!(exported(&checkpoint).bundle.manifest().shape_prior, None);
    checkpoint.recipe = checkpoint.recipe.edit(|spec| spec.decoding = PriorUse::ShapePrior).unwrap();
    let refused = |checkpoint: &Checkpoint| {
        export(checkpoint, &info(), &Options::default(), &[], |_| {}).unwrap_err().to_string()
    };
    assert!(refused(&checkpoint).contains("pseudo-labels of 0 films"));
    checkpoint.tensors.insert(PSEUDO_LABELS.into(), to_tensor(&labels_of(40)));
    assert!(refused(&checkpoint).contains("of 40 films, too few"));

    checkpoint.tensors.insert(PSEUDO_LABELS.into(), to_tensor(&labels_of(90)));
    let bundle = exported(&checkpoint).bundle;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prior.onemark");
    bundle.write(&path, false).unwrap();
    let prior = ShapePrior::fit(&labels_of(90), checkpoint.recipe.network.size);
    assert!(prior.is_some());
    assert_eq!(Bundle::open(&path).unwrap().manifest().shape_prior, prior);
}
