//! Why a graph is refused.

use crate::external::ExternalError;

/// Why the bytes of an ONNX file are refused. Messages do not name the file, because the caller of [`crate::check()`] knows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum OnnxError {
    /// The bytes are not protobuf messages of the expected types.
    #[error("it is not an ONNX file: {why}")]
    #[non_exhaustive]
    NotOnnx {
        /// Where the parser stopped.
        why: prost::DecodeError,
    },
    /// The file has no graph.
    #[error("the file contains no graph")]
    NoGraph,
    /// The file defines or uses functions.
    #[error("it contains functions, which a bundle must not use")]
    Functions,
    /// The file says how to train the graph.
    #[error("it contains training information, which a bundle must not use")]
    TrainingInfo,
    /// The graph has a sparse tensor.
    #[error("{place} contains a sparse tensor, which a bundle must not use")]
    #[non_exhaustive]
    Sparse {
        /// "the graph", or the name of the node.
        place: String,
    },
    /// A node has a graph as an attribute.
    #[error("node {node} contains an inner graph, which a bundle must not use")]
    #[non_exhaustive]
    InnerGraph { node: String },
    /// A node has an operator that is not ONNX's own.
    #[error("node {node} is an operator of `{domain}`; a bundle must not use operators beyond ONNX's own")]
    #[non_exhaustive]
    Operator {
        node: String,
        /// The set that the operator belongs to.
        domain: String,
    },
    /// A tensor is stored in segments.
    #[error("tensor {tensor} is stored in segments, which a bundle must not use")]
    #[non_exhaustive]
    Segment { tensor: String },
    /// A tensor in an attribute has its numbers in another file.
    #[error("node {node} has external data in its attributes; only initialisers may have them")]
    #[non_exhaustive]
    ExternalAttribute { node: String },
    /// An initialiser's reference to external data breaks the rule.
    #[error("tensor {tensor}: {why}")]
    #[non_exhaustive]
    External { tensor: String, why: ExternalError },
    /// Two initialisers have the same name.
    #[error("two initialisers are named {tensor}")]
    #[non_exhaustive]
    Twice { tensor: String },
    /// An input or an output is not a tensor.
    #[error("{value} is not a tensor; inputs and outputs must be tensors")]
    #[non_exhaustive]
    NotATensor {
        /// The input or output.
        value: String,
    },
}
