//! What an Onemark network *is*: the typed [`graph`], the [`network`] written in it, [`recipe`]s, [`landmarks`] sets with what is
//! measured between them, [`checkpoint`]s, the [`bundle`] format, the prior over a film's landmarks ([`shape_prior`]), how far
//! points can be trusted ([`confidence`]), what is wrong with a [`dataset`] (see [`check`]), and how results are
//! [evaluated](metrics). No code here trains or runs a network, but for the [`reference`] interpreter, which all others are
//! compared with.

pub mod bundle;
pub mod calibration;
pub mod check;
#[cfg(feature = "checkpoint")]
pub mod checkpoint;
pub mod confidence;
pub mod dataset;
pub mod files;
pub mod film;
pub mod geometry;
pub mod graph;
pub mod invalid;
pub mod landmarks;
pub mod metrics;
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
