//! Films in DICOM. `reader` contains the steps from a file's bytes to a film: `data_set` reads the file meta information and lets `walk`
//! find the attributes and `attributes` parse their values; `header` checks the description of the pixels, `codec` and `jpeg2000` decompress
//! them (`pixel_data`, if they are not compressed), `grey` converts them to grey, with the tables of `lut` and without the padding that `seen`
//! finds; `colour` makes grey of films that are stored in colours and have none. `spacing`, `kind` and `identity` read other attributes. `text`
//! decodes character sets. `directory` reads DICOMDIR.
//!
//! Messages never contain patient data: no message repeats the parser's text about a value, or a text that is no code.

#[cfg(feature = "dicom")]
mod attributes;
#[cfg(feature = "dicom")]
mod codec;
#[cfg(feature = "dicom")]
mod colour;
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
mod kind;
#[cfg(feature = "dicom")]
mod lut;
#[cfg(feature = "dicom")]
mod pixel_data;
#[cfg(feature = "dicom")]
mod reader;
#[cfg(feature = "dicom")]
mod seen;
#[cfg(feature = "dicom")]
mod spacing;
#[cfg(feature = "dicom")]
mod text;
#[cfg(feature = "dicom")]
mod walk;

#[cfg(feature = "dicom")]
pub use directory::directory_films;
pub use identity::DicomIdentity;
#[cfg(feature = "dicom")]
pub(crate) use reader::read;
