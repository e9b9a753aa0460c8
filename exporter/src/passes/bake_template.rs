//! `bake-template`: ensures that the vectors of all cosines are separate template vectors with numbers, so that a clinic can replace
//! them by those of its own template. A template vector is recognised by its role: no pass merges or folds it, and it is stored
//! separately.

use onemark_models::graph::Op;

use super::{Context, Effect, Pass, PassError, Property};
use crate::module::Module;

pub(super) const PASS: Pass = Pass {
    name: "bake-template",
    requires: &[],
    ensures: &[Property::TemplateBaked],
    effect: Effect::Exact,
    applies: |_| true,
    run,
};

fn run(module: Module, _: &Context<'_>) -> Result<Module, PassError> {
    for (_, node) in module.graphs().flat_map(|graph| graph.nodes()).filter(|(_, node)| node.op == Op::Cosine) {
        if !node.params.iter().all(|param| param.is_vector()) {
            return Err(PassError::Malformed { node: node.id.clone(), why: "it must compare with a template vector" });
        }
    }
    Ok(module)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::{Graph, ParamId, Port, Role};

    use super::super::testing::{EXACT, FINEST, assert_same_results, checked, conv, node, of, random_module};
    use super::*;

    fn graph(vector: ParamId) -> Graph {
        let mut graph = Graph::new("head");
        let film = graph.input(Port::Film, [1, 1, 4, 4]).unwrap();
        let a = graph.conv(node("a"), film, conv(2, (1, 1))).unwrap();
        let cosine = graph.cosine(node("cosine"), a, vector).unwrap();
        graph.output(Port::Score, cosine).unwrap();
        graph
    }

    #[test]
    fn before_and_after() {
        let before = random_module(vec![graph(ParamId::vector(of(1), FINEST))]);
        let after = checked(&PASS, before.clone()).unwrap();
        let names = after.tensors.keys().map(ParamId::to_string).collect::<Vec<_>>();
        assert_eq!(names, ["trunk.a.weight", "trunk.a.bias", "template.01.level1"]);
        assert_same_results(&before, &after, EXACT);
    }

    #[test]
    fn a_vector_without_numbers_is_refused() {
        let mut module = random_module(vec![graph(ParamId::vector(of(1), FINEST))]);
        module.tensors.clear();
        let error = checked(&PASS, module).unwrap_err();
        assert!(error.to_string().contains("template.01.level1 has no numbers"), "{error}");
    }

    #[test]
    fn another_parameter_is_not_a_vector() {
        let error = checked(&PASS, random_module(vec![graph(node("a").param(Role::Bias))])).unwrap_err();
        assert!(error.to_string().contains("trunk.cosine: it must compare with a template vector"), "{error}");
    }
}
