//! A file in which a desk keeps what a person does, so that the end of the program, or of the machine, loses none of it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use onemark_models::files::{read_file_at_most, validate_place, write_whole};
use onemark_models::lock::Lock;

/// Why a file can't be read or written, or what is wrong with its content.
pub type Why = Box<dyn std::error::Error + Send + Sync>;

/// Largest file that is read and written, in bytes: more than a thousand films.
const MOST_BYTES: u64 = 64 << 20;

/// A file that no other desk writes at the same time.
pub struct KeptFile {
    path: PathBuf,
    _lock: Lock,
}

impl KeptFile {
    /// Opens a file that can be written, and reads it if it is there.
    ///
    /// # Errors
    /// It can't be read or written, or another desk has it.
    pub fn open(path: &Path) -> Result<(Self, Option<Vec<u8>>), Why> {
        validate_place(path)?;
        let lock = Lock::try_new(path)?.ok_or("another viewer has it open")?;
        let bytes = match read_file_at_most(path, MOST_BYTES) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        Ok((Self { path: path.to_owned(), _lock: lock }, bytes))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file: all of it, or nothing.
    ///
    /// # Errors
    /// It can't be written, or it would be larger than a file that can be read.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Why> {
        if bytes.len() as u64 > MOST_BYTES {
            return Err(format!("it would have more than {MOST_BYTES} bytes").into());
        }
        Ok(write_whole(&self.path, bytes)?)
    }
}
