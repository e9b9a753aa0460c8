//! What a run reports: events for the program that started it, a log, and a profile of its time.

pub mod log;
pub mod observer;
pub mod profile;
pub mod progress;
