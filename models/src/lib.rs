//! What an Onemark network *is*: the typed [`graph`], the [`network`] written in it, [`recipe`]s, [`landmarks`] sets with what is
//! measured between them, [`checkpoint`]s, the [`bundle`] format, the prior over a film's landmarks ([`shape_prior`]), how far
//! points can be trusted ([`confidence`]). No code here trains or runs a network, but for the [`reference`] interpreter, which all
//! others are compared with.

pub mod bundle;
#[cfg(feature = "checkpoint")]
pub mod checkpoint;
pub mod confidence;
pub mod files;
pub mod graph;
pub mod invalid;
pub mod landmarks;
pub mod network;
pub mod parallel;
pub mod recipe;
pub mod reference;
pub mod shape_prior;
pub mod spelling;
pub mod statistics;
pub mod yaml;

/// A shape as people write it: `[1,64,96,96]`.
pub(crate) fn shape_text(shape: &[usize]) -> String {
    let sides: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", sides.join(","))
}
