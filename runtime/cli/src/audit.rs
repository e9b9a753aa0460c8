//! The record of a run of `onemark detect`: with what and on which films, and the digests of the results. `onemark replay` repeats the
//! run and compares.

use std::env::consts::{ARCH, OS};
use std::path::Path;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Local, SecondsFormat};
use onemark_film::Spacing;
use onemark_models::files::{read_at_most, sha256};
use onemark_results::PROGRAM;
use onemark_results::json::FilmReport;
use onemark_runtime::{Detections, Detector, Options};
use onemark_signing::Signer;
use serde::{Deserialize, Serialize};

use crate::console;

/// The version of the record's format.
const FORMAT: &str = "onemark-audit/1";

/// Largest record that is read, in bytes: 300 bytes for each of 500,000 films.
const MOST_BYTES: u64 = 150 << 20;

/// A run, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Audit {
    audit: String,
    /// The program with its version.
    pub program: String,
    /// Operating system and kind of processor.
    pub machine: String,
    /// The backend with its version and place.
    pub backend_version: String,
    pub bundle: AuditedBundle,
    pub options: AuditedOptions,
    /// When the run began and ended, in local time with its offset.
    started: String,
    ended: String,
    /// The number of films that it was given; one that ended early has fewer below.
    pub given: usize,
    pub films: Vec<AuditedFilm>,
}

/// The bundle that was run.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditedBundle {
    /// Its place, as it was given.
    pub path: String,
    pub name: String,
    /// SHA-256 of its manifest, which holds those of its files.
    pub sha256: String,
    /// Which of the trusted keys has signed it, if keys were trusted.
    pub signer: Option<String>,
}

/// All that decides about the results besides bundle and films.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditedOptions {
    pub backend: String,
    pub threads: usize,
    pub decoding: String,
    pub pruning: bool,
    /// Numbers of the landmarks that were looked for; all if there are none.
    pub landmarks: Option<Vec<usize>>,
    /// The spacing that a person stated.
    pub spacing: Option<Spacing>,
}

/// A film, and what came of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditedFilm {
    /// Its file, as it was given.
    pub file: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a film.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    Done {
        /// SHA-256 of its grey values.
        film_sha256: String,
        /// SHA-256 of its results: what the JSON has of it but for file, times and warnings, without spaces and line ends.
        result_sha256: String,
    },
    Failed {
        error: String,
    },
}

impl Outcome {
    /// What came of a film that has these results.
    pub fn of(detections: &Detections) -> anyhow::Result<Self> {
        let film_sha256 = detections.film_sha256().unwrap_or_default().to_owned();
        Ok(Self::Done { film_sha256, result_sha256: sha256(&serde_json::to_vec(detections)?) })
    }

    /// How `now` differs from this, for a person; `None` if it does not.
    pub fn difference(&self, now: &Self) -> Option<String> {
        Some(match (self, now) {
            (before, now) if before == now => return None,
            (Self::Done { film_sha256: before, .. }, Self::Done { film_sha256: now, .. }) if before != now => {
                "the film has other pixels".to_owned()
            }
            (Self::Done { .. }, Self::Done { .. }) => {
                "the same pixels have other results, or another spacing".to_owned()
            }
            (Self::Done { .. }, Self::Failed { error }) => format!("it fails now: {error}"),
            (Self::Failed { error }, Self::Done { .. }) => format!("it has results now, and failed: {error}"),
            (Self::Failed { error: before }, Self::Failed { error: now }) => {
                format!("it failed with `{before}`, and now with `{now}`")
            }
        })
    }
}

impl AuditedOptions {
    /// The options of a run.
    pub fn new(detector: &Detector, pruning: bool, landmarks: Option<Vec<usize>>, spacing: Option<&Spacing>) -> Self {
        Self {
            backend: detector.backend().name().to_owned(),
            threads: detector.threads(),
            decoding: detector.decoding().to_string(),
            pruning,
            landmarks,
            spacing: spacing.cloned(),
        }
    }

    /// The library's options that repeat the run.
    pub fn for_library(&self) -> anyhow::Result<Options> {
        let options = Options::default()
            .with_backend(self.backend.parse()?)
            .with_threads(self.threads)
            .with_decoding(self.decoding.parse()?)
            .with_pruning(self.pruning);
        Ok(match &self.landmarks {
            Some(numbers) => options.with_landmarks(numbers.iter().copied()),
            None => options,
        })
    }
}

impl Audit {
    /// The record of a run that ends now.
    pub fn new<'a>(
        detector: &Detector,
        bundle: &Path,
        signer: Option<&Signer>,
        options: AuditedOptions,
        started: DateTime<Local>,
        given: usize,
        reports: impl Iterator<Item = &'a FilmReport>,
    ) -> anyhow::Result<Self> {
        let time = |time: DateTime<Local>| time.to_rfc3339_opts(SecondsFormat::Millis, false);
        let film = |report: &FilmReport| {
            Ok(Some(match report {
                FilmReport::Done { file, detections, .. } => {
                    AuditedFilm { file: file.clone(), outcome: Outcome::of(detections)? }
                }
                FilmReport::Failed { file, error, .. } => {
                    AuditedFilm { file: file.clone(), outcome: Outcome::Failed { error: error.clone() } }
                }
                _ => return Ok(None),
            }))
        };
        Ok(Self {
            audit: FORMAT.to_owned(),
            program: PROGRAM.to_owned(),
            machine: machine(),
            backend_version: detector.backend().about(),
            bundle: AuditedBundle {
                path: bundle.display().to_string(),
                name: detector.bundle().name.clone(),
                sha256: detector.bundle().sha256.clone(),
                signer: signer.map(ToString::to_string),
            },
            options,
            started: time(started),
            ended: time(Local::now()),
            given,
            films: reports.filter_map(|report| film(report).transpose()).collect::<anyhow::Result<_>>()?,
        })
    }

    /// Writes the record, completely or not at all.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        console::write_json(path, self)
    }

    /// Reads a record.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let reading = || format!("reading the audit record {}", path.display());
        let text = read_at_most(path, MOST_BYTES).with_context(reading)?;
        let audit: Self = serde_json::from_slice(&text).with_context(reading)?;
        if audit.audit != FORMAT {
            bail!("{} is of the format {}, and this program reads {FORMAT}", path.display(), audit.audit);
        }
        Ok(audit)
    }
}

/// Operating system and kind of processor of this machine.
pub fn machine() -> String {
    format!("{OS} {ARCH}")
}
