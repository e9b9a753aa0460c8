//! Films on a network's grid, for quantisation and the self-check: whole, or as a first look's landmarks align them for a second one.

use std::path::PathBuf;

use ndarray::Array2;
use onemark_film::geometry::{GridSize, Point};
use onemark_film::{Alignment, Film};
use onemark_models::bundle::Bundle;
use onemark_models::checkpoint::{Checkpoint, FirstLook};
use onemark_runtime::{Detection, Detector};

use crate::ExportError;

/// The films in these files as the checkpoint's network sees them, each `[size, size]` in [0, 1].
///
/// # Errors
/// A film can't be read, the first look can't be run, or its landmarks of a film do not lie like those of the template.
pub(crate) fn grids(
    paths: &[PathBuf],
    checkpoint: &Checkpoint,
    first_look: Option<&Bundle>,
) -> Result<Vec<Array2<f32>>, ExportError> {
    let size = checkpoint.recipe.network.size;
    let on_grid = |film: &Film| film.to_grid(GridSize { height: size, width: size });
    let look = first_look.zip(FirstLook::of(&checkpoint.tensors)).filter(|_| !paths.is_empty());
    let Some((bundle, look)) = look else {
        return paths.iter().map(|path| Ok(on_grid(&Film::open(path)?)?)).collect();
    };
    let failed = |source| ExportError::FirstLook { source };
    let detector = Detector::new(bundle, onemark_runtime::Options::default()).map_err(failed)?;
    let frame = look.frame();
    let aligned = paths.iter().map(|path| {
        let film = Film::open(path)?;
        let points: Vec<Point> =
            detector.detect(&film).map_err(failed)?.landmarks().iter().map(Detection::position).collect();
        let alignment = Alignment::fit(&film, &points, &frame);
        let alignment = alignment.ok_or_else(|| ExportError::NotAligned { film: path.clone() })?;
        Ok(on_grid(&film.aligned(&alignment, Alignment::side(size))?)?)
    });
    aligned.collect()
}
