//! The container of a bundle's files: a folder, or one stored zip. It reads entries up to a size limit and does not interpret them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::BundleError;
use super::limits::MOST_FILES;

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
        let metadata = fs::metadata(path).map_err(io)?;
        if metadata.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        // Opening a pipe would wait for somebody to write to it.
        if !metadata.is_file() {
            let why = "it is a pipe or a device, not a folder or a zip archive".to_owned();
            return Err(BundleError::NotABundle { path: path.to_owned(), why });
        }
        Self::archive(path, Box::new(File::open(path).map_err(io)?))
    }

    /// An archive in memory; `name` appears in messages only.
    pub(super) fn from_bytes(bytes: &'a [u8], name: &Path) -> Result<Self, BundleError> {
        Self::archive(name, Box::new(Cursor::new(bytes)))
    }

    fn archive(path: &Path, bytes: Box<dyn Bytes + 'a>) -> Result<Self, BundleError> {
        let not_a_bundle = |why: String| BundleError::NotABundle { path: path.to_owned(), why };
        let mut archive = ZipArchive::new(bytes)
            .map_err(|error| not_a_bundle(format!("it is neither a folder nor a zip archive ({error})")))?;
        if archive.len() > MOST_FILES {
            return Err(not_a_bundle(format!("it has {} files; a bundle has at most {MOST_FILES}", archive.len())));
        }
        // Then all files together are not larger than the archive.
        let overlaps = archive.has_overlapping_entries();
        if overlaps.map_err(|error| not_a_bundle(format!("its zip directory can't be read ({error})")))? {
            return Err(not_a_bundle(
                "two files of its zip directory share bytes; make the archive again (`zip -0`)".into(),
            ));
        }
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
                    if names.len() > MOST_FILES {
                        let why = format!("it has more than {MOST_FILES} files");
                        return Err(BundleError::NotABundle { path: path.clone(), why });
                    }
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
    pub(super) fn read(&mut self, name: &str, limit: u64) -> Result<Arc<[u8]>, BundleError> {
        match self {
            Self::Folder(path) => {
                let path = path.join(name);
                let io = |source| BundleError::Io { path: path.clone(), source };
                let mut file = File::open(&path).map_err(io)?;
                let size = file.metadata().map_err(io)?.len();
                read_whole(&mut file, size.min(limit.saturating_add(1))).map_err(io)
            }
            Self::Archive(path, archive) => {
                let mut entry = archive.by_name(name).map_err(|error| BundleError::NotABundle {
                    path: path.clone(),
                    why: format!("its file {name} can't be read ({error})"),
                })?;
                let io = |source| BundleError::Io { path: path.join(name), source };
                // A stored entry lies within the archive, so its size is true.
                let size = entry.compressed_size();
                read_whole(&mut entry, size.min(limit.saturating_add(1))).map_err(io)
            }
        }
    }
}

/// Reads `length` bytes, fewer if the file ends before. The memory is that of the result: nothing grows, nothing is copied.
fn read_whole(from: &mut impl Read, length: u64) -> io::Result<Arc<[u8]>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
    let target = Arc::get_mut(&mut bytes).ok_or(io::ErrorKind::OutOfMemory)?;
    let mut filled = 0;
    while filled < length {
        match from.read(&mut target[filled..]) {
            Ok(0) => return Ok(bytes[..filled].into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // At its end, an archive compares the checksum of the entry. A file that has grown is found by its digest.
    let _more = from.read(&mut [0])?;
    Ok(bytes)
}

fn not_plain(path: &Path, file: &str, why: &'static str) -> BundleError {
    BundleError::NotPlain { path: path.to_owned(), file: file.to_owned(), why }
}
