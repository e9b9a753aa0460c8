//! Calibrates a bundle: fits the functions from scores to confidence and to a radius in mm.

mod fit;
mod reliability;

pub use fit::{CalibrationError, FEWEST_FILMS, fit};
