//! What a run reports: its log, its progress and where its time goes.

pub mod log;
pub mod profile;
pub mod progress;
