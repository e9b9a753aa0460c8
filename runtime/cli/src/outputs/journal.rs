//! The journal of a run: JSON Lines beside its table, a line for each film as soon as it is finished. It exists while the run has not
//! come to its end, so that a run that is killed loses the film at hand only, and can be resumed.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, bail};
use onemark_models::files::sha256;
use onemark_results::json::{self, FilmReport};
use serde::{Deserialize, Serialize};

use super::PlacedFilm;
use crate::console;

/// The version of the journal's format.
const FORMAT: &str = "onemark-journal/1";

/// How every journal begins.
const START: &[u8] = b"{\"journal\":\"onemark-journal/";

/// What decides about a run's results besides the films: bundle, program, backend, options. Key and value are for people.
pub type Settings = BTreeMap<&'static str, String>;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    journal: String,
    settings: BTreeMap<String, String>,
}

/// Every other line: a film's report, as it will be in the JSON.
#[derive(Serialize, Deserialize)]
struct Line<R> {
    film: Stamp,
    report: R,
}

/// By what a film is known to be the same: SHA-256 of its file's name, size and time of change, and of its name in the outputs. It
/// has no name in it, but who has the films can tell which it is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(String);

impl Stamp {
    /// A film's stamp; `None` if it can't be told from others: it can't be looked at, or its name is not text.
    pub fn of(film: &PlacedFilm) -> Option<Self> {
        let metadata = fs::metadata(&film.file).ok()?;
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let file = film.file.to_str()?;
        Some(Self(sha256(format!("{file}\n{}\n{modified}\n{}", metadata.len(), film.name).as_bytes())))
    }
}

/// The open journal of a run. Other runs that would write the same table are refused until it is dropped.
pub struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
}

/// The header and the finished films of an earlier run.
type Before = (Header, HashMap<Stamp, FilmReport>);

/// Where the journal of a table is: `all.jsonl` beside `all.json`, `all.csv.jsonl` beside `all.csv`.
pub fn path(table: &Path) -> PathBuf {
    if table.extension() == Some(OsStr::new("json")) {
        table.with_extension("jsonl")
    } else {
        table.with_added_extension("jsonl")
    }
}

impl Journal {
    /// Opens the journal of a table. With `resume`, returns the reports of the films that an earlier run has finished; else, the
    /// journal starts anew. It is as private as the table.
    pub fn open(table: &Path, settings: &Settings, resume: bool) -> anyhow::Result<(Self, HashMap<Stamp, FilmReport>)> {
        let path = path(table);
        let opening = || format!("opening {}", path.display());
        let mut file = create(&path, table).with_context(opening)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                bail!("another run is writing {}: wait for its end, or choose another place", path.display())
            }
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
                return Err(error).with_context(opening);
            }
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(opening)?;
        let mut journal = Self { path: path.clone(), file, length: 0 };
        let (before, whole) = journal.read(&bytes)?;
        let done = before.as_ref().map(|(_, done)| done.len()).unwrap_or_default();
        match before {
            Some((header, done)) if resume => {
                journal.validate(&header, settings)?;
                // What a killed run began to write is not a line.
                journal.cut(whole).with_context(opening)?;
                console::note(format_args!("{} films are done already, by {}", done.len(), path.display()));
                return Ok((journal, done));
            }
            None if resume => console::note(format_args!("no film is done yet by {}", path.display())),
            _ if done > 0 => console::note(format_args!(
                "{} holds {done} films of a run that did not come to its end; this run begins anew (--resume goes on with it)",
                path.display()
            )),
            _ => {}
        }
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        journal.cut(0).with_context(opening)?;
        journal.write(&Header { journal: FORMAT.into(), settings })?;
        Ok((journal, HashMap::new()))
    }

    /// The header and the reports in the bytes of an earlier journal, and the length of its whole lines. `None` if there was none.
    fn read(&self, bytes: &[u8]) -> anyhow::Result<(Option<Before>, u64)> {
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut lines = bytes[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let header = lines.next().map(serde_json::from_slice::<Header>);
        let header = match header {
            Some(Ok(header)) if header.journal == FORMAT => header,
            // A run was killed when it began: the start of a header.
            None if bytes.starts_with(START) || START.starts_with(bytes) => return Ok((None, 0)),
            other => {
                let is_journal = matches!(other, Some(Ok(_))) && bytes.starts_with(START);
                let what = if is_journal { "a journal of another version" } else { "not a journal" };
                bail!(
                    "{} is {what} of this program, and would be replaced by a new one: choose another place for the results, or \
                     move it",
                    self.path.display()
                )
            }
        };
        let done = lines.filter_map(|line| serde_json::from_slice::<Line<FilmReport>>(line).ok());
        Ok((Some((header, done.map(|line| (line.film, line.report)).collect())), end as u64))
    }

    /// Refuses to go on with a run of other settings: its results are not those that this run would find.
    fn validate(&self, header: &Header, settings: &Settings) -> anyhow::Result<()> {
        let path = self.path.display();
        for (key, now) in settings {
            let before = header.settings.get(*key).map_or("none", String::as_str);
            if before != now {
                bail!(
                    "{path} is of a run with the {key} {before}, and this run has {now}: give the same, or leave out --resume \
                     to begin anew"
                );
            }
        }
        Ok(())
    }

    /// Notes a film's report.
    pub fn add(&mut self, film: Stamp, report: &FilmReport) -> anyhow::Result<()> {
        self.write(&Line { film, report })
    }

    /// Appends a line, whole or not at all.
    fn write(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let text = json::to_text(line, false)?;
        // Not waiting for the disk: what is written outlives a killed process, and a machine that loses power loses some films.
        let written = self.file.write_all(text.as_bytes());
        match written {
            Ok(()) => self.length += text.len() as u64,
            Err(_) => self.cut(self.length).with_context(|| format!("writing {}", self.path.display()))?,
        }
        written.with_context(|| format!("writing {}", self.path.display()))
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.length = length;
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the journal: the table has all that it has.
    pub fn remove(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| format!("removing {}", self.path.display()))
    }
}

/// Opens the file for reading and writing. A new one is as private as the table that is there: both hold the names of films.
fn create(path: &Path, table: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    if let Ok(table) = fs::metadata(table) {
        use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
        options.mode(table.mode() & 0o666 | 0o600);
    }
    #[cfg(not(unix))]
    let _ = table;
    options.open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings(bundle: &str) -> Settings {
        [("bundle", bundle.to_owned())].into()
    }

    fn open(table: &Path, bundle: &str, resume: bool) -> Result<(Journal, HashMap<Stamp, FilmReport>), String> {
        Journal::open(table, &settings(bundle), resume).map_err(|error| format!("{error:#}"))
    }

    fn stamp(name: &str) -> Stamp {
        Stamp(name.to_owned())
    }

    #[test]
    fn what_is_noted_is_read_by_the_next_run_and_half_a_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("all.json");
        let (mut journal, done) = open(&table, "b", false).unwrap();
        assert!(done.is_empty());
        for name in ["1.png", "2.png"] {
            journal.add(stamp(name), &FilmReport::failed(name, "why")).unwrap();
        }
        drop(journal);
        let path = folder.path().join("all.jsonl");
        let whole = fs::read(&path).unwrap();
        // Killed at any moment: after some byte.
        for end in (0..whole.len()).step_by(7).chain([whole.len()]) {
            fs::write(&path, &whole[..end]).unwrap();
            let (mut journal, done) = open(&table, "b", true).unwrap();
            let lines = whole[..end].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(done.len(), lines.saturating_sub(1), "{end}");
            journal.add(stamp("3.png"), &FilmReport::failed("3.png", "why")).unwrap();
            drop(journal);
            let (journal, again) = open(&table, "b", true).unwrap();
            assert_eq!(again.len(), done.len() + 1);
            assert_eq!(again[&stamp("3.png")], FilmReport::failed("3.png", "why"));
            if end == whole.len() {
                journal.remove().unwrap();
            }
        }
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_of_other_settings_or_of_somebody_else_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("all.csv");
        let (journal, _) = open(&table, "b", false).unwrap();
        assert!(open(&table, "b", false).err().unwrap().contains("another run is writing"));
        drop(journal);
        let error = open(&table, "other", true).err().unwrap();
        assert!(error.contains("all.csv.jsonl is of a run with the bundle b, and this run has other"), "{error}");
        let path = folder.path().join("all.csv.jsonl");
        for (other, what) in [
            ("{\"films\": 3}\n", "is not a journal of this program"),
            ("no JSON at all", "is not a journal of this program"),
            ("{\"journal\":\"other/1\",\"settings\":{}}\n", "is not a journal of this program"),
            (
                "{\"journal\":\"onemark-journal/9\",\"settings\":{}}\n",
                "is a journal of another version of this program",
            ),
        ] {
            fs::write(&path, other).unwrap();
            for resume in [false, true] {
                let error = open(&table, "b", resume).err().unwrap();
                assert!(error.contains(what) && error.contains("choose another place for the results"), "{error}");
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
    }

    #[cfg(unix)]
    #[test]
    fn it_is_as_private_as_its_table() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("all.json");
        fs::write(&table, "").unwrap();
        fs::set_permissions(&table, fs::Permissions::from_mode(0o600)).unwrap();
        let _journal = open(&table, "b", false).unwrap();
        let mode = fs::metadata(folder.path().join("all.jsonl")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
