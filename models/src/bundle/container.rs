//! The container of a bundle's files: a folder, or one stored zip. It reads entries up to a size limit and does not interpret them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use zip::{CompressionMethod, ZipArchive};

use super::BundleError;

/// An opened folder or archive.
pub(super) enum Container<'a> {
    Folder(PathBuf),
    Archive(PathBuf, Box<ZipArchive<Box<dyn Bytes + 'a>>>),
}

/// The source of an archive's bytes.
pub(super) trait Bytes: Read + Seek {}
impl<T: Read + Seek> Bytes for T {}

impl<'a> Container<'a> {
    pub(super) fn open(path: &Path) -> Result<Self, BundleError> {
        let io = |source| BundleError::Io { path: path.to_owned(), source };
        if fs::metadata(path).map_err(io)?.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        Self::archive(path, Box::new(File::open(path).map_err(io)?))
    }

    /// An archive in memory; `name` appears in messages only.
    pub(super) fn from_bytes(bytes: &'a [u8], name: &Path) -> Result<Self, BundleError> {
        Self::archive(name, Box::new(Cursor::new(bytes)))
    }

    fn archive(path: &Path, bytes: Box<dyn Bytes + 'a>) -> Result<Self, BundleError> {
        let archive = ZipArchive::new(bytes).map_err(|error| BundleError::NotABundle {
            path: path.to_owned(),
            why: format!("it is neither a folder nor a zip archive ({error})"),
        })?;
        Ok(Self::Archive(path.to_owned(), Box::new(archive)))
    }

    /// The names of all entries. An entry that is not a plain file is an error.
    pub(super) fn names(&mut self) -> Result<BTreeSet<String>, BundleError> {
        let mut names = BTreeSet::new();
        match self {
            Self::Folder(path) => {
                let io = |source| BundleError::Io { path: path.clone(), source };
                for entry in fs::read_dir(&path).map_err(io)? {
                    let entry = entry.map_err(io)?;
                    let name = entry.file_name().to_string_lossy().into_owned();
                    // `file_type` does not follow symbolic links.
                    if !entry.file_type().map_err(io)?.is_file() {
                        return Err(not_plain(path, &name, "it is a folder, a symbolic link or a device"));
                    }
                    names.insert(name);
                }
            }
            Self::Archive(path, archive) => {
                let unreadable = |error: zip::result::ZipError| BundleError::NotABundle {
                    path: path.clone(),
                    why: format!("its zip directory can't be read ({error})"),
                };
                if archive.has_duplicate_names() {
                    let why = "its zip directory names a file twice".to_owned();
                    return Err(BundleError::NotABundle { path: path.clone(), why });
                }
                for index in 0..archive.len() {
                    let entry = archive.by_index_raw(index).map_err(unreadable)?;
                    let name = entry.name().map_err(unreadable)?.into_owned();
                    if !entry.is_file() || entry.is_symlink() {
                        return Err(not_plain(path, &name, "it is a folder or a symbolic link"));
                    }
                    // Stored entries are not larger than the archive, so a small archive can't fill the memory.
                    if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
                        return Err(not_plain(path, &name, "it is compressed or encrypted: store it (`zip -0`)"));
                    }
                    names.insert(name);
                }
            }
        }
        Ok(names)
    }

    /// The bytes of an entry, at most one more than `limit`.
    pub(super) fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, BundleError> {
        let mut bytes = Vec::new();
        match self {
            Self::Folder(path) => {
                let path = path.join(name);
                let io = |source| BundleError::Io { path: path.clone(), source };
                let file = File::open(&path).map_err(io)?;
                file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
            }
            Self::Archive(path, archive) => {
                let entry = archive.by_name(name).map_err(|error| BundleError::NotABundle {
                    path: path.clone(),
                    why: format!("its file {name} can't be read ({error})"),
                })?;
                let io = |source| BundleError::Io { path: path.join(name), source };
                entry.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
            }
        }
        Ok(bytes)
    }
}

fn not_plain(path: &Path, file: &str, why: &'static str) -> BundleError {
    BundleError::NotPlain { path: path.to_owned(), file: file.to_owned(), why }
}
