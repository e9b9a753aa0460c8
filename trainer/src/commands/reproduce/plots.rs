//! The plots beside a table, as SVG.

use anyhow::{Result, anyhow};
use onemark_evaluation::metrics::Interval;
use plotters::prelude::*;

use super::{Outcome, Row, report};

const SIZE: (u32, u32) = (900, 500);
/// Colours that people with any kind of colour vision tell apart (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    BLACK,
];
/// Draws of films for an interval, and their seed.
const RESAMPLES: usize = 2000;
const SEED: u64 = 1;
const LARGEST_MM: f64 = 10.0;
/// The radii for which the paper states the SDR, mm.
const RADII_MM: [f64; 4] = [2.0, 2.5, 3.0, 4.0];

/// The share of landmarks found within any radius, per row; crosses are the paper's, on its own films only.
pub fn sdr(done: &[(&Row, &Outcome)]) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&area);
        let chart = chart.margin(15).x_label_area_size(45).y_label_area_size(55);
        let mut chart = chart.build_cartesian_2d(0.0..LARGEST_MM, 0.0..100.0).map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("radius, mm")
            .y_desc("landmarks within it, %")
            .draw()
            .map_err(failed)?;
        for (index, (row, outcome)) in done.iter().enumerate() {
            let colour = colour(index);
            let mut errors: Vec<f64> = outcome.summary.evaluation.errors().iter().copied().flatten().collect();
            errors.sort_by(f64::total_cmp);
            let share =
                |radius: f64| 100.0 * errors.partition_point(|error| *error <= radius) as f64 / errors.len() as f64;
            let curve =
                (0..=200).map(|step| LARGEST_MM * f64::from(step) / 200.0).map(|radius| (radius, share(radius)));
            let series = chart.draw_series(LineSeries::new(curve, colour.stroke_width(2))).map_err(failed)?;
            series
                .label(&row.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
            if !report::are_the_papers_films(&outcome.summary.evaluation) {
                continue;
            }
            let paper =
                RADII_MM.iter().zip(&row.paper[1..]).map(|(radius, sdr)| Cross::new((*radius, *sdr), 5, colour));
            let series = chart.draw_series(paper).map_err(failed)?;
            series.label(format!("{}, paper", row.name)).legend(move |(x, y)| Cross::new((x + 10, y), 5, colour));
        }
        let mut legend = chart.configure_series_labels();
        legend.position(SeriesLabelPosition::LowerRight).border_style(BLACK).background_style(WHITE);
        legend.draw().map_err(failed)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

/// The mean error of each landmark, a bar per row, with its 95 % interval over the films.
pub fn landmarks(done: &[(&Row, &Outcome)]) -> Result<String> {
    let mut svg = String::new();
    {
        let names: Vec<String> =
            done.first().map_or_else(Vec::new, |(_, outcome)| outcome.summary.evaluation.landmarks().to_vec());
        let of_row = |outcome: &Outcome| -> Vec<(f64, Interval)> {
            let landmarks = outcome.summary.evaluation.by_landmark();
            landmarks.map(|one| (one.overall().mre_mm, one.bootstrap(RESAMPLES, SEED).mre_mm)).collect()
        };
        let rows: Vec<_> = done.iter().map(|(row, outcome)| (*row, of_row(outcome))).collect();
        let highest = rows.iter().flat_map(|(_, means)| means).map(|(_, interval)| interval.high).fold(1.0, f64::max);
        // Landmark 1 is on top.
        let count = names.len() as f64;
        let name = |place: &f64| names.get((count - place).round() as usize).cloned().unwrap_or_default();
        let size = (SIZE.0, 80 + names.len() as u32 * (10 + 8 * rows.len() as u32));
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&area);
        let chart = chart.margin(15).x_label_area_size(45).y_label_area_size(170);
        let mut chart = chart.build_cartesian_2d(0.0..1.1 * highest, 0.5..count + 0.5).map_err(failed)?;
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT).disable_y_mesh().y_labels(names.len()).y_label_formatter(&name);
        mesh.x_desc("mean radial error, mm").draw().map_err(failed)?;
        let width = 0.8 / rows.len().max(1) as f64;
        for (index, (row, means)) in rows.iter().enumerate() {
            let colour = colour(index);
            let top = |landmark: usize| count - landmark as f64 + 0.4 - index as f64 * width;
            let bars = means.iter().enumerate().map(|(landmark, (mean, _))| {
                Rectangle::new([(0.0, top(landmark)), (*mean, top(landmark) - width)], colour.filled())
            });
            let series = chart.draw_series(bars).map_err(failed)?;
            series
                .label(&row.name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 15, y + 5)], colour.filled()));
            let intervals = means.iter().enumerate().map(|(landmark, (_, interval))| {
                let at = top(landmark) - width / 2.0;
                PathElement::new([(interval.low, at), (interval.high, at)], BLACK.stroke_width(1))
            });
            chart.draw_series(intervals).map_err(failed)?;
        }
        let mut legend = chart.configure_series_labels();
        legend.position(SeriesLabelPosition::LowerRight).border_style(BLACK).background_style(WHITE);
        legend.draw().map_err(failed)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing a plot: {error}")
}
