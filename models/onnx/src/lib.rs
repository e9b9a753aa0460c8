//! The part of ONNX that a bundle uses.
//!
//! [`builder`] builds graphs from plain values. [`check()`] reads the bytes of an ONNX file and refuses everything that a bundle must
//! not use: other files, operators and attributes that format 1 does not have, shapes that do not fit together, constants that are not
//! finite. Backends open only its result, a [`CheckedGraph`].
//!
//! ```
//! use onemark_onnx::{Weights, builder, check};
//!
//! // y = x * 2, for images of 4 x 4 pixels; the 2 is stored outside the graph, after another number.
//! let weights = [9.0_f32, 2.0].iter().flat_map(|weight| weight.to_le_bytes()).collect();
//! let graph = builder::graph(
//!     "double",
//!     vec![builder::node("Mul", "y", &["x", "factor"], vec![])],
//!     vec![builder::external("factor", &[], onemark_onnx::proto::DataType::Float, "weights.bin", 4..8)],
//!     vec![builder::value("x", &[1, 1, 4, 4])],
//!     vec![builder::value("y", &[1, 1, 4, 4])],
//! );
//! let file = builder::file(graph, "an example", "1.0");
//!
//! let checked = check("double.onnx", &file, &Weights::new("weights.bin", weights))?;
//! let external: Vec<(&str, &[u8])> = checked.external().collect();
//! assert_eq!(external, [("factor", &2.0_f32.to_le_bytes()[..])]);
//! # Ok::<(), onemark_onnx::OnnxError>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::indexing_slicing)]

pub mod builder;
mod checked;
mod error;
mod external;
mod numbers;
mod operators;
pub mod proto;
mod shapes;

pub use checked::{CheckedGraph, LARGEST_GRAPH, check};
pub use error::OnnxError;
pub use external::{ExternalError, Weights};
pub use numbers::{LARGEST_NUMBER, MOST_ELEMENTS};
pub use shapes::{MOST_PRODUCTS, MOST_TENSORS};
