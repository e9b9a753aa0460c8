//! Cycle consistency: what was found on a film is looked for on the template. Where that comes back to the template's own
//! landmark, the film's can be believed, although nobody has annotated it. So networks and decodings can be compared on films
//! without annotations.

use std::collections::BTreeMap;

use ndarray::{Array2, Array4, ArrayD, s};
use onemark_models::checkpoint::Tensors;
use onemark_models::film::Film;
use onemark_models::graph::Graph;
use onemark_models::network::{LEVELS, SCORE, embedding_name, score_graph, template_vector_name};
use onemark_models::parallel::in_parallel;
use onemark_models::reference;

use crate::decode;
use crate::detector::Detector;
use crate::{Decoding, RuntimeError};

/// The embeddings that a landmark's head compares, by name: `[1, channels, rows, columns]`.
pub(crate) type Embeddings = BTreeMap<String, Array4<f32>>;

/// The way back from films to one template.
pub struct Cycle<'a> {
    detector: &'a Detector,
    /// Of the template, per landmark.
    template: Vec<Embeddings>,
    /// From the template's embeddings to the score of whatever vectors it is given, which it knows as landmark 1's.
    score: Graph,
}

impl<'a> Cycle<'a> {
    /// The way back to `template`.
    ///
    /// # Errors
    /// The backend fails, or the bundle's graphs make no embeddings.
    pub fn new(detector: &'a Detector, template: &Film) -> Result<Self, RuntimeError> {
        let template: Vec<Embeddings> = detector.embeddings(template)?.into_iter().map(|(_, found)| found).collect();
        let channels = template.first().and_then(|found| found.values().next()).map_or(0, |array| array.shape()[1]);
        let score = score_graph(detector.grid().height, channels, 1)
            .map_err(|why| RuntimeError::Graph { graph: "score".into(), why: why.to_string() })?;
        Ok(Self { detector, template, score })
    }

    /// For each landmark, the cell (row, column) of the template that looks most like the cell found on `film`.
    ///
    /// # Errors
    /// The backend fails, or gives scores that are no numbers.
    pub fn back(&self, film: &Film) -> Result<Vec<(usize, usize)>, RuntimeError> {
        let (mut scores, seen): (Vec<Array2<f32>>, Vec<Embeddings>) =
            self.detector.embeddings(film)?.into_iter().unzip();
        let found = self.detector.peaks(&mut scores)?;
        let all: Vec<usize> = (0..found.len()).collect();
        let maps = in_parallel(self.detector.threads(), &all, |index| -> Result<Array2<f32>, RuntimeError> {
            let (row, column) = found[*index].cell;
            let vector = |level: usize| {
                let vector = seen[*index].get(&embedding_name(level));
                vector.map_or_else(
                    || ArrayD::zeros(vec![0]),
                    |map| map.slice(s![0, .., row >> level, column >> level]).to_owned().into_dyn(),
                )
            };
            let vectors: Tensors = LEVELS.map(|level| (template_vector_name(1, level), vector(level))).into();
            let mut outputs = reference::run(&self.score, &vectors, &self.template[*index]).map_err(|why| {
                RuntimeError::Run { graph: "score".into(), backend: "reference", why: why.to_string() }
            })?;
            let map = outputs.remove(SCORE).unwrap_or_default();
            Ok(map.slice_move(s![0, 0, .., ..]))
        });
        let mut maps = maps.into_iter().collect::<Result<Vec<_>, _>>()?;
        let cells = decode::peaks(&mut maps, Decoding::Argmax, None);
        Ok(cells.map_err(|error| self.detector.decode_error(error))?.iter().map(|peak| peak.cell).collect())
    }
}
