//! `spread-thin-convolutions`: a landmark's convolution of many channels to few becomes two: one of single cells, to as many outputs
//! for each cell of the kernel, and one that adds those up where they belong, whose weights are 0 and 1.
//!
//! That is the same work but for the sum, as one large matrix product. Otherwise a backend copies the operand once for each cell
//! of the kernel for the sake of a few outputs: that took most of the time where weights are inputs, so that nothing can be laid out
//! in advance (docs/PERFORMANCE.md).

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array4, ArrayD};
use onemark_models::graph::{Graph, Node, Op};
use onemark_models::network::is_own;

use super::{Pass, PassError, Property};
use crate::module::Module;

/// So many channels of the operand for each output, or the sum is not worth it.
const THIN: usize = 32;

pub(super) struct SpreadThinConvolutions;

impl Pass for SpreadThinConvolutions {
    fn name(&self) -> &'static str {
        "spread-thin-convolutions"
    }

    fn requires(&self) -> &'static [Property] {
        &[Property::NoBatchNorm]
    }

    fn ensures(&self) -> &'static [Property] {
        &[]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        // New weights by name: of which they are made, and the sums' kernels (outputs, rows, columns).
        let (mut spread, mut sums) = (BTreeMap::new(), BTreeSet::new());
        module.rewrite(|graph| {
            graph.rewrite(|new, node, inputs| {
                let (Some(shape), Op::Conv { bias, .. }) = (thin(graph, node), node.op) else {
                    return Ok(new.copy(graph, node, inputs)?);
                };
                let [out, channels, rows, columns] = shape;
                let each = format!("{}.spread", node.params[0]);
                new.declare(&each, vec![rows * columns * out, channels, 1, 1])?;
                spread.insert(each.clone(), (node.params[0].clone(), shape));
                let single = Op::Conv { dilation: 1, padded: true, bias: false };
                let cells = new.push(&format!("{}.cells", node.name), single, inputs, vec![each])?;
                let mut params = vec![sum_name(out, rows, columns)];
                new.declare(&params[0], vec![out, rows * columns * out, rows, columns])?;
                sums.insert((out, rows, columns));
                if bias {
                    new.declare(&node.params[1], vec![out])?;
                    params.push(node.params[1].clone());
                }
                Ok::<_, PassError>(new.push(&node.name, node.op, &[cells], params)?)
            })
        })?;
        for (name, (weight, shape)) in spread {
            let weight = module.tensors.get(&weight).ok_or(PassError::NoTensor { name: weight })?;
            module.tensors.insert(name, per_cell(weight, shape).into_dyn());
        }
        for (out, rows, columns) in sums {
            module.tensors.insert(sum_name(out, rows, columns), sum(out, rows, columns).into_dyn());
        }
        module.forget_unused_tensors();
        Ok(module)
    }
}

/// The shape of a thin convolution's weight.
fn thin(graph: &Graph, node: &Node) -> Option<[usize; 4]> {
    let weight = node.params.first().filter(|weight| is_own(weight) && matches!(node.op, Op::Conv { .. }))?;
    let shape: [usize; 4] = graph.params().get(weight)?.as_slice().try_into().ok()?;
    let [out, channels, rows, columns] = shape;
    (rows * columns > 1 && channels >= THIN * out).then_some(shape)
}

fn sum_name(out: usize, rows: usize, columns: usize) -> String {
    format!("sum.{out}x{rows}x{columns}.weight")
}

/// The weight `[out, channels, rows, columns]` as `[rows * columns * out, channels, 1, 1]`.
fn per_cell(weight: &ArrayD<f32>, [out, channels, rows, columns]: [usize; 4]) -> Array4<f32> {
    Array4::from_shape_fn((rows * columns * out, channels, 1, 1), |(made, channel, _, _)| {
        let (cell, output) = (made / out, made % out);
        weight[[output, channel, cell / columns, cell % columns]]
    })
}

/// The weight `[out, rows * columns * out, rows, columns]` that takes of each cell of the kernel what was made for it.
fn sum(out: usize, rows: usize, columns: usize) -> Array4<f32> {
    Array4::from_shape_fn((out, rows * columns * out, rows, columns), |(output, made, row, column)| {
        f32::from(u8::from(made == (row * columns + column) * out + output))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{FOLDING_TOLERANCE, assert_same_results, random_module};
    use super::*;

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("toy");
        let film = graph.input("film", [1, 64, 5, 7]).unwrap();
        let thin = graph.conv("adapter.01.thin", film, 2, (3, 5), 2, true).unwrap();
        let thicker = graph.conv("adapter.01.thicker", film, 3, (3, 3), 1, true).unwrap();
        let shared = graph.conv("shared", film, 2, (3, 3), 1, false).unwrap();
        let single = graph.conv("adapter.01.single", film, 2, (1, 1), 1, true).unwrap();
        let all = graph.apply("all", Op::Concat, &[thin, thicker, shared, single]).unwrap();
        graph.output("out", all).unwrap();
        let before = random_module(vec![graph]);
        let after = SpreadThinConvolutions.run(before.clone()).unwrap();
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,64,5,7]
  %adapter.01.thin.cells = conv %film <adapter.01.thin.weight.spread [30,64,1,1]> : [1,30,5,7]
  %adapter.01.thin = conv dilation=2 %adapter.01.thin.cells <sum.2x3x5.weight [2,30,3,5]> <adapter.01.thin.bias [2]> : [1,2,5,7]
  %adapter.01.thicker = conv %film <adapter.01.thicker.weight [3,64,3,3]> <adapter.01.thicker.bias [3]> : [1,3,5,7]
  %shared = conv %film <shared.weight [2,64,3,3]> : [1,2,5,7]
  %adapter.01.single = conv %film <adapter.01.single.weight [2,64,1,1]> <adapter.01.single.bias [2]> : [1,2,5,7]
  %all = concat %adapter.01.thin %adapter.01.thicker %shared %adapter.01.single : [1,9,5,7]
  return out = %all
}
"
        );
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }
}
