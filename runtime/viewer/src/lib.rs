//! What is behind the viewer's page: a [`Desk`] with films on it, and the answers to what the page asks. `onemark view` serves
//! them over HTTP (feature `server`); `runtime/bindings/wasm` answers within a browser. The page's files are in `page/`.

mod desk;
mod error;
mod routes;
#[cfg(feature = "server")]
mod server;

pub use desk::{Desk, Source};
pub use error::ViewerError;
pub use routes::Answer;
#[cfg(feature = "server")]
pub use server::Server;
