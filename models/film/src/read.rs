//! Reads films from files: chooses the reader by content, not by name, and limits sizes.

use std::ffi::OsStr;
use std::fs;
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
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    let known = extension.is_some_and(|extension| FILM_EXTENSIONS.contains(&extension.as_str()));
    if known { path.with_extension("") } else { path.to_owned() }
}

impl Film {
    /// Reads a DICOM, PNG, JPEG, BMP or TIFF file. The content decides on the format, not the name.
    ///
    /// 16-bit films are scaled to 8 bit; coloured pixels become grey (see [`Film::from_bytes`]). docs/FORMATS.md lists the DICOM
    /// attributes that are read.
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
    /// See [`FilmError`]. The size in the header is checked before pixels are decoded. If the reader of the format is not compiled in,
    /// the error is [`FilmError::NotCompiled`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FilmError> {
        let path = path.as_ref();
        Self::from_bytes(&read_file(path)?, path)
    }

    /// Reads a film from the bytes of a file; `name` appears in messages only.
    ///
    /// DICOM pixels are converted by the window or lookup table in the file. In other formats, colour becomes grey by ITU-R 601 (like
    /// JPEG's luma and Pillow's "L"), and an alpha channel is dropped.
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
    /// As [`Film::open`].
    pub fn from_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self, FilmError> {
        let name = name.as_ref();
        match Format::of(bytes) {
            None => Err(wrong_type(bytes, name)),
            #[cfg(feature = "dicom")]
            Some(Format::Dicom) => crate::dicom::read(bytes, name),
            #[cfg(feature = "raster")]
            Some(Format::Raster(format)) => crate::raster::read(bytes, format, name),
            #[allow(unreachable_patterns, reason = "each reader is a feature")]
            Some(format) => Err(FilmError::NotCompiled { path: name.to_owned(), format: format.name() }),
        }
    }
}

/// A file's bytes; an error if the file is too large for a film.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, FilmError> {
    let read_error = |source| FilmError::Read { path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(read_error)?.len();
    if bytes > MAX_FILM_BYTES {
        return Err(FilmError::FileTooLarge { path: path.to_owned(), bytes });
    }
    fs::read(path).map_err(read_error)
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
