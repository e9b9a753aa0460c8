//! Ids of nodes and parameters, and the ports of graphs: who owns something and what it is for, as types. How ids are spelled in
//! checkpoints and bundles is in [`crate::network::names`]; no reader takes a spelling apart.

use std::sync::Arc;

use super::Level;
use crate::landmarks::LandmarkId;

/// Whose parameters a node reads, or would read if it had any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The frozen part, which every landmark shares.
    Trunk,
    /// The trained part: one for all landmarks, or one for each.
    Decoder(Of),
    /// A landmark's own convolutions beside the decoder's.
    Adapter(Of),
    /// A landmark's vectors, which its embeddings are compared with.
    Template(Of),
}

/// Which landmarks an [`Owner`] serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// All at once: shared parameters, or those of all landmarks stacked.
    All,
    /// One landmark.
    One(LandmarkId),
    /// Each in turn: a graph that takes the parameters of whichever landmark it runs for.
    Any,
}

impl Of {
    /// One landmark's becomes any landmark's.
    #[must_use]
    pub fn generic(self) -> Self {
        if let Self::One(_) = self { Self::Any } else { self }
    }

    /// Any landmark's becomes this landmark's.
    #[must_use]
    pub fn for_landmark(self, landmark: LandmarkId) -> Self {
        if self == Self::Any { Self::One(landmark) } else { self }
    }
}

impl Owner {
    /// Which landmarks it serves; the trunk serves all.
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

    /// The same part of the network, for other landmarks.
    #[must_use]
    pub fn map(self, of: impl Fn(Of) -> Of) -> Self {
        match self {
            Self::Trunk => Self::Trunk,
            Self::Decoder(old) => Self::Decoder(of(old)),
            Self::Adapter(old) => Self::Adapter(of(old)),
            Self::Template(old) => Self::Template(of(old)),
        }
    }

    /// The node at this place in it.
    pub fn node(self, path: impl AsRef<str>) -> NodeId {
        NodeId { owner: self, path: path.as_ref().into() }
    }
}

/// A node of a graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Whose parameters it reads.
    pub owner: Owner,
    path: Arc<str>,
}

impl NodeId {
    /// Its place in what its owner owns: `level3.conv1`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A node that is made from this one, or for it.
    #[must_use]
    pub fn then(&self, step: impl AsRef<str>) -> NodeId {
        self.owner.node(format!("{}.{}", self.path, step.as_ref()))
    }

    /// A whole parameter of this node.
    pub fn param(&self, role: Role) -> ParamId {
        ParamId { node: self.clone(), role, part: Part::Whole }
    }

    /// The same place for other landmarks.
    #[must_use]
    pub fn map(&self, of: impl Fn(Of) -> Of) -> NodeId {
        NodeId { owner: self.owner.map(of), path: self.path.clone() }
    }
}

/// A parameter of a graph. A pass that gives it other numbers, or another shape, keeps its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId {
    /// The node that the network was trained with.
    pub node: NodeId,
    /// What the node uses it for.
    pub role: Role,
    /// How much of it this is.
    pub part: Part,
}

impl ParamId {
    /// A landmark's template vector on a level.
    pub fn vector(of: Of, level: Level) -> Self {
        Owner::Template(of).node(format!("level{level}")).param(Role::Vector(level))
    }

    /// Whether it belongs to one landmark.
    pub fn is_specific(&self) -> bool {
        self.node.owner.is_specific()
    }

    /// Whether it is a running statistic of batch normalisation, not a trained number.
    pub fn is_statistic(&self) -> bool {
        matches!(self.role, Role::RunningMean | Role::RunningVariance)
    }

    /// Whether it is a template vector, which can be replaced in a bundle.
    pub fn is_vector(&self) -> bool {
        matches!(self.role, Role::Vector(_))
    }

    /// The same parameter, or a part of it.
    #[must_use]
    pub fn part(&self, part: Part) -> Self {
        Self { part, ..self.clone() }
    }

    /// The same parameter of other landmarks.
    #[must_use]
    pub fn map(&self, of: impl Fn(Of) -> Of) -> Self {
        Self { node: self.node.map(of), ..self.clone() }
    }

    /// The parameters that this one stands for: a generic one for that of each of the first `count` landmarks, any other for itself.
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
    /// What a convolution adds, `[out]`.
    Bias,
    /// What batch normalisation multiplies by, `[channels]`.
    NormScale,
    /// What batch normalisation adds, `[channels]`.
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

/// What `split-affine` makes of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// All of it.
    Whole,
    /// The input channels that depend on the film alone.
    Invariant,
    /// The input channels that depend on a landmark's parameters.
    Specific,
}

/// Where a tensor goes into a graph or comes out of it.
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
    /// What a node of one graph makes for another graph.
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
    /// The node that stands for this port where it is an input.
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
