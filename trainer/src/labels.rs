//! Where the network, as it stands, sees the landmarks: the template's vectors and the Infer-PL stage (METHOD.md sec. 1c).

use ndarray::{Array1, Array2};
use onemark_models::graph::Level;
use onemark_models::graph::{COSINE_EPSILON, Graph};
use onemark_models::landmarks::LandmarkId;
use onemark_models::network::Architecture;
use onemark_models::recipe::{Network, Recipe, TemplateSource};
use onemark_models::shape::{
    ASKING_ROUNDS, Expected, GridPoint, SCORE_FLOOR, SCORE_WEIGHT, ShapePrior, Shapes, TRUST, median,
};
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::features::Trunk;
use crate::films::Films;
use crate::interpreter::{self, Common, Mode};
use crate::loss::Cell;
use crate::params::Params;
use crate::steps::{Labels, cell, crop, patch_origin};

/// Films per pass of Infer-PL.
const BATCH: usize = 4;

/// The embedding graphs: one per landmark, or one for all while nothing in them depends on the landmark.
pub struct Heads {
    graphs: Vec<Graph>,
    landmarks: usize,
}

impl Heads {
    /// The graphs of the recipe's network, with or without its adapters.
    ///
    /// # Errors
    /// The recipe describes no possible network.
    pub fn new(recipe: &Recipe, landmarks: usize, adapters: bool) -> Result<Self, TrainError> {
        let without = Network { adapter_channels: 0, ..recipe.network.clone() };
        let network = if adapters { &recipe.network } else { &without };
        let architecture = Architecture { trunk: &recipe.trunk, network };
        let owners: Vec<Option<LandmarkId>> = match architecture.owner(LandmarkId::from_index(0)) {
            Some(_) => LandmarkId::up_to(landmarks).map(Some).collect(),
            None => vec![None],
        };
        let graphs = owners.into_iter().map(|owner| Ok(architecture.embedding_graph(owner)?));
        Ok(Self { graphs: graphs.collect::<Result<_, TrainError>>()?, landmarks })
    }

    /// How many graphs there are.
    pub fn count(&self) -> usize {
        self.graphs.len()
    }

    /// The graph of a landmark (0-based); for `None`, the one for all.
    pub fn graph(&self, landmark: Option<usize>) -> &Graph {
        &self.graphs[landmark.unwrap_or(0) % self.graphs.len()]
    }

    /// Each graph with the landmarks (0-based) that it serves.
    fn served(&self) -> impl Iterator<Item = (&Graph, Vec<usize>)> {
        let each = self.landmarks / self.graphs.len();
        let range = move |index: usize| (index * each..(index + 1) * each).collect();
        self.graphs.iter().enumerate().map(move |(index, graph)| (graph, range(index)))
    }

    /// The template vectors `[landmarks, embedding]` per level, level 5 first (METHOD.md sec. 4, items 10 and 11): of the
    /// template itself, or the mean of unit vectors over the template and some of its copies.
    ///
    /// # Errors
    /// Torch fails.
    pub fn template_vectors(&self, recipe: &Recipe, params: &Params, films: &Films) -> Result<Vec<Tensor>, TrainError> {
        let _guard = tch::no_grad_guard();
        let copies = films.template_copies().take(recipe.template_vectors.copies);
        let mut sums: [Option<Tensor>; 5] = Default::default();
        for sample in std::iter::once(films.template()).chain(copies) {
            let vectors = self.read_vectors(recipe, params, films, sample)?;
            for (sum, vectors) in sums.iter_mut().zip(vectors) {
                let unit = match recipe.template_vectors.copies {
                    0 => vectors,
                    _ => vectors.f_div(&norm(&vectors, 1)?)?,
                };
                *sum = Some(match sum.take() {
                    None => unit,
                    Some(sum) => sum.f_add(&unit)?,
                });
            }
        }
        let count = 1.0 + recipe.template_vectors.copies as f64;
        sums.iter().flatten().map(|sum| Ok(sum.f_div_scalar(count)?)).collect()
    }

    /// The embeddings at the landmarks of one template sample, seen on the whole film or each on a patch about it:
    /// `[landmarks, embedding]` per level.
    fn read_vectors(
        &self,
        recipe: &Recipe,
        params: &Params,
        films: &Films,
        sample: usize,
    ) -> Result<Vec<Tensor>, TrainError> {
        let cells: Vec<Cell> =
            films.template_points().iter().map(|point| cell(films.from_film(sample, *point))).collect();
        let patch = recipe.pairs.patch.as_ref().filter(|_| recipe.template_vectors.source == TemplateSource::Patch);
        let mut rows: [Vec<Tensor>; 5] = Default::default();
        let mut keep =
            |vectors: Vec<Tensor>| rows.iter_mut().zip(vectors).for_each(|(rows, vectors)| rows.push(vectors));
        match patch {
            None => {
                let taps = films.taps(&[sample], params.device(), Kind::Float)?;
                let mut common = Common::default();
                for (graph, landmarks) in self.served() {
                    let at: Vec<(i64, Cell)> = landmarks.iter().map(|landmark| (0, cells[*landmark])).collect();
                    keep(at_cells(&interpreter::run_in_turn(graph, params, &taps, &mut common)?, &at)?);
                }
            }
            Some(patch) => {
                let trunk = Trunk::new(recipe)?;
                let origin = |at| patch_origin(at, patch.size, recipe.network.size);
                for (graph, landmarks) in self.served() {
                    let cells = landmarks.iter().map(|landmark| cells[*landmark]);
                    let cut = |(row, column)| crop(films.grey(sample), (origin(row), origin(column)), patch.size);
                    let patches: Vec<Array2<f32>> = cells.clone().map(cut).collect();
                    let within = |(row, column)| (row - origin(row), column - origin(column));
                    let at: Vec<(i64, Cell)> = (0..).zip(cells.map(within)).collect();
                    let taps = trunk.taps(params, &patches, Kind::Float)?;
                    keep(at_cells(&interpreter::run(graph, params, &taps, Mode::Evaluate)?, &at)?);
                }
            }
        }
        rows.iter().map(|rows| Ok(Tensor::f_cat(rows, 0)?)).collect()
    }

    /// Infer-PL: the best place of the fused similarity, per film and landmark. Only of the films to `renew`; the others keep what
    /// they had `before`. With `prior`, a prior over all landmarks, fitted to what is seen, has a say. `progress` is told of
    /// each film and graph done.
    ///
    /// # Errors
    /// Torch fails.
    #[allow(clippy::too_many_arguments)]
    pub fn infer(
        &self,
        recipe: &Recipe,
        params: &Params,
        films: &Films,
        vectors: &[Tensor],
        before: Option<&Labels>,
        prior: bool,
        renew: impl Fn(usize) -> bool,
        progress: impl FnMut(usize, usize),
    ) -> Result<Inferred, TrainError> {
        let samples: Vec<usize> = (0..films.count()).filter(|film| before.is_none() || renew(*film)).collect();
        let weighted = recipe.pairs.film.as_ref().is_some_and(|pairs| pairs.confidence_weighted);
        // Score maps wait, as f16, until all films' are known: then a prior can be fitted, and scores compared.
        let mut maps: Vec<Vec<Tensor>> = samples.iter().map(|_| Vec::new()).collect();
        let keep = |index: usize, score: &Tensor| {
            if prior || weighted {
                maps[index].push(score.f_to_kind(Kind::Half)?);
            }
            Ok(())
        };
        let found = self.look(recipe, params, films, vectors, &samples, keep, progress)?;
        let unknown = || Labels::from(vec![vec![(0.0, 0.0); self.landmarks]; films.count()]);
        let mut labels = before.cloned().unwrap_or_else(unknown);
        samples.iter().zip(found).for_each(|(film, points)| labels.points[*film] = points);
        let seen = labels.points.clone();
        if let Some(prior) = prior.then(|| ShapePrior::fit(&seen, recipe.network.size)).flatten() {
            for (film, maps) in samples.iter().zip(&maps) {
                let maps = Tensor::f_cat(maps, 0)?.f_to_kind(Kind::Float)?;
                labels.points[*film] = plausible(&maps, &prior, &seen[*film])?;
            }
        }
        if weighted {
            let points = samples.iter().map(|film| &labels.points[*film]);
            let scores: Result<Vec<Vec<f32>>, TrainError> =
                maps.iter().zip(points).map(|(maps, points)| scores_at(&Tensor::f_cat(maps, 0)?, points)).collect();
            for (film, weights) in samples.iter().zip(confidence(&scores?)) {
                labels.weights.row_mut(*film).assign(&weights);
            }
        }
        Ok(Inferred { labels, seen })
    }

    /// The mean distance, in cells, of the landmarks found on the held-out copies of the template from where they are.
    ///
    /// # Errors
    /// Torch fails.
    pub fn held_out_error(
        &self,
        recipe: &Recipe,
        params: &Params,
        films: &Films,
        vectors: &[Tensor],
    ) -> Result<f64, TrainError> {
        let samples: Vec<usize> = films.held_out().collect();
        let found = self.look(recipe, params, films, vectors, &samples, |_, _| Ok(()), |_, _| ())?;
        let errors = samples.iter().zip(&found).flat_map(|(sample, found)| {
            let truth = films.template_points().iter().map(|point| films.from_film(*sample, *point));
            truth.zip(found).map(|(truth, found)| (truth.0 - found.0).hypot(truth.1 - found.1))
        });
        Ok(errors.sum::<f64>() / (samples.len() * self.landmarks) as f64)
    }

    /// The best place of the fused similarity, per sample and landmark. `keep` is given each sample's index and maps
    /// `[landmarks, rows, columns]`, graph by graph.
    #[allow(clippy::too_many_arguments)]
    fn look(
        &self,
        recipe: &Recipe,
        params: &Params,
        films: &Films,
        vectors: &[Tensor],
        samples: &[usize],
        mut keep: impl FnMut(usize, &Tensor) -> Result<(), TrainError>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Shapes, TrainError> {
        let _guard = tch::no_grad_guard();
        let mut found = vec![vec![(0.0, 0.0); self.landmarks]; samples.len()];
        let (mut done, total) = (0, samples.len() * self.graphs.len());
        for (first_row, batch) in samples.chunks(BATCH).enumerate().map(|(index, batch)| (index * BATCH, batch)) {
            let taps = films.taps(batch, params.device(), Kind::Float)?;
            let mut common = Common::default();
            for (graph, landmarks) in self.served() {
                let embeddings = interpreter::run_in_turn(graph, params, &taps, &mut common)?;
                let (first, count) = (landmarks[0], landmarks.len());
                let own: Result<Vec<Tensor>, TrainError> =
                    vectors.iter().map(|rows| Ok(rows.f_narrow(0, first as i64, count as i64)?)).collect();
                let scores = scores(&embeddings, &own?, recipe.network.size as i64)?;
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

/// Landmarks on the training films.
pub struct Inferred {
    /// The pseudo-labels.
    pub labels: Labels,
    /// The best places by score alone: the labels' own unless a prior chose them. Of films that were not renewed, the labels'.
    pub seen: Shapes,
}

/// Embeddings at cells of images of a batch: `[cells, embedding]` per level.
fn at_cells(embeddings: &[Tensor], at: &[(i64, Cell)]) -> Result<Vec<Tensor>, TrainError> {
    let level = |(level, embedding): (usize, &Tensor)| -> Result<Tensor, TrainError> {
        let size = embedding.size();
        let vectors = at.iter().map(|(image, (row, column))| {
            let (row, column) = ((row >> level).clamp(0, size[2] - 1), (column >> level).clamp(0, size[3] - 1));
            Ok(embedding.f_select(0, *image)?.f_select(1, row)?.f_select(1, column)?)
        });
        Ok(Tensor::f_stack(&vectors.collect::<Result<Vec<_>, TrainError>>()?, 0)?)
    };
    Level::COARSE_TO_FINE.map(Level::number).into_iter().zip(embeddings).map(level).collect()
}

/// Fused similarities `[films, landmarks, size, size]` (METHOD.md sec. 1c). `vectors` are `[landmarks, embedding]`, level 5
/// first.
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

/// The centre of the best cell of each of one film's maps, `[landmarks, rows, columns]`.
fn best(maps: &Tensor) -> Result<Vec<GridPoint>, TrainError> {
    let columns = maps.size()[2];
    let best = maps.f_flatten(1, 2)?.f_argmax(1, false)?.f_to_kind(Kind::Int64)?.f_to_device(Device::Cpu)?;
    let centre = |index: i64| ((index / columns) as f64 + 0.5, (index % columns) as f64 + 0.5);
    Ok(Vec::<i64>::try_from(best)?.into_iter().map(centre).collect())
}

/// The scores of one film's landmarks where they were found, in maps `[landmarks, rows, columns]`.
fn scores_at(maps: &Tensor, points: &[GridPoint]) -> Result<Vec<f32>, TrainError> {
    let score = |(landmark, point): (usize, &GridPoint)| {
        let (row, column) = cell(*point);
        Ok(maps.f_double_value(&[landmark as i64, row, column])? as f32)
    };
    points.iter().enumerate().map(score).collect()
}

/// Each film's scores, compared with the middle one of their landmark's, at most 1.
fn confidence(scores: &[Vec<f32>]) -> impl Iterator<Item = Array1<f32>> {
    let landmarks = scores.first().map_or(0, Vec::len);
    let middle = |landmark: usize| median(scores.iter().map(|film| f64::from(film[landmark]))) as f32;
    let middles: Array1<f32> = (0..landmarks).map(middle).collect();
    let compared =
        move |film: &Vec<f32>| film.iter().zip(&middles).map(|(score, middle)| (score / middle).min(1.0)).collect();
    scores.iter().map(compared)
}

/// The centre of the cell of each of one film's maps that is best by its score and by where the other landmarks expect this one.
/// `found` are the best by score alone.
fn plausible(maps: &Tensor, prior: &ShapePrior, found: &[GridPoint]) -> Result<Vec<GridPoint>, TrainError> {
    let device = maps.device();
    let (landmarks, rows, columns) = maps.size3()?;
    let logarithms = maps.f_add_scalar(SCORE_FLOOR)?.f_log()?.f_mul_scalar(SCORE_WEIGHT)?;
    let per_landmark = |values: Vec<f64>| -> Result<Tensor, TrainError> {
        Ok(Tensor::f_from_slice(&values)?.f_to_kind(Kind::Float)?.f_view([landmarks, 1, 1])?.f_to_device(device)?)
    };
    let centres = |count: i64, shape: [i64; 3]| -> Result<Tensor, TrainError> {
        Ok(Tensor::f_arange(count, (Kind::Float, device))?.f_add_scalar(0.5)?.f_view(shape)?)
    };
    let (row, column) = (centres(rows, [1, rows, 1])?, centres(columns, [1, 1, columns])?);
    let (mut points, mut trusted) = (found.to_vec(), vec![true; found.len()]);
    for _ in 0..ASKING_ROUNDS {
        trusted = prior.plausible(&points, &trusted, TRUST);
        let expected: Vec<Expected> = (0..points.len()).map(|index| prior.expected(index, &points, &trusted)).collect();
        let of = |value: fn(&Expected) -> f64| per_landmark(expected.iter().map(value).collect());
        let down = row.f_sub(&of(|expected| expected.mean().0)?)?;
        let right = column.f_sub(&of(|expected| expected.mean().1)?)?;
        let [vertical, diagonal, horizontal] = [
            of(|expected| -0.5 * expected.precision()[0][0])?,
            of(|expected| -expected.precision()[0][1])?,
            of(|expected| -0.5 * expected.precision()[1][1])?,
        ];
        let density = logarithms
            .f_add(&down.f_square()?.f_mul(&vertical)?)?
            .f_add(&right.f_square()?.f_mul(&horizontal)?)?
            .f_add(&down.f_mul(&diagonal)?.f_mul(&right)?)?;
        points = best(&density)?;
    }
    Ok(points)
}

fn norm(x: &Tensor, axis: i64) -> Result<Tensor, TrainError> {
    Ok(x.f_norm_scalaropt_dim(2, axis, true)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn labels_weigh_what_their_scores_do_beside_the_middle_one() {
        let maps = Tensor::from_slice(&[0.1f32, 0.9, 0.4, 0.2]).view([2, 1, 2]);
        assert_eq!(scores_at(&maps, &[(0.5, 1.5), (0.5, 0.5)]).unwrap(), [0.9, 0.4]);
        let scores = [vec![0.2, 0.3], vec![0.4, 0.6], vec![0.8, 0.9]];
        let weights: Vec<Vec<f32>> = confidence(&scores).map(|film| film.to_vec()).collect();
        assert_eq!(weights, [[0.5, 0.5], [1.0, 1.0], [1.0, 1.0]]);
    }

    /// Films of three landmarks that move as one, and one more on which the third has two peaks: the higher is where no film has
    /// had it.
    #[test]
    fn a_place_that_no_film_has_is_no_label() {
        let shape = |film: usize| {
            let (down, right) = ((film % 10) as f64, (film / 10) as f64);
            vec![(10.5 + down, 10.5 + right), (10.5 + down, 30.5 + right), (30.5 + down, 20.5 + right)]
        };
        let prior = ShapePrior::fit(&(0..100).map(shape).collect::<Vec<_>>(), 64).unwrap();
        let mut maps = [0.0f32; 3 * 64 * 64];
        for (landmark, row, column, score) in [(0, 14, 13, 0.9), (1, 14, 33, 0.9), (2, 34, 23, 0.6), (2, 60, 60, 0.7)] {
            maps[(landmark * 64 + row) * 64 + column] = score;
        }
        let maps = Tensor::from_slice(&maps).view([3, 64, 64]);
        let seen = best(&maps).unwrap();
        assert_eq!(seen, [(14.5, 13.5), (14.5, 33.5), (60.5, 60.5)]);
        assert_eq!(plausible(&maps, &prior, &seen).unwrap(), [(14.5, 13.5), (14.5, 33.5), (34.5, 23.5)]);
    }
}
