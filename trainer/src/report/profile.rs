//! Where the time of a run goes.

use std::fmt;
use std::time::{Duration, Instant};

use tch::{Cuda, Device};

/// Adds up the time of named parts of a computation. On a GPU it waits for each part to end, which itself takes time, so it is
/// optional.
pub struct Profile {
    device: Option<Device>,
    parts: Vec<(&'static str, u64, Duration)>,
}

impl Profile {
    /// A profile of a computation on `device`.
    pub fn of(device: Device) -> Self {
        Self { device: Some(device), parts: Vec::new() }
    }

    /// A profile that measures nothing.
    pub fn off() -> Self {
        Self { device: None, parts: Vec::new() }
    }

    /// Does `work` and adds its time to `part`.
    pub fn time<T>(&mut self, part: &'static str, work: impl FnOnce() -> T) -> T {
        let Some(device) = self.device else { return work() };
        let began = Instant::now();
        let result = work();
        if let Device::Cuda(index) = device {
            Cuda::synchronize(index as i64);
        }
        let spent = began.elapsed();
        match self.parts.iter_mut().find(|(name, ..)| *name == part) {
            Some((_, times, total)) => (*times, *total) = (*times + 1, *total + spent),
            None => self.parts.push((part, 1, spent)),
        }
        result
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: f64 = self.parts.iter().map(|(.., total)| total.as_secs_f64()).sum();
        write!(f, "{:24} {:>8} {:>10} {:>10} {:>6}", "part", "times", "ms each", "s", "%")?;
        for (name, times, total) in &self.parts {
            let seconds = total.as_secs_f64();
            let each = 1e3 * seconds / *times as f64;
            write!(f, "\n{name:24} {times:8} {each:10.1} {seconds:10.1} {:6.1}", 100.0 * seconds / all)?;
        }
        Ok(())
    }
}
