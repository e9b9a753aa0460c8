//! The manifest: everything about a bundle that is not weights or graphs, as `manifest.yaml`.
//!
//! What the keys mean to somebody who writes a program of their own is in docs/BUNDLE.md. Files and digests are in the
//! parent module.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use half::f16;
use serde::{Deserialize, Serialize};

use super::{Adaptation, names};
use crate::calibration::Calibration;
use crate::graph::{Level, Port, Shape};
use crate::landmarks::{LandmarkId, LandmarkSet};
use crate::network::SCORE;
use crate::shape::ShapePrior;
use crate::tiling::Tiling;
use crate::yaml::{self, YamlError};

/// The version of the format that this code reads and writes.
pub const FORMAT: u32 = 1;

/// The file of all weights.
pub const WEIGHTS: &str = "weights.bin";

/// Longest name of a file.
const LONGEST_NAME: usize = 120;

/// What `manifest.yaml` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format: [`FORMAT`].
    pub format: u32,
    /// What the bundle is called in reports.
    pub name: String,
    /// The program that made it, with its version.
    pub made_by: String,
    /// The landmarks it finds, whole, so that a bundle explains itself.
    pub landmark_set: LandmarkSet,
    /// What a film must become before the trunk sees it.
    pub input: Input,
    /// The graph that runs once per film.
    pub trunk: GraphEntry,
    /// The graphs that run once per landmark, landmark 1 first.
    pub heads: Vec<HeadEntry>,
    /// How a head can be run in part, with the same result, where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// How numbers are stored in [`WEIGHTS`]; the template's vectors are f32 in any case.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub weights: Precision,
    /// Where the template's vectors stand in [`WEIGHTS`], by name (`template.07.level3`), so that they can be replaced.
    pub template_vectors: BTreeMap<String, Span>,
    /// How a score map becomes a point.
    pub decoding: Decoding,
    /// How far its points can be trusted, where that was learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// How its template vectors came to differ from those of its export, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapted: Option<Adaptation>,
    /// The recipe's text: where the network comes from. No reader needs it to run the bundle.
    pub recipe: String,
    /// What happened to the network, in the order of happening.
    pub history: Vec<String>,
    /// What the bundle may be used for.
    pub intended_use: String,
    /// The licence of the weights (not of this program).
    pub weights_licence: String,
    /// Every other file of the bundle. Last, so that a manifest that was cut short is never whole.
    pub files: BTreeMap<String, FileEntry>,
}

/// What a film must become before the trunk sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Rows and columns of the trunk's input.
    pub size: usize,
    /// How a film gets there, in words.
    pub preprocessing: String,
}

/// A graph and its tensors, all f32.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphEntry {
    /// The ONNX file.
    pub file: String,
    /// What must be provided.
    pub inputs: Vec<TensorEntry>,
    /// What is made.
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

/// A head in two graphs that serve all landmarks: the coarse one runs on the whole field and bounds the score, the other makes the
/// score of one tile. A landmark's own numbers are inputs of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// From the trunk's outputs to the bound (the output of shape `[1, 1, size, size]`) and to what windows need. Outputs of the
    /// trunk that belong to a landmark are called without its number here ([`names::feeds`]).
    pub coarse: GraphEntry,
    /// From windows of what trunk and coarse graph made, and from the numbers of [`Tiling`], to the window's `score`.
    pub window: GraphEntry,
    /// Where windows lie.
    pub tiling: Tiling,
    /// As many windows of one landmark cost about what the whole head costs beside the coarse graph.
    pub most: usize,
    /// Per landmark, landmark 1 first: where the numbers of the inputs that are its own stand in [`WEIGHTS`].
    pub own: Vec<BTreeMap<String, Span>>,
}

/// A tensor that goes into a graph or comes out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorEntry {
    /// Its name in the graph.
    pub name: String,
    /// `[batch, channels, rows, columns]`.
    pub shape: Shape,
}

/// How numbers are stored, little-endian. Graphs compute in f32 in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// As they were trained.
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

/// Where a tensor's numbers stand in [`WEIGHTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// First byte.
    pub offset: usize,
    /// Number of bytes.
    pub length: usize,
}

impl Span {
    /// Whether it holds whole numbers of `width` bytes of a file of `end` bytes.
    fn is_in(&self, end: u64, width: usize) -> bool {
        let inside = self.offset.checked_add(self.length).is_some_and(|last| last as u64 <= end);
        self.length > 0 && self.length.is_multiple_of(width) && self.offset.is_multiple_of(width) && inside
    }

    fn rule(end: u64) -> String {
        format!("must be whole numbers inside {WEIGHTS} ({end} bytes)")
    }
}

impl Plan {
    /// How the numbers of an own input are stored, in a bundle whose weights are `weights`.
    pub fn precision(&self, input: &str, weights: Precision) -> Precision {
        if names::is_vector(input) { Precision::F32 } else { weights }
    }

    /// Whether an input of the window graph is a matrix or a mask that [`Tiling`] makes.
    fn is_computed(&self, input: &TensorEntry) -> bool {
        let cells = |level: usize| self.tiling.levels[level].cells;
        let levels = self.tiling.levels.len();
        let pairs = (0..levels).flat_map(|to| (to + 1..levels).map(move |from| (from, to)));
        let matrices = pairs.flat_map(|(from, to)| {
            [
                (Port::Rows { from, to }, [1, 1, cells(to), cells(from)]),
                (Port::Columns { from, to }, [1, 1, cells(from), cells(to)]),
            ]
        });
        let masks = (0..levels).map(|level| (Port::Inside(level), [1, 1, cells(level), cells(level)]));
        matrices.chain(masks).any(|(port, shape)| input.shape == shape && input.name == port.to_string())
    }

    /// Whether an input has the shape of a tensor, or of its window.
    fn fits(&self, output: &TensorEntry, input: &TensorEntry, window: bool) -> bool {
        let cut = |mut shape: Shape| {
            let side = shape[2].max(1);
            let level = (self.tiling.size / side).checked_ilog2().unwrap_or(0) as usize;
            let cells = self.tiling.levels.get(level).map_or(0, |windows| windows.cells);
            (shape[2], shape[3]) = (cells, cells);
            shape
        };
        input.shape == if window { cut(output.shape) } else { output.shape }
    }
}

/// How score maps become points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decoding {
    /// The first maximum in row-major order (METHOD.md sec. 1c).
    Argmax,
    /// The peak that is best by its score and by where the other landmarks expect this one ([`ShapePrior`]).
    ShapePrior(ShapePrior),
}

/// What a file must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// The one key that every version of the format has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl Manifest {
    /// The version that a manifest's text claims, read before anything else that another version may have changed.
    pub(super) fn version(origin: &str, text: &str) -> Result<u32, YamlError> {
        Ok(yaml::read::<Version>(origin, text)?.format)
    }

    /// The first rule that the manifest breaks, as (key, what is wrong).
    pub(super) fn broken_rule(&self) -> Option<(String, String)> {
        let rule = |broken: bool, key: String, why: &str| broken.then(|| (key, why.to_owned()));
        let mut seen = BTreeSet::new();
        for (name, file) in &self.files {
            let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
            if file.sha256.len() != 64 || !file.sha256.chars().all(hex) {
                return Some((
                    format!("files: `{name}`"),
                    "sha256 must be 64 lower-case hexadecimal digits".to_owned(),
                ));
            }
            if let Some(why) = bad_name(name) {
                return Some((format!("files: `{name}`"), why.to_owned()));
            }
            if !seen.insert(name.to_ascii_lowercase()) {
                return Some((format!("files: `{name}`"), "another file's name differs in case only".to_owned()));
            }
        }
        let set = &self.landmark_set.landmarks;
        let count = set.len();
        for (index, landmark) in set.iter().enumerate() {
            if landmark.number != index + 1 {
                return Some((
                    format!("landmark_set: `{}`", landmark.name),
                    format!("its number must be {}", index + 1),
                ));
            }
        }
        if count == 0 || !self.heads.iter().map(|head| head.landmark).eq(1..=count) {
            return Some(("heads".to_owned(), format!("there must be one for each landmark, 1 to {count}, in order")));
        }
        for file in self.graphs().map(|graph| graph.file.as_str()).chain([WEIGHTS]) {
            if !self.files.contains_key(file) {
                return Some(("files".to_owned(), format!("`{file}` must be listed")));
            }
        }
        let grid = [1, 1, self.input.size, self.input.size];
        let film = matches!(self.trunk.inputs.as_slice(), [only] if only.shape == grid);
        rule(!film, "trunk.inputs".into(), "must be one film, [1, 1, size, size] of `input.size`")
            .or_else(|| self.heads.iter().find_map(|head| self.broken_head(head, grid)))
            .or_else(|| self.broken_vector())
            .or_else(|| self.plan.as_ref().and_then(|plan| self.broken_plan(plan)))
            .or_else(|| match &self.decoding {
                Decoding::Argmax => None,
                Decoding::ShapePrior(prior) => {
                    prior.broken_rule(count).map(|why| ("decoding: `shape-prior`".to_owned(), why.to_owned()))
                }
            })
            .or_else(|| {
                let adapted = self.adapted.as_ref().and_then(|adapted| adapted.calibration.as_ref());
                let calibrations = self.calibration.iter().chain(adapted);
                let why = calibrations.filter_map(|calibration| calibration.broken_rule(count)).next()?;
                Some(("calibration".to_owned(), why.to_owned()))
            })
            .or_else(|| self.adapted.as_ref().and_then(|adapted| self.broken_adaptation(adapted)))
    }

    fn broken_head(&self, head: &HeadEntry, grid: Shape) -> Option<(String, String)> {
        let key = format!("heads: `{}`", head.graph.file);
        if !head.graph.outputs.iter().any(|output| output.name == SCORE && output.shape == grid) {
            return Some((key, format!("must make `{SCORE}`, [1, 1, size, size] of `input.size`")));
        }
        let stray = head.graph.inputs.iter().find(|input| !self.trunk.outputs.contains(input))?;
        Some((key, format!("its input `{}` must be an output of the trunk, of the same shape", stray.name)))
    }

    /// All graphs: the trunk, the heads, and the plan's coarse and window graph.
    pub fn graphs(&self) -> impl Iterator<Item = &GraphEntry> {
        let plan = self.plan.iter().flat_map(|plan| [&plan.coarse, &plan.window]);
        std::iter::once(&self.trunk).chain(self.heads.iter().map(|head| &head.graph)).chain(plan)
    }

    fn broken_plan(&self, plan: &Plan) -> Option<(String, String)> {
        let broken = |key: &str, why: String| Some((format!("plan.{key}"), why));
        let Tiling { size, levels, .. } = &plan.tiling;
        if *size != self.input.size || !plan.tiling.is_whole() {
            return broken("tiling", "must have a window of each level for each tile of `input.size`".into());
        }
        let grid = [1, 1, *size, *size];
        if plan.coarse.outputs.iter().filter(|output| output.shape == grid).count() != 1 {
            return broken("coarse", "must have one output [1, 1, size, size] of `input.size`, the bound".into());
        }
        let side = levels[0].cells;
        if !matches!(plan.window.outputs.as_slice(), [only] if only.name == SCORE && only.shape == [1, 1, side, side]) {
            return broken("window", format!("must make `{SCORE}`, [1, 1, {side}, {side}] as the tiling says"));
        }
        if plan.own.len() != self.heads.len() {
            return broken("own", "must have an entry for each landmark".into());
        }
        let end = self.files.get(WEIGHTS).map_or(0, |file| file.bytes);
        let width = |name: &str| plan.precision(name, self.weights).bytes();
        for (landmark, own) in LandmarkId::up_to(plan.own.len()).zip(&plan.own) {
            if let Some((name, _)) = own.iter().find(|(name, span)| !span.is_in(end, width(name))) {
                return broken(&format!("own: landmark {landmark}: `{name}`"), Span::rule(end));
            }
            let is_own = |input: &TensorEntry| {
                own.get(&input.name)
                    .is_some_and(|span| span.length == width(&input.name) * input.shape.iter().product::<usize>())
            };
            for (graph, is_window) in [(&plan.coarse, false), (&plan.window, true)] {
                let stray = graph.inputs.iter().find(|input| {
                    let trunk =
                        self.trunk.outputs.iter().filter(|made| names::feeds(&made.name, &input.name, landmark));
                    let coarse = plan.coarse.outputs.iter().filter(|made| is_window && made.name == input.name);
                    let made = trunk.chain(coarse).any(|output| plan.fits(output, input, is_window));
                    !is_own(input) && !plan.is_computed(input) && !made
                });
                if let Some(stray) = stray {
                    let why = format!("its input `{}` is made by nothing for landmark {landmark}", stray.name);
                    return Some((format!("plan: `{}`", graph.file), why));
                }
            }
        }
        None
    }

    fn broken_vector(&self) -> Option<(String, String)> {
        let end = self.files.get(WEIGHTS).map_or(0, |file| file.bytes);
        let landmarks = LandmarkId::up_to(self.heads.len());
        let expected = landmarks.flat_map(|landmark| Level::COARSE_TO_FINE.map(|level| names::vector(landmark, level)));
        for name in expected {
            let key = format!("template_vectors: `{name}`");
            let Some(span) = self.template_vectors.get(&name) else {
                return Some((key, "is missing".to_owned()));
            };
            if !span.is_in(end, Precision::F32.bytes()) {
                return Some((key, Span::rule(end)));
            }
        }
        None
    }

    fn broken_adaptation(&self, adapted: &Adaptation) -> Option<(String, String)> {
        let end = self.files.get(WEIGHTS).map_or(0, |file| file.bytes);
        for (name, span) in &self.template_vectors {
            let before = adapted.original.get(name).filter(|before| before.length == span.length);
            if before.is_none_or(|before| !before.is_in(end, Precision::F32.bytes())) {
                return Some((format!("adapted.original: `{name}`"), Span::rule(end)));
            }
        }
        let why = "must end before the vectors of before".to_owned();
        let kept = adapted.original.values().all(|span| adapted.weights_bytes <= span.offset);
        (!kept).then(|| ("adapted.weights_bytes".to_owned(), why))
    }
}

/// Why a file may not be called `name`: names go into paths, so they hold nothing that means something there.
fn bad_name(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
        Some("a file's name must be 1 to 120 letters, digits, `.`, `-` and `_`: no folders")
    } else if name.starts_with('.') {
        Some("a file's name must not start with a dot")
    } else if name.eq_ignore_ascii_case(super::MANIFEST) {
        Some("the manifest can't list itself")
    } else {
        None
    }
}
