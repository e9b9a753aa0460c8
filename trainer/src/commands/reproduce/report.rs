//! The table as Markdown and CSV: what was reached beside what the paper says.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{Outcome, Row, Table};

/// What `onemark evaluate --report` found by the grid protocol, the paper's.
#[derive(Deserialize)]
pub struct Evaluation {
    pub bootstrap: Bootstrap,
    pub overall: Errors,
    pub per_landmark: Vec<Errors>,
    pub films: Vec<String>,
    /// Per film and landmark, mm.
    pub errors_mm: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
pub struct Bootstrap {
    pub mre_mm: Interval,
    pub sdr_percent: Vec<Interval>,
}

#[derive(Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

#[derive(Deserialize)]
pub struct Errors {
    pub name: String,
    pub mre_mm: f64,
    /// Within 2, 2.5, 3 and 4 mm.
    pub sdr_percent: Vec<f64>,
}

impl Evaluation {
    pub fn read(path: &Path) -> Result<Self> {
        let report: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        let grid = report["protocols"].as_array().into_iter().flatten().find(|summary| summary["protocol"] == "grid");
        let grid = grid.with_context(|| format!("{} holds no evaluation by the grid protocol", path.display()))?;
        Ok(serde_json::from_value(grid.clone())?)
    }
}

/// The minutes that a run's log spans, stops not counted.
pub fn minutes(log: &Path) -> Result<f64> {
    let text = fs::read_to_string(log).with_context(|| format!("reading {}", log.display()))?;
    let mut seconds = 0.0;
    let mut before: Option<f64> = None;
    for line in text.lines() {
        let event: Value = serde_json::from_str(line)?;
        let time = event["wall_time"].as_f64().unwrap_or_default();
        if event["event"] != "started" && event["event"] != "resumed" {
            seconds += before.map_or(0.0, |before| time - before);
        }
        before = Some(time);
    }
    Ok(seconds / 60.0)
}

pub fn markdown(table: &Table, done: &[(&Row, &Outcome)], split: &str, scale: &str) -> String {
    let films = done.first().map_or(0, |(_, outcome)| outcome.evaluation.films.len());
    let mut text = format!(
        "# {}\n\nGrid protocol, {films} films of {split}, {scale} scale; 95 % intervals by drawing films. The paper's numbers are \
         of Test1 and Test2 together.\n\n| row | MRE mm | SDR 2 mm % | 2.5 mm | 3 mm | 4 mm | minutes | paper: MRE | 2 mm | 2.5 mm | \
         3 mm | 4 mm |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        table.title
    );
    let paper = |row: &Row| row.paper.map(|value| format!(" {value:.2} |")).concat();
    for (row, Outcome { evaluation, minutes, .. }) in done {
        let Interval { low, high } = evaluation.bootstrap.mre_mm;
        text += &format!("| {} | {:.2} ({low:.2} to {high:.2}) |", row.name, evaluation.overall.mre_mm);
        for (sdr, Interval { low, high }) in
            evaluation.overall.sdr_percent.iter().zip(&evaluation.bootstrap.sdr_percent)
        {
            text += &format!(" {sdr:.1} ({low:.1} to {high:.1}) |");
        }
        text += &format!(" {minutes:.0} |{}\n", paper(row));
    }
    for row in table.rows.iter().filter(|row| row.recipe.is_none()) {
        text += &format!("| {} | | | | | | |{}\n", row.name, paper(row));
    }
    for (row, Outcome { cut, .. }) in done {
        if let Some(cut) = cut {
            text += &format!("\n{}: cut to fit the budget, {cut}.\n", row.name);
        }
    }
    text + &landmarks(table, done)
}

/// MRE in mm and SDR in % within 2 mm, per landmark.
fn landmarks(table: &Table, done: &[(&Row, &Outcome)]) -> String {
    let Some((_, first)) = done.first() else { return String::new() };
    let of_paper: Vec<_> = table.rows.iter().filter_map(|row| Some((&row.name, row.landmarks.as_ref()?))).collect();
    let mut text = "\nPer landmark, MRE in mm / SDR 2 mm in %:\n\n| # | landmark |".to_owned();
    done.iter().for_each(|(row, _)| text += &format!(" {} |", row.name));
    of_paper.iter().for_each(|(name, _)| text += &format!(" paper: {name} |"));
    text += &format!("\n|{}\n", "---|".repeat(2 + done.len() + of_paper.len()));
    for (index, landmark) in first.evaluation.per_landmark.iter().enumerate() {
        text += &format!("| {} | {} |", index + 1, landmark.name);
        for (_, outcome) in done {
            let errors = &outcome.evaluation.per_landmark[index];
            text += &format!(" {:.2} / {:.1} |", errors.mre_mm, errors.sdr_percent[0]);
        }
        for (_, paper) in &of_paper {
            text += &format!(" {:.2} / {:.1} |", paper.mre[index], paper.sdr2[index]);
        }
        text.push('\n');
    }
    text
}

/// One line per row and landmark, `all` for all of them; the paper's have no interval, no films and no minutes.
pub fn csv(table: &Table, done: &[(&Row, &Outcome)]) -> Result<String> {
    let mut lines = csv::Writer::from_writer(Vec::new());
    let head = "row,source,landmark,mre_mm,mre_low,mre_high,sdr_2,sdr_2_5,sdr_3,sdr_4,films,minutes,cut";
    lines.write_record(head.split(','))?;
    for (row, Outcome { evaluation, minutes, cut }) in done {
        let films = evaluation.films.len().to_string();
        let interval = &evaluation.bootstrap.mre_mm;
        let all = std::iter::once((&evaluation.overall, "all", Some(interval)));
        for (errors, name, interval) in
            all.chain(evaluation.per_landmark.iter().map(|errors| (errors, errors.name.as_str(), None)))
        {
            let mut line = vec![row.name.clone(), "here".into(), name.into(), errors.mre_mm.to_string()];
            let bounds = [interval.map(|of| of.low), interval.map(|of| of.high)];
            line.extend(bounds.map(|bound| bound.map_or_else(String::new, |bound| bound.to_string())));
            line.extend(errors.sdr_percent.iter().map(f64::to_string));
            line.extend([films.clone(), minutes.to_string(), cut.clone().unwrap_or_default()]);
            lines.write_record(line)?;
        }
    }
    for row in &table.rows {
        let [mre, sdr @ ..] = row.paper.map(|value| value.to_string());
        let mut line = vec![row.name.clone(), "paper".into(), "all".into(), mre, String::new(), String::new()];
        line.extend(sdr);
        line.extend([String::new(), String::new(), String::new()]);
        lines.write_record(line)?;
    }
    Ok(String::from_utf8(lines.into_inner()?)?)
}
