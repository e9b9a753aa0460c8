//! The table as Markdown and CSV: our results and the paper's.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use onemark_evaluation::metrics::{Evaluation, Interval, Protocol, Score};
use onemark_evaluation::report::{Report, Summary};
use onemark_models::landmarks::LandmarkSet;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Outcome, Row, Table};

/// The results of `onemark evaluate --report` in the grid protocol, which is the paper's.
pub fn read(path: &Path) -> Result<Summary> {
    let report: Report<IgnoredAny> =
        serde_json::from_str(&fs::read_to_string(path)?).with_context(|| format!("reading {}", path.display()))?;
    let grid = report.summary(Protocol::Grid).cloned();
    grid.with_context(|| format!("{} holds no evaluation by the grid protocol", path.display()))
}

/// The minutes that a run's log covers, without interruptions.
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
    let first = done.first().map(|(_, outcome)| &outcome.summary.evaluation);
    let films = first.map_or(0, |evaluation| evaluation.films().len());
    let of = match first.is_none_or(|evaluation| are_the_papers(evaluation.landmarks())) {
        true => "Test1 and Test2 together",
        false => "other films and other landmarks",
    };
    let mut text = format!(
        "# {}\n\nGrid protocol, {films} films of {split}, {scale} scale; 95 % intervals by drawing films. The paper's numbers are \
         of {of}.\n\n| row | MRE mm | SDR 2 mm % | 2.5 mm | 3 mm | 4 mm | minutes | paper: MRE | 2 mm | 2.5 mm | \
         3 mm | 4 mm |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        table.title
    );
    let paper = |row: &Row| row.paper.map(|value| format!(" {value:.2} |")).concat();
    for (row, Outcome { summary, minutes, .. }) in done {
        let (overall, bootstrap) = (summary.evaluation.overall(), &summary.bootstrap);
        let Interval { low, high } = bootstrap.mre_mm;
        text += &format!("| {} | {:.2} ({low:.2} to {high:.2}) |", row.name, overall.mre_mm);
        for (sdr, Interval { low, high }) in overall.sdr_percent.iter().zip(&bootstrap.sdr_percent) {
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

/// The films of the paper's tables: ISBI 2015's Test1 and Test2.
const PAPER_FILMS: usize = 250;

/// Whether an evaluation is on the films and landmarks of the paper's tables.
pub fn are_the_papers_films(evaluation: &Evaluation) -> bool {
    evaluation.films().len() == PAPER_FILMS && are_the_papers(evaluation.landmarks())
}

/// Whether landmarks with these names are those of the paper's tables.
fn are_the_papers(names: &[String]) -> bool {
    LandmarkSet::named("isbi19").is_ok_and(|set| set.landmarks.iter().map(|landmark| &landmark.name).eq(names))
}

/// MRE in mm and SDR in % within 2 mm, per landmark.
fn landmarks(table: &Table, done: &[(&Row, &Outcome)]) -> String {
    let Some((_, first)) = done.first() else { return String::new() };
    let of_paper = table.rows.iter().filter_map(|row| Some((&row.name, row.landmarks.as_ref()?)));
    let of_paper: Vec<_> = of_paper.filter(|_| are_the_papers(first.summary.evaluation.landmarks())).collect();
    let mut text = "\nPer landmark, MRE in mm / SDR 2 mm in %:\n\n| # | landmark |".to_owned();
    done.iter().for_each(|(row, _)| text += &format!(" {} |", row.name));
    of_paper.iter().for_each(|(name, _)| text += &format!(" paper: {name} |"));
    text += &format!("\n|{}\n", "---|".repeat(2 + done.len() + of_paper.len()));
    let scores: Vec<_> = done.iter().map(|(_, outcome)| outcome.summary.evaluation.per_landmark()).collect();
    for (index, name) in first.summary.evaluation.landmarks().iter().enumerate() {
        text += &format!("| {} | {name} |", index + 1);
        for errors in scores.iter().map(|scores| &scores[index]) {
            text += &format!(" {:.2} / {:.1} |", errors.mre_mm, errors.sdr_percent[0]);
        }
        for (_, paper) in &of_paper {
            text += &format!(" {:.2} / {:.1} |", paper.mre[index], paper.sdr2[index]);
        }
        text.push('\n');
    }
    text
}

/// One line per row and landmark, and one named `all` for all landmarks. The paper's lines have no interval, films or minutes.
pub fn csv(table: &Table, done: &[(&Row, &Outcome)]) -> Result<String> {
    let mut lines = csv::Writer::from_writer(Vec::new());
    let head = "row,source,landmark,mre_mm,mre_low,mre_high,sdr_2,sdr_2_5,sdr_3,sdr_4,films,minutes,cut";
    lines.write_record(head.split(','))?;
    for (row, Outcome { summary: Summary { evaluation, bootstrap, .. }, minutes, cut }) in done {
        let films = evaluation.films().len().to_string();
        let overall = Score { name: "all".into(), ..evaluation.overall() };
        let landmarks = evaluation.per_landmark().into_iter().map(|score| (score, None));
        for (errors, interval) in std::iter::once((overall, Some(&bootstrap.mre_mm))).chain(landmarks) {
            let mut line = vec![row.name.clone(), "here".into(), errors.name.clone(), errors.mre_mm.to_string()];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::unwrap_used)]
    fn the_papers_landmarks_are_not_compared_with_others() {
        let names = |id| LandmarkSet::named(id).unwrap().landmarks.into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert!(are_the_papers(&names("isbi19")));
        assert!(!are_the_papers(&names("isbi19")[..5]) && !are_the_papers(&names("hand37")));
    }
}
