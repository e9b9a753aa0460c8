//! Opens a dataset whose tables landmarks.csv and spacing.csv are the bytes before and after a zero. Its two films are not read.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onemark_evaluation::dataset::{Dataset, Split};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("images")).expect("a folder of films");
    for film in ["1.png", "two.png"] {
        let film = folder.path().join("images").join(film);
        image::GrayImage::new(8, 8).save(film).expect("a film");
    }
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let mut tables = bytes.splitn(2, |byte| *byte == 0);
    let folder: &Path = FOLDER.path();
    for name in ["landmarks.csv", "spacing.csv"] {
        fs::write(folder.join(name), tables.next().unwrap_or_default()).expect("a table");
    }
    // A survey lists every error, opening stops at the first. Both see the same films.
    let survey = Dataset::survey(folder);
    if let Ok(dataset) = Dataset::open(folder, Split::All) {
        let (surveyed, complaints) = survey.expect("what can be opened can be surveyed");
        assert!(complaints.is_empty(), "{complaints:?}");
        assert_eq!(dataset.cases.len(), surveyed.cases.len());
    }
});
