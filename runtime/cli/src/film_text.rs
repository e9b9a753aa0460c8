//! A film's results as text for a person: first what to know before relying on them, then the numbers.

use onemark_film::visible::visible;
use onemark_results::{FilmResults, percent, status};
use onemark_runtime::{Detection, Detections, FilmSize};

use crate::commands::tables;
use crate::console;

/// The film, warnings, landmarks and measurements. A landmark that was not found has no position.
pub fn text(results: &FilmResults<'_>) -> String {
    let cautions: String =
        results.cautions().iter().map(|caution| format!("warning: {}\n", visible(caution))).collect();
    let measured = tables::measured(results.detections.measurements());
    format!("{}{cautions}{}{measured}\n", heading(results), landmarks(results.detections))
}

fn heading(results: &FilmResults<'_>) -> String {
    let (file, FilmSize { width, height }) = (visible(results.name), results.detections.film());
    let spacing = match results.detections.spacing() {
        Some(spacing) => visible(&spacing.to_string()).into_owned(),
        None => "in pixels only: no spacing is stated (--spacing)".to_owned(),
    };
    format!("{file}: {width}x{height} px, {spacing}\n")
}

/// A column of the table: its title, and its cell for a landmark. A cell without text is empty.
type Column = (&'static str, fn(&Detection) -> Option<String>);

const COLUMNS: &[Column] = &[
    ("#", |landmark| Some(landmark.number().to_string())),
    ("landmark", |landmark| Some(landmark.title().to_owned())),
    ("status", |landmark| Some(status(landmark).to_owned())),
    ("x px", |landmark| Some(format!("{:.1}", landmark.unless_guess()?.position().x))),
    ("y px", |landmark| Some(format!("{:.1}", landmark.unless_guess()?.position().y))),
    ("x mm", |landmark| Some(format!("{:.2}", landmark.unless_guess()?.mm()?.x))),
    ("y mm", |landmark| Some(format!("{:.2}", landmark.unless_guess()?.mm()?.y))),
    ("confidence", |landmark| Some(percent(landmark.unless_guess()?.confidence()?))),
    ("90 % within mm", |landmark| Some(format!("{:.1}", landmark.unless_guess()?.radius_mm()?))),
    ("score", |landmark| Some(format!("{:.3}", landmark.score()))),
    ("surprise", |landmark| Some(format!("{:.1}", landmark.unless_guess()?.mahalanobis()?))),
];

/// One line per landmark; columns that no landmark needs are left out.
fn landmarks(detections: &Detections) -> String {
    let is_needed = |(_, cell): &&Column| detections.landmarks().iter().any(|landmark| cell(landmark).is_some());
    let columns: Vec<&Column> = COLUMNS.iter().filter(is_needed).collect();
    let mut rows = vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect::<Vec<_>>()];
    let row = |landmark: &Detection| columns.iter().map(|(_, cell)| cell(landmark).unwrap_or_default()).collect();
    rows.extend(detections.landmarks().iter().map(row));
    console::table(&rows, &[1, 2])
}
