//! Landmark sets: which landmarks a network finds, in which order, and what is measured between them.
//!
//! The sets themselves are data, in `landmarks/*.yaml`. Where a landmark lies on a film is not known here (see
//! [`crate::dataset`]).

mod analysis;
mod id;
mod measure;
mod rules;
mod set;

pub use analysis::{Analysis, Class, Definition, Formula, Norm, Unit};
pub use id::LandmarkId;
pub use measure::Measurement;
pub use set::{Landmark, LandmarkError, LandmarkSet};
