//! The licence texts of all third-party parts of the archive, collected from their sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::parts::Part;

/// The names of files with licence texts begin with one of these.
const NAMES: [&str; 6] = ["licence", "license", "copying", "copyright", "notice", "unlicense"];

const RULE: &str = "\n================================================================================\n";

/// Writes one text: each crate with its licence, then each different text once, with its crates. `others` are parts
/// that are not crates, each with its texts.
pub fn notices(parts: &BTreeMap<String, Part>, others: &[(&str, Vec<String>)]) -> Result<String> {
    let mut list = "Onemark contains the following software of others.\n\n".to_owned();
    let mut texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (label, part) in parts.iter().filter(|(_, part)| part.checksum.is_some()) {
        let found = texts_in(&part.folder)?;
        list += &format!("{label}: {}", part.licence.as_deref().unwrap_or("see below"));
        if found.is_empty() {
            // Then the standard texts apply, such as those in LICENSE-APACHE and LICENSE-MIT.
            list += &format!(" (its package holds no text; by {})", part.authors.join(", "));
        }
        list.push('\n');
        found.into_iter().for_each(|text| texts.entry(text).or_default().push(label));
    }
    for (name, of_other) in others {
        list += &format!("{name}: see below\n");
        of_other.iter().for_each(|text| texts.entry(text.clone()).or_default().push(name));
    }
    for (text, of) in texts {
        list += &format!("{RULE}{}{RULE}\n{text}\n", of.join(", "));
    }
    Ok(list)
}

/// The licence texts in a folder and in its subfolder `LICENSES`.
fn texts_in(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if NAMES.iter().any(|start| name.starts_with(start)) {
            match path.is_dir() {
                true => files.extend(fs::read_dir(path)?.filter_map(|entry| Some(entry.ok()?.path()))),
                false => files.push(path),
            }
        }
    }
    files.sort();
    // Only text files can hold a licence. A source file with such a name is a text file too, and stays in.
    Ok(files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .map(|text| text.trim().replace('\r', ""))
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_text_that_many_crates_have_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str, file: &str, text: &str| {
            let folder = folder.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(file), text).unwrap();
            let (licence, checksum, authors) =
                (Some("MIT".to_owned()), Some("00".to_owned()), vec!["A. Author".to_owned()]);
            (
                format!("{name}@1.0.0"),
                Part { name: name.to_owned(), licence, checksum, authors, folder, ..Part::default() },
            )
        };
        let parts = BTreeMap::from([
            part("one", "LICENSE-MIT", "Copyright A\n"),
            part("two", "license", "Copyright A\r\n"),
            part("three", "README", "nothing"),
        ]);
        let text = notices(&parts, &[("library", vec!["Copyright B".to_owned()])]).unwrap();
        assert_eq!(text.matches("Copyright A").count(), 1, "{text}");
        assert!(text.contains("one@1.0.0, two@1.0.0") && text.contains("Copyright B"), "{text}");
        assert!(text.contains("three@1.0.0: MIT (its package holds no text; by A. Author)"), "{text}");
    }
}
