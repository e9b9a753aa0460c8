//! Datasets on disk: both layouts, and folders with errors of every kind.
#![allow(clippy::unwrap_used)]

mod isbi;
mod plain;

use std::fs;
use std::path::Path;

use onemark_evaluation::dataset::{Dataset, DatasetError, Split};
use onemark_film::geometry::Point;
use onemark_film::{Film, Size, Spacing};
use onemark_models::landmarks::LandmarkSet;
use tempfile::TempDir;

/// The size of ISBI 2015's films.
const PUBLISHED: Size = Size { width: 1935, height: 2400 };

fn spacing(x: f64, y: f64) -> Spacing {
    Spacing::new(x, y, "the dataset").unwrap()
}

fn write(root: &Path, file: &str, text: impl AsRef<[u8]>) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// 19 lines "x,y" shifted by `shift` px.
fn points(shift: usize) -> String {
    (0..19).map(|i| format!("{},{}\n", 100 + i + shift, 200 + 2 * i)).collect()
}

/// The published layout: training film 001 without annotation, 002 with; tests 151, 301 (in Test1Data), 302.
fn isbi() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for film in [
        "TrainingData/001.bmp",
        "TrainingData/002.jpg",
        "TrainingData/.hidden.jpg",
        "TrainingData/Thumbs.db",
        "Test1Data/151.BMP",
        "Test1Data/301.png",
        "Test2Data/302.bmp",
    ] {
        write(root, &format!("RawImage/{film}"), "");
    }
    for id in ["002", "151", "301", "302"] {
        write(root, &format!("AnnotationsByMD/400_senior/{id}.txt"), points(0));
        write(root, &format!("AnnotationsByMD/400_junior/{id}.txt"), points(3));
    }
    folder
}

fn plain() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for film in ["9.jpg", "10.jpg", "a.b.png"] {
        write(root, &format!("images/{film}"), "");
    }
    write(root, "landmarks.csv", "image,landmark,x,y\n9.jpg,2,3.5,4\n9.jpg,1,1,2\n10,1,5,6\n10,2,7,8\n");
    write(root, "spacing.csv", "image,mm_per_px_x,mm_per_px_y\n9.jpg,0.1,0.2\n");
    folder
}

fn ids(dataset: &Dataset) -> Vec<&str> {
    dataset.cases.iter().map(|case| case.id.as_str()).collect()
}

fn message(root: &TempDir) -> String {
    Dataset::open(root.path(), Split::All).unwrap_err().to_string()
}

/// No file of a dataset is read without a limit.
#[test]
fn files_that_are_too_large_are_refused() {
    let root = plain();
    let grow = |file: &str, bytes| {
        let file = fs::OpenOptions::new().append(true).open(root.path().join(file)).unwrap();
        file.set_len(bytes).unwrap();
    };
    grow("spacing.csv", (24 << 20) + 1);
    let (_, complaints) = Dataset::survey(root.path()).unwrap();
    assert!(complaints.len() == 1 && complaints[0].error.to_string().contains("cannot read"), "{complaints:?}");
    grow("landmarks.csv", (64 << 20) + 1);
    assert!(message(&root).contains("landmarks.csv has more than 67108864 bytes"), "{}", message(&root));
    let root = isbi();
    let path = root.path().join("AnnotationsByMD/400_senior/002.txt");
    fs::OpenOptions::new().append(true).open(&path).unwrap().set_len((24 << 20) + 1).unwrap();
    let error = Dataset::open(root.path(), Split::All).unwrap_err();
    let DatasetError::Read { source, .. } = &error else { unreachable!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::FileTooLarge);
}

#[test]
fn a_folder_that_is_no_dataset() {
    let root = tempfile::tempdir().unwrap();
    assert!(message(&root).contains("looked for RawImage/"), "{}", message(&root));
    fs::create_dir_all(root.path().join("RawImage/Test1Data")).unwrap();
    assert!(message(&root).contains("there is no film in"), "{}", message(&root));
    let gone = root.path().join("gone");
    assert!(matches!(Dataset::open(&gone, Split::All), Err(DatasetError::Read { path, .. }) if path == gone));
}

#[test]
fn films_are_found_by_loose_ids() {
    let dataset = Dataset::open(isbi().path(), Split::All).unwrap();
    for id in ["002", "2", "0002", "002.jpg", "2.BMP"] {
        assert_eq!(dataset.case(id).unwrap().id, "002", "{id}");
    }
    let error = dataset.case("150").unwrap_err().to_string();
    assert!(error.contains("nearest ids are 151, 002"), "{error}");
    let plain = Dataset::open(plain().path(), Split::All).unwrap();
    assert_eq!(plain.case("a.b").unwrap().id, "a.b");
    assert!(plain.case("a.c").unwrap_err().to_string().contains("ids are a.b"));
}

#[test]
fn a_landmark_outside_the_film_is_named() {
    let dataset = Dataset::open(isbi().path(), Split::Train).unwrap();
    let case = dataset.case("2").unwrap();
    // The last of 19 points is at (119, 236).
    assert!(case.validate_inside(Size { width: 120, height: 237 }).is_ok());
    let error = case.validate_inside(Size { width: 119, height: 237 }).unwrap_err().to_string();
    assert!(error.contains("landmark 19 at x 119, y 236") && error.contains("119x237 px"), "{error}");
    assert!(case.validate_inside(Size { width: 120, height: 236 }).is_err());
}

#[test]
fn splits_are_spelled_one_way() {
    for (name, split) in Split::NAMES {
        assert_eq!((name.parse::<Split>().unwrap(), split.to_string().as_str()), (split, name));
    }
    let error = "Test1".parse::<Split>().unwrap_err().to_string();
    assert!(error.contains("choose train, test1, test2 or all"), "{error}");
}
