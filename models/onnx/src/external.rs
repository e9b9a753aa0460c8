//! The rule on external data: an initialiser may refer to a range of one given file only. ONNX itself allows any file.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{OnnxError, quoted};
use crate::numbers::Kind;
use crate::proto::{DataLocation, TensorProto};

/// The one file that a graph's initialisers may refer to, in memory. Clones share the bytes, and the record of those that were
/// checked: several graphs use the same numbers.
#[derive(Clone)]
pub struct Weights {
    name: Arc<str>,
    bytes: Arc<[u8]>,
    usable: Arc<Mutex<Usable>>,
}

/// Ranges that hold finite numbers of a type, and the sum of their lengths.
#[derive(Default)]
struct Usable {
    ranges: BTreeSet<(usize, usize, Kind)>,
    length: usize,
}

impl Weights {
    /// A file with this name, as initialisers spell it, and these bytes.
    ///
    /// ```
    /// let weights = onemark_onnx::Weights::new("weights.bin", vec![0; 8].into());
    /// assert_eq!((weights.name(), weights.bytes().len()), ("weights.bin", 8));
    /// ```
    pub fn new(name: impl Into<Arc<str>>, bytes: Arc<[u8]>) -> Self {
        Self { name: name.into(), bytes, usable: Arc::default() }
    }

    /// Checks the numbers of a tensor, unless that was done before.
    pub(crate) fn validate(&self, tensor: &TensorProto, kind: Kind, range: &Range<usize>) -> Result<(), OnnxError> {
        let usable = || self.usable.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (range.start, range.end, kind);
        {
            let usable = usable();
            if usable.ranges.contains(&key) {
                return Ok(());
            }
            // Different tensors have different bytes, so all of them together are about as long as the file.
            if usable.length.saturating_add(range.len()) > self.bytes.len().saturating_mul(2) {
                return Err(OnnxError::Shared { file: self.name.to_string() });
            }
        }
        // Other graphs are checked at the same time.
        crate::numbers::validate(tensor, kind, self.bytes.get(range.clone()).unwrap_or_default())?;
        let mut usable = usable();
        if usable.ranges.insert(key) {
            usable.length += range.len();
        }
        Ok(())
    }

    /// The name by which initialisers refer to the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole file.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The range of the file that a tensor names.
    pub(crate) fn range(&self, tensor: &TensorProto) -> Result<Range<usize>, ExternalError> {
        let [location, offset, length] = entries(tensor)?;
        let location = location.unwrap_or_default();
        if location != self.name() {
            return Err(ExternalError::OtherFile { location: location.to_owned(), allowed: self.name.clone() });
        }
        let size = self.bytes.len();
        let start = offset.map_or(Ok(0), |text| number("offset", text))?;
        let length = length.map(|text| number("length", text)).transpose()?;
        let end = length.map_or(Some(size), |length| start.checked_add(length));
        end.filter(|end| start <= *end && *end <= size)
            .map(|end| start..end)
            .ok_or_else(|| ExternalError::Beyond { size, file: self.name.clone() })
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weights({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// Why a tensor's reference to external data is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum ExternalError {
    /// It names another file.
    #[error("its data are in {}; only {allowed} is read", quoted(.location))]
    #[non_exhaustive]
    OtherFile {
        /// The file that the tensor names.
        location: String,
        /// The file that it may name.
        allowed: Arc<str>,
    },
    /// An offset or a length is not a whole number.
    #[error("its {key} {} is not a number of bytes", quoted(.text))]
    #[non_exhaustive]
    NotANumber {
        /// `offset` or `length`.
        key: &'static str,
        /// The value in the file.
        text: String,
    },
    /// The range does not lie within the file.
    #[error("its data reach beyond the {size} bytes of {file}")]
    #[non_exhaustive]
    Beyond {
        /// The file's size in bytes.
        size: usize,
        file: Arc<str>,
    },
    /// A key occurs twice, or is not one of `location`, `offset` and `length`. Parsers differ in how they read such data.
    #[error("its external data have the key {} twice, or it is not one of location, offset and length", quoted(.key))]
    #[non_exhaustive]
    Key { key: String },
}

/// Whether a tensor's numbers are in another file.
pub(crate) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty()
}

/// The values of `location`, `offset` and `length`.
fn entries(tensor: &TensorProto) -> Result<[Option<&str>; 3], ExternalError> {
    let (mut location, mut offset, mut length) = (None, None, None);
    for entry in &tensor.external_data {
        let known = match entry.key.as_str() {
            "location" => &mut location,
            "offset" => &mut offset,
            "length" => &mut length,
            _ => return Err(ExternalError::Key { key: entry.key.clone() }),
        };
        if known.replace(entry.value.as_str()).is_some() {
            return Err(ExternalError::Key { key: entry.key.clone() });
        }
    }
    Ok([location, offset, length])
}

fn number(key: &'static str, text: &str) -> Result<usize, ExternalError> {
    text.parse().map_err(|_| ExternalError::NotANumber { key, text: text.to_owned() })
}
