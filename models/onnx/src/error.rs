//! Why a graph is refused.

use std::fmt;

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
    /// The file is too large.
    #[error("it has {bytes} bytes; a graph of a bundle has at most {most}")]
    #[non_exhaustive]
    TooLarge { bytes: usize, most: usize },
    /// The file is of another version of ONNX.
    #[error("it has {what} {found}, but format 1 of bundles has {expected}; export the bundle again")]
    #[non_exhaustive]
    Version {
        /// "operator set" or "IR version".
        what: &'static str,
        /// What the file states.
        found: String,
        expected: i64,
    },
    /// A name is too long, or has other characters than the printed ones of ASCII.
    #[error("a name in it is longer than {longest} bytes, or holds a hidden character or one that is not ASCII")]
    #[non_exhaustive]
    Name { longest: usize },
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
    /// Two values have the same name.
    #[error("two values are named {tensor}")]
    #[non_exhaustive]
    Twice { tensor: String },
    /// An input or an output is not a tensor.
    #[error("{value} is not a tensor; inputs and outputs must be tensors")]
    #[non_exhaustive]
    NotATensor {
        /// The input or output.
        value: String,
    },
    /// A node has an operator, an attribute or inputs that format 1 does not use.
    #[error("node {node}: {why}")]
    #[non_exhaustive]
    Node { node: String, why: String },
    /// An input or an output has another shape than the nodes make, or one that is not fixed.
    #[error("value {value}: {why}")]
    #[non_exhaustive]
    Value { value: String, why: String },
    /// A constant's type, shape and bytes do not agree, or a number in it can't be computed with.
    #[error("tensor {tensor}: {why}")]
    #[non_exhaustive]
    Constant { tensor: String, why: String },
    /// The tensors share so many bytes of the weights that reading them takes too long.
    #[error("its tensors use the same bytes of {file} several times, in different ways")]
    #[non_exhaustive]
    Shared { file: String },
    /// The graph has too many inputs or outputs.
    #[error("it has {count} {what}; a graph of a bundle has at most {most}")]
    #[non_exhaustive]
    TooMany {
        /// "inputs" or "outputs".
        what: &'static str,
        count: usize,
        most: usize,
    },
    /// The graph takes too long.
    #[error("it takes as long as {products} multiplications; a graph of a bundle takes at most {most}")]
    #[non_exhaustive]
    TooMuch { products: u64, most: u64 },
}

/// The first items of a list, for a message.
pub(crate) fn some<T: fmt::Debug>(items: &[T]) -> String {
    const SHOWN: usize = 8;
    match items.get(..SHOWN) {
        Some(first) if items.len() > SHOWN => format!("{first:?} and {} more", items.len() - SHOWN),
        _ => format!("{items:?}"),
    }
}

/// What a file states, in quotes for a message: its first characters, hidden ones written out.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 100;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or_default().escape_debug()),
        None => format!("`{}`", text.escape_debug()),
    }
}
