//! Opens a bundle and finds its landmarks on films, with ONNX Runtime or tract.
//!
//! [`Detector`] is the whole of it: `Send + Sync`, no network, no torch. The bundle's format and verification are in
//! `onemark-models`; nothing here trains or exports. The one piece of global state is ONNX Runtime's own environment.
//!
//! ```no_run
//! use onemark_film::{Film, Pixels, Spacing};
//! use onemark_runtime::{Detector, Options, Status};
//!
//! // Once: opening a bundle takes a second or so. Any number of threads may share it.
//! let detector = Detector::open("head19.onemark", Options::default())?;
//!
//! // For each film, from a file or, as here, from a viewer's memory: 12 bits a pixel, in two bytes.
//! let (bytes, width, height) = (vec![0; 2 * 1935 * 2400], 1935, 2400);
//! let pixels =
//!     Pixels { bytes: &bytes, width, height, stride: 2 * 1935, bits: 12, inverted: false, window: None };
//! let film = Film::from_pixels(pixels)?.with_spacing(Spacing::stated([0.1, 0.1], "the scanner's manual")?);
//!
//! for landmark in detector.detect(&film)?.landmarks {
//!     match (landmark.status, landmark.mm) {
//!         (Status::NotFound, _) => println!("{} is not to be seen", landmark.title),
//!         (_, Some(mm)) => println!("{} at {:.1}, {:.1} mm", landmark.title, mm.x, mm.y),
//!         (_, None) => println!("{} at {:.0}, {:.0} px", landmark.title, landmark.position.x, landmark.position.y),
//!     }
//! }
//! # Ok::<(), onemark_runtime::RuntimeError>(())
//! ```
//!
//! For C and Python see `runtime/bindings`.

pub mod adapt;
pub mod backend;
mod chain;
mod cycle;
mod decode;
mod detections;
mod detector;
mod embeddings;
mod error;
mod windows;

pub use chain::Chain;
pub use cycle::Cycle;
pub use decode::Decoding;
pub use detections::{BundleId, Detection, Detections, FilmSize, Millimetres, Status};
pub use detector::{Detector, Options};
pub use error::RuntimeError;
