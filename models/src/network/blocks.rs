//! The blocks that decoder and adapters consist of.

use crate::graph::{Conv, Graph, GraphError, NodeId, Op, Value};

/// Adds `conv{number}` (3x3 with bias), `bn{number}` and ReLU, with ids below `place`.
pub(super) fn conv_unit(
    graph: &mut Graph,
    place: &NodeId,
    number: usize,
    x: Value,
    out: usize,
) -> Result<Value, GraphError> {
    let conv = Conv { out, kernel: (3, 3), dilation: 1, bias: true };
    let x = graph.conv(place.then(format!("conv{number}")), x, conv)?;
    let x = graph.batch_norm(place.then(format!("bn{number}")), x)?;
    graph.apply(place.then(format!("relu{number}")), Op::Relu, &[x])
}

/// Adds the receptive field block of METHOD.md sec. 1a. If batch normalisation is folded, it is affine up to its last ReLU.
pub(super) fn rfb(graph: &mut Graph, place: &NodeId, x: Value, out: usize) -> Result<Value, GraphError> {
    let unit = |graph: &mut Graph, name: &str, x, kernel, dilation| {
        let id = place.then(name);
        let x = graph.conv(id.then("conv"), x, Conv { out, kernel, dilation, bias: false })?;
        graph.batch_norm(id.then("bn"), x)
    };
    let mut branches = vec![unit(graph, "branch0", x, (1, 1), 1)?];
    for (number, reach) in [(1, 3), (2, 5), (3, 7)] {
        let mut y = unit(graph, &format!("branch{number}.reduce"), x, (1, 1), 1)?;
        y = unit(graph, &format!("branch{number}.row"), y, (1, reach), 1)?;
        y = unit(graph, &format!("branch{number}.column"), y, (reach, 1), 1)?;
        branches.push(unit(graph, &format!("branch{number}.dilated"), y, (3, 3), reach)?);
    }
    let all = graph.apply(place.then("concat"), Op::Concat, &branches)?;
    let fused = unit(graph, "fuse", all, (3, 3), 1)?;
    let shortcut = unit(graph, "shortcut", x, (1, 1), 1)?;
    let sum = graph.apply(place.then("add"), Op::Add, &[fused, shortcut])?;
    graph.apply(place.then("relu"), Op::Relu, &[sum])
}
