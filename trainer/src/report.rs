//! What a run reports: events for the program that started it, a log, and where the time goes.

pub mod log;
pub mod observer;
pub mod profile;
pub mod progress;
