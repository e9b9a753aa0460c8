//! Routes of the viewer: a method, a path and a body to a response. State is in `desk`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use onemark_film::Spacing;
use onemark_film::geometry::Point;
use onemark_models::landmarks::{Landmark, Measurement};
use onemark_results::remark;
use onemark_runtime::{BundleId, Detection, Detector, FilmSize};
use serde::{Deserialize, Serialize};

use crate::answer::number;
use crate::desk::LookedAt;
use crate::{Answer, Answers, Desk, ViewerError};

/// The body of `GET desk`.
#[derive(Serialize)]
struct DeskAnswer<'a> {
    bundle: &'a BundleId,
    backend: &'static str,
    landmarks: &'a [Landmark],
    films: Vec<String>,
    formats: Vec<FormatAnswer>,
    /// The references of the measurements' sources.
    sources: &'a BTreeMap<String, String>,
    /// The file in which corrections are kept as they are made; null if they end with the page.
    kept_in: Option<PathBuf>,
    /// Whether the page may adapt the bundle.
    #[serde(rename = "learns")]
    can_adapt: bool,
}

/// A format in which results can be saved.
#[derive(Serialize)]
struct FormatAnswer {
    name: &'static str,
    /// The ending of the files' names.
    title: &'static str,
}

/// The body of `GET films/N`: our JSON of a film, with texts for people.
#[derive(Serialize)]
struct FilmAnswer<'a> {
    file: &'a str,
    seconds: f64,
    warnings: &'a [String],
    bundle: &'a BundleId,
    backend: &'a str,
    film: FilmSize,
    spacing: Option<&'a Spacing>,
    /// Whether the spacing is that of a ruler.
    ruled: bool,
    calibration: Option<&'a str>,
    #[serde(rename = "unusual")]
    out_of_distribution: Option<bool>,
    landmarks: Vec<LandmarkAnswer<'a>>,
    measurements: &'a [Measurement],
    measured: Vec<Measured>,
    cautions: Vec<String>,
}

#[derive(Serialize)]
struct LandmarkAnswer<'a> {
    #[serde(flatten)]
    landmark: &'a Detection,
    remark: String,
}

/// A measurement as text.
#[derive(Serialize)]
struct Measured {
    title: String,
    value: Option<String>,
    judgement: String,
}

/// The body of `PUT films/N/landmarks/N`: a position, and the one that the page shows. Without the latter, nothing is compared.
#[derive(Deserialize)]
struct Move {
    #[serde(flatten)]
    position: Point,
    was: Option<Point>,
}

/// The body of `DELETE films/N/landmarks/N`: the position that the page shows, or nothing.
#[derive(Deserialize)]
struct Restore {
    was: Option<Point>,
}

/// The body of `POST films/N/landmarks/N/trial`: the measurements as they would be, and nothing is changed.
#[derive(Serialize)]
struct TrialAnswer<'a> {
    measurements: &'a [Measurement],
    measured: Vec<Measured>,
}

/// The body of `PUT films/N/ruler`: a line on the film, and its length in mm.
#[derive(Deserialize)]
struct Ruler {
    from: Point,
    to: Point,
    mm: f64,
}

/// The body of `POST films/N/learn`: the outcome in a sentence, and the desk with the new bundle.
#[derive(Serialize)]
struct AdaptAnswer<'a> {
    told: String,
    desk: DeskAnswer<'a>,
}

impl<'a> DeskAnswer<'a> {
    fn of(desk: &Desk, detector: &'a Detector) -> Self {
        Self {
            bundle: detector.bundle(),
            backend: detector.backend().name(),
            landmarks: &detector.landmark_set().landmarks,
            films: desk.names().collect(),
            sources: &detector.landmark_set().analysis.sources,
            kept_in: desk.kept_in(),
            formats: Desk::formats().map(|(name, title)| FormatAnswer { name, title }).collect(),
            can_adapt: desk.can_adapt(),
        }
    }
}

impl From<&Measurement> for Measured {
    fn from(one: &Measurement) -> Self {
        Self {
            title: format!("{}: {}", one.name, one.title),
            value: one.value.map(|_| one.text()),
            judgement: one.judgement(),
        }
    }
}

fn as_text(measurements: &[Measurement]) -> Vec<Measured> {
    measurements.iter().map(Measured::from).collect()
}

impl Answers for Desk {
    #[cfg(feature = "server")]
    fn page(&self) -> &'static str {
        include_str!("../page/index.html")
    }

    fn try_answer(&self, method: &str, path: &[&str], body: &[u8]) -> Result<Answer, ViewerError> {
        Ok(match (method, path) {
            ("GET", ["desk"]) => self.about()?,
            ("GET", ["films", film]) => self.shown(film)?,
            ("GET", ["films", film, "image"]) => Answer::png(&self.film(number(film)?)?)?,
            ("GET", ["films", film, "results", format]) => {
                let saved = self.save(number(film)?, format)?;
                // The name goes into a header, so characters that could end the header are replaced.
                let plain = |c: char| if c.is_ascii_graphic() && !"\"\\;".contains(c) { c } else { '_' };
                let name = Some(saved.name.chars().map(plain).collect());
                Answer { status: 200, kind: "application/octet-stream", name, bytes: saved.bytes }
            }
            ("PUT", ["films", film, "landmarks", landmark]) => {
                let Move { position, was } =
                    serde_json::from_slice(body).map_err(|source| ViewerError::Position { source })?;
                self.correct(number(film)?, number(landmark)?, Some(position), was)?;
                self.shown(film)?
            }
            ("DELETE", ["films", film, "landmarks", landmark]) => {
                let body = if body.is_empty() { b"{}" } else { body };
                let Restore { was } =
                    serde_json::from_slice(body).map_err(|source| ViewerError::Position { source })?;
                self.correct(number(film)?, number(landmark)?, None, was)?;
                self.shown(film)?
            }
            ("POST", ["films", film, "landmarks", landmark, "trial"]) => {
                let position = serde_json::from_slice(body).map_err(|source| ViewerError::Position { source })?;
                let measurements = self.try_at(number(film)?, number(landmark)?, position)?;
                Answer::document(&TrialAnswer { measured: as_text(&measurements), measurements: &measurements })?
            }
            ("PUT", ["films", film, "ruler"]) => {
                let Ruler { from, to, mm } =
                    serde_json::from_slice(body).map_err(|source| ViewerError::Ruler { source })?;
                self.rule(number(film)?, Some(Spacing::from_ruler(from, to, mm)?))?;
                self.shown(film)?
            }
            ("DELETE", ["films", film, "ruler"]) => {
                self.rule(number(film)?, None)?;
                self.shown(film)?
            }
            ("POST", ["films", film, "learn"]) => {
                let told = self.adapt(number(film)?)?;
                Answer::document(&AdaptAnswer { told, desk: DeskAnswer::of(self, &self.detector()) })?
            }
            _ => Answer::nothing(),
        })
    }
}

impl Desk {
    /// Answers `GET desk`: everything that is the same for all films.
    fn about(&self) -> Result<Answer, ViewerError> {
        Answer::document(&DeskAnswer::of(self, &self.detector()))
    }

    /// Answers `GET films/N`: a film's results as in our JSON, with texts for people.
    fn shown(&self, film: &str) -> Result<Answer, ViewerError> {
        let LookedAt { file, seconds, warnings, detections, cautions } = self.look_at(number(film)?)?;
        let landmarks = detections.landmarks().iter();
        let landmarks = landmarks.map(|landmark| LandmarkAnswer { landmark, remark: remark(landmark) }).collect();
        Answer::document(&FilmAnswer {
            file: &file,
            seconds,
            warnings: &warnings,
            bundle: detections.bundle(),
            backend: detections.backend(),
            film: detections.film(),
            spacing: detections.spacing(),
            ruled: detections.spacing().is_some_and(Spacing::is_from_ruler),
            calibration: detections.calibration(),
            out_of_distribution: detections.out_of_distribution(),
            landmarks,
            measurements: detections.measurements(),
            measured: as_text(detections.measurements()),
            cautions,
        })
    }
}
