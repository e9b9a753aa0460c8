//! `onemark detect`: finds the landmarks on films.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use chrono::{DateTime, Local};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use onemark_film::{Film, Spacing};
use onemark_models::landmarks::LandmarkSet;
use onemark_models::spelling;
use onemark_results::json::FilmReport;
use onemark_results::{FilmResults, PROGRAM};
use onemark_runtime::{Cancel, Detector, RuntimeError};
use onemark_signing::Signer;

use super::films;
use crate::audit::{Audit, AuditedOptions, machine};
use crate::console::{self, RunOptions, Screen};
use crate::film_text;
use crate::inputs::{self, Shard};
use crate::interrupt::{self, cancelled_by_ctrl_c};
use crate::outputs::{OutputFiles, Outputs, PlacedFilm, Settings, Tables, anonymous, placed};

/// Finds the landmarks on films
#[derive(Args)]
pub struct Detect {
    /// Films (DICOM, PNG, JPEG, BMP, TIFF), folders of films, patterns like 'films/*.dcm', or a disc's DICOMDIR
    #[arg(required = true, value_name = "FILM|DIR|PATTERN")]
    films: Vec<PathBuf>,
    /// Take only one of N parts of the films, to share the work between N machines: film K and every Nth film after it
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
    /// Go on with the same command that was stopped or killed: films that it has finished are not looked at again
    #[arg(long)]
    resume: bool,
    /// Leave the names and digests of films out of all outputs: films are called film-0001, film-0002, … in their order
    #[arg(long, conflicts_with_all = ["audit", "dicom_sr"])]
    anonymous: bool,
}

/// The runs over films that share a detector, and where the results go.
struct Run<'a> {
    detector: &'a Detector,
    spacing: Option<&'a Spacing>,
    plan: &'a OutputFiles<'a>,
    bar: ProgressBar,
    cancel: Cancel,
}

impl Detect {
    /// Reports a film that can't be read and continues with the next. Then the exit code is not 0.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let started = Local::now();
        let films = placed(inputs::search(&self.films)?);
        let films = if self.anonymous { anonymous(films) } else { films };
        let films = match self.shard {
            None => films,
            Some(shard) => shard.part(films),
        };
        for place in self.outputs.places() {
            self.options.refuse_replaced(place, &self.bundle)?;
            // A DICOMDIR, for example. Films are compared with every file that is written.
            self.films
                .iter()
                .filter(|given| given.is_file())
                .try_for_each(|given| console::refuse_input(place, given))?;
        }
        let plan = self.outputs.plan(&films, &self.bundle)?;
        let (bundle, signer) = self.options.signed_bundle(&self.bundle)?;
        let landmarks = self.landmarks(&bundle.manifest().landmark_set)?;
        let detector = self.options.open(&bundle, landmarks)?;
        let mut tables = plan.open(&films, &self.settings(&detector, &plan), self.resume)?;
        let left = tables.left();
        // The bar is not drawn if standard error is not a terminal.
        let bar = if left.len() > 1 { ProgressBar::new(left.len() as u64) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} films, {eta} left")?);

        let run = Run {
            detector: &detector,
            spacing: self.spacing.as_ref(),
            plan: &plan,
            bar,
            cancel: cancelled_by_ctrl_c()?,
        };
        let mut screen = Screen::new(plan.has_files());
        let ended = run.look_at(&films, &left, &mut tables, &mut screen);
        run.bar.finish_and_clear();
        let failed = tell_of_failures(&tables);
        let is_whole = tables.left().is_empty();
        if films.is_empty() {
            console::note(format_args!("this shard has no films"));
        } else if !is_whole {
            let (done, all) = (films.len() - tables.left().len(), films.len());
            console::note(format_args!("ended after {done} of {all} films{}", tables.way_on()));
        }
        // A run that ended before its first film leaves an older record alone.
        let is_begun = is_whole || tables.reports().next().is_some();
        let audit = plan
            .audit()
            .filter(|_| is_begun)
            .map(|path| (path, self.audit(&detector, signer.as_ref(), started, &tables, films.len())));
        let written = tables.finish(is_whole, &mut screen);
        let audited = audit.map_or(Ok(()), |(path, audit)| audit?.write(path));
        ended?;
        written?;
        audited?;
        screen.finish()?;
        Ok(match (is_whole, failed) {
            (false, _) => ExitCode::from(interrupt::EXIT_CODE),
            (true, true) => ExitCode::FAILURE,
            (true, false) => ExitCode::SUCCESS,
        })
    }

    /// The record of a run that ends now.
    fn audit(
        &self,
        detector: &Detector,
        signer: Option<&Signer>,
        started: DateTime<Local>,
        tables: &Tables<'_>,
        films: usize,
    ) -> anyhow::Result<Audit> {
        let landmarks = self.landmarks(detector.landmark_set())?;
        let options = AuditedOptions::new(detector, self.options.pruning(), landmarks, self.spacing.as_ref());
        Audit::new(detector, &self.bundle, signer, options, started, films, tables.reports())
    }

    /// What decides about the results besides the films.
    fn settings(&self, detector: &Detector, plan: &OutputFiles<'_>) -> Settings {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".into());
        let spacing = self.spacing.as_ref().map(|spacing| format!("{} x {} mm", spacing.x(), spacing.y()));
        [
            ("program", PROGRAM.to_owned()),
            ("bundle", detector.bundle().sha256.clone()),
            ("backend", detector.backend().about()),
            ("machine", machine()),
            ("decoding", detector.decoding().to_string()),
            ("pruning", self.options.pruning().to_string()),
            ("landmarks", self.landmarks.as_ref().map_or_else(|| "all".into(), |names| names.join(","))),
            ("spacing", or_none(spacing)),
            ("film names", if self.anonymous { "anonymous" } else { "their own" }.to_owned()),
            ("outputs", plan.targets().collect::<Vec<_>>().join(", ")),
        ]
        .into()
    }
}

/// Prints how many films failed or lack a file; whether there are any.
fn tell_of_failures(tables: &Tables<'_>) -> bool {
    let count = |is: fn(&FilmReport) -> bool| tables.reports().filter(|report| is(report)).count();
    let all = tables.reports().count();
    let failed = count(|report| matches!(report, FilmReport::Failed { .. }));
    let lacking = count(|report| matches!(report, FilmReport::Done { not_written, .. } if !not_written.is_empty()));
    if failed > 0 {
        console::note(format_args!("{failed} of {all} films failed"));
    }
    if lacking > 0 {
        console::note(format_args!("{lacking} of {all} films lack an output that could not be made"));
    }
    failed + lacking > 0
}

impl Run<'_> {
    /// Looks at the films that are left, and writes the results of each before the next, until the end or Ctrl-C.
    fn look_at(
        &self,
        films: &[PlacedFilm],
        left: &[usize],
        tables: &mut Tables<'_>,
        screen: &mut Screen,
    ) -> anyhow::Result<()> {
        let files: Vec<(PathBuf, String)> =
            left.iter().map(|index| (films[*index].file.clone(), films[*index].name.clone())).collect();
        films::read_ahead(&files, |read| {
            let mut start = Instant::now();
            for (index, film) in left.iter().zip(read) {
                if self.cancel.is_cancelled() {
                    break;
                }
                let placed = &films[*index];
                let (report, text) = match film.and_then(|film| self.one(*index, placed, film, start)) {
                    Ok(found) => found,
                    Err(error) if matches!(error.downcast_ref(), Some(RuntimeError::Cancelled)) => break,
                    Err(error) => (FilmReport::failed(&*placed.name, console::explain(&error)), String::new()),
                };
                start = Instant::now();
                // What a person is told of is noted down already.
                let added = self.bar.suspend(|| tables.add(*index, report.clone(), screen));
                self.bar.suspend(|| self.tell(&report, &text, screen))?;
                added?;
                self.bar.inc(1);
            }
            Ok(())
        })
    }

    /// Finds the landmarks on a film, and writes its own files. Returns its report and its text for the terminal.
    fn one(
        &self,
        index: usize,
        placed: &PlacedFilm,
        film: Film,
        start: Instant,
    ) -> anyhow::Result<(FilmReport, String)> {
        let file = placed.name.as_str();
        let film = film.with_stated(None, self.spacing);
        for warning in film.warnings() {
            self.bar.suspend(|| console::note(format_args!("warning: {file}: {warning}")));
        }
        let detections = films::detect(self.detector.job(&film).with_cancel(&self.cancel), file)?;
        let detections = if placed.is_anonymous { detections.without_film_sha256() } else { detections };
        if let Some(why) = detections.refusal() {
            self.bar.suspend(|| console::note(format_args!("warning: {file}: no landmark counts as found: {why}")));
        }
        let results = FilmResults { detections: &detections, film: &film, name: file, time: Local::now() };
        let not_written: Vec<String> = self.plan.write(index, &results).iter().map(console::explain).collect();
        for note in self.plan.notes(&results) {
            self.bar.suspend(|| console::note(format_args!("note: {file}: {note}")));
        }
        let text = film_text::text(&results);
        let warnings = film.warnings().iter().map(ToString::to_string).collect();
        let report = FilmReport::done(file, start.elapsed().as_secs_f64(), warnings, detections);
        Ok((report.with_not_written(not_written), text))
    }

    /// Prints a film's results for a person, unless standard output is used for JSON or CSV, and what failed.
    fn tell(&self, report: &FilmReport, text: &str, screen: &mut Screen) -> anyhow::Result<()> {
        match report {
            FilmReport::Failed { error, .. } => console::note(format_args!("error: {error}")),
            FilmReport::Done { seconds, detections, not_written, .. } => {
                if !self.plan.takes_stdout() {
                    screen.print(text)?;
                    console::note(format_args!("{seconds:.2} s on {}", detections.backend()));
                }
                for error in not_written {
                    console::note(format_args!("error: {error}"));
                }
            }
            _ => {}
        }
        Ok(())
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
