//! How far a long computation has come.

use super::observer::{Event, Observer};

/// Reports the progress of one computation to an observer, and its end when dropped.
pub struct Progress<'a> {
    observer: &'a dyn Observer,
    task: String,
}

impl<'a> Progress<'a> {
    /// Progress of the computation `task`, named in words.
    pub fn new(observer: &'a dyn Observer, task: impl Into<String>) -> Self {
        Self { observer, task: task.into() }
    }

    /// Reports that `done` of `total` parts are done.
    pub fn report(&self, done: usize, total: usize) {
        self.observer.observe(Event::Progress { task: &self.task, done, total, loss: None });
    }

    /// Reports that `done` of `total` steps are taken, with their mean loss.
    pub fn report_loss(&self, done: usize, total: usize, loss: f64) {
        self.observer.observe(Event::Progress { task: &self.task, done, total, loss: Some(loss) });
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.observer.observe(Event::Ended { task: &self.task });
    }
}
