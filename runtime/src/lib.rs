//! Opens a bundle and finds landmarks on radiographs, with ONNX Runtime or tract.
//!
//! ```
//! # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
//! use onemark_runtime::film::{Film, Pixels, Size, Spacing};
//! use onemark_runtime::{BackendKind, Detector, Options, Status};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("spot.onemark");
//! # spot::bundle(1.0).write(&path, false)?;
//! // Once per bundle. All its files are verified before a graph is parsed. Threads may share the detector.
//! let options = Options::default().with_backend(BackendKind::Tract).with_threads(4);
//! let detector = Detector::open(&path, options)?; // for example "head19.onemark"
//!
//! // Each film comes from a file or, as here, from a viewer's memory: 12 bits per pixel, in two bytes.
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
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Detector::job`] detects with progress and cancellation. Nothing here trains or exports a network, and nothing uses the
//! internet. The only global state is ONNX Runtime's environment, of which a process has one.
//!
//! # Where to look
//! - bundles: [`bundle`] opens, verifies and writes them; [`adapt`] adapts one to further annotated films
//! - films: [`film`] reads files and pixels in memory
//! - results: [`Detections`] and, for CSV, HTML and DICOM SR, the crate `onemark-results`
//! - landmarks: [`landmarks`] are sets with their measurements; [`confidence`] is calibration
//! - backends: [`BackendKind`] names those of this crate; a host's own implement [`backend::Backend`]
//! - errors: [`RuntimeError`], displayed with its causes by [`Chain`]
//!
//! The C and Python libraries are in `runtime/bindings`.
//!
//! # Features
//! All are additive. [`BackendKind::compiled`] lists the backends of a build.
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `onnxruntime` | yes | ONNX Runtime, loaded when first needed; not on wasm32 |
//! | `cuda` | yes | ONNX Runtime on an NVIDIA GPU; implies `onnxruntime` |
//! | `tract` | yes | tract, in pure Rust, built in |
//! | `raster` | no | films in PNG, JPEG, BMP and TIFF |
//! | `dicom` | no | films in DICOM |
//! | `schema` | no | `schemars::JsonSchema` for the types in published JSON |

pub mod adapt;
pub mod backend;
mod chain;
mod cycle;
mod decode;
mod detections;
mod detector;
mod embeddings;
mod error;
mod head;
mod job;
mod look;
mod options;
mod partial_scores;
mod pool;
mod pruned;
mod scores;
mod second_look;
mod session;

pub use onemark_film as film;
pub use onemark_models::{bundle, confidence, landmarks};

pub use backend::BackendKind;
pub use chain::Chain;
pub use cycle::Cycle;
pub use decode::Decoding;
pub use detections::{BundleId, Detection, Detections, FilmSize, FoundBy, Millimetres, Status};
pub use detector::Detector;
pub use error::RuntimeError;
pub use job::{Cancel, Job};
pub use options::Options;
