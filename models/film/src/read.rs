//! Reads films from files: chooses the reader by content, not by name, and limits sizes.

use std::ffi::OsStr;
use std::fs::{self, File, FileType};
use std::io::{self, Read as _};
#[cfg(any(feature = "dicom", feature = "raster"))]
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use crate::film::MAX_FILM_PIXELS;
use crate::signature::{Format, is_other_image};
use crate::{Film, FilmError};

/// The largest size of a film's file, and the largest memory that its decoder may allocate, in bytes: [`MAX_FILM_PIXELS`] of 16-bit RGBA.
pub(crate) const MAX_FILM_BYTES: u64 = 8 * MAX_FILM_PIXELS;

/// File name extensions (lower case) of the files that count as films when a folder is searched. [`Film::open`] does not use them.
pub const FILM_EXTENSIONS: [&str; 8] = ["bmp", "dcm", "dicom", "jpeg", "jpg", "png", "tif", "tiff"];

/// A film's path without its extension, if that is one of the [`FILM_EXTENSIONS`] in either case. The last number of a name such
/// as `1.2.840.10` is no extension.
///
/// ```
/// use onemark_film::without_extension;
///
/// assert_eq!(without_extension("a/film.PNG".as_ref()), "a/film".as_ref() as &std::path::Path);
/// assert_eq!(without_extension("1.2.840.10".as_ref()), "1.2.840.10".as_ref() as &std::path::Path);
/// ```
pub fn without_extension(path: &Path) -> PathBuf {
    if has_film_extension(path) { path.with_extension("") } else { path.to_owned() }
}

/// Whether a path ends with one of the [`FILM_EXTENSIONS`], in either case.
pub fn has_film_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| FILM_EXTENSIONS.contains(&extension.as_str()))
}

impl Film {
    /// Reads a DICOM, PNG, JPEG, BMP or TIFF file. The content decides on the format, not the name.
    ///
    /// The file is read whole into memory, then as by [`Film::from_bytes`]. What a person should know of how it was read is in
    /// [`Film::warnings`]. docs/FORMATS.md says what is read of each format, and docs/LIMITS.md up to which size.
    ///
    /// ```
    /// use onemark_film::{Film, FilmError};
    ///
    /// match Film::open("patients/no-such-film.dcm") {
    ///     Ok(film) => println!("{}x{} px", film.width(), film.height()),
    ///     Err(FilmError::Read { path, source, .. }) => println!("{}: {source}", path.display()),
    ///     Err(error) => println!("{error}"), // says what is wrong and what to do
    /// }
    /// ```
    ///
    /// # Errors
    /// - [`FilmError::Read`]: the operating system can't read the file, or it is a folder, a device or a pipe;
    /// - [`FilmError::FileTooLarge`], [`FilmError::TooLarge`], [`FilmError::ZeroSize`]: found before pixels are decoded;
    /// - [`FilmError::WrongType`]: it has none of the formats;
    /// - [`FilmError::NotCompiled`]: this build has no reader of its format;
    /// - [`FilmError::Damaged`]: it ends too early or contradicts itself;
    /// - [`FilmError::Unsupported`]: it is sound, but has something that is not read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FilmError> {
        let path = path.as_ref();
        Self::open_as(path, path)
    }

    /// As [`Film::open`], but errors call the film `name`, for those who must not learn the path.
    ///
    /// ```
    /// # #[cfg(feature = "raster")] {
    /// let error = onemark_film::Film::open_as("no/such/Muster_Maria.png", "film 1").unwrap_err();
    /// assert_eq!(error.to_string(), "cannot read film film 1");
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Film::open`].
    pub fn open_as(path: impl AsRef<Path>, name: impl AsRef<Path>) -> Result<Self, FilmError> {
        let name = name.as_ref();
        Self::from_bytes(&read_file(path.as_ref(), name)?, name)
    }

    /// Reads a film from the bytes of a file; `name` appears in messages only.
    ///
    /// All films become 8-bit grey, 0 for black. DICOM values become grey by the lookup table or window in the file, else from the
    /// darkest to the brightest value of the film. In the other formats, values of 16 bits are divided by 257 (by less if the film uses
    /// fewer bits, with a warning), colours become grey by ITU-R 601 (like JPEG's luma and Pillow's "L"), and alpha is left out. Only DICOM
    /// states a spacing, in mm per px, and patient and study ([`Film::dicom`]).
    ///
    /// ```
    /// use onemark_film::Film;
    ///
    /// # #[cfg(feature = "raster")] {
    /// // A BMP of 2x1 px: black, white.
    /// let bmp = b"BM\x3e\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\x18\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\
    ///             \0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\0\0";
    /// let film = Film::from_bytes(bmp, "film.bmp")?;
    /// assert_eq!((film.width(), film.height(), film.grey()), (2, 1, &[0, 255][..]));
    /// # }
    /// # Ok::<(), onemark_film::FilmError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Film::open`], except for [`FilmError::Read`] and [`FilmError::FileTooLarge`].
    pub fn from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self, FilmError> {
        let name = name.as_ref();
        match Format::of(bytes) {
            None => Err(wrong_type(bytes, name)),
            #[cfg(feature = "dicom")]
            Some(Format::Dicom) => contained(|| crate::dicom::read(bytes, name), name),
            #[cfg(feature = "raster")]
            Some(Format::Raster(format)) => contained(|| crate::raster::read(bytes, format, name), name),
            #[allow(unreachable_patterns, reason = "each reader is a feature")]
            Some(format) => Err(FilmError::NotCompiled { path: name.to_owned(), format: format.name() }),
        }
    }
}

/// Runs a reader. Decoders come from many libraries; should one of them panic on a file, hosts and batches go on without this film.
#[cfg(any(feature = "dicom", feature = "raster"))]
fn contained(read: impl FnOnce() -> Result<Film, FilmError>, name: &Path) -> Result<Film, FilmError> {
    // Unwind safety: a reader changes nothing but its own values, which a panic drops.
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let what = "its decoder failed, which is a defect of this program".to_owned();
        let advice = "save it as PNG or TIFF, and report the defect";
        Err(FilmError::Unsupported { path: name.to_owned(), what, advice })
    })
}

/// A file's bytes; an error if the file is too large for a film. Only files are read: a device or a pipe may never end.
/// Errors call it `name`.
pub(crate) fn read_file(path: &Path, name: &Path) -> Result<Vec<u8>, FilmError> {
    let read_error = |source| FilmError::Read { path: name.to_owned(), source };
    let too_large = |bytes| FilmError::FileTooLarge { path: name.to_owned(), bytes };
    let metadata = fs::metadata(path).map_err(read_error)?;
    if let Some(kind) = no_file(metadata.file_type()) {
        return Err(read_error(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}; give a file"))));
    }
    if metadata.len() > MAX_FILM_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    let file = File::open(path).map_err(read_error)?;
    // Files of some file systems are longer than they say.
    file.take(MAX_FILM_BYTES + 1).read_to_end(&mut bytes).map_err(read_error)?;
    if bytes.len() as u64 > MAX_FILM_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// What is at a path if it is no file, in words.
fn no_file(kind: FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    match kind {
        kind if kind.is_dir() => Some("a folder"),
        kind if kind.is_file() => None,
        _ => Some("not a file"),
    }
}

/// The error for a file that is not a film. It tells what the file looks like.
fn wrong_type(bytes: &[u8], name: &Path) -> FilmError {
    const EXPORT: &str = "give a DICOM, PNG, JPEG, BMP or TIFF";
    let head = &bytes[..bytes.len().min(512)];
    let is_text = |c: &u8| matches!(c, b'\t' | b'\n' | b'\r' | 0x20..=0x7E | 0x80..);
    let (looks_like, advice) = if bytes.is_empty() {
        ("an empty file", "copy or export it again from its source")
    } else if is_other_image(bytes) {
        ("another image format", "save it as PNG, JPEG, BMP or TIFF")
    } else if head.iter().all(is_text) {
        ("a text file", EXPORT)
    } else {
        ("no image", EXPORT)
    };
    FilmError::WrongType { path: name.to_owned(), looks_like, advice }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[cfg(any(feature = "dicom", feature = "raster"))]
    #[test]
    fn a_panic_of_a_decoder_is_an_error() {
        let error = contained(|| unreachable!("as some decoders say"), Path::new("film.dcm")).unwrap_err().to_string();
        assert!(error.contains("film.dcm is not read as a film: its decoder failed"), "{error}");
    }

    #[test]
    fn a_format_without_its_reader_is_refused_by_name() {
        for (bytes, name, compiled) in [
            ([&[0; 128][..], b"DICM"].concat(), "DICOM", cfg!(feature = "dicom")),
            (b"\x89PNG\r\n\x1a\n".to_vec(), "PNG", cfg!(feature = "raster")),
            (b"\xFF\xD8\xFF".to_vec(), "JPEG", cfg!(feature = "raster")),
        ] {
            let error = Film::from_bytes(&bytes, "film").unwrap_err();
            let refused = matches!(error, FilmError::NotCompiled { .. });
            assert_eq!(refused, !compiled, "{error}");
            assert!(compiled || error.to_string().contains(&format!("this build does not read {name}")), "{error}");
        }
    }
}
