//! Runs the three binaries as a user would, and lists the backends that work here.

use std::env;
use std::path::{Path, PathBuf, absolute};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The variable with the folder of the binaries; `cargo xtask test` sets it.
const BIN_DIR: &str = "ONEMARK_BIN_DIR";

/// One of the binaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `onemark`
    Runtime,
    /// `onemark-export`
    Export,
    /// `onemark-train`
    Train,
}

/// The outcome of a run of a binary.
#[derive(Debug)]
pub struct Outcome {
    /// Whether the exit code is 0.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Program {
    /// Whether the binary can be run here. Only the trainer may be missing (it needs libtorch), and only outside of `cargo xtask
    /// test`. Then this prints that the test is skipped.
    pub fn is_here(self) -> bool {
        let here = self != Self::Train || env::var_os(BIN_DIR).is_some() || self.path().is_file();
        if !here {
            eprintln!("skipped: {} is not built; `cargo xtask test` builds and tests it", self.name());
        }
        here
    }

    /// The command that runs it in `folder` with the words of `line`, its output piped.
    ///
    /// # Panics
    /// The binary is missing.
    pub fn command(self, folder: &Path, line: &str) -> Command {
        let path = self.path();
        assert!(path.is_file(), "there is no {}: run `cargo xtask test`, which builds it first", path.display());
        let mut command = Command::new(path);
        command.current_dir(folder).args(line.split(' '));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it in `folder` with the words of `line`; that must succeed.
    ///
    /// # Panics
    /// The binary is missing, or it fails.
    #[track_caller]
    pub fn succeed(self, folder: &Path, line: &str) -> Outcome {
        let outcome = Outcome::from(self.command(folder, line).output().unwrap());
        assert!(outcome.success, "{} {line}: {}{}", self.name(), outcome.stdout, outcome.stderr);
        outcome
    }

    /// The name that a user types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runtime => "onemark",
            Self::Export => "onemark-export",
            Self::Train => "onemark-train",
        }
    }

    /// The binary in the folder that is set, else in cargo's folder, found from the place of this test.
    fn path(self) -> PathBuf {
        let beside = || env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
        let folder = env::var_os(BIN_DIR).map_or_else(beside, PathBuf::from);
        absolute(folder.join(self.name()).with_extension(env::consts::EXE_EXTENSION)).unwrap()
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { success: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// Waits until a program has made this file.
///
/// # Panics
/// It is not there after two minutes.
pub fn wait_for(file: &Path) {
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < Duration::from_secs(120), "no {}", file.display());
        sleep(Duration::from_millis(5));
    }
}

/// Runs lines of shell in `folder` as a person would who has the programs on `PATH`, and no keys that are trusted. They end at the first
/// one that fails.
///
/// # Panics
/// There is no shell.
pub fn shell(folder: &Path, script: &str) -> Outcome {
    let programs = PathBuf::from(Program::Runtime.command(folder, "").get_program());
    let folders = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(programs.parent().map(Path::to_owned).into_iter().chain(env::split_paths(&folders)));
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-eu", "-c", script]).env("PATH", path.unwrap());
    command.env_remove("ONEMARK_TRUST").env_remove("ONEMARK_SIGNING_KEY").output().unwrap().into()
}

/// The backends that must agree on this machine's CPU. ONNX Runtime may be missing, but not after `cargo xtask test` has set it
/// up.
///
/// # Panics
/// It is missing there.
pub fn backends() -> Vec<&'static str> {
    match onemark_runtime::backend::library() {
        Ok(_) => vec!["onnxruntime", "tract"],
        Err(why) if env::var_os(BIN_DIR).is_some() => panic!("{why}"),
        Err(why) => {
            eprintln!("skipped: {why}");
            vec!["tract"]
        }
    }
}
