//! A response to a request of a page, and the trait of what answers requests.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};
use onemark_film::Film;
use onemark_results::json::to_text;
use onemark_runtime::Chain;
use serde::Serialize;

use crate::ViewerError;

const TEXT: &str = "text/plain; charset=utf-8";

/// A response, with HTTP's status and headers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 200; 400, 409 or 500, with the error in the body; or 404.
    pub status: u16,
    /// The body's media type.
    pub kind: &'static str,
    /// The file name under which a browser should save the body, if it is a file: visible ASCII characters.
    pub name: Option<String>,
    /// The body.
    pub bytes: Vec<u8>,
}

/// The state behind a page, which answers the page's requests.
pub trait Answers: Send + Sync {
    /// The HTML of the page.
    #[cfg(feature = "server")]
    fn page(&self) -> &'static str;

    /// Answers a request of the page: an HTTP method, the parts of a path, and a body.
    ///
    /// # Errors
    /// The request can't be answered.
    fn try_answer(&self, method: &str, path: &[&str], body: &[u8]) -> Result<Answer, ViewerError>;

    /// Answers a request of the page, also one that can't be: an HTTP method, a path without its leading slash, and a body.
    fn answer(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let path: Vec<&str> = path.split('/').collect();
        self.try_answer(method, &path, body)
            .unwrap_or_else(|error| Answer::words(error.status(), Chain(&error).to_string()))
    }
}

impl Answer {
    /// A text response.
    pub fn words(status: u16, words: impl Into<String>) -> Self {
        Self { status, kind: TEXT, name: None, bytes: words.into().into_bytes() }
    }

    /// The response to a request of something that does not exist.
    pub(super) fn nothing() -> Self {
        Self::words(404, "there is nothing here")
    }

    pub(super) fn document(value: &impl Serialize) -> Result<Self, ViewerError> {
        Ok(Self { status: 200, kind: "application/json", name: None, bytes: to_text(value, false)?.into_bytes() })
    }

    /// A film's pixels, with fast compression, because they stay on this machine.
    pub(super) fn png(film: &Film) -> Result<Self, ViewerError> {
        let mut bytes = Vec::new();
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Up).write_image(
            film.grey(),
            film.width(),
            film.height(),
            ExtendedColorType::L8,
        )?;
        Ok(Self { status: 200, kind: "image/png", name: None, bytes })
    }
}

/// Reads a number in a path.
pub(super) fn number(text: &str) -> Result<usize, ViewerError> {
    text.parse().map_err(|source| ViewerError::NotANumber { text: text.to_owned(), source })
}
