//! Defines passes: the properties that a pass requires and establishes, and how exact it is.

use std::fmt;

use ndarray::Array2;
use onemark_models::graph::{GraphError, NodeId, Of, Op, ParamId, Port};
use onemark_models::landmarks::LandmarkId;
use onemark_models::reference::ReferenceError;

use crate::Options;
use crate::module::Module;

/// A step from a trained network to the network in a bundle.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Its name in reports and on the command line.
    pub name: &'static str,
    /// The properties that must hold before the pass.
    pub requires: &'static [Property],
    /// The properties that it establishes. They are checked after this pass and after every later pass.
    pub ensures: &'static [Property],
    /// How the network's results differ after the pass.
    pub effect: Effect,
    /// Whether the pass runs with these options.
    pub applies: fn(&Options) -> bool,
    /// Rewrites the module.
    pub run: fn(Module, &Context<'_>) -> Result<Module, PassError>,
}

/// Data that a pass may use in addition to the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The quantisation films on the grid, `[size, size]` in [0, 1].
    pub films: &'a [Array2<f32>],
}

/// How exact a pass is. Tolerances are shares of an output's largest number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// The results are the same, bit for bit.
    Exact,
    /// The results are the same except for rounding.
    Rounds {
        /// The largest difference of an output.
        tolerance: f32,
    },
    /// The results change on purpose. Later passes are compared with the network after this pass.
    Changes {
        /// The largest difference of an output between backends.
        tolerance: f32,
    },
}

impl Effect {
    /// The effect of folding, which rounds once more than the interpreter.
    pub const FOLDS: Self = Self::Rounds { tolerance: 1e-5 };

    /// The largest difference that it may cause.
    pub fn tolerance(self) -> f32 {
        match self {
            Self::Exact => 0.0,
            Self::Rounds { tolerance } | Self::Changes { tolerance } => tolerance,
        }
    }
}

/// A property of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Property {
    /// No graph has a batch normalisation.
    NoBatchNorm,
    /// Each head starts at the film, and the trunk is empty, as in the trained network. Hoisting ends this property.
    WholeHeads,
    /// The film is the trunk's input; all inputs of heads are outputs of the trunk.
    TrunkAndHeads,
    /// Every cosine uses a template vector, which has numbers.
    TemplateBaked,
}

impl Property {
    /// How `module` breaks the property; `None` if it holds.
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
                let stray = stray.map(|(head, (port, _))| format!("graph {} has the input {port}", head.name()));
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

/// An input of a head, or of the coarse graph for some landmark, that is not an output of the trunk.
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
    Some(format!("graph {}: its input {port} is not an output of the trunk", graph.name()))
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBatchNorm => "no graph has a batch normalisation",
            Self::WholeHeads => "every head starts at the film",
            Self::TrunkAndHeads => "all inputs of heads are outputs of the trunk",
            Self::TemplateBaked => "template vectors are constants",
        })
    }
}

/// Why a pass or a later stage of a compile fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum PassError {
    /// A property does not hold that the pass requires or establishes, or that held before it.
    #[error("\"{property}\" does not hold {when}: {why}")]
    Property {
        property: Property,
        /// Whether it does not hold before or after the pass.
        when: &'static str,
        /// How the module breaks it.
        why: String,
    },
    /// The rewritten graph is invalid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Nodes that should be equal in all heads, or parameters that should be equal under one id, differ.
    #[error("{what} differs between landmarks: {first} and {second}")]
    Differs {
        /// The node or parameter.
        what: String,
        /// Its form in one graph.
        first: String,
        /// Its form in another graph.
        second: String,
    },
    /// A node has other operands or parameters than its operation needs.
    #[error("node {node}: {why}")]
    Malformed { node: NodeId, why: &'static str },
    /// The trunk could not be run on a quantisation film.
    #[error("quantisation films: {source}")]
    Films { source: ReferenceError },
    /// A number is too large for f16.
    #[error("parameter {param} has numbers above 65504, the largest f16; export it as f32")]
    TooLarge { param: ParamId },
    /// A parameter has no numbers.
    #[error("parameter {param} has no numbers")]
    NoTensor { param: ParamId },
    /// The numbers of a parameter have another shape than the graphs state.
    #[error("parameter {param} has numbers of shape {found:?}, not {expected:?}")]
    Shape {
        param: ParamId,
        /// The shape that the graphs state.
        expected: Vec<usize>,
        /// The shape of its numbers.
        found: Vec<usize>,
    },
}
