//! Ids of nodes and parameters, and the ports of graphs. Their types state which part of the network something belongs to and what
//! it is for. [`crate::network::names`] spells ids for checkpoints and bundles; no code parses a spelling.

use std::sync::Arc;

use super::Level;
use crate::landmarks::LandmarkId;

/// The part of the network that a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The frozen part, which every landmark shares.
    Trunk,
    /// The trained part: one for all landmarks, or one for each.
    Decoder(Of),
    /// A landmark's own convolutions, parallel to the decoder's.
    Adapter(Of),
    /// A landmark's template vectors, with which its embeddings are compared.
    Template(Of),
}

/// Which landmarks an [`Owner`] serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// All together: shared parameters, or the stacked parameters of all landmarks.
    All,
    /// One landmark.
    One(LandmarkId),
    /// Each in turn: in a graph that takes the parameters of the landmark for which it runs.
    Any,
}

impl Of {
    /// `Any` in place of one landmark.
    #[must_use]
    pub fn generic(self) -> Self {
        if let Self::One(_) = self { Self::Any } else { self }
    }

    /// This landmark in place of `Any`.
    #[must_use]
    pub fn for_landmark(self, landmark: LandmarkId) -> Self {
        if self == Self::Any { Self::One(landmark) } else { self }
    }
}

impl Owner {
    /// The landmarks that it serves; the trunk serves all.
    pub fn of(self) -> Of {
        match self {
            Self::Trunk => Of::All,
            Self::Decoder(of) | Self::Adapter(of) | Self::Template(of) => of,
        }
    }

    /// Whether it belongs to one landmark: the invariant part of a network does not depend on it.
    pub fn is_specific(self) -> bool {
        self.of() != Of::All
    }

    /// The same part of the network for other landmarks.
    #[must_use]
    pub fn map(self, of: impl Fn(Of) -> Of) -> Self {
        match self {
            Self::Trunk => Self::Trunk,
            Self::Decoder(old) => Self::Decoder(of(old)),
            Self::Adapter(old) => Self::Adapter(of(old)),
            Self::Template(old) => Self::Template(of(old)),
        }
    }

    /// The node of this owner at `path`.
    pub fn node(self, path: impl AsRef<str>) -> NodeId {
        NodeId { owner: self, path: path.as_ref().into() }
    }
}

/// A node of a graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// The part of the network that it belongs to.
    pub owner: Owner,
    path: Arc<str>,
}

impl NodeId {
    /// Its path inside that part: `level3.conv1`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The id of a node that is made from this node, or for it: `suffix` is added to the path.
    #[must_use]
    pub fn then(&self, step: impl AsRef<str>) -> NodeId {
        self.owner.node(format!("{}.{}", self.path, step.as_ref()))
    }

    /// The whole parameter of this node with the role `role`.
    pub fn param(&self, role: Role) -> ParamId {
        ParamId { node: self.clone(), role, part: Part::Whole }
    }

    /// The node at the same path for other landmarks.
    #[must_use]
    pub fn map(&self, of: impl Fn(Of) -> Of) -> NodeId {
        NodeId { owner: self.owner.map(of), path: self.path.clone() }
    }
}

/// A parameter of a graph. It keeps its id if a pass changes its values or its shape.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId {
    /// The node that had the parameter in training.
    pub node: NodeId,
    /// What the node uses it for.
    pub role: Role,
    /// The part of the trained parameter that this is.
    pub part: Part,
}

impl ParamId {
    /// The template vector of a landmark on a level.
    pub fn vector(of: Of, level: Level) -> Self {
        Owner::Template(of).node(format!("level{level}")).param(Role::Vector(level))
    }

    /// Whether it belongs to one landmark.
    pub fn is_specific(&self) -> bool {
        self.node.owner.is_specific()
    }

    /// Whether it is a running statistic of batch normalisation, which is not trained.
    pub fn is_statistic(&self) -> bool {
        matches!(self.role, Role::RunningMean | Role::RunningVariance)
    }

    /// Whether it is a template vector, which can be replaced in a bundle.
    pub fn is_vector(&self) -> bool {
        matches!(self.role, Role::Vector(_))
    }

    /// This part of the same parameter.
    #[must_use]
    pub fn part(&self, part: Part) -> Self {
        Self { part, ..self.clone() }
    }

    /// The same parameter of other landmarks.
    #[must_use]
    pub fn map(&self, of: impl Fn(Of) -> Of) -> Self {
        Self { node: self.node.map(of), ..self.clone() }
    }

    /// The parameters that this id stands for: with `Any`, one for each of the first `count` landmarks; otherwise the parameter itself.
    pub fn each(&self, count: usize) -> Vec<Self> {
        match self.node.owner.of() {
            Of::Any => LandmarkId::up_to(count).map(|landmark| self.map(|of| of.for_landmark(landmark))).collect(),
            Of::All | Of::One(_) => vec![self.clone()],
        }
    }
}

/// What a node uses a parameter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A convolution's kernels, `[out, in, rows, columns]`.
    Weight,
    /// A convolution's bias, `[out]`.
    Bias,
    /// The factors of batch normalisation, `[channels]`.
    NormScale,
    /// The summands of batch normalisation, `[channels]`.
    NormShift,
    /// The mean that batch normalisation subtracts, `[channels]`.
    RunningMean,
    /// The variance that batch normalisation divides by, `[channels]`.
    RunningVariance,
    /// A template vector of a level, `[channels]`.
    Vector(Level),
    /// The distance between quantised values, `[]`.
    Step,
}

/// The parts into which the pass `split-affine` divides a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The whole weight.
    Whole,
    /// The input channels that depend on the film alone.
    Invariant,
    /// The input channels that depend on a landmark's parameters.
    Specific,
}

/// An input or an output of a graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// The film, `[1, 1, size, size]`, grey values in [0, 1].
    Film,
    /// The trunk's features of a level, `[1, channels, size / stride, size / stride]`.
    Tap(Level),
    /// The embeddings of a level, `[1, embedding, size / stride, size / stride]`.
    Embedding(Level),
    /// The score map, `[1, 1, size, size]` or a window of it, in [0, 1].
    Score,
    /// The output of a node of one graph that another graph reads.
    Crossing(NodeId),
    /// The matrix that interpolates the rows of level `to` from those of level `from`, `[1, 1, to, from]`. Level 0 is the grid.
    Rows {
        /// The coarser level.
        from: usize,
        /// The finer level.
        to: usize,
    },
    /// The matrix that interpolates columns, `[1, 1, from, to]`.
    Columns {
        /// The coarser level.
        from: usize,
        /// The finer level.
        to: usize,
    },
    /// 1 in the cells of a level that lie on the film, 0 in others, `[1, 1, rows, columns]`.
    Inside(usize),
}

impl Port {
    /// The id of the node that stands for this port if it is an input.
    pub fn node(&self) -> NodeId {
        let invariant = Owner::Decoder(Of::All);
        match self {
            Self::Film => Owner::Trunk.node("film"),
            Self::Tap(level) => Owner::Trunk.node(format!("tap{level}")),
            Self::Embedding(level) => invariant.node(format!("embed{level}")),
            Self::Score => Owner::Template(Of::All).node("score"),
            Self::Crossing(node) => node.clone(),
            Self::Rows { from, to } => invariant.node(format!("rows{from}to{to}")),
            Self::Columns { from, to } => invariant.node(format!("columns{from}to{to}")),
            Self::Inside(level) => invariant.node(format!("inside{level}")),
        }
    }

    /// The same port for other landmarks.
    #[must_use]
    pub fn map(&self, of: impl Fn(Of) -> Of) -> Port {
        match self {
            Self::Crossing(node) => Self::Crossing(node.map(of)),
            other => other.clone(),
        }
    }
}
