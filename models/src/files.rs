//! Writes files and folders completely or not at all; reads files of a limited size; computes digests.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// The prefix of the names of temporary files and folders.
const TEMPORARY: &str = ".onemark-";
/// In a temporary folder, what was moved away from the place of the new folder.
const OLD: &str = "old";

/// SHA-256 as 64 lower-case hexadecimal digits, as in manifests.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Up to this limit, bytes are not copied while they are read.
const NOT_COPIED: u64 = 1 << 16;

/// Reads a whole file of at most `most` bytes. Of a larger one, and of a pipe or a device, which may never end, no more is read.
/// Up to a limit of 65,536 bytes, they are not copied while they are read, so a caller can erase them.
///
/// # Errors
/// It can't be read; [`io::ErrorKind::FileTooLarge`].
pub fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let too_large = || {
        let why = format!("it has more than {most} bytes; check that it is the right file");
        io::Error::new(io::ErrorKind::FileTooLarge, why)
    };
    if fs::metadata(path)?.len() > most {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(most.min(NOT_COPIED) as usize + 1);
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}

/// Reads as [`read_at_most`], but only a regular file: opening a pipe would wait for somebody to write to it.
///
/// # Errors
/// As [`read_at_most`]; it is a folder, a pipe or a device.
pub fn read_file_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is a folder, a pipe or a device; give a file"));
    }
    read_at_most(path, most)
}

/// Whether two paths lead to the same file or folder, which exists.
pub fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// Whether a path, which need not exist, is this file or folder or lies in the folder.
pub fn is_inside(path: &Path, folder: &Path) -> bool {
    let Ok(folder) = fs::canonicalize(folder) else { return false };
    let there = std::path::absolute(path).ok();
    let there = there.as_deref().and_then(|path| path.ancestors().find_map(|part| fs::canonicalize(part).ok()));
    there.is_some_and(|there| there.starts_with(&folder))
}

/// Writes a file under a temporary name next to `path`, then renames it: `path` contains all of `bytes`, or its old content.
/// A file that was there before keeps its permissions, and its owner and group where the system allows it. If `path` is a
/// symbolic link, the file that it points to is replaced. A pipe or a device is written to directly.
///
/// # Errors
/// The folder can't be written to, or the disk is full; the temporary file is removed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let there = fs::metadata(path).ok();
    if there.as_ref().is_some_and(is_special) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let path = &behind_links(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    // Temporary files are private. This one becomes `path`, so it gets the usual permissions of a new file.
    #[cfg(unix)]
    if there.is_none() {
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(parent(path))?;
    hold(file.as_file());
    file.write_all(bytes)?;
    if let Some(there) = &there {
        keep_access(file.as_file(), there);
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Whether something is neither a file nor a folder: a pipe or a device.
fn is_special(there: &Metadata) -> bool {
    !there.is_file() && !there.is_dir()
}

/// The file that a path leads to, also if that does not exist yet.
fn behind_links(path: &Path) -> PathBuf {
    let leads = |_| fs::read_link(path).map_or_else(|_| path.to_owned(), |target| parent(path).join(target));
    fs::canonicalize(path).unwrap_or_else(leads)
}

/// Gives a new file or folder the owner, group and permissions of the one that it replaces. If the system refuses, the new one
/// stays more private than the old one.
#[cfg(unix)]
fn keep_access(new: &File, old: &Metadata) {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    // Only the superuser gives files away; the owner may give them to another of their groups.
    let group_is_kept =
        fchown(new, Some(old.uid()), Some(old.gid())).is_ok() || fchown(new, None, Some(old.gid())).is_ok();
    let mode = old.mode() & 0o777;
    // The rights of the old group are not for another.
    let mode = if group_is_kept { mode } else { mode & !0o070 };
    let _ = new.set_permissions(fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
fn keep_access(_: &File, _: &Metadata) {}

/// Checks that [`write_whole`] could write to a path, without changing anything there, and removes what killed programs have left
/// beside it. Call it before long work.
///
/// # Errors
/// It is a folder; its folder does not exist or can't be written to.
pub fn validate_place(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(there) if is_special(&there) => Ok(()),
        _ => {
            let path = behind_links(path);
            remove_leftovers(parent(&path));
            tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(parent(&path)).map(drop)
        }
    }
}

/// From this age on, a temporary file or folder that nobody holds is one that a killed program has left. A younger one may not be
/// held yet.
const ABANDONED: Duration = Duration::from_secs(60);

/// Holds a temporary file or folder by a lock of the system, which ends with the program, however that ends. Where there are no
/// locks, nothing is taken for abandoned either.
fn hold(temporary: &File) {
    let _ = temporary.try_lock();
}

/// Removes temporary files and folders that killed programs have left in `folder`. What can't be removed stays.
fn remove_leftovers(folder: &Path) {
    let is_ours = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes());
    let ours = fs::read_dir(folder).into_iter().flatten().flatten().filter(is_ours);
    for path in ours.map(|entry| entry.path()).filter(|path| is_abandoned(path).unwrap_or(false)) {
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
}

fn is_abandoned(path: &Path) -> io::Result<bool> {
    let there = fs::symlink_metadata(path)?;
    let is_old = there.modified()?.elapsed().is_ok_and(|age| age > ABANDONED);
    // Where folders can't be exchanged, this may be the only copy of what was to be replaced.
    let is_needed = path.join(OLD).exists();
    Ok(!is_special(&there) && !there.is_symlink() && is_old && !is_needed && File::open(path)?.try_lock().is_ok())
}

/// A file to which more is added while a program works, so that a program that is killed loses only what it has not added.
///
/// ```
/// use onemark_models::files::GrowingFile;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("found.csv");
/// let mut table = GrowingFile::start(&path, b"film,landmarks\n")?;
/// table.append(b"1.png,19\n")?;
/// assert_eq!(std::fs::read_to_string(&path)?, "film,landmarks\n1.png,19\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct GrowingFile {
    file: File,
    /// None for a pipe or a device.
    length: Option<u64>,
}

impl GrowingFile {
    /// Replaces a file as [`write_whole`] does by one that starts with `bytes`.
    ///
    /// # Errors
    /// As [`write_whole`].
    pub fn start(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|there| is_special(&there)) {
            let mut new = Self { file: fs::OpenOptions::new().write(true).open(path)?, length: None };
            new.append(bytes)?;
            return Ok(new);
        }
        write_whole(path, bytes)?;
        Ok(Self { file: fs::OpenOptions::new().append(true).open(path)?, length: Some(bytes.len() as u64) })
    }

    /// Adds bytes, all or none.
    ///
    /// # Errors
    /// The disk is full, for example. What was added before is kept.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let added = self.file.write_all(bytes);
        if let Some(length) = &mut self.length {
            match added {
                Ok(()) => *length += bytes.len() as u64,
                // Half a row is worse than none. If that fails too, the first error says why.
                Err(_) => drop(self.file.set_len(*length)),
            }
        }
        added
    }
}

/// A folder that is being written next to its final place. If it is dropped before [`NewFolder::put`], its content is removed.
pub(crate) struct NewFolder {
    holder: tempfile::TempDir,
    /// Keeps the lock on the holder; `None` where folders can't be opened.
    _held: Option<File>,
}

impl NewFolder {
    /// A new, empty folder that will become `target`. What killed programs have left beside it is removed.
    pub(crate) fn beside(target: &Path) -> io::Result<Self> {
        remove_leftovers(parent(target));
        let holder = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(parent(target))?;
        let held = File::open(holder.path()).ok();
        held.iter().for_each(hold);
        let new = Self { holder, _held: held };
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

    /// Gives the folder and its files the permissions of those that they replace.
    fn keep_access_of(&self, target: &Path, there: &Metadata) -> io::Result<()> {
        if !cfg!(unix) {
            return Ok(());
        }
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            if let Ok(old) = fs::symlink_metadata(target.join(entry.file_name()))
                && old.is_file()
            {
                keep_access(&File::open(entry.path())?, &old);
            }
        }
        keep_access(&File::open(self.path())?, there);
        Ok(())
    }

    /// Moves the folder to `target`. If something exists there, the two are exchanged in one step where the system supports it. On
    /// other systems the old folder is first moved away, so for a moment `target` does not exist.
    pub(crate) fn put(self, target: &Path) -> io::Result<()> {
        if let Ok(there) = &fs::symlink_metadata(target)
            && there.is_dir()
        {
            self.keep_access_of(target, there)?;
        }
        sync_folder(&self.path())?;
        if fs::symlink_metadata(target).is_err() {
            fs::rename(self.path(), target)?;
        } else if !exchange(&self.path(), target) {
            let old = self.holder.path().join(OLD);
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

    #[test]
    fn no_more_is_read_than_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_at_most(&path, 5).unwrap(), b"12345");
        assert_eq!(read_at_most(&path, u64::MAX).unwrap(), b"12345");
        let error = read_at_most(&path, 4).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::FileTooLarge, "it has more than 4 bytes; check that it is the right file")
        );
        assert_eq!(read_at_most(&folder.path().join("none"), 4).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(read_at_most(folder.path(), 1 << 20).is_err());
        // Its size is 0, but it has no end.
        if cfg!(unix) {
            assert_eq!(read_at_most(Path::new("/dev/zero"), 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        }
    }

    #[cfg(unix)]
    #[test]
    fn where_a_file_is_wanted_nothing_else_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let [file, pipe] = ["file", "pipe"].map(|name| folder.path().join(name));
        fs::write(&file, "12345").unwrap();
        assert_eq!(read_file_at_most(&file, 5).unwrap(), b"12345");
        assert_eq!(read_file_at_most(&file, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        // Nobody writes to it, so opening it would wait for ever.
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for other in [&pipe, folder.path(), Path::new("/dev/zero")] {
            let error = read_file_at_most(other, 4).unwrap_err().to_string();
            assert_eq!(error, "it is a folder, a pipe or a device; give a file", "{}", other.display());
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_killed_programs_left_is_removed() {
        let here = tempfile::tempdir().unwrap();
        let path = |name: &str| here.path().join(name);
        for name in [".onemark-dead", ".onemark-only-copy/old", ".onemark-young", ".onemark-held", "other"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path(".onemark-dead/weights.bin"), "half").unwrap();
        fs::write(path(".onemark-file"), "half").unwrap();
        let holder = File::open(path(".onemark-held")).unwrap();
        hold(&holder);
        let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        for name in [".onemark-dead", ".onemark-only-copy", ".onemark-held", ".onemark-file", "other"] {
            File::open(path(name)).unwrap().set_modified(hour_ago).unwrap();
        }
        validate_place(&path("new")).unwrap();
        let left = || {
            let names =
                fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<std::collections::BTreeSet<_>>()
        };
        let expected = [".onemark-held", ".onemark-only-copy", ".onemark-young", "other"].map(str::to_owned);
        assert_eq!(left(), expected.clone().into());
        // While a folder is written, others leave it alone.
        let new = NewFolder::beside(&path("bundle")).unwrap();
        let held = File::open(new.holder.path()).unwrap();
        held.set_modified(hour_ago).unwrap();
        remove_leftovers(here.path());
        assert_eq!(left().len(), expected.len() + 1);
        drop((holder, new));
        remove_leftovers(here.path());
        assert!(!left().contains(".onemark-held"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_the_same_by_every_path() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, none] = ["file", "link", "none"].map(|name| folder.path().join(name));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(is_same(&file, &link) && is_same(&file, &folder.path().join("./file")));
        assert!(!is_same(&file, folder.path()) && !is_same(&none, &none));
    }

    #[test]
    fn what_a_folder_will_hold_is_inside_it() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("bundle");
        fs::create_dir(&bundle).unwrap();
        for inside in ["bundle", "bundle/new", "bundle/new/deep.json", "bundle/../bundle/x"] {
            assert!(is_inside(&folder.path().join(inside), &bundle), "{inside}");
        }
        for outside in ["", "bundle.sig", "bundled/x", "bundle/../x", "other"] {
            assert!(!is_inside(&folder.path().join(outside), &bundle), "{outside}");
        }
    }

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

    #[cfg(unix)]
    #[test]
    fn what_is_written_anew_stays_as_private_as_it_was() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let [file, link, bundle] = ["file", "link", "bundle"].map(|name| folder.path().join(name));
        write_whole(&file, b"new").unwrap();
        assert_eq!(mode(&file) & 0o600, 0o600);
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for private in [0o600, 0o640, 0o666, 0o604] {
            fs::set_permissions(&file, fs::Permissions::from_mode(private)).unwrap();
            write_whole(&link, b"again").unwrap();
            assert_eq!(mode(&file), private);
        }
        fs::create_dir(&bundle).unwrap();
        fs::write(bundle.join("weights"), "old").unwrap();
        fs::set_permissions(bundle.join("weights"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&bundle, fs::Permissions::from_mode(0o700)).unwrap();
        let new = NewFolder::beside(&bundle).unwrap();
        new.write("weights", b"new").unwrap();
        new.put(&bundle).unwrap();
        assert_eq!((mode(&bundle), mode(&bundle.join("weights"))), (0o700, 0o600));
        assert_eq!(fs::read(bundle.join("weights")).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_file_that_does_not_exist_yet_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("file", &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"new");
    }

    #[test]
    fn places_are_tried_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| validate_place(&folder.path().join(name)).map_err(|error| error.kind());
        assert_eq!(place("new.csv"), Ok(()));
        assert_eq!(place("nowhere/new.csv"), Err(io::ErrorKind::NotFound));
        assert_eq!(validate_place(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_does_not_fit_adds_nothing() {
        assert!(GrowingFile::start(Path::new("/dev/full"), b"one").is_err());
        let mut full = GrowingFile::start(Path::new("/dev/full"), b"").unwrap();
        assert!(full.append(b"more").is_err());
    }

    /// The first error is told, whatever becomes of the attempt to take back half a row.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_error_of_writing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        fs::write(&path, "one").unwrap();
        let mut only_read = GrowingFile { file: File::open(&path).unwrap(), length: Some(3) };
        const NOT_OPEN_FOR_WRITING: i32 = 9;
        assert_eq!(only_read.append(b"two").unwrap_err().raw_os_error(), Some(NOT_OPEN_FOR_WRITING));
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
