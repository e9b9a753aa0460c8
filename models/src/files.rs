//! Files and folders that are written whole or not at all, and digests.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// How the names of temporary files and folders begin.
const TEMPORARY: &str = ".onemark-";

/// SHA-256 as 64 lower-case hexadecimal digits, as manifests give it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file under a temporary name beside `path`, then renames it: `path` holds all of `bytes` or what it held before.
/// A symbolic link stays; the file that it names is replaced. A pipe or a device is written to as it is.
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
    // Temporary files are private; this one gets the permissions of any new file, since it becomes `path`.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(parent(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A folder that is being written beside its final place. What it holds is removed when it is dropped before [`NewFolder::put`].
pub(crate) struct NewFolder {
    holder: tempfile::TempDir,
}

impl NewFolder {
    /// A folder that is to become `target`.
    pub(crate) fn beside(target: &Path) -> io::Result<Self> {
        let holder = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(parent(target))?;
        let new = Self { holder };
        fs::create_dir(new.path())?;
        Ok(new)
    }

    fn path(&self) -> PathBuf {
        self.holder.path().join("new")
    }

    /// Writes one of its files, through to the disk.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create_new(self.path().join(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Puts the folder at `target`. What is there already is exchanged for it where the system can; elsewhere the old one is
    /// moved aside first, so that for a moment there is neither.
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

/// Exchanges two entries of one file system in one step; false where the system or the file system can't.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(one: &Path, other: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

/// The folder that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a folder's entries survive a power cut. Only Unix lets a folder be opened for that.
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
