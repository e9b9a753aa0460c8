//! Cycle consistency: the position found on a film is searched for on the template. If that leads back to the template's
//! landmark, the position is plausible, although the film is not annotated. So networks and decodings can be compared on films
//! without annotations.

use ndarray::Array2;
use onemark_film::Film;
use onemark_film::geometry::Cell;
use onemark_models::parallel::in_parallel;

use crate::decode;
use crate::detector::Detector;
use crate::embeddings::{Embeddings, Scorer};
use crate::{Decoding, RuntimeError};

/// The way back from films to one template.
///
/// ```
/// # mod spot { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spot/mod.rs")); }
/// use onemark_runtime::film::geometry::Point;
/// use onemark_runtime::{BackendKind, Cycle, Detector, Options};
///
/// # let bundle = spot::adaptable();
/// # let (template, film) = (spot::film(), spot::film_with(Point::new(60.0, 20.0)));
/// let detector = Detector::new(&bundle, Options::default().with_backend(BackendKind::Tract))?;
/// let cycle = Cycle::new(&detector, &template)?;
/// let expected = detector.detect(&template)?;
/// for (cell, landmark) in cycle.back(&template)?.iter().zip(expected.landmarks()) {
///     // The template leads to itself; its finest embeddings are two cells wide.
///     let (row, column) = (landmark.cell().row, landmark.cell().column);
///     assert!(cell.row.abs_diff(row) <= 2 && cell.column.abs_diff(column) <= 2, "{cell:?}, {row}, {column}");
/// }
/// assert_eq!(cycle.back(&film)?.len(), 2);
/// # Ok::<(), onemark_runtime::RuntimeError>(())
/// ```
pub struct Cycle<'a> {
    detector: &'a Detector,
    /// The template's embeddings, per landmark.
    template: Vec<Embeddings>,
    scorer: Scorer,
}

impl<'a> Cycle<'a> {
    /// The way back to `template`.
    ///
    /// # Errors
    /// The backend fails, or the bundle's graphs have no embeddings.
    pub fn new(detector: &'a Detector, template: &Film) -> Result<Self, RuntimeError> {
        let template: Vec<Embeddings> =
            detector.first().embeddings(template)?.into_iter().map(|(_, found)| found).collect();
        let first = template.first().ok_or(RuntimeError::NoLandmark { landmark: 1, last: 0 })?;
        let scorer = Scorer::new(detector.grid().height, first)?;
        Ok(Self { detector, template, scorer })
    }

    /// For each landmark, the cell of the template that is most similar to the cell found on `film`.
    ///
    /// # Errors
    /// The backend fails, or computes scores that are not numbers.
    pub fn back(&self, film: &Film) -> Result<Vec<Cell>, RuntimeError> {
        let (scores, seen): (Vec<Array2<f32>>, Vec<Embeddings>) =
            self.detector.first().embeddings(film)?.into_iter().unzip();
        let found = self.detector.first().peaks(scores)?;
        let threads = self.detector.threads();
        let maps = in_parallel(threads, 0..found.len(), |index| {
            self.scorer.score(&self.template[index], &seen[index].at(found[index].cell))
        });
        let maps = maps.into_iter().collect::<Result<Vec<_>, RuntimeError>>()?;
        let cells = decode::peaks(maps, Decoding::Argmax, None, threads);
        Ok(cells.map_err(|error| self.detector.first().decode_error(error))?.iter().map(|peak| peak.cell).collect())
    }
}
