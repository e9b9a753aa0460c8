//! Landmark sets: the landmarks that a network finds, their order, and the measurements between them.
//!
//! The sets are data, in `landmarks/*.yaml`. Positions of landmarks on films are in the datasets of `onemark-evaluation`.

mod analysis;
mod drawing;
mod id;
mod joint;
mod measure;
mod rules;
mod set;
mod vector;

pub use analysis::{Analysis, Class, Definition, Formula, Norm, Unit};
pub use drawing::{Stroke, StrokeKind};
pub use id::LandmarkId;
pub use joint::{Joint, MOST_JOINTS};
pub use measure::{Measurement, PixelScale};
pub use rules::{MOST_MEASUREMENTS, MOST_TERMS};
pub use set::{LONGEST_NAME, Landmark, LandmarkError, LandmarkSet, MOST_LANDMARKS};
