//! `onemark view`: shows films and their landmarks to a person, in a browser on this machine.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onemark_film::Spacing;
use onemark_models::bundle::Bundle;
use onemark_viewer::{Desk, FilmSource, Server};

use crate::console::{self, RunOptions};
use crate::inputs;

/// Shows films with their landmarks in a browser on this machine, to correct landmarks and save results
///
/// Prints a link to open. The page connects to this program only, and this program to no other machine. End it with Ctrl-C.
#[derive(Args)]
pub struct View {
    /// Films: files, folders, quoted patterns, DICOMDIRs
    #[arg(required = true, value_name = "FILM|FOLDER|PATTERN")]
    films: Vec<PathBuf>,
    /// The bundle to run
    #[arg(long, short)]
    bundle: PathBuf,
    #[command(flatten)]
    options: RunOptions,
    /// Pixel spacing of all films: mm per pixel, or x,y; replaces what films state
    #[arg(long, value_name = "MM|X,Y", value_parser = console::spacing)]
    spacing: Option<Spacing>,
    /// The port to listen on [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Let the page adapt the bundle to corrected films; the new bundle is written to this folder
    #[arg(long = "learn-to", value_name = "NEW")]
    adapt_to: Option<PathBuf>,
}

impl View {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(target) = &self.adapt_to {
            Bundle::validate_target(target, false)?;
        }
        let films = inputs::find(&self.films, None)?;
        let bundle = self.options.bundle(&self.bundle)?;
        let mut desk = Desk::new(bundle, self.options.for_library(), self.adapt_to)?;
        for film in films {
            desk.put(FilmSource::File(film), self.spacing.clone());
        }
        let server = Server::open(desk, self.port)?;
        console::print(format_args!("{}\n", server.link()))?;
        console::note(format_args!("open this link in a browser; end with Ctrl-C"));
        server.run()?;
        Ok(ExitCode::SUCCESS)
    }
}
