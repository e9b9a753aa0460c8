//! What an Onemark network *is*: the typed [`graph`] and the [`network`] written as one; [`recipe`]s; [`landmarks`] sets and their
//! measurements; [`checkpoint`]s and the [`bundle`] format; the prior over a film's landmarks ([`shape_prior`]); and how far
//! points can be trusted ([`accuracy`], [`confidence`], [`familiarity`]). This crate does not train networks. It runs them only in the slow
//! [`reference`](mod@reference) interpreter, with which all other interpreters are compared.
//!
//! ```
//! use onemark_models::landmarks::LandmarkId;
//! use onemark_models::network::Architecture;
//! use onemark_models::recipe::Recipe;
//!
//! let recipe = Recipe::load("c-adapter")?;
//! let landmarks = &recipe.landmarks;
//! let sella = LandmarkId::new(1).ok_or("numbers start at 1")?;
//! assert_eq!(landmarks.landmarks[sella.index()].name, "sella");
//!
//! let graph = Architecture::from(&recipe).graph(sella)?;
//! println!("{}: {:.1} billion multiply-accumulates", graph.name(), graph.macs() as f64 / 1e9);
//! # assert!(graph.macs() > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod accuracy;
pub mod bundle;
#[cfg(feature = "checkpoint")]
pub mod checkpoint;
pub mod confidence;
pub mod familiarity;
pub mod files;
pub mod graph;
pub mod invalid;
pub mod landmarks;
pub mod lock;
pub mod network;
pub mod parallel;
pub mod program;
pub mod recipe;
pub mod reference;
pub mod shape_prior;
pub mod spelling;
pub mod statistics;
pub mod text;
pub mod yaml;

/// A shape as people write it: `[1,64,96,96]`.
pub(crate) fn shape_text(shape: &[usize]) -> String {
    let sides: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", sides.join(","))
}
