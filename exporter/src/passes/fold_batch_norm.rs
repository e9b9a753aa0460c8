//! `fold-batch-norm`: a convolution and the batch normalisation of its result become one convolution with bias.
//!
//! With running statistics, normalisation is affine per channel: `s (w x + b - m) + t = (s w) x + (s (b - m) + t)` with
//! `s = gamma / sqrt(var + eps)`, `t = beta`.

use std::collections::BTreeMap;

use ndarray::{ArrayD, Axis};
use onemark_models::graph::{BATCH_NORM_EPSILON, Graph, Op, ParamId, Parameters, Role, Value};

use super::renew::{Renewed, numbers};
use super::{Context, Effect, Pass, PassError, Property};
use crate::module::Module;

pub(super) const PASS: Pass = Pass {
    name: "fold-batch-norm",
    requires: &[],
    ensures: &[Property::NoBatchNorm],
    effect: Effect::FOLDS,
    applies: |_| true,
    run,
};

fn run(mut module: Module, _: &Context<'_>) -> Result<Module, PassError> {
    let mut folded = Renewed::new();
    module.rewrite(|graph| fold(graph, &mut folded))?;
    folded.settle(&mut module, |tensors, param, pair| pair.folded(tensors, param.role))?;
    Ok(module)
}

/// The parameters of a convolution and of the normalisation of its result.
#[derive(Clone, Debug, PartialEq)]
struct Pair {
    conv: Vec<ParamId>,
    norm: Vec<ParamId>,
}

/// Rewrites `graph` and records which parameters must be folded.
fn fold(graph: &Graph, folded: &mut Renewed<Pair>) -> Result<Graph, PassError> {
    let norms = norms_by_convolution(graph);
    graph.rewrite(|new, value, node, inputs| match (node.op, node.params.as_slice(), norms.get(&value)) {
        (Op::Conv { dilation, padded, .. }, [weight, ..], Some(norm)) => {
            let pair = Pair { conv: node.params.clone(), norm: graph.node(*norm).params.clone() };
            let bias = ParamId { role: Role::Bias, ..weight.clone() };
            folded.note(new, &node.id, weight, graph.shape_of(weight)?.to_vec(), pair.clone())?;
            folded.note(new, &node.id, &bias, vec![node.shape[1]], pair)?;
            let op = Op::Conv { dilation, padded, bias: true };
            Ok(new.push(node.id.clone(), op, inputs, vec![weight.clone(), bias])?)
        }
        // The convolution before it now includes it.
        (Op::BatchNorm, ..) if norms.values().any(|norm| *norm == value) => Ok(inputs[0]),
        _ => Ok(new.copy(graph, node, inputs)?),
    })
}

/// The batch normalisation of each convolution whose result only it reads, by the convolution.
fn norms_by_convolution(graph: &Graph) -> BTreeMap<Value, Value> {
    let reads = graph.reads();
    let norms = graph.nodes().filter(|(_, node)| node.op == Op::BatchNorm);
    let pairs = norms.filter_map(|(norm, node)| Some((*node.inputs.first()?, norm)));
    let alone = |conv: Value| reads.get(&conv) == Some(&1) && matches!(graph.node(conv).op, Op::Conv { .. });
    pairs.filter(|(conv, _)| alone(*conv)).collect()
}

impl Pair {
    /// Weight or bias of the folded convolution, computed in f64.
    fn folded(&self, tensors: &Parameters, role: Role) -> Result<ArrayD<f32>, PassError> {
        let all = |params: &[ParamId]| -> Result<Vec<ArrayD<f64>>, PassError> {
            params.iter().map(|param| Ok(numbers(tensors, param)?.mapv(f64::from))).collect()
        };
        let (conv, norm) = (all(&self.conv)?, all(&self.norm)?);
        let ([weight, bias @ ..], [gamma, beta, mean, variance]) = (conv.as_slice(), norm.as_slice()) else {
            let why = "it must have a weight, and its normalisation must have four parameters";
            return Err(PassError::Malformed { node: self.conv[0].node.clone(), why });
        };
        let scale = gamma / (variance + f64::from(BATCH_NORM_EPSILON)).mapv(f64::sqrt);
        if role == Role::Bias {
            let shifted = bias.first().map_or_else(|| -mean, |bias| bias - mean);
            return Ok((shifted * scale + beta).mapv(|number| number as f32));
        }
        let mut weight = weight.clone();
        for (mut kernel, scale) in weight.axis_iter_mut(Axis(0)).zip(&scale) {
            kernel.mapv_inplace(|number| number * scale);
        }
        Ok(weight.mapv(|number| number as f32))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_models::graph::{Conv, Port};

    use super::super::testing::{FOLDING_TOLERANCE, assert_same_results, checked, conv, node, random_module, run_pass};
    use super::*;

    fn graph() -> Graph {
        let mut graph = Graph::new("toy");
        let film = graph.input(Port::Film, [1, 1, 4, 4]).unwrap();
        let a = graph.conv(node("a"), film, conv(2, (3, 3))).unwrap();
        let a = graph.batch_norm(node("a.bn"), a).unwrap();
        let b = graph.conv(node("b"), a, Conv { dilation: 2, bias: false, ..conv(2, (1, 3)) }).unwrap();
        let b = graph.batch_norm(node("b.bn"), b).unwrap();
        graph.output(Port::Score, b).unwrap();
        graph
    }

    #[test]
    fn before_and_after() {
        let before = random_module(vec![graph()]);
        let after = run_pass(&PASS, before.clone());
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,1,4,4]
  %trunk.a = conv %film <trunk.a.weight [2,1,3,3]> <trunk.a.bias [2]> : [1,2,4,4]
  %trunk.b = conv dilation=2 %trunk.a <trunk.b.weight [2,2,1,3]> <trunk.b.bias [2]> : [1,2,4,4]
  return score = %trunk.b
}
"
        );
        assert_eq!(after.tensors.len(), 4);
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }

    #[test]
    fn a_result_that_others_read_is_left_alone() {
        let mut graph = Graph::new("toy");
        let film = graph.input(Port::Film, [1, 1, 4, 4]).unwrap();
        let a = graph.conv(node("a"), film, conv(2, (3, 3))).unwrap();
        let bn = graph.batch_norm(node("a.bn"), a).unwrap();
        let sum = graph.apply(node("sum"), Op::Add, &[a, bn]).unwrap();
        graph.output(Port::Score, sum).unwrap();
        let error = checked(&PASS, random_module(vec![graph])).unwrap_err();
        let expected = "graph toy: batch normalisation trunk.a.bn has no convolution to fold into";
        assert!(error.to_string().contains(expected), "{error}");
    }

    /// Without this check, one head would compute with the parameters of the other.
    #[test]
    fn a_weight_that_is_folded_in_one_head_only_is_refused() {
        let mut other = Graph::new("other");
        let film = other.input(Port::Film, [1, 1, 4, 4]).unwrap();
        let a = other.conv(node("a"), film, conv(2, (3, 3))).unwrap();
        other.output(Port::Score, a).unwrap();
        let error = checked(&PASS, random_module(vec![graph(), other])).unwrap_err();
        assert!(error.to_string().contains("trunk.a.weight differs between landmarks"), "{error}");
    }
}
