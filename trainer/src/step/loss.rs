//! The distance-aware matching loss of METHOD.md sec. 1b (C2), at any number of points of any number of film pairs.

use onemark_models::graph::Level;
use onemark_models::recipe::Loss;
use tch::{Kind, Tensor};

use crate::TrainError;
use crate::step::pairs::{Cell, Match};

/// The weighted sum of the matches' losses, per level, level 5 first.
///
/// `source` and `target` are embeddings `[batch, embedding, rows, columns]`, level 5 first. The total loss is the sum.
///
/// # Errors
/// Torch fails.
pub fn matching_loss(
    loss: &Loss,
    source: &[Tensor],
    target: &[Tensor],
    matches: &[Match],
) -> Result<Vec<Tensor>, TrainError> {
    let levels = Level::COARSE_TO_FINE.map(Level::number).into_iter().zip(source.iter().zip(target));
    levels
        .map(|(level, (source, target))| {
            let radius = (level < 5).then_some(loss.radius as i64);
            level_loss(loss, source, target, matches, level, radius)
        })
        .collect()
}

/// The loss of one level, whose stride is `2^level`. The cells that compete lie within `radius` cells of the match, rows and
/// columns; `None` for the whole grid.
///
/// # Errors
/// Torch fails.
pub fn level_loss(
    loss: &Loss,
    source: &Tensor,
    target: &Tensor,
    matches: &[Match],
    level: usize,
    radius: Option<i64>,
) -> Result<Tensor, TrainError> {
    let grid = Grid::of(target);
    let source_grid = Grid::of(source);
    let points = matches.len() as i64;
    let candidates = Candidates::new(loss, grid, matches, level, radius);
    let device = target.device();

    let vectors: Vec<i64> = matches
        .iter()
        .map(|point| source_grid.index(point.source.0, source_grid.cell(point.source.1, level)))
        .collect();
    let vectors =
        source_grid.vectors(source)?.f_index_select(0, &Tensor::f_from_slice(&vectors)?.f_to_device(device)?)?;
    let index = Tensor::f_from_slice(&candidates.index)?.f_to_device(device)?;
    let embeddings = grid.vectors(target)?.f_index_select(0, &index)?.f_view([points, candidates.each, -1])?;

    let product = embeddings.f_bmm(&vectors.f_unsqueeze(2)?)?.f_squeeze_dim(2)?;
    let norms = norm(&embeddings)?.f_mul(&norm(&vectors)?.f_unsqueeze(1)?)?;
    let cosine = product.f_div(&norms.f_add_scalar(f64::from(onemark_models::graph::COSINE_EPSILON))?)?;

    let on = |numbers: &[f32], shape: &[i64]| -> Result<Tensor, TrainError> {
        Ok(Tensor::f_from_slice(numbers)?.f_view(shape)?.f_to_device(device)?)
    };
    let logits = cosine.f_mul_scalar(loss.temperature)?.f_add(&on(&candidates.bias, &[points, candidates.each])?)?;
    let positive = Tensor::f_from_slice(&candidates.positive)?.f_view([points, 1])?.f_to_device(device)?;
    let losses = logits.f_logsumexp([1], true)?.f_sub(&logits.f_gather(1, &positive, false)?)?;
    let weights: Vec<f32> = matches.iter().map(|point| point.weight).collect();
    Ok(losses.f_mul(&on(&weights, &[points, 1])?)?.f_sum(Kind::Float)?)
}

fn norm(x: &Tensor) -> Result<Tensor, TrainError> {
    Ok(x.f_norm_scalaropt_dim(2, -1, false)?)
}

/// The cells that compete for each match, as rows of the batch's embeddings, with their bias.
struct Candidates {
    each: i64,
    index: Vec<i64>,
    bias: Vec<f32>,
    positive: Vec<i64>,
}

impl Candidates {
    fn new(loss: &Loss, grid: Grid, matches: &[Match], level: usize, radius: Option<i64>) -> Self {
        let each = radius.map_or(grid.rows * grid.columns, |radius| 4 * radius * radius);
        let count = matches.len() * each as usize;
        let mut all = Self {
            each,
            index: Vec::with_capacity(count),
            bias: Vec::with_capacity(count),
            positive: Vec::with_capacity(matches.len()),
        };
        for point in matches {
            let (image, (row, column)) = (point.target.0, grid.cell(point.target.1, level));
            // Half open, from -radius to radius - 1 (METHOD.md sec. 1b).
            let (rows, columns) = match radius {
                Some(radius) => (row - radius..row + radius, column - radius..column + radius),
                None => (0..grid.rows, 0..grid.columns),
            };
            for i in rows {
                for j in columns.clone() {
                    if (i, j) == (row, column) {
                        all.positive.push(all.index.len() as i64 % each);
                    }
                    let inside = (0..grid.rows).contains(&i) && (0..grid.columns).contains(&j);
                    let distance = (((i - row).pow(2) + (j - column).pow(2)) as f64).sqrt();
                    let bias = loss.temperature * (loss.slope * distance).min(loss.cap);
                    all.index.push(grid.index(image, if inside { (i, j) } else { (row, column) }));
                    all.bias.push(if inside { bias as f32 } else { f32::NEG_INFINITY });
                }
            }
        }
        all
    }
}

/// The grid of a batch of embeddings.
#[derive(Clone, Copy)]
struct Grid {
    rows: i64,
    columns: i64,
}

impl Grid {
    fn of(embeddings: &Tensor) -> Self {
        let size = embeddings.size();
        Self { rows: size[2], columns: size[3] }
    }

    /// The cell of a level with stride `2^level` that holds `cell`.
    fn cell(self, cell: Cell, level: usize) -> Cell {
        ((cell.0 >> level).clamp(0, self.rows - 1), (cell.1 >> level).clamp(0, self.columns - 1))
    }

    fn index(self, image: usize, (row, column): Cell) -> i64 {
        (image as i64 * self.rows + row) * self.columns + column
    }

    /// `[batch * rows * columns, embedding]`.
    fn vectors(self, embeddings: &Tensor) -> Result<Tensor, TrainError> {
        let channels = embeddings.size()[1];
        Ok(embeddings.f_permute([0, 2, 3, 1])?.f_reshape([-1, channels])?)
    }
}
