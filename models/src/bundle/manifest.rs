//! The manifest, `manifest.yaml`: all data of a bundle except weights and graphs.
//!
//! docs/BUNDLE.md explains the keys for authors of other programs. The rules that a manifest must satisfy are in `rules.rs`; the
//! parent module handles files and digests.

use std::collections::BTreeMap;
use std::fmt;

use half::f16;
use serde::{Deserialize, Serialize};

use super::{Adaptation, Plan, SecondLook};
use crate::accuracy::Accuracy;
use crate::confidence::Calibration;
use crate::familiarity::Familiarity;
use crate::graph::Shape;
use crate::landmarks::LandmarkSet;
use crate::shape_prior::ShapePrior;
use crate::yaml::{self, YamlError};

/// The version of the format of a bundle that looks at a film once.
pub const FORMAT: u32 = 1;

/// The version of a bundle with a second look. Everything else is as in [`FORMAT`].
pub const FORMAT_OF_TWO_LOOKS: u32 = 2;

/// The name of the file with all weights.
pub const WEIGHTS: &str = "weights.bin";

/// The content of `manifest.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format: [`FORMAT`] or [`FORMAT_OF_TWO_LOOKS`].
    pub format: u32,
    /// The bundle's name in reports.
    pub name: String,
    /// The program that made it, with its version.
    pub made_by: String,
    /// The complete landmark set, so that a bundle needs no other file.
    pub landmark_set: LandmarkSet,
    /// The trunk's input, and how a film becomes it.
    pub input: Input,
    /// The graph that runs once per film.
    pub trunk: GraphEntry,
    /// The graphs that run once per landmark, landmark 1 first.
    pub heads: Vec<HeadEntry>,
    /// How heads are run in windows with the same result, if they can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// How numbers are stored in [`WEIGHTS`]. Template vectors are always f32.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub weights: Precision,
    /// Where the template vectors are in [`WEIGHTS`], by name (`template.07.level3`), so that they can be replaced.
    pub template_vectors: BTreeMap<String, Span>,
    /// The prior over the landmarks' positions, if the runtime uses it to choose points. Its key is `decoding`: `argmax` (the first
    /// maximum in row-major order, METHOD.md sec. 1c) or `shape-prior` with the prior.
    #[serde(rename = "decoding", with = "decoding")]
    pub shape_prior: Option<ShapePrior>,
    /// The errors on annotated films, if an evaluation was recorded and no vector was replaced since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Accuracy>,
    /// How scores become confidence, if the bundle was calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The scores of the training films, if the checkpoint had them and no vector was replaced since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub familiarity: Option<Familiarity>,
    /// How it looks a second time, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_look: Option<SecondLook>,
    /// How the template vectors were replaced since the export, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapted: Option<Adaptation>,
    /// The text of the recipe by which the network was trained. It is not needed to run the bundle.
    pub recipe: String,
    /// What was done to the network, in chronological order.
    pub history: Vec<String>,
    /// What the bundle may be used for.
    pub intended_use: String,
    /// The licence of the weights (not of this program).
    pub weights_licence: String,
    /// Every other file of the bundle. It is the last key, so that a truncated manifest is always invalid.
    pub files: BTreeMap<String, FileEntry>,
}

/// The trunk's input, and how a film becomes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Rows and columns of the trunk's input.
    pub size: usize,
    /// How a film becomes the input, in words.
    pub preprocessing: String,
}

/// A graph and its tensors, all f32.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphEntry {
    /// The ONNX file.
    pub file: String,
    /// Its inputs.
    pub inputs: Vec<TensorEntry>,
    /// Its outputs.
    pub outputs: Vec<TensorEntry>,
}

/// The graph of one landmark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadEntry {
    /// The landmark's number, from 1.
    pub landmark: usize,
    /// Its graph.
    pub graph: GraphEntry,
}

/// An input or an output of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorEntry {
    /// Its name in the graph.
    pub name: String,
    /// `[batch, channels, rows, columns]`.
    pub shape: Shape,
}

/// How numbers are stored, little-endian. Graphs compute in f32 in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// IEEE single precision, as trained.
    #[default]
    F32,
    /// Rounded to IEEE half precision.
    F16,
}

impl Precision {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// The stored numbers as f32.
    pub fn read(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Self::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        }
    }

    fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

/// The bytes of a tensor in [`WEIGHTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// First byte.
    pub offset: usize,
    /// Number of bytes.
    pub length: usize,
}

impl Span {
    /// Whether the span consists of complete numbers of `width` bytes each and lies in a file of `end` bytes.
    pub(super) fn is_in(&self, end: u64, width: usize) -> bool {
        let inside = self.offset.checked_add(self.length).is_some_and(|last| last as u64 <= end);
        self.length > 0 && self.length.is_multiple_of(width) && self.offset.is_multiple_of(width) && inside
    }

    pub(super) fn rule(end: u64) -> String {
        format!("must cover complete numbers inside {WEIGHTS} ({end} bytes)")
    }
}

/// How [`Manifest::shape_prior`] is written.
mod decoding {
    use super::{Deserialize, ShapePrior};
    use serde::{Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Decoding<T> {
        Argmax,
        ShapePrior(T),
    }

    pub(super) fn serialize<S: Serializer>(prior: &Option<ShapePrior>, serializer: S) -> Result<S::Ok, S::Error> {
        prior.as_ref().map_or(Decoding::Argmax, Decoding::ShapePrior).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ShapePrior>, D::Error> {
        Ok(match Decoding::deserialize(deserializer)? {
            Decoding::Argmax => None,
            Decoding::ShapePrior(prior) => Some(prior),
        })
    }
}

/// The size and digest of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// The only key that every version of the format has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl Manifest {
    /// The version that a manifest's text states. It is read first, because other keys may differ in other versions.
    ///
    /// # Errors
    /// The text breaks the bounds of [`yaml::read`], or states no version.
    pub(super) fn version(origin: &str, text: &str) -> Result<u32, YamlError> {
        Ok(yaml::read::<Version>(origin, text)?.format)
    }

    /// All graphs: the trunk, the heads, and the plan's coarse and window graph.
    pub fn graphs(&self) -> impl Iterator<Item = &GraphEntry> {
        let plan = self.plan.iter().flat_map(|plan| [&plan.coarse, &plan.window]);
        std::iter::once(&self.trunk).chain(self.heads.iter().map(|head| &head.graph)).chain(plan)
    }
}
