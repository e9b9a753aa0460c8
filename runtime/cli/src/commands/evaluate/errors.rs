//! Errors on annotated films: runs a detector on the films of a dataset, with a progress bar. Commands summarise the errors.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use onemark_evaluation::dataset::{Case, Dataset};
use onemark_evaluation::metrics::{self, Protocol};
use onemark_evaluation::report::FilmErrors;
use onemark_film::geometry::GridMap;
use onemark_film::{Film, Spacing};
use onemark_runtime::{Detections, Detector};

use crate::commands::films;

/// The errors on all films of `data`; `spacing` is for films whose spacing neither the dataset nor the file states. `seen` is
/// called for every film. Stops at the first film that fails: a mean over the other films would mislead.
pub fn of_films(
    detector: &Detector,
    data: &Dataset,
    spacing: Option<&Spacing>,
    mut seen: impl FnMut(&Film, &FilmErrors<Detections>) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<FilmErrors<Detections>>> {
    let bar = ProgressBar::new(data.cases.len() as u64);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} films, {eta} left, at {msg}")?);
    let files: Vec<PathBuf> = data.cases.iter().map(|case| case.film.clone()).collect();
    let films = films::read_ahead(&files, |films| {
        let errors = data.cases.iter().zip(films).map(|(case, (_, film))| {
            bar.set_message(case.id.clone());
            let errors = film.map_err(anyhow::Error::from).and_then(|film| {
                let (film, errors) = one(detector, case, film, spacing)?;
                seen(&film, &errors)?;
                Ok(errors)
            });
            bar.inc(1);
            errors.with_context(|| format!("film {}", case.id))
        });
        errors.collect::<anyhow::Result<Vec<FilmErrors<Detections>>>>()
    })?;
    bar.finish_and_clear();
    Ok(films)
}

fn one(
    detector: &Detector,
    case: &Case,
    film: Film,
    spacing: Option<&Spacing>,
) -> anyhow::Result<(Film, FilmErrors<Detections>)> {
    let start = Instant::now();
    case.validate_inside(film.size())?;
    let spacing = case.spacing.as_ref().or(spacing).or(film.spacing()).cloned();
    let spacing = spacing.context("no pixel spacing is stated; give --spacing, or a spacing.csv")?;
    let film = film.with_spacing(spacing.clone());
    let detections = detector.detect(&film)?;
    let seconds = start.elapsed().as_secs_f64();

    let truth = case.points.clone().unwrap_or_default();
    let map = GridMap::new(film.size(), detector.grid());
    let truth_cells: Vec<_> = truth.iter().map(|point| point.map(|point| map.to_cell(point))).collect();
    let found = detections.landmarks();
    let errors = FilmErrors {
        id: case.id.clone(),
        seconds,
        // The best cell itself, because the refined position may lie on the border to another cell.
        grid_errors_mm: (truth_cells.iter().zip(found))
            .map(|(truth, found)| Some(metrics::radial_error_cells(&map, &spacing, (*truth)?, found.cell())))
            .collect(),
        film_errors_mm: (truth.iter().zip(found))
            .map(|(truth, found)| Some(Protocol::Film.radial_error(&map, &spacing, (*truth)?, found.position())))
            .collect(),
        detections,
        truth,
        truth_cells,
    };
    Ok((film, errors))
}
