//! `bake-template`: the vectors that cosines compare with become constants: tensors of their own under their own names,
//! which no later pass may merge or fold, so that a clinic can put its own template's vectors in their place.

use onemark_models::graph::Op;

use super::{Pass, PassError, Property};
use crate::module::Module;

pub(super) struct BakeTemplate;

impl Pass for BakeTemplate {
    fn name(&self) -> &'static str {
        "bake-template"
    }

    fn requires(&self) -> &'static [Property] {
        &[]
    }

    fn ensures(&self) -> &'static [Property] {
        &[Property::TemplateBaked]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        let Module { trunk, heads, tensors, constants, .. } = &mut module;
        let nodes = heads.iter().chain([&*trunk]).flat_map(|graph| graph.nodes());
        for name in nodes.filter(|(_, node)| node.op == Op::Cosine).flat_map(|(_, node)| &node.params) {
            if let Some(vector) = tensors.remove(name) {
                constants.insert(name.clone(), vector);
            }
        }
        Ok(module)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::Graph;

    use super::super::testing::{EXACT, assert_same_results, random_module};
    use super::*;

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("head");
        let film = graph.input("film", [1, 1, 4, 4]).unwrap();
        let a = graph.conv("a", film, 2, (1, 1), 1, true).unwrap();
        let cosine = graph.cosine("cosine", a, "template.01.level1").unwrap();
        graph.output("score", cosine).unwrap();
        let before = random_module(vec![graph]);
        let after = BakeTemplate.run(before.clone()).unwrap();
        let names = |module: &Module| {
            let list =
                |tensors: &onemark_models::checkpoint::Tensors| tensors.keys().cloned().collect::<Vec<_>>().join(" ");
            format!("tensors: {}; constants: {}", list(&module.tensors), list(&module.constants))
        };
        assert_eq!(names(&before), "tensors: a.bias a.weight template.01.level1; constants: ");
        assert_eq!(names(&after), "tensors: a.bias a.weight; constants: template.01.level1");
        assert_same_results(&before, &after, EXACT);
    }

    #[test]
    fn a_vector_without_numbers_is_refused() {
        let mut graph = Graph::new("head");
        let film = graph.input("film", [1, 1, 4, 4]).unwrap();
        let cosine = graph.cosine("cosine", film, "template.01.level1").unwrap();
        graph.output("score", cosine).unwrap();
        let mut module = random_module(vec![graph]);
        module.tensors.clear();
        let error = super::super::checked(&BakeTemplate, module).unwrap_err();
        assert!(error.to_string().contains("template.01.level1 is no constant"), "{error}");
    }
}
