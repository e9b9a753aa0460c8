//! The id of a landmark: its number in the set's order.

use std::fmt;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

/// A landmark of a set, identified by its number, from 1. Files contain this number.
///
/// ```
/// use onemark_models::landmarks::LandmarkId;
///
/// let sella = LandmarkId::new(1).ok_or("numbers start at 1")?;
/// assert_eq!((sella.number(), sella.index(), format!("{sella:02}")), (1, 0, "01".to_owned()));
/// assert_eq!(LandmarkId::new(0), None);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LandmarkId(NonZeroU16);

impl LandmarkId {
    /// The landmark with this number, counted from 1.
    pub fn new(number: usize) -> Option<Self> {
        u16::try_from(number).ok().and_then(NonZeroU16::new).map(Self)
    }

    /// The landmark at this index, counted from 0, in arrays with one entry per landmark. Larger indices than 65534 give the landmark
    /// at 65534.
    pub fn from_index(index: usize) -> Self {
        Self(NonZeroU16::MIN.saturating_add(u16::try_from(index).unwrap_or(u16::MAX)))
    }

    /// The first `count` landmarks, in order.
    pub fn up_to(count: usize) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + Clone {
        (0..count).map(Self::from_index)
    }

    /// Its number, counted from 1.
    pub fn number(self) -> usize {
        usize::from(self.0.get())
    }

    /// Its index, counted from 0, in arrays with one entry per landmark.
    pub fn index(self) -> usize {
        self.number() - 1
    }
}

impl fmt::Display for LandmarkId {
    /// The number; width and fill of the format apply to it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
