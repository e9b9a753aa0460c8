//! Routes of the page for annotation: a method, a path and a body to a response. State is in `annotation`.

use onemark_film::Spacing;
use onemark_models::landmarks::Landmark;
use onemark_runtime::FilmSize;
use serde::{Deserialize, Serialize};

use crate::annotation::{Mark, Shown};
use crate::answer::number;
use crate::{AnnotationDesk, Answer, Answers, ViewerError};

/// The body of `GET desk`.
#[derive(Serialize)]
struct DeskAnswer<'a> {
    set: &'a str,
    landmarks: &'a [Landmark],
    films: Vec<FilmCounts>,
    /// The file that keeps the points.
    kept: String,
    second_reader: Option<&'a str>,
    /// The bundle that proposes points.
    bundle: Option<&'a str>,
}

/// A film and how many of its landmarks are placed and can't be seen.
#[derive(Serialize)]
struct FilmCounts {
    file: String,
    placed: usize,
    not_visible: usize,
}

/// The body of `GET films/N`.
#[derive(Serialize)]
struct FilmAnswer {
    file: String,
    film: FilmSize,
    spacing: Option<Spacing>,
    warnings: Vec<String>,
    /// In the order of the set.
    landmarks: Vec<Shown>,
}

/// The body of `PUT films/N/landmarks/N`: what a person says of a landmark, `null` for nothing, and what the page shows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    now: Option<Mark>,
    was: Option<Mark>,
}

impl Answers for AnnotationDesk {
    #[cfg(feature = "server")]
    fn page(&self) -> &'static str {
        include_str!("../page/annotate.html")
    }

    fn try_answer(&self, method: &str, path: &[&str], body: &[u8]) -> Result<Answer, ViewerError> {
        match (method, path) {
            ("GET", ["desk"]) => self.about(),
            ("GET", ["films", film]) => self.film_answer(number(film)?),
            ("GET", ["films", film, "image"]) => Answer::png(&self.film(number(film)?)?),
            ("GET", ["films", film, "proposals"]) => Answer::document(&*self.proposals(number(film)?)?),
            ("PUT", ["films", film, "landmarks", landmark]) => {
                let Change { now, was } =
                    serde_json::from_slice(body).map_err(|source| ViewerError::Mark { source })?;
                let film = number(film)?;
                self.mark(film, number(landmark)?, now, was)?;
                Answer::document(&self.shown(film)?)
            }
            _ => Ok(Answer::nothing()),
        }
    }
}

impl AnnotationDesk {
    /// Answers `GET desk`: everything that is the same for all films.
    fn about(&self) -> Result<Answer, ViewerError> {
        let counts = |(file, placed, not_visible)| FilmCounts { file, placed, not_visible };
        Answer::document(&DeskAnswer {
            set: &self.set().name,
            landmarks: &self.set().landmarks,
            films: self.counts().into_iter().map(counts).collect(),
            kept: self.path().display().to_string(),
            second_reader: self.second_reader(),
            bundle: self.bundle(),
        })
    }

    /// Answers `GET films/N`: a film and what is said of its landmarks.
    fn film_answer(&self, index: usize) -> Result<Answer, ViewerError> {
        let film = self.film(index)?;
        Answer::document(&FilmAnswer {
            file: self.films()[index].source.name(),
            film: FilmSize { width: film.width(), height: film.height() },
            spacing: film.spacing().cloned(),
            warnings: film.warnings().iter().map(ToString::to_string).collect(),
            landmarks: self.shown(index)?,
        })
    }
}
