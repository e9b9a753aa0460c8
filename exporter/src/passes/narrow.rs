//! `narrow`: numbers are rounded to f16, which is how the bundle then stores them: half the bytes. Backends widen them once, when
//! they open a graph, and compute in f32. The template's vectors stay f32: they are few, and a clinic may replace them.
//!
//! It runs on what all folding has left, so that each number is rounded once.

use half::f16;
use onemark_models::bundle::Precision;

use super::{Pass, PassError, Property};
use crate::module::Module;

pub(super) struct Narrow;

impl Pass for Narrow {
    fn name(&self) -> &'static str {
        "narrow"
    }

    fn requires(&self) -> &'static [Property] {
        &[Property::NoBatchNorm, Property::TemplateBaked]
    }

    fn ensures(&self) -> &'static [Property] {
        &[]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        if module.precision == Precision::F16 {
            let Module { tensors, int8, .. } = &mut module;
            for (name, tensor) in tensors.iter_mut().filter(|(name, _)| !int8.contains_key(*name)) {
                tensor.mapv_inplace(|number| f16::from_f32(number).to_f32());
                if tensor.iter().any(|number| !number.is_finite()) {
                    return Err(PassError::TooLarge { name: name.clone() });
                }
            }
        }
        Ok(module)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::Graph;

    use super::super::bake_template::BakeTemplate;
    use super::super::testing::{EXACT, assert_same_results, random_module};
    use super::*;

    /// Half a unit in the last place of f16, on numbers near 1, through two convolutions.
    const ROUNDING: f32 = 5e-3;

    fn module(precision: Precision) -> Module {
        let mut graph = Graph::new("head");
        let film = graph.input("film", [1, 2, 3, 4]).unwrap();
        let a = graph.conv("a", film, 3, (3, 3), 1, true).unwrap();
        let b = graph.conv("b", a, 2, (1, 1), 1, true).unwrap();
        let cosine = graph.cosine("cosine", b, "template.01.level1").unwrap();
        graph.output("embedding1", b).unwrap();
        graph.output("score", cosine).unwrap();
        Module { precision, ..BakeTemplate.run(random_module(vec![graph])).unwrap() }
    }

    #[test]
    fn before_and_after() {
        let before = module(Precision::F16);
        let after = Narrow.run(before.clone()).unwrap();
        assert_same_results(&before, &after, ROUNDING);
        for (name, tensor) in &after.tensors {
            assert!(tensor.iter().all(|number| f16::from_f32(*number).to_f32() == *number), "{name}");
            assert_ne!(tensor, &before.tensors[name], "{name}");
        }
        assert_eq!(after.constants, before.constants);
        assert_eq!(after.heads, before.heads);
    }

    #[test]
    fn f32_stays_as_it_is() {
        let before = module(Precision::F32);
        assert_same_results(&before, &Narrow.run(before.clone()).unwrap(), EXACT);
    }

    #[test]
    fn what_f16_can_not_hold_is_refused() {
        let mut module = module(Precision::F16);
        module.tensors.get_mut("a.bias").unwrap()[[1]] = 7e4;
        let error = Narrow.run(module).unwrap_err();
        assert!(error.to_string().contains("a.bias"), "{error}");
    }
}
