//! `onemark calibrate`: fits a calibration of a bundle's scores to annotated films that training did not use. The fit and its
//! validation are in [`onemark_evaluation::calibrate`].

mod left_out;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use ndarray::Array2;
use onemark_evaluation::audit::{Fingerprint, patients};
use onemark_evaluation::calibrate;
use onemark_evaluation::dataset::{Dataset, Split};
use onemark_film::Spacing;
use onemark_models::confidence::{COVERAGE, Reliability, WRONG_MM};
use onemark_models::familiarity::Familiarity;
use onemark_models::recipe::templates_of;
use onemark_runtime::Detection;

use super::evaluate::errors;
use super::films;
use crate::console::{self, RunOptions, Target};
use crate::points;
use left_out::Adapted;

/// Calibrates a bundle on annotated films, so that its points have a confidence
///
/// The network must not have been trained on these films: its template, films that it was adapted to, and ISBI 2015's training films
/// are left out, as far as the bundle knows them. With the new bundle, every point has a confidence and a radius in
/// mm; landmarks with too little evidence are "not found"; films unlike these films are reported as out of distribution.
#[derive(Args)]
pub struct Calibrate {
    /// The bundle
    bundle: PathBuf,
    /// The annotated films: a folder of films, or of images/, with their points (docs/FORMATS.md); or ISBI 2015 as published
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Which films, if the dataset is ISBI 2015 as published: all, or one of its parts
    #[arg(long, default_value = "all", hide_short_help = true, value_parser = PossibleValuesParser::new(Split::NAMES.map(|(name, _)| name)))]
    split: String,
    /// Only these films: ids and ranges of ids
    #[arg(long, value_name = "151-190,200")]
    films: Option<String>,
    /// Pixel spacing of all films: mm per pixel, or x,y; replaces what the dataset and the films state
    #[arg(long, value_name = "MM|X,Y", value_parser = console::spacing)]
    spacing: Option<Spacing>,
    #[command(flatten)]
    options: RunOptions,
    #[command(flatten)]
    target: Target,
}

impl Calibrate {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let _lock = self.target.validate()?;
        let bundle = self.options.bundle(&self.bundle)?;
        let set = &bundle.manifest().landmark_set;
        let mut data = Dataset::open_for(&self.data, self.split.parse()?, set)?;
        films::keep_annotated(&mut data, self.films.as_deref(), None)?;
        for note in left_out::by_name(&mut data, &templates_of(&bundle.manifest().recipe).unwrap_or_default()) {
            console::note(format_args!("{note}"));
        }
        let detector = self.options.open(&bundle, None)?;
        let (mut fingerprints, mut adapted) = (Vec::with_capacity(data.cases.len()), Adapted::of(&bundle));
        let (films, said) = errors::of_films(&detector, &data, self.spacing.as_ref(), |film, _| {
            adapted.look(fingerprints.len(), film);
            fingerprints.push(Fingerprint::of(film)?);
            Ok(())
        })?;
        if !adapted.seen.is_empty() {
            let ids: Vec<String> = adapted.seen.iter().map(|index| films[*index].id.clone()).collect();
            console::note(format_args!("left out: {}, to which the bundle was adapted", left_out::films(&ids)));
        }
        let (films, fingerprints) = (adapted.without(films), adapted.without(fingerprints));
        if let Some(missing) = points::missing(set, films.iter().map(|film| film.truth.as_slice())) {
            console::note(format_args!("{missing}; the others are used"));
        }

        let shape = (films.len(), set.len());
        let scores = films.iter().flat_map(|film| film.detections.landmarks().iter().map(Detection::score));
        let scores = Array2::from_shape_vec(shape, scores.collect())?;
        let errors = films.iter().flat_map(|film| film.film_errors_mm.clone());
        let errors = Array2::from_shape_vec(shape, errors.collect())?;
        let about = format!("{} annotated films", films.len());
        let patients = patients(&fingerprints.iter().collect::<Vec<_>>());
        let calibration = calibrate::fit(about, scores.view(), errors.view(), &patients)?;

        let header = ["#", "landmark", "mean mm", "within 2 mm %", "radius mm", "wrong %"].map(str::to_owned).to_vec();
        let rows =
            set.landmarks.iter().zip(&calibration.landmarks).zip(errors.columns()).map(|((landmark, own), errors)| {
                let annotated = errors.iter().flatten();
                let wrong = annotated.clone().filter(|error| **error > WRONG_MM).count() as f64;
                let wrong = wrong / annotated.count() as f64;
                let numbers = [
                    format!("{:.2}", own.mean_error_mm),
                    format!("{:.1}", 100.0 * own.within_2_mm),
                    format!("{:.2}", own.radius_mm),
                    format!("{:.1}", 100.0 * wrong),
                ];
                [landmark.number.to_string(), landmark.title.clone()].into_iter().chain(numbers).collect()
            });
        console::print(format_args!("{}\n", said.spacings()))?;
        console::print(console::table(&[header].into_iter().chain(rows).collect::<Vec<_>>(), &[1]))?;
        console::print(format_args!("\n{}", reliability(&calibration.reliability)))?;
        let mut manifest = bundle.manifest().clone();
        manifest.calibration = Some(calibration);
        if let Some(known) = &mut manifest.familiarity {
            let distances =
                films.iter().filter_map(|film| Some((film.id.as_str(), film.detections.training_distance()?)));
            for note in widen(known, &distances.collect::<Vec<_>>()) {
                console::note(format_args!("{note}"));
            }
        }
        self.target.write(&bundle.with_manifest(manifest)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Lets films like those of the calibration be of the training's kind. Says which films lay beyond the limit, and what the limit becomes.
fn widen(known: &mut Familiarity, films: &[(&str, f64)]) -> Vec<String> {
    let (old, widest) = (known.farthest, known.widest());
    let named = |lies: &dyn Fn(f64) -> bool| {
        let ids = films.iter().filter(|(_, distance)| lies(*distance)).map(|(id, _)| (*id).to_owned());
        Some(ids.collect::<Vec<_>>()).filter(|ids| !ids.is_empty()).map(|ids| left_out::films(&ids))
    };
    known.widen(films.iter().map(|(_, distance)| *distance));
    let new = known.farthest;
    let mut notes = Vec::new();
    if let Some(films) = named(&|distance| distance > widest) {
        notes.push(format!(
            "warning: too unlike the films of the training, and still refused by the new bundle: {films}; look whether they are \
             upright and of the right kind, or leave them out (--films)"
        ));
    }
    if let Some(films) = named(&|distance| distance > old && distance <= widest) {
        notes.push(format!("unlike the films of the training, and no longer refused by the new bundle: {films}"));
    }
    if new > old {
        notes.push(format!("the largest distance of a film that is not refused rises from {old:.2} to {new:.2}"));
    }
    notes
}

/// The reliability of a calibration as text.
pub fn reliability(of: &Reliability) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    format!(
        "on the other half of the films, over {} random halves (a patient's films together):\n\
         landmarks within the radius        {} (target: {})\n\
         AUROC of confidence                {:.3} (wrong: more than {WRONG_MM} mm off)\n\
         expected calibration error         {}\n\
         right points reported not found    {}\n\
         films out of distribution          {}\n",
        of.draws,
        percent(of.coverage),
        percent(COVERAGE),
        of.auroc,
        percent(of.calibration_error),
        percent(of.lost),
        percent(of.out_of_distribution),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(films: &[(&str, f64)]) -> (f64, Vec<String>) {
        let mut known = Familiarity { films: 8, medians: vec![0.0], farthest: 1.4 };
        let notes = widen(&mut known, films);
        (known.farthest, notes)
    }

    #[test]
    fn films_beyond_the_limit_are_named_with_the_limits() {
        assert_eq!(notes(&[("1", 0.3), ("2", -0.1)]), (1.4, vec![]));
        // Each film was near, but the margin is for the farthest of them.
        let (limit, said) = notes(&[("1", 0.8)]);
        assert_eq!((limit, said.len()), (1.6, 1));
        assert!(said[0].contains("rises from 1.40 to 1.60"), "{said:?}");
        let (limit, said) = notes(&[("1", 0.8), ("7", 1.7)]);
        assert!((limit - 2.09).abs() < 0.01 && said.len() == 2, "{limit} {said:?}");
        assert!(
            said[0].contains("no longer refused by the new bundle: film 7") && said[1].contains("to 2.09"),
            "{said:?}"
        );
        // A turned film, for example.
        let (limit, said) = notes(&[("1", 0.3), ("7", 3.1), ("9", 13.0)]);
        assert_eq!((limit, said.len()), (1.4, 1));
        assert!(
            said[0].starts_with("warning: ") && said[0].contains("refused by the new bundle: films 7, 9; look"),
            "{said:?}"
        );
    }
}
