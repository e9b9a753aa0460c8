//! Films that are there twice, found from the pictures alone: annotated independently, or on both sides of a split, they make
//! results look better than they are.

use std::fs;

use image::{GrayImage, Luma, imageops};
use ndarray::{Array1, Array2, s};
use sha2::{Digest as _, Sha256};

use super::{Finding, Kind, Look};
use crate::dataset::Case;
use onemark_film::geometry::GridSize;
use onemark_film::{Film, FilmError};

/// Two films are the same where their prints correlate as well as this. Measured on ISBI 2015: the same film exposed to other
/// contrasts 0.96 and more, films of two patients in the same apparatus 0.73 and less; two hands 0.75.
pub const SAME_FILM: f32 = 0.85;

/// Side of a print in cells.
const SIDE: usize = 64;
/// How far one film may be shifted against the other, in cells per axis: by a sixteenth of its sides.
const SHIFT: usize = 4;
/// The cells of a print that stay on the other one however it is shifted, per axis.
const INNER: usize = SIDE - 2 * SHIFT;
/// Standard deviation of the surroundings that a cell is compared with, in cells.
const SURROUNDINGS: f32 = 2.0;
/// The difference from its surroundings at which a cell counts half, in grey levels: so nothing on a film counts much more
/// than the rest, however bright, as the letters that are on all films of a scanner would.
const HALF: f32 = 8.0;
/// Correlation needs some contrast. Below this norm a print is blank.
const BLANK: f32 = 1e-3;

/// What a film looks like, whatever its contrast.
pub struct Print {
    /// Each cell against its surroundings, -1 to 1, axes [row, column].
    cells: Array2<f32>,
    /// Of size and pixels.
    digest: [u8; 32],
}

impl Print {
    /// The print of a film.
    ///
    /// # Errors
    /// The film can't be resized.
    pub fn of(film: &Film) -> Result<Self, FilmError> {
        let grid = GridSize::new(SIDE, SIDE);
        let small = film.resized(grid)?;
        let side = SIDE as u32;
        let small = GrayImage::from_fn(side, side, |x, y| Luma([small[y as usize * SIDE + x as usize]]));
        let around = imageops::blur(&small, SURROUNDINGS);
        let cells = Array2::from_shape_fn((SIDE, SIDE), |(row, column)| {
            let grey = |image: &GrayImage| f32::from(image.get_pixel(column as u32, row as u32).0[0]);
            let difference = grey(&small) - grey(&around);
            difference / (difference.abs() + HALF)
        });
        let mut digest = Sha256::new();
        digest.update(film.width().to_le_bytes());
        digest.update(film.height().to_le_bytes());
        digest.update(film.grey());
        Ok(Self { cells, digest: digest.finalize().into() })
    }

    /// The cells of a window of [`INNER`] rows and columns, with mean 0 and norm 1; all 0 where the window is blank.
    fn window(&self, row: usize, column: usize) -> Array1<f32> {
        let window = self.cells.slice(s![row..row + INNER, column..column + INNER]);
        let mut window = Array1::from_iter(window.iter().copied());
        window -= window.mean().unwrap_or_default();
        let norm = window.dot(&window).sqrt();
        if norm < BLANK { Array1::zeros(window.len()) } else { window / norm }
    }
}

/// A finding per pair of films that are the same.
pub(super) fn findings(films: &[(&Case, Look)]) -> Vec<Finding> {
    let prints: Vec<&Print> = films.iter().map(|(_, look)| &look.print).collect();
    let finding = |(first, second, alike): (usize, usize, f32)| {
        let (one, other) = (films[first].0, films[second].0);
        let what = match (prints[first].digest == prints[second].digest, same_bytes(one, other)) {
            (true, true) => "the same file, byte for byte".to_owned(),
            (true, false) => "the same pixels in different files".to_owned(),
            (false, _) => format!("the same picture with other pixels (correlation {alike:.2})"),
        };
        Finding::new(Kind::RepeatedFilm, &[&one.id, &other.id], &[], what)
    };
    repeated(&prints).into_iter().map(finding).collect()
}

/// For each film the index of the first one of the same patient, as far as pictures tell: films that are there twice.
pub fn patients(prints: &[&Print]) -> Vec<usize> {
    let mut patients: Vec<usize> = (0..prints.len()).collect();
    for (first, second, _) in repeated(prints) {
        let (kept, other) = (patients[first], patients[second]);
        patients.iter_mut().filter(|patient| **patient == other).for_each(|patient| *patient = kept);
    }
    patients
}

/// The pairs of films that are the same, with their correlation.
fn repeated(prints: &[&Print]) -> Vec<(usize, usize, f32)> {
    let likeness = likeness(prints);
    let pairs = (0..prints.len()).flat_map(|first| (first + 1..prints.len()).map(move |second| (first, second)));
    let pairs = pairs.map(|(first, second)| (first, second, likeness[[first, second]].max(likeness[[second, first]])));
    let same = |&(first, second, alike): &(usize, usize, f32)| {
        alike >= SAME_FILM || prints[first].digest == prints[second].digest
    };
    pairs.filter(same).collect()
}

/// How well the prints correlate, `[films, films]`: the middle of the one (row) with the best place on the other (column).
fn likeness(prints: &[&Print]) -> Array2<f32> {
    let windows = |row: usize, column: usize| {
        let mut all = Array2::zeros((prints.len(), INNER * INNER));
        all.outer_iter_mut().zip(prints).for_each(|(mut line, print)| line.assign(&print.window(row, column)));
        all
    };
    let middle = windows(SHIFT, SHIFT);
    let mut best = Array2::from_elem((prints.len(), prints.len()), f32::NEG_INFINITY);
    for row in 0..=2 * SHIFT {
        for column in 0..=2 * SHIFT {
            best.zip_mut_with(&middle.dot(&windows(row, column).t()), |best, alike| *best = best.max(*alike));
        }
    }
    best
}

fn same_bytes(one: &Case, other: &Case) -> bool {
    matches!((fs::read(&one.film), fs::read(&other.film)), (Ok(one), Ok(other)) if one == other)
}
