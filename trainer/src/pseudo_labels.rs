//! Infer-PL: where the network, as it stands, finds the landmarks on the training films (METHOD.md sec. 1c).

use ndarray::{Array1, Array2};
use onemark_film::geometry::GridPoint;
use onemark_models::checkpoint::{Tensors, pseudo_labels};
use onemark_models::graph::COSINE_EPSILON;
use onemark_models::network::{LABEL_WEIGHTS, PSEUDO_LABELS};
use onemark_models::recipe::Recipe;
use onemark_models::shape_prior::{PointSets, ShapePrior};
use onemark_models::statistics::upper_median;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::data::samples::Films;
use crate::net::heads::Heads;
use crate::net::interpreter::{self, SharedValues};
use crate::net::params::Params;
use crate::step::pairs::cell;

mod plausible;
mod validation;
mod vectors;

/// Films per pass of Infer-PL.
const BATCH: usize = 4;

/// Pseudo-labels: landmark positions inferred on the training films.
#[derive(Clone, Debug, PartialEq)]
pub struct PseudoLabels {
    /// Position of each landmark: `points[film][landmark]`.
    pub points: PointSets,
    /// Weight of each, 0 to 1: `[film, landmark]`.
    pub weights: Array2<f32>,
}

impl From<PointSets> for PseudoLabels {
    /// Pseudo-labels of weight 1.
    fn from(points: PointSets) -> Self {
        let weights = Array2::ones((points.len(), points.first().map_or(0, Vec::len)));
        Self { points, weights }
    }
}

impl PseudoLabels {
    /// As tensors of a checkpoint.
    pub fn to_tensors(&self) -> Tensors {
        let (points, weights) = (pseudo_labels::to_tensor(&self.points), self.weights.clone().into_dyn());
        [(PSEUDO_LABELS.to_owned(), points), (LABEL_WEIGHTS.to_owned(), weights)].into()
    }

    /// Takes the tensors of [`PseudoLabels::to_tensors`] out of `tensors`; `None` if they have another shape or are not points.
    /// Checkpoints without weights, written before there were any, give each pseudo-label the weight 1.
    pub fn resume(tensors: &mut Tensors) -> Option<Self> {
        let mut labels = Self::from(pseudo_labels::from_tensor(&tensors.remove(PSEUDO_LABELS)?)?);
        if let Some(weights) = tensors.remove(LABEL_WEIGHTS) {
            let weights = weights.into_dimensionality().ok()?;
            labels.weights = (weights.dim() == labels.weights.dim()).then_some(weights)?;
        }
        Some(labels)
    }
}

/// The network as it stands, and the films on which it looks for landmarks.
pub struct Scene<'a> {
    /// The experiment.
    pub recipe: &'a Recipe,
    /// The embedding graphs.
    pub heads: &'a Heads,
    /// Their parameters.
    pub params: &'a Params,
    /// The films.
    pub films: &'a Films,
    /// The template vectors `[landmarks, embedding]` per level, level 5 first.
    pub vectors: Vec<Tensor>,
}

/// Which pseudo-labels are inferred, and how.
pub struct Renewal<'a, F> {
    /// The pseudo-labels so far; without any, all films get new ones.
    pub before: Option<&'a PseudoLabels>,
    /// Whether a film (by index) gets new ones; the others keep theirs.
    pub renews: F,
    /// Whether a shape prior, fitted to the best cells, takes part in the choice.
    pub prior: bool,
}

/// Landmarks on the training films.
pub struct Inferred {
    /// The pseudo-labels.
    pub labels: PseudoLabels,
    /// The best cells by score alone: the pseudo-labels themselves unless a prior took part. On films that keep their
    /// pseudo-labels, these.
    pub seen: PointSets,
    /// The films (by index) that got new ones.
    pub films: Vec<usize>,
    /// The scores of their best cells, `[films, landmarks]`.
    pub scores: Array2<f32>,
}

impl<'a> Scene<'a> {
    /// Reads the template vectors (METHOD.md sec. 4, items 10 and 11): of the template itself, or the mean of unit vectors over
    /// all templates and some of their copies.
    ///
    /// # Errors
    /// Torch fails.
    pub fn new(recipe: &'a Recipe, heads: &'a Heads, params: &'a Params, films: &'a Films) -> Result<Self, TrainError> {
        let mut scene = Self { recipe, heads, params, films, vectors: Vec::new() };
        scene.vectors = vectors::mean(&scene.vectors_by_template()?.iter().collect::<Vec<_>>())?;
        Ok(scene)
    }

    /// Infer-PL: the best cell of the fused similarity, per film and landmark. Calls `progress` with the number of films done,
    /// counted per graph, and of all.
    ///
    /// # Errors
    /// Torch fails.
    pub fn infer(
        &self,
        renewal: &Renewal<impl Fn(usize) -> bool>,
        progress: impl FnMut(usize, usize),
    ) -> Result<Inferred, TrainError> {
        let (recipe, films) = (self.recipe, self.films.samples.count());
        let renews = |film: &usize| renewal.before.is_none() || (renewal.renews)(*film);
        let samples: Vec<usize> = (0..films).filter(renews).collect();
        let weighted = recipe.pairs.film.as_ref().is_some_and(|pairs| pairs.confidence_weighted);
        // Score maps are kept, as f16, until those of all films are known: then a prior can be fitted, and scores compared.
        let mut maps: Vec<Vec<Tensor>> = samples.iter().map(|_| Vec::new()).collect();
        let keep = |index: usize, score: &Tensor| {
            if renewal.prior || weighted {
                maps[index].push(score.f_to_kind(Kind::Half)?);
            }
            Ok(())
        };
        let (found, best_scores) = self.find(&samples, keep, progress)?;
        let unknown = || PseudoLabels::from(vec![vec![GridPoint::new(0.0, 0.0); self.heads.landmarks()]; films]);
        let mut labels = renewal.before.cloned().unwrap_or_else(unknown);
        samples.iter().zip(found).for_each(|(film, points)| labels.points[*film] = points);
        let seen = labels.points.clone();
        if let Some(prior) = renewal.prior.then(|| ShapePrior::fit(&seen, recipe.network.size)).flatten() {
            for (film, maps) in samples.iter().zip(&maps) {
                let maps = Tensor::f_cat(maps, 0)?.f_to_kind(Kind::Float)?;
                labels.points[*film] = plausible::plausible(&maps, &prior, &seen[*film])?;
            }
        }
        self.keep_truth(&mut labels.points);
        if weighted {
            let points = samples.iter().map(|film| &labels.points[*film]);
            let scores: Result<Vec<Vec<f32>>, TrainError> =
                maps.iter().zip(points).map(|(maps, points)| scores_at(&Tensor::f_cat(maps, 0)?, points)).collect();
            for (film, weights) in samples.iter().zip(confidence(&scores?)) {
                labels.weights.row_mut(*film).assign(&weights);
            }
        }
        Ok(Inferred { labels, seen, films: samples, scores: best_scores })
    }

    /// Sets the points of annotated films to their true places, if several are annotated. A single one is treated like the other
    /// films, as in the paper.
    pub(crate) fn keep_truth(&self, points: &mut PointSets) {
        let templates = self.films.samples.templates();
        for template in templates.iter().filter(|_| templates.len() > 1) {
            for (point, truth) in points[template.film].iter_mut().zip(&template.points) {
                *point = truth.unwrap_or(*point);
            }
        }
    }

    /// The landmarks' best cells on all training films, and their scores, `[films, landmarks]`. Calls `progress` as
    /// [`infer`](Self::infer) does.
    ///
    /// # Errors
    /// Torch fails.
    pub fn find_all(&self, progress: impl FnMut(usize, usize)) -> Result<(PointSets, Array2<f32>), TrainError> {
        let films: Vec<usize> = (0..self.films.samples.count()).collect();
        self.find(&films, |_, _| Ok(()), progress)
    }

    /// The best cells on samples and their scores, `[samples, landmarks]`; otherwise as [`best_cells`](Self::best_cells).
    fn find(
        &self,
        samples: &[usize],
        mut keep: impl FnMut(usize, &Tensor) -> Result<(), TrainError>,
        progress: impl FnMut(usize, usize),
    ) -> Result<(PointSets, Array2<f32>), TrainError> {
        let mut scores = vec![Vec::with_capacity(self.heads.landmarks()); samples.len()];
        let keep = |index: usize, maps: &Tensor| {
            let best = maps.f_amax([1, 2], false)?.f_to_device(Device::Cpu)?;
            scores[index].extend(Vec::<f32>::try_from(best)?);
            keep(index, maps)
        };
        let found = self.best_cells(samples, &self.vectors, keep, progress)?;
        let shape = (samples.len(), self.heads.landmarks());
        Ok((found, Array2::from_shape_fn(shape, |(sample, landmark)| scores[sample][landmark])))
    }

    /// The centre of the best cell of the fused similarity with template vectors, per sample and landmark. `keep` gets each sample's
    /// index and maps `[landmarks, rows, columns]`, graph by graph.
    fn best_cells(
        &self,
        samples: &[usize],
        vectors: &[Tensor],
        mut keep: impl FnMut(usize, &Tensor) -> Result<(), TrainError>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<PointSets, TrainError> {
        let _guard = tch::no_grad_guard();
        let mut found = vec![vec![GridPoint::new(0.0, 0.0); self.heads.landmarks()]; samples.len()];
        let (mut done, total) = (0, samples.len() * self.heads.count());
        for (first_row, batch) in samples.chunks(BATCH).enumerate().map(|(index, batch)| (index * BATCH, batch)) {
            let taps = self.films.taps(batch, self.params.device(), Kind::Float)?;
            let mut shared = SharedValues::default();
            for (graph, landmarks) in self.heads.served() {
                let embeddings = interpreter::run_in_turn(graph, self.params, &taps, &mut shared)?;
                let (first, count) = (landmarks[0], landmarks.len());
                let vectors: Result<Vec<Tensor>, TrainError> =
                    vectors.iter().map(|rows| Ok(rows.f_narrow(0, first as i64, count as i64)?)).collect();
                let scores = scores(&embeddings, &vectors?, self.recipe.network.size as i64)?;
                for row in 0..batch.len() {
                    let score = scores.f_select(0, row as i64)?;
                    found[first_row + row][first..first + count].copy_from_slice(&best(&score)?);
                    keep(first_row + row, &score)?;
                }
                done += batch.len();
                progress(done, total);
            }
        }
        Ok(found)
    }
}

/// Fused similarities `[films, landmarks, size, size]` (METHOD.md sec. 1c). `vectors` are `[landmarks, embedding]`, level 5
/// first.
///
/// This repeats [`onemark_models::network::score_graph`], which computes one landmark, for all landmarks that share embeddings:
/// one convolution per level reads the embeddings once, and their norms are computed once. A test compares the two.
fn scores(embeddings: &[Tensor], vectors: &[Tensor], size: i64) -> Result<Tensor, TrainError> {
    let mut score = Tensor::from(1.0f32).f_to_device(embeddings[0].device())?;
    for (embedding, vectors) in embeddings.iter().zip(vectors) {
        let filters = vectors.f_unsqueeze(2)?.f_unsqueeze(3)?;
        let product = embedding.f_conv2d(&filters, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1)?;
        let norms = norm(embedding, 1)?.f_mul(&norm(&filters, 1)?.f_view([1, -1, 1, 1])?)?;
        let cosine = product.f_div(&norms.f_add_scalar(f64::from(COSINE_EPSILON))?)?.f_clamp(0.0, 1.0)?;
        score = score.f_mul(&cosine.f_upsample_bilinear2d([size, size], false, None, None)?)?;
    }
    Ok(score)
}

/// The centre of the best cell in each map of one film, `[landmarks, rows, columns]`.
fn best(maps: &Tensor) -> Result<Vec<GridPoint>, TrainError> {
    let columns = maps.size()[2];
    let best = maps.f_flatten(1, 2)?.f_argmax(1, false)?.f_to_kind(Kind::Int64)?.f_to_device(Device::Cpu)?;
    let centre = |index: i64| GridPoint::new((index / columns) as f64 + 0.5, (index % columns) as f64 + 0.5);
    Ok(Vec::<i64>::try_from(best)?.into_iter().map(centre).collect())
}

/// The scores at the points found for one film's landmarks, in maps `[landmarks, rows, columns]`.
fn scores_at(maps: &Tensor, points: &[GridPoint]) -> Result<Vec<f32>, TrainError> {
    let score = |(landmark, point): (usize, &GridPoint)| {
        let (row, column) = cell(*point);
        Ok(maps.f_double_value(&[landmark as i64, row, column])? as f32)
    };
    points.iter().enumerate().map(score).collect()
}

/// Each film's scores, divided by the median score of their landmark, at most 1.
fn confidence(scores: &[Vec<f32>]) -> impl Iterator<Item = Array1<f32>> {
    let landmarks = scores.first().map_or(0, Vec::len);
    let median = |landmark: usize| upper_median(scores.iter().map(|film| f64::from(film[landmark]))) as f32;
    let medians: Array1<f32> = (0..landmarks).map(median).collect();
    let compared =
        move |film: &Vec<f32>| film.iter().zip(&medians).map(|(score, median)| (score / median).min(1.0)).collect();
    scores.iter().map(compared)
}

fn norm(x: &Tensor, axis: i64) -> Result<Tensor, TrainError> {
    Ok(x.f_norm_scalaropt_dim(2, axis, true)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use onemark_models::graph::{Level, Of, ParamId, Parameters, Port};
    use onemark_models::landmarks::LandmarkId;
    use onemark_models::network::score_graph;

    use super::plausible::plausible;
    use super::*;
    use crate::net::interpreter::Mode;
    use crate::net::params::from_torch;

    /// Largest difference of two f32 evaluations that add in different orders; scores are at most 1.
    const FLOAT: f64 = 2e-5;

    fn on_grid<const N: usize>(points: [(f64, f64); N]) -> [GridPoint; N] {
        points.map(|(row, column)| GridPoint { row, column })
    }

    /// Two films, three landmarks, a network of 8 channels.
    #[test]
    fn scores_of_all_landmarks_are_those_of_the_score_graph() {
        let (films, landmarks, channels, size) = (2, 3, 8, 32);
        let waves = |shape: &[i64], phase: f64| {
            let count = shape.iter().product::<i64>();
            let turns = Tensor::arange(count, (Kind::Float, Device::Cpu)) * 1.7 + phase;
            turns.sin().reshape(shape) + 0.6
        };
        let levels = Level::COARSE_TO_FINE;
        let side = |level: usize| (size >> level) as i64;
        let embeddings =
            levels.map(Level::number).map(|level| waves(&[films, channels, side(level), side(level)], level as f64));
        let vectors = levels.map(|level| waves(&[landmarks, channels], 0.3 * level.number() as f64));
        let found = scores(&embeddings, &vectors, size as i64).unwrap();
        assert_eq!(found.size(), [films, landmarks, size as i64, size as i64]);
        assert!(f64::try_from(found.max()).unwrap() > 0.1);

        let inputs: BTreeMap<Port, Tensor> = levels
            .into_iter()
            .map(Port::Embedding)
            .zip(embeddings.map(|embedding| embedding.shallow_clone()))
            .collect();
        for landmark in LandmarkId::up_to(landmarks as usize) {
            let of = Of::One(landmark);
            let graph = score_graph(size, channels as usize, of).unwrap();
            let vector = |vectors: &Tensor| from_torch(&vectors.select(0, landmark.index() as i64)).unwrap();
            let ids = levels.map(|level| ParamId::vector(of, level));
            let parameters: Parameters = ids.into_iter().zip(vectors.iter().map(vector)).collect();
            let params = Params::new(&parameters, Device::Cpu).unwrap();
            let outputs = interpreter::run(&graph, &params, &inputs, Mode::Evaluate).unwrap();
            let score = graph.outputs().iter().position(|(port, _)| *port == Port::Score).unwrap();
            let expected = outputs[score].select(1, 0);
            let difference = (found.select(1, landmark.index() as i64) - expected).abs().max();
            assert!(f64::try_from(difference).unwrap() < FLOAT, "landmark {landmark}");
        }
    }

    #[test]
    fn weights_are_scores_divided_by_their_median() {
        let maps = Tensor::from_slice(&[0.1f32, 0.9, 0.4, 0.2]).view([2, 1, 2]);
        assert_eq!(scores_at(&maps, &on_grid([(0.5, 1.5), (0.5, 0.5)])).unwrap(), [0.9, 0.4]);
        let scores = [vec![0.2, 0.3], vec![0.4, 0.6], vec![0.8, 0.9]];
        let weights: Vec<Vec<f32>> = confidence(&scores).map(|film| film.to_vec()).collect();
        assert_eq!(weights, [[0.5, 0.5], [1.0, 1.0], [1.0, 1.0]]);
    }

    /// Films of three landmarks that move as one, and one more on which the third has two peaks: the higher is where no film has
    /// had it.
    #[test]
    fn a_place_that_no_film_has_is_not_a_label() {
        let shape = |film: usize| {
            let (down, right) = ((film % 10) as f64, (film / 10) as f64);
            on_grid([(10.5 + down, 10.5 + right), (10.5 + down, 30.5 + right), (30.5 + down, 20.5 + right)]).to_vec()
        };
        let prior = ShapePrior::fit(&(0..100).map(shape).collect::<Vec<_>>(), 64).unwrap();
        let mut maps = [0.0f32; 3 * 64 * 64];
        for (landmark, row, column, score) in [(0, 14, 13, 0.9), (1, 14, 33, 0.9), (2, 34, 23, 0.6), (2, 60, 60, 0.7)] {
            maps[(landmark * 64 + row) * 64 + column] = score;
        }
        let maps = Tensor::from_slice(&maps).view([3, 64, 64]);
        let seen = best(&maps).unwrap();
        assert_eq!(seen, on_grid([(14.5, 13.5), (14.5, 33.5), (60.5, 60.5)]));
        assert_eq!(plausible(&maps, &prior, &seen).unwrap(), on_grid([(14.5, 13.5), (14.5, 33.5), (34.5, 23.5)]));
    }
}
