//! Opens a bundle and finds its landmarks on films, with ONNX Runtime or tract.
//!
//! [`Detector`] is the whole of it: `Send + Sync`, no network, no torch. The bundle's format and verification are in
//! `onemark-models`; nothing here trains or exports. The one piece of global state is ONNX Runtime's own environment.
//!
//! ```no_run
//! use onemark_film::{Film, Pixels, Size, Spacing};
//! use onemark_runtime::{Detector, Options, Status};
//!
//! // Once: opening a bundle takes a second or so. Any number of threads may share it.
//! let detector = Detector::open("head19.onemark", Options::default())?;
//!
//! // For each film, from a file or, as here, from a viewer's memory: 12 bits a pixel, in two bytes.
//! let bytes = vec![0; 2 * 1935 * 2400];
//! let pixels = Pixels::grey16(&bytes, Size { width: 1935, height: 2400 })?.with_bits(12);
//! let film = Film::from_pixels(pixels)?.with_spacing(Spacing::new(0.1, 0.1, "scanner manual")?);
//!
//! for landmark in detector.detect(&film)?.landmarks() {
//!     let (title, px) = (landmark.title(), landmark.position());
//!     match (landmark.status(), landmark.mm()) {
//!         (Status::NotFound, _) => println!("{title} was not found"),
//!         (_, Some(mm)) => println!("{title} at {:.1}, {:.1} mm", mm.x, mm.y),
//!         (_, None) => println!("{title} at {:.0}, {:.0} px", px.x, px.y),
//!     }
//! }
//! # Ok::<(), onemark_runtime::RuntimeError>(())
//! ```
//!
//! Features, all on unless switched off: `onnxruntime` (ONNX Runtime, loaded when first needed; not in a browser), `cuda` (the
//! same on an NVIDIA GPU) and `tract` (pure Rust, built in).
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
mod field;
mod head;
mod job;
mod options;
mod pool;
mod pruned;
mod scores;
mod session;

pub use onemark_film as film;
pub use onemark_models::{bundle, confidence, landmarks};

pub use backend::BackendKind;
pub use chain::Chain;
pub use cycle::Cycle;
pub use decode::Decoding;
pub use detections::{BundleId, Detection, Detections, FilmSize, Millimetres, Status};
pub use detector::Detector;
pub use error::RuntimeError;
pub use job::{Cancel, Job};
pub use options::Options;
