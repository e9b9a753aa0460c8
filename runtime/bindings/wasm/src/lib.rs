//! Onemark in a browser, by WebAssembly: tract on one thread; no data are sent anywhere. `Detector` is for your own pages,
//! `Viewer` replaces the server of `onemark view`'s page. `cargo xtask wasm` builds both, with the page.
#![cfg(target_family = "wasm")]

use std::path::Path;

use onemark_film::{Film, Spacing};
use onemark_models::bundle::Bundle;
use onemark_results::json::{Document, FilmReport};
use onemark_runtime::{Chain, Options};
use onemark_viewer::{Answers as _, Desk, FilmSource};
use wasm_bindgen::prelude::*;

/// An opened bundle.
#[wasm_bindgen]
pub struct Detector(onemark_runtime::Detector);

#[wasm_bindgen]
impl Detector {
    /// Opens a bundle from the bytes of its zip; `name` appears in messages. Throws an `Error` if the bundle is refused.
    #[wasm_bindgen(constructor)]
    pub fn new(name: &str, bundle: &[u8]) -> Result<Self, JsError> {
        onemark_runtime::Detector::new(&open(name, bundle)?, Options::default()).map(Self).map_err(thrown)
    }

    /// Finds landmarks on the bytes of a film's file. `spacing` is mm per pixel, or `x,y`, and replaces the file's; empty keeps
    /// that. Returns the JSON that `docs/detections.schema.json` describes. Throws an `Error` if the film can't be read.
    pub fn detect(&self, name: &str, film: &[u8], spacing: &str) -> Result<String, JsError> {
        let film = Film::from_bytes(film, Path::new(name)).map_err(thrown)?;
        let film = film.with_stated(None, read_spacing(spacing)?.as_ref());
        let start = chrono::Utc::now();
        let detections = self.0.detect(&film).map_err(thrown)?;
        let seconds = (chrono::Utc::now() - start).as_seconds_f64().max(0.0);
        let warnings = film.warnings().iter().map(ToString::to_string).collect();
        let report = FilmReport::done(name, seconds, warnings, detections);
        Ok(serde_json::to_string(&Document::new(vec![report]))?)
    }
}

/// The state of the viewer's page, and its requests.
#[wasm_bindgen]
pub struct Viewer(Desk);

#[wasm_bindgen]
impl Viewer {
    /// As [`Detector::new`].
    #[wasm_bindgen(constructor)]
    pub fn new(name: &str, bundle: &[u8]) -> Result<Self, JsError> {
        Desk::new(open(name, bundle)?, Options::default(), None).map(Self).map_err(thrown)
    }

    /// Adds the bytes of a film's file; for `spacing`, see [`Detector::detect`].
    pub fn put(&mut self, name: String, bytes: Vec<u8>, spacing: &str) -> Result<(), JsError> {
        self.0.put(FilmSource::Bytes { name, bytes }, read_spacing(spacing)?);
        Ok(())
    }

    /// Answers a request of the page.
    pub fn answer(&self, method: &str, path: &str, body: &str) -> Answer {
        Answer(self.0.answer(method, path, body.as_bytes()))
    }
}

/// A response, with HTTP's status and headers.
#[wasm_bindgen]
pub struct Answer(onemark_viewer::Answer);

#[wasm_bindgen]
impl Answer {
    /// The HTTP status.
    #[wasm_bindgen(getter)]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The body's media type.
    #[wasm_bindgen(getter)]
    pub fn kind(&self) -> String {
        self.0.kind.to_owned()
    }

    /// The file name under which to save the body, if it is a file.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> Option<String> {
        self.0.name.clone()
    }

    /// The body.
    #[wasm_bindgen(getter)]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.bytes.clone()
    }
}

fn open(name: &str, bundle: &[u8]) -> Result<Bundle, JsError> {
    Bundle::from_bytes(bundle, name).map_err(thrown)
}

/// An error with its causes, as JavaScript throws it.
fn thrown(error: impl std::error::Error + 'static) -> JsError {
    JsError::new(&Chain(&error).to_string())
}

fn read_spacing(text: &str) -> Result<Option<Spacing>, JsError> {
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { Spacing::parse(text, "the page").map(Some).map_err(thrown) }
}
