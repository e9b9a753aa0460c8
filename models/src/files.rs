//! Writes files and folders completely or not at all; computes digests.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The prefix of the names of temporary files and folders.
const TEMPORARY: &str = ".onemark-";

/// SHA-256 as 64 lower-case hexadecimal digits, as in manifests.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file under a temporary name next to `path`, then renames it: `path` contains all of `bytes`, or its old content.
/// If `path` is a symbolic link, the file that it points to is replaced. A pipe or a device is written to directly.
///
/// # Errors
/// The folder can't be written to, or the disk is full; the temporary file is removed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    // Temporary files are private. This one becomes `path`, so it gets the usual permissions of a new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(parent(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A folder that is being written next to its final place. If it is dropped before [`NewFolder::put`], its content is removed.
pub(crate) struct NewFolder {
    holder: tempfile::TempDir,
}

impl NewFolder {
    /// A new, empty folder that will become `target`.
    pub(crate) fn beside(target: &Path) -> io::Result<Self> {
        let holder = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(parent(target))?;
        let new = Self { holder };
        fs::create_dir(new.path())?;
        Ok(new)
    }

    fn path(&self) -> PathBuf {
        self.holder.path().join("new")
    }

    /// Writes one of its files and flushes it to the disk.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create_new(self.path().join(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Moves the folder to `target`. If something exists there, the two are exchanged in one step where the system supports it. On
    /// other systems the old folder is first moved away, so for a moment `target` does not exist.
    pub(crate) fn put(self, target: &Path) -> io::Result<()> {
        sync_folder(&self.path())?;
        if fs::symlink_metadata(target).is_err() {
            fs::rename(self.path(), target)?;
        } else if !exchange(&self.path(), target) {
            let old = self.holder.path().join("old");
            fs::rename(target, &old)?;
            if let Err(error) = fs::rename(self.path(), target) {
                fs::rename(old, target)?;
                return Err(error);
            }
        }
        sync_folder(parent(target))
    }
}

/// Exchanges two entries of one file system in one step; false if the system or the file system does not support it.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(one: &Path, other: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

/// The folder that contains `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Flushes a folder's entries to the disk, so that they survive a power cut. Only Unix can open a folder for that.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, device] = ["file", "link", "device"].map(|name| folder.path().join(name));
        fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        for path in [&link, &device] {
            write_whole(path, b"after").unwrap();
            assert!(path.is_symlink(), "{}", path.display());
        }
        assert_eq!(fs::read(&file).unwrap(), b"after");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_and_a_file_are_exchanged() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        fs::create_dir(&one).unwrap();
        fs::write(&other, "").unwrap();
        assert!(exchange(&one, &other));
        assert!(one.is_file() && other.is_dir());
        assert!(!exchange(&one, &folder.path().join("nowhere")));
    }

    #[test]
    fn a_folder_takes_the_place_of_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        for text in ["first", "second"] {
            let new = NewFolder::beside(&target).unwrap();
            new.write("file", text.as_bytes()).unwrap();
            new.put(&target).unwrap();
            assert_eq!(fs::read_to_string(target.join("file")).unwrap(), text);
        }
        drop(NewFolder::beside(&target).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
