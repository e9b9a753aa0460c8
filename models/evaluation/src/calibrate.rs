//! How far a bundle's points can be trusted: scores become confidence and a radius in mm.

mod fit;
mod reliability;

pub use fit::{CalibrationError, FEWEST_FILMS, fit};
