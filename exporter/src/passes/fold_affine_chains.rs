//! `fold-affine-chains`: two convolutions in a row become one where that costs less: 1x1 into kxk, 1xk into kx1.
//!
//! Only where it is exact at the film's border too. The first may have no bias: zero padding would cut it off there
//! (`split-affine` leaves none where this pays). And no axis may have both convolutions spread along it: what the first makes
//! outside the film is dropped, and one convolution would not drop it.

use std::collections::BTreeMap;

use ndarray::{Array4, ArrayD, Ix4, s};
use onemark_models::checkpoint::Tensors;
use onemark_models::graph::{Graph, Node, Op, Value};

use super::{Pass, PassError, Property};
use crate::module::Module;

/// Longer chains of convolutions there are not.
const ROUNDS: usize = 8;

pub(super) struct FoldAffineChains;

impl Pass for FoldAffineChains {
    fn name(&self) -> &'static str {
        "fold-affine-chains"
    }

    fn requires(&self) -> &'static [Property] {
        &[Property::NoBatchNorm]
    }

    fn ensures(&self) -> &'static [Property] {
        &[]
    }

    fn run(&self, mut module: Module) -> Result<Module, PassError> {
        for _ in 0..ROUNDS {
            let mut folded = BTreeMap::new();
            module.rewrite(|graph| fold(graph, &mut folded))?;
            if folded.is_empty() {
                break;
            }
            for (name, [first, second]) in folded {
                let product = product(&module.tensors, &first, &second)?;
                module.tensors.insert(name, product);
            }
            module.forget_unused_tensors();
        }
        Ok(module)
    }
}

/// Folds the first pair of each chain; notes under which new name which two weights are to be multiplied.
fn fold(graph: &Graph, folded: &mut BTreeMap<String, [String; 2]>) -> Result<Graph, PassError> {
    let reads = graph.reads();
    // By the second convolution's name.
    let mut pairs: BTreeMap<&str, (Value, &Node, Shapes)> = BTreeMap::new();
    for (_, second) in graph.nodes() {
        let [input] = second.inputs.as_slice() else { continue };
        let first = graph.node(*input);
        let free = reads.get(input) == Some(&1) && !pairs.contains_key(first.name.as_str());
        if let Some(shapes) = Shapes::of(graph, first, second).filter(|shapes| free && shapes.pays()) {
            pairs.insert(&second.name, (first.inputs[0], first, shapes));
        }
    }
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    graph.rewrite(|new, node, inputs| {
        let value = match pairs.get(node.name.as_str()) {
            None => new.copy(graph, node, inputs)?,
            Some((operand, first, shapes)) => {
                let Op::Conv { bias, .. } = node.op else { return Ok(inputs[0]) };
                let name = format!("{}.chain.weight", node.name);
                folded.insert(name.clone(), [first.params[0].clone(), node.params[0].clone()]);
                new.declare(&name, shapes.product().to_vec())?;
                for bias in &node.params[1..] {
                    new.declare(bias, vec![node.shape[1]])?;
                }
                let params = std::iter::once(name).chain(node.params[1..].iter().cloned()).collect();
                let operand = values[&graph.node(*operand).name];
                new.push(&node.name, Op::Conv { dilation: shapes.dilation, padded: true, bias }, &[operand], params)?
            }
        };
        values.insert(node.name.clone(), value);
        Ok(value)
    })
}

/// The weights of two convolutions in a row, and the dilation of the one that they become.
#[derive(Clone, Copy)]
struct Shapes {
    first: [usize; 4],
    second: [usize; 4],
    dilation: usize,
}

impl Shapes {
    /// If the two are convolutions that can be one, the first without bias.
    fn of(graph: &Graph, first: &Node, second: &Node) -> Option<Self> {
        let Op::Conv { dilation: inner, padded: true, bias: false } = first.op else { return None };
        let Op::Conv { dilation: outer, padded: true, .. } = second.op else { return None };
        let shape = |node: &Node| -> Option<[usize; 4]> {
            graph.params().get(node.params.first()?)?.as_slice().try_into().ok()
        };
        let (first, second) = (shape(first)?, shape(second)?);
        let spreads = |shape: [usize; 4]| [shape[2] > 1, shape[3] > 1];
        let ([a, b], [c, d]) = (spreads(first), spreads(second));
        let dilation = match (a || b, c || d) {
            (true, true) if inner != outer || a && c || b && d => return None,
            (true, _) => inner,
            (false, _) => outer,
        };
        Some(Self { first, second, dilation })
    }

    /// The weight of the one.
    fn product(self) -> [usize; 4] {
        let [_, channels, rows, columns] = self.first;
        [self.second[0], channels, rows.max(self.second[2]), columns.max(self.second[3])]
    }

    /// Whether one costs less than two.
    fn pays(self) -> bool {
        let cost = |shape: [usize; 4]| shape.iter().product::<usize>();
        cost(self.product()) < cost(self.first) + cost(self.second)
    }
}

/// The one weight, in f64: `sum over m of second[o, m] * first[m, i]`, each kernel spread over the axes where it spreads.
fn product(tensors: &Tensors, first: &str, second: &str) -> Result<ArrayD<f32>, PassError> {
    let weight = |name: &str| -> Result<Array4<f64>, PassError> {
        let missing = || PassError::NoTensor { name: name.to_owned() };
        let weight = tensors.get(name).ok_or_else(missing)?.mapv(f64::from);
        weight.into_dimensionality::<Ix4>().map_err(|_| missing())
    };
    let (first, second) = (weight(first)?, weight(second)?);
    let ((_, channels, a, b), (out, _, c, d)) = (first.dim(), second.dim());
    let mut product = Array4::zeros((out, channels, a.max(c), b.max(d)));
    for (i, j) in (0..a).flat_map(|i| (0..b).map(move |j| (i, j))) {
        for (k, l) in (0..c).flat_map(|k| (0..d).map(move |l| (k, l))) {
            // On either axis one of the two kernels has one cell.
            let mut target = product.slice_mut(s![.., .., i + k, j + l]);
            target += &second.slice(s![.., .., k, l]).dot(&first.slice(s![.., .., i, j]));
        }
    }
    Ok(product.mapv(|number| number as f32).into_dyn())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{FOLDING_TOLERANCE, assert_same_results, random_module};
    use super::*;

    #[test]
    fn before_and_after() {
        let mut graph = Graph::new("toy");
        let film = graph.input("film", [1, 1, 5, 7]).unwrap();
        let a = graph.conv("a", film, 3, (1, 1), 1, false).unwrap();
        let row = graph.conv("row", a, 3, (1, 3), 1, false).unwrap();
        let column = graph.conv("column", row, 3, (3, 1), 1, false).unwrap();
        let dilated = graph.conv("dilated", column, 2, (3, 3), 3, true).unwrap();
        graph.output("out", dilated).unwrap();
        let before = random_module(vec![graph]);
        let after = FoldAffineChains.run(before.clone()).unwrap();
        assert_eq!(
            after.heads[0].to_string(),
            "\
graph toy {
  %film = input : [1,1,5,7]
  %column = conv %film <column.chain.weight [3,1,3,3]> : [1,3,5,7]
  %dilated = conv dilation=3 %column <dilated.weight [2,3,3,3]> <dilated.bias [2]> : [1,2,5,7]
  return out = %dilated
}
"
        );
        assert_same_results(&before, &after, FOLDING_TOLERANCE);
    }

    #[test]
    fn what_would_change_the_border_or_cost_more_is_left_alone() {
        type Kernel = (usize, usize);
        let chain = |channels: usize, first: Kernel, bias: bool, second: Kernel, dilation: usize| {
            let mut graph = Graph::new("toy");
            let film = graph.input("film", [1, 1, 5, 7]).unwrap();
            let a = graph.conv("a", film, channels, first, 1, bias).unwrap();
            let b = graph.conv("b", a, 2, second, dilation, true).unwrap();
            graph.output("out", b).unwrap();
            graph
        };
        let folds = |graph: Graph| {
            let before = random_module(vec![graph]);
            let after = FoldAffineChains.run(before.clone()).unwrap();
            assert_same_results(&before, &after, FOLDING_TOLERANCE);
            after.heads != before.heads
        };
        assert!(folds(chain(3, (1, 1), false, (3, 3), 2)), "the dilation of the one that spreads");
        assert!(!folds(chain(3, (1, 1), true, (3, 3), 1)), "a bias stops at the border");
        assert!(!folds(chain(3, (1, 3), false, (1, 3), 1)), "both spread along the columns");
        assert!(!folds(chain(3, (1, 3), false, (3, 1), 2)), "no kernel has two dilations");
        assert!(!folds(chain(1, (1, 7), false, (7, 1), 1)), "49 cells cost more than 7 and 2 x 7");
    }
}
