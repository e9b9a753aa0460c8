//! `onemark replay`: repeats a run from its audit record.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use onemark_film::Film;
use onemark_results::PROGRAM;
use onemark_runtime::Detector;

use super::films;
use crate::audit::{Audit, AuditedFilm, Outcome, machine};
use crate::console;
use crate::trust::TrustOptions;

/// Repeats a run of `onemark detect` from its audit record, and says whether each film has the same result to the last bit
///
/// Films and bundle are read from where the record says; run it in the folder of the first run.
///
/// Exit status: 0 if all results are the same, 1 if one is not or if the run can't be repeated.
#[derive(Args)]
pub struct Replay {
    /// What `onemark detect --audit` wrote
    audit: PathBuf,
    /// The bundle, if it is not where it was; it must be the same one
    #[arg(long, short)]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustOptions,
}

impl Replay {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let audit = Audit::read(&self.audit)?;
        let path = self.bundle.unwrap_or_else(|| audit.bundle.path.clone().into());
        let (bundle, now_signer) = self.trust.open_signed(&path)?;
        let (then, now) = (&audit.bundle.sha256, bundle.digest());
        if *then != now {
            bail!("{} is another bundle: its manifest has SHA-256 {now}, and the run's had {then}", path.display());
        }
        let detector = Detector::new(&bundle, audit.options.for_library()?)?;
        let signer = |signer: Option<String>| signer.unwrap_or_else(|| "not checked".into());
        for (what, then, now) in [
            ("program", &audit.program, PROGRAM),
            ("machine", &audit.machine, &machine()),
            ("backend", &audit.backend_version, &detector.backend().about()),
            ("signature", &signer(audit.bundle.signer.clone()), &signer(now_signer.map(|signer| signer.to_string()))),
        ] {
            if then != now {
                console::note(format_args!("another {what}: {now} instead of {then}"));
            }
        }

        let files: Vec<(PathBuf, String)> =
            audit.films.iter().map(|film| ((&film.file).into(), film.file.clone())).collect();
        let mut same = 0;
        films::read_ahead(&files, |films| {
            for (before, film) in audit.films.iter().zip(films) {
                same += usize::from(tell(before, &outcome(&detector, &audit, &before.file, film)?)?);
            }
            anyhow::Ok(())
        })?;
        console::print(format_args!("{same} of {} films have the same result\n", files.len()))?;
        if audit.given > files.len() {
            console::note(format_args!("the run ended early: it was given {} films", audit.given));
        }
        Ok(if same == files.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What comes of a film now.
fn outcome(detector: &Detector, audit: &Audit, name: &str, film: anyhow::Result<Film>) -> anyhow::Result<Outcome> {
    let found = film.and_then(|film| {
        let film = film.with_stated(None, audit.options.spacing.as_ref());
        films::detect(detector.job(&film), name)
    });
    match found {
        Ok(detections) => Outcome::of(&detections),
        Err(error) => Ok(Outcome::Failed { error: console::explain(&error) }),
    }
}

/// Prints a film's outcome; whether it is the same as before.
fn tell(before: &AuditedFilm, now: &Outcome) -> anyhow::Result<bool> {
    let difference = before.outcome.difference(now);
    let said = difference.as_deref().unwrap_or("the same");
    console::print(format_args!("{}: {said}\n", before.file))?;
    Ok(difference.is_none())
}
