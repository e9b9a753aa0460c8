//! Opens a dataset whose tables landmarks.csv and spacing.csv are the bytes before and after a zero. Its two films are not read.
#![no_main]

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use onemark_evaluation::dataset::{Dataset, Split};
use onemark_fuzz::scratch;

/// A dataset, and what its tables hold.
struct Folder {
    path: PathBuf,
    tables: [(&'static str, Option<Vec<u8>>); 2],
}

impl Folder {
    fn new() -> Self {
        let path = scratch();
        fs::create_dir(path.join("images")).expect("a folder of films");
        for film in ["1.png", "two.png"] {
            image::GrayImage::new(8, 8).save(path.join("images").join(film)).expect("a film");
        }
        Self { path, tables: ["landmarks.csv", "spacing.csv"].map(|name| (name, None)) }
    }

    /// Writes the tables that have changed.
    fn put(&mut self, bytes: &[u8]) {
        let mut parts = bytes.splitn(2, |byte| *byte == 0);
        for (name, table) in &mut self.tables {
            let part = parts.next().unwrap_or_default();
            if table.as_deref() != Some(part) {
                fs::write(self.path.join(name), part).expect("a table");
                *table = Some(part.to_vec());
            }
        }
    }
}

thread_local! {
    static FOLDER: RefCell<Folder> = RefCell::new(Folder::new());
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with_borrow_mut(|folder| {
        folder.put(bytes);
        // A survey lists every error, opening stops at the first. Both see the same films.
        let survey = Dataset::survey(&folder.path);
        if let Ok(dataset) = Dataset::open(&folder.path, Split::All) {
            let (surveyed, complaints) = survey.expect("what can be opened can be surveyed");
            assert!(complaints.is_empty(), "{complaints:?}");
            assert_eq!(dataset.cases.len(), surveyed.cases.len());
        }
    });
});
