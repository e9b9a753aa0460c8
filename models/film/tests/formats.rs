//! Compares the table of real DICOM files in docs/FORMATS.md with the reader's results, if ONEMARK_DATA names a folder that
//! contains `dicom` (METHOD.md sec. 7). `ONEMARK_UPDATE=1` writes the table instead of comparing it.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use onemark_film::{FILM_EXTENSIONS, Film};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/FORMATS.md");
const START: &str = "<!-- real files -->\n";
const END: &str = "<!-- end -->";

/// The same film of a hip in five transfer syntaxes.
const SAME: [&str; 5] = ["RG2_UNC.dcm", "RG2_J2KR", "RG2_JLSL", "RG2_JPLL", "RG2_RLE"];

fn data() -> Option<PathBuf> {
    let root = std::env::var_os("ONEMARK_DATA").map(|root| PathBuf::from(root).join("dicom"));
    if root.is_none() {
        println!("skipped: ONEMARK_DATA not set");
    }
    root
}

fn table(folder: &Path) -> String {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    let mut table =
        String::from("| file | film | mm per px, x and y | mean grey | warnings |\n|---|---|---|---|---|\n");
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        match Film::open(&file) {
            Err(error) => {
                let error = error.to_string().replace(&*file.to_string_lossy(), name);
                writeln!(table, "| {name} | refused: {error} | | | |").unwrap();
            }
            Ok(film) => {
                let spacing = film.spacing().map_or("none".into(), |spacing| {
                    format!("{} x {} by {}", spacing.x(), spacing.y(), spacing.source())
                });
                let warnings: Vec<String> = film.warnings().iter().map(ToString::to_string).collect();
                let (size, warnings) = (film.size(), warnings.join("; "));
                let mean = film.grey().iter().map(|grey| f64::from(*grey)).sum::<f64>() / size.pixels() as f64;
                writeln!(table, "| {name} | {size} px | {spacing} | {mean:.1} | {warnings} |").unwrap();
            }
        }
    }
    table
}

#[test]
fn real_files_become_what_the_document_says() {
    let Some(folder) = data() else { return };
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(START).unwrap();
    let (documented, after) = rest.split_once(END).unwrap();
    let table = table(&folder);
    if std::env::var_os("ONEMARK_UPDATE").is_some() {
        fs::write(DOCUMENT, [before, START, &table, END, after].concat()).unwrap();
    } else {
        assert_eq!(documented, table, "ONEMARK_UPDATE=1 writes what happens now");
    }
}

#[test]
fn five_transfer_syntaxes_give_one_film() {
    let Some(folder) = data() else { return };
    let films = SAME.map(|name| Film::open(folder.join(name)).unwrap());
    assert_eq!((films[0].width(), films[0].height()), (1760, 2140));
    for (name, film) in SAME.iter().zip(&films) {
        assert!(film.grey() == films[0].grey(), "{name} has other pixels than {}", SAME[0]);
        assert_eq!(film.spacing(), films[0].spacing(), "{name}");
    }
}

#[test]
fn the_document_names_every_extension() {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (others, last) = FILM_EXTENSIONS.split_at(FILM_EXTENSIONS.len() - 1);
    let list = format!("{} or {}", others.join(", "), last[0]);
    assert!(document.split_whitespace().collect::<Vec<_>>().join(" ").contains(&list), "not there: {list}");
}
