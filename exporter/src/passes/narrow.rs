//! `narrow`: rounds numbers to f16, in which the bundle then stores them with half of the bytes. Backends convert them to f32 once, when
//! they open a graph, and compute in f32. Template vectors stay f32, because they are few and a clinic may replace them.
//!
//! It runs after all folding, so that each number is rounded once.

use half::f16;
use onemark_models::bundle::Precision;

use super::{Context, Effect, Pass, PassError, Property};
use crate::module::Module;

/// The allowed difference. Each weight is rounded by up to 5e-4 of its value. Measured on small random networks, whose scores are
/// products of five cosines near 0: 1.4e-2.
const TOLERANCE: f32 = 5e-2;

pub(super) const PASS: Pass = Pass {
    name: "narrow",
    requires: &[Property::NoBatchNorm, Property::TemplateBaked],
    ensures: &[],
    effect: Effect::Rounds { tolerance: TOLERANCE },
    applies: |options| options.precision == Precision::F16,
    run,
};

fn run(mut module: Module, _: &Context<'_>) -> Result<Module, PassError> {
    let Module { tensors, steps, .. } = &mut module;
    for (param, tensor) in tensors.iter_mut().filter(|(param, _)| !param.is_vector() && !steps.contains_key(*param)) {
        tensor.mapv_inplace(|number| f16::from_f32(number).to_f32());
        if tensor.iter().any(|number| !number.is_finite()) {
            return Err(PassError::TooLarge { param: param.clone() });
        }
    }
    Ok(module)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::{Graph, ParamId, Port, Role};

    use super::super::testing::{FINEST, assert_same_results, conv, node, of, random_module, run_pass};
    use super::*;
    use crate::Options;

    /// The allowed difference: half a unit in the last place of f16, for numbers near 1, after two convolutions.
    const ROUNDING: f32 = 5e-3;

    fn module() -> Module {
        let mut graph = Graph::new("head");
        let film = graph.input(Port::Film, [1, 2, 3, 4]).unwrap();
        let a = graph.conv(node("a"), film, conv(3, (3, 3))).unwrap();
        let b = graph.conv(node("b"), a, conv(2, (1, 1))).unwrap();
        let cosine = graph.cosine(node("cosine"), b, ParamId::vector(of(1), FINEST)).unwrap();
        graph.output(Port::Embedding(FINEST), b).unwrap();
        graph.output(Port::Score, cosine).unwrap();
        random_module(vec![graph])
    }

    #[test]
    fn before_and_after() {
        let before = module();
        let after = run_pass(&PASS, before.clone());
        assert_same_results(&before, &after, ROUNDING);
        for (param, tensor) in after.tensors.iter().filter(|(param, _)| !param.is_vector()) {
            assert!(tensor.iter().all(|number| f16::from_f32(*number).to_f32() == *number), "{param}");
            assert_ne!(tensor, &before.tensors[param], "{param}");
        }
        let vector = ParamId::vector(of(1), FINEST);
        assert_eq!(after.tensors[&vector], before.tensors[&vector]);
        assert_eq!(after.heads, before.heads);
    }

    #[test]
    fn it_belongs_to_half_precision_only() {
        let applies = |precision| (PASS.applies)(&Options { precision, ..Options::default() });
        assert!(applies(Precision::F16) && !applies(Precision::F32));
    }

    #[test]
    fn what_f16_can_not_hold_is_refused() {
        let mut module = module();
        module.tensors.get_mut(&node("a").param(Role::Bias)).unwrap()[[1]] = 7e4;
        let error = run(module, &Context::default()).unwrap_err();
        assert!(error.to_string().contains("trunk.a.bias"), "{error}");
    }
}
