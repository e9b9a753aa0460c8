//! `onemark suggest`: which films a person should annotate next.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::ProgressBar;
use ndarray::Array2;
use onemark_evaluation::dataset::Dataset;
use onemark_evaluation::suggest::{Found, Suggestion, suggest};
use onemark_film::geometry::GridMap;
use onemark_film::visible::visible;
use onemark_models::landmarks::LandmarkSet;

use crate::commands::films;
use crate::console::{self, RunOptions};

/// The most landmarks that a reason names.
const MOST_NAMED: usize = 3;

/// Says which films to annotate next, and why
///
/// First come films that are unlike those annotated so far, and on which the bundle is unsure. Mark them by `onemark annotate`, then
/// train on them too. Where films are much alike, others teach as much.
#[derive(Args)]
pub struct Suggest {
    /// The films to choose from: a dataset's folder, as for training; annotated films in it need no annotation
    data: PathBuf,
    /// A bundle that finds the landmarks, if roughly
    #[arg(long, value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The number of films to suggest
    #[arg(long, default_value_t = 5, value_name = "N")]
    count: usize,
    /// Print the files alone, one a line, for other programs
    #[arg(long)]
    files: bool,
    #[command(flatten)]
    options: RunOptions,
}

impl Suggest {
    /// A film that can't be read is named and left out.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = self.options.bundle(&self.bundle)?;
        let set = &bundle.manifest().landmark_set;
        let (mut data, _) = Dataset::survey_for(&self.data, set)?;
        let detector = self.options.open(&bundle, None)?;
        let bar = ProgressBar::new(data.cases.len() as u64);
        let (mut points, mut scores) = (Vec::new(), Vec::new());
        let files: Vec<(PathBuf, String)> =
            data.cases.iter().map(|case| (case.film.clone(), case.film.display().to_string())).collect();
        let read: Vec<bool> = films::read_ahead(&files, |films| {
            let mut one = |film: anyhow::Result<onemark_film::Film>| -> anyhow::Result<()> {
                let film = film?;
                let found = detector.detect(&film)?;
                let map = GridMap::new(film.size(), detector.grid());
                points.push(found.landmarks().iter().map(|landmark| map.to_grid(landmark.position())).collect());
                scores.extend(found.landmarks().iter().map(|landmark| landmark.score()));
                Ok(())
            };
            let each = films.zip(&files).map(|(film, (_, name))| {
                let read = one(film).with_context(|| name.clone());
                bar.inc(1);
                read.inspect_err(|error| console::note(format_args!("left out: {}", console::explain(error)))).is_ok()
            });
            each.collect()
        });
        bar.finish_and_clear();
        let mut read = read.into_iter();
        data.cases.retain(|_| read.next() == Some(true));
        let annotated: Vec<usize> = (0..data.cases.len()).filter(|film| data.cases[*film].points.is_some()).collect();
        if annotated.len() == data.cases.len() {
            bail!("no film of {} is left to annotate", self.data.display());
        }
        let found = Found { scores: Array2::from_shape_vec((points.len(), set.len()), scores)?, points };
        let suggested = suggest(&found, &annotated, self.count);
        console::print(format_args!(
            "{}",
            if self.files { list(&data, &suggested) } else { table(&data, set, &suggested) }
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn list(data: &Dataset, suggested: &[Suggestion]) -> String {
    suggested.iter().map(|suggestion| format!("{}\n", data.cases[suggestion.film].film.display())).collect()
}

fn table(data: &Dataset, set: &LandmarkSet, suggested: &[Suggestion]) -> String {
    let header = ["film", "unlike", "unsure", "most unsure of"].map(str::to_owned).to_vec();
    let rows = suggested.iter().map(|Suggestion { film, unsure, unlike, landmarks }| {
        let names = landmarks.iter().take(MOST_NAMED).map(|landmark| set.landmarks[*landmark].name.as_str());
        let film = visible(&data.cases[*film].id).into_owned();
        vec![film, format!("{unlike:.1}"), format!("{unsure:.1}"), names.collect::<Vec<_>>().join(", ")]
    });
    let rows: Vec<Vec<String>> = [header].into_iter().chain(rows).collect();
    format!(
        "{}unlike: how far its landmarks lie from those of the most alike film that is annotated or listed above; unsure: how weak \
         the bundle's evidence is; 1 is usual for these films\n",
        console::table(&rows, &[0, 3])
    )
}
