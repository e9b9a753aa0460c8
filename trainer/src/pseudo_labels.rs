//! Infer-PL: where the network, as it stands, finds the landmarks on the training films (METHOD.md sec. 1c).

use ndarray::{Array1, Array2};
use onemark_film::geometry::GridPoint;
use onemark_models::checkpoint::{Tensors, pseudo_labels};
use onemark_models::graph::COSINE_EPSILON;
use onemark_models::graph::Level;
use onemark_models::network::{LABEL_WEIGHTS, PSEUDO_LABELS};
use onemark_models::recipe::{Recipe, TemplateSource};
use onemark_models::shape_prior::{Expected, PointSets, SCORE_FLOOR, SCORE_WEIGHT, ShapePrior, TRUST, TRUST_ROUNDS};
use onemark_models::statistics::upper_median;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::data::features::Trunk;
use crate::data::samples::Films;
use crate::data::templates::Template;
use crate::net::heads::Heads;
use crate::net::interpreter::{self, Mode, SharedValues};
use crate::net::params::Params;
use crate::report::observer::{Judged, Validation};
use crate::step::pairs::{Cell, cell, crop, patch_origin};

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
        scene.vectors = mean(&scene.vectors_by_template()?.iter().collect::<Vec<_>>())?;
        Ok(scene)
    }

    /// The template vectors of each template alone: of the film, or sums over it and its share of the copies.
    fn vectors_by_template(&self) -> Result<Vec<VectorSum>, TrainError> {
        let _guard = tch::no_grad_guard();
        let (all, templates) = (self.recipe.template_vectors.copies, self.films.samples.templates());
        let each = templates.iter().enumerate().map(|(index, template)| {
            let copies = all / templates.len() + usize::from(index < all % templates.len());
            let mut levels: [Option<Tensor>; 5] = Default::default();
            for sample in std::iter::once(template.film).chain(template.copies.clone().take(copies)) {
                for (sum, vectors) in levels.iter_mut().zip(self.vectors_on(sample, template)?) {
                    let unit = match (all, templates.len()) {
                        (0, 1) => vectors,
                        _ => vectors.f_div(&norm(&vectors, 1)?)?,
                    };
                    *sum = Some(match sum.take() {
                        None => unit,
                        Some(sum) => sum.f_add(&unit)?,
                    });
                }
            }
            let points = template.points.iter().take(self.heads.landmarks());
            let known: Vec<f32> = points.map(|point| f32::from(u8::from(point.is_some()))).collect();
            let known = Tensor::from_slice(&known).f_unsqueeze(1)?.f_to_device(self.params.device())?;
            Ok(VectorSum { levels: levels.into_iter().flatten().collect(), known, samples: 1.0 + copies as f64 })
        });
        each.collect()
    }

    /// The embeddings at the landmarks of a template on one sample, the film itself or a copy; computed on the whole film, or for each
    /// landmark on a patch about it: `[landmarks, embedding]` per level, level 5 first. Where the template lacks a landmark, they
    /// mean nothing.
    fn vectors_on(&self, sample: usize, template: &Template) -> Result<Vec<Tensor>, TrainError> {
        let samples = &self.films.samples;
        let on_sample =
            |point: &Option<GridPoint>| cell(samples.from_film(sample, point.unwrap_or(GridPoint::new(0.0, 0.0))));
        let cells: Vec<Cell> = template.points.iter().map(on_sample).collect();
        let on_patches = self.recipe.template_vectors.source == TemplateSource::Patch;
        let by_graph = match self.recipe.pairs.patch.as_ref().filter(|_| on_patches) {
            None => self.vectors_on_film(sample, &cells)?,
            Some(patch) => self.vectors_on_patches(sample, &cells, patch.size)?,
        };
        let join = |level: usize| {
            let rows: Vec<&Tensor> = by_graph.iter().map(|vectors| &vectors[level]).collect();
            Ok(Tensor::f_cat(&rows, 0)?)
        };
        (0..Level::COARSE_TO_FINE.len()).map(join).collect()
    }

    /// The embeddings at cells of a sample, one cell per landmark: graph by graph, then per level.
    fn vectors_on_film(&self, sample: usize, cells: &[Cell]) -> Result<Vec<Vec<Tensor>>, TrainError> {
        let taps = self.films.taps(&[sample], self.params.device(), Kind::Float)?;
        let mut shared = SharedValues::default();
        let vectors = self.heads.served().map(|(graph, landmarks)| {
            let at: Vec<(i64, Cell)> = landmarks.iter().map(|landmark| (0, cells[*landmark])).collect();
            at_cells(&interpreter::run_in_turn(graph, self.params, &taps, &mut shared)?, &at)
        });
        vectors.collect()
    }

    /// The same on patches of side `side` about the cells.
    fn vectors_on_patches(&self, sample: usize, cells: &[Cell], side: usize) -> Result<Vec<Vec<Tensor>>, TrainError> {
        let trunk = Trunk::new(self.recipe)?;
        let film = self.films.samples.grey(sample);
        let origin = |at| patch_origin(at, side, self.recipe.network.size);
        let vectors = self.heads.served().map(|(graph, landmarks)| {
            let cells = landmarks.iter().map(|landmark| cells[*landmark]);
            let cut = |(row, column)| crop(film, (origin(row), origin(column)), side);
            let patches: Vec<Array2<f32>> = cells.clone().map(cut).collect();
            let within = |(row, column)| (row - origin(row), column - origin(column));
            let at: Vec<(i64, Cell)> = (0..).zip(cells.map(within)).collect();
            let taps = trunk.taps(self.params, &patches, Kind::Float)?;
            at_cells(&interpreter::run(graph, self.params, &taps, Mode::Evaluate)?, &at)
        });
        vectors.collect()
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
                labels.points[*film] = plausible(&maps, &prior, &seen[*film])?;
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
    fn keep_truth(&self, points: &mut PointSets) {
        let templates = self.films.samples.templates();
        for template in templates.iter().filter(|_| templates.len() > 1) {
            for (point, truth) in points[template.film].iter_mut().zip(&template.points) {
                *point = truth.unwrap_or(*point);
            }
        }
    }

    /// The mean distance between the landmarks found and their true places: on held-out copies of a single template; on each of a
    /// few templates, by the vectors of the others; on the annotated films that only judge.
    ///
    /// # Errors
    /// Torch fails.
    pub fn validate(&self) -> Result<Validation, TrainError> {
        let samples = &self.films.samples;
        let mut errors = Vec::new();
        let mut judge = |sample: usize, template: &Template, found: &[GridPoint], by: &[bool]| {
            for ((truth, found), by) in template.points.iter().zip(found).zip(by) {
                if let (Some(truth), true) = (truth, by) {
                    errors.push(template.distance(samples.from_film(sample, *truth), *found));
                }
            }
        };
        let (templates, all) = (samples.templates(), vec![true; self.heads.landmarks()]);
        let judged = if let [template] = templates {
            let copies: Vec<usize> = samples.held_out().collect();
            let found = self.best_cells(&copies, &self.vectors, |_, _| Ok(()), |_, _| ())?;
            copies.iter().zip(&found).for_each(|(copy, found)| judge(*copy, template, found, &all));
            Judged::Copies(copies.len())
        } else if samples.judges().is_empty() {
            let sums = self.vectors_by_template()?;
            for (index, template) in templates.iter().enumerate() {
                let others = |other: usize| (other != index).then_some(&sums[other]);
                let vectors = mean(&(0..sums.len()).filter_map(others).collect::<Vec<_>>())?;
                let found = self.best_cells(&[template.film], &vectors, |_, _| Ok(()), |_, _| ())?;
                let of_others = (templates.iter()).filter(|other| other.film != template.film);
                let known = |landmark: usize| of_others.clone().any(|other| other.points[landmark].is_some());
                let by: Vec<bool> = (0..all.len()).map(known).collect();
                judge(template.film, template, &found[0], &by);
            }
            Judged::EachOther(templates.len())
        } else {
            let films: Vec<usize> = samples.judges().iter().map(|judge| judge.film).collect();
            let found = self.best_cells(&films, &self.vectors, |_, _| Ok(()), |_, _| ())?;
            samples.judges().iter().zip(&found).for_each(|(film, found)| judge(film.film, film, found, &all));
            Judged::Films(films.len())
        };
        // Without an error, the mean is NaN.
        let count = errors.len() as f64;
        let cells = errors.iter().map(|(cells, _)| cells).sum::<f64>() / count;
        let mm = errors.iter().map(|(_, mm)| *mm).sum::<Option<f64>>().map(|sum| sum / count);
        Ok(Validation { judged, cells, mm })
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

/// Sums of the embeddings at the landmarks over the samples of one template.
struct VectorSum {
    /// `[landmarks, embedding]` per level, level 5 first.
    levels: Vec<Tensor>,
    /// 1 where the landmark is annotated, else 0: `[landmarks, 1]`.
    known: Tensor,
    /// Number of samples.
    samples: f64,
}

/// The mean of sums, over the templates on which each landmark is annotated.
fn mean(sums: &[&VectorSum]) -> Result<Vec<Tensor>, TrainError> {
    let _guard = tch::no_grad_guard();
    let add = |parts: Vec<Tensor>| -> Result<Tensor, TrainError> {
        parts.iter().skip(1).try_fold(parts[0].shallow_clone(), |sum, part| Ok(sum.f_add(part)?))
    };
    let count = sums.iter().map(|sum| Ok(sum.known.f_mul_scalar(sum.samples)?)).collect::<Result<_, TrainError>>()?;
    // A landmark that no template has keeps 0.
    let count = add(count)?.f_clamp_min(1.0)?;
    let level = |level: usize| {
        let parts = sums.iter().map(|sum| Ok(sum.levels[level].f_mul(&sum.known)?));
        Ok(add(parts.collect::<Result<_, TrainError>>()?)?.f_div(&count)?)
    };
    (0..Level::COARSE_TO_FINE.len()).map(level).collect()
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

/// The centre of the best cell in each map of one film, by its score and by the position that the other landmarks predict.
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
    for _ in 0..TRUST_ROUNDS {
        trusted = prior.plausible(&points, &trusted, TRUST);
        let expected: Vec<Expected> = (0..points.len()).map(|index| prior.expected(index, &points, &trusted)).collect();
        let of = |value: fn(&Expected) -> f64| per_landmark(expected.iter().map(value).collect());
        let down = row.f_sub(&of(|expected| expected.mean().row)?)?;
        let right = column.f_sub(&of(|expected| expected.mean().column)?)?;
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

    use std::collections::BTreeMap;

    use onemark_models::graph::{Of, ParamId, Parameters, Port};
    use onemark_models::landmarks::LandmarkId;
    use onemark_models::network::score_graph;

    use super::*;
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
