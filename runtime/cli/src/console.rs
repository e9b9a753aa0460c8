//! What the commands share in talking to people: options, printing that never panics, files that are never half written.

use std::error::Error;
use std::fmt::{Arguments, Display};
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use image::RgbImage;
use onemark_film::{FilmError, Spacing};
use onemark_models::bundle::Bundle;
use onemark_models::files::write_whole;
use onemark_results::{ResultsError, overlay};
use onemark_runtime::adapt::AdaptError;
use onemark_runtime::{BackendKind, Decoding, Detector, Options, RuntimeError};
use onemark_viewer::ViewerError;

/// How to run a bundle, the same for all commands that do.
#[derive(Args)]
pub struct RunOptions {
    /// What runs the networks
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = backend_names())]
    backend: BackendKind,
    /// How many threads to use [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Give the centre of the cell with the best score, as the paper does
    #[arg(long)]
    argmax: bool,
    /// Judge each landmark by its own score alone, whatever the bundle knows of shapes
    #[arg(long, conflicts_with = "argmax")]
    no_shape_prior: bool,
    /// Run every landmark's network on the whole film: slower, and finds the same
    #[arg(long)]
    no_pruning: bool,
}

impl RunOptions {
    /// Opens the bundle's graphs, for some landmarks or all, and says what runs them.
    pub fn open(&self, bundle: &Bundle, landmarks: Option<Vec<usize>>) -> anyhow::Result<Detector> {
        let options = self.for_library();
        let options = match landmarks {
            Some(numbers) => options.with_landmarks(numbers),
            None => options,
        };
        let detector = Detector::new(bundle, options)?;
        note(format_args!("{}: {}", detector.bundle().name, detector.backend().about()));
        Ok(detector)
    }

    /// As the library has them, for all landmarks.
    pub fn for_library(&self) -> Options {
        Options::default()
            .with_backend(self.backend)
            .with_threads(self.threads.map_or(0, NonZeroUsize::get))
            .with_decoding(self.decoding())
            .with_pruning(!self.no_pruning)
    }

    /// How score maps are to become points.
    fn decoding(&self) -> Decoding {
        match (self.argmax, self.no_shape_prior) {
            (true, _) => Decoding::Argmax,
            (_, true) => Decoding::Subpixel,
            _ => Decoding::ShapePrior,
        }
    }
}

/// Where a command writes the bundle that it makes of another.
#[derive(Args)]
pub struct Target {
    /// The new bundle: a folder
    #[arg(long, value_name = "NEW")]
    out: PathBuf,
    /// Replace a bundle that is there already
    #[arg(long)]
    force: bool,
}

impl Target {
    /// Refuses it before the work is done that would be lost.
    pub fn check(&self) -> anyhow::Result<()> {
        Ok(Bundle::check_target(&self.out, self.force)?)
    }

    /// Writes the bundle there and says so.
    pub fn write(&self, bundle: &Bundle) -> anyhow::Result<()> {
        bundle.write(&self.out, self.force)?;
        note(format_args!("wrote {}", self.out.display()));
        Ok(())
    }
}

/// The values of `--backend`: the names of the table with its descriptions.
fn backend_names() -> impl TypedValueParser<Value = BackendKind> {
    let values = BackendKind::compiled().iter().map(|kind| PossibleValue::new(kind.name()).help(kind.about()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<BackendKind>())
}

/// Reads the value of `--spacing`.
pub fn spacing(text: &str) -> Result<Spacing, FilmError> {
    Spacing::parse(text, "--spacing")
}

/// Writes to standard output; a closed pipe is an error, not a panic.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).context("standard output")
}

/// Prints a note to standard error and ignores write errors.
pub fn note(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// An error and its causes in one line, and what to do about it where that takes an option.
pub fn explain(error: &anyhow::Error) -> String {
    format!("{error:#}{}", error.chain().find_map(remedy).unwrap_or_default())
}

/// What to do about an error of a library, which knows no options.
fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(ResultsError::NoSpacing { .. }) = error.downcast_ref() {
        return Some("; give --spacing");
    }
    let wrapped = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(ViewerError::Listen { .. }), _) => return Some("; choose another by --port"),
        (Some(ViewerError::Runtime(error)), _) | (_, Some(AdaptError::Runtime(error))) => Some(error),
        _ => None,
    };
    match error.downcast_ref().or(wrapped)? {
        RuntimeError::Library { .. } => Some("; `cargo xtask setup` fetches it"),
        // If the first small run fails, it lacks a driver, for example.
        RuntimeError::Cuda { source, .. } if !source.is::<RuntimeError>() => {
            Some("; `cargo xtask setup --cuda` fetches an ONNX Runtime that has it")
        }
        _ => None,
    }
}

/// Whether an error only means that the reader of our output left.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Refuses a place for an output before the work is done that would be lost for want of it.
pub fn check_folder(path: &Path) -> anyhow::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            bail!("can't write {}: there is no folder {}", path.display(), folder.display())
        }
        _ => Ok(()),
    }
}

/// Writes JSON to a file, whole or not at all, or to standard output where the path is `-`.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    write_bytes(path, text.as_bytes())
}

/// Writes to a file, whole or not at all, or to standard output where the path is `-`.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if path != Path::new("-") {
        return write_file(path, bytes);
    }
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("standard output")
}

/// Writes a picture as PNG, whole or not at all.
pub fn write_png(path: &Path, picture: &RgbImage) -> anyhow::Result<()> {
    write_file(path, &overlay::png(picture).with_context(|| format!("drawing {}", path.display()))?)
}

/// Writes a file, whole or not at all.
pub fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_whole(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// Rows of cells as aligned columns: those in `left` to the left, the others to the right.
pub fn table(rows: &[Vec<String>], left: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let widths: Vec<usize> =
        (0..columns).map(|column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if left.contains(&column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
