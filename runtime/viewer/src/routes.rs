//! What the page asks, and how it is told: paths, JSON and files. What is true is the desk's to know.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};
use onemark_film::geometry::Point;
use serde_json::{Value, json};

use crate::{Desk, ViewerError};
use onemark_results::json::FilmReport;
use onemark_results::remark;
use onemark_runtime::Chain;

const TEXT: &str = "text/plain; charset=utf-8";

/// An answer, in the words of HTTP.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 200, or 400 where the body says what is wrong, or 404.
    pub status: u16,
    /// The body's media type.
    pub kind: &'static str,
    /// What a file with this body should be called, where it is one to keep: letters, digits and marks of ASCII.
    pub name: Option<String>,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// An answer in words.
    pub fn words(status: u16, words: impl Into<String>) -> Self {
        Self { status, kind: TEXT, name: None, bytes: words.into().into_bytes() }
    }

    fn document(value: &Value) -> Self {
        Self { status: 200, kind: "application/json", name: None, bytes: value.to_string().into_bytes() }
    }
}

impl Desk {
    /// Answers a request of the page: an HTTP method, a path without a slash before it, and a body.
    pub fn answer(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.try_answer(method, path, body)
            .unwrap_or_else(|error| Answer::words(error.status(), Chain(&error).to_string()))
    }

    fn try_answer(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer, ViewerError> {
        let path: Vec<&str> = path.split('/').collect();
        Ok(match (method, path.as_slice()) {
            ("GET", ["desk"]) => Answer::document(&self.about()),
            ("GET", ["films", film]) => self.shown(film)?,
            ("GET", ["films", film, "image"]) => self.image(film)?,
            ("GET", ["films", film, "results", format]) => {
                let saved = self.save(number(film)?, format)?;
                // A name goes into a header: what could end it does not.
                let plain = |c: char| if c.is_ascii_graphic() && !"\"\\;".contains(c) { c } else { '_' };
                let name = Some(saved.name.chars().map(plain).collect());
                Answer { status: 200, kind: "application/octet-stream", name, bytes: saved.bytes }
            }
            ("PUT", ["films", film, "landmarks", landmark]) => {
                let position: Point =
                    serde_json::from_slice(body).map_err(|source| ViewerError::Position { source })?;
                self.correct(number(film)?, number(landmark)?, Some(position))?;
                self.shown(film)?
            }
            ("DELETE", ["films", film, "landmarks", landmark]) => {
                self.correct(number(film)?, number(landmark)?, None)?;
                self.shown(film)?
            }
            ("POST", ["films", film, "learn"]) => {
                let told = self.learn(number(film)?)?;
                Answer::document(&json!({ "told": told, "desk": self.about() }))
            }
            _ => Answer::words(404, "there is nothing here"),
        })
    }

    /// What does not change from film to film.
    fn about(&self) -> Value {
        let detector = self.detector();
        json!({
            "bundle": detector.bundle(),
            "backend": detector.backend().name(),
            "landmarks": detector.landmark_set().landmarks,
            "films": self.names().collect::<Vec<_>>(),
            "formats": Self::formats().map(|(name, extension)| json!({ "name": name, "title": extension })).collect::<Vec<_>>(),
            "learns": self.learns(),
        })
    }

    /// A film's results as in our JSON, and beside them what people read.
    fn shown(&self, film: &str) -> Result<Answer, ViewerError> {
        let (report, cautions) = self.report(number(film)?)?;
        let mut value = serde_json::to_value(&report)?;
        if let FilmReport::Done { detections, .. } = &report {
            for (landmark, value) in
                detections.landmarks.iter().zip(value["landmarks"].as_array_mut().into_iter().flatten())
            {
                value["remark"] = remark(landmark).into();
            }
            let measured = detections.measurements.iter().map(|one| {
                let value = one.value.map(|_| one.text());
                json!({ "title": format!("{}: {}", one.name, one.title), "value": value, "judgement": one.judgement() })
            });
            value["measured"] = measured.collect();
        }
        value["cautions"] = cautions.into();
        Ok(Answer::document(&value))
    }

    /// A film's pixels, packed quickly: they do not go far.
    fn image(&self, film: &str) -> Result<Answer, ViewerError> {
        let film = self.film(number(film)?)?;
        let mut bytes = Vec::new();
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Up).write_image(
            film.grey(),
            film.width(),
            film.height(),
            ExtendedColorType::L8,
        )?;
        Ok(Answer { status: 200, kind: "image/png", name: None, bytes })
    }
}

/// A part of a path as the number that it must be.
fn number(text: &str) -> Result<usize, ViewerError> {
    text.parse().map_err(|source| ViewerError::NotANumber { text: text.to_owned(), source })
}
