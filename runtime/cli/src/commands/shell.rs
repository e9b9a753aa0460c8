//! `onemark completions` and `onemark man`: shell completions and manual pages, generated from the command line's definition.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::console;

/// Prints completions for a shell: `onemark completions bash > /etc/bash_completion.d/onemark`
#[derive(Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self, mut command: Command) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "onemark", &mut script);
        console::print(String::from_utf8(script)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes a manual page for each command into a folder
#[derive(Args)]
pub struct Man {
    /// The folder
    folder: PathBuf,
}

impl Man {
    pub fn run(self, command: Command) -> anyhow::Result<ExitCode> {
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("making the folder {}", self.folder.display()))?;
        clap_mangen::generate_to(command, &self.folder)
            .with_context(|| format!("writing manual pages into {}", self.folder.display()))?;
        console::note(format_args!("wrote the manual pages into {}", self.folder.display()));
        Ok(ExitCode::SUCCESS)
    }
}
