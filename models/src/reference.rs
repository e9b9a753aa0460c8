//! The reference interpreter: small, slow and simple enough to be obviously right, on ndarray, in evaluation mode. All other
//! ways of running a graph are compared with it. Convolutions are im2col and ndarray's dot, in strips, so that a head of the
//! paper's size fits into memory.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, Array4, ArrayView2, Axis, Zip, concatenate, s};

use crate::graph::{
    BATCH_NORM_EPSILON, COSINE_EPSILON, CoordinateMode, Graph, NodeId, Op, Parameters, Port, interpolation,
};

/// Tensors by port, `[batch, channels, rows, columns]`.
pub type Maps = BTreeMap<Port, Array4<f32>>;

/// Output rows of one strip of a convolution.
const STRIP: usize = 16;

/// Why a graph can't be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum ReferenceError {
    /// An input or parameter is missing or has another shape.
    #[error("graph {graph}, node {node}: {what} is missing or not of shape {expected:?}")]
    Missing {
        graph: String,
        node: NodeId,
        what: String,
        /// The shape that the graph states.
        expected: Vec<usize>,
    },
    /// Operands have shapes that shape inference should have refused.
    #[error("graph {graph}, node {node}: its operands do not fit together")]
    Shape { graph: String, node: NodeId, source: ndarray::ShapeError },
}

/// Runs `graph` on `inputs` and returns its outputs.
///
/// ```
/// use ndarray::Array4;
/// use onemark_models::graph::{Graph, Op, Owner, Parameters, Port};
/// use onemark_models::reference::{Maps, run};
///
/// let mut graph = Graph::new("example");
/// let film = graph.input(Port::Film, [1, 1, 2, 2])?;
/// let pooled = graph.apply(Owner::Trunk.node("pool"), Op::MaxPool, &[film])?;
/// graph.output(Port::Score, pooled)?;
///
/// let film = Array4::from_shape_vec((1, 1, 2, 2), vec![0.1, 0.7, 0.2, 0.3])?;
/// let outputs = run(&graph, &Parameters::new(), &Maps::from([(Port::Film, film)]))?;
/// assert_eq!(outputs[&Port::Score][[0, 0, 0, 0]], 0.7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An input or parameter is missing, or has another shape than the graph states. Inputs may have any batch size.
pub fn run(graph: &Graph, parameters: &Parameters, inputs: &Maps) -> Result<Maps, ReferenceError> {
    let mut values: BTreeMap<_, Array4<f32>> = BTreeMap::new();
    let mut uses = graph.reads();
    for (value, node) in graph.nodes() {
        let missing = |what: String, expected: &[usize]| ReferenceError::Missing {
            graph: graph.name().to_owned(),
            node: node.id.clone(),
            what,
            expected: expected.to_vec(),
        };
        let mut params = Vec::with_capacity(node.params.len());
        for param in &node.params {
            let shape = graph.params().get(param).map_or(&[][..], |shape| shape);
            let tensor = parameters.get(param).filter(|tensor| tensor.shape() == shape);
            params.push(tensor.ok_or_else(|| missing(param.to_string(), shape))?.view());
        }
        let vector = |index: usize| -> Array1<f32> { params[index].iter().copied().collect() };
        let x = |index: usize| &values[&node.inputs[index]];
        let shape = |source| ReferenceError::Shape { graph: graph.name().to_owned(), node: node.id.clone(), source };
        let result = match node.op {
            Op::Input => {
                let port = graph.input_port(value);
                let given = port.and_then(|port| inputs.get(port));
                let given = given.filter(|given| given.shape()[1..] == node.shape[1..]);
                let what = || port.map_or_else(|| node.id.to_string(), Port::to_string);
                given.ok_or_else(|| missing(what(), &node.shape))?.clone()
            }
            Op::Conv { dilation, padded, bias } => {
                let weight = params[0].to_shape(four(params[0].shape())).map_err(shape)?.to_owned();
                let bias = if bias { vector(1) } else { Array1::zeros(weight.shape()[0]) };
                conv(x(0), &weight, &bias, dilation, padded)
            }
            Op::BatchNorm => {
                let scale = vector(0) / (vector(3) + BATCH_NORM_EPSILON).mapv(f32::sqrt);
                let shift = vector(1) - vector(2) * &scale;
                let mut y = x(0).clone();
                for (channel, mut plane) in y.axis_iter_mut(Axis(1)).enumerate() {
                    plane.mapv_inplace(|number| number * scale[channel] + shift[channel]);
                }
                y
            }
            Op::Relu => x(0).mapv(|number| number.max(0.0)),
            Op::Clamp => x(0).mapv(|number| number.clamp(0.0, 1.0)),
            Op::FakeQuantise => {
                let scale = vector(0)[0];
                x(0).mapv(|number| scale * (number / scale).round_ties_even().clamp(0.0, 255.0))
            }
            Op::MaxPool => max_pool(x(0)),
            Op::Upsample { factor, mode } => upsample(x(0), factor, mode),
            Op::Interpolate => interpolate(x(0), x(1), x(2)),
            Op::Crop { rows, columns } => {
                let (_, _, height, width) = x(0).dim();
                x(0).slice(s![.., .., rows..height - rows, columns..width - columns]).to_owned()
            }
            Op::Slice { first, count } => x(0).slice(s![.., first..first + count, .., ..]).to_owned(),
            Op::Concat => {
                let parts: Vec<_> = (0..node.inputs.len()).map(|index| x(index).view()).collect();
                concatenate(Axis(1), &parts).map_err(shape)?
            }
            Op::Add => x(0) + x(1),
            // A single channel is broadcast to all channels.
            Op::Mul => x(0) * x(1),
            Op::Cosine => cosine(x(0), &vector(0)),
        };
        values.insert(value, result);
        for input in &node.inputs {
            // Taps and score maps are large, so values that no later node reads are dropped.
            if let Some(left) = uses.get_mut(input) {
                *left -= 1;
                if *left == 0 {
                    values.remove(input);
                }
            }
        }
    }
    Ok(graph.outputs().iter().map(|(port, value)| (port.clone(), values[value].clone())).collect())
}

fn four(shape: &[usize]) -> [usize; 4] {
    let mut four = [1; 4];
    four.iter_mut().zip(shape).for_each(|(to, from)| *to = *from);
    four
}

fn conv(x: &Array4<f32>, weight: &Array4<f32>, bias: &Array1<f32>, dilation: usize, padded: bool) -> Array4<f32> {
    let (out, _, kernel_rows, kernel_columns) = weight.dim();
    let reach = [kernel_rows, kernel_columns].map(|side| side / 2 * dilation);
    let [top, left] = if padded { reach } else { [0, 0] };
    let (batch, channels, rows, columns) = x.dim();
    let mut padded = Array4::zeros((batch, channels, rows + 2 * top, columns + 2 * left));
    padded.slice_mut(s![.., .., top..top + rows, left..left + columns]).assign(x);
    let (rows, columns) = (rows + 2 * top - 2 * reach[0], columns + 2 * left - 2 * reach[1]);
    let taps = kernel_rows * kernel_columns;
    let matrix: Array2<f32> = Array2::from_shape_fn((out, channels * taps), |(o, i)| {
        weight[[o, i / taps, i % taps / kernel_columns, i % kernel_columns]]
    });
    let mut y = Array4::zeros((batch, out, rows, columns));
    for image in 0..batch {
        for first in (0..rows).step_by(STRIP) {
            let height = STRIP.min(rows - first);
            let mut patches = Array2::zeros((channels * taps, height * columns));
            for (index, mut patch) in patches.axis_iter_mut(Axis(0)).enumerate() {
                let (channel, tap) = (index / taps, index % taps);
                let row = first + tap / kernel_columns * dilation;
                let column = tap % kernel_columns * dilation;
                let window = padded.slice(s![image, channel, row..row + height, column..column + columns]);
                patch.iter_mut().zip(window).for_each(|(to, from)| *to = *from);
            }
            let strip = matrix.dot(&patches);
            let mut target = y.slice_mut(s![image, .., first..first + height, ..]);
            for ((mut plane, values), bias) in target.axis_iter_mut(Axis(0)).zip(strip.axis_iter(Axis(0))).zip(bias) {
                plane.iter_mut().zip(values).for_each(|(to, from)| *to = from + bias);
            }
        }
    }
    y
}

fn max_pool(x: &Array4<f32>) -> Array4<f32> {
    let (batch, channels, rows, columns) = x.dim();
    Array4::from_shape_fn((batch, channels, rows / 2, columns / 2), |(b, c, i, j)| {
        let (i, j) = (2 * i, 2 * j);
        x[[b, c, i, j]].max(x[[b, c, i, j + 1]]).max(x[[b, c, i + 1, j]]).max(x[[b, c, i + 1, j + 1]])
    })
}

fn upsample(x: &Array4<f32>, factor: usize, mode: CoordinateMode) -> Array4<f32> {
    let rows = interpolation(x.dim().2, factor, mode);
    let columns = interpolation(x.dim().3, factor, mode);
    planes(x, rows.view(), columns.t())
}

/// The rows and columns of each matrix are its last two axes.
fn interpolate(x: &Array4<f32>, rows: &Array4<f32>, columns: &Array4<f32>) -> Array4<f32> {
    planes(x, rows.slice(s![0, 0, .., ..]), columns.slice(s![0, 0, .., ..]))
}

/// `rows . plane . columns` of every plane.
fn planes(x: &Array4<f32>, rows: ArrayView2<'_, f32>, columns: ArrayView2<'_, f32>) -> Array4<f32> {
    let (batch, channels, _, _) = x.dim();
    let mut y = Array4::zeros((batch, channels, rows.nrows(), columns.ncols()));
    for (from, mut to) in x.outer_iter().zip(y.outer_iter_mut()) {
        for (plane, mut target) in from.outer_iter().zip(to.outer_iter_mut()) {
            let plane: ArrayView2<'_, f32> = plane;
            target.assign(&rows.dot(&plane).dot(&columns));
        }
    }
    y
}

fn cosine(x: &Array4<f32>, vector: &Array1<f32>) -> Array4<f32> {
    let norm = vector.dot(vector).sqrt();
    let (batch, _, rows, columns) = x.dim();
    let mut y = Array4::zeros((batch, 1, rows, columns));
    Zip::from(y.lanes_mut(Axis(1))).and(x.lanes(Axis(1))).for_each(|mut to, from| {
        to[0] = from.dot(vector) / (from.dot(&from).sqrt() * norm + COSINE_EPSILON);
    });
    y
}
