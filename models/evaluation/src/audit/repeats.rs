//! Finds films that occur twice, from the pictures alone. If they are annotated independently, or are in both parts of a split,
//! results look better than they are.

use std::fs;

use image::{GrayImage, Luma, imageops};
use ndarray::{Array1, Array2, s};
use sha2::{Digest as _, Sha256};

use super::{FilmFacts, Finding, Kind};
use crate::dataset::Case;
use onemark_film::geometry::GridSize;
use onemark_film::{Film, FilmError};

/// Two films are the same if the correlation of their fingerprints is at least this. Measured on ISBI 2015: at least 0.96 for the same
/// film in other contrasts, at most 0.73 for films of two patients on the same machine; 0.75 for two hands.
pub const SAME_FILM: f32 = 0.85;

/// Side of a fingerprint in cells.
const SIDE: usize = 64;
/// The largest shift between two films, in cells per axis: a sixteenth of the sides.
const SHIFT: usize = 4;
/// The cells per axis of the part of a fingerprint that overlaps the other at every shift.
const INNER: usize = SIDE - 2 * SHIFT;
/// Standard deviation of the Gaussian surroundings with which a cell is compared, in cells.
const SURROUNDINGS: f32 = 2.0;
/// The difference of a cell from its surroundings, in grey levels, that gives half of the largest value. This limits the influence of
/// very bright structures, such as letters that are on all films of a scanner.
const HALF: f32 = 8.0;
/// A fingerprint with a smaller norm is blank: it has too little contrast for a correlation.
const BLANK: f32 = 1e-3;

/// A small picture of a film that does not depend on its contrast.
pub struct Fingerprint {
    /// Each cell compared with its surroundings, -1 to 1, axes [row, column].
    cells: Array2<f32>,
    /// The digest of size and pixels.
    digest: [u8; 32],
}

impl Fingerprint {
    /// The fingerprint of a film.
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

    /// The cells of a window of [`INNER`] rows and columns, with mean 0 and norm 1; all 0 if the window is blank.
    fn window(&self, row: usize, column: usize) -> Array1<f32> {
        let window = self.cells.slice(s![row..row + INNER, column..column + INNER]);
        let mut window = Array1::from_iter(window.iter().copied());
        window -= window.mean().unwrap_or_default();
        let norm = window.dot(&window).sqrt();
        if norm < BLANK { Array1::zeros(window.len()) } else { window / norm }
    }
}

/// A finding for each pair of films that are the same.
pub(super) fn findings(films: &[(&Case, FilmFacts)]) -> Vec<Finding> {
    let fingerprints: Vec<&Fingerprint> = films.iter().map(|(_, facts)| &facts.fingerprint).collect();
    let finding = |(first, second, alike): (usize, usize, f32)| {
        let (one, other) = (films[first].0, films[second].0);
        let what = match (fingerprints[first].digest == fingerprints[second].digest, same_bytes(one, other)) {
            (true, true) => "the same file, byte for byte".to_owned(),
            (true, false) => "the same pixels in different files".to_owned(),
            (false, _) => format!("the same picture with other pixels (correlation {alike:.2})"),
        };
        Finding::new(Kind::RepeatedFilm, &[&one.id, &other.id], &[], what)
    };
    repeated(&fingerprints).into_iter().map(finding).collect()
}

/// For each film, the index of the first film with the same picture. This is used as the patient's number.
pub fn patients(fingerprints: &[&Fingerprint]) -> Vec<usize> {
    let mut patients: Vec<usize> = (0..fingerprints.len()).collect();
    for (first, second, _) in repeated(fingerprints) {
        let (kept, other) = (patients[first], patients[second]);
        patients.iter_mut().filter(|patient| **patient == other).for_each(|patient| *patient = kept);
    }
    patients
}

/// The pairs of films that are the same, with their correlation.
fn repeated(fingerprints: &[&Fingerprint]) -> Vec<(usize, usize, f32)> {
    let likeness = likeness(fingerprints);
    let pairs =
        (0..fingerprints.len()).flat_map(|first| (first + 1..fingerprints.len()).map(move |second| (first, second)));
    let pairs = pairs.map(|(first, second)| (first, second, likeness[[first, second]].max(likeness[[second, first]])));
    let same = |&(first, second, alike): &(usize, usize, f32)| {
        alike >= SAME_FILM || fingerprints[first].digest == fingerprints[second].digest
    };
    pairs.filter(same).collect()
}

/// The correlations of the fingerprints, `[films, films]`: the middle of one (row) with the best position on the other (column).
fn likeness(fingerprints: &[&Fingerprint]) -> Array2<f32> {
    let windows = |row: usize, column: usize| {
        let mut all = Array2::zeros((fingerprints.len(), INNER * INNER));
        all.outer_iter_mut()
            .zip(fingerprints)
            .for_each(|(mut line, fingerprint)| line.assign(&fingerprint.window(row, column)));
        all
    };
    let middle = windows(SHIFT, SHIFT);
    let mut best = Array2::from_elem((fingerprints.len(), fingerprints.len()), f32::NEG_INFINITY);
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
