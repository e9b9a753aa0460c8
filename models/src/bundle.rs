//! The bundle: what ships. One folder, or the same files in one stored zip, with a manifest, ONNX graphs and `weights.bin`.
//!
//! A [`Bundle`] holds bytes that agree with their manifest: they were verified before anybody parsed a graph, and are not
//! read again. How graphs are made is the exporter's, how they are run the runtime's. docs/BUNDLE.md describes the format.

mod container;
mod manifest;
pub mod names;
mod plan;
mod rules;
mod template_vectors;
pub mod tiling;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::container::Container;
pub use self::manifest::{
    FORMAT, FileEntry, GraphEntry, HeadEntry, Input, Manifest, Precision, Span, TensorEntry, WEIGHTS,
};
pub use self::plan::Plan;
pub use self::template_vectors::{Adaptation, AdaptedFilm};
pub use self::tiling::Tiling;
use crate::files::{NewFolder, parent, sha256, write_whole};
use crate::invalid::Invalid;
use crate::yaml::{self, YamlError};

/// The name of the manifest's file.
pub const MANIFEST: &str = "manifest.yaml";

/// Largest manifest that is read: a hundred times what one takes.
const LARGEST_MANIFEST: u64 = 4 << 20;

/// A bundle whose files agree with its manifest, held in memory.
#[derive(Clone, Debug)]
pub struct Bundle {
    origin: PathBuf,
    manifest: Manifest,
    files: BTreeMap<String, Arc<[u8]>>,
}

/// Why a bundle was refused or can't be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file or folder can't be read or written.
    #[error("{path} can't be read or written")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was opened is not a bundle.
    #[error("{path} is not a bundle: {why}")]
    NotABundle {
        /// What was opened.
        path: PathBuf,
        /// What gave it away.
        why: String,
    },
    /// The manifest has another version.
    #[error("{path}: the bundle's format is {found}, this program reads {FORMAT}: {}", version_hint(*.found))]
    Version {
        /// The bundle.
        path: PathBuf,
        /// The version it claims.
        found: u32,
    },
    /// The manifest's text can't be read or made.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// The manifest contradicts itself, or names what no bundle may name.
    #[error("{path}/{MANIFEST}: {invalid}")]
    Manifest {
        /// The bundle.
        path: PathBuf,
        /// The key that is wrong, and the rule that it breaks.
        invalid: Invalid,
    },
    /// A file is not there.
    #[error("{path}: the file {file} is missing: copy or export the bundle again")]
    Missing {
        /// The bundle.
        path: PathBuf,
        /// The file.
        file: String,
    },
    /// A file is there that the manifest doesn't list.
    #[error("{path}: {file} is not listed in the manifest; remove it (a bundle holds only listed files)")]
    Extra {
        /// The bundle.
        path: PathBuf,
        /// The file.
        file: String,
    },
    /// An entry is not a plain file.
    #[error("{path}: {file} is not a plain file: {why}")]
    NotPlain {
        /// The bundle.
        path: PathBuf,
        /// The entry.
        file: String,
        /// What it is.
        why: &'static str,
    },
    /// A file's bytes are not those that the manifest describes.
    #[error("{path}: the file {file} was changed or damaged ({why}): copy or export the bundle again")]
    Damaged {
        /// The bundle.
        path: PathBuf,
        /// The file.
        file: String,
        /// Size or digest, as it should be and as it is.
        why: String,
    },
    /// Something has this name already.
    #[error("{path} already exists; {hint}")]
    Exists {
        /// Where the bundle should go.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
}

fn version_hint(found: u32) -> &'static str {
    if found > FORMAT { "update this program" } else { "export the bundle again" }
}

impl Bundle {
    /// Puts a bundle together. `manifest.files` is filled in from `files`, which hold everything but the manifest.
    ///
    /// # Errors
    /// The manifest contradicts itself or the files.
    pub fn new(mut manifest: Manifest, files: BTreeMap<String, Vec<u8>>) -> Result<Self, BundleError> {
        manifest.files = files.iter().map(|(name, bytes)| (name.clone(), describe(bytes))).collect();
        let origin = PathBuf::from(&manifest.name);
        validate(&origin, &manifest)?;
        let files = files.into_iter().map(|(name, bytes)| (name, bytes.into())).collect();
        Ok(Self { origin, manifest, files })
    }

    /// Opens a folder or a stored zip, and verifies all of it: names, plain files, nothing missing, nothing extra, sizes
    /// and SHA-256. No byte of a graph is interpreted.
    ///
    /// # Errors
    /// Whatever is wrong, with the file's name and what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BundleError> {
        let path = path.as_ref();
        Self::read(Container::open(path)?, path)
    }

    /// The same for the bytes of a stored zip; `name` only appears in messages.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self, BundleError> {
        let name = name.as_ref();
        Self::read(Container::from_bytes(bytes, name)?, name)
    }

    fn read(mut container: Container<'_>, path: &Path) -> Result<Self, BundleError> {
        let mut names = container.names()?;
        if !names.remove(MANIFEST) {
            return Err(BundleError::NotABundle { path: path.to_owned(), why: format!("it holds no {MANIFEST}") });
        }
        let manifest = read_manifest(path, container.read(MANIFEST, LARGEST_MANIFEST)?)?;
        if let Some(file) = manifest.files.keys().find(|file| !names.contains(*file)) {
            return Err(BundleError::Missing { path: path.to_owned(), file: file.clone() });
        }
        if let Some(file) = names.into_iter().find(|name| !manifest.files.contains_key(name)) {
            return Err(BundleError::Extra { path: path.to_owned(), file });
        }
        let mut files = BTreeMap::new();
        for (name, expected) in &manifest.files {
            let bytes = container.read(name, expected.bytes)?;
            verify(path, name, expected, &bytes)?;
            files.insert(name.clone(), bytes.into());
        }
        Ok(Self { origin: path.to_owned(), manifest, files })
    }

    /// Where the bundle was opened; its name if it was made in memory.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The verified bytes of a file other than the manifest. Clones share them.
    ///
    /// # Errors
    /// The bundle has no such file.
    pub fn bytes(&self, file: &str) -> Result<&Arc<[u8]>, BundleError> {
        let missing = || BundleError::Missing { path: self.origin.clone(), file: file.to_owned() };
        self.files.get(file).ok_or_else(missing)
    }

    /// The size of all files but the manifest.
    pub fn total_bytes(&self) -> u64 {
        self.manifest.files.values().map(|file| file.bytes).sum()
    }

    /// SHA-256 of the manifest, which holds those of all files: 64 lower-case hexadecimal digits that name the bundle.
    ///
    /// # Errors
    /// The manifest can't be written as text.
    pub fn digest(&self) -> Result<String, BundleError> {
        Ok(sha256(yaml::write(&self.manifest)?.as_bytes()))
    }

    /// Every file of the bundle, the manifest first.
    fn all_files(&self) -> Result<impl Iterator<Item = (&str, Arc<[u8]>)>, BundleError> {
        let manifest = yaml::write(&self.manifest)?.into_bytes().into();
        let files = self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone()));
        Ok([(MANIFEST, manifest)].into_iter().chain(files))
    }

    /// Whether a bundle can be written to `target`, to be asked before long work.
    ///
    /// # Errors
    /// `target` exists and `replace` is false, or it is something other than a bundle; the folder it is to go into is
    /// not there or can't be written to.
    pub fn validate_target(target: &Path, replace: bool) -> Result<(), BundleError> {
        may_replace(target, replace)?;
        let io = |source| BundleError::Io { path: parent(target).to_owned(), source };
        NewFolder::beside(target).map(drop).map_err(io)
    }

    /// Writes the bundle as a folder. Everything goes into a temporary folder beside `target`, which is then renamed. A bundle at
    /// `target` is exchanged for the new one in one step where the system can (Linux and macOS, on most file systems), so that
    /// there is always one of the two. Elsewhere the old one is moved aside first: for a moment there is no bundle, and a crash
    /// in that moment leaves the old one in a folder `.onemark-…` beside `target`.
    ///
    /// # Errors
    /// `target` exists and `replace` is false, or it is something other than a bundle; it can't be written; the disk is
    /// full. Nothing is left behind.
    pub fn write(&self, target: &Path, replace: bool) -> Result<(), BundleError> {
        may_replace(target, replace)?;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| BundleError::Io { path, source }
        };
        let folder = NewFolder::beside(target).map_err(io(parent(target)))?;
        for (name, bytes) in self.all_files()? {
            // The place that was asked for means something to people, the temporary one does not.
            folder.write(name, &bytes).map_err(io(&target.join(name)))?;
        }
        folder.put(target).map_err(io(target))
    }

    /// Writes the bundle as one stored zip, under a temporary name that is then renamed.
    ///
    /// # Errors
    /// As [`Bundle::write`].
    pub fn write_archive(&self, target: &Path, replace: bool) -> Result<(), BundleError> {
        if target.is_dir() {
            return Err(BundleError::Exists {
                path: target.to_owned(),
                hint: "it is a folder, so choose another name",
            });
        }
        if target.exists() && !replace {
            return Err(BundleError::Exists { path: target.to_owned(), hint: REPLACE_HINT });
        }
        let io = |source| BundleError::Io { path: target.to_owned(), source };
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in self.all_files()? {
            archive.start_file(name, options).map_err(|error| io(error.into()))?;
            archive.write_all(&bytes).map_err(io)?;
        }
        let archive = archive.finish().map_err(|error| io(error.into()))?;
        write_whole(target, archive.get_ref()).map_err(io)
    }
}

const REPLACE_HINT: &str = "choose another name, or ask for it to be replaced (--force)";

fn read_manifest(path: &Path, bytes: Vec<u8>) -> Result<Manifest, BundleError> {
    let origin = format!("bundle manifest {}", path.join(MANIFEST).display());
    let not_a_bundle =
        |why: &str| BundleError::NotABundle { path: path.to_owned(), why: format!("its {MANIFEST} {why}") };
    if bytes.len() as u64 > LARGEST_MANIFEST {
        return Err(not_a_bundle("is larger than any manifest"));
    }
    let text = String::from_utf8(bytes).map_err(|_| not_a_bundle("is not text"))?;
    let found = Manifest::version(&origin, &text)?;
    if found != FORMAT {
        return Err(BundleError::Version { path: path.to_owned(), found });
    }
    let manifest = yaml::read(&origin, &text)?;
    validate(path, &manifest)?;
    Ok(manifest)
}

fn validate(path: &Path, manifest: &Manifest) -> Result<(), BundleError> {
    manifest.validate().map_err(|invalid| BundleError::Manifest { path: path.to_owned(), invalid })
}

fn describe(bytes: &[u8]) -> FileEntry {
    FileEntry { bytes: bytes.len() as u64, sha256: sha256(bytes) }
}

fn verify(path: &Path, file: &str, expected: &FileEntry, bytes: &[u8]) -> Result<(), BundleError> {
    let damaged = |why: String| BundleError::Damaged { path: path.to_owned(), file: file.to_owned(), why };
    if bytes.len() as u64 != expected.bytes {
        let is = if (bytes.len() as u64) < expected.bytes { "shorter" } else { "longer" };
        return Err(damaged(format!("{is} than the {} bytes it should have", expected.bytes)));
    }
    let found = describe(bytes).sha256;
    if found != expected.sha256 {
        return Err(damaged(format!("SHA-256 {found} instead of {}", expected.sha256)));
    }
    Ok(())
}

/// Refuses a target that exists, unless it is a bundle that is to be replaced.
fn may_replace(target: &Path, replace: bool) -> Result<(), BundleError> {
    let exists = |hint| Err(BundleError::Exists { path: target.to_owned(), hint });
    match fs::symlink_metadata(target) {
        Err(_) => Ok(()),
        Ok(_) if !replace => exists(REPLACE_HINT),
        Ok(metadata) if metadata.is_dir() && target.join(MANIFEST).is_file() => Ok(()),
        Ok(metadata) if metadata.is_file() && Container::open(target).is_ok() => Ok(()),
        Ok(_) => exists("it is not a bundle, so it is not replaced: choose another name"),
    }
}

#[cfg(test)]
mod tests;
