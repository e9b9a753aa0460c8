//! How far a long computation has come, on standard error: a bar for a person at a terminal, a line a minute for a log.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// The progress of one computation; the bar goes when this does.
pub struct Progress {
    what: String,
    bar: ProgressBar,
    said: Instant,
}

impl Progress {
    /// Of a computation called `what`.
    pub fn of(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = ProgressBar::new(0).with_prefix(what.clone());
        let style = ProgressStyle::with_template("{prefix:24} [{bar:30}] {pos}/{len} eta {eta} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { what, bar, said: Instant::now() }
    }

    /// So many of so many parts are done; `message` is anything else worth seeing.
    pub fn tell(&mut self, done: usize, total: usize, message: &str) {
        self.bar.set_length(total as u64);
        self.bar.set_message(message.to_owned());
        self.bar.set_position(done as u64);
        if self.bar.is_hidden() && self.said.elapsed() >= BETWEEN_LINES {
            eprintln!("{}: {done} of {total} {message}", self.what);
            self.said = Instant::now();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
