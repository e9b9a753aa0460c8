//! Looks for errors in a dataset, before it is used for training or evaluation.
//!
//! This module defines the findings and checks single films. `repeats` finds films that occur twice, `label_errors` finds landmarks
//! far from their expected places, and `readers` finds disagreement between readers.

mod label_errors;
mod readers;
mod repeats;

use std::error::Error;
use std::iter;

use serde::Serialize;

use crate::dataset::{Case, Complaint, Dataset};
use onemark_film::{Film, FilmError, Size};
use onemark_models::parallel::in_parallel;

pub use label_errors::FAR;
pub use readers::Disagreement;
pub use repeats::{Fingerprint, SAME_FILM, patients};

/// The possible sides of films in mm, from the smallest dental film to the longest whole-body film. If a spacing leads to other sides,
/// it is probably wrong by a factor of ten, or given in another unit.
const FILM_MM: [f64; 2] = [20.0, 2000.0];

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
    /// An implausible spacing.
    OddSpacing,
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
    /// Checks that could not be made, and why.
    pub left_out: Vec<String>,
}

/// The facts about a readable film that the checks need.
struct FilmFacts {
    size: Size,
    fingerprint: Fingerprint,
}

impl FilmFacts {
    fn of(case: &Case) -> Result<Self, FilmError> {
        let film = Film::open(&case.film)?;
        Ok(Self { size: film.size(), fingerprint: Fingerprint::of(&film)? })
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
            findings.extend(other_size(case, *size));
            findings.extend(odd_spacing(case, *size));
        }
        findings.extend(repeats::findings(&films));
        let mut left_out = Vec::new();
        match label_errors::findings(&films) {
            Ok((found, incomplete)) => {
                findings.extend(found);
                left_out.extend(incomplete);
            }
            Err(why) => left_out.push(why),
        }
        let readers = readers::disagreements(&data.cases);
        findings.extend(readers::findings(&data.cases, &readers));
        findings.extend(missing(data, complaints));
        findings.sort_by_key(|finding| (finding.severity, finding.kind));
        let annotated = data.cases.iter().filter(|case| case.points.is_some()).count();
        Self { films: data.cases.len(), annotated, findings, readers, left_out }
    }

    /// The number of findings of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Findings about films without annotation, landmarks or spacing, except films that already have a finding from the survey.
fn missing(data: &Dataset, complaints: &[Complaint]) -> Vec<Finding> {
    let refused = |case: &&Case| complaints.iter().any(|complaint| complaint.film.as_ref() == Some(&case.id));
    let without = |lacks: fn(&Case) -> bool| -> Vec<&str> {
        let cases = data.cases.iter().filter(|case| lacks(case) && !refused(case));
        cases.map(|case| case.id.as_str()).collect()
    };
    let annotated = data.cases.iter().filter(|case| case.points.is_some()).count();
    let mut findings = Vec::new();
    let bare = without(|case| case.points.is_none());
    if annotated > 0 && !bare.is_empty() {
        let message =
            format!("no annotation, while {annotated} others have one; this is correct if only templates need one");
        findings.push(Finding::new(Kind::NotAnnotated, &bare, &[], message));
    }
    let landmarks = data.cases.iter().filter_map(|case| case.points.as_ref()).map(Vec::len).max();
    for index in 0..landmarks.unwrap_or_default() {
        let lacks =
            |case: &&Case| case.points.as_ref().is_some_and(|points| points.get(index).is_none_or(Option::is_none));
        let films: Vec<&str> = data.cases.iter().filter(lacks).map(|case| case.id.as_str()).collect();
        if !films.is_empty() {
            let message = format!("not annotated on {} of {annotated} annotated films", films.len());
            findings.push(Finding::new(Kind::MissingLandmark, &films, &[index + 1], message));
        }
    }
    let unknown = without(|case| case.spacing.is_none());
    if !unknown.is_empty() {
        let message = "no pixel spacing, so no millimetres; add the film to spacing.csv".to_owned();
        findings.push(Finding::new(Kind::NoSpacing, &unknown, &[], message));
    }
    findings
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
        let (landmarks, places): (Vec<usize>, Vec<String>) =
            out.map(|(number, point)| (number, format!("{number} at x {}, y {}", point.x, point.y))).unzip();
        let message = format!("{} of {size} px: {}", by(reader), places.join("; "));
        (!landmarks.is_empty()).then(|| Finding::new(Kind::OutsideFilm, &[&case.id], &landmarks, message))
    })
}

/// A finding if the points were placed on a film of another size than this.
fn other_size(case: &Case, size: Size) -> Option<Finding> {
    let stated = case.points_size.filter(|stated| *stated != size)?;
    let message = format!("the film has {size} px, its points were placed on a film of {stated} px");
    Some(Finding::new(Kind::OtherSize, &[&case.id], &[], message))
}

/// A finding if the spacing leads to a side outside [`FILM_MM`], for a film of this size.
fn odd_spacing(case: &Case, size: Size) -> Option<Finding> {
    let spacing = case.spacing.as_ref()?;
    let (x, y) = (spacing.x(), spacing.y());
    let sides = [f64::from(size.width) * x, f64::from(size.height) * y];
    let [least, most] = FILM_MM;
    let odd = sides.iter().any(|mm| !(least..=most).contains(mm));
    let [wide, high] = sides;
    let message = format!(
        "{x} x {y} mm per px would make the film {wide:.1} x {high:.1} mm; radiographs have sides of {least} to {most} mm"
    );
    odd.then(|| Finding::new(Kind::OddSpacing, &[&case.id], &[], message))
}

/// An error and its causes, joined by ": ".
fn chain(error: &(dyn Error + 'static)) -> String {
    iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The annotation that a message concerns.
fn by(reader: &str) -> String {
    if reader.is_empty() { "annotation".to_owned() } else { format!("{reader}'s annotation") }
}
