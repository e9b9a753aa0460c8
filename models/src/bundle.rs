//! The bundle: what ships. One folder, or the same files in one stored zip, with a manifest, ONNX graphs and `weights.bin`.
//!
//! A [`Bundle`] holds bytes that agree with their manifest. They are verified before any graph is parsed, and the files are not
//! read again. The exporter makes the graphs, and the runtime runs them. docs/BUNDLE.md describes the format.

mod container;
pub mod limits;
mod manifest;
pub mod names;
mod plan;
mod rules;
pub mod second_look;
mod template_vectors;
pub mod tiling;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::container::Container;
use self::limits::LARGEST_MANIFEST;
pub use self::manifest::{
    FORMAT, FORMAT_OF_TWO_LOOKS, FileEntry, GraphEntry, HeadEntry, Input, Manifest, Precision, Span, TensorEntry,
    WEIGHTS,
};
pub use self::plan::Plan;
pub use self::second_look::SecondLook;
pub use self::template_vectors::{Adaptation, AdaptedFilm};
pub use self::tiling::Tiling;
use crate::files::{NewFolder, parent, sha256, write_whole};
use crate::invalid::Invalid;
use crate::text::for_message;
use crate::yaml::{self, YamlError};

/// The name of the manifest's file.
pub const MANIFEST: &str = "manifest.yaml";

/// A bundle whose files agree with its manifest, held in memory.
///
/// ```
/// use onemark_models::bundle::{Bundle, BundleError};
///
/// match Bundle::open("no-such-bundle.onemark") {
///     Ok(bundle) => println!("{}, {} bytes", bundle.manifest().name, bundle.total_bytes()),
///     Err(BundleError::Damaged { file, .. }) => println!("{file} is damaged: copy the bundle again"),
///     Err(error) => println!("{error}"), // says what is wrong and what to do
/// }
/// assert!(Bundle::from_bytes(b"not a zip archive", "example.onemark").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Bundle {
    origin: PathBuf,
    manifest: Manifest,
    /// The manifest's file: the one that was read, or the one that will be written.
    text: Arc<[u8]>,
    files: BTreeMap<String, Arc<[u8]>>,
    /// For the second look, if it has one. It shares the bytes of `files`, except weights that begin as the first look's.
    second: Option<Box<Bundle>>,
}

/// Why a bundle is refused or can't be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum BundleError {
    /// A file or folder can't be read or written.
    #[error("{path} can't be read or written")]
    Io { path: PathBuf, source: std::io::Error },
    /// The file or folder is not a bundle.
    #[error("{path} is not a bundle: {}", for_message(.why))]
    NotABundle {
        path: PathBuf,
        /// How it differs from a bundle.
        why: String,
    },
    /// This program does not read the bundle's version of the format.
    #[error("{path}: the bundle's format is {found}, this program reads {FORMAT} and {FORMAT_OF_TWO_LOOKS}: {}", version_hint(*.found))]
    Version {
        path: PathBuf,
        /// The version it claims.
        found: u32,
    },
    /// The manifest is not valid YAML, or can't be written as YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// The manifest breaks a rule.
    #[error("{path}/{MANIFEST}: {invalid}")]
    Manifest {
        path: PathBuf,
        /// The key that is wrong, and the rule that it breaks.
        invalid: Invalid,
    },
    /// A listed file does not exist.
    #[error("{path}: the file {} is missing: copy or export the bundle again", for_message(.file))]
    Missing { path: PathBuf, file: String },
    /// The bundle has a file that the manifest does not list.
    #[error("{path}: {} is not listed in the manifest; remove it (a bundle holds only listed files)", for_message(.file))]
    Extra { path: PathBuf, file: String },
    /// An entry is not a plain file.
    #[error("{path}: {} is not a plain file: {why}", for_message(.file))]
    NotPlain {
        path: PathBuf,
        file: String,
        /// What it is instead.
        why: &'static str,
    },
    /// A file has another size or digest than the manifest states.
    #[error("{path}: the file {file} was changed or damaged ({why}): copy or export the bundle again")]
    Damaged {
        path: PathBuf,
        file: String,
        /// The size or digest that was found, and the stated one.
        why: String,
    },
    /// A file or folder of this name exists, and the caller did not ask for it to be replaced.
    #[error("{path} already exists; choose another name, or replace it")]
    Exists {
        /// Where the bundle should go.
        path: PathBuf,
    },
    /// What has this name is never replaced by the bundle.
    #[error("{path} already exists and is {what}; choose another name")]
    NotReplaced {
        /// Where the bundle should go.
        path: PathBuf,
        /// What exists there.
        what: &'static str,
    },
    /// The new bundle would be one file too many in another.
    #[error("{path} would lie in the bundle {bundle}, which holds only its own files; choose another place")]
    Inside {
        /// Where the bundle should go.
        path: PathBuf,
        /// The bundle around it.
        bundle: PathBuf,
    },
    /// The bundle that it holds for its second look is refused.
    #[error("the bundle of the second look, whose files begin with `{}`, is refused", second_look::PREFIX)]
    SecondLook {
        /// Why; without the beginning of their names.
        source: Box<Self>,
    },
}

fn version_hint(found: u32) -> &'static str {
    if found > FORMAT_OF_TWO_LOOKS { "update this program" } else { "export the bundle again" }
}

impl Bundle {
    /// A bundle of `files`, which are all files except the manifest. `manifest.files` is filled in from them.
    ///
    /// # Errors
    /// The manifest contradicts itself or the files.
    pub fn new(mut manifest: Manifest, files: BTreeMap<String, Vec<u8>>) -> Result<Self, BundleError> {
        manifest.files = files.iter().map(|(name, bytes)| (name.clone(), describe(bytes))).collect();
        let origin = PathBuf::from(&manifest.name);
        Self::of(origin, manifest, files.into_iter().map(|(name, bytes)| (name, bytes.into())).collect())
    }

    /// A bundle with a new manifest, which states the sizes and digests of `files`.
    fn of(origin: PathBuf, manifest: Manifest, files: BTreeMap<String, Arc<[u8]>>) -> Result<Self, BundleError> {
        validate(&origin, &manifest)?;
        validate_numbers(&origin, &manifest, &files)?;
        let text = yaml::write(&manifest)?.into_bytes();
        if text.len() as u64 > LARGEST_MANIFEST {
            let why = format!("has {} bytes; at most {LARGEST_MANIFEST} are read", text.len());
            return Err(BundleError::Manifest { path: origin, invalid: Invalid::new("", why) });
        }
        // What is made can be opened.
        read_manifest(&origin, &text)?;
        let second = Self::held(&origin, &manifest, &files)?;
        Ok(Self { origin, manifest, text: text.into(), files, second })
    }

    /// Opens a folder or a stored zip, and verifies all of it: names, plain files, nothing missing, nothing extra, sizes
    /// and SHA-256. No byte of a graph is interpreted.
    ///
    /// # Errors
    /// Any difference from the manifest, with the file's name and what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BundleError> {
        let path = path.as_ref();
        Self::read(Container::open(path)?, path)
    }

    /// Opens the bytes of a stored zip like [`Bundle::open`]; `name` appears in messages only.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self, BundleError> {
        let name = name.as_ref();
        Self::read(Container::from_bytes(bytes, name)?, name)
    }

    fn read(mut container: Container<'_>, path: &Path) -> Result<Self, BundleError> {
        let names = container.names()?;
        Self::checked(path, names, |name, limit| container.read(name, limit))
    }

    /// A bundle of the files with these names, of which `read` gives at most so many bytes and one more.
    fn checked(
        path: &Path,
        mut names: BTreeSet<String>,
        mut read: impl FnMut(&str, u64) -> Result<Arc<[u8]>, BundleError>,
    ) -> Result<Self, BundleError> {
        if !names.remove(MANIFEST) {
            return Err(BundleError::NotABundle { path: path.to_owned(), why: format!("it contains no {MANIFEST}") });
        }
        let text = read(MANIFEST, LARGEST_MANIFEST)?;
        let manifest = read_manifest(path, &text)?;
        if let Some(file) = manifest.files.keys().find(|file| !names.contains(*file)) {
            return Err(BundleError::Missing { path: path.to_owned(), file: file.clone() });
        }
        if let Some(file) = names.into_iter().find(|name| !manifest.files.contains_key(name)) {
            return Err(BundleError::Extra { path: path.to_owned(), file });
        }
        let mut files = BTreeMap::new();
        for (name, expected) in &manifest.files {
            let bytes = read(name, expected.bytes)?;
            verify(path, name, expected, &bytes)?;
            files.insert(name.clone(), bytes);
        }
        validate_numbers(path, &manifest, &files)?;
        let second = Self::held(path, &manifest, &files)?;
        Ok(Self { origin: path.to_owned(), manifest, text, files, second })
    }

    /// The path from which the bundle was opened, or its name if it was made in memory.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The verified bytes of a file other than the manifest. They are shared, not copied.
    ///
    /// # Errors
    /// The bundle has no such file.
    pub fn bytes(&self, file: &str) -> Result<&Arc<[u8]>, BundleError> {
        let missing = || BundleError::Missing { path: self.origin.clone(), file: file.to_owned() };
        self.files.get(file).ok_or_else(missing)
    }

    /// The size in bytes of all files except the manifest.
    pub fn total_bytes(&self) -> u64 {
        self.manifest.files.values().map(|file| file.bytes).sum()
    }

    /// The graphs that nothing uses: files that are listed, and that no entry of the manifest names. Others than graphs are refused.
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        self.manifest.unused_files()
    }

    /// SHA-256 of the manifest's file as 64 lower-case hexadecimal digits. It identifies the bundle, because the manifest holds the
    /// digests of all other files.
    pub fn digest(&self) -> String {
        sha256(&self.text)
    }

    /// Every file of the bundle, the manifest first.
    fn all_files(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        [(MANIFEST, &self.text)].into_iter().chain(self.files.iter().map(|(name, bytes)| (name.as_str(), bytes)))
    }

    /// Checks that a bundle can be written to `target`. Call it before long work.
    ///
    /// # Errors
    /// `target` exists and `replace` is false, or it exists and is not a bundle; its parent folder does not exist or can't be
    /// written to.
    pub fn validate_target(target: &Path, replace: bool) -> Result<(), BundleError> {
        may_replace(target, replace)?;
        let io = |source| BundleError::Io { path: parent(target).to_owned(), source };
        NewFolder::beside(target).map(drop).map_err(io)
    }

    /// Writes the bundle as a folder. All files are written to a temporary folder next to `target`, which is then renamed. If a
    /// bundle exists at `target`, the two folders are exchanged in one step where the system supports it (Linux and macOS, on most
    /// file systems), so one of the two bundles always exists. On other systems the old bundle is first moved away. If the program
    /// crashes between the two steps, `target` does not exist, and the old bundle is in a folder `.onemark-…` next to it.
    ///
    /// # Errors
    /// `target` exists and `replace` is false, or it exists and is not a bundle; it can't be written; the disk is full. Temporary
    /// files are removed.
    pub fn write(&self, target: &Path, replace: bool) -> Result<(), BundleError> {
        may_replace(target, replace)?;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| BundleError::Io { path, source }
        };
        let folder = NewFolder::beside(target).map_err(io(parent(target)))?;
        for (name, bytes) in self.all_files() {
            // The message names the final path, because the user knows it; the temporary path is unknown to them.
            folder.write(name, bytes).map_err(io(&target.join(name)))?;
        }
        folder.put(target).map_err(io(target))
    }

    /// Writes the bundle as one stored zip, under a temporary name that is then renamed.
    ///
    /// # Errors
    /// As [`Bundle::write`].
    pub fn write_archive(&self, target: &Path, replace: bool) -> Result<(), BundleError> {
        if target.is_dir() {
            return Err(BundleError::NotReplaced { path: target.to_owned(), what: "a folder" });
        }
        if target.exists() && !replace {
            return Err(BundleError::Exists { path: target.to_owned() });
        }
        let io = |source| BundleError::Io { path: target.to_owned(), source };
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in self.all_files() {
            archive.start_file(name, options).map_err(|error| io(error.into()))?;
            archive.write_all(bytes).map_err(io)?;
        }
        let archive = archive.finish().map_err(|error| io(error.into()))?;
        write_whole(target, archive.get_ref()).map_err(io)
    }
}

fn read_manifest(path: &Path, bytes: &[u8]) -> Result<Manifest, BundleError> {
    let origin = format!("bundle manifest {}", path.join(MANIFEST).display());
    let not_a_bundle =
        |why: &str| BundleError::NotABundle { path: path.to_owned(), why: format!("its {MANIFEST} {why}") };
    if bytes.len() as u64 > LARGEST_MANIFEST {
        return Err(not_a_bundle("is larger than any manifest"));
    }
    let text = str::from_utf8(bytes).map_err(|_| not_a_bundle("is not text"))?;
    let found = Manifest::version(&origin, text)?;
    if ![FORMAT, FORMAT_OF_TWO_LOOKS].contains(&found) {
        return Err(BundleError::Version { path: path.to_owned(), found });
    }
    // The version's reader has checked the bounds of the text.
    let manifest = yaml::read_bounded(&origin, text)?;
    validate(path, &manifest)?;
    Ok(manifest)
}

fn validate(path: &Path, manifest: &Manifest) -> Result<(), BundleError> {
    manifest.validate().map_err(|invalid| BundleError::Manifest { path: path.to_owned(), invalid })
}

/// Checks the numbers in the weights whose places the manifest states.
fn validate_numbers(path: &Path, manifest: &Manifest, files: &BTreeMap<String, Arc<[u8]>>) -> Result<(), BundleError> {
    let weights = files.get(WEIGHTS).map(Arc::as_ref).unwrap_or_default();
    manifest.validate_numbers(weights).map_err(|invalid| BundleError::Manifest { path: path.to_owned(), invalid })
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

/// Refuses a target that exists, unless it is a bundle and `replace` is true, and one inside of a bundle.
fn may_replace(target: &Path, replace: bool) -> Result<(), BundleError> {
    let around = parent(target);
    if [MANIFEST, WEIGHTS].iter().all(|file| around.join(file).is_file()) {
        return Err(BundleError::Inside { path: target.to_owned(), bundle: around.to_owned() });
    }
    match fs::symlink_metadata(target) {
        Err(_) => Ok(()),
        Ok(_) if !replace => Err(BundleError::Exists { path: target.to_owned() }),
        Ok(metadata) if metadata.is_dir() && target.join(MANIFEST).is_file() => Ok(()),
        Ok(metadata) if metadata.is_file() && Container::open(target).is_ok() => Ok(()),
        Ok(_) => Err(BundleError::NotReplaced { path: target.to_owned(), what: "not a bundle" }),
    }
}

#[cfg(test)]
mod tests;
