//! Limits of a bundle, so that opening and running it takes a bounded time and memory whoever made it. docs/LIMITS.md lists them.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::rule;
use super::{GraphEntry, Manifest, Precision, Span, TensorEntry, WEIGHTS};
use crate::invalid::Invalid;
use crate::statistics::LARGEST_NUMBER;
use crate::text::{validate_line, validate_text};

/// The largest manifest that is read, in bytes: thirty times the usual size.
pub const LARGEST_MANIFEST: u64 = 8 << 20;
/// The largest sum of the sizes of all files except the manifest, in bytes.
pub const LARGEST_BUNDLE: u64 = 2 << 30;
/// The largest number of rows, and of columns, of the network's grid.
pub const LARGEST_GRID: usize = 2048;
/// The largest number of inputs, and of outputs, of a graph.
pub const MOST_TENSORS: usize = 4096;
/// The largest number of elements of a tensor.
pub const MOST_ELEMENTS: usize = 1 << 28;
/// The largest number of files, with the manifest: a graph for each landmark, and a few others.
pub const MOST_FILES: usize = 1000;
/// The largest number of characters in a file's name.
pub(super) const LONGEST_FILE_NAME: usize = 132;
/// The largest number of entries in the history. A training adds one for each epoch.
pub const LONGEST_HISTORY: usize = 50_000;
/// The largest number of films that a bundle was adapted to.
pub const MOST_ADAPTED_FILMS: usize = 1000;

impl Manifest {
    /// Checks counts, sizes and texts, before rules that take time.
    pub(super) fn validate_limits(&self) -> Result<(), Invalid> {
        let bytes = self.files.values().try_fold(0_u64, |sum, file| sum.checked_add(file.bytes));
        let why = format!("together have more than {LARGEST_BUNDLE} bytes");
        rule(bytes.is_some_and(|bytes| bytes <= LARGEST_BUNDLE), "files", why)?;
        let why = format!("must be 1 to {LARGEST_GRID}, not {}", self.input.size);
        rule((1..=LARGEST_GRID).contains(&self.input.size), "input.size", why)?;
        let count = self.files.len() + 1;
        let why = format!("has {count} entries with the manifest; at most {MOST_FILES} are read");
        rule(count <= MOST_FILES, "files", why)?;
        let films = self.adapted.iter().flat_map(|adapted| &adapted.films);
        for (key, count, most) in [
            ("history", self.history.len(), LONGEST_HISTORY),
            ("adapted.films", films.clone().count(), MOST_ADAPTED_FILMS),
        ] {
            rule(count <= most, key, format!("has {count} entries; at most {most} are read"))?;
        }
        for (key, line) in [("name", &self.name), ("made_by", &self.made_by)] {
            validate_line(key, line)?;
        }
        let texts = [
            ("input.preprocessing", &self.input.preprocessing),
            ("recipe", &self.recipe),
            ("intended_use", &self.intended_use),
            ("weights_licence", &self.weights_licence),
        ];
        let history = self.history.iter().map(|text| ("history", text));
        let sources = films.clone().flat_map(|film| film.source.iter().chain([&film.sha256]));
        let calibrations = self.calibration.iter().chain(self.adapted.iter().flat_map(|adapted| &adapted.calibration));
        let texts = texts.into_iter().chain(history).chain(sources.map(|text| ("adapted.films", text)));
        let mut texts = texts.chain(calibrations.map(|calibration| ("calibration.films", &calibration.films)));
        texts.try_for_each(|(key, text)| validate_text(key, text))?;
        self.graphs().try_for_each(validate_graph)
    }

    /// Checks that the numbers whose places in the weights the manifest states are finite and at most [`LARGEST_NUMBER`]. The
    /// others are those that a graph names; `onemark_onnx` checks them.
    pub(super) fn validate_numbers(&self, weights: &[u8]) -> Result<(), Invalid> {
        let vectors = self.template_vectors.iter().map(|(name, span)| ("template_vectors", name, span));
        let kept = self.adapted.iter().flat_map(|adapted| &adapted.original);
        let vectors = vectors.chain(kept.map(|(name, span)| ("adapted.original", name, span)));
        let mut places: BTreeMap<Precision, Vec<(Span, &str, &str)>> = BTreeMap::new();
        places.entry(Precision::F32).or_default().extend(vectors.map(|(key, name, span)| (*span, key, name.as_str())));
        if let Some(plan) = &self.plan {
            for (name, span) in plan.specific.iter().flatten() {
                places.entry(plan.precision(name, self.weights)).or_default().push((*span, "plan.own", name));
            }
        }
        for (precision, mut places) in places {
            places.sort_unstable_by_key(|(span, ..)| (span.offset, span.length));
            // Places may overlap; every byte is read once.
            let mut read = 0;
            for (Span { offset, length }, key, name) in places {
                let end = offset.saturating_add(length);
                let bytes = weights.get(offset.max(read).min(end)..end).unwrap_or_default();
                let why = "holds a number that is not finite or larger than 1e9; export the bundle again";
                rule(precision.are_usable(bytes), format!("{WEIGHTS}: {key}: `{name}`"), why)?;
                read = read.max(end);
            }
        }
        Ok(())
    }
}

impl Precision {
    /// Whether all stored numbers are finite and at most [`LARGEST_NUMBER`] in absolute value.
    fn are_usable(self, bytes: &[u8]) -> bool {
        // Without a branch per number, the compiler makes wide instructions of these loops.
        match self {
            Self::F32 => bytes
                .chunks_exact(4)
                .fold(true, |good, b| good & (f32::from_le_bytes([b[0], b[1], b[2], b[3]]).abs() <= LARGEST_NUMBER)),
            // All exponent bits are 1 in NaN and infinity only; the largest number is 65504.
            Self::F16 => {
                bytes.chunks_exact(2).fold(true, |good, b| good & (u16::from_le_bytes([b[0], b[1]]) & 0x7C00 != 0x7C00))
            }
        }
    }
}

fn validate_graph(graph: &GraphEntry) -> Result<(), Invalid> {
    for (what, tensors) in [("inputs", &graph.inputs), ("outputs", &graph.outputs)] {
        let key = format!("`{}`: {what}", graph.file);
        let count = tensors.len();
        rule(count <= MOST_TENSORS, &*key, format!("has {count} entries; at most {MOST_TENSORS} are read"))?;
        let mut names = BTreeSet::new();
        for TensorEntry { name, shape } in tensors {
            let key = format!("{key}: `{name}`");
            validate_line(&key, name)?;
            rule(names.insert(name), &*key, "is there twice")?;
            let elements = shape.iter().try_fold(1_usize, |product, side| product.checked_mul(*side));
            let why = format!("must have 1 to {MOST_ELEMENTS} elements, its shape is {shape:?}");
            rule(elements.is_some_and(|elements| (1..=MOST_ELEMENTS).contains(&elements)), key, why)?;
        }
    }
    Ok(())
}
