//! Errors on annotated films: runs a detector on the films of a dataset, with a progress bar. Commands summarise the errors.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use onemark_evaluation::bias::offset_mm;
use onemark_evaluation::dataset::{Case, Dataset};
use onemark_evaluation::metrics::{self, Protocol};
use onemark_evaluation::report::FilmErrors;
use onemark_film::geometry::GridMap;
use onemark_film::visible::visible;
use onemark_film::{Film, Spacing};
use onemark_runtime::{Detections, Detector};

use crate::commands::films;
use crate::commands::said::Said;

/// The errors on all films of `data`, and where their mm come from; `spacing` is what a person states, for all films. `seen` is
/// called for every film. Prints warnings. Stops at the first film that fails: a mean over the other films would mislead.
pub fn of_films(
    detector: &Detector,
    data: &Dataset,
    spacing: Option<&Spacing>,
    mut seen: impl FnMut(&Film, &FilmErrors<Detections>) -> anyhow::Result<()>,
) -> anyhow::Result<(Vec<FilmErrors<Detections>>, Said)> {
    let mut said = Said::default();
    let bar = ProgressBar::new(data.cases.len() as u64);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} films, {eta} left, at {msg}")?);
    let files: Vec<(PathBuf, String)> =
        data.cases.iter().map(|case| (case.film.clone(), case.film.display().to_string())).collect();
    let films = films::read_ahead(&files, |films| {
        let errors = data.cases.iter().zip(films).map(|(case, film)| {
            bar.set_message(visible(&case.id).into_owned());
            let errors = film.and_then(|film| {
                let (film, errors) = one(detector, case, film, spacing, &mut said)?;
                seen(&film, &errors)?;
                Ok(errors)
            });
            bar.inc(1);
            errors.with_context(|| format!("film {}", case.id))
        });
        errors.collect::<anyhow::Result<Vec<FilmErrors<Detections>>>>()
    });
    bar.finish_and_clear();
    said.warn();
    Ok((films?, said))
}

fn one(
    detector: &Detector,
    case: &Case,
    film: Film,
    spacing: Option<&Spacing>,
    said: &mut Said,
) -> anyhow::Result<(Film, FilmErrors<Detections>)> {
    let start = Instant::now();
    case.validate_inside(film.size())?;
    let film = case.with_spacing(film, spacing);
    said.add(&case.id, &film);
    let spacing = case.required_spacing(&film)?;
    let detections = detector.detect(&film)?;
    let seconds = start.elapsed().as_secs_f64();

    let truth = case.points.clone().unwrap_or_default();
    let map = GridMap::new(film.size(), detector.grid());
    let truth_cells: Vec<_> = truth.iter().map(|point| point.map(|point| map.to_cell(point))).collect();
    let found = detections.landmarks();
    let pairs = || truth.iter().zip(found).map(|(truth, found)| Some(((*truth)?, found.position())));
    let errors = FilmErrors {
        id: case.id.clone(),
        seconds,
        // The best cell itself, because the refined position may lie on the border to another cell.
        grid_errors_mm: (truth_cells.iter().zip(found))
            .map(|(truth, found)| Some(metrics::radial_error_cells(&map, spacing, (*truth)?, found.cell())))
            .collect(),
        film_errors_mm: pairs()
            .map(|pair| pair.map(|(truth, found)| Protocol::Film.radial_error(&map, spacing, truth, found)))
            .collect(),
        film_offsets_mm: pairs().map(|pair| pair.map(|(truth, found)| offset_mm(spacing, truth, found))).collect(),
        detections,
        truth,
        truth_cells,
    };
    Ok((film, errors))
}
