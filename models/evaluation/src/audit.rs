//! What is wrong with a dataset, before anyone trains or evaluates on it.
//!
//! Here are the findings and what a single film tells; films that are there twice are in `repeats`, landmarks that are not
//! where the others expect them in `label_errors`, readers who disagree in `readers`.

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
pub use repeats::{Print, SAME_FILM, patients};

/// The sides of films in mm, from the smallest dental film to the longest picture of a whole body. A spacing that puts a
/// film outside of this is a factor of ten off, or given in other units.
const FILM_MM: [f64; 2] = [20.0, 2000.0];

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something is wrong, and training or evaluation would fail or take it for true.
    Error,
    /// Something to look at and to know of.
    Warning,
}

/// What can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An annotation or spacing that [`Dataset::open`] refuses: missing, incomplete or at odds with the rest.
    Refused,
    /// A film that can't be read.
    UnreadableFilm,
    /// A landmark that does not lie on its film.
    OutsideFilm,
    /// Landmarks that bear each other's numbers.
    SwappedLandmarks,
    /// Landmarks whose x and y are exchanged.
    SwappedAxes,
    /// A film that is there twice.
    RepeatedFilm,
    /// A landmark that lies far from where the others expect it.
    FarLandmark,
    /// Two doctors who disagree by far more than they usually do about that landmark.
    DoctorsDisagree,
    /// Films without annotation where others have one.
    NotAnnotated,
    /// Films whose spacing nobody says.
    NoSpacing,
    /// A spacing that makes no sense.
    OddSpacing,
}

impl Kind {
    /// The kind in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::UnreadableFilm => "unreadable film",
            Self::OutsideFilm => "outside film",
            Self::SwappedLandmarks => "swapped landmarks",
            Self::SwappedAxes => "swapped axes",
            Self::RepeatedFilm => "repeated film",
            Self::FarLandmark => "far landmark",
            Self::DoctorsDisagree => "doctors disagree",
            Self::NotAnnotated => "not annotated",
            Self::NoSpacing => "no spacing",
            Self::OddSpacing => "odd spacing",
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        use Kind::{OutsideFilm, Refused, SwappedAxes, SwappedLandmarks, UnreadableFilm};
        match self {
            Refused | UnreadableFilm | OutsideFilm | SwappedLandmarks | SwappedAxes => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// The ids of the films it is about; none where it is about the dataset.
    pub films: Vec<String>,
    /// The numbers of the landmarks it is about, from 1; none where it is about whole films.
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

/// What a check came to. Serialises as `onemark data check --json` writes it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many films there are.
    pub films: usize,
    /// How many of them are annotated.
    pub annotated: usize,
    /// What was found, errors first.
    pub findings: Vec<Finding>,
    /// How far the doctors are apart, per landmark; empty where no film has two doctors and a spacing.
    pub doctors: Vec<Disagreement>,
    /// What could not be checked, and why.
    pub left_out: Vec<String>,
}

impl Report {
    /// How many findings are as bad as that.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// What a check remembers of a film that could be read.
struct Look {
    size: Size,
    print: Print,
}

impl Look {
    fn at(case: &Case) -> Result<Self, FilmError> {
        let film = Film::open(&case.film)?;
        Ok(Self { size: film.size(), print: Print::of(&film)? })
    }
}

/// Checks a dataset and what was complained about when it was [surveyed](Dataset::survey). Reads all films, on `threads`
/// threads, and calls `seen` after each; what is wrong with one does not end it.
pub fn check(data: &Dataset, complaints: &[Complaint], threads: usize, seen: &(dyn Fn() + Sync)) -> Report {
    let looks = in_parallel(threads, &data.cases, |case| {
        let look = Look::at(case);
        seen();
        look
    });
    let mut findings: Vec<Finding> = complaints.iter().map(refused).collect();
    let mut films: Vec<(&Case, Look)> = Vec::new();
    for (case, look) in data.cases.iter().zip(looks) {
        match look {
            Ok(look) => films.push((case, look)),
            Err(error) => findings.push(Finding::new(Kind::UnreadableFilm, &[&case.id], &[], with_causes(&error))),
        }
    }
    for (case, Look { size, .. }) in &films {
        findings.extend(outside(case, *size));
        findings.extend(odd_spacing(case, *size));
    }
    findings.extend(repeats::findings(&films));
    let mut left_out = Vec::new();
    match label_errors::findings(&films) {
        Ok(found) => findings.extend(found),
        Err(why) => left_out.push(why),
    }
    let doctors = readers::disagreements(&data.cases);
    findings.extend(readers::findings(&data.cases, &doctors));

    let annotated = data.cases.iter().filter(|case| case.points.is_some()).count();
    let refused = |case: &&Case| complaints.iter().any(|complaint| complaint.film.as_ref() == Some(&case.id));
    let without = |lacks: fn(&Case) -> bool| -> Vec<&str> {
        let cases = data.cases.iter().filter(|case| lacks(case) && !refused(case));
        cases.map(|case| case.id.as_str()).collect()
    };
    let bare = without(|case| case.points.is_none());
    if annotated > 0 && !bare.is_empty() {
        let message = format!("no annotation, where {annotated} others have one; right if only templates need one");
        findings.push(Finding::new(Kind::NotAnnotated, &bare, &[], message));
    }
    let unknown = without(|case| case.spacing.is_none());
    if !unknown.is_empty() {
        let message = "nobody says how large a pixel is, so there are no mm; add it to spacing.csv".to_owned();
        findings.push(Finding::new(Kind::NoSpacing, &unknown, &[], message));
    }
    findings.sort_by_key(|finding| (finding.severity, finding.kind));
    Report { films: data.cases.len(), annotated, findings, doctors, left_out }
}

/// An error and its causes, in one line.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn refused(complaint: &Complaint) -> Finding {
    let films: Vec<&str> = complaint.film.iter().map(String::as_str).collect();
    Finding::new(Kind::Refused, &films, &[], complaint.error.to_string())
}

/// A finding per reading with landmarks outside a film of this size.
fn outside(case: &Case, size: Size) -> impl Iterator<Item = Finding> {
    case.readings().into_iter().filter_map(move |(reader, points)| {
        let out = (1..).zip(points).filter(|(_, point)| !point.is_inside(size));
        let (landmarks, places): (Vec<usize>, Vec<String>) =
            out.map(|(number, point)| (number, format!("{number} at x {}, y {}", point.x, point.y))).unzip();
        let message = format!("{} of {size} px: {}", by(reader), places.join("; "));
        (!landmarks.is_empty()).then(|| Finding::new(Kind::OutsideFilm, &[&case.id], &landmarks, message))
    })
}

/// A finding where the spacing gives a film of this size a side outside of [`FILM_MM`].
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

/// Whose points a message is about.
fn by(reader: &str) -> String {
    if reader.is_empty() { "annotation".to_owned() } else { format!("{reader}'s annotation") }
}
