//! Pages in a browser, and what answers their requests ([`Answers`]). A [`Desk`] holds films, detections and a person's corrections; an
//! [`AnnotationDesk`] holds films and the landmarks that a person marks on them. `onemark view` and `onemark annotate` serve them over HTTP
//! (feature `server`); `runtime/bindings/wasm` answers for a desk in the browser itself. The pages are in `page/`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod annotation;
mod annotation_routes;
mod answer;
mod desk;
mod error;
mod kept;
mod kept_file;
mod routes;
#[cfg(feature = "server")]
mod server;
mod source;

pub use annotation::{AnnotationDesk, FilmToAnnotate, Mark};
pub use answer::{Answer, Answers};
pub use desk::Desk;
pub use error::ViewerError;
#[cfg(feature = "server")]
pub use server::Server;
pub use source::FilmSource;
