//! `onemark train` and `onemark export`: other programs, installed or not, found as git and cargo find theirs.

use std::env;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::bail;
use clap::Args;

/// Everything after the command's name, unread.
#[derive(Args)]
pub struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<OsString>,
}

/// Becomes the program that stands beside this one or on PATH; its exit code is ours.
pub fn hand_over(program: &str, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let file = format!("{program}{}", env::consts::EXE_SUFFIX);
    let beside =
        env::current_exe().ok().and_then(|here| Some(here.parent()?.join(&file))).filter(|path| path.is_file());
    let mut command = Command::new(beside.unwrap_or_else(|| PathBuf::from(&file)));
    match become_it(command.args(&arguments.rest)) {
        Ok(code) => Ok(code),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{program} is not installed: put it beside onemark or on PATH")
        }
        Err(error) => bail!("{program} can't be started: {error}"),
    }
}

/// Replaces this process, so that signals reach the program itself: a ctrl-C lets it finish its step and save.
#[cfg(unix)]
fn become_it(command: &mut Command) -> std::io::Result<ExitCode> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

#[cfg(not(unix))]
fn become_it(command: &mut Command) -> std::io::Result<ExitCode> {
    let code = command.status()?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
