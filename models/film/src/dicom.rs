//! Films in DICOM. `reader` contains the steps from a file's bytes to a film: `data_set` parses attributes, `header` checks the
//! description of the pixels, `codec` and `jpeg2000` decompress them, `grey` converts them to grey; `spacing` and `identity` read attributes.
//! `text` decodes character sets. `directory` reads DICOMDIR.
//!
//! Messages never contain patient data: no message repeats the parser's text about a value.

#[cfg(feature = "dicom")]
mod codec;
#[cfg(feature = "dicom")]
mod data_set;
#[cfg(feature = "dicom")]
mod directory;
#[cfg(feature = "dicom")]
mod grey;
#[cfg(feature = "dicom")]
mod header;
mod identity;
#[cfg(feature = "dicom")]
mod jpeg2000;
#[cfg(feature = "dicom")]
mod reader;
#[cfg(feature = "dicom")]
mod spacing;
#[cfg(feature = "dicom")]
mod text;

#[cfg(feature = "dicom")]
pub use directory::directory_films;
pub use identity::DicomIdentity;
#[cfg(feature = "dicom")]
pub(crate) use reader::read;
