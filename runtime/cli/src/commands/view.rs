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
    /// Films (DICOM, PNG, JPEG, BMP, TIFF), folders of films, patterns like 'films/*.dcm', or a disc's DICOMDIR
    #[arg(required = true, value_name = "FILM|DIR|PATTERN")]
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
    /// Keep corrections in this JSON file as they are made; those that it has already are repeated
    #[arg(long, value_name = "FILE", default_value = "onemark-corrections.json")]
    corrections: PathBuf,
    /// Let the page adapt the bundle to films that were corrected, and write the new bundle to this folder, which this makes
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
        match desk.keep_in(&self.corrections)? {
            0 => console::note(format_args!("corrections are kept in {}", self.corrections.display())),
            films => console::note(format_args!(
                "corrections are kept in {}, which has those of {films} films",
                self.corrections.display()
            )),
        }
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
