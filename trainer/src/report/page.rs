//! A page about a run for people, `progress.html` in its folder, written again after every epoch: curves of loss and error, and
//! `sheet.png` beside it, the training films on which the network is least sure, with the points that it finds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use maud::{DOCTYPE, PreEscaped, html};
use ndarray::Array2;
use onemark_evaluation::suggest::{Found, Suggestion, suggest};
use onemark_film::geometry::GridPoint;
use onemark_film::visible::visible;
use onemark_models::files::write_whole;
use onemark_models::recipe::Recipe;
use plotters::prelude::*;
use serde::Deserialize;

use crate::TrainError;
use crate::data::samples::Samples;
use crate::report::log::LINES;

/// The page, in the run's folder.
pub const PAGE: &str = "progress.html";
/// The picture of films, beside it.
const SHEET: &str = "sheet.png";
/// Films on the sheet, and in one of its rows.
const FILMS: usize = 6;
const PER_ROW: usize = 3;
/// Half the width of a point's cross, px.
const ARM: i64 = 4;
const CURVES: (u32, u32) = (900, 260);

/// What the network finds on some of the training films.
pub struct Seen<'a> {
    /// The films, by index among the samples.
    pub films: &'a [usize],
    /// The best cells of each.
    pub points: Vec<Vec<GridPoint>>,
    /// Their scores, `[films, landmarks]`.
    pub scores: Array2<f32>,
}

/// An epoch in the log.
#[derive(Deserialize)]
struct Epoch {
    event: String,
    phase: String,
    epoch: usize,
    loss: f64,
    held_out_cells: f64,
    #[serde(default)]
    held_out_mm: Option<f64>,
}

/// Writes the page of the run in a folder, with a sheet of the films seen, if there are any. `ids` are the films' ids.
///
/// # Errors
/// The log can't be read, the page can't be written.
pub fn write(
    folder: &Path,
    recipe: &Recipe,
    ids: &[String],
    samples: &Samples,
    seen: Option<&Seen<'_>>,
) -> Result<(), TrainError> {
    let epochs = epochs(&folder.join(LINES))?;
    let mut captions = Vec::new();
    if let Some(Seen { films, points, scores }) = seen {
        let worst = suggest(&Found { points: points.clone(), scores: scores.clone() }, &[], FILMS);
        let shown: Vec<(usize, &[GridPoint])> =
            worst.iter().map(|Suggestion { film, .. }| (films[*film], points[*film].as_slice())).collect();
        save(&folder.join(SHEET), &sheet(samples, &shown))?;
        captions = worst.iter().map(|one| caption(recipe, &ids[films[one.film]], one)).collect();
    }
    let mm = epochs.iter().all(|epoch| epoch.held_out_mm.is_some());
    let error = |epoch: &Epoch| epoch.held_out_mm.filter(|_| mm).unwrap_or(epoch.held_out_cells);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "Training of " (recipe.name) }
                style { "body { font: 16px/1.4 sans-serif; margin: 2em auto; max-width: 72em } img { max-width: 100% }" }
            }
            body {
                h1 { "Training of " (recipe.name) ", " (epochs.len()) " epochs" }
                @if epochs.len() > 1 {
                    (PreEscaped(curve("loss", &epochs, |epoch| epoch.loss)?))
                    (PreEscaped(curve(if mm { "error, mm" } else { "error, cells of the grid" }, &epochs, error)?))
                }
                p {
                    "The error is measured where the truth is known: on bent copies of the only annotated film, or on annotated films. "
                    "On copies it is far smaller than on other films, whose truth nobody knows: look at the points below."
                }
                @if !captions.is_empty() {
                    h2 { "The films that the network finds hardest" }
                    img src=(SHEET) alt="Films with the points that the network finds";
                    ol { @for caption in &captions { li { (caption) } } }
                    p { "From left to right, row by row. If points are wrong here, mark one of these films by hand and train on it too." }
                }
            }
        }
    };
    let path = folder.join(PAGE);
    write_whole(&path, page.into_string().as_bytes()).map_err(|source| TrainError::Write { path, source })
}

fn caption(recipe: &Recipe, id: &str, Suggestion { landmarks, .. }: &Suggestion) -> String {
    let names = landmarks.iter().take(3).map(|landmark| recipe.landmarks.landmarks[*landmark].title.as_str());
    let names = names.collect::<Vec<_>>().join(", ");
    let id = visible(id);
    if names.is_empty() { format!("film {id}") } else { format!("film {id}: least sure of {names}") }
}

/// The epochs in a log. An epoch that was trained again, after a kill, replaces the earlier one.
fn epochs(log: &Path) -> Result<Vec<Epoch>, TrainError> {
    let text = fs::read_to_string(log).map_err(|source| TrainError::Read { path: log.to_owned(), source })?;
    let mut epochs: Vec<Epoch> = Vec::new();
    for epoch in text.lines().filter_map(|line| serde_json::from_str::<Epoch>(line).ok()) {
        let same = |other: &Epoch| (&other.phase, other.epoch) == (&epoch.phase, epoch.epoch);
        let again = epochs.iter().position(same);
        epochs.truncate(again.unwrap_or(epochs.len()));
        epochs.push(epoch);
    }
    epochs.retain(|epoch| epoch.event == "epoch");
    Ok(epochs)
}

/// A curve over the epochs, as SVG.
fn curve(title: &str, epochs: &[Epoch], value: impl Fn(&Epoch) -> f64) -> Result<String, TrainError> {
    let mut svg = String::new();
    draw(SVGBackend::with_string(&mut svg, CURVES), title, epochs, value)
        .map_err(|error| TrainError::Plot { why: error.to_string() })?;
    Ok(svg)
}

fn draw<'a>(
    on: SVGBackend<'a>,
    title: &str,
    epochs: &[Epoch],
    value: impl Fn(&Epoch) -> f64,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>> {
    let highest = epochs.iter().map(&value).filter(|value| value.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let area = on.into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area);
    let chart = chart.margin(10).x_label_area_size(35).y_label_area_size(60);
    let mut chart = chart.build_cartesian_2d(1..epochs.len(), 0.0..1.05 * highest)?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).x_desc("epoch").y_desc(title).draw()?;
    let points = epochs.iter().enumerate().map(|(index, epoch)| (index + 1, value(epoch)));
    chart.draw_series(LineSeries::new(points, BLUE.stroke_width(2)))?;
    // The first epoch of each phase but the first.
    let begins = (1..epochs.len()).filter(|index| epochs[*index].phase != epochs[index - 1].phase);
    let line = |index: usize| PathElement::new([(index + 1, 0.0), (index + 1, highest)], BLACK.mix(0.4));
    chart.draw_series(begins.map(line))?;
    area.present()
}

/// Films side by side, each with crosses at points of its grid.
fn sheet(samples: &Samples, films: &[(usize, &[GridPoint])]) -> RgbImage {
    let (rows, columns) = films.first().map_or((0, 0), |(film, _)| samples.grey(*film).dim());
    let across = films.len().min(PER_ROW);
    let mut sheet = RgbImage::new((across * columns) as u32, (films.len().div_ceil(PER_ROW) * rows) as u32);
    for (index, (film, points)) in films.iter().enumerate() {
        let (top, left) = ((index / PER_ROW * rows) as i64, (index % PER_ROW * columns) as i64);
        for ((row, column), grey) in samples.grey(*film).indexed_iter() {
            let grey = (grey.clamp(0.0, 1.0) * 255.0) as u8;
            sheet.put_pixel(left as u32 + column as u32, top as u32 + row as u32, Rgb([grey; 3]));
        }
        for point in *points {
            for step in -ARM..=ARM {
                for (row, column) in [(step, 0), (0, step)] {
                    let (row, column) = (point.row as i64 + row, point.column as i64 + column);
                    if (0..rows as i64).contains(&row) && (0..columns as i64).contains(&column) {
                        sheet.put_pixel((left + column) as u32, (top + row) as u32, Rgb([255, 200, 0]));
                    }
                }
            }
        }
    }
    sheet
}

fn save(path: &Path, sheet: &RgbImage) -> Result<(), TrainError> {
    let mut png = io::Cursor::new(Vec::new());
    let failed = |source| TrainError::Write { path: PathBuf::from(path), source };
    sheet.write_to(&mut png, ImageFormat::Png).map_err(|error| failed(io::Error::other(error)))?;
    write_whole(path, png.get_ref()).map_err(failed)
}
