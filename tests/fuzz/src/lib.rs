//! What several targets need.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libfuzzer_sys::Corpus;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// From this time of a processor on, an input is slow: a thousand others are tried in the time of a few of them.
const SLOW: Duration = Duration::from_millis(20);

/// Where Linux keeps files in memory. Disks are slower than most readers.
const MEMORY: &str = "/dev/shm";

/// How the folders of all targets begin.
const PREFIX: &str = "onemark-fuzz-";

/// An empty folder for the files of a target, in memory where the system has a place for that. No target ends so that it could remove its
/// own, so the folders of targets that no longer run are removed here.
pub fn scratch() -> PathBuf {
    let memory = Path::new(MEMORY);
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    for entry in fs::read_dir(&parent).expect("the folder of the system").flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if process.is_some_and(|process| Path::new("/proc/self").exists() && !Path::new("/proc").join(process).exists())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = parent.join(format!("{PREFIX}{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Tells slow inputs from others.
pub struct Watch(Timespec);

impl Watch {
    /// Begins to measure, in time of this thread, on which other programs have no influence.
    pub fn start() -> Self {
        Self(clock_gettime(ClockId::ThreadCPUTime))
    }

    /// Whether further inputs are made of this one. A slow one was checked like any other, but its offspring would be as slow.
    pub fn verdict(&self) -> Corpus {
        let taken = clock_gettime(ClockId::ThreadCPUTime) - self.0;
        if Duration::try_from(taken).is_ok_and(|taken| taken > SLOW) { Corpus::Reject } else { Corpus::Keep }
    }
}
