//! `onemark data check`: audits a dataset. The findings and the methods are in [`onemark_evaluation::audit`].

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::{Args, Subcommand};
use image::{Rgb, RgbImage};
use indicatif::ProgressBar;
use onemark_evaluation::audit::{Audit, Finding, Kind, Severity};
use onemark_evaluation::dataset::{Case, Dataset};
use onemark_film::Film;
use onemark_film::geometry::Point;
use onemark_film::visible::visible;
use onemark_models::parallel::in_parallel;
use onemark_results::overlay;

use super::said;
use crate::console;
use crate::points::SetOptions;
use crate::sheet::{self, Tile};

/// Most findings of a kind in the table; `--json` has all.
const MOST_ROWS: usize = 40;
/// Most films on a sheet.
const MOST_TILES: usize = 400;
/// Colour of the tile for a film that can't be read.
const NO_FILM: Rgb<u8> = Rgb([70, 20, 20]);

/// Checks datasets
#[derive(Subcommand)]
pub enum Data {
    Check(Check),
}

impl Data {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check(command) => command.run(),
        }
    }
}

/// Finds errors in a dataset before it is used for training or evaluation: films that can't be read or occur twice,
/// landmarks outside the film, exchanged or far off, large disagreement between readers, missing or implausible spacings
#[derive(Args)]
#[command(
    after_help = "Exit status: 0 if it finds nothing or only warnings; 1 if it finds an error (refused, unreadable \
                        film, outside film, other size, swapped landmarks, swapped axes), or can't read the dataset."
)]
pub struct Check {
    /// The dataset, all of it: a folder of films, or of images/, with their points; or ISBI 2015 as published
    #[arg(value_name = "DIR")]
    data: PathBuf,
    /// Write all findings as JSON to a file; with `-`, to standard output instead of the tables
    #[arg(long, value_name = "OUT")]
    json: Option<PathBuf>,
    /// Draw the films with findings side by side: landmarks in green, those with findings in red
    #[arg(long, value_name = "OUT.png")]
    sheet: Option<PathBuf>,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    set: SetOptions,
}

impl Check {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        console::validate_outputs(&[("--json", self.json.as_ref()), ("--sheet", self.sheet.as_ref())])?;
        for place in self.json.iter().chain(&self.sheet) {
            console::refuse_in_dataset(place, &self.data)?;
            self.set.files().iter().try_for_each(|file| console::refuse_input(place, file))?;
        }
        let start = Instant::now();
        let threads = self.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let (data, complaints) = match self.set.open()? {
            Some(set) => Dataset::survey_for(&self.data, &set)?,
            None => Dataset::survey(&self.data)?,
        };
        let bar = ProgressBar::new(data.cases.len() as u64);
        let audit = Audit::of(&data, &complaints, threads, &|| bar.inc(1));
        bar.finish_and_clear();

        if !self.json.as_deref().is_some_and(console::is_stdout) {
            console::print(text(&data, &audit))?;
        }
        if let Some(path) = &self.json {
            console::write_json(path, &audit)?;
        }
        if let Some(path) = &self.sheet {
            let tiles = tiles(&data, &audit.findings, threads);
            if tiles.is_empty() {
                console::note(format_args!("there are no findings, so there is no {}", path.display()));
            } else {
                console::write_png(path, &sheet::sheet(&tiles))?;
            }
        }
        console::note(format_args!("{} films in {:.1} s", data.cases.len(), start.elapsed().as_secs_f64()));
        Ok(if audit.count(Severity::Error) > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn text(data: &Dataset, audit: &Audit) -> String {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for folder in data.cases.iter().filter_map(|case| case.film.parent()?.file_name()) {
        *folders.entry(folder.to_string_lossy().into_owned()).or_default() += 1;
    }
    let folders: Vec<String> = folders.iter().map(|(name, count)| format!("{count} in {}", visible(name))).collect();
    let Audit { films, annotated, .. } = audit;
    let mut text = format!("{films} films, {annotated} annotated: {}\n", folders.join(", "));
    text += &said::spacings(&audit.spacings);
    if !audit.findings.is_empty() {
        text += &format!("\n{}", findings(audit));
    }
    if !audit.readers.is_empty() {
        text += &format!("\nhow far the two readers are apart, mm\n{}", readers(audit));
    }
    for what in &audit.left_out {
        text += &format!("\nnot checked: {what}\n");
    }
    let (errors, warnings) = (audit.count(Severity::Error), audit.count(Severity::Warning));
    text + &format!("\nerrors: {errors}, warnings: {warnings}\n")
}

/// One row per finding; disagreement between readers is in a separate table.
fn findings(audit: &Audit) -> String {
    let mut rows = vec![["", "finding", "films", "landmarks", ""].map(str::to_owned).to_vec()];
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for finding in audit.findings.iter().filter(|finding| finding.kind != Kind::ReadersDisagree) {
        let count = counts.entry(finding.kind).or_default();
        *count += 1;
        if *count <= MOST_ROWS {
            let severity = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let landmarks: Vec<String> = finding.landmarks.iter().map(usize::to_string).collect();
            let cells = [console::few(&finding.films), console::few(&landmarks), finding.message.clone()];
            let start = [severity, finding.kind.title()].map(str::to_owned);
            rows.push(start.into_iter().chain(cells).collect());
        }
    }
    let more = counts
        .iter()
        .filter(|(_, count)| **count > MOST_ROWS)
        .map(|(kind, count)| format!("and {} more of \"{}\": --json has all\n", count - MOST_ROWS, kind.title()));
    format!("{}{}", console::table(&rows, &[0, 1, 2, 3, 4]), more.collect::<String>())
}

/// One row per landmark.
fn readers(audit: &Audit) -> String {
    let mut rows = vec![["landmark", "mean", "median", "limit", "films beyond the limit"].map(str::to_owned).to_vec()];
    rows.extend(audit.readers.iter().map(|landmark| {
        let numbers = [landmark.mean_mm, landmark.median_mm, landmark.limit_mm].map(|mm| format!("{mm:.2}"));
        let beyond: Vec<String> =
            landmark.beyond.iter().map(|apart| format!("{} ({:.1})", apart.film, apart.mm)).collect();
        [landmark.landmark.to_string()].into_iter().chain(numbers).chain([console::few(&beyond)]).collect()
    }));
    console::table(&rows, &[4])
}

/// One tile per film with findings, in the order of the findings, so that repeated films are side by side.
fn tiles(data: &Dataset, findings: &[Finding], threads: usize) -> Vec<Tile> {
    let mut flagged: Vec<(&Case, BTreeSet<usize>, Vec<&str>)> = Vec::new();
    // A missing file or annotation can't be seen on the film.
    for finding in findings
        .iter()
        .filter(|finding| !matches!(finding.kind, Kind::NotAnnotated | Kind::MissingLandmark | Kind::NoSpacing))
    {
        for case in finding.films.iter().filter_map(|id| data.cases.iter().find(|case| case.id == *id)) {
            let index = flagged.iter().position(|(other, ..)| other.id == case.id).unwrap_or_else(|| {
                flagged.push((case, BTreeSet::new(), Vec::new()));
                flagged.len() - 1
            });
            let (_, landmarks, words) = &mut flagged[index];
            landmarks.extend(&finding.landmarks);
            if !words.contains(&finding.kind.title()) {
                words.push(finding.kind.title());
            }
        }
    }
    if flagged.len() > MOST_TILES {
        console::note(format_args!("the sheet shows the first {MOST_TILES} of {} films with findings", flagged.len()));
        flagged.truncate(MOST_TILES);
    }
    in_parallel(threads, &flagged, |(case, landmarks, words)| Tile {
        picture: picture(case, landmarks),
        lines: [case.id.as_str()].iter().chain(words).map(|line| (*line).to_owned()).collect(),
    })
}

/// A film with the points of all its readers; these landmarks of each in red.
fn picture(case: &Case, landmarks: &BTreeSet<usize>) -> RgbImage {
    let Ok(film) = Film::open(&case.film) else {
        return RgbImage::from_pixel(sheet::WIDTH, sheet::WIDTH, NO_FILM);
    };
    let numbered = case.readings().into_iter().flat_map(|(_, points)| (1..).zip(points));
    let annotated = numbered.filter_map(|(number, point)| Some((number, (*point)?)));
    let (red, green): (Vec<_>, Vec<_>) = annotated.partition(|(number, _)| landmarks.contains(number));
    let points = |marks: Vec<(usize, Point)>| marks.into_iter().map(|(_, point)| point).collect::<Vec<_>>();
    overlay::small(&film, sheet::WIDTH, &points(red), &points(green))
}
