//! The only place where ids are spelled: for checkpoints, bundles and messages. Spellings are not parsed: a reader spells the ids
//! that it expects and looks them up.
//!
//! | what | spelled |
//! |---|---|
//! | a parameter of the trunk | `trunk.features.0.weight` |
//! | of the shared decoder, of landmark 7's own decoder | `decoder.embed5.bias`, `own.07.embed5.bias` |
//! | of landmark 7's adapter, of the adapter of any landmark | `adapter.07.rfb3.fuse.conv.weight`, `adapter.rfb3.fuse.conv.weight` |
//! | landmark 7's template vector on level 3 | `template.07.level3` |
//!
//! ```
//! use onemark_models::graph::{Level, Of, Owner, ParamId, Role};
//! use onemark_models::landmarks::LandmarkId;
//!
//! let (landmark, level) = LandmarkId::new(7).zip(Level::new(3)).ok_or("impossible numbers")?;
//! assert_eq!(ParamId::vector(Of::One(landmark), level).to_string(), "template.07.level3");
//! let bias = Owner::Decoder(Of::All).node("embed5").param(Role::Bias);
//! assert_eq!(bias.to_string(), "decoder.embed5.bias");
//! # Ok::<(), &str>(())
//! ```

use std::fmt;

use crate::graph::{NodeId, Of, Owner, ParamId, Part, Port, Role};

/// The name of the film input.
pub const FILM: &str = "film";
/// The name of the score output.
pub const SCORE: &str = "score";
/// The tensor of a checkpoint that holds the last pseudo-labels of its training films (`checkpoint::pseudo_labels::to_tensor`).
pub const PSEUDO_LABELS: &str = "labels";
/// The tensor of a checkpoint that holds the weight of each pseudo-label in training, `[films, landmarks]`.
pub const LABEL_WEIGHTS: &str = "label_weights";
/// The name of the scores of landmarks on the training films, `[films, landmarks]`, in a finished checkpoint.
pub const FILM_SCORES: &str = "film_scores";

/// What torchvision's VGG19 calls a parameter of the trunk: `features.0.weight`.
pub fn torchvision(param: &ParamId) -> String {
    format!("{}.{}", param.node.path(), role(param.role))
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Weight | Role::NormScale => "weight",
        Role::Bias | Role::NormShift => "bias",
        Role::RunningMean => "running_mean",
        Role::RunningVariance => "running_var",
        Role::Vector(_) => "vector",
        Role::Step => "step",
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Trunk => "trunk",
            Self::Decoder(Of::All) => return f.write_str("decoder"),
            Self::Decoder(_) => "own",
            Self::Adapter(_) => "adapter",
            Self::Template(_) => "template",
        };
        match (self, self.of()) {
            (Self::Trunk, _) | (_, Of::Any) => f.write_str(name),
            (_, Of::All) => write!(f, "{name}.all"),
            (_, Of::One(landmark)) => write!(f, "{name}.{landmark:02}"),
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.owner, self.path())
    }
}

impl fmt::Display for ParamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)?;
        if !self.is_vector() {
            write!(f, ".{}", role(self.role))?;
        }
        f.write_str(match self.part {
            Part::Whole => "",
            Part::Invariant => ".invariant",
            Part::Specific => ".specific",
        })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Film => f.write_str(FILM),
            Self::Tap(level) => write!(f, "tap{level}"),
            Self::Embedding(level) => write!(f, "embedding{level}"),
            Self::Score => f.write_str(SCORE),
            Self::Crossing(node) => node.fmt(f),
            Self::Rows { from, to } => write!(f, "rows{from}to{to}"),
            Self::Columns { from, to } => write!(f, "columns{from}to{to}"),
            Self::Inside(level) => write!(f, "inside{level}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::graph::Level;
    use crate::landmarks::LandmarkId;

    /// The spellings in existing checkpoints and bundles.
    #[test]
    fn spellings_are_those_of_the_formats() {
        let seven = Of::One(LandmarkId::new(7).unwrap());
        let three = Level::new(3).unwrap();
        let conv = |owner: Owner| owner.node("level3.conv1");
        let node = |owner: Owner| conv(owner).param(Role::Weight).to_string();
        assert_eq!(Owner::Trunk.node("features.0").param(Role::Bias).to_string(), "trunk.features.0.bias");
        assert_eq!(torchvision(&Owner::Trunk.node("features.0").param(Role::Bias)), "features.0.bias");
        assert_eq!(node(Owner::Decoder(Of::All)), "decoder.level3.conv1.weight");
        assert_eq!(node(Owner::Decoder(seven)), "own.07.level3.conv1.weight");
        assert_eq!(node(Owner::Adapter(seven)), "adapter.07.level3.conv1.weight");
        assert_eq!(node(Owner::Adapter(Of::Any)), "adapter.level3.conv1.weight");
        let variance = Owner::Decoder(Of::All).node("level3.bn1").param(Role::RunningVariance);
        assert_eq!(variance.to_string(), "decoder.level3.bn1.running_var");
        assert_eq!(ParamId::vector(seven, three).to_string(), "template.07.level3");
        assert_eq!(ParamId::vector(Of::Any, three).to_string(), "template.level3");
        assert_eq!(Port::Embedding(three).to_string(), "embedding3");
        assert_eq!(Port::Crossing(conv(Owner::Adapter(Of::Any))).to_string(), "adapter.level3.conv1");
        assert_eq!(Port::Rows { from: 2, to: 0 }.to_string(), "rows2to0");
    }
}
