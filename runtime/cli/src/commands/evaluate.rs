//! `onemark evaluate`: errors of a bundle on the annotated films of a dataset. The metrics are in
//! [`onemark_evaluation::metrics`], the choice of films in [`super::films`].

pub mod errors;
mod scatter;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use chrono::Local;
use clap::Args;
use clap::builder::PossibleValuesParser;
use onemark_evaluation::dataset::{Dataset, Split};
use onemark_evaluation::metrics::{Protocol, SDR_RADII_MM};
use onemark_evaluation::report::{self, BundleName, FilmErrors, Report, Summary};
use onemark_film::Spacing;
use onemark_film::visible::visible;
use onemark_models::accuracy::{Accuracy, Rate};
use onemark_results::overlay;
use onemark_runtime::{BundleId, Decoding, Detection, Detections};

use super::{films, tables};
use crate::console::{self, RunOptions, Target};

/// Runs a bundle on annotated films and measures its errors
#[derive(Args)]
pub struct Evaluate {
    /// The bundle
    bundle: PathBuf,
    /// The annotated films: a folder of films, or of images/, with their points (docs/FORMATS.md); or ISBI 2015 as published
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Which films, if the dataset is ISBI 2015 as published: all, or one of its parts
    #[arg(long, default_value = "all", hide_short_help = true, value_parser = PossibleValuesParser::new(Split::NAMES.map(|(name, _)| name)))]
    split: String,
    #[command(flatten)]
    options: RunOptions,
    /// Only these films: ids and ranges of ids
    #[arg(long, value_name = "151-190,200")]
    films: Option<String>,
    /// Only the first N of these films
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print the errors a second time, without these films: ids and ranges of ids, or `repeated` for the films of ISBI 2015
    /// whose patient is on another film too
    #[arg(long, value_name = "IDS", hide_short_help = true)]
    without: Option<String>,
    /// Pixel spacing of all films: mm per pixel, or x,y; replaces what the dataset and the films state
    #[arg(long, value_name = "MM|X,Y", value_parser = console::spacing)]
    spacing: Option<Spacing>,
    /// Draw annotated landmarks in green and found ones in red on every film, as pictures in a folder
    #[arg(long, value_name = "DIR")]
    overlays: Option<PathBuf>,
    /// Draw the errors of each landmark on all films as points around its true position, to an SVG file
    #[arg(long, value_name = "OUT.svg")]
    scatter: Option<PathBuf>,
    /// Write all films, positions and errors to a JSON file
    #[arg(long, value_name = "OUT.json")]
    report: Option<PathBuf>,
    /// Write a copy of the bundle that states these errors, which `onemark inspect` shows, to a folder, which this makes
    #[arg(long, value_name = "NEW")]
    record: Option<PathBuf>,
    /// Replace a bundle that already exists where --record writes
    #[arg(long, requires = "record")]
    force: bool,
}

impl Evaluate {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let target = self.record.clone().map(|out| Target::new(out, self.force));
        let _lock = target.as_ref().map(Target::validate).transpose()?;
        let bundle = self.options.bundle(&self.bundle)?;
        let set = &bundle.manifest().landmark_set;
        let mut data = Dataset::open_for(&self.data, self.split.parse()?, set)?;
        films::keep_annotated(&mut data, self.films.as_deref(), self.limit)?;
        films::note_missing(&data, set);
        let without = self.without.as_deref().map(|text| films::left_out(&data, text)).transpose()?;
        self.overlays.iter().chain(&self.scatter).chain(&self.report).try_for_each(|place| {
            self.options.refuse_replaced(place, &self.bundle)?;
            console::refuse_in_dataset(place, &self.data)
        })?;
        if let Some(folder) = &self.overlays {
            console::make_folder(folder)?;
        }
        console::validate_outputs(&[("--scatter", self.scatter.as_ref()), ("--report", self.report.as_ref())])?;
        let detector = self.options.open(&bundle, None)?;

        let start = Instant::now();
        let (films, said) =
            errors::of_films(&detector, &data, self.spacing.as_ref(), |film, errors| match &self.overlays {
                None => Ok(()),
                Some(folder) => {
                    let found = errors.detections.landmarks().iter();
                    let found = found.map(|landmark| landmark.unless_guess().map(Detection::position));
                    let pairs = errors.truth.iter().zip(found).filter_map(|(truth, found)| Some(((*truth)?, found)));
                    let picture = overlay::compare(film, &pairs.collect::<Vec<_>>());
                    console::write_png(&folder.join(format!("{}.png", errors.id)), &picture)
                }
            })?;
        let seconds = start.elapsed().as_secs_f64();

        let names: Vec<String> = set.landmarks.iter().map(|landmark| landmark.name.clone()).collect();
        let protocols = summaries(&films, &names, without.as_deref())?;
        let biases = report::biases(&films, &names);
        console::print(format_args!("{}\n", said.spacings()))?;
        for summary in &protocols {
            console::print(format_args!("{}\n", text(summary)))?;
        }
        console::print(format_args!(
            "found minus annotated position (film protocol), {} films: the median (bias), and how it varies (SD)\n{}\n",
            films.len(),
            tables::biases(&biases)
        ))?;
        let (count, backend) = (films.len(), detector.backend().name());
        let each = seconds / count as f64;
        console::note(format_args!("{count} films in {seconds:.1} s on {backend}, {each:.2} s each"));
        if let Some(target) = target {
            let mut manifest = bundle.manifest().clone();
            manifest.accuracy = Some(self.accuracy(&protocols, detector.decoding())?);
            target.write(&bundle.with_manifest(manifest)?)?;
        }
        if let Some(path) = &self.scatter {
            console::write_text(path, &scatter::svg(&films, &biases))?;
        }
        if let Some(path) = &self.report {
            let BundleId { name, sha256 } = detector.bundle().clone();
            let report = Report {
                bundle: BundleName { name, sha256 },
                backend: backend.to_owned(),
                decoding: detector.decoding().to_string(),
                data: self.data.clone(),
                split: self.split.clone(),
                seconds,
                protocols,
                films,
            };
            console::write_json(path, &report)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What a bundle states of its errors on all films.
    fn accuracy(&self, protocols: &[Summary], decoding: Decoding) -> anyhow::Result<Accuracy> {
        let of_all = |summary: &&Summary| summary.protocol == Protocol::Film && summary.without.is_empty();
        let evaluation = &protocols.iter().find(of_all).context("the film protocol was not evaluated")?.evaluation;
        let overall = evaluation.overall();
        // Only the absolute path of `.` has a name.
        let folder = std::path::absolute(&self.data)?;
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let is_all = self.split == "all";
        let rates = SDR_RADII_MM.into_iter().zip(overall.sdr_percent);
        Ok(Accuracy {
            data: if is_all { name } else { format!("{name}, {}", self.split) },
            films: evaluation.films().len(),
            points: overall.points,
            mre_mm: overall.mre_mm,
            rates: rates.map(|(radius_mm, percent)| Rate { radius_mm, percent }).collect(),
            decoding: decoding.to_string(),
            date: Local::now().format("%Y-%m-%d").to_string(),
            made_by: concat!("onemark ", env!("CARGO_PKG_VERSION")).to_owned(),
        })
    }
}

/// Both protocols on all films, then both again without the films of `--without`.
fn summaries(
    films: &[FilmErrors<Detections>],
    landmarks: &[String],
    without: Option<&[String]>,
) -> anyhow::Result<Vec<Summary>> {
    let selections = [Some(&[][..]), without];
    let mut summaries = Vec::new();
    for without in selections.into_iter().flatten() {
        for protocol in [Protocol::Grid, Protocol::Film] {
            let evaluation = report::evaluation(films, landmarks, protocol)?.without(without)?;
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
        ids => format!(", without {}", visible(&ids.join(" "))),
    };
    format!("{title}, {} films{left_out}\n{}", evaluation.films().len(), tables::errors(evaluation, bootstrap))
}
