//! Where the network, as it stands, sees the landmarks: the template's vectors and the Infer-PL stage (METHOD.md sec. 1c).

use std::collections::BTreeMap;

use onemark_models::graph::{COSINE_EPSILON, Graph};
use onemark_models::network::{Architecture, LEVELS};
use onemark_models::recipe::{Network, Recipe, TemplateSource};
use onemark_models::shape::GridPoint;
use tch::{Kind, Tensor};

use crate::TrainError;
use crate::films::{Films, Trunk};
use crate::interpreter::{self, Mode};
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
        let owners: Vec<Option<usize>> = match architecture.owner(1) {
            Some(_) => (1..=landmarks).map(Some).collect(),
            None => vec![None],
        };
        let graphs = owners.into_iter().map(|owner| Ok(architecture.embedding_graph(owner)?));
        Ok(Self { graphs: graphs.collect::<Result<_, TrainError>>()?, landmarks })
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
        let mut rows: Vec<Vec<Tensor>> = LEVELS.map(|_| Vec::new()).into();
        for (graph, landmarks) in self.served() {
            let copies = films.template_copies().take(recipe.template_vectors.copies);
            let mut sums: Vec<Option<Tensor>> = LEVELS.map(|_| None).into();
            for sample in std::iter::once(films.template()).chain(copies) {
                let points: Vec<GridPoint> = landmarks
                    .iter()
                    .map(|landmark| films.from_film(sample, films.template_points()[*landmark]))
                    .collect();
                let vectors = read_vectors(graph, recipe, params, films, sample, &points)?;
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
            for (rows, sum) in rows.iter_mut().zip(sums) {
                rows.extend(sum);
            }
        }
        let count = 1.0 + recipe.template_vectors.copies as f64;
        rows.iter().map(|rows| Ok(Tensor::f_cat(rows, 0)?.f_div_scalar(count)?)).collect()
    }

    /// Infer-PL: the argmax of every film's fused similarity, per landmark. `progress` is told of each film and graph done.
    ///
    /// # Errors
    /// Torch fails.
    pub fn infer(
        &self,
        recipe: &Recipe,
        params: &Params,
        films: &Films,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Labels, TrainError> {
        let _guard = tch::no_grad_guard();
        let vectors = self.template_vectors(recipe, params, films)?;
        let mut labels: Labels = vec![vec![(0.0, 0.0); self.landmarks]; films.count()];
        let all: Vec<usize> = (0..films.count()).collect();
        let (mut done, total) = (0, films.count() * self.graphs.len());
        for batch in all.chunks(BATCH) {
            let taps = films.taps(batch)?;
            for (graph, landmarks) in self.served() {
                let embeddings = interpreter::run(graph, params, &taps, Mode::Evaluate)?;
                let first = landmarks[0] as i64;
                let own: Result<Vec<Tensor>, TrainError> =
                    vectors.iter().map(|rows| Ok(rows.f_narrow(0, first, landmarks.len() as i64)?)).collect();
                for (film, points) in batch.iter().zip(locate(&embeddings, &own?, recipe.network.size)?) {
                    labels[*film][landmarks[0]..landmarks[0] + landmarks.len()].copy_from_slice(&points);
                }
                done += batch.len();
                progress(done, total);
            }
        }
        Ok(labels)
    }
}

/// The embeddings at `points` of one template sample: `[points, embedding]` per level.
fn read_vectors(
    graph: &Graph,
    recipe: &Recipe,
    params: &Params,
    films: &Films,
    sample: usize,
    points: &[GridPoint],
) -> Result<Vec<Tensor>, TrainError> {
    let patch = recipe.pairs.patch.as_ref().filter(|_| recipe.template_vectors.source == TemplateSource::Patch);
    let Some(patch) = patch else {
        let embeddings = interpreter::run(graph, params, &films.taps(&[sample])?, Mode::Evaluate)?;
        let at: Vec<(i64, Cell)> = points.iter().map(|point| (0, cell(*point))).collect();
        return at_cells(&embeddings, &at);
    };
    let trunk = Trunk::new(recipe)?;
    let mut patches = Vec::new();
    let mut at = Vec::new();
    for (image, point) in points.iter().enumerate() {
        let (row, column) = cell(*point);
        let origin = |at| patch_origin(at, patch.size, recipe.network.size);
        let (top, left) = (origin(row), origin(column));
        patches.push(crop(films.grey(sample), (top, left), patch.size));
        at.push((image as i64, (row - top, column - left)));
    }
    let taps: BTreeMap<String, Tensor> = trunk.taps(params, &patches)?;
    at_cells(&interpreter::run(graph, params, &taps, Mode::Evaluate)?, &at)
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
    LEVELS.into_iter().zip(embeddings).map(level).collect()
}

/// The centre of the best cell per film and landmark. `vectors` are `[landmarks, embedding]`, level 5 first.
fn locate(embeddings: &[Tensor], vectors: &[Tensor], size: usize) -> Result<Vec<Vec<GridPoint>>, TrainError> {
    let side = size as i64;
    let mut score: Option<Tensor> = None;
    for (embedding, vectors) in embeddings.iter().zip(vectors) {
        let filters = vectors.f_unsqueeze(2)?.f_unsqueeze(3)?;
        let product = embedding.f_conv2d(&filters, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1)?;
        let norms = norm(embedding, 1)?.f_mul(&norm(&filters, 1)?.f_view([1, -1, 1, 1])?)?;
        let cosine = product.f_div(&norms.f_add_scalar(f64::from(COSINE_EPSILON))?)?.f_clamp(0.0, 1.0)?;
        let map = cosine.f_upsample_bilinear2d([side, side], false, None, None)?;
        score = Some(match score {
            None => map,
            Some(product) => product.f_mul(&map)?,
        });
    }
    let Some(score) = score else { return Ok(Vec::new()) };
    let best = score.f_flatten(2, 3)?.f_argmax(2, false)?.f_to_kind(Kind::Int64)?;
    let films = best.size()[0];
    let centre = |index: i64| ((index / side) as f64 + 0.5, (index % side) as f64 + 0.5);
    (0..films)
        .map(|film| {
            let cells = Vec::<i64>::try_from(best.f_select(0, film)?.f_to_device(tch::Device::Cpu)?)?;
            Ok(cells.into_iter().map(centre).collect())
        })
        .collect()
}

fn norm(x: &Tensor, axis: i64) -> Result<Tensor, TrainError> {
    Ok(x.f_norm_scalaropt_dim(2, axis, true)?)
}
