//! Heads run in part: the coarse graph on the whole field, whose bound says where the score can be high, then the window graph
//! tile by tile, only there. What comes of it is the same as of the whole head, but for rounding.
//!
//! One graph serves all landmarks and takes a landmark's own numbers as inputs, so its weights are in memory once per thread, not
//! once per landmark. Where windows lie is `onemark_models::bundle::tiling`'s matter, which cells are looked at `decode.rs`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use ndarray::{Array2, Array4, Axis, s};
use onemark_film::geometry::Cell;
use onemark_models::bundle::tiling::Tiling;
use onemark_models::bundle::{Bundle, GraphEntry, Plan, Span, WEIGHTS, names};
use onemark_models::graph::Port;
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::SCORE;

use crate::RuntimeError;
use crate::backend::{self, Backend, Outputs, Session, Tensor};
use crate::decode::Scores;

/// What rounding may do to the bound and to the score that it bounds, each a product of a few numbers in [0, 1].
const SLACK: f32 = 1e-5;

/// A bundle's plan, opened.
pub(crate) struct Windows {
    plan: Plan,
    backend: Arc<dyn Backend>,
    coarse: Pool,
    window: Pool,
    /// The landmarks' numbers, and the inputs that are each one's own.
    own: Vec<(LandmarkId, Outputs)>,
    /// By name, per tile along an axis: the window graph's matrices for rows and for columns, and the sides of its masks.
    rows: BTreeMap<String, Vec<Box<dyn Tensor>>>,
    columns: BTreeMap<String, Vec<Box<dyn Tensor>>>,
    inside: BTreeMap<String, Vec<Vec<f32>>>,
}

impl Windows {
    /// Opens the plan's graphs once per thread, for the landmarks at these indices.
    pub(crate) fn open(
        bundle: &Bundle,
        plan: &Plan,
        landmarks: &[usize],
        backend: Arc<dyn Backend>,
        threads: usize,
    ) -> Result<Self, RuntimeError> {
        let weights = bundle.bytes(WEIGHTS)?;
        let pool = |entry: &GraphEntry| {
            let graph = backend::graph(bundle, &entry.file)?;
            let sessions = (0..threads).map(|_| backend.open(&graph, 1));
            Ok::<Pool, RuntimeError>(Pool::new(sessions.collect::<Result<_, _>>()?))
        };
        let shapes: BTreeMap<&str, [usize; 4]> = [&plan.coarse, &plan.window]
            .iter()
            .flat_map(|graph| &graph.inputs)
            .map(|input| (input.name.as_str(), input.shape))
            .collect();
        // The manifest's check has seen that each fits.
        let numbers = |name: &str, span: &Span| {
            let bytes = weights.get(span.offset..span.offset + span.length)?;
            let numbers = plan.precision(name, bundle.manifest().weights).read(bytes);
            Array4::from_shape_vec(*shapes.get(name)?, numbers).ok()
        };
        let own =
            landmarks.iter().filter_map(|index| Some((LandmarkId::from_index(*index), plan.specific.get(*index)?)));
        let own = own.map(|(landmark, own)| {
            let own = own.iter().filter_map(|(name, span)| Some((name.clone(), numbers(name, span)?)));
            let own = own.map(|(name, numbers)| Ok((name, backend.keep(numbers)?)));
            Ok((landmark, own.collect::<Result<Outputs, RuntimeError>>()?))
        });
        let own = own.collect::<Result<_, RuntimeError>>()?;
        let kept = |matrices: Vec<Array2<f32>>| {
            let four = |matrix: Array2<f32>| matrix.insert_axis(Axis(0)).insert_axis(Axis(0));
            matrices.into_iter().map(|matrix| backend.keep(four(matrix))).collect::<Result<Vec<_>, _>>()
        };
        let Tiling { levels, .. } = &plan.tiling;
        let tiles = 0..plan.tiling.count();
        let (mut rows, mut columns, mut inside) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let asked = |name: &str| plan.window.inputs.iter().any(|input| input.name == name);
        for to in 0..levels.len() {
            for from in to + 1..levels.len() {
                let name = Port::Rows { from, to }.to_string();
                if asked(&name) {
                    let matrices: Vec<_> = tiles.clone().map(|tile| plan.tiling.matrix(from, to, tile)).collect();
                    let turned = matrices.iter().map(|matrix| matrix.t().as_standard_layout().into_owned());
                    columns.insert(Port::Columns { from, to }.to_string(), kept(turned.collect())?);
                    rows.insert(name, kept(matrices)?);
                }
            }
            let name = Port::Inside(to).to_string();
            if asked(&name) {
                inside.insert(name, tiles.clone().map(|tile| plan.tiling.inside(to, tile)).collect());
            }
        }
        Ok(Self {
            coarse: pool(&plan.coarse)?,
            window: pool(&plan.window)?,
            own,
            rows,
            columns,
            inside,
            plan: plan.clone(),
            backend,
        })
    }

    /// Runs the coarse part for the landmark at `index`, of those opened for, on what the trunk made. `whole` runs the whole head,
    /// should too many windows be needed.
    pub(crate) fn field<'a>(
        &'a self,
        index: usize,
        shared: &'a Outputs,
        whole: Box<dyn Fn() -> Result<Array2<f32>, RuntimeError> + Send + 'a>,
    ) -> Result<Field<'a>, RuntimeError> {
        let shared = self.shared(index, shared);
        let made = {
            let shared = shared.iter().map(|(name, tensor)| (name.as_str(), *tensor));
            self.coarse.run(&self.inputs(&self.plan.coarse, index, shared))?
        };
        let size = self.plan.tiling.size;
        let bound = self.plan.coarse.outputs.iter().find(|output| output.shape == [1, 1, size, size]);
        let bound = bound.and_then(|bound| made.iter().find(|(name, _)| *name == bound.name));
        let upper = match bound.map(|(_, bound)| bound.array()).transpose()? {
            Some(bound) if bound.shape() == [1, 1, size, size] => {
                bound.slice(s![0, 0, .., ..]).mapv(|bound| bound * (1.0 + SLACK))
            }
            _ => return Err(unexpected(&self.plan.coarse, size)),
        };
        let known = Array2::from_elem(upper.dim(), false);
        Ok(Field { windows: self, index, shared, made, whole, upper, known, opened: 0 })
    }

    /// What the trunk made for the landmark at `index`, by the inputs of the plan's graphs that it goes to.
    fn shared<'a>(&self, index: usize, made: &'a Outputs) -> Vec<(String, &'a dyn Tensor)> {
        let Some((landmark, _)) = self.own.get(index) else { return Vec::new() };
        let inputs: BTreeSet<&str> = [&self.plan.coarse, &self.plan.window]
            .iter()
            .flat_map(|graph| &graph.inputs)
            .map(|input| input.name.as_str())
            .collect();
        let made = |input: &str| {
            let (_, tensor) = made.iter().find(|(name, _)| names::feeds(name, input, *landmark))?;
            Some((input.to_owned(), tensor.as_ref()))
        };
        inputs.into_iter().filter_map(made).collect()
    }

    /// Of a landmark's own numbers and of `tensors`, what a graph asks for.
    fn inputs<'a>(
        &'a self,
        graph: &GraphEntry,
        index: usize,
        tensors: impl Iterator<Item = (&'a str, &'a dyn Tensor)>,
    ) -> Vec<(&'a str, &'a dyn Tensor)> {
        let own = self.own.get(index).into_iter().flat_map(|(_, own)| named(own));
        own.chain(tensors).filter(|(name, _)| graph.inputs.iter().any(|input| input.name == *name)).collect()
    }
}

/// A landmark's scores on one film, as far as they were looked at.
pub(crate) struct Field<'a> {
    windows: &'a Windows,
    index: usize,
    /// By the trunk, as the plan's graphs call it.
    shared: Vec<(String, &'a dyn Tensor)>,
    /// By the coarse graph.
    made: Outputs,
    whole: Box<dyn Fn() -> Result<Array2<f32>, RuntimeError> + Send + 'a>,
    upper: Array2<f32>,
    known: Array2<bool>,
    /// Windows that were run.
    pub(crate) opened: usize,
}

impl Scores for Field<'_> {
    fn upper(&self) -> &Array2<f32> {
        &self.upper
    }

    fn is_known(&self, cell: Cell) -> bool {
        self.known[cell.index()]
    }

    fn look(&mut self, Cell { row, column }: Cell) -> Result<(), RuntimeError> {
        if self.opened >= self.windows.plan.max_windows {
            self.upper = (self.whole)()?;
            self.known.fill(true);
            return Ok(());
        }
        let tile = self.windows.plan.tiling.tile;
        self.open((row / tile, column / tile))
    }
}

impl Field<'_> {
    /// The scores of all cells, by their windows.
    pub(crate) fn everywhere(mut self) -> Result<Array2<f32>, RuntimeError> {
        let tiles = self.windows.plan.tiling.count();
        for tile in (0..tiles).flat_map(|row| (0..tiles).map(move |column| (row, column))) {
            self.open(tile)?;
        }
        Ok(self.upper)
    }

    /// Runs the window of a tile.
    fn open(&mut self, tile: (usize, usize)) -> Result<(), RuntimeError> {
        let tiling = &self.windows.plan.tiling;
        let window = self.window(tile)?;
        self.opened += 1;
        let start = |tile: usize| tiling.levels[0].starts[tile];
        for ((i, j), &score) in window.indexed_iter() {
            let place = |start: i64, cell: usize| usize::try_from(start + cell as i64).ok();
            let Some(cell) = place(start(tile.0), i).zip(place(start(tile.1), j)) else { continue };
            // A tile's own window has the last word on its cells.
            let is_in = tiling.covers(tile.0).contains(&cell.0) && tiling.covers(tile.1).contains(&cell.1);
            if let Some(known) = self.known.get_mut(cell).filter(|known| is_in || !**known) {
                *known = true;
                self.upper[cell] = score;
            }
        }
        Ok(())
    }

    /// The scores of one tile and around it.
    fn window(&self, tile: (usize, usize)) -> Result<Array2<f32>, RuntimeError> {
        let Windows { plan, backend, rows, columns, inside, window, .. } = self.windows;
        let mut cut = Vec::new();
        let shared = self.shared.iter().map(|(name, tensor)| (name.as_str(), *tensor));
        for (name, tensor) in shared.chain(named(&self.made)) {
            if plan.window.inputs.iter().any(|input| input.name == name) {
                let tensor = tensor.array()?;
                let level = (plan.tiling.size / tensor.shape()[2].max(1)).max(1).ilog2() as usize;
                cut.push((name.to_owned(), backend.keep(plan.tiling.cut(level, tile, &tensor))?));
            }
        }
        for (name, sides) in inside {
            let (down, across) = (&sides[tile.0], &sides[tile.1]);
            let mask = Array4::from_shape_fn((1, 1, down.len(), across.len()), |(_, _, i, j)| down[i] * across[j]);
            cut.push((name.clone(), backend.keep(mask)?));
        }
        let mut inputs = self.windows.inputs(&plan.window, self.index, named(&cut));
        inputs.extend(rows.iter().map(|(name, per_tile)| (name.as_str(), per_tile[tile.0].as_ref())));
        inputs.extend(columns.iter().map(|(name, per_tile)| (name.as_str(), per_tile[tile.1].as_ref())));
        let made = window.run(&inputs)?;
        let side = plan.tiling.levels[0].cells;
        match made.iter().find(|(name, _)| name == SCORE).map(|(_, score)| score.array()).transpose()? {
            Some(score) if score.shape() == [1, 1, side, side] => Ok(score.slice(s![0, 0, .., ..]).to_owned()),
            _ => Err(unexpected(&plan.window, side)),
        }
    }
}

fn named(tensors: &Outputs) -> impl Iterator<Item = (&str, &dyn Tensor)> {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.as_ref()))
}

fn unexpected(graph: &GraphEntry, side: usize) -> RuntimeError {
    RuntimeError::Output {
        graph: graph.file.clone(),
        tensor: SCORE.into(),
        expected: format!("[1, 1, {side}, {side}]"),
        found: "another shape, or nothing".into(),
    }
}

/// Sessions of one graph, for as many threads: whoever finds none free waits.
struct Pool {
    free: Mutex<Vec<Box<dyn Session>>>,
    returned: Condvar,
}

impl Pool {
    fn new(sessions: Vec<Box<dyn Session>>) -> Self {
        Self { free: Mutex::new(sessions), returned: Condvar::new() }
    }

    fn run(&self, inputs: &[(&str, &dyn Tensor)]) -> Result<Outputs, RuntimeError> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let session = loop {
            match free.pop() {
                Some(session) => break session,
                None => free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(free);
        let result = session.run(inputs);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        self.returned.notify_one();
        result
    }
}
