//! What is behind the viewer's page: a desk with films on it, and the answers to what the page asks. Who carries questions and
//! answers to and fro is left to others: `onemark view` does over HTTP, `runtime/bindings/wasm` within a browser. The page itself
//! is in `runtime/viewer/`.

mod answer;
mod desk;

pub use answer::Answer;
pub use desk::{Desk, Source};
