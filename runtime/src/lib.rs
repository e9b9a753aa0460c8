//! Opens a bundle and finds its landmarks on films, with ONNX Runtime or tract.
//!
//! [`Detector`] is the whole of it: `Send + Sync`, no network, no torch. The bundle's format and verification are in
//! `onemark-models`; nothing here trains or exports. The one piece of global state is ONNX Runtime's own environment.
//!
//! ```no_run
//! use onemark_models::film::Film;
//! use onemark_runtime::{Detector, Options};
//!
//! let detector = Detector::open("head19.onemark", Options::default())?;
//! for landmark in detector.detect(&Film::open("film.png")?)?.landmarks {
//!     println!("{} at {:.1}, {:.1} px", landmark.title, landmark.position.x, landmark.position.y);
//! }
//! # Ok::<(), onemark_runtime::RuntimeError>(())
//! ```

pub mod backend;
mod cycle;
mod decode;
mod detections;
mod detector;
mod error;
pub mod results;
mod windows;

pub use cycle::Cycle;
pub use decode::Decoding;
pub use detections::{BundleId, Detection, Detections, FilmSize, Millimetres, Status};
pub use detector::{Detector, Options};
pub use error::RuntimeError;
