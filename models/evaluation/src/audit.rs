//! Looks for errors in a dataset, before it is used for training or evaluation.
//!
//! This module defines the findings and checks single films. `repeats` finds films that occur twice, `label_errors` finds landmarks
//! far from their expected places, and `readers` finds disagreement between readers.

mod label_errors;
mod readers;
mod repeats;

use std::collections::BTreeMap;
use std::error::Error;
use std::iter;

use serde::Serialize;

use crate::dataset::{Case, Complaint, Dataset, other_size};
use onemark_film::geometry::Point;
use onemark_film::visible::short;
use onemark_film::{Film, FilmError, FilmWarning, Size, Spacing, SpacingWarning};
use onemark_models::parallel::in_parallel;

pub use label_errors::FAR;
pub use readers::Disagreement;
pub use repeats::{Fingerprint, SAME_FILM, patients};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// An error in the data: training or evaluation would fail or use wrong data.
    Error,
    /// A possible problem, which a person should look at.
    Warning,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An annotation or spacing that [`Dataset::open`] refuses: missing, incomplete or at odds with the rest.
    Refused,
    /// A film that can't be read.
    UnreadableFilm,
    /// A landmark that does not lie on its film.
    OutsideFilm,
    /// A film of another size than that on which its points were placed.
    OtherSize,
    /// Two landmarks with exchanged numbers.
    SwappedLandmarks,
    /// Landmarks whose x and y are exchanged.
    SwappedAxes,
    /// A film that occurs twice.
    RepeatedFilm,
    /// A landmark far from where the other landmarks of the film expect it.
    FarLandmark,
    /// A landmark about which two readers disagree much more than usual.
    #[serde(rename = "doctors-disagree")]
    ReadersDisagree,
    /// Films without annotation in a dataset with annotated films.
    NotAnnotated,
    /// A landmark that is not annotated on films that are annotated.
    MissingLandmark,
    /// Films without a stated spacing.
    NoSpacing,
    /// A spacing that can't be right, that somebody else contradicts, or that does not apply in the patient.
    OddSpacing,
    /// Something else that a person should know about how films were read.
    FilmWarning,
}

impl Kind {
    /// The kind in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::UnreadableFilm => "unreadable film",
            Self::OutsideFilm => "outside film",
            Self::OtherSize => "other size",
            Self::SwappedLandmarks => "swapped landmarks",
            Self::SwappedAxes => "swapped axes",
            Self::RepeatedFilm => "repeated film",
            Self::FarLandmark => "far landmark",
            Self::ReadersDisagree => "readers disagree",
            Self::NotAnnotated => "not annotated",
            Self::MissingLandmark => "missing landmark",
            Self::NoSpacing => "no spacing",
            Self::OddSpacing => "odd spacing",
            Self::FilmWarning => "film warning",
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        use Kind::{OtherSize, OutsideFilm, Refused, SwappedAxes, SwappedLandmarks, UnreadableFilm};
        match self {
            Refused | UnreadableFilm | OutsideFilm | OtherSize | SwappedLandmarks | SwappedAxes => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// The ids of the films it concerns; empty if it concerns the dataset.
    pub films: Vec<String>,
    /// The numbers of the landmarks it concerns, from 1; empty if it concerns whole films.
    pub landmarks: Vec<usize>,
    /// What is wrong, in words.
    pub message: String,
}

impl Finding {
    fn new(kind: Kind, films: &[&str], landmarks: &[usize], message: String) -> Self {
        let films = films.iter().map(|id| (*id).to_owned()).collect();
        Self { kind, severity: kind.severity(), films, landmarks: landmarks.to_vec(), message }
    }
}

/// The result of an audit. Its JSON is the output of `onemark data check --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The number of films.
    pub films: usize,
    /// The number of annotated films.
    pub annotated: usize,
    /// The findings, errors first.
    pub findings: Vec<Finding>,
    /// The distances between the readers' points, per landmark; empty if no film has two readers and a spacing.
    #[serde(rename = "doctors")]
    pub readers: Vec<Disagreement>,
    /// The spacings by which films have mm, in words, and the number of films of each.
    pub spacings: BTreeMap<String, usize>,
    /// Checks that could not be made, and why.
    pub left_out: Vec<String>,
}

/// The facts about a readable film that the checks need.
struct FilmFacts {
    size: Size,
    spacing: Option<Spacing>,
    warnings: Vec<FilmWarning>,
    fingerprint: Fingerprint,
}

impl FilmFacts {
    fn of(case: &Case) -> Result<Self, FilmError> {
        let film = case.with_spacing(Film::open(&case.film)?, None);
        Ok(Self {
            size: film.size(),
            spacing: film.spacing().cloned(),
            warnings: film.warnings().to_vec(),
            fingerprint: Fingerprint::of(&film)?,
        })
    }
}

impl Audit {
    /// Audits a dataset. `complaints` are the errors of its [survey](Dataset::survey). All films are read on `threads` threads, and
    /// `seen` is called after each. An error in one film does not end the audit.
    ///
    /// ```no_run
    /// use onemark_evaluation::{audit::{Audit, Severity}, dataset::Dataset};
    ///
    /// // no_run: the example needs a folder of films.
    /// let (data, complaints) = Dataset::survey("isbi2015")?;
    /// let audit = Audit::of(&data, &complaints, 4, &|| ());
    /// for finding in audit.findings.iter().filter(|finding| finding.severity == Severity::Error) {
    ///     println!("{}: {}", finding.films.join(", "), finding.message);
    /// }
    /// # Ok::<(), onemark_evaluation::dataset::DatasetError>(())
    /// ```
    pub fn of(data: &Dataset, complaints: &[Complaint], threads: usize, seen: &(dyn Fn() + Sync)) -> Self {
        let facts = in_parallel(threads, &data.cases, |case| {
            let facts = FilmFacts::of(case);
            seen();
            facts
        });
        let mut findings: Vec<Finding> = complaints.iter().map(refused).collect();
        let mut films: Vec<(&Case, FilmFacts)> = Vec::new();
        for (case, facts) in data.cases.iter().zip(facts) {
            match facts {
                Ok(facts) => films.push((case, facts)),
                Err(error) => findings.push(Finding::new(Kind::UnreadableFilm, &[&case.id], &[], chain(&error))),
            }
        }
        for (case, FilmFacts { size, .. }) in &films {
            findings.extend(outside(case, *size));
            findings.extend(points_of_other_size(case, *size));
        }
        findings.extend(warned(&films, complaints));
        findings.extend(repeats::findings(&films));
        let mut left_out = Vec::new();
        match label_errors::findings(&films) {
            Ok((found, incomplete)) => {
                findings.extend(found);
                left_out.extend(incomplete);
            }
            Err(why) => left_out.push(why),
        }
        let readers = readers::disagreements(&films);
        findings.extend(readers::findings(&data.cases, &readers));
        findings.extend(missing(data, complaints));
        findings.extend(missing_landmarks(data));
        findings.sort_by_key(|finding| (finding.severity, finding.kind));
        let annotated = data.cases.iter().filter(|case| case.points.is_some()).count();
        let mut spacings = BTreeMap::new();
        for spacing in films.iter().filter_map(|(_, facts)| facts.spacing.as_ref()) {
            *spacings.entry(spacing.to_string()).or_default() += 1;
        }
        Self { films: data.cases.len(), annotated, findings, readers, spacings, left_out }
    }

    /// The number of findings of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Whether the survey has found an error about this film already.
fn is_refused(case: &Case, complaints: &[Complaint]) -> bool {
    complaints.iter().any(|complaint| complaint.film.as_ref() == Some(&case.id))
}

/// A finding about films without annotation, except films that already have a finding from the survey.
fn missing(data: &Dataset, complaints: &[Complaint]) -> Option<Finding> {
    let annotated = data.cases.iter().filter(|case| case.points.is_some()).count();
    let bare = data.cases.iter().filter(|case| case.points.is_none() && !is_refused(case, complaints));
    let bare: Vec<&str> = bare.map(|case| case.id.as_str()).collect();
    let message =
        format!("no annotation, while others ({annotated}) have one; this is correct if only templates need one");
    (annotated > 0 && !bare.is_empty()).then(|| Finding::new(Kind::NotAnnotated, &bare, &[], message))
}

/// A finding for each landmark that is not annotated on all annotated films.
fn missing_landmarks(data: &Dataset) -> Vec<Finding> {
    let annotated = || data.cases.iter().filter_map(|case| Some((case.id.as_str(), case.points.as_ref()?)));
    let of = |index: usize| {
        let lacks = |points: &[Option<Point>]| points.get(index).is_none_or(Option::is_none);
        let films: Vec<&str> = annotated().filter(|(_, points)| lacks(points)).map(|(id, _)| id).collect();
        let message = format!("not annotated on {} of {} annotated films", films.len(), annotated().count());
        (!films.is_empty()).then(|| Finding::new(Kind::MissingLandmark, &films, &[index + 1], message))
    };
    let landmarks = annotated().map(|(_, points)| points.len()).max().unwrap_or_default();
    (0..landmarks).filter_map(of).collect()
}

/// What reading the films has shown: no spacing, odd ones, and everything else. One finding for all films of which the same is said.
fn warned(films: &[(&Case, FilmFacts)], complaints: &[Complaint]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut places: BTreeMap<(Kind, String), usize> = BTreeMap::new();
    for (case, facts) in films {
        let mut said: Vec<(Kind, String)> = Vec::new();
        if facts.spacing.is_none() && !is_refused(case, complaints) {
            said.push((Kind::NoSpacing, no_spacing(case, facts.size)));
        }
        said.extend(facts.warnings.iter().filter_map(|warning| match warning {
            FilmWarning::Spacing(SpacingWarning::NoSpacing) => None,
            FilmWarning::Spacing(warning) => Some((Kind::OddSpacing, warning.to_string())),
            warning => Some((Kind::FilmWarning, warning.to_string())),
        }));
        for (kind, message) in said {
            let place = *places.entry((kind, message.clone())).or_insert(findings.len());
            match findings.get_mut(place) {
                Some(finding) => finding.films.push(case.id.clone()),
                None => findings.push(Finding::new(kind, &[&case.id], &[], message)),
            }
        }
    }
    findings
}

/// Why a film of this size has no spacing, and what to do.
fn no_spacing(case: &Case, size: Size) -> String {
    let only_for = case.spacing.as_ref().and_then(|stated| stated.only_for);
    let why = other_size(size, only_for);
    format!("no pixel spacing, so no millimetres{why}; add the film to spacing.csv")
}

fn refused(complaint: &Complaint) -> Finding {
    let films: Vec<&str> = complaint.film.iter().map(String::as_str).collect();
    Finding::new(Kind::Refused, &films, &[], chain(&complaint.error))
}

/// A finding per reading with landmarks outside a film of this size.
fn outside(case: &Case, size: Size) -> impl Iterator<Item = Finding> {
    case.readings().into_iter().filter_map(move |(reader, points)| {
        let annotated = (1..).zip(points).filter_map(|(number, point)| Some((number, (*point)?)));
        let out = annotated.filter(|(_, point)| !point.is_inside(size));
        let (landmarks, places): (Vec<usize>, Vec<String>) = out
            .map(|(number, point)| (number, format!("{number} at x {}, y {}", short(point.x), short(point.y))))
            .unzip();
        let message = format!("{} of {size} px: {}", by(reader), places.join("; "));
        (!landmarks.is_empty()).then(|| Finding::new(Kind::OutsideFilm, &[&case.id], &landmarks, message))
    })
}

/// A finding if the points were placed on a film of another size than this.
fn points_of_other_size(case: &Case, size: Size) -> Option<Finding> {
    let stated = case.points_size.filter(|stated| *stated != size)?;
    let message = format!("the film has {size} px, its points were placed on a film of {stated} px");
    Some(Finding::new(Kind::OtherSize, &[&case.id], &[], message))
}

/// An error and its causes, joined by ": ".
fn chain(error: &(dyn Error + 'static)) -> String {
    iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The annotation that a message concerns.
fn by(reader: &str) -> String {
    if reader.is_empty() { "annotation".to_owned() } else { format!("{reader}'s annotation") }
}
