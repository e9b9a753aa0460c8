//! `tie-weights`: lays all numbers out as `weights.bin`. Equal tensors are stored once, whatever they are called and
//! whichever graphs read them. Constants are stored apart, even if equal: they can be replaced.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};

use half::f16;
use ndarray::{ArrayViewD, Axis};
use onemark_models::bundle::Span;

use super::{Pass, PassError, Property};
use crate::module::{Module, Storage, Weights};

/// Tensors start at multiples of this many bytes: a cache line, so that they can be mapped and read with aligned loads.
const ALIGNMENT: usize = 64;

pub(super) struct TieWeights;

impl Pass for TieWeights {
    fn name(&self) -> &'static str {
        "tie-weights"
    }

    fn requires(&self) -> &'static [Property] {
        &[Property::TemplateBaked]
    }

    fn ensures(&self) -> &'static [Property] {
        &[Property::WeightsLaidOut]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        let mut weights = Weights::default();
        let mut stored: HashMap<u64, Vec<Span>> = HashMap::new();
        for name in module.graphs().flat_map(|graph| graph.params().keys()) {
            if weights.spans.contains_key(name) {
                continue;
            }
            let constant = module.constants.get(name);
            let tensor = constant.or_else(|| module.tensors.get(name));
            let tensor = tensor.ok_or_else(|| PassError::NoTensor { name: name.clone() })?;
            let bytes: Vec<u8> = match module.storage(name) {
                Storage::F32 => tensor.iter().flat_map(|number| number.to_le_bytes()).collect(),
                Storage::F16 => tensor.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect(),
                Storage::Int8(scales) => {
                    let channels = tensor.axis_iter(Axis(0)).zip(scales);
                    let levels = |(channel, scale): (ArrayViewD<f32>, &f32)| -> Vec<u8> {
                        channel.iter().flat_map(|number| ((number / scale).round() as i8).to_le_bytes()).collect()
                    };
                    channels.flat_map(levels).collect()
                }
            };
            let equals = stored.entry(hash(&bytes)).or_default();
            let same = equals.iter().find(|span| weights.bytes[span.offset..span.offset + span.length] == bytes);
            let span = match same {
                Some(span) if constant.is_none() => *span,
                _ => {
                    weights.bytes.resize(weights.bytes.len().next_multiple_of(ALIGNMENT), 0);
                    let span = Span { offset: weights.bytes.len(), length: bytes.len() };
                    weights.bytes.extend_from_slice(&bytes);
                    if constant.is_none() {
                        equals.push(span);
                    }
                    span
                }
            };
            weights.spans.insert(name.clone(), span);
        }
        module.weights = Some(weights);
        Ok(module)
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
    use onemark_models::graph::Graph;

    use super::super::bake_template::BakeTemplate;
    use super::super::testing::random_module;
    use super::*;

    #[test]
    fn equal_tensors_are_stored_once_and_constants_apart() {
        let mut graph = Graph::new("head");
        let film = graph.input("film", [1, 2, 4, 4]).unwrap();
        let a = graph.conv("a", film, 2, (1, 1), 1, true).unwrap();
        let b = graph.conv("b", a, 2, (1, 1), 1, true).unwrap();
        for (output, vector) in [("first", "template.01.level1"), ("second", "template.02.level1")] {
            let cosine = graph.cosine(output, b, vector).unwrap();
            graph.output(output, cosine).unwrap();
        }
        let mut module = random_module(vec![graph]);
        let twos = ArrayD::from_elem(IxDyn(&[2]), 2.0);
        for name in ["a.bias", "b.bias", "template.01.level1", "template.02.level1"] {
            module.tensors.insert(name.into(), twos.clone());
        }
        let module = TieWeights.run(BakeTemplate.run(module).unwrap()).unwrap();
        let weights = module.weights.unwrap();
        let places: Vec<_> =
            weights.spans.iter().map(|(name, span)| (name.as_str(), span.offset, span.length)).collect();
        assert_eq!(
            places,
            [
                ("a.bias", 0, 8),
                ("a.weight", 64, 16),
                ("b.bias", 0, 8),
                ("b.weight", 128, 16),
                ("template.01.level1", 192, 8),
                ("template.02.level1", 256, 8),
            ]
        );
        assert_eq!(weights.bytes.len(), 264);
        assert_eq!(weights.bytes[192..200], [2.0_f32.to_le_bytes(), 2.0_f32.to_le_bytes()].concat());
    }
}
