//! From score maps to points in them: the best cell, then the place within it.
//!
//! Positions here are in cells of the grid; [`onemark_film::geometry::GridMap`] converts them to film pixels.

use std::fmt;
use std::str::FromStr;

use ndarray::Array2;
use onemark_film::geometry::{Cell, GridPoint};
use onemark_models::parallel::in_parallel;
use onemark_models::shape_prior::{Expected, SCORE_FLOOR, SCORE_WEIGHT, ShapePrior, TRUST, TRUST_ROUNDS};
use onemark_models::spelling::nearest;
use serde::Serialize;

use crate::RuntimeError;
use crate::scores::Scores;

/// How score maps become points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decoding {
    /// The peak that is best by its score and by where the other landmarks expect this one, refined as in `Subpixel`. If the
    /// bundle has no shape prior, the same as `Subpixel`.
    #[default]
    ShapePrior,
    /// The first maximum in row-major order, moved to the peak of a parabola through the logarithms of its neighbours'
    /// scores, per axis.
    Subpixel,
    /// The centre of the first maximum's cell, as in the paper (METHOD.md sec. 1c).
    Argmax,
}

const NAMES: [(&str, Decoding); 3] =
    [("shape-prior", Decoding::ShapePrior), ("subpixel", Decoding::Subpixel), ("argmax", Decoding::Argmax)];

/// The name that [`Serialize`] writes.
impl fmt::Display for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, decoding)| decoding == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// Reads the names that [`Serialize`] writes.
impl FromStr for Decoding {
    type Err = RuntimeError;

    fn from_str(name: &str) -> Result<Self, RuntimeError> {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, decoding)| *decoding).ok_or_else(|| RuntimeError::UnknownDecoding {
            name: name.to_owned(),
            nearest: nearest(name, NAMES.iter().map(|(known, _)| *known)),
            known: NAMES.map(|(known, _)| known).join(", "),
        })
    }
}

/// The best place in a score map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Peak {
    /// The best cell.
    pub cell: Cell,
    /// The position after refinement, at most half a cell from the cell's centre per axis.
    pub at: GridPoint,
    /// The score there.
    pub score: f32,
    /// The distance in standard deviations from where the other landmarks expect it, if there is a shape prior.
    pub mahalanobis: Option<f64>,
}

/// Why a landmark has no peak.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// The landmark at this index has scores that are not numbers, or none.
    NotNumbers(usize),
    /// Its scores could not be computed.
    Scores(RuntimeError),
}

/// The peak of a landmark by its own scores. `index` is the landmark's, for the error.
pub(crate) fn first_peak(index: usize, scores: &mut Scores<'_>, decoding: Decoding) -> Result<Peak, DecodeError> {
    peak(scores, decoding, None).map_err(DecodeError::Scores)?.ok_or(DecodeError::NotNumbers(index))
}

/// The peaks of whole score maps, searched on up to `threads` threads.
pub(crate) fn peaks(
    maps: Vec<Array2<f32>>,
    decoding: Decoding,
    prior: Option<&ShapePrior>,
    threads: usize,
) -> Result<Vec<Peak>, DecodeError> {
    let mut scores: Vec<Scores<'_>> = maps.into_iter().map(Scores::Whole).collect();
    let first =
        in_parallel(threads, scores.iter_mut().enumerate(), |(index, scores)| first_peak(index, scores, decoding));
    let first = first.into_iter().collect::<Result<Vec<Peak>, DecodeError>>()?;
    apply_prior(&mut scores, first, decoding, prior, threads)
}

/// From each landmark's first peak to its peak in the company of the others, if there is a prior over shapes.
pub(crate) fn apply_prior(
    scores: &mut [Scores<'_>],
    mut peaks: Vec<Peak>,
    decoding: Decoding,
    prior: Option<&ShapePrior>,
    threads: usize,
) -> Result<Vec<Peak>, DecodeError> {
    let Some(prior) = prior else { return Ok(peaks) };
    let points = |peaks: &[Peak]| peaks.iter().map(|peak| peak.cell.centre()).collect::<Vec<_>>();
    let mut trusted = vec![true; peaks.len()];
    if decoding == Decoding::ShapePrior {
        for _ in 0..TRUST_ROUNDS {
            let seen = points(&peaks);
            trusted = prior.plausible(&seen, &trusted, TRUST);
            let next = in_parallel(threads, scores.iter_mut().enumerate(), |(index, scores)| {
                let search = PriorSearch { expected: prior.expected(index, &seen, &trusted), found: peaks[index].cell };
                let peak = peak(scores, decoding, Some(&search)).map_err(DecodeError::Scores)?;
                peak.ok_or(DecodeError::NotNumbers(index))
            });
            peaks = next.into_iter().collect::<Result<Vec<Peak>, DecodeError>>()?;
        }
    }
    let seen = points(&peaks);
    trusted = prior.plausible(&seen, &trusted, TRUST);
    for (peak, mahalanobis) in peaks.iter_mut().zip(prior.distances(&seen, &trusted)) {
        peak.mahalanobis = Some(mahalanobis);
    }
    Ok(peaks)
}

/// A search for a landmark that takes the other landmarks into account.
struct PriorSearch {
    expected: Expected,
    found: Cell,
}

impl PriorSearch {
    /// How good a cell is, by its score and its position.
    fn value(&self, cell: Cell, score: f32) -> f64 {
        SCORE_WEIGHT * (f64::from(score) + SCORE_FLOOR).ln() + self.expected.log_density(cell.centre())
    }

    /// A score below which no cell has this value, wherever it is.
    fn least(value: f64) -> f64 {
        const ROUNDING: f64 = 1e-9;
        (value / SCORE_WEIGHT).exp() * (1.0 - ROUNDING) - SCORE_FLOOR
    }
}

/// The peak of a landmark's scores; `None` if a score is not a number, or there is none. It is the same as if all scores were known:
/// a cell whose bound is above the best known score is computed first.
fn peak(map: &mut Scores<'_>, decoding: Decoding, search: Option<&PriorSearch>) -> Result<Option<Peak>, RuntimeError> {
    let value = |cell, score| search.map_or(f64::from(score), |search| search.value(cell, score));
    let least = |value| if search.is_some() { PriorSearch::least(value) } else { value };
    let best = loop {
        let upper = map.upper();
        let (mut best, mut highest) = (None, f64::NEG_INFINITY);
        // Most cells are ruled out by their scores.
        let mut enough = search.map_or(highest, |search| least(value(search.found, upper[search.found.index()])));
        for (row, scores) in upper.rows().into_iter().enumerate() {
            for (column, &score) in scores.iter().enumerate() {
                if f64::from(score) < enough {
                    continue;
                }
                if !score.is_finite() {
                    return Ok(None);
                }
                let cell = Cell { row, column };
                let value = value(cell, score);
                if value > highest {
                    (best, highest, enough) = (Some(cell), value, least(value).max(enough));
                }
            }
        }
        match best {
            Some(cell) if !map.is_known(cell) => map.compute(cell)?,
            best => break best,
        }
    };
    let Some(best) = best else { return Ok(None) };
    let cell = summit(map, best)?;
    let Cell { row, column } = cell;
    let (map, score) = (map.upper(), map.upper()[cell.index()]);
    let shift = |before: Option<(usize, usize)>, after: (usize, usize)| {
        let neighbours = before.and_then(|place| map.get(place)).zip(map.get(after));
        neighbours.map_or(0.0, |(&before, &after)| vertex(before, score, after))
    };
    let at = match decoding {
        Decoding::Argmax => cell.centre(),
        Decoding::Subpixel | Decoding::ShapePrior => GridPoint::new(
            row as f64 + shift(row.checked_sub(1).map(|row| (row, column)), (row + 1, column)) + 0.5,
            column as f64 + shift(column.checked_sub(1).map(|column| (row, column)), (row, column + 1)) + 0.5,
        ),
    };
    Ok(Some(Peak { cell, at, score, mahalanobis: None }))
}

/// Climbs from a cell to the nearest maximum of the scores: the other landmarks choose the peak, not the position on it. The scores
/// around it are known then.
fn summit(map: &mut Scores<'_>, mut cell: Cell) -> Result<Cell, RuntimeError> {
    loop {
        let (rows, columns) = map.upper().dim();
        let around = |place: usize, side: usize| place.saturating_sub(1)..side.min(place + 2);
        let mut higher = cell;
        for next in
            around(cell.row, rows).flat_map(|row| around(cell.column, columns).map(move |column| Cell { row, column }))
        {
            if !map.is_known(next) {
                map.compute(next)?;
            }
            if map.upper()[next.index()] > map.upper()[higher.index()] {
                higher = next;
            }
        }
        if higher == cell {
            return Ok(cell);
        }
        cell = higher;
    }
}

/// The vertex of the parabola through (-1, ln before), (0, ln centre) and (1, ln after), at most half a cell away. Scores are
/// products of cosines, so their logarithms are sums over levels and closer to parabolas.
fn vertex(before: f32, centre: f32, after: f32) -> f64 {
    let [before, centre, after] = [before, centre, after].map(|score| f64::from(score).ln());
    let curvature = before - 2.0 * centre + after;
    let shift = (before - after) / (2.0 * curvature);
    // Not finite on a plateau and next to a score of 0.
    if shift.is_finite() && curvature.is_finite() { shift.clamp(-0.5, 0.5) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ndarray::array;

    /// Scores are f32: the logarithm of one is known to about 1e-7, a peak of this width to a few of those.
    const ROUNDING_CELLS: f64 = 1e-5;

    fn on_grid((row, column): (f64, f64)) -> GridPoint {
        GridPoint { row, column }
    }

    fn whole(map: &Array2<f32>) -> Scores<'static> {
        Scores::Whole(map.clone())
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for decoding in [Decoding::ShapePrior, Decoding::Subpixel, Decoding::Argmax] {
            let name = serde_json::to_value(decoding).unwrap();
            assert_eq!(name.as_str().unwrap().parse::<Decoding>().unwrap(), decoding);
        }
        let error = "argmin".parse::<Decoding>().unwrap_err().to_string();
        assert!(error.contains("did you mean `argmax`?"), "{error}");
    }

    #[test]
    fn ties_go_to_the_first_in_row_major_order() {
        let map = array![[0.1, 0.2, 0.7], [0.7, 0.1, 0.7]];
        let peak = peak(&mut whole(&map), Decoding::Argmax, None).unwrap().unwrap();
        assert_eq!((peak.cell, peak.at, peak.score), (Cell::new(0, 2), GridPoint::new(0.5, 2.5), 0.7));
    }

    #[test]
    fn a_gaussian_is_found_to_a_fraction_of_a_cell() {
        let (row, column) = (4.3_f64, 6.85_f64);
        let gaussian = |(y, x)| {
            let (dy, dx): (f64, f64) = (y as f64 - row, x as f64 - column);
            (-(dy * dy / 2.0 + dx * dx / 8.0)).exp() as f32
        };
        let map = Array2::from_shape_fn((9, 12), gaussian);
        let peak = peak(&mut whole(&map), Decoding::Subpixel, None).unwrap().unwrap();
        assert_eq!(peak.cell, Cell::new(4, 7));
        let (down, right) = (peak.at.row - 0.5 - row, peak.at.column - 0.5 - column);
        assert!(down.abs() < ROUNDING_CELLS && right.abs() < ROUNDING_CELLS, "{peak:?}");
    }

    #[test]
    fn an_axis_without_both_neighbours_is_not_refined() {
        let map = array![[0.5, 0.9, 0.8], [0.1, 0.2, 0.3]];
        let peak = peak(&mut whole(&map), Decoding::Subpixel, None).unwrap().unwrap();
        assert_eq!(peak.at.row, 0.5);
        assert!(peak.at.column > 1.5 && peak.at.column < 2.0, "{peak:?}");
    }

    #[test]
    fn plateaus_and_zeros_stay_where_they_are() {
        for map in [Array2::zeros((3, 3)), Array2::ones((3, 3)), array![[0.0, 0.5, 0.4]]] {
            let refined = peak(&mut whole(&map), Decoding::Subpixel, None).unwrap().unwrap();
            assert_eq!(refined.at, peak(&mut whole(&map), Decoding::Argmax, None).unwrap().unwrap().at);
        }
    }

    #[test]
    fn no_number_no_peak() {
        for no_number in [f32::NAN, f32::INFINITY] {
            assert_eq!(peak(&mut whole(&array![[0.9, no_number]]), Decoding::Argmax, None).unwrap(), None);
        }
        assert_eq!(peak(&mut whole(&Array2::zeros((0, 3))), Decoding::Argmax, None).unwrap(), None);
    }

    /// A map of slopes and ties, and a place that the others expect: wherever the search starts, it ends where it does without
    /// leaving anything out.
    #[test]
    fn where_a_landmark_was_found_does_not_matter() {
        let map = Array2::from_shape_fn((24, 24), |(row, column)| ((row * 7 + column * 5) % 23) as f32 / 23.0);
        let shape =
            |film: usize| [((film % 10) as f64, (film / 10) as f64), (12.0, (film % 7) as f64)].map(on_grid).to_vec();
        let shapes: Vec<Vec<GridPoint>> = (0..100).map(shape).collect();
        let prior = ShapePrior::fit(&shapes, 24).unwrap();
        let expected = prior.expected(0, &[(20.0, 20.0), (12.0, 5.0)].map(on_grid), &[true; 2]);
        let at = |found| {
            let search = PriorSearch { expected, found };
            (
                peak(&mut whole(&map), Decoding::ShapePrior, Some(&search)).unwrap().unwrap(),
                search.value(found, map[found.index()]),
            )
        };
        let cells = (0..24 * 24).map(|cell| Cell::new(cell / 24, cell % 24));
        let (whole, _) = cells.clone().map(at).min_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap();
        assert!(cells.clone().all(|found| at(found).0 == whole), "{whole:?}");
    }

    /// Films of three landmarks that move as one, and on one more film maps of which the third has two peaks: the higher is
    /// where no film has had it.
    #[test]
    fn the_others_decide_between_two_peaks() {
        let place = |film: usize| ((film % 10) as f64, (film / 10) as f64);
        let shape = |film| {
            let (down, right) = place(film);
            [(10.5 + down, 10.5 + right), (10.5 + down, 30.5 + right), (30.5 + down, 20.5 + right)]
                .map(on_grid)
                .to_vec()
        };
        let shapes: Vec<Vec<GridPoint>> = (0..100).map(shape).collect();
        let prior = ShapePrior::fit(&shapes, 64).unwrap();
        let map = |peaks: &[(usize, usize, f32)]| {
            let mut map = Array2::zeros((64, 64));
            peaks.iter().for_each(|(row, column, score)| map[(*row, *column)] = *score);
            map
        };
        let maps = [map(&[(14, 13, 0.9)]), map(&[(14, 33, 0.9)]), map(&[(34, 23, 0.6), (60, 60, 0.7)])];
        let cells = |decoding| -> Vec<Cell> {
            peaks(maps.to_vec(), decoding, Some(&prior), 2).unwrap().iter().map(|peak| peak.cell).collect()
        };
        assert_eq!(
            cells(Decoding::ShapePrior),
            [(14, 13), (14, 33), (34, 23)].map(|(row, column)| Cell { row, column })
        );
        assert_eq!(cells(Decoding::Subpixel), [(14, 13), (14, 33), (60, 60)].map(|(row, column)| Cell { row, column }));
        let mahalanobis = |decoding| peaks(maps.to_vec(), decoding, Some(&prior), 2).unwrap()[2].mahalanobis.unwrap();
        assert!(mahalanobis(Decoding::ShapePrior) < 1.0 && mahalanobis(Decoding::Subpixel) > TRUST);
        let without = |decoding| peaks(maps.to_vec(), decoding, None, 2).unwrap();
        assert_eq!(without(Decoding::ShapePrior), without(Decoding::Subpixel));
        let bad = vec![map(&[]), array![[f32::NAN]]];
        assert!(matches!(peaks(bad, Decoding::ShapePrior, Some(&prior), 2), Err(DecodeError::NotNumbers(1))));
    }
}
