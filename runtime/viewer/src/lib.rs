//! The viewer: a [`Desk`] holds films, detections and corrections, and answers the requests of the page in `page/`. `onemark
//! view` serves them over HTTP (feature `server`); `runtime/bindings/wasm` answers them in the browser itself.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod desk;
mod error;
mod kept;
mod routes;
#[cfg(feature = "server")]
mod server;

pub use desk::{Desk, FilmSource};
pub use error::ViewerError;
pub use routes::Answer;
#[cfg(feature = "server")]
pub use server::Server;
