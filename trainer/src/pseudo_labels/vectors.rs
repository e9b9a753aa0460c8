//! The template vectors: what the network sees at the landmarks of the templates (METHOD.md sec. 4, items 10 and 11).

use ndarray::Array2;
use onemark_film::geometry::GridPoint;
use onemark_models::graph::Level;
use onemark_models::recipe::TemplateSource;
use tch::{Kind, Tensor};

use super::{Scene, norm};
use crate::TrainError;
use crate::data::features::Trunk;
use crate::data::templates::Template;
use crate::net::interpreter::{self, Mode, SharedValues};
use crate::step::pairs::{Cell, cell, crop, patch_origin};

impl Scene<'_> {
    /// The template vectors of each template alone: of the film, or sums over it and its share of the copies.
    pub(super) fn vectors_by_template(&self) -> Result<Vec<VectorSum>, TrainError> {
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
}

/// Sums of the embeddings at the landmarks over the samples of one template.
pub(super) struct VectorSum {
    /// `[landmarks, embedding]` per level, level 5 first.
    levels: Vec<Tensor>,
    /// 1 where the landmark is annotated, else 0: `[landmarks, 1]`.
    known: Tensor,
    /// Number of samples.
    samples: f64,
}

/// The mean of sums, over the templates on which each landmark is annotated.
pub(super) fn mean(sums: &[&VectorSum]) -> Result<Vec<Tensor>, TrainError> {
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
