//! `onemark detect`: finds the landmarks on films.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use chrono::Local;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use onemark_film::Spacing;
use onemark_models::bundle::Bundle;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::spelling;
use onemark_results::FilmResults;
use onemark_results::json::FilmReport;
use onemark_runtime::{Detections, FilmSize};

use super::{films, tables};
use crate::console::{self, RunOptions};
use crate::inputs::{self, Shard};
use crate::outputs::Outputs;

/// Finds the landmarks on films
#[derive(Args)]
pub struct Detect {
    /// Films (DICOM, PNG, JPEG, BMP, TIFF), folders of films, patterns like 'films/*.dcm', or a disc's DICOMDIR
    #[arg(required = true, value_name = "FILM|DIR|PATTERN")]
    films: Vec<PathBuf>,
    /// Take only part K of N of the films (K from 1), to share work between machines; film I is in part (I - 1) mod N + 1
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// The bundle to run
    #[arg(long, short)]
    bundle: PathBuf,
    #[command(flatten)]
    options: RunOptions,
    /// Find only these landmarks, by number or name [default: all]
    #[arg(long, value_name = "1,sella,…", value_delimiter = ',')]
    landmarks: Option<Vec<String>>,
    /// Pixel spacing of all films: mm per pixel, or x,y; replaces what films state [default: what each DICOM film states;
    /// others get no mm]
    #[arg(long, value_name = "MM|X,Y", value_parser = console::spacing)]
    spacing: Option<Spacing>,
    #[command(flatten)]
    outputs: Outputs,
}

/// Prints a film's results for a person; with tables, unless standard output is used for JSON or CSV.
fn tell(report: &FilmReport, tables: bool) -> anyhow::Result<()> {
    match report {
        FilmReport::Failed { error, .. } => console::note(format_args!("error: {error}")),
        FilmReport::Done { file, seconds, detections, .. } if tables => {
            let (found, measured) = (table(detections), tables::measured(detections.measurements()));
            console::print(format_args!("{}{found}{measured}\n", Heading(file, detections)))?;
            console::note(format_args!("{seconds:.2} s on {}", detections.backend()));
        }
        _ => {}
    }
    Ok(())
}

impl Detect {
    /// Reports a film that can't be read and continues with the next. Then the exit code is not 0.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let files = inputs::find(&self.films, self.shard)?;
        let plan = self.outputs.plan(&files)?;
        let bundle = Bundle::open(&self.bundle)?;
        let landmarks = self.landmarks(&bundle.manifest().landmark_set)?;
        let detector = self.options.open(&bundle, landmarks)?;
        // The bar is not drawn if standard error is not a terminal.
        let bar = if files.len() > 1 { ProgressBar::new(files.len() as u64) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} films, {eta} left")?);
        let reports = films::read_ahead(&files, |films| -> anyhow::Result<Vec<FilmReport>> {
            let mut reports = Vec::with_capacity(files.len());
            let mut start = Instant::now();
            for (index, (path, film)) in films.enumerate() {
                let file = path.display().to_string();
                let result = film.map_err(anyhow::Error::from).and_then(|film| {
                    let film = film.with_stated(None, self.spacing.as_ref());
                    for warning in film.warnings() {
                        bar.suspend(|| console::note(format_args!("warning: {file}: {warning}")));
                    }
                    let detections = detector.detect(&film).with_context(|| file.clone())?;
                    let time = Local::now();
                    let results = FilmResults { detections: &detections, film: &film, name: &file, time };
                    plan.write(index, &results)?;
                    for note in plan.notes(&results) {
                        bar.suspend(|| console::note(format_args!("note: {file}: {note}")));
                    }
                    Ok((detections, film.warnings().iter().map(ToString::to_string).collect::<Vec<_>>()))
                });
                let seconds = start.elapsed().as_secs_f64();
                start = Instant::now();
                let report = match result {
                    Ok((detections, warnings)) => FilmReport::done(file, seconds, warnings, detections),
                    Err(error) => FilmReport::failed(file, console::explain(&error)),
                };
                bar.suspend(|| tell(&report, !plan.takes_stdout()))?;
                reports.push(report);
                bar.inc(1);
            }
            Ok(reports)
        })?;
        bar.finish_and_clear();
        let failed = reports.iter().filter(|report| matches!(report, FilmReport::Failed { .. })).count();
        if reports.is_empty() {
            console::note(format_args!("this shard has no films"));
        }
        if failed > 0 {
            console::note(format_args!("{failed} of {} films failed", reports.len()));
        }
        plan.finish(reports)?;
        Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Detect {
    /// The numbers of the requested landmarks.
    fn landmarks(&self, set: &LandmarkSet) -> anyhow::Result<Option<Vec<usize>>> {
        let number = |wanted: &String| {
            let found = set.landmarks.iter().find(|one| one.name == *wanted || one.number.to_string() == *wanted);
            found.map(|landmark| landmark.number.number()).with_context(|| {
                let names = set.landmarks.iter().map(|landmark| landmark.name.as_str());
                let nearest =
                    spelling::nearest(wanted, names).map_or(String::new(), |name| format!(" (did you mean {name}?)"));
                format!("the bundle has no landmark `{wanted}`{nearest}: `onemark inspect` lists its landmarks")
            })
        };
        self.landmarks.as_ref().map(|wanted| wanted.iter().map(number).collect()).transpose()
    }
}

struct Heading<'a>(&'a str, &'a Detections);

impl std::fmt::Display for Heading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(file, detections) = self;
        let FilmSize { width, height } = detections.film();
        write!(f, "{file}: {width}x{height} px, ")?;
        match detections.spacing() {
            Some(spacing) => writeln!(f, "{spacing}"),
            None => writeln!(f, "in pixels only: no spacing is stated (--spacing)"),
        }
    }
}

fn table(detections: &Detections) -> String {
    let mut header = vec!["#", "landmark", "x px", "y px"];
    if detections.spacing().is_some() {
        header.extend(["x mm", "y mm"]);
    }
    header.push("score");
    if detections.landmarks().iter().any(|landmark| landmark.mahalanobis().is_some()) {
        header.push("surprise");
    }
    let mut rows: Vec<Vec<String>> = vec![header.into_iter().map(str::to_owned).collect()];
    rows.extend(detections.landmarks().iter().map(|landmark| {
        let places = [landmark.position().x, landmark.position().y].map(|px| format!("{px:.1}"));
        let mm = landmark.mm().into_iter().flat_map(|mm| [mm.x, mm.y]).map(|mm| format!("{mm:.2}"));
        let start = [landmark.number().to_string(), landmark.title().to_owned()];
        let surprise = landmark.mahalanobis().map(|deviations| format!("{deviations:.1}"));
        start.into_iter().chain(places).chain(mm).chain([format!("{:.3}", landmark.score())]).chain(surprise).collect()
    }));
    console::table(&rows, &[1])
}
