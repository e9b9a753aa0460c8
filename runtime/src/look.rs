//! One look at a film: a network's graphs, opened once, and how their scores become points.
//!
//! The trunk runs once with all threads, then the heads in parallel on one thread each: landmarks are independent. The
//! [`backend`](crate::backend) runs graphs, `decode.rs` turns score maps into points, and `pruned.rs` runs only the part of a head
//! that is needed.

use std::sync::Arc;

use ndarray::{Array2, Axis};
use onemark_film::Film;
use onemark_film::geometry::GridSize;
use onemark_models::bundle::Bundle;
use onemark_models::graph::{Level, Port};
use onemark_models::landmarks::Landmark;
use onemark_models::parallel::in_parallel;
use onemark_models::shape_prior::ShapePrior;

use crate::backend::{self, Backend};
use crate::decode::{self, DecodeError, Decoding, Peak};
use crate::embeddings::Embeddings;
use crate::head::Head;
use crate::job::{Cancel, Progress};
use crate::partial_scores::PartialScores;
use crate::pruned::PrunedHeads;
use crate::scores::Scores;
use crate::session::{LazySession, Tensors, wrong_score};
use crate::{Options, RuntimeError};

/// A network, ready to look at films.
pub(crate) struct Look {
    backend: Arc<dyn Backend>,
    threads: usize,
    decoding: Decoding,
    prior: Option<ShapePrior>,
    grid: GridSize,
    trunk: LazySession,
    heads: Vec<Head>,
    /// If the bundle has a plan for it and the options allow it.
    pruned: Option<PrunedHeads>,
}

/// What a look sees of one landmark.
pub(crate) struct Seen {
    pub peak: Peak,
    /// The landmark's best score, before a prior has moved points.
    pub best: f32,
    /// In how many windows its head was run, if it was not run on the whole film.
    pub windows: Option<usize>,
}

impl Look {
    /// The bundle's own graphs, for the landmarks at these indices.
    pub(crate) fn new(
        bundle: &Bundle,
        backend: Arc<dyn Backend>,
        wanted: &[usize],
        options: &Options,
    ) -> Result<Self, RuntimeError> {
        let threads = options.thread_count();
        let manifest = bundle.manifest();
        // All graphs are checked before the first one is opened, because a network may not need all of them at once.
        let weights = &backend::weights(bundle)?;
        let trunk = LazySession::new(bundle, &manifest.trunk, weights, threads)?;
        let all = &manifest.landmark_set.landmarks;
        let heads = in_parallel(threads, wanted, |&index| {
            Head::new(bundle, &manifest.trunk, &all[index], &manifest.heads[index].graph, weights)
        });
        let heads = heads.into_iter().collect::<Result<Vec<Head>, RuntimeError>>()?;
        trunk.open(backend.as_ref())?;
        let plan = manifest.plan.as_ref().filter(|_| options.pruning);
        let pruned = plan.map(|plan| PrunedHeads::open(bundle, plan, wanted, weights, backend.clone(), threads));
        let pruned = pruned.transpose()?;
        if pruned.is_none() {
            let opened = in_parallel(threads, &heads, |head| head.open(backend.as_ref()));
            opened.into_iter().collect::<Result<(), RuntimeError>>()?;
        }
        let prior = manifest.shape_prior.as_ref().map(|prior| prior.marginal(wanted));
        let decoding = match (options.decoding, &prior) {
            (Decoding::ShapePrior, None) => Decoding::Subpixel,
            (decoding, _) => decoding,
        };
        let grid = GridSize::new(manifest.input.size, manifest.input.size);
        Ok(Self { backend, threads, decoding, prior, grid, trunk, heads, pruned })
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    pub(crate) fn decoding(&self) -> Decoding {
        self.decoding
    }

    /// The grid that films are resized to.
    pub(crate) fn grid(&self) -> GridSize {
        self.grid
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// The landmarks to find, in the bundle's order.
    pub(crate) fn landmarks(&self) -> impl Iterator<Item = &Landmark> {
        self.heads.iter().map(|head| &head.landmark)
    }

    /// How many steps [`Look::see`] reports: the trunk and the landmarks.
    pub(crate) fn steps(&self) -> usize {
        1 + self.heads.len()
    }

    /// Looks at a film: what it sees of each landmark.
    pub(crate) fn see(&self, film: &Film, cancel: &Cancel, progress: &Progress<'_>) -> Result<Vec<Seen>, RuntimeError> {
        let shared = &self.shared(film.to_grid(self.grid)?, cancel)?;
        progress.step();
        let scored = self.each(|index| {
            let mut scores = self.scores(index, shared, cancel)?;
            let peak = decode::first_peak(index, &mut scores, self.decoding);
            let peak = peak.map_err(|error| self.decode_error(error))?;
            progress.step();
            Ok((scores, peak))
        });
        let (mut scores, peaks): (Vec<Scores<'_>>, Vec<Peak>) = scored?.into_iter().unzip();
        // A prior moves points to places where the score is lower. Those of the training films were not moved.
        let best: Vec<f32> = peaks.iter().map(|peak| peak.score.clamp(0.0, 1.0)).collect();
        let peaks = decode::apply_prior(&mut scores, peaks, self.decoding, self.prior.as_ref(), self.threads);
        let peaks = peaks.map_err(|error| self.decode_error(error))?;
        let seen = peaks.into_iter().zip(best).zip(&scores);
        Ok(seen.map(|((peak, best), scores)| Seen { peak, best, windows: scores.windows() }).collect())
    }

    /// The whole score map of the landmark at `index`, axes [row, column], on a film that is on the grid already.
    pub(crate) fn score_map(&self, film: &Array2<f32>, index: usize) -> Result<Array2<f32>, RuntimeError> {
        let cancel = &Cancel::new();
        let shared = &self.shared(film.clone(), cancel)?;
        match self.scores(index, shared, cancel)? {
            Scores::Whole(scores) => Ok(scores),
            Scores::Windowed(partial) => partial.everywhere(),
        }
    }

    /// The score map and the embeddings of each landmark, by the whole heads.
    pub(crate) fn embeddings(&self, film: &Film) -> Result<Vec<(Array2<f32>, Embeddings)>, RuntimeError> {
        let shared = self.shared(film.to_grid(self.grid)?, &Cancel::new())?;
        self.each(|index| {
            let head = &self.heads[index];
            let outputs = head.run(self.backend.as_ref(), &shared)?;
            // The trunk makes the embeddings that do not depend on the landmark.
            let (trunk, specific) = (self.trunk.entry().outputs.iter(), head.entry().outputs.iter());
            let all = trunk.zip(&shared).chain(specific.zip(&outputs));
            let wanted = Level::COARSE_TO_FINE.map(|level| Port::Embedding(level).to_string());
            let all = all.filter(|(entry, _)| wanted.contains(&entry.name));
            let all = all.map(|(entry, tensor)| Ok((entry.name.clone(), tensor.array()?.to_owned())));
            let all = all.collect::<Result<_, RuntimeError>>()?;
            Ok((head.score(&outputs, self.grid.height)?, Embeddings::new(all)))
        })
    }

    /// The peaks of score maps, one for each landmark.
    pub(crate) fn peaks(&self, maps: Vec<Array2<f32>>) -> Result<Vec<Peak>, RuntimeError> {
        let peaks = decode::peaks(maps, self.decoding, self.prior.as_ref(), self.threads);
        peaks.map_err(|error| self.decode_error(error))
    }

    /// The trunk's outputs for a film on the grid.
    fn shared(&self, film: Array2<f32>, cancel: &Cancel) -> Result<Tensors, RuntimeError> {
        let cells = self.backend.keep(film.insert_axis(Axis(0)).insert_axis(Axis(0)))?;
        cancel.check()?;
        self.trunk.run(self.backend.as_ref(), &[cells.as_ref()])
    }

    /// Does `work` for the index of each landmark, in parallel.
    fn each<T: Send>(&self, work: impl Fn(usize) -> Result<T, RuntimeError> + Sync) -> Result<Vec<T>, RuntimeError> {
        in_parallel(self.threads, 0..self.heads.len(), work).into_iter().collect()
    }

    /// The scores of the landmark at `index`, from the trunk's outputs.
    fn scores<'a>(&'a self, index: usize, shared: &'a Tensors, cancel: &'a Cancel) -> Result<Scores<'a>, RuntimeError> {
        let head = &self.heads[index];
        if let Some(pruned) = &self.pruned {
            return Ok(Scores::Windowed(Box::new(PartialScores::new(pruned, index, head, shared, cancel)?)));
        }
        cancel.check()?;
        let outputs = head.run(self.backend.as_ref(), shared)?;
        Ok(Scores::Whole(head.score(&outputs, self.grid.height)?))
    }

    pub(crate) fn decode_error(&self, error: DecodeError) -> RuntimeError {
        match error {
            DecodeError::NotNumbers(index) => {
                wrong_score(self.heads[index].entry(), self.grid.height, "scores that are not numbers")
            }
            DecodeError::Scores(error) => error,
        }
    }
}
