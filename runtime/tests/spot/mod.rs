// Bundles small enough to reason about, and films for them. The tests of the detector have this file as a module, the examples
// in the documentation include it.

use std::collections::BTreeMap;

use onemark_film::Film;
use onemark_film::geometry::{Point, Size};
use onemark_models::bundle::{
    Bundle, FORMAT, GraphEntry, HeadEntry, Input, Manifest, Precision, Span, TensorEntry, WEIGHTS, names,
};
use onemark_models::graph::{Level, Port};
use onemark_models::landmarks::{Analysis, Landmark, LandmarkId, LandmarkSet};
use onemark_models::network::SCORE;
use onemark_models::yaml;
use onemark_onnx::builder;
use onemark_onnx::proto::{AttributeProto, DataType, NodeProto, TensorProto};
use onemark_runtime::{BackendKind, Decoding, Detector, Options};

/// The size of the films.
pub const FILM: Size = Size { width: 96, height: 60 };
/// The brightest place of the film, in px.
pub const SPOT: Point = Point::new(33.0, 41.5);
/// Px of such a film per cell of [`bundle`]'s grid: to the right, down.
pub const PX_PER_CELL: (f64, f64) = (4.0, 2.5);

/// 8-bit grey and the resize move a wide spot's peak by less than this.
pub const REFINED_PX: f64 = 0.25;
/// A few roundings of doubles.
pub const ROUNDING_PX: f64 = 1e-9;

const NAMES: [&str; 2] = ["spot", "left"];

/// What is measured between the spot and its neighbour.
const ANALYSIS: &str = "{sources: {us: ourselves}, measurements: [{name: gap, title: Gap, source: us, formula: {distance: [spot, left]}}]}";

/// A film with one bright spot.
pub fn film() -> Film {
    film_with(SPOT)
}

/// A film with one bright spot there.
pub fn film_with(spot: Point) -> Film {
    let bright = |x: u32, y: u32| {
        let (dx, dy) = (f64::from(x) + 0.5 - spot.x, f64::from(y) + 0.5 - spot.y);
        (250.0 * (-(dx * dx + dy * dy) / 200.0).exp()).round() as u8
    };
    let rows = (0..FILM.height).flat_map(|y| (0..FILM.width).map(move |x| bright(x, y)));
    Film::from_grey(FILM, rows.collect()).unwrap()
}

/// A bundle whose trunk copies the film. Landmark 1 is the brightest spot, landmark 2 one cell to the left of it. The kernel of
/// landmark 1 has this weight at its centre.
pub fn bundle(weight: f32) -> Bundle {
    const SIZE: usize = 24;
    // Two 3x3 kernels: the cell itself, and its neighbour to the right.
    let mut weights = [0.0_f32; 18];
    (weights[4], weights[9 + 5]) = (weight, 1.0);
    let copy = Tensor { name: "copy".into(), channels: 1, side: SIZE };
    let trunk = Graph::new(SIZE, vec![Tensor::film(SIZE)], vec![copy.clone()], vec![node("Relu", "copy", &["film"])]);
    let heads = [0, 36].map(|offset| {
        let kernel = builder::external("kernel", &[1, 1, 3, 3], DataType::Float, WEIGHTS, offset..offset + 36);
        let pads = vec![builder::integers("pads", [1; 4])];
        let conv = builder::node("Conv", SCORE, &["copy", "kernel"], pads);
        Graph { constants: vec![kernel], ..Graph::new(SIZE, vec![copy.clone()], vec![Tensor::score(SIZE)], vec![conv]) }
    });
    of_graphs(&trunk, &heads, &weights, |_, _| Span { offset: 0, length: 4 })
}

/// A bundle that can be adapted: its trunk makes the embeddings of five levels, two numbers for each cell, from how bright the
/// film is there. Its landmarks are those of [`bundle`].
pub fn adaptable() -> Bundle {
    const SIZE: usize = 32;
    let mut made = vec![Tensor { name: "copy".into(), channels: 1, side: SIZE }];
    let mut nodes = vec![node("Relu", "copy", &["film"])];
    for level in Level::COARSE_TO_FINE {
        let (stride, name) = (level.stride(), Port::Embedding(level).to_string());
        let pooled = format!("pooled{}", level.number());
        let sides = ["kernel_shape", "strides"].map(|name| builder::integers(name, [stride; 2]));
        nodes.push(builder::node("MaxPool", &pooled, &["film"], sides.into()));
        nodes.push(node("Conv", &name, &[&pooled, "kernel", "bias"]));
        made.push(Tensor { name, channels: 2, side: SIZE / stride });
    }
    let constants =
        vec![builder::floats("kernel", &[2, 1, 1, 1], &[1.0, -1.0]), builder::floats("bias", &[2], &[0.0, 1.0])];
    let copy = made[0].clone();
    let trunk = Graph { constants, ..Graph::new(SIZE, vec![Tensor::film(SIZE)], made, nodes) };
    // The cell itself, and its neighbour to the right.
    let heads = [4, 5].map(|cell| {
        let kernel = std::array::from_fn::<f32, 9, _>(|at| if at == cell { 1.0 } else { 0.0 });
        let conv = builder::node("Conv", SCORE, &["copy", "kernel"], vec![builder::integers("pads", [1; 4])]);
        let constants = vec![builder::floats("kernel", &[1, 1, 3, 3], &kernel)];
        Graph { constants, ..Graph::new(SIZE, vec![copy.clone()], vec![Tensor::score(SIZE)], vec![conv]) }
    });
    // Each vector says "bright".
    let weights: Vec<f32> = [1.0, 0.0].repeat(2 * Level::COARSE_TO_FINE.len());
    let place = |landmark: usize, level: usize| (landmark * Level::COARSE_TO_FINE.len() + level) * 8;
    of_graphs(&trunk, &heads, &weights, |landmark, level| Span { offset: place(landmark, level), length: 8 })
}

/// All backends that work here. tract always works.
pub fn backends() -> impl Iterator<Item = BackendKind> {
    BackendKind::compiled().iter().copied().filter(|kind| kind.probe().is_ok())
}

/// A detector with these options.
pub fn detector(bundle: &Bundle, backend: BackendKind, threads: usize, decoding: Decoding) -> Detector {
    let options = Options::default().with_backend(backend).with_threads(threads).with_decoding(decoding);
    Detector::new(bundle, options).unwrap()
}

#[derive(Clone)]
struct Tensor {
    name: String,
    channels: usize,
    side: usize,
}

impl Tensor {
    fn film(side: usize) -> Self {
        Self { name: "film".into(), channels: 1, side }
    }

    fn score(side: usize) -> Self {
        Self { name: SCORE.into(), channels: 1, side }
    }

    fn shape(&self) -> [usize; 4] {
        [1, self.channels, self.side, self.side]
    }
}

struct Graph {
    size: usize,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Graph {
    fn new(size: usize, inputs: Vec<Tensor>, outputs: Vec<Tensor>, nodes: Vec<NodeProto>) -> Self {
        Self { size, inputs, outputs, nodes, constants: Vec::new() }
    }

    fn entry(&self, file: &str) -> GraphEntry {
        let entries = |tensors: &[Tensor]| {
            tensors.iter().map(|tensor| TensorEntry { name: tensor.name.clone(), shape: tensor.shape() }).collect()
        };
        GraphEntry { file: file.into(), inputs: entries(&self.inputs), outputs: entries(&self.outputs) }
    }

    fn file(&self) -> Vec<u8> {
        let values =
            |tensors: &[Tensor]| tensors.iter().map(|tensor| builder::value(&tensor.name, &tensor.shape())).collect();
        let (inputs, outputs) = (values(&self.inputs), values(&self.outputs));
        let graph = builder::graph("test", self.nodes.clone(), self.constants.clone(), inputs, outputs);
        builder::file(graph, "a test", "1")
    }
}

fn node(op: &str, name: &str, inputs: &[&str]) -> NodeProto {
    builder::node(op, name, inputs, Vec::<AttributeProto>::new())
}

/// A bundle of two heads. `vector` says where the vectors are, by landmark and level, both from 0.
fn of_graphs(trunk: &Graph, heads: &[Graph; 2], weights: &[f32], vector: impl Fn(usize, usize) -> Span) -> Bundle {
    let landmarks = LandmarkId::up_to(NAMES.len()).zip(NAMES).map(|(number, name)| Landmark {
        number,
        name: name.into(),
        title: name.into(),
        definition: "Where it is.".into(),
    });
    let head = |number: usize| format!("landmark-{number:02}-{}.onnx", NAMES[number - 1]);
    let vectors = LandmarkId::up_to(NAMES.len()).flat_map(|landmark| {
        let levels = Level::COARSE_TO_FINE.into_iter().enumerate();
        let vector = &vector;
        levels.map(move |(place, level)| (names::vector(landmark, level), vector(landmark.index(), place)))
    });
    let weights: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    let mut files = BTreeMap::from([(WEIGHTS.to_owned(), weights), ("trunk.onnx".to_owned(), trunk.file())]);
    files.extend((1..).zip(heads).map(|(number, graph)| (head(number), graph.file())));
    let entries = (1..).zip(heads);
    let entries = entries.map(|(landmark, graph)| HeadEntry { landmark, graph: graph.entry(&head(landmark)) });
    let manifest = Manifest {
        format: FORMAT,
        name: "spot".into(),
        made_by: "a test".into(),
        landmark_set: LandmarkSet {
            id: "spot2".into(),
            name: "A spot and its neighbour".into(),
            source: "a test".into(),
            landmarks: landmarks.collect(),
            analysis: yaml::read::<Analysis>("a test", ANALYSIS).unwrap(),
            joints: Vec::new(),
        },
        input: Input { size: trunk.size, preprocessing: "resized".into() },
        trunk: trunk.entry("trunk.onnx"),
        heads: entries.collect(),
        plan: None,
        weights: Precision::F32,
        template_vectors: vectors.collect(),
        shape_prior: None,
        accuracy: None,
        calibration: None,
        familiarity: None,
        second_look: None,
        adapted: None,
        recipe: String::new(),
        history: Vec::new(),
        intended_use: "tests".into(),
        weights_licence: "none".into(),
        files: BTreeMap::new(),
    };
    Bundle::new(manifest, files).unwrap()
}
