//! `onemark cycle`: how consistent a bundle is on films without annotations.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::ProgressBar;
use ndarray::Array2;
use onemark_evaluation::dataset::{Dataset, Split};
use onemark_evaluation::metrics::{self, Evaluation};
use onemark_film::geometry::GridMap;
use onemark_film::{Film, Spacing};

use super::said::Said;
use super::{films, tables};
use crate::console::{self, RunOptions};

/// Measures how far a bundle can be trusted on films without annotations
///
/// Finds the landmarks on each film, then looks for the same places on the template, and reports in mm how far they are from the
/// template's landmarks.
#[derive(Args)]
pub struct Cycle {
    /// The bundle
    bundle: PathBuf,
    /// The dataset that holds the template and the films
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Which films, if the dataset is ISBI 2015 as published: all, or one of its parts
    #[arg(long, default_value = "train", hide_short_help = true, value_parser = PossibleValuesParser::new(Split::NAMES.map(|(name, _)| name)))]
    split: String,
    /// The annotated film that the network was trained from: its file's name without the ending
    #[arg(long, value_name = "ID")]
    template: String,
    #[command(flatten)]
    options: RunOptions,
    /// Only these films: ids and ranges of ids
    #[arg(long, value_name = "1-40,90")]
    films: Option<String>,
    /// Pixel spacing of the template: mm per pixel, or x,y; replaces what the dataset and the film state
    #[arg(long, value_name = "MM|X,Y", value_parser = console::spacing)]
    spacing: Option<Spacing>,
}

impl Cycle {
    /// Stops at the first film that fails, as `evaluate` does.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = self.options.bundle(&self.bundle)?;
        let mut data = Dataset::open_for(&self.data, self.split.parse()?, &bundle.manifest().landmark_set)?;
        let template = data.case(&self.template)?.clone();
        let truth = template.points.as_ref().with_context(|| format!("film {} is not annotated", template.id))?;
        let film = template.with_spacing(Film::open(&template.film)?, self.spacing.as_ref());
        let mut said = Said::default();
        said.add(&template.id, &film);
        said.warn();
        let spacing = template.required_spacing(&film)?;
        films::keep(&mut data, self.films.as_deref())?;
        data.cases.retain(|case| case.id != template.id);

        let detector = self.options.open(&bundle, None)?;
        if bundle.second_look().is_some() {
            console::note(format_args!("this is about the bundle's first look alone"));
        }
        template.validate_inside(film.size())?;
        let map = GridMap::new(film.size(), detector.grid());
        let cycle = onemark_runtime::Cycle::new(&detector, &film)?;
        let bar = ProgressBar::new(data.cases.len() as u64);
        let mut errors = Vec::new();
        for case in &data.cases {
            let cells = Film::open(&case.film).map_err(anyhow::Error::from).and_then(|film| Ok(cycle.back(&film)?));
            let cells = cells.with_context(|| format!("film {}", case.id))?;
            for (truth, found) in truth.iter().zip(cells) {
                errors.push(truth.map(|truth| metrics::radial_error_cells(&map, spacing, map.to_cell(truth), found)));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();

        let names: Vec<String> =
            bundle.manifest().landmark_set.landmarks.iter().map(|each| each.name.clone()).collect();
        let ids: Vec<String> = data.cases.iter().map(|case| case.id.clone()).collect();
        let count = ids.len();
        let errors = Array2::from_shape_vec((count, names.len()), errors)?;
        let evaluation = Evaluation::with_gaps(names, ids, errors)?;
        console::print(format_args!(
            "from template {} to {count} films and back (cells of the network's grid)\nmm of the template, {}{}\n",
            template.id,
            said.spacings(),
            tables::errors(&evaluation, &tables::bootstrap(&evaluation)),
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
