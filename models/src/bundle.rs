//! The bundle: what ships. One folder, or the same files in one stored zip, with a manifest, ONNX graphs and `weights.bin`.
//!
//! A [`Bundle`] holds bytes that agree with their manifest: they were verified before anybody parsed a graph, and are not
//! read again. How graphs are made is the exporter's, how they are run the runtime's. docs/BUNDLE.md describes the format.

mod manifest;
pub mod names;
mod source;
mod vectors;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

pub use self::manifest::{
    Decoding, FORMAT, FileEntry, GraphEntry, HeadEntry, Input, Manifest, Plan, Precision, Span, TensorEntry, WEIGHTS,
};
use self::source::Source;
pub use self::vectors::{Adaptation, AdaptedFilm};
use crate::checkpoint::write_whole;
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
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no bundle at all.
    #[error("{path} is no bundle: {why}")]
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
    #[error("bundle manifest {0}")]
    Yaml(#[from] YamlError),
    /// The manifest contradicts itself, or names what no bundle may name.
    #[error("{path}/{MANIFEST}: {key}: {why}")]
    Manifest {
        /// The bundle.
        path: PathBuf,
        /// The key that is wrong.
        key: String,
        /// The rule that was broken.
        why: String,
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
    #[error("{path}: the manifest lists no file {file}: a bundle holds nothing else, so take it out")]
    Extra {
        /// The bundle.
        path: PathBuf,
        /// The file.
        file: String,
    },
    /// An entry is no plain file.
    #[error("{path}: {file} is no plain file: {why}")]
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
    /// Something is there already.
    #[error("{path} is there already: {hint}")]
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
        check(&origin, &manifest)?;
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
        Self::read(Source::open(path)?, path)
    }

    /// The same for the bytes of a stored zip; `name` only appears in messages.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self, BundleError> {
        let name = name.as_ref();
        Self::read(Source::from_bytes(bytes, name)?, name)
    }

    fn read(mut source: Source<'_>, path: &Path) -> Result<Self, BundleError> {
        let mut names = source.names()?;
        if !names.remove(MANIFEST) {
            return Err(BundleError::NotABundle { path: path.to_owned(), why: format!("it holds no {MANIFEST}") });
        }
        let manifest = read_manifest(path, source.read(MANIFEST, LARGEST_MANIFEST)?)?;
        if let Some(file) = manifest.files.keys().find(|file| !names.contains(*file)) {
            return Err(BundleError::Missing { path: path.to_owned(), file: file.clone() });
        }
        if let Some(file) = names.into_iter().find(|name| !manifest.files.contains_key(name)) {
            return Err(BundleError::Extra { path: path.to_owned(), file });
        }
        let mut files = BTreeMap::new();
        for (name, expected) in &manifest.files {
            let bytes = source.read(name, expected.bytes)?;
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
    pub fn check_target(target: &Path, replace: bool) -> Result<(), BundleError> {
        may_replace(target, replace)?;
        let folder = parent(target);
        temporary_folder(folder).map(drop).map_err(|source| BundleError::Io { path: folder.to_owned(), source })
    }

    /// Writes the bundle as a folder. Everything goes into a temporary folder beside `target`, which is then renamed.
    ///
    /// # Errors
    /// `target` exists and `replace` is false, or it is something other than a bundle; it can't be written; the disk is
    /// full. Nothing is left behind.
    pub fn write(&self, target: &Path, replace: bool) -> Result<(), BundleError> {
        let old = may_replace(target, replace)?;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| BundleError::Io { path, source }
        };
        let parent = parent(target);
        let folder = temporary_folder(parent).map_err(io(parent))?;
        for (name, bytes) in self.all_files()? {
            let path = folder.path().join(name);
            let written = File::create_new(&path).and_then(|mut file| {
                file.write_all(&bytes)?;
                file.sync_all()
            });
            // The place that was asked for means something to people, the temporary one does not.
            written.map_err(io(&target.join(name)))?;
        }
        sync_folder(folder.path()).map_err(io(folder.path()))?;
        // A folder that holds files can't be renamed over, so the old bundle steps aside; it is deleted only at the end.
        let aside = match old {
            true => {
                let aside = temporary_folder(parent).map_err(io(parent))?;
                fs::rename(target, aside.path().join("old")).map_err(io(target))?;
                Some(aside)
            }
            false => None,
        };
        if let Err(source) = fs::rename(folder.path(), target) {
            if let Some(aside) = &aside {
                fs::rename(aside.path().join("old"), target).map_err(io(target))?;
            }
            return Err(BundleError::Io { path: target.to_owned(), source });
        }
        // What was the temporary folder is the bundle now.
        let _ = folder.keep();
        sync_folder(parent).map_err(io(parent))
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
    let origin = path.join(MANIFEST).display().to_string();
    let not_a_bundle =
        |why: &str| BundleError::NotABundle { path: path.to_owned(), why: format!("its {MANIFEST} {why}") };
    if bytes.len() as u64 > LARGEST_MANIFEST {
        return Err(not_a_bundle("is larger than any manifest"));
    }
    let text = String::from_utf8(bytes).map_err(|_| not_a_bundle("is no text"))?;
    let found = Manifest::version(&origin, &text)?;
    if found != FORMAT {
        return Err(BundleError::Version { path: path.to_owned(), found });
    }
    let manifest = yaml::read(&origin, &text)?;
    check(path, &manifest)?;
    Ok(manifest)
}

fn check(path: &Path, manifest: &Manifest) -> Result<(), BundleError> {
    match manifest.broken_rule() {
        Some((key, why)) => Err(BundleError::Manifest { path: path.to_owned(), key, why }),
        None => Ok(()),
    }
}

fn describe(bytes: &[u8]) -> FileEntry {
    FileEntry { bytes: bytes.len() as u64, sha256: sha256(bytes) }
}

/// SHA-256 as 64 lower-case hexadecimal digits, as manifests give it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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

/// Whether there is an old bundle at `target`, which may be replaced. Only a bundle ever is.
fn may_replace(target: &Path, replace: bool) -> Result<bool, BundleError> {
    let exists = |hint| BundleError::Exists { path: target.to_owned(), hint };
    match fs::symlink_metadata(target) {
        Err(_) => Ok(false),
        Ok(_) if !replace => Err(exists(REPLACE_HINT)),
        Ok(metadata) if metadata.is_dir() && target.join(MANIFEST).is_file() => Ok(true),
        Ok(metadata) if metadata.is_file() && Source::open(target).is_ok() => Ok(true),
        Ok(_) => Err(exists("it is no bundle, so it is not replaced: choose another name")),
    }
}

fn parent(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A temporary folder with the permissions that any new folder gets, since it becomes the bundle.
fn temporary_folder(parent: &Path) -> std::io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".onemark-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder.tempdir_in(parent)
}

/// Makes a folder's entries survive a power cut. Only Unix lets a folder be opened for that.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests;
