//! `fold-batch-norm`: a convolution and the batch normalisation of its result become one convolution with bias.
//!
//! With running statistics, normalisation is affine per channel: `s (w x + b - m) + t = (s w) x + (s (b - m) + t)` with
//! `s = gamma / sqrt(var + eps)`, `t = beta`.

use std::collections::BTreeMap;

use ndarray::{ArrayD, Axis};
use onemark_models::checkpoint::Tensors;
use onemark_models::graph::{BATCH_NORM_EPSILON, Graph, Node, Op};

use super::{Pass, PassError, Property};
use crate::module::Module;

pub(super) struct FoldBatchNorm;

impl Pass for FoldBatchNorm {
    fn name(&self) -> &'static str {
        "fold-batch-norm"
    }

    fn requires(&self) -> &'static [Property] {
        &[]
    }

    fn ensures(&self) -> &'static [Property] {
        &[Property::NoBatchNorm]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        let mut pairs = BTreeMap::new();
        module.rewrite(|graph| fold(graph, &mut pairs))?;
        // Numbers are folded once, however many heads share them.
        for (name, pair) in &pairs {
            let (weight, bias) = pair.folded(&module.tensors)?;
            module.tensors.insert(format!("{name}.weight"), weight);
            module.tensors.insert(format!("{name}.bias"), bias);
        }
        module.forget_unused_tensors();
        Ok(module)
    }
}

/// The parameters of a convolution and of the normalisation behind it.
#[derive(PartialEq)]
struct Pair {
    conv: Vec<String>,
    norm: Vec<String>,
}

/// Rewrites `graph`; notes under which new name which parameters are to be folded.
fn fold(graph: &Graph, pairs: &mut BTreeMap<String, Pair>) -> Result<Graph, PassError> {
    let norms = norms_by_convolution(graph);
    graph.rewrite(|new, node, inputs| {
        let name = format!("{}.folded", node.name);
        match (node.op, norms.get(&node.name)) {
            (Op::Conv { dilation, padded, .. }, Some(norm)) => {
                let pair = Pair { conv: node.params.clone(), norm: norm.params.clone() };
                let first =
                    pairs.entry(name.clone()).or_insert(Pair { conv: pair.conv.clone(), norm: pair.norm.clone() });
                if *first != pair {
                    let text = |pair: &Pair| [pair.conv.join(" "), pair.norm.join(" ")].join(" ");
                    return Err(PassError::Differs {
                        what: node.name.clone(),
                        first: text(first),
                        second: text(&pair),
                    });
                }
                let params = vec![format!("{name}.weight"), format!("{name}.bias")];
                let weight = node.params.first().and_then(|weight| graph.params().get(weight));
                new.declare(&params[0], weight.cloned().unwrap_or_default())?;
                new.declare(&params[1], vec![node.shape[1]])?;
                Ok(new.push(&node.name, Op::Conv { dilation, padded, bias: true }, inputs, params)?)
            }
            // Its work is done by the convolution before it.
            (Op::BatchNorm, _) if norms.values().any(|norm| norm.name == node.name) => Ok(inputs[0]),
            _ => Ok(new.copy(graph, node, inputs)?),
        }
    })
}

/// The batch normalisation of each convolution whose result nothing else reads, by the convolution's name.
fn norms_by_convolution(graph: &Graph) -> BTreeMap<String, &Node> {
    let reads = graph.reads();
    let norms = graph.nodes().filter(|(_, node)| node.op == Op::BatchNorm);
    let pairs = norms.filter_map(|(_, norm)| norm.inputs.first().map(|input| (*input, norm)));
    let pairs = pairs.filter(|(input, _)| reads.get(input) == Some(&1));
    let pairs = pairs.map(|(input, norm)| (graph.node(input), norm));
    pairs.filter(|(conv, _)| matches!(conv.op, Op::Conv { .. })).map(|(conv, norm)| (conv.name.clone(), norm)).collect()
}

impl Pair {
    /// Weight and bias of the one convolution, computed in f64.
    fn folded(&self, tensors: &Tensors) -> Result<(ArrayD<f32>, ArrayD<f32>), PassError> {
        let tensor = |name: &String| {
            let tensor = tensors.get(name).ok_or_else(|| PassError::NoTensor { name: name.clone() })?;
            Ok(tensor.mapv(f64::from))
        };
        let conv: Vec<ArrayD<f64>> = self.conv.iter().map(tensor).collect::<Result<_, PassError>>()?;
        let norm: Vec<ArrayD<f64>> = self.norm.iter().map(tensor).collect::<Result<_, PassError>>()?;
        let ([weight, bias @ ..], [gamma, beta, mean, variance]) = (conv.as_slice(), norm.as_slice()) else {
            return Err(PassError::NoTensor { name: self.conv.join(" ") });
        };
        let scale = gamma / (variance + f64::from(BATCH_NORM_EPSILON)).mapv(f64::sqrt);
        let mut weight = weight.clone();
        for (mut kernel, scale) in weight.axis_iter_mut(Axis(0)).zip(&scale) {
            kernel.mapv_inplace(|number| number * scale);
        }
        let shifted = bias.first().map_or_else(|| -mean, |bias| bias - mean);
        Ok((weight.mapv(|number| number as f32), (shifted * scale + beta).mapv(|number| number as f32)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{FOLDING_TOLERANCE, assert_same_results, random_module};
    use super::*;

    fn graph() -> Graph {
        let mut graph = Graph::new("toy");
        let film = graph.input("film", [1, 1, 4, 4]).unwrap();
        let a = graph.conv("a", film, 2, (3, 3), 1, true).unwrap();
        let a = graph.batch_norm("a.bn", a).unwrap();
        let b = graph.conv("b", a, 2, (1, 3), 2, false).unwrap();
        let b = graph.batch_norm("b.bn", b).unwrap();
        graph.output("out", b).unwrap();
        graph
    }

    #[test]
    fn before_and_after() {
        let before = random_module(vec![graph()]);
        let after = FoldBatchNorm.run(before.clone()).unwrap();
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,1,4,4]
  %a = conv %film <a.folded.weight [2,1,3,3]> <a.folded.bias [2]> : [1,2,4,4]
  %b = conv dilation=2 %a <b.folded.weight [2,2,1,3]> <b.folded.bias [2]> : [1,2,4,4]
  return out = %b
}
"
        );
        assert_eq!(after.tensors.len(), 4);
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }

    #[test]
    fn a_result_that_others_read_is_left_alone() {
        let mut graph = Graph::new("toy");
        let film = graph.input("film", [1, 1, 4, 4]).unwrap();
        let a = graph.conv("a", film, 2, (3, 3), 1, true).unwrap();
        let bn = graph.batch_norm("a.bn", a).unwrap();
        let sum = graph.apply("sum", Op::Add, &[a, bn]).unwrap();
        graph.output("out", sum).unwrap();
        let error = super::super::checked(&FoldBatchNorm, random_module(vec![graph])).unwrap_err();
        assert!(error.to_string().contains("graph toy: a.bn stands alone"), "{error}");
    }
}
