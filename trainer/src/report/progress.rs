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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Seen(RefCell<Vec<String>>);

    impl Observer for Seen {
        fn observe(&self, event: Event) {
            let event = match event {
                Event::Progress { task, done, total, loss } => format!("{task}: {done} of {total}, loss {loss:?}"),
                Event::Ended { task } => format!("{task}: ended"),
                _ => "another event".to_owned(),
            };
            self.0.borrow_mut().push(event);
        }
    }

    #[test]
    fn progress_ends_when_it_is_dropped() {
        let seen = Seen::default();
        let progress = Progress::new(&seen, "features");
        progress.report(1, 2);
        progress.report_loss(2, 2, 0.5);
        drop(progress);
        let expected = ["features: 1 of 2, loss None", "features: 2 of 2, loss Some(0.5)", "features: ended"];
        assert_eq!(seen.0.take(), expected);
    }
}
