//! Bundles with a second look.

use super::limits::calibration;
use super::*;
use crate::bundle::second_look::PREFIX;

fn look() -> SecondLook {
    SecondLook::new(vec![[0.25, 0.5]], vec![0.5])
}

fn both() -> Bundle {
    toy().with_second_look(look(), &toy()).unwrap()
}

#[test]
fn a_bundle_holds_the_whole_bundle_of_its_second_look() {
    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("both.onemark");
    both().write_archive(&archive, false).unwrap();
    for bundle in [reopened(&both(), |_| ()).unwrap(), Bundle::open(archive).unwrap()] {
        assert_eq!((bundle.manifest().format, bundle.digest()), (FORMAT_OF_TWO_LOOKS, both().digest()));
        let (found, second) = bundle.second_look().unwrap();
        assert_eq!((found, second.digest()), (&look(), toy().digest()));
        assert_eq!(second.bytes("trunk.onnx").unwrap().as_ref(), b"trunk graph");
        assert_eq!(bundle.unused().count(), 0);
    }
    assert!(toy().second_look().is_none() && toy().manifest().format == FORMAT);
}

#[test]
fn the_second_look_is_verified_like_the_first() {
    let harmed = reopened(&both(), |path| fs::write(path.join("second-look.trunk.onnx"), "trunk grapH").unwrap());
    assert!(matches!(harmed, Err(BundleError::Damaged { file, .. }) if file == "second-look.trunk.onnx"));
    // A file that the outer manifest knows, and the inner one does not.
    let mut files: BTreeMap<_, _> = both().files.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect();
    files.insert(format!("{PREFIX}more.onnx"), b"a graph".to_vec());
    let error = Bundle::new(both().manifest().clone(), files.clone()).unwrap_err();
    assert!(error.to_string().contains("second-look."), "{error}");
    let BundleError::SecondLook { source } = error else { panic!("{error}") };
    assert!(matches!(*source, BundleError::Extra { file, .. } if file == "more.onnx"));
    for lost in ["second-look.manifest.yaml", "second-look.trunk.onnx"] {
        let mut fewer = files.clone();
        fewer.retain(|name, _| name != "second-look.more.onnx" && name != lost);
        assert!(Bundle::new(both().manifest().clone(), fewer).is_err(), "{lost}");
    }
}

#[test]
fn weights_that_both_begin_with_are_stored_once() {
    let numbers = |last: u8| Vec::from_iter((0..60).map(|at: u8| f32::from(at.min(last))));
    let (first, second) = (with_numbers(&numbers(60)), with_numbers(&numbers(40)));
    let both = first.with_second_look(look(), &second).unwrap();
    let opened = reopened(&both, |_| ()).unwrap();
    let (found, held) = opened.second_look().unwrap();
    // 41 of 60 numbers of 4 bytes are the same: two cache lines, and 9 numbers of the third.
    assert_eq!((found.shared_weights, opened.bytes("second-look.weights.bin").unwrap().len()), (128, 240 - 128));
    assert_eq!((held.digest(), held.bytes(WEIGHTS).unwrap()), (second.digest(), second.bytes(WEIGHTS).unwrap()));
    let cut = reopened(&both, |path| edit_manifest(path, "shared_weights: 128", "shared_weights: 1280"));
    assert!(cut.unwrap_err().to_string().contains("second_look.shared_weights: must be at most the bytes of"));
    // The first look changes within them, and the second stays as it was.
    let adapted = both.with_template_vectors(&learnt([3.0, 4.0]), adapted_film("ab")).unwrap();
    let (found, held) = adapted.second_look().unwrap();
    assert_eq!((found.shared_weights, held.digest()), (0, second.digest()));
    assert_eq!(adapted.without_adaptation().unwrap().digest(), both.digest());
}

#[test]
fn a_second_look_keeps_its_rules() {
    let refused = |look: SecondLook, second: &Bundle| toy().with_second_look(look, second).unwrap_err().to_string();
    let with = |frame: Vec<[f64; 2]>, shares: Vec<f64>| refused(SecondLook::new(frame, shares), &toy());
    assert!(with(vec![], vec![0.5]).contains("second_look.frame: must have an entry for each of the 1 landmarks"));
    assert!(with(vec![[0.5, 1.5]], vec![0.5]).contains("second_look.frame: must be places from 0 to 1"));
    assert!(with(vec![[0.5, 0.5]], vec![f64::NAN]).contains("second_look.shares: must be numbers from 0 to 1"));
    let together = SecondLook::new(vec![[0.5, 0.5]; 2], vec![0.5; 2]);
    assert!(together.validate(2).unwrap_err().to_string().contains("must not be the same place for all landmarks"));
    assert!(refused(look(), &both()).contains("must not have a second look of its own"));
    let mut manifest = toy().manifest().clone();
    manifest.landmark_set.landmarks[0].name = "root".into();
    let other = toy().with_manifest(manifest).unwrap();
    assert!(refused(look(), &other).contains("must have the landmarks of the first look"));

    let mut manifest = both().manifest().clone();
    manifest.format = FORMAT;
    let error = both().with_manifest(manifest).unwrap_err().to_string();
    assert!(error.contains("format: must be 2, because it looks twice at a film"), "{error}");
}

#[test]
fn an_adaptation_of_both_looks_is_undone_for_both() {
    let (first, film) = (with_vectors(), || adapted_film("ab"));
    let start = first.with_second_look(look(), &first).unwrap();
    let adapted = first.with_template_vectors(&learnt([3.0, 4.0]), film()).unwrap();
    let new = start.with_template_vectors(&learnt([3.0, 4.0]), film()).unwrap().with_second(&adapted).unwrap();
    assert_eq!(new.second_look().unwrap().1.template_vectors().unwrap(), adapted.template_vectors().unwrap());
    let undone = new.without_adaptation().unwrap();
    assert_eq!(undone.digest(), start.digest());
    // A calibration of one look alone does not come back for two.
    let mut manifest = first.manifest().clone();
    manifest.calibration = Some(calibration());
    let alone = first.with_manifest(manifest).unwrap().with_template_vectors(&learnt([3.0, 4.0]), film()).unwrap();
    let both = alone.with_second_look(look(), &first).unwrap().without_adaptation().unwrap();
    assert_eq!(
        (alone.without_adaptation().unwrap().manifest().calibration.is_some(), &both.manifest().calibration),
        (true, &None)
    );
}
