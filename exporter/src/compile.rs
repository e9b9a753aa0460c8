//! A compile: from a checkpoint to a module, through the passes and the layout, to ONNX files.

use onemark_models::checkpoint::Checkpoint;
use onemark_models::landmarks::LandmarkSet;

use crate::emit::layout::{self, Layout};
use crate::emit::lower::{self, OnnxFiles};
use crate::module::Module;
use crate::passes::pipeline::{self, Rewritten};
use crate::passes::{Context, PassError};
use crate::{ExportError, Options, films};

/// A network as ONNX files, and the reference for the self-check.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The files.
    pub onnx: OnnxFiles,
    /// The module that the bundle must agree with, if that is not the trained network.
    pub reference: Option<Module>,
    /// The largest difference that the passes may cause, as a share of an output's largest number.
    pub tolerance: f32,
}

/// The state after a step of a compile: after a pass or a later stage.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The pass or stage; `start` before the first.
    pub step: &'static str,
    /// The network after the step.
    pub module: &'a Module,
    /// Its numbers as they are stored in the bundle, after the stage `tie-weights`.
    pub weights: Option<&'a [u8]>,
}

/// Compiles a checkpoint. `observe` is called after each step.
///
/// ```
/// use onemark_exporter::explain::{Summary, table};
/// use onemark_exporter::{Options, compile::compile, untrained::untrained};
/// use onemark_models::recipe::Recipe;
///
/// let recipe = Recipe::parse(
///     "tiny.yaml",
///     "{base: phantom, name: tiny, about: A small network., trunk: {widths: [4, 6, 8, 8, 8]},
///       network: {size: 64, decoder: [8, 8, 6, 6], rfb: [8, 8, 6], embedding: 5}}",
/// )?;
/// let landmarks = recipe.landmarks.clone();
/// let checkpoint = untrained(recipe, 1)?;
/// let options = Options { without: vec!["stack-adapters".into()], ..Options::default() };
/// let mut sizes = Vec::new();
/// compile(&checkpoint, &landmarks, &options, |progress| sizes.push(Summary::of(progress)))?;
/// println!("{}", table(&sizes)); // one line per pass
/// # assert!(sizes.len() > 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The checkpoint does not fit its recipe, a quantisation film can't be read, or a pass fails.
pub fn compile(
    checkpoint: &Checkpoint,
    landmarks: &LandmarkSet,
    options: &Options,
    mut observe: impl FnMut(&Progress<'_>),
) -> Result<Compiled, ExportError> {
    let films = films::grids(&options.quantisation_films, checkpoint, options.first_look.as_ref())?;
    let passes = pipeline::chosen(options)?;
    let module = Module::new(checkpoint, landmarks)?;
    let Rewritten { module, reference } =
        pipeline::run(&passes, module, &Context { films: &films }, |step, module| {
            observe(&Progress { step, module, weights: None });
        })?;
    let failed = |pass| {
        let before = passes.iter().map(|pass| pass.name).collect();
        move |source: PassError| ExportError::Pass { pass, before, source: Box::new(source) }
    };
    let layout = Layout::new(module, options.precision).map_err(failed(layout::STAGE))?;
    observe(&Progress { step: layout::STAGE, module: &layout.module, weights: Some(&layout.weights) });
    let onnx = OnnxFiles::new(layout).map_err(failed(lower::STAGE))?;
    let layout = &onnx.layout;
    observe(&Progress { step: lower::STAGE, module: &layout.module, weights: Some(&layout.weights) });
    Ok(Compiled { onnx, reference, tolerance: pipeline::tolerance(&passes) })
}
