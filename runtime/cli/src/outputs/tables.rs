//! The files that hold all films: they grow as films finish, so that a run that ends early loses the film at hand only.

use std::io;
use std::path::Path;

use anyhow::Context as _;
use onemark_models::files::GrowingFile;
use onemark_results::csv;
use onemark_results::json::{self, Document, FilmReport};

use super::journal::{Journal, Settings, Stamp};
use super::{OutputFiles, PlacedFilm};
use crate::console::{self, Screen, is_stdout};

/// JSON and CSV of a run, with its journal.
pub struct Tables<'a> {
    json: Option<&'a Path>,
    csv: Option<&'a Path>,
    journal: Option<Journal>,
    /// The CSV file, once it is begun.
    rows: Option<GrowingFile>,
    /// Whether the CSV is begun and has all rows, in the order of the films.
    rows_are_whole: bool,
    is_begun: bool,
    stamps: Vec<Option<Stamp>>,
    reports: Vec<Option<FilmReport>>,
}

impl OutputFiles<'_> {
    /// Opens the tables. With `resume`, films that an earlier run with the same settings has finished are in them already.
    pub fn open(&self, films: &[PlacedFilm], settings: &Settings, resume: bool) -> anyhow::Result<Tables<'_>> {
        let stamps: Vec<Option<Stamp>> = films.iter().map(Stamp::of).collect();
        let mut reports = vec![None; films.len()];
        let mut journal = None;
        if let Some(table) = self.journalled() {
            let (open, done) = Journal::open(table, settings, resume)?;
            journal = Some(open);
            for (index, stamp) in stamps.iter().enumerate() {
                let report = stamp.as_ref().and_then(|stamp| done.get(stamp));
                reports[index] = report.filter(|report| is_done(report) && self.are_there(index)).cloned();
            }
        } else if resume {
            anyhow::bail!("--resume goes on with a run that writes --json or --csv to a file: give one");
        }
        let Self { json, csv, .. } = *self;
        Ok(Tables { json, csv, journal, rows: None, rows_are_whole: true, is_begun: false, stamps, reports })
    }
}

/// Whether a film need not be looked at again. What failed may succeed the next time.
fn is_done(report: &FilmReport) -> bool {
    matches!(report, FilmReport::Done { not_written, .. } if not_written.is_empty())
}

impl Tables<'_> {
    /// The films that are still to be looked at, by their index.
    pub fn left(&self) -> Vec<usize> {
        self.reports.iter().enumerate().filter(|(_, report)| report.is_none()).map(|(index, _)| index).collect()
    }

    /// The reports of all films that are finished.
    pub fn reports(&self) -> impl Iterator<Item = &FilmReport> {
        self.reports.iter().flatten()
    }

    /// What a run that ended early leaves, and how to go on, to follow a sentence.
    pub fn way_on(&self) -> String {
        self.journal.as_ref().map_or(String::new(), |journal| {
            format!("; {} has their results: the same command with --resume goes on", journal.path().display())
        })
    }

    /// Adds the report of a film. A table that can't be written does not end the run; a journal does, because without it the next
    /// films may be lost.
    pub fn add(&mut self, index: usize, report: FilmReport, screen: &mut Screen) -> anyhow::Result<()> {
        // The first rows are those of all films that are done.
        let in_order = !self.is_begun || self.reports[index..].iter().all(Option::is_none);
        let report = self.reports[index].insert(report);
        if let (Some(journal), Some(stamp)) = (&mut self.journal, &self.stamps[index]) {
            journal.add(stamp.clone(), report)?;
        }
        let Some(path) = self.csv else { return Ok(()) };
        let rows = if self.is_begun { csv::rows(report)? } else { csv::write(self.reports())? };
        if is_stdout(path) {
            screen.print(str::from_utf8(&rows)?)?;
        } else if let Err(error) = self.grow(path, &rows).with_context(|| format!("writing {}", path.display())) {
            console::note(format_args!("error: {}", console::explain(&error)));
            self.rows_are_whole = false;
        }
        self.is_begun = true;
        self.rows_are_whole &= in_order;
        Ok(())
    }

    fn grow(&mut self, path: &Path, rows: &[u8]) -> io::Result<()> {
        match &mut self.rows {
            // An older table stays until there is something to write.
            None if !self.is_begun => self.rows = Some(GrowingFile::start(path, rows)?),
            None => {}
            Some(file) => file.append(rows)?,
        }
        Ok(())
    }

    /// Writes what is still to be written: the JSON, and the CSV if its rows are not whole or not in order. A run that came to its
    /// end needs no journal any more.
    pub fn finish(mut self, is_whole: bool, screen: &mut Screen) -> anyhow::Result<()> {
        // A run that ended before its first film leaves older tables alone.
        if !is_whole && self.reports().next().is_none() {
            return Ok(());
        }
        let rows = || anyhow::Ok(csv::write(self.reports())?);
        let csv = match self.csv {
            Some(path) if is_stdout(path) && !self.is_begun => {
                rows().and_then(|rows| screen.print(str::from_utf8(&rows)?))
            }
            Some(path) if !(is_stdout(path) || self.is_begun && self.rows_are_whole) => {
                rows().and_then(|rows| console::write_file(path, &rows))
            }
            _ => Ok(()),
        };
        let document = Document::new(self.reports.drain(..).flatten().collect());
        let json = match self.json {
            Some(path) if is_stdout(path) => {
                json::to_text(&document, true).map_err(anyhow::Error::from).and_then(|text| screen.print(text))
            }
            Some(path) => console::write_json(path, &document),
            None => Ok(()),
        };
        let written = csv.and(json);
        match self.journal {
            Some(journal) if is_whole && written.is_ok() => journal.remove(),
            Some(journal) if written.is_err() => {
                written.with_context(|| format!("{} has all results: go on with --resume", journal.path().display()))
            }
            _ => written,
        }
    }
}
