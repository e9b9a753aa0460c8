//! Pruned heads: the coarse graph bounds the scores of all cells, then the window graph computes those of single tiles, where the
//! bound is high enough to matter. The result is that of the whole head, but for rounding.
//!
//! One graph serves all landmarks and takes the numbers that are specific to a landmark as inputs. So its weights are in memory
//! once per thread, not once per landmark. `onemark_models::bundle::Tiling` says where windows lie, `decode.rs` which cells are
//! needed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ndarray::{Array2, Array4, Axis};
use onemark_models::bundle::{Bundle, GraphEntry, Plan, Span, TensorEntry, Tiling, WEIGHTS, names};
use onemark_models::graph::Port;
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::SCORE;
use onemark_onnx::Weights;

use crate::RuntimeError;
use crate::backend::Backend;
use crate::pool::Pool;
use crate::session::Tensors;

/// A bundle's plan, opened for some landmarks.
pub(crate) struct PrunedHeads {
    pub(crate) plan: Plan,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) coarse: Pool,
    pub(crate) window: Pool,
    /// Which output of the coarse graph the bound is.
    pub(crate) bound: usize,
    /// Which output of the window graph the score is.
    pub(crate) score: usize,
    /// Per input of the window graph.
    pub(crate) computed: Vec<Option<Computed>>,
    /// In the order of the landmarks to find.
    pub(crate) landmarks: Vec<Inputs>,
}

/// An input of the window graph that is made from the tiling.
pub(crate) enum Computed {
    /// A matrix for each row of tiles.
    Rows(Tensors),
    /// A matrix for each column of tiles.
    Columns(Tensors),
    /// Per tile along an axis, which cells of the window lie on the film: 1 or 0. A mask is the product of two of them.
    Inside(Vec<Vec<f32>>),
}

/// Where the inputs of the plan's graphs come from, for one landmark.
pub(crate) struct Inputs {
    /// The numbers that are specific to the landmark.
    pub(crate) specific: Tensors,
    /// Per input of the coarse graph.
    pub(crate) coarse: Vec<Source>,
    /// Per input of the window graph.
    pub(crate) window: Vec<Source>,
}

/// Where an input comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// From [`Inputs::specific`], by index.
    Specific(usize),
    /// An output of the trunk, by index; the window graph takes the part of it that lies in the window, on this level.
    Trunk { output: usize, level: usize },
    /// The same of the coarse graph.
    Coarse { output: usize, level: usize },
    /// From [`PrunedHeads::computed`].
    Computed,
}

impl PrunedHeads {
    /// Opens the plan's graphs once per thread, for the landmarks at these indices.
    pub(crate) fn open(
        bundle: &Bundle,
        plan: &Plan,
        landmarks: &[usize],
        weights: &Weights,
        backend: Arc<dyn Backend>,
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let (coarse, window) = (&plan.coarse, &plan.window);
        let size = plan.tiling.size;
        let bound = coarse.outputs.iter().position(|output| output.shape == [1, 1, size, size]);
        let score = window.outputs.iter().position(|output| output.name == SCORE);
        let computed = window.inputs.iter().map(|input| computed(&plan.tiling, input, backend.as_ref()));
        let computed = computed.collect::<Result<Vec<_>, _>>()?;
        let made = [by_name(&bundle.manifest().trunk.outputs), by_name(&coarse.outputs)];
        let landmarks = landmarks.iter().map(|index| LandmarkId::from_index(*index));
        let landmarks = landmarks.map(|landmark| inputs(bundle, plan, landmark, &made, &computed, backend.as_ref()));
        Ok(Self {
            landmarks: landmarks.collect::<Result<_, _>>()?,
            coarse: Pool::open(bundle, coarse, weights, backend.as_ref(), threads)?,
            window: Pool::open(bundle, window, weights, backend.as_ref(), threads)?,
            // The manifest's rules promise both.
            bound: bound.ok_or_else(|| RuntimeError::graph(&coarse.file, "it makes no bound of the grid's size"))?,
            score: score.ok_or_else(|| RuntimeError::graph(&window.file, format!("it does not make `{SCORE}`")))?,
            computed,
            plan: plan.clone(),
            backend,
        })
    }
}

/// What the tiling makes for an input of the window graph, if its name says that the tiling makes it.
fn computed(tiling: &Tiling, input: &TensorEntry, backend: &dyn Backend) -> Result<Option<Computed>, RuntimeError> {
    let is = |port: Port| port.to_string() == input.name;
    let tiles = 0..tiling.count();
    let keep = |matrix: Array2<f32>| backend.keep(matrix.insert_axis(Axis(0)).insert_axis(Axis(0)));
    for to in 0..tiling.levels.len() {
        for from in to + 1..tiling.levels.len() {
            let matrices = || tiling.matrices(from, to);
            if is(Port::Rows { from, to }) {
                return Ok(Some(Computed::Rows(matrices().map(keep).collect::<Result<_, _>>()?)));
            }
            if is(Port::Columns { from, to }) {
                let transposed = matrices().map(|matrix| keep(matrix.t().as_standard_layout().into_owned()));
                return Ok(Some(Computed::Columns(transposed.collect::<Result<_, _>>()?)));
            }
        }
        if is(Port::Inside(to)) {
            return Ok(Some(Computed::Inside(tiles.map(|tile| tiling.inside(to, tile)).collect())));
        }
    }
    Ok(None)
}

/// The indices of a graph's outputs.
type ByName<'a> = HashMap<&'a str, usize>;

fn by_name(outputs: &[TensorEntry]) -> ByName<'_> {
    outputs.iter().enumerate().map(|(index, output)| (output.name.as_str(), index)).collect()
}

/// Finds where each input of the plan's graphs comes from, for one landmark. `trunk` and `coarse` are the outputs of these graphs.
fn inputs(
    bundle: &Bundle,
    plan: &Plan,
    landmark: LandmarkId,
    [trunk, coarse]: &[ByName<'_>; 2],
    computed: &[Option<Computed>],
    backend: &dyn Backend,
) -> Result<Inputs, RuntimeError> {
    let (manifest, weights) = (bundle.manifest(), bundle.bytes(WEIGHTS)?);
    let none = BTreeMap::new();
    let spans: &BTreeMap<String, Span> = plan.specific.get(landmark.index()).unwrap_or(&none);
    let (mut specific, mut places) = (Tensors::new(), BTreeMap::<&str, usize>::new());
    for input in plan.coarse.inputs.iter().chain(&plan.window.inputs) {
        let numbers = || {
            let span = spans.get(&input.name)?;
            let bytes = weights.get(span.offset..span.offset + span.length)?;
            let numbers = plan.precision(&input.name, manifest.weights).read(bytes);
            Array4::from_shape_vec(input.shape, numbers).ok()
        };
        if !places.contains_key(input.name.as_str())
            && let Some(numbers) = numbers()
        {
            places.insert(&input.name, specific.len());
            specific.push(backend.keep(numbers)?);
        }
    }
    let level = |tensor: &TensorEntry| (plan.tiling.size / tensor.shape[2].max(1)).max(1).ilog2() as usize;
    let source = |graph: &GraphEntry, is_window: bool, index: usize, input: &TensorEntry| {
        let output_of = |by_name: &ByName<'_>, made: &[TensorEntry]| {
            let output = names::feeding(&input.name, landmark).find_map(|name| by_name.get(name.as_str()).copied())?;
            let level = level(&made[output]);
            (!is_window || level < plan.tiling.levels.len()).then_some((output, level))
        };
        let of_specific = || places.get(input.name.as_str()).map(|place| Source::Specific(*place));
        let of_trunk =
            || output_of(trunk, &manifest.trunk.outputs).map(|(output, level)| Source::Trunk { output, level });
        let of_coarse =
            || output_of(coarse, &plan.coarse.outputs).map(|(output, level)| Source::Coarse { output, level });
        let of_tiling = || computed[index].is_some().then_some(Source::Computed);
        let source = of_specific().or_else(of_trunk);
        let source = if is_window { source.or_else(of_coarse).or_else(of_tiling) } else { source };
        // The manifest's rules promise one.
        let why = || format!("no graph produces its input `{}` for landmark {landmark}", input.name);
        source.ok_or_else(|| RuntimeError::graph(&graph.file, why()))
    };
    let sources = |graph: &GraphEntry, is_window: bool| {
        let inputs = graph.inputs.iter().enumerate();
        inputs.map(|(index, input)| source(graph, is_window, index, input)).collect::<Result<Vec<_>, _>>()
    };
    Ok(Inputs { coarse: sources(&plan.coarse, false)?, window: sources(&plan.window, true)?, specific })
}
