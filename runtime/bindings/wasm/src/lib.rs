//! Onemark within a browser, by WebAssembly: tract on one thread, nothing sent anywhere. [`Detector`] is for pages of one's own,
//! [`Viewer`] what `onemark view`'s page talks to where it has no server. `cargo xtask wasm` builds both, with the page.
#![cfg(target_family = "wasm")]

use std::path::Path;

use onemark_film::{Film, Spacing};
use onemark_models::bundle::Bundle;
use onemark_results::json::{Document, FilmReport};
use onemark_runtime::{Options, RuntimeError};
use onemark_viewer::{Desk, Source};
use wasm_bindgen::prelude::*;

/// An opened bundle.
#[wasm_bindgen]
pub struct Detector(onemark_runtime::Detector);

#[wasm_bindgen]
impl Detector {
    /// Opens the bytes of a bundle's zip; `name` appears in messages. Throws an `Error` that says what is wrong with it.
    #[wasm_bindgen(constructor)]
    pub fn new(name: &str, bundle: &[u8]) -> Result<Self, JsError> {
        Ok(Self(onemark_runtime::Detector::new(&open(name, bundle)?, Options::default())?))
    }

    /// Finds landmarks on the bytes of a film's file. `spacing` is mm per pixel, or `x,y`; empty where the file says it. Gives the
    /// text of `docs/detections.schema.json`; throws an `Error` where the film can't be read.
    pub fn detect(&self, name: &str, film: &[u8], spacing: &str) -> Result<String, JsError> {
        let mut film = Film::from_bytes(film, Path::new(name))?;
        if let Some(spacing) = read_spacing(spacing)? {
            film = film.with_spacing(spacing);
        }
        let start = chrono::Utc::now();
        let detections = Box::new(self.0.detect(&film)?);
        let seconds = (chrono::Utc::now() - start).as_seconds_f64().max(0.0);
        let warnings = film.warnings().iter().map(ToString::to_string).collect();
        let report = FilmReport::Done { file: name.to_owned(), seconds, warnings, detections };
        Ok(serde_json::to_string(&Document::new(vec![report]))?)
    }
}

/// What is behind the viewer's page.
#[wasm_bindgen]
pub struct Viewer(Desk);

#[wasm_bindgen]
impl Viewer {
    /// As [`Detector::new`].
    #[wasm_bindgen(constructor)]
    pub fn new(name: &str, bundle: &[u8]) -> Result<Self, JsError> {
        Ok(Self(Desk::new(open(name, bundle)?, Options::default(), None)?))
    }

    /// Puts a film's file on the desk, its pixels as large as `spacing` says (see [`Detector::detect`]).
    pub fn put(&mut self, name: String, bytes: Vec<u8>, spacing: &str) -> Result<(), JsError> {
        self.0.put(Source::Bytes { name, bytes }, read_spacing(spacing)?);
        Ok(())
    }

    /// Answers a request of the page.
    pub fn answer(&self, method: &str, path: &str, body: &str) -> Answer {
        Answer(self.0.answer(method, path, body.as_bytes()))
    }
}

/// An answer, in the words of HTTP.
#[wasm_bindgen]
pub struct Answer(onemark_viewer::Answer);

#[wasm_bindgen]
impl Answer {
    /// HTTP's status.
    #[wasm_bindgen(getter)]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The body's media type.
    #[wasm_bindgen(getter)]
    pub fn kind(&self) -> String {
        self.0.kind.to_owned()
    }

    /// What a file with this body should be called.
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

fn open(name: &str, bundle: &[u8]) -> Result<Bundle, RuntimeError> {
    Ok(Bundle::from_bytes(bundle, name)?)
}

fn read_spacing(text: &str) -> Result<Option<Spacing>, JsError> {
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { Ok(Some(Spacing::parse(text, "given in the browser")?)) }
}
