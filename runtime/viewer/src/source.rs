//! Where the films of a desk come from, and their pixels for the page.

use std::path::{Path, PathBuf};

use onemark_film::{Film, FilmError};

/// Where a film comes from.
pub enum FilmSource {
    /// A file, read each time it is needed, because many films would not fit into memory.
    File(PathBuf),
    /// The bytes of a file, for systems without files.
    Bytes {
        /// The file's name.
        name: String,
        /// The file's content.
        bytes: Vec<u8>,
    },
}

impl FilmSource {
    /// The file's name, as it was given.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes { name, .. } => name.clone(),
        }
    }

    pub(super) fn read(&self) -> Result<Film, FilmError> {
        match self {
            Self::File(path) => Film::open(path),
            Self::Bytes { name, bytes } => Film::from_bytes(bytes, Path::new(name)),
        }
    }
}
