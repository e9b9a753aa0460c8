//! Tables in the documentation that tests make, and lines of shell there that tests run.

use std::sync::{Mutex, PoisonError};
use std::{env, fs};

/// Compares a table with the one in `docs/DOCUMENT` that stands between `<!-- NAME -->` and `<!-- end -->`; with `ONEMARK_UPDATE=1`,
/// writes it there.
///
/// # Panics
/// They differ, or the document has no such place.
#[track_caller]
pub fn documented(document: &str, name: &str, table: &str) {
    // Tests of one file run at once, and write to one document.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = format!("{}/../docs/{document}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&format!("<!-- {name} -->\n")).unwrap();
    let (documented, after) = rest.split_once("<!-- end -->").unwrap();
    if env::var_os("ONEMARK_UPDATE").is_some() {
        fs::write(path, format!("{before}<!-- {name} -->\n{table}<!-- end -->{after}")).unwrap();
    } else {
        assert!(documented == table, "docs/{document} is out of date: run this test with ONEMARK_UPDATE=1\n{table}");
    }
}

/// The lines of shell in a text of the documentation: those that are indented by four spaces, each once as it stands.
pub fn commands(text: &str) -> String {
    text.lines().filter_map(|line| Some(format!("{}\n", line.strip_prefix("    ")?))).collect()
}
