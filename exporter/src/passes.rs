//! The passes: what each is, in which order they run, and what holds between them. Each pass has a file of its own.
//!
//! A pass names the [`Property`]s that it needs and those that it brings about. Both are checked, not believed: before and
//! after every pass.

mod bake_template;
mod fold_affine_chains;
mod fold_batch_norm;
mod fold_grey_input;
mod hoist_landmark_invariant;
mod lower_onnx;
mod narrow;
mod plan_levels;
mod quantise_trunk;
mod split_affine;
mod stack_adapters;
mod tie_weights;

use std::fmt;

use onemark_models::graph::{GraphError, Op};
use onemark_models::network::FILM;
use onemark_models::reference::ReferenceError;
use onemark_models::spelling;

use crate::ExportError;
use crate::module::Module;

/// The passes, in the order in which they run.
pub const PASSES: [&dyn Pass; 12] = [
    &fold_batch_norm::FoldBatchNorm,
    &fold_grey_input::FoldGreyInput,
    &split_affine::SplitAffine,
    &fold_affine_chains::FoldAffineChains,
    &plan_levels::PlanLevels,
    &hoist_landmark_invariant::HoistLandmarkInvariant,
    &stack_adapters::StackAdapters,
    &quantise_trunk::QuantiseTrunk,
    &bake_template::BakeTemplate,
    &narrow::Narrow,
    &tie_weights::TieWeights,
    &lower_onnx::LowerOnnx,
];

/// Whether a landmark's own convolution with a weight of this shape is better done for the whole field, and for all landmarks at
/// once, where the film alone makes its operand: one of many channels to few outputs. In a graph that serves all landmarks its weight
/// is an input, for which a backend lays out nothing in advance. Finer levels have fewer channels, and more cells than windows open.
fn is_thin(weight: &[usize]) -> bool {
    const CHANNELS_OF_EACH_OUTPUT: usize = 32;
    matches!(weight, [out, channels, rows, columns] if rows * columns > 1 && *channels >= CHANNELS_OF_EACH_OUTPUT * out)
}

/// A step from a trained network to the files of a bundle.
pub trait Pass: Sync {
    /// What it is called, in reports and on the command line.
    fn name(&self) -> &'static str;

    /// What must hold before.
    fn requires(&self) -> &'static [Property];

    /// What holds after, beside what held before.
    fn ensures(&self) -> &'static [Property];

    /// Rewrites the module. It computes the same as before, but for rounding.
    ///
    /// # Errors
    /// The module holds what the pass can't handle.
    fn run(&self, module: Module) -> Result<Module, PassError>;
}

/// Something that holds for a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Property {
    /// No graph normalises batches.
    NoBatchNorm,
    /// The film goes into the trunk; the heads take what the trunk makes.
    TrunkAndHeads,
    /// Every vector that a cosine reads is among the module's constants.
    TemplateBaked,
    /// Every parameter has its place in the weights.
    WeightsLaidOut,
    /// Every graph is an ONNX file.
    Lowered,
}

impl Property {
    /// What contradicts the property in `module`, if anything does.
    fn broken_by(self, module: &Module) -> Option<String> {
        let mut nodes = module.graphs().flat_map(|graph| graph.nodes().map(move |(_, node)| (graph, node)));
        match self {
            Self::NoBatchNorm => nodes
                .find(|(_, node)| node.op == Op::BatchNorm)
                .map(|(graph, node)| format!("graph {}: {} stands alone", graph.name(), node.name)),
            Self::TrunkAndHeads => {
                let made: Vec<_> = module.trunk.outputs().iter().map(|(name, _)| name).collect();
                let coarse = module.plan.iter().map(|plan| &plan.coarse);
                let strays = module
                    .heads
                    .iter()
                    .chain(coarse)
                    .flat_map(|head| head.inputs().map(move |(_, node)| (head, &node.name)));
                let stray = strays.into_iter().find(|(_, name)| *name == FILM || !made.contains(name));
                stray.map(|(head, name)| format!("graph {}: the trunk makes no {name}", head.name()))
            }
            Self::TemplateBaked => nodes
                .filter(|(_, node)| node.op == Op::Cosine)
                .flat_map(|(_, node)| &node.params)
                .find(|name| !module.constants.contains_key(*name))
                .map(|name| format!("{name} is no constant")),
            Self::WeightsLaidOut => module
                .graphs()
                .flat_map(|graph| graph.params().keys())
                .find(|name| !module.weights.as_ref().is_some_and(|weights| weights.spans.contains_key(*name)))
                .map(|name| format!("{name} has no place")),
            Self::Lowered => {
                let (graphs, files) = (module.graphs().count(), module.onnx.len());
                (graphs != files).then(|| format!("{graphs} graphs, {files} files"))
            }
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBatchNorm => "no graph normalises batches",
            Self::TrunkAndHeads => "heads take what the trunk makes",
            Self::TemplateBaked => "template vectors are constants",
            Self::WeightsLaidOut => "every parameter has its place in the weights",
            Self::Lowered => "every graph is an ONNX file",
        })
    }
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// A property that the pass needs, or claims to bring about, does not hold.
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
    /// Parts that should be equal in all heads, or under one name, are not.
    #[error("{what} differs between landmarks: {first} and {second}")]
    Differs {
        /// The node or parameter.
        what: String,
        /// In one graph.
        first: String,
        /// In another.
        second: String,
    },
    /// The trunk could not be run on a calibration film.
    #[error("the trunk can't be run on a calibration film")]
    Calibration {
        /// What the reference interpreter said.
        source: ReferenceError,
    },
    /// A number is beyond what f16 can hold.
    #[error("parameter {name} has numbers beyond 65504, the largest f16: export it as f32")]
    TooLarge {
        /// The parameter.
        name: String,
    },
    /// A parameter has no numbers.
    #[error("parameter {name} has no numbers")]
    NoTensor {
        /// Its name.
        name: String,
    },
}

/// The passes to run: all but those named in `without`. Only such can be left out as no property comes from.
///
/// # Errors
/// There is no such pass, or what follows needs it.
pub fn all_but(without: &[String]) -> Result<Vec<&'static dyn Pass>, ExportError> {
    for name in without {
        let Some(pass) = PASSES.iter().find(|pass| pass.name() == name) else {
            return Err(ExportError::UnknownPass {
                name: name.clone(),
                nearest: spelling::nearest(name, PASSES.iter().map(|pass| pass.name())),
                known: PASSES.map(|pass| pass.name()).join(", "),
            });
        };
        if let Some(property) = pass.ensures().first() {
            return Err(ExportError::NeededPass { pass: pass.name(), property: *property });
        }
    }
    Ok(PASSES.into_iter().filter(|pass| !without.iter().any(|name| name == pass.name())).collect())
}

/// Runs passes, showing `observe` the module before the first (as `start`) and after each.
///
/// # Errors
/// The first failure, with the passes that came before.
pub fn run(
    passes: &[&'static dyn Pass],
    mut module: Module,
    mut observe: impl FnMut(&str, &Module),
) -> Result<Module, ExportError> {
    observe("start", &module);
    for (done, pass) in passes.iter().enumerate() {
        module = checked(*pass, module).map_err(|source| ExportError::Pass {
            pass: pass.name(),
            before: passes.iter().take(done).map(|pass| pass.name()).collect(),
            source: Box::new(source),
        })?;
        observe(pass.name(), &module);
    }
    Ok(module)
}

fn checked(pass: &dyn Pass, module: Module) -> Result<Module, PassError> {
    let check = |properties: &[Property], when, module: &Module| {
        let broken = properties.iter().find_map(|property| Some((*property, property.broken_by(module)?)));
        broken.map_or(Ok(()), |(property, why)| Err(PassError::Property { property, when, why }))
    };
    check(pass.requires(), "before it", &module)?;
    let module = pass.run(module)?;
    check(pass.ensures(), "after it", &module)?;
    Ok(module)
}

#[cfg(test)]
pub(crate) mod testing;
