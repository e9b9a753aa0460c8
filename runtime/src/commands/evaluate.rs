//! `onemark evaluate`: how good a bundle is on the annotated films of a dataset. What is measured is in
//! [`onemark_models::metrics`]; which films are taken is in [`super::films`].

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};
use ndarray::Array2;
use onemark_models::bundle::Bundle;
use onemark_models::dataset::{Case, Dataset, Split};
use onemark_models::film::{Film, Spacing};
use onemark_models::geometry::{GridMap, Point};
use onemark_models::metrics::{self, Bootstrap, Evaluation, Protocol};
use onemark_runtime::results::overlay;
use onemark_runtime::{BundleId, Decoding, Detections, Detector};
use serde::Serialize;

use super::{films, tables};
use crate::console::{self, RunOptions};

/// Runs a bundle on annotated films and measures its errors
#[derive(Args)]
pub struct Evaluate {
    /// The bundle
    bundle: PathBuf,
    /// The dataset: ISBI 2015 as published, or images/ with landmarks.csv
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Which of its films
    #[arg(long, default_value = "all", value_parser = PossibleValuesParser::new(Split::NAMES.map(|(name, _)| name)))]
    split: String,
    #[command(flatten)]
    options: RunOptions,
    /// Only these of the split: ids and ranges of ids
    #[arg(long, value_name = "151-190,200")]
    films: Option<String>,
    /// Only the first N of them
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Summarise a second time without these: ids and ranges, or `repeated` for ISBI 2015's films of patients that appear
    /// twice
    #[arg(long, value_name = "IDS")]
    without: Option<String>,
    /// mm per pixel, or x,y, of films whose spacing the dataset does not say
    #[arg(long, value_name = "MM|X,Y")]
    spacing: Option<Spacing>,
    /// Draw truth in green and prediction in red on every film
    #[arg(long, value_name = "DIR")]
    overlays: Option<PathBuf>,
    /// Write everything as JSON: films, positions, errors, summaries
    #[arg(long, value_name = "OUT.json")]
    report: Option<PathBuf>,
}

/// What `--report` holds.
#[derive(Serialize)]
struct Report<'a> {
    bundle: &'a BundleId,
    backend: &'static str,
    decoding: Decoding,
    data: &'a PathBuf,
    split: &'a str,
    seconds: f64,
    protocols: Vec<Summary>,
    films: Vec<FilmReport>,
}

/// One protocol's numbers on one selection of films.
#[derive(Serialize)]
struct Summary {
    protocol: Protocol,
    /// The films left out of this summary.
    without: Vec<String>,
    bootstrap: Bootstrap,
    #[serde(flatten)]
    evaluation: Evaluation,
}

#[derive(Serialize)]
struct FilmReport {
    id: String,
    seconds: f64,
    detections: Detections,
    /// In film px, in the landmarks' order.
    truth: Vec<Point>,
    /// Row and column of the grid.
    truth_cells: Vec<(usize, usize)>,
    grid_errors_mm: Vec<f64>,
    film_errors_mm: Vec<f64>,
}

impl Evaluate {
    /// A film that fails ends it: a mean over what was easy to read would be no answer.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = Bundle::open(&self.bundle)?;
        let mut data = Dataset::open(&self.data, self.split.parse()?)?;
        data.check_set(&bundle.manifest().landmark_set)?;
        films::keep_annotated(&mut data, self.films.as_deref(), self.limit)?;
        let without = self.without.as_deref().map(|text| films::left_out(&data, text)).transpose()?;
        if let Some(folder) = &self.overlays {
            fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        }
        if let Some(report) = &self.report {
            console::check_folder(report)?;
        }
        let detector = self.options.open(&bundle, None)?;

        let bar = ProgressBar::new(data.cases.len() as u64);
        bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} films, {eta} left, at {msg}")?);
        let start = Instant::now();
        let files: Vec<PathBuf> = data.cases.iter().map(|case| case.film.clone()).collect();
        let films = films::read_ahead(&files, |films| {
            let measured = data.cases.iter().zip(films).map(|(case, (_, film))| {
                bar.set_message(case.id.clone());
                let film = film
                    .map_err(anyhow::Error::from)
                    .and_then(|film| measure(&detector, case, film, self.spacing.as_ref(), self.overlays.as_deref()));
                bar.inc(1);
                film.with_context(|| format!("film {}", case.id))
            });
            measured.collect::<anyhow::Result<Vec<FilmReport>>>()
        })?;
        bar.finish_and_clear();
        let seconds = start.elapsed().as_secs_f64();

        let names = bundle.manifest().landmark_set.landmarks.iter().map(|landmark| landmark.name.clone());
        let protocols = summaries(&films, &names.collect::<Vec<_>>(), without.as_deref())?;
        for summary in &protocols {
            console::print(format_args!("{}\n", text(summary)))?;
        }
        let (count, backend) = (films.len(), detector.backend().name());
        let each = seconds / count as f64;
        console::note(format_args!("{count} films in {seconds:.1} s on {backend}, {each:.2} s each"));
        if let Some(path) = &self.report {
            let (bundle, decoding) = (detector.bundle(), detector.decoding());
            let (data, split) = (&self.data, self.split.as_str());
            console::write_json(path, &Report { bundle, backend, decoding, data, split, seconds, protocols, films })?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn measure(
    detector: &Detector,
    case: &Case,
    film: Film,
    spacing: Option<&Spacing>,
    overlays: Option<&std::path::Path>,
) -> anyhow::Result<FilmReport> {
    let start = Instant::now();
    case.check_inside(film.width(), film.height())?;
    let stated = case.spacing.map(|mm_per_px| Spacing { mm_per_px, source: "the dataset".into() });
    let spacing = stated.or_else(|| spacing.or(film.spacing()).cloned());
    let spacing = spacing.context("nobody says how large its pixels are; give --spacing, or a spacing.csv")?;
    let unit = spacing.mm_per_px;
    let film = film.with_spacing(spacing);
    let detections = detector.detect(&film)?;
    let seconds = start.elapsed().as_secs_f64();

    let truth = case.points.clone().unwrap_or_default();
    if let Some(folder) = overlays {
        let found: Vec<Point> = detections.landmarks.iter().map(|landmark| landmark.position).collect();
        console::write_png(&folder.join(format!("{}.png", case.id)), &overlay::compare(&film, &found, &truth))?;
    }
    let map = GridMap::new((film.width(), film.height()), detector.grid());
    let truth_cells: Vec<_> = truth.iter().map(|point| map.to_cell(*point)).collect();
    let found = &detections.landmarks;
    Ok(FilmReport {
        id: case.id.clone(),
        seconds,
        // The cell itself, not the refined position's: that may lie on the border to the next.
        grid_errors_mm: (truth_cells.iter().zip(found))
            .map(|(truth, found)| metrics::radial_error_cells(&map, unit, *truth, found.cell))
            .collect(),
        film_errors_mm: (truth.iter().zip(found))
            .map(|(truth, found)| Protocol::Film.radial_error(&map, unit, *truth, found.position))
            .collect(),
        detections,
        truth,
        truth_cells,
    })
}

/// Both protocols on all films, then both again without those left out.
fn summaries(films: &[FilmReport], landmarks: &[String], without: Option<&[String]>) -> anyhow::Result<Vec<Summary>> {
    let selections = [Some(&[][..]), without];
    let mut summaries = Vec::new();
    for without in selections.into_iter().flatten() {
        for protocol in [Protocol::Grid, Protocol::Film] {
            let errors = |film: &FilmReport| match protocol {
                Protocol::Grid => film.grid_errors_mm.clone(),
                Protocol::Film => film.film_errors_mm.clone(),
            };
            let errors =
                Array2::from_shape_vec((films.len(), landmarks.len()), films.iter().flat_map(errors).collect())?;
            let ids = films.iter().map(|film| film.id.clone()).collect();
            let evaluation = Evaluation::new(landmarks.to_vec(), ids, errors)?.without(without)?;
            let bootstrap = tables::bootstrap(&evaluation);
            summaries.push(Summary { protocol, without: without.to_vec(), bootstrap, evaluation });
        }
    }
    Ok(summaries)
}

fn text(Summary { protocol, without, bootstrap, evaluation }: &Summary) -> String {
    let title = match protocol {
        Protocol::Grid => "grid protocol (cells of the network's grid, as published)",
        Protocol::Film => "film protocol (full resolution, refined positions)",
    };
    let left_out = match without.as_slice() {
        [] => String::new(),
        ids => format!(", without {}", ids.join(" ")),
    };
    format!("{title}, {} films{left_out}\n{}", evaluation.films().len(), tables::errors(evaluation, bootstrap))
}
