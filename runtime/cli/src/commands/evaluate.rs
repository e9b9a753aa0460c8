//! `onemark evaluate`: errors of a bundle on the annotated films of a dataset. The metrics are in
//! [`onemark_evaluation::metrics`], the choice of films in [`super::films`].

pub mod errors;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use clap::builder::PossibleValuesParser;
use onemark_evaluation::dataset::{Dataset, Split};
use onemark_evaluation::metrics::Protocol;
use onemark_evaluation::report::{self, BundleName, FilmErrors, Report, Summary};
use onemark_film::Spacing;
use onemark_film::visible::visible;
use onemark_results::overlay;
use onemark_runtime::{BundleId, Detection, Detections};

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
    /// Which films of the dataset
    #[arg(long, default_value = "all", value_parser = PossibleValuesParser::new(Split::NAMES.map(|(name, _)| name)))]
    split: String,
    #[command(flatten)]
    options: RunOptions,
    /// Only these films of the split: ids and ranges of ids
    #[arg(long, value_name = "151-190,200")]
    films: Option<String>,
    /// Only the first N of these films
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print the errors a second time, without these films: ids and ranges of ids, or `repeated` for the films of ISBI 2015
    /// whose patient is on another film too
    #[arg(long, value_name = "IDS")]
    without: Option<String>,
    /// Pixel spacing of all films: mm per pixel, or x,y; replaces what the dataset and the films state
    #[arg(long, value_name = "MM|X,Y", value_parser = console::spacing)]
    spacing: Option<Spacing>,
    /// Draw annotated landmarks in green and found ones in red on every film, as pictures in a folder
    #[arg(long, value_name = "DIR")]
    overlays: Option<PathBuf>,
    /// Write all films, positions and errors to a JSON file
    #[arg(long, value_name = "OUT.json")]
    report: Option<PathBuf>,
}

impl Evaluate {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = self.options.bundle(&self.bundle)?;
        let set = &bundle.manifest().landmark_set;
        let mut data = Dataset::open_for(&self.data, self.split.parse()?, set)?;
        films::keep_annotated(&mut data, self.films.as_deref(), self.limit)?;
        films::note_missing(&data, set);
        let without = self.without.as_deref().map(|text| films::left_out(&data, text)).transpose()?;
        self.overlays.iter().chain(&self.report).try_for_each(|place| {
            self.options.refuse_replaced(place, &self.bundle)?;
            console::refuse_in_dataset(place, &self.data)
        })?;
        if let Some(folder) = &self.overlays {
            console::make_folder(folder)?;
        }
        if let Some(report) = &self.report {
            console::validate_output(report)?;
        }
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

        let names = set.landmarks.iter().map(|landmark| landmark.name.clone());
        let protocols = summaries(&films, &names.collect::<Vec<_>>(), without.as_deref())?;
        console::print(format_args!("{}\n", said.spacings()))?;
        for summary in &protocols {
            console::print(format_args!("{}\n", text(summary)))?;
        }
        let (count, backend) = (films.len(), detector.backend().name());
        let each = seconds / count as f64;
        console::note(format_args!("{count} films in {seconds:.1} s on {backend}, {each:.2} s each"));
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
