//! `onemark adapt`: adapts a bundle to annotated films, without training. The method is in [`onemark_runtime::adapt`].

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use onemark_film::{Film, Spacing};
use onemark_models::bundle::{AdaptedFilm, Bundle};
use onemark_runtime::adapt::{Change, Example, adapt};

use super::said::Said;
use crate::console::{self, RunOptions, Target};
use crate::points;

/// Adapts a bundle to annotated films, in seconds and without training
///
/// Give films and the points that a person has placed on them in the same order: `--film A.dcm --points A.json --film B.dcm
/// --points B.json`. The new bundle finds landmarks by their mean appearance on these films and on its template.
#[derive(Args)]
pub struct Adapt {
    /// The bundle
    bundle: PathBuf,
    /// An annotated film; may be given several times
    #[arg(long = "film", value_name = "FILE")]
    films: Vec<PathBuf>,
    /// The film's points: JSON of `onemark annotate` or corrected JSON of `onemark detect`, also of several films; a table
    /// `landmark,x,y` in px; or a file of labelme, COCO keypoints, CVAT or 3D Slicer
    #[arg(long = "points", value_name = "FILE")]
    points: Vec<PathBuf>,
    /// Take the points also if they were placed on a film of another name or with other pixels
    #[arg(long)]
    any_film: bool,
    /// Pixel spacing of all films: mm per pixel, or x,y; replaces what the films state
    #[arg(long, value_name = "MM|X,Y", value_parser = console::spacing)]
    spacing: Option<Spacing>,
    /// Where the films come from, in words; the bundle keeps it, so do not name patients
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Undo all adaptations instead: restore the bundle as exported
    #[arg(long, conflicts_with_all = ["films", "points", "source"])]
    undo: bool,
    #[command(flatten)]
    options: RunOptions,
    #[command(flatten)]
    target: Target,
}

impl Adapt {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let _lock = self.target.validate()?;
        let bundle = self.options.bundle(&self.bundle)?;
        let new = if self.undo { bundle.without_adaptation()? } else { self.adapt(&bundle)? };
        self.target.write(&new)?;
        if bundle.manifest().calibration.is_some() && new.manifest().calibration.is_none() {
            console::note(format_args!("the new bundle is not calibrated; run `onemark calibrate` on it"));
        }
        if bundle.manifest().familiarity.is_some() && new.manifest().familiarity.is_none() {
            console::note(format_args!(
                "the new bundle does not refuse films of another kind; undo the adaptation (--undo) to have that back"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn adapt(&self, bundle: &Bundle) -> anyhow::Result<Bundle> {
        if self.films.is_empty() || self.films.len() != self.points.len() {
            let (films, points) = (self.films.len(), self.points.len());
            bail!("{films} films and {points} files of points: give one --points for each --film, in the same order");
        }
        let mut said = Said::default();
        let read = |file: &PathBuf| -> anyhow::Result<Film> {
            let film = Film::open(file)?.with_stated(None, self.spacing.as_ref());
            said.add(&file.display().to_string(), &film);
            Ok(film)
        };
        let films = self.films.iter().map(read).collect::<anyhow::Result<Vec<_>>>();
        said.warn();
        let films = films?;
        let set = &bundle.manifest().landmark_set;
        let pairs = films.iter().zip(&self.films).zip(&self.points);
        let points = pairs.map(|((film, file), points)| points::of_film(points, set, (film, file), self.any_film));
        let points = points.collect::<anyhow::Result<Vec<_>>>()?;
        if let Some(missing) = points::missing(set, points.iter().map(Vec::as_slice)) {
            console::note(format_args!("{missing}"));
        }
        let examples: Vec<_> =
            films.iter().zip(&points).map(|(film, points)| Example { film, points: points.as_slice() }).collect();
        let (new, changes) = adapt(bundle, &examples, self.source.as_deref(), self.options.for_library())?;
        let used = match new.manifest().adapted.as_ref().map_or(0, |adapted| adapted.films.len()) {
            1 => "its template and 1 film".to_owned(),
            films => format!("its template and {films} films"),
        };
        console::print(format_args!("the bundle now uses {used}\n"))?;
        self.note_unseen(&new);
        if changes.is_empty() {
            console::note(format_args!(
                "with several films, this command also reports the error on each after adapting to the others"
            ));
        } else {
            let unit = if films.iter().all(|film| film.spacing().is_some()) { "mm" } else { "px" };
            let spacings = if unit == "mm" { said.spacings() } else { String::new() };
            console::print(format_args!("\n{spacings}{}", self.table(&changes, unit)))?;
        }
        Ok(new)
    }

    /// Says what the second look could not learn from the films.
    fn note_unseen(&self, new: &Bundle) {
        fn films(bundle: &Bundle) -> &[AdaptedFilm] {
            bundle.manifest().adapted.as_ref().map_or(&[], |adapted| &adapted.films)
        }
        let Some((_, second)) = new.second_look() else { return };
        let last = self.films.iter().rev();
        for ((file, first), second) in last.zip(films(new).iter().rev()).zip(films(second).iter().rev()) {
            let unseen = first.landmarks.iter().filter(|number| !second.landmarks.contains(number));
            let unseen: Vec<String> = unseen.map(ToString::to_string).collect();
            if !unseen.is_empty() {
                console::note(format_args!(
                    "{}: landmarks {} lie beyond what the second look sees; the first look alone learnt them",
                    file.display(),
                    unseen.join(", ")
                ));
            }
        }
    }

    /// One line per film: mean errors before, and after adapting to the other films.
    fn table(&self, changes: &[Vec<Change>], unit: &str) -> String {
        let mean = |film: &[Change], error: fn(&Change) -> f64| {
            format!("{:.2}", film.iter().map(error).sum::<f64>() / film.len().max(1) as f64)
        };
        let row = |name: String, film: &[Change]| {
            vec![name, film.len().to_string(), mean(film, |change| change.before), mean(film, |change| change.after)]
        };
        let header = ["film", "points", &format!("before {unit}"), &format!("adapted to the others {unit}")];
        let films = self.films.iter().zip(changes).map(|(file, film)| row(file.display().to_string(), film));
        let rows = [header.map(str::to_owned).to_vec()].into_iter().chain(films);
        console::table(&rows.chain([row("all".into(), &changes.concat())]).collect::<Vec<_>>(), &[0])
    }
}
