//! `onemark detect`: landmarks on single films.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use onemark_models::bundle::Bundle;
use onemark_models::film::{Film, Spacing};
use onemark_models::landmarks::LandmarkSet;
use onemark_models::yaml;
use onemark_runtime::{Detections, Detector};
use serde::Serialize;

use super::films;
use super::inputs::{self, Shard};
use crate::console::{self, RunOptions};
use crate::overlay;

/// Finds the landmarks on films
#[derive(Args)]
pub struct Detect {
    /// Films (DICOM, PNG, JPEG, BMP, TIFF), folders of films, patterns like 'films/*.dcm', or a disc's DICOMDIR
    #[arg(required = true, value_name = "FILM|DIR|PATTERN")]
    films: Vec<PathBuf>,
    /// Take one of N equal parts of the films, K from 1: film I of the list, from 1, is in part (I - 1) mod N + 1
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
    /// How large the films' pixels are: mm per pixel, or x,y. Without it mm are what DICOM says, and else there are none
    #[arg(long, value_name = "MM|X,Y")]
    spacing: Option<Spacing>,
    /// Write the results as JSON to a file, or to standard output instead of the tables with `-`
    #[arg(long, value_name = "OUT")]
    json: Option<PathBuf>,
    /// Draw the landmarks on the films: into a folder, or for one film to a .png file
    #[arg(long, value_name = "DIR|OUT.png")]
    overlay: Option<PathBuf>,
}

/// What happened to one film, as `--json` has it.
#[derive(Serialize)]
struct Report<'a> {
    file: &'a Path,
    /// What a person should know about how the film was read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(flatten)]
    detections: Option<Detections>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Report<'_> {
    /// Says it to a person; the table too, unless standard output is for JSON.
    fn tell(&self, json: bool) -> anyhow::Result<()> {
        for warning in &self.warnings {
            console::note(format_args!("warning: {}: {warning}", self.file.display()));
        }
        if let Some(error) = &self.error {
            console::note(format_args!("error: {error}"));
        }
        if let (Some(detections), Some(seconds), false) = (&self.detections, self.seconds, json) {
            console::print(format_args!("{}{}\n", Heading(self.file, detections), table(detections)))?;
            console::note(format_args!("{seconds:.2} s on {}", detections.backend));
        }
        Ok(())
    }
}

impl Detect {
    /// Reports a film that can't be read and goes on with the next; then the exit code says so.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let files = inputs::find(&self.films, self.shard)?;
        let overlays = self.overlay.as_deref().map(|target| overlay_files(target, &files)).transpose()?;
        for output in self.json.iter().chain(overlays.iter().flatten()) {
            console::check_folder(output)?;
        }
        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        let bundle = Bundle::open(&self.bundle)?;
        let landmarks = self.landmarks(&bundle.manifest().landmark_set)?;
        let detector = self.options.open(&bundle, landmarks)?;
        // Nothing is drawn where standard error is no terminal.
        let bar = if files.len() > 1 { ProgressBar::new(files.len() as u64) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} films, {eta} left")?);
        let reports = films::read_ahead(&files, |films| -> anyhow::Result<Vec<Report>> {
            let mut reports = Vec::with_capacity(files.len());
            let mut start = Instant::now();
            for (index, (file, film)) in films.enumerate() {
                let overlay = overlays.as_ref().and_then(|overlays| overlays.get(index));
                let film = film.map(|film| match &self.spacing {
                    None => film,
                    Some(spacing) => film.with_spacing(spacing.clone()),
                });
                let warnings = film.as_ref().map_or(Vec::new(), |film| film.warnings().to_vec());
                let film = film.map_err(anyhow::Error::from);
                let result = film.and_then(|film| detect(&detector, file, &film, overlay.map(PathBuf::as_path)));
                let seconds = start.elapsed().as_secs_f64();
                start = Instant::now();
                let report = match result {
                    Ok(found) => {
                        Report { file, warnings, seconds: Some(seconds), detections: Some(found), error: None }
                    }
                    Err(error) => Report {
                        file,
                        warnings,
                        seconds: None,
                        detections: None,
                        error: Some(console::explain(&error)),
                    },
                };
                bar.suspend(|| report.tell(to_stdout))?;
                reports.push(report);
                bar.inc(1);
            }
            Ok(reports)
        })?;
        bar.finish_and_clear();
        if let Some(path) = &self.json {
            console::write_json(path, &reports)?;
        }
        let failed = reports.iter().filter(|report| report.error.is_some()).count();
        if reports.is_empty() {
            console::note(format_args!("no film is in this shard"));
        }
        if failed > 0 {
            console::note(format_args!("{failed} of {} films failed", reports.len()));
        }
        Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Detect {
    /// The numbers of the landmarks asked for.
    fn landmarks(&self, set: &LandmarkSet) -> anyhow::Result<Option<Vec<usize>>> {
        let number = |wanted: &String| {
            let found = set.landmarks.iter().find(|one| one.name == *wanted || one.number.to_string() == *wanted);
            found.map(|landmark| landmark.number).with_context(|| {
                let names = set.landmarks.iter().map(|landmark| landmark.name.as_str());
                let nearest =
                    yaml::nearest(wanted, names).map_or(String::new(), |name| format!(" (did you mean {name}?)"));
                format!("the bundle has no landmark `{wanted}`{nearest}: `onemark inspect` lists what it has")
            })
        };
        self.landmarks.as_ref().map(|wanted| wanted.iter().map(number).collect()).transpose()
    }
}

fn detect(detector: &Detector, file: &Path, film: &Film, overlay: Option<&Path>) -> anyhow::Result<Detections> {
    let detections = detector.detect(film).with_context(|| file.display().to_string())?;
    if let Some(path) = overlay {
        let found: Vec<_> = detections.landmarks.iter().map(|landmark| landmark.position).collect();
        overlay::write(path, &overlay::draw(film, &found, &[]))?;
    }
    Ok(detections)
}

/// Where each film's overlay goes; no two films to the same place.
fn overlay_files(target: &Path, films: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    if target.extension() == Some(OsStr::new("png")) {
        let [_] = films else { bail!("{} is one file, but there are {} films", target.display(), films.len()) };
        return Ok(vec![target.to_owned()]);
    }
    let mut files: Vec<PathBuf> = Vec::with_capacity(films.len());
    for film in films {
        // A name that ends in a number, as DICOM's do, is all name.
        let name = if inputs::has_film_extension(film) { film.file_stem() } else { film.file_name() };
        let name = name.with_context(|| format!("{} is no file", film.display()))?;
        let file = target.join(name).with_added_extension("png");
        if let Some((_, other)) = files.iter().zip(films).find(|(taken, other)| **taken == file && *other != film) {
            bail!("{} and {} would both be drawn to {}", other.display(), film.display(), file.display());
        }
        files.push(file);
    }
    fs::create_dir_all(target).with_context(|| format!("making the folder {}", target.display()))?;
    Ok(files)
}

struct Heading<'a>(&'a Path, &'a Detections);

impl std::fmt::Display for Heading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(file, Detections { film, spacing, .. }) = self;
        write!(f, "{}: {}x{} px, ", file.display(), film.width, film.height)?;
        match spacing {
            Some(Spacing { mm_per_px: [x, y], source }) => writeln!(f, "{x} x {y} mm per px by {source}"),
            None => writeln!(f, "in pixels only: no spacing is stated (--spacing)"),
        }
    }
}

fn table(detections: &Detections) -> String {
    let mut header = vec!["#", "landmark", "x px", "y px"];
    if detections.spacing.is_some() {
        header.extend(["x mm", "y mm"]);
    }
    header.push("score");
    if detections.landmarks.iter().any(|landmark| landmark.surprise.is_some()) {
        header.push("surprise");
    }
    let mut rows: Vec<Vec<String>> = vec![header.into_iter().map(str::to_owned).collect()];
    rows.extend(detections.landmarks.iter().map(|landmark| {
        let places = [landmark.position.x, landmark.position.y].map(|px| format!("{px:.1}"));
        let mm = landmark.mm.iter().flat_map(|mm| [mm.x, mm.y]).map(|mm| format!("{mm:.2}"));
        let start = [landmark.number.to_string(), landmark.title.clone()];
        let surprise = landmark.surprise.map(|deviations| format!("{deviations:.1}"));
        start.into_iter().chain(places).chain(mm).chain([format!("{:.3}", landmark.score)]).chain(surprise).collect()
    }));
    console::table(&rows, &[1])
}
