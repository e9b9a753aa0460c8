//! Lets one program at a time change a bundle, so that none undoes what another has just written.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::files::parent;

/// The right to change what lies at a path, until it is dropped. Programs that read and write a bundle, such as `adapt`, take it
/// before they read.
///
/// It is a lock of the system on an empty file `.NAME.lock` beside the target, so it ends with the program, however that ends. A
/// program that is killed leaves the empty file, which harms nobody. File systems without locks lock nothing.
///
/// ```
/// use onemark_models::lock::Lock;
///
/// let folder = tempfile::tempdir()?;
/// let bundle = folder.path().join("clinic.onemark");
/// let mine = Lock::try_new(&bundle)?;
/// assert!(mine.is_some() && Lock::try_new(&bundle)?.is_none());
/// drop(mine);
/// assert!(Lock::try_new(&bundle)?.is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the lock ends when it is dropped"]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// The lock on `target`, or `None` if somebody else has it. `target` need not exist, its folder must.
    ///
    /// # Errors
    /// The folder can't be written to, or the file beside the target can't be opened.
    pub fn try_new(target: &Path) -> io::Result<Option<Self>> {
        loop {
            let lock = Candidate::open(target)?;
            match lock.file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => unsupported_is_fine(error)?,
            }
            if lock.counts() {
                return Ok(Some(lock.taken()));
            }
        }
    }

    /// The same, but waits until nobody else has it.
    ///
    /// # Errors
    /// As [`Lock::try_new`].
    pub fn wait(target: &Path) -> io::Result<Self> {
        loop {
            let lock = Candidate::open(target)?;
            lock.file.lock().or_else(unsupported_is_fine)?;
            if lock.counts() {
                return Ok(lock.taken());
            }
        }
    }
}

/// The file to lock, opened.
struct Candidate {
    path: PathBuf,
    file: File,
}

impl Candidate {
    fn open(target: &Path) -> io::Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or(target.as_os_str()));
        name.push(".lock");
        let path = parent(target).join(name);
        match OpenOptions::new().create(true).truncate(false).write(true).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(explained(&path, target, error)),
        }
    }

    /// Whether the file still is at its path. Whoever had the lock may have removed it; then a new one counts.
    fn counts(&self) -> bool {
        is_at(&self.file, &self.path)
    }

    fn taken(self) -> Lock {
        Lock { path: self.path, _file: self.file }
    }
}

/// Says what to do about a lock's file that can't be opened although it is there: mostly, a program of another user has left it.
fn explained(path: &Path, target: &Path, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied || !path.exists() {
        return error;
    }
    let (path, target) = (path.display(), target.display());
    let why = format!(
        "{path} can't be opened; it may belong to another user: if no other program is at work on {target}, remove it"
    );
    io::Error::new(error.kind(), why)
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While the lock is held, nobody else removes it. Other systems than Unix don't remove open files.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn unsupported_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Unsupported { Ok(()) } else { Err(error) }
}

/// Whether a path still leads to this open file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().and_then(|open| Ok(place(open) == place(fs::metadata(path)?))).unwrap_or(false)
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let (inside, rounds) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _lock = Lock::wait(&target).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        rounds.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(rounds.load(Ordering::SeqCst), 8 * 50);
        if cfg!(unix) {
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Lock::try_new(&folder.path().join("nowhere/target")).is_err());
    }

    #[test]
    fn a_lock_that_cannot_be_opened_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let [path, target] = [".target.lock", "target"].map(|name| folder.path().join(name));
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(explained(&path, &target, denied()).to_string(), denied().to_string());
        fs::write(&path, "").unwrap();
        let told = explained(&path, &target, denied());
        assert_eq!(told.kind(), io::ErrorKind::PermissionDenied);
        let expected = format!(
            ".target.lock can't be opened; it may belong to another user: if no other program is at work on {}, remove it",
            target.display()
        );
        assert!(told.to_string().ends_with(&expected), "{told}");
    }
}
