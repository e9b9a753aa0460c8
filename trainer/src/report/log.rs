//! The log of a training run: JSON lines for programs, TensorBoard scalars for people.
//!
//! `log.jsonl` holds one object per line, each with `wall_time` (seconds since 1970) and `event`. Scalars are the events
//! `{"event":"scalar","tag":…,"step":…,"value":…}`; the value is null if it is not finite. Both logs are only appended to. An event
//! marks where a run is started, and where it is resumed and at which step: it supersedes earlier lines about that step and later
//! ones.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use prost::Message as _;
use serde::Serialize;

use crate::TrainError;

/// The JSON lines, in the run's folder.
pub(super) const LINES: &str = "log.jsonl";

/// An open log. Every call writes to the file at once: a run that is killed loses nothing that it logged.
#[derive(Debug)]
pub struct RunLog {
    lines: Appender,
    tensorboard: Appender,
}

impl RunLog {
    /// Opens the log in the folder `dir`, which is created if needed, for a new run or for one `resumed` at a step.
    ///
    /// An existing log is continued: a new run may find the log of one that was killed before its first checkpoint.
    ///
    /// # Errors
    /// The folder can't be written to.
    pub fn open(dir: &Path, resumed: Option<u64>) -> Result<Self, TrainError> {
        fs::create_dir_all(dir).map_err(|source| TrainError::Write { path: dir.to_owned(), source })?;
        let mut lines = Appender::open(dir.join(LINES))?;
        lines.end_line()?;
        // One file per session, which TensorBoard reads in the order of their names.
        let now = now();
        let name = format!("events.out.tfevents.{:010}.{:09}.onemark", now.as_secs(), now.subsec_nanos());
        let tensorboard = Appender::open(dir.join(name))?;

        let mut log = Self { lines, tensorboard };
        log.record(0, tensorboard::What::FileVersion("brain.Event:2".into()))?;
        log.event(&resumed.map_or(Event::Started, |step| Event::Resumed { step }))?;
        let start = tensorboard::SessionLog { status: tensorboard::SESSION_START };
        log.record(resumed.unwrap_or(0), tensorboard::What::SessionLog(start))?;
        Ok(log)
    }

    /// Logs one number, as a line and for TensorBoard (where slashes in `tag` make groups).
    ///
    /// # Errors
    /// The disk is full.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<(), TrainError> {
        self.event(&Event::Scalar { tag, step, value })?;
        let value = tensorboard::Value { tag: tag.to_owned(), simple_value: Some(value as f32) };
        self.record(step, tensorboard::What::Summary(tensorboard::Summary { value: vec![value] }))
    }

    /// Logs `event`, a struct or map, as a line; its own key `event` names its kind (`#[serde(tag = "event")]` on an enum).
    ///
    /// # Errors
    /// It is not a JSON object, or the disk is full.
    pub fn event(&mut self, event: &impl Serialize) -> Result<(), TrainError> {
        #[derive(Serialize)]
        struct Line<'a, T> {
            wall_time: f64,
            #[serde(flatten)]
            event: &'a T,
        }
        let line = Line { wall_time: now().as_secs_f64(), event };
        let json = |source| TrainError::LogEvent { path: self.lines.path.clone(), source };
        let mut line = serde_json::to_vec(&line).map_err(json)?;
        line.push(b'\n');
        self.lines.append(&line)
    }

    fn record(&mut self, step: u64, what: tensorboard::What) -> Result<(), TrainError> {
        let event = tensorboard::Event { wall_time: now().as_secs_f64(), step: step as i64, what: Some(what) };
        self.tensorboard.append(&tensorboard::frame(&event.encode_to_vec()))
    }
}

/// The log's own events.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Started,
    Resumed { step: u64 },
    Scalar { tag: &'a str, step: u64, value: f64 },
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[derive(Debug)]
struct Appender {
    path: PathBuf,
    file: File,
}

impl Appender {
    fn open(path: PathBuf) -> Result<Self, TrainError> {
        match OpenOptions::new().read(true).append(true).create(true).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(TrainError::Write { path, source }),
        }
    }

    /// One write per record, so that a crash leaves at most the last one cut short.
    fn append(&mut self, bytes: &[u8]) -> Result<(), TrainError> {
        self.file.write_all(bytes).map_err(|source| TrainError::Write { path: self.path.clone(), source })
    }

    /// Ends a line that a crash cut short.
    fn end_line(&mut self) -> Result<(), TrainError> {
        let mut last = [b'\n'];
        let read = self.file.seek(SeekFrom::End(-1)).and_then(|_| self.file.read_exact(&mut last));
        match read {
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => {
                Err(TrainError::Write { path: self.path.clone(), source: error })
            }
            _ if last != *b"\n" => self.append(b"\n"),
            _ => Ok(()), // A whole line, or an empty file, where there is nothing before the end to seek to.
        }
    }
}

/// The part of TensorBoard's `event.proto` and of the TFRecord format that scalars need.
mod tensorboard {
    pub const SESSION_START: i32 = 1;

    #[derive(prost::Message)]
    pub struct Event {
        #[prost(double, tag = "1")]
        pub wall_time: f64,
        #[prost(int64, tag = "2")]
        pub step: i64,
        #[prost(oneof = "What", tags = "3, 5, 7")]
        pub what: Option<What>,
    }

    #[derive(prost::Oneof)]
    pub enum What {
        #[prost(string, tag = "3")]
        FileVersion(String),
        #[prost(message, tag = "5")]
        Summary(Summary),
        #[prost(message, tag = "7")]
        SessionLog(SessionLog),
    }

    #[derive(prost::Message)]
    pub struct Summary {
        #[prost(message, repeated, tag = "1")]
        pub value: Vec<Value>,
    }

    #[derive(prost::Message)]
    pub struct Value {
        #[prost(string, tag = "1")]
        pub tag: String,
        #[prost(float, optional, tag = "2")]
        pub simple_value: Option<f32>,
    }

    /// A session that starts at a step makes TensorBoard drop what it has read for that step and later ones.
    #[derive(prost::Message)]
    pub struct SessionLog {
        #[prost(int32, tag = "1")]
        pub status: i32,
    }

    /// A TFRecord: length, its checksum, the bytes, their checksum.
    pub fn frame(bytes: &[u8]) -> Vec<u8> {
        let length = (bytes.len() as u64).to_le_bytes();
        [&length, &masked_crc(&length).to_le_bytes()[..], bytes, &masked_crc(bytes).to_le_bytes()].concat()
    }

    fn masked_crc(bytes: &[u8]) -> u32 {
        crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::{Value, json};

    use super::*;

    fn lines(dir: &Path) -> Vec<Value> {
        let text = fs::read_to_string(dir.join(LINES)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect()
    }

    fn without_time(mut line: Value) -> Value {
        assert!(line["wall_time"].take().as_f64().unwrap() > 0.0);
        line.as_object_mut().unwrap().remove("wall_time");
        line
    }

    #[test]
    fn a_resumed_run_appends() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("run");
        let mut log = RunLog::open(&dir, None).unwrap();
        log.scalar("loss/level5", 1, 0.5).unwrap();
        log.scalar("loss/level5", 2, f64::NAN).unwrap();
        drop(log);
        // A crash in the middle of a line.
        OpenOptions::new().append(true).open(dir.join(LINES)).unwrap().write_all(b"{\"wall").unwrap();

        let mut log = RunLog::open(&dir, Some(2)).unwrap();
        log.event(&json!({"event": "epoch", "epoch": 1})).unwrap();
        let lines = lines(&dir);
        assert_eq!(lines[3], Value::Null);
        let whole: Vec<Value> = lines.into_iter().filter(|line| !line.is_null()).map(without_time).collect();
        let expected = json!([
            {"event": "started"},
            {"event": "scalar", "tag": "loss/level5", "step": 1, "value": 0.5},
            {"event": "scalar", "tag": "loss/level5", "step": 2, "value": null},
            {"event": "resumed", "step": 2},
            {"event": "epoch", "epoch": 1},
        ]);
        assert_eq!(Value::Array(whole), expected);
        let sessions = fs::read_dir(&dir).unwrap().filter(|entry| entry.as_ref().unwrap().path() != dir.join(LINES));
        assert_eq!(sessions.count(), 2);
    }

    #[test]
    fn events_that_are_not_objects_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = RunLog::open(folder.path(), None).unwrap();
        assert!(matches!(log.event(&5), Err(TrainError::LogEvent { .. })));
        assert_eq!(lines(folder.path()).len(), 1);
    }

    /// The golden bytes come from TensorBoard's own writer: tests/goldens/tensorboard_record.py.
    #[test]
    fn records_are_tensorboards() {
        let golden = "1a00000000000000129bd82d09000000000000f83f10072a0d0a0b0a046c6f737315000000001916a994";
        let value = tensorboard::Value { tag: "loss".into(), simple_value: Some(0.0) };
        let summary = tensorboard::What::Summary(tensorboard::Summary { value: vec![value] });
        let event = tensorboard::Event { wall_time: 1.5, step: 7, what: Some(summary) };
        let record: String =
            tensorboard::frame(&event.encode_to_vec()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(record, golden);
    }
}
