//! The plots beside a table, as SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::{Outcome, Row};

const SIZE: (u32, u32) = (900, 500);
const LARGEST_MM: f64 = 10.0;
/// The radii for which the paper states the SDR, mm.
const RADII_MM: [f64; 4] = [2.0, 2.5, 3.0, 4.0];

/// The share of landmarks found within any radius, per row; crosses are the paper's.
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

/// The mean error of each landmark, a bar per row.
pub fn landmarks(done: &[(&Row, &Outcome)]) -> Result<String> {
    let mut svg = String::new();
    {
        let names: Vec<String> =
            done.first().map_or_else(Vec::new, |(_, outcome)| outcome.summary.evaluation.landmarks().to_vec());
        let all = done.iter().flat_map(|(_, outcome)| outcome.summary.evaluation.per_landmark());
        let highest = all.map(|errors| errors.mre_mm).fold(1.0, f64::max);
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&area);
        let chart = chart.margin(15).x_label_area_size(45).y_label_area_size(55);
        let mut chart = chart.build_cartesian_2d(0.5..names.len() as f64 + 0.5, 0.0..1.1 * highest).map_err(failed)?;
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .disable_x_mesh()
            .x_labels(names.len())
            .x_label_formatter(&|number| format!("{number:.0}"));
        mesh.x_desc("landmark").y_desc("mean radial error, mm").draw().map_err(failed)?;
        let width = 0.8 / done.len().max(1) as f64;
        for (index, (row, outcome)) in done.iter().enumerate() {
            let colour = colour(index);
            let bars = outcome.summary.evaluation.per_landmark().into_iter().enumerate().map(|(landmark, errors)| {
                let left = landmark as f64 + 0.6 + index as f64 * width;
                Rectangle::new([(left, 0.0), (left + width, errors.mre_mm)], colour.filled())
            });
            let series = chart.draw_series(bars).map_err(failed)?;
            series
                .label(&row.name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 15, y + 5)], colour.filled()));
        }
        let mut legend = chart.configure_series_labels();
        legend.position(SeriesLabelPosition::UpperLeft).border_style(BLACK).background_style(WHITE);
        legend.draw().map_err(failed)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

fn colour(index: usize) -> RGBColor {
    let (red, green, blue) = Palette99::pick(index).to_backend_color().rgb;
    RGBColor(red, green, blue)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing a plot: {error}")
}
