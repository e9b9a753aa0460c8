//! Reads small files of other people: regular ones only, and no more of them than a limit.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// The largest file of a signature that is read, in bytes: twice that of a bundle with as many files as are allowed.
pub const LARGEST_SIGNATURE: u64 = 1 << 20;
/// The largest file of a key that is read, in bytes: a hundred times the usual size.
pub const LARGEST_KEY: u64 = 1 << 16;

/// The bytes of a regular file.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for somebody to write to it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is a folder, a pipe or a device; give a file"));
    }
    read_any(path, limit)
}

/// The bytes of a file or a pipe. They are not copied while they are read, so a caller can erase them.
pub(crate) fn read_any(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(limit).map_err(io::Error::other)?.saturating_add(1));
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes; check that it is the right file")));
    }
    Ok(bytes)
}
