//! `onemark train` and `onemark export`: run other programs, if they are installed, as git and cargo do.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;
use onemark_models::program;

/// Everything after the command's name, passed on unchanged.
#[derive(Args)]
pub struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<OsString>,
}

/// Runs the program beside this one or on PATH in place of this one and passes on its exit code.
pub fn hand_over(name: &str, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match exec(Command::new(program::find(name)).args(&arguments.rest)) {
        Ok(code) => Ok(code),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{name} is not installed: put it beside onemark or on PATH")
        }
        Err(error) => Err(error).with_context(|| format!("{name} can't be started")),
    }
}

/// Replaces this process, so that signals reach the program itself: a ctrl-C lets it finish its step and save.
#[cfg(unix)]
fn exec(command: &mut Command) -> std::io::Result<ExitCode> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

#[cfg(not(unix))]
fn exec(command: &mut Command) -> std::io::Result<ExitCode> {
    let code = command.status()?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
