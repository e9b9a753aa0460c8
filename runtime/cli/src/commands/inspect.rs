//! `onemark inspect`: prints what a bundle's manifest states. Verifies the bundle without running it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onemark_film::visible::visible;
use onemark_models::accuracy::Accuracy;
use onemark_models::bundle::{Adaptation, Bundle, Manifest};
use onemark_models::confidence::Calibration;
use onemark_results::percent;
use onemark_runtime::backend::check_graphs;

use super::tables;
use crate::console;
use crate::trust::TrustOptions;

/// Shows a bundle's landmarks, graphs, measurements, origin and intended use
#[derive(Args)]
pub struct Inspect {
    /// The bundle
    bundle: PathBuf,
    /// Print the recipe that it was trained with, too
    #[arg(long)]
    recipe: bool,
    #[command(flatten)]
    trust: TrustOptions,
}

impl Inspect {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = self.trust.open(&self.bundle)?;
        check_graphs(&bundle)?;
        let manifest = bundle.manifest();
        let set = &manifest.landmark_set;
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let size = |file: &str| megabytes(manifest.files.get(file).map_or(0, |entry| entry.bytes));
        let facts = [
            ("name", manifest.name.clone()),
            ("made by", format!("{}, format {}", manifest.made_by, manifest.format)),
            ("landmarks", format!("{} of {} ({})", set.len(), set.id, set.name)),
            ("looks", looks(&bundle)),
            ("input", format!("{0}x{0} px: {1}", manifest.input.size, manifest.input.preprocessing)),
            ("files", format!("{} with {}, all verified", manifest.files.len(), megabytes(bundle.total_bytes()))),
            ("accuracy", accuracy(manifest)),
            ("calibration", calibration(manifest.calibration.as_ref())),
            ("adapted by", adaptation(manifest.adapted.as_ref())),
            ("intended use", manifest.intended_use.clone()),
            ("weights licence", manifest.weights_licence.clone()),
        ];
        let facts: Vec<Vec<String>> =
            facts.into_iter().map(|(key, value)| vec![key.to_owned(), line(&value)]).collect();
        console::print(console::table(&facts, &[0, 1]))?;

        let mut rows = vec![["#", "landmark", "graph", "size"].map(str::to_owned).to_vec()];
        rows.push(vec![String::new(), "(all)".into(), manifest.trunk.file.clone(), size(&manifest.trunk.file)]);
        rows.extend(set.landmarks.iter().zip(&manifest.heads).map(|(landmark, head)| {
            let file = head.graph.file.clone();
            vec![landmark.number.to_string(), landmark.title.clone(), file, size(&head.graph.file)]
        }));
        console::print(format_args!("\n{}", console::table(&rows, &[1, 2])))?;
        console::print(tables::defined(&set.clone().or_built_in_analysis().analysis))?;
        let second = bundle.second_look().map(|(_, second)| ("history of the second look", second.manifest()));
        for (title, manifest) in [("history", manifest)].into_iter().chain(second) {
            let lines: String = manifest.history.iter().map(|line| format!("  {}\n", visible(line))).collect();
            if !lines.is_empty() {
                console::print(format_args!("\n{title}:\n{lines}"))?;
            }
        }
        if self.recipe {
            console::print(format_args!("\n{}", manifest.recipe))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A text as one line, so that no line of it can look like another fact.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How often it looks at a film.
fn looks(bundle: &Bundle) -> String {
    let Some((look, second)) = bundle.second_look() else { return "one, at the whole film".into() };
    let share = look.shares.iter().sum::<f64>() / look.shares.len() as f64;
    let size = second.manifest().input.size;
    format!(
        "two: at the whole film, then at {size}x{size} px around the landmarks; the second counts {:.0} % on average",
        100.0 * share
    )
}

/// Its errors as an evaluation recorded them, otherwise those on the calibration films.
fn accuracy(manifest: &Manifest) -> String {
    if let Some(Accuracy { data, films, mre_mm, rates, date, made_by, .. }) = &manifest.accuracy {
        let rates = rates.iter().map(|rate| format!(", {:.1} % within {} mm", rate.percent, rate.radius_mm));
        return format!(
            "mean error {mre_mm:.2} mm{}, on {films} films of {data}, as recorded by evaluate on {date} ({made_by})",
            rates.collect::<String>()
        );
    }
    let Some(calibration) = &manifest.calibration else {
        return "not measured (`onemark evaluate --record`, `onemark calibrate`)".into();
    };
    let (mean_mm, within) = calibration.accuracy();
    format!("mean error {mean_mm:.2} mm, {:.1} % within 2 mm, on {}", 100.0 * within, calibration.films)
}

/// The reliability of the bundle's confidence.
fn calibration(of: Option<&Calibration>) -> String {
    let Some(Calibration { films, reliability, .. }) = of else {
        return "none: its points have no confidence and no radius (`onemark calibrate`)".into();
    };
    format!(
        "by {films}; on held-out halves: landmarks within the radius {}, AUROC of confidence {:.2}, calibration error {}",
        percent(reliability.coverage),
        reliability.auroc,
        percent(reliability.calibration_error)
    )
}

/// The films that it was adapted to after its export.
fn adaptation(of: Option<&Adaptation>) -> String {
    let Some(Adaptation { films, .. }) = of else {
        return "none: its template vectors are those of the export".into();
    };
    let mut sources: Vec<&str> = films.iter().filter_map(|film| film.source.as_deref()).collect();
    sources.dedup();
    let sources = if sources.is_empty() { String::new() } else { format!(" ({})", sources.join("; ")) };
    format!("{} further annotated films{sources}", films.len())
}
