//! What a run reports: events for the program that started it, a log, a page with curves and films, and a profile of its time.

pub mod log;
pub mod observer;
pub mod page;
pub mod profile;
pub mod progress;
