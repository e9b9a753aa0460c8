//! Films in DICOM: `reader` has the steps from a file's bytes to a film, `data_set` the way into a file. `header` says what is
//! refused, `codec` unpacks pixels, `grey` shades them; `spacing`, `identity`, `text` and `directory` read what their names say.
//!
//! Patient data never reach a message: nothing here repeats what the parser says about a value.

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
