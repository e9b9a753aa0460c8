//! The viewer: a page for people on this machine, with the engine behind it. `desk.rs` holds films, results and corrections,
//! `server.rs` answers the page's requests; the page itself is in `runtime/viewer/`.

mod desk;
mod server;

pub use desk::Desk;
pub use server::Server;
