//! What a pass is: what it needs, what it establishes, and how exact it is.

use std::fmt;

use ndarray::Array2;
use onemark_models::graph::{GraphError, NodeId, Of, Op, ParamId, Port};
use onemark_models::landmarks::LandmarkId;
use onemark_models::reference::ReferenceError;

use crate::Options;
use crate::module::Module;

/// A step from a trained network to one that a bundle holds.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// What it is called, in reports and on the command line.
    pub name: &'static str,
    /// What must hold before.
    pub requires: &'static [Property],
    /// What it establishes. It holds from then on: each later pass is checked not to break it.
    pub ensures: &'static [Property],
    /// How its results differ from those of before.
    pub effect: Effect,
    /// Whether it belongs to a way to compile.
    pub applies: fn(&Options) -> bool,
    /// Rewrites the module.
    pub run: fn(Module, &Context<'_>) -> Result<Module, PassError>,
}

/// What a pass may look at beside the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Films on the grid, `[size, size]` in [0, 1], by which the trunk is quantised.
    pub films: &'a [Array2<f32>],
}

/// How exact a pass is. Tolerances are shares of an output's largest number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// The same numbers, bit for bit.
    Exact,
    /// The same numbers but for rounding.
    Rounds {
        /// The largest difference of an output.
        tolerance: f32,
    },
    /// Other numbers, on purpose: what comes after is compared with what this pass made.
    Changes {
        /// The largest difference of an output between backends.
        tolerance: f32,
    },
}

impl Effect {
    /// Folding rounds once more than interpreting does.
    pub const FOLDS: Self = Self::Rounds { tolerance: 1e-5 };

    /// The largest difference that it accounts for.
    pub fn tolerance(self) -> f32 {
        match self {
            Self::Exact => 0.0,
            Self::Rounds { tolerance } | Self::Changes { tolerance } => tolerance,
        }
    }
}

/// Something that holds for a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Property {
    /// No graph normalises batches.
    NoBatchNorm,
    /// Each head starts at the film, and the trunk is empty: as a network is trained, until hoisting ends it.
    WholeHeads,
    /// The film goes into the trunk; the heads take what the trunk makes.
    TrunkAndHeads,
    /// Every cosine compares with a template vector, which has numbers of its own.
    TemplateBaked,
}

impl Property {
    /// What contradicts the property in `module`, if anything does.
    pub fn broken_by(self, module: &Module) -> Option<String> {
        let mut nodes = module.graphs().flat_map(|graph| graph.nodes().map(move |(_, node)| (graph, node)));
        match self {
            Self::NoBatchNorm => nodes.find(|(_, node)| node.op == Op::BatchNorm).map(|(graph, node)| {
                format!("graph {}: batch normalisation {} has no convolution to fold into", graph.name(), node.id)
            }),
            Self::WholeHeads => {
                let mut ports =
                    module.heads.iter().flat_map(|head| head.inputs().iter().map(move |input| (head, input)));
                let stray = ports.find(|(_, (port, _))| *port != Port::Film);
                let stray = stray.map(|(head, (port, _))| format!("graph {} takes {port}", head.name()));
                stray.or_else(|| (!module.trunk.outputs().is_empty()).then(|| "the trunk has outputs".to_owned()))
            }
            Self::TrunkAndHeads => stray_input(module),
            Self::TemplateBaked => {
                let read = nodes.filter(|(_, node)| node.op == Op::Cosine).flat_map(|(_, node)| &node.params);
                let read: Vec<ParamId> = read.flat_map(|param| param.each(module.heads.len())).collect();
                let baked = |param: &&ParamId| param.is_vector() && module.tensors.contains_key(param);
                read.iter().find(|param| !baked(param)).map(|param| match param.is_vector() {
                    true => format!("{param} has no numbers"),
                    false => format!("{param} is not a template vector"),
                })
            }
        }
    }
}

/// An input of a head, or of the coarse graph for some landmark, that the trunk does not make.
fn stray_input(module: &Module) -> Option<String> {
    let made = |port: &Port| *port != Port::Film && module.trunk.outputs().iter().any(|(output, _)| output == port);
    let heads = LandmarkId::up_to(module.heads.len()).zip(&module.heads);
    let graphs = heads.flat_map(|(landmark, head)| {
        [Some(head), module.split_head.as_ref().map(|split| &split.coarse)].map(move |graph| (landmark, graph))
    });
    let mut inputs = graphs.filter_map(|(landmark, graph)| Some((landmark, graph?))).flat_map(|(landmark, graph)| {
        let port = move |port: &Port| port.map(|of: Of| of.for_landmark(landmark));
        graph.inputs().iter().map(move |(input, _)| (graph, port(input)))
    });
    let (graph, port) = inputs.find(|(_, port)| !made(port))?;
    Some(format!("graph {}: the trunk does not make {port}", graph.name()))
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBatchNorm => "no graph normalises batches",
            Self::WholeHeads => "every head starts at the film",
            Self::TrunkAndHeads => "heads take what the trunk makes",
            Self::TemplateBaked => "template vectors are constants",
        })
    }
}

/// Why a pass, or a later stage of a compile, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// A property that the pass needs or establishes, or must leave alone, does not hold.
    #[error("\"{property}\" does not hold {when}: {why}")]
    Property {
        /// The property.
        property: Property,
        /// Before or after the pass.
        when: &'static str,
        /// What contradicts it.
        why: String,
    },
    /// The rewritten graph is impossible.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Parts that should be equal in all heads, or under one id, are not.
    #[error("{what} differs between landmarks: {first} and {second}")]
    Differs {
        /// The node or parameter.
        what: String,
        /// In one graph.
        first: String,
        /// In another.
        second: String,
    },
    /// A node has other operands or parameters than its operation takes.
    #[error("node {node}: {why}")]
    Malformed {
        /// The node.
        node: NodeId,
        /// What is wrong.
        why: &'static str,
    },
    /// The trunk could not be run on a film that it is quantised by.
    #[error("quantisation films: {source}")]
    Films {
        /// What the reference interpreter said.
        source: ReferenceError,
    },
    /// A number is beyond what f16 can hold.
    #[error("parameter {param} has numbers beyond 65504, the largest f16: export it as f32")]
    TooLarge {
        /// The parameter.
        param: ParamId,
    },
    /// A parameter has no numbers.
    #[error("parameter {param} has no numbers")]
    NoTensor {
        /// The parameter.
        param: ParamId,
    },
    /// A parameter has numbers of another shape than the graphs say.
    #[error("parameter {param} has numbers of shape {found:?}, not {expected:?}")]
    Shape {
        /// The parameter.
        param: ParamId,
        /// The shape that the graphs say.
        expected: Vec<usize>,
        /// The shape of its numbers.
        found: Vec<usize>,
    },
}
