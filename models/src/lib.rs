//! What an Onemark network *is*: the typed [`graph`], the [`network`] written in it, [`recipe`]s, [`landmarks`] sets and the
//! [`analysis`] of what is measured between landmarks, [`checkpoint`]s, the [`bundle`] format, the prior over a film's [`shape`],
//! [`confidence`], and the windows of a [`tiling`]. No code here trains or runs a network, but for the [`reference`] interpreter,
//! the judge of all that do.

pub mod analysis;
pub mod bundle;
pub mod checkpoint;
pub mod confidence;
pub mod graph;
pub mod init;
pub mod landmarks;
pub mod network;
pub mod parallel;
pub mod recipe;
pub mod reference;
pub mod shape;
pub mod tiling;
pub mod yaml;

/// A shape as people write it: `[1,64,96,96]`.
pub(crate) fn shape_text(shape: &[usize]) -> String {
    let sides: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", sides.join(","))
}
