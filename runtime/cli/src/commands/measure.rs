//! Runs a detector on the annotated films of a dataset, with a progress bar. What is made of the errors is the commands' matter.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use onemark_evaluation::dataset::{Case, Dataset};
use onemark_evaluation::metrics::{self, Protocol};
use onemark_film::geometry::{Cell, GridMap, Point};
use onemark_film::{Film, Spacing};
use onemark_runtime::{Detections, Detector};
use serde::Serialize;

use super::films;

/// One film and how far off its landmarks were.
#[derive(Serialize)]
pub struct Measured {
    pub id: String,
    pub seconds: f64,
    pub detections: Detections,
    /// In film px, in the landmarks' order.
    pub truth: Vec<Point>,
    /// The cells of the grid that hold the landmarks.
    pub truth_cells: Vec<Cell>,
    pub grid_errors_mm: Vec<f64>,
    pub film_errors_mm: Vec<f64>,
}

/// Measures all films of `data`; `spacing` is for those of which neither the dataset nor the file says it. `seen` gets every film.
/// A film that fails ends it: a mean over what was easy to read would be no answer.
pub fn all(
    detector: &Detector,
    data: &Dataset,
    spacing: Option<&Spacing>,
    mut seen: impl FnMut(&Film, &Measured) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Measured>> {
    let bar = ProgressBar::new(data.cases.len() as u64);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} films, {eta} left, at {msg}")?);
    let files: Vec<PathBuf> = data.cases.iter().map(|case| case.film.clone()).collect();
    let films = films::read_ahead(&files, |films| {
        let measured = data.cases.iter().zip(films).map(|(case, (_, film))| {
            bar.set_message(case.id.clone());
            let measured = film.map_err(anyhow::Error::from).and_then(|film| {
                let (film, measured) = one(detector, case, film, spacing)?;
                seen(&film, &measured)?;
                Ok(measured)
            });
            bar.inc(1);
            measured.with_context(|| format!("film {}", case.id))
        });
        measured.collect::<anyhow::Result<Vec<Measured>>>()
    })?;
    bar.finish_and_clear();
    Ok(films)
}

fn one(detector: &Detector, case: &Case, film: Film, spacing: Option<&Spacing>) -> anyhow::Result<(Film, Measured)> {
    let start = Instant::now();
    case.check_inside(film.size())?;
    let spacing = case.spacing.as_ref().or(spacing).or(film.spacing()).cloned();
    let spacing = spacing.context("nobody says how large its pixels are; give --spacing, or a spacing.csv")?;
    let film = film.with_spacing(spacing.clone());
    let detections = detector.detect(&film)?;
    let seconds = start.elapsed().as_secs_f64();

    let truth = case.points.clone().unwrap_or_default();
    let map = GridMap::new(film.size(), detector.grid());
    let truth_cells: Vec<_> = truth.iter().map(|point| map.to_cell(*point)).collect();
    let found = &detections.landmarks;
    let measured = Measured {
        id: case.id.clone(),
        seconds,
        // The cell itself, not the refined position's: that may lie on the border to the next.
        grid_errors_mm: (truth_cells.iter().zip(found))
            .map(|(truth, found)| metrics::radial_error_cells(&map, &spacing, *truth, found.cell))
            .collect(),
        film_errors_mm: (truth.iter().zip(found))
            .map(|(truth, found)| Protocol::Film.radial_error(&map, &spacing, *truth, found.position))
            .collect(),
        detections,
        truth,
        truth_cells,
    };
    Ok((film, measured))
}
