//! `onemark view`: shows films and their landmarks to a person, in a browser on this machine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use onemark_film::Spacing;
use onemark_models::bundle::Bundle;
use onemark_viewer::{Desk, FilmSource, Server};

use crate::console::{self, RunOptions};
use crate::inputs;

/// Where corrections are kept, unless a person says otherwise.
const CORRECTIONS: &str = "onemark-corrections.json";

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
    /// Keep corrections in this JSON file as they are made; those that it has already are repeated [default:
    /// onemark-corrections.json in the current folder, if it can be written]
    #[arg(long, value_name = "FILE")]
    corrections: Option<PathBuf>,
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
        self.options.refuse_replaced(self.corrections.as_deref().unwrap_or(Path::new(CORRECTIONS)), &self.bundle)?;
        match &self.corrections {
            Some(file) => keep(&mut desk, file)?,
            None => keep_if_possible(&mut desk),
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

/// Keeps corrections in a file.
fn keep(desk: &mut Desk, file: &Path) -> anyhow::Result<()> {
    let films = desk.keep_in(file)?;
    let those = if films == 0 { String::new() } else { format!(", which has those of {films} films") };
    console::note(format_args!("corrections are kept in {}{those}", file.display()));
    Ok(())
}

/// Keeps corrections in the current folder; on a disc, for example, nothing can be written.
fn keep_if_possible(desk: &mut Desk) {
    if let Err(error) = keep(desk, Path::new(CORRECTIONS)) {
        console::note(format_args!("warning: a crash would lose corrections: {}", console::explain(&error)));
    }
}
