//! `tie-weights`: lays all numbers out as `weights.bin`. Equal tensors are stored once, whatever their names are and whichever graphs
//! read them. Template vectors are always stored separately, because they can be replaced.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher as _};

use half::f16;
use ndarray::{ArrayD, ArrayViewD, Axis};
use onemark_models::bundle::{Precision, Span};
use onemark_models::graph::{ParamId, Role};

use crate::module::Module;
use crate::passes::PassError;

/// The stage's name.
pub const STAGE: &str = "tie-weights";

/// Tensors start at multiples of this number of bytes (a cache line), so that they can be memory-mapped and read with aligned loads.
const ALIGNMENT: usize = 64;

/// A module with all its numbers as they are stored in the bundle.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The module.
    pub module: Module,
    /// How numbers are stored, except as [`Layout::storage`] states otherwise.
    pub precision: Precision,
    /// The contents of `weights.bin`, little-endian.
    pub weights: Vec<u8>,
    /// The bytes of each parameter in it.
    pub spans: BTreeMap<ParamId, Span>,
}

/// How a parameter is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Storage<'a> {
    /// As f32.
    F32,
    /// Rounded to half precision.
    F16,
    /// As whole multiples of these steps of its output channels.
    Int8(&'a [f32]),
}

impl Layout {
    /// Lays out the numbers of `module`.
    ///
    /// # Errors
    /// A parameter has no numbers.
    pub fn new(module: Module, precision: Precision) -> Result<Self, PassError> {
        let mut layout = Self { module, precision, weights: Vec::new(), spans: BTreeMap::new() };
        // The positions of stored bytes, by their hash, to find equal tensors.
        let mut stored: HashMap<u64, Vec<Span>> = HashMap::new();
        for param in layout.module.params().collect::<Vec<_>>() {
            if layout.spans.contains_key(&param) {
                continue;
            }
            let tensor = layout.module.tensors.get(&param);
            let tensor = tensor.ok_or_else(|| PassError::NoTensor { param: param.clone() })?;
            let bytes = encoded(tensor, layout.storage(&param));
            let span = match param.is_vector() {
                true => layout.append(&bytes),
                false => {
                    let equals = stored.entry(hash(&bytes)).or_default();
                    let is_same = |span: &&Span| layout.weights[span.offset..span.offset + span.length] == bytes;
                    match equals.iter().find(is_same) {
                        Some(span) => *span,
                        None => {
                            let span = layout.append(&bytes);
                            equals.push(span);
                            span
                        }
                    }
                }
            };
            layout.spans.insert(param, span);
        }
        Ok(layout)
    }

    fn append(&mut self, bytes: &[u8]) -> Span {
        self.weights.resize(self.weights.len().next_multiple_of(ALIGNMENT), 0);
        let span = Span { offset: self.weights.len(), length: bytes.len() };
        self.weights.extend_from_slice(bytes);
        span
    }

    /// How a parameter is stored in the bundle.
    pub fn storage(&self, param: &ParamId) -> Storage<'_> {
        match (self.module.steps.get(param), self.precision) {
            (Some(steps), _) => Storage::Int8(steps),
            // A step stays f32: it is a single number, and all quantised values depend on it.
            _ if param.is_vector() || param.role == Role::Step => Storage::F32,
            (None, Precision::F32) => Storage::F32,
            (None, Precision::F16) => Storage::F16,
        }
    }
}

fn encoded(tensor: &ArrayD<f32>, storage: Storage<'_>) -> Vec<u8> {
    match storage {
        Storage::F32 => tensor.iter().flat_map(|number| number.to_le_bytes()).collect(),
        Storage::F16 => tensor.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect(),
        Storage::Int8(steps) => {
            let multiples = |(channel, step): (ArrayViewD<f32>, &f32)| -> Vec<u8> {
                channel.iter().flat_map(|number| ((number / step).round() as i8).to_le_bytes()).collect()
            };
            tensor.axis_iter(Axis(0)).zip(steps).flat_map(multiples).collect()
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::{ArrayD, IxDyn};
    use onemark_models::graph::{Graph, Level, Port};

    use super::*;
    use crate::passes::testing::{FINEST, conv, node, of, random_module};

    #[test]
    fn equal_tensors_are_stored_once_and_vectors_apart() {
        let mut graph = Graph::new("head");
        let film = graph.input(Port::Film, [1, 2, 4, 4]).unwrap();
        let a = graph.conv(node("a"), film, conv(2, (1, 1))).unwrap();
        let b = graph.conv(node("b"), a, conv(2, (1, 1))).unwrap();
        let vectors = [1, 2].map(|number| ParamId::vector(of(number), FINEST));
        for (level, vector) in Level::COARSE_TO_FINE.into_iter().zip(&vectors) {
            let cosine = graph.cosine(node(&format!("cosine{level}")), b, vector.clone()).unwrap();
            graph.output(Port::Embedding(level), cosine).unwrap();
        }
        let mut module = random_module(vec![graph]);
        let twos = ArrayD::from_elem(IxDyn(&[2]), 2.0);
        let biases = ["a", "b"].map(|name| node(name).param(Role::Bias));
        for param in biases.into_iter().chain(vectors) {
            module.tensors.insert(param, twos.clone());
        }
        let layout = Layout::new(module, Precision::F32).unwrap();
        let places: Vec<_> =
            layout.spans.iter().map(|(param, span)| (param.to_string(), span.offset, span.length)).collect();
        assert_eq!(
            places.iter().map(|(name, offset, length)| (name.as_str(), *offset, *length)).collect::<Vec<_>>(),
            [
                ("trunk.a.weight", 0, 16),
                ("trunk.a.bias", 64, 8),
                ("trunk.b.weight", 128, 16),
                ("trunk.b.bias", 64, 8),
                ("template.01.level1", 192, 8),
                ("template.02.level1", 256, 8),
            ]
        );
        assert_eq!(layout.weights.len(), 264);
        assert_eq!(layout.weights[192..200], [2.0_f32.to_le_bytes(), 2.0_f32.to_le_bytes()].concat());
    }
}
