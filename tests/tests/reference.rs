//! The reference interpreter on numbers small enough to check by hand (METHOD.md sec. 1b and 1c).
#![allow(missing_docs, clippy::unwrap_used)]

use ndarray::{Array4, array};
use onemark_models::graph::{
    Conv, CoordinateMode, Graph, Level, Of, Op, Owner, ParamId, Parameters, Port, Role, Value,
};
use onemark_models::reference;
use onemark_tests::{Tolerance, assert_close};

/// Runs the graph that `build` makes behind an input `x`.
fn run(x: Array4<f32>, parameters: &Parameters, build: impl FnOnce(&mut Graph, Value)) -> Array4<f32> {
    let mut graph = Graph::new("toy");
    let input = graph.input(Port::Film, x.shape().try_into().unwrap()).unwrap();
    build(&mut graph, input);
    let (last, _) = graph.nodes().last().unwrap();
    graph.output(Port::Score, last).unwrap();
    reference::run(&graph, parameters, &[(Port::Film, x)].into()).unwrap().remove(&Port::Score).unwrap()
}

/// METHOD.md sec. 1c: bilinear x2 of [0, 1, 4].
#[test]
fn upsampling_places_corners_as_asked() {
    let row = || Array4::from_shape_vec((1, 1, 1, 3), vec![0.0, 1.0, 4.0]).unwrap();
    let toys = [
        (CoordinateMode::HalfPixel, [0.0, 0.25, 0.75, 1.75, 3.25, 4.0]),
        (CoordinateMode::Aligned, [0.0, 0.4, 0.8, 1.6, 2.8, 4.0]),
    ];
    for (mode, expected) in toys {
        let up = |graph: &mut Graph, x| {
            graph.apply(Owner::Trunk.node("up"), Op::Upsample { factor: 2, mode }, &[x]).unwrap();
        };
        let [first, second] = [expected, expected];
        let expected = Array4::from_shape_vec((1, 1, 2, 6), [first, second].concat()).unwrap();
        let across = run(row(), &Parameters::new(), up);
        assert_close(&expected, &across, Tolerance::Rounding, "a row");
        // The same along the other axis.
        let down = run(row().permuted_axes([0, 1, 3, 2]), &Parameters::new(), up);
        let expected = expected.permuted_axes([0, 1, 3, 2]);
        assert_close(&expected, &down, Tolerance::Rounding, "a column");
    }
}

/// METHOD.md sec. 1b: the 1e-3 is added to the product of the norms, so a vector's cosine with itself is below 1.
#[test]
fn cosine_adds_its_constant_to_the_product_of_norms() {
    let cells = Array4::from_shape_vec((1, 2, 1, 3), vec![3.0, -0.03, 0.0, 4.0, -0.04, 0.0]).unwrap();
    let id = ParamId::vector(Of::All, Level::COARSE_TO_FINE[0]);
    let vector = Parameters::from([(id.clone(), array![0.6, 0.8].into_dyn())]);
    let found = run(cells, &vector, |graph, x| {
        graph.cosine(Owner::Trunk.node("cosine"), x, id).unwrap();
    });
    let expected = Array4::from_shape_vec((1, 1, 1, 3), vec![5.0 / 5.001, -0.05 / 0.051, 0.0]).unwrap();
    assert_close(&expected, &found, Tolerance::Rounding, "cosine");
}

/// A dilated, rectangular kernel on numbers: zero outside, same size, cross-correlation and not convolution.
#[test]
fn convolution_pads_with_zeros_and_does_not_flip() {
    let x = Array4::from_shape_vec((1, 1, 1, 5), vec![1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let weight = Array4::from_shape_vec((1, 1, 1, 3), vec![1.0, 10.0, 100.0]).unwrap().into_dyn();
    let id = Owner::Trunk.node("c");
    let bias = array![0.5].into_dyn();
    let tensors = Parameters::from([(id.param(Role::Weight), weight), (id.param(Role::Bias), bias)]);
    let found = run(x, &tensors, |graph, x| {
        graph.conv(id, x, Conv { out: 1, kernel: (1, 3), dilation: 2, bias: true }).unwrap();
    });
    let expected = Array4::from_shape_vec((1, 1, 1, 5), vec![310.5, 420.5, 531.5, 42.5, 53.5]).unwrap();
    assert_close(&expected, &found, Tolerance::Rounding, "convolution");
}
