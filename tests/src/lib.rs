//! Shared by the tests: named tolerances, small networks, synthetic films, running the binaries.
//!
//! The tests themselves are in tests/, one file per subject; independent implementations in Python are in peers/.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dicom;
mod documents;
mod films;
mod found;
mod program;

use ndarray::Array4;
use onemark_exporter::compile::compile;
use onemark_exporter::emit::pack::pack;
use onemark_exporter::untrained::untrained;
use onemark_exporter::{BundleInfo, Options};
use onemark_models::bundle::Bundle;
use onemark_models::network::config::AdapterVariant;
use onemark_models::recipe::Recipe;

pub use dicom::data_set;
pub use documents::{commands, documented};
pub use films::{Films, film_of, real_data, small_films};
pub use found::{dicom_film, found, found_on};
pub use program::{Outcome, Program, backends, shell, wait_for};

/// The largest allowed difference of two computations of the same values, as a share of the largest expected number.
/// A test names one of these; it never holds a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// One or two roundings of f32.
    Rounding,
    /// A whole network in f32, sums in another order.
    Close,
}

impl Tolerance {
    fn share(self) -> f32 {
        match self {
            Self::Rounding => 1e-6,
            Self::Close => 1e-4,
        }
    }
}

/// Fails, naming `what`, unless `found` equals `expected` within the tolerance. NaN is never within it.
///
/// # Panics
/// They differ by more, or in shape.
#[track_caller]
pub fn assert_close(expected: &Array4<f32>, found: &Array4<f32>, tolerance: Tolerance, what: &str) {
    assert_eq!(expected.shape(), found.shape(), "{what}");
    let largest = expected.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
    for (place, expected) in expected.indexed_iter() {
        let (found, allowed) = (found[place], tolerance.share() * largest);
        let difference = (expected - found).abs();
        assert!(difference <= allowed, "{what} at {place:?}: {found} instead of {expected} (allowed: {allowed:.1e})");
    }
}

/// The phantom recipe with a very small network, for which the reference interpreter needs milliseconds.
///
/// # Panics
/// The built-in recipe is broken.
pub fn tiny_recipe(adapter_channels: usize, adapter_variant: AdapterVariant) -> Recipe {
    let recipe = Recipe::parse("tiny", include_str!("../tiny.yaml")).unwrap();
    let changed = recipe.edit(|spec| {
        spec.network.adapter_channels = adapter_channels;
        spec.network.adapter_variant = adapter_variant;
        spec.phases.retain(|phase| adapter_channels > 0 || !phase.adapters);
    });
    changed.unwrap()
}

/// An untrained bundle of the network of [`tiny_recipe`], compiled with all passes.
///
/// # Panics
/// It can't be made.
pub fn tiny_bundle() -> Bundle {
    const SEED: u64 = 11;
    let checkpoint = untrained(tiny_recipe(2, AdapterVariant::Block), SEED).unwrap();
    let set = checkpoint.recipe.landmarks.clone();
    let compiled = compile(&checkpoint, &set, &Options::default(), |_| {}).unwrap();
    let labels = BundleInfo { name: "tiny".into(), intended_use: "tests".into(), weights_licence: "none".into() };
    pack(compiled.onnx, &checkpoint, set, &labels, 0).unwrap()
}
