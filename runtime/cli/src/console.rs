//! Shared by the commands: options, printing without panics, writing files completely or not at all, text tables.

use std::error::Error;
use std::fmt::{Arguments, Display};
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use image::RgbImage;
use onemark_evaluation::points::PointsError;
use onemark_film::{FilmError, Spacing};
use onemark_models::bundle::{Bundle, BundleError};
use onemark_models::files::write_whole;
use onemark_results::{ResultsError, overlay};
use onemark_runtime::adapt::AdaptError;
use onemark_runtime::{BackendKind, Decoding, Detector, Options, RuntimeError};
use onemark_viewer::ViewerError;

/// Options of all commands that run a bundle.
#[derive(Args)]
pub struct RunOptions {
    /// The backend that runs the networks
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = backend_names())]
    backend: BackendKind,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Report the centre of the cell with the best score, as the paper does, without refining positions
    #[arg(long)]
    argmax: bool,
    /// Find each landmark by its own score alone, without the bundle's shape prior
    #[arg(long, conflicts_with = "argmax")]
    no_shape_prior: bool,
    /// Run every landmark's network on the whole film: slower, with the same result
    #[arg(long)]
    no_pruning: bool,
}

impl RunOptions {
    /// Opens the bundle's graphs, for some landmarks or all, and prints which backend runs them.
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

    /// The library's options, for all landmarks.
    pub fn for_library(&self) -> Options {
        Options::default()
            .with_backend(self.backend)
            .with_threads(self.threads.map_or(0, NonZeroUsize::get))
            .with_decoding(self.decoding())
            .with_pruning(!self.no_pruning)
    }

    /// How score maps become points.
    fn decoding(&self) -> Decoding {
        match (self.argmax, self.no_shape_prior) {
            (true, _) => Decoding::Argmax,
            (_, true) => Decoding::Subpixel,
            _ => Decoding::ShapePrior,
        }
    }
}

/// Where a command writes a new bundle.
#[derive(Args)]
pub struct Target {
    /// The new bundle: a folder
    #[arg(long, value_name = "NEW")]
    out: PathBuf,
    /// Replace a bundle that already exists
    #[arg(long)]
    force: bool,
}

impl Target {
    /// Refuses an unusable target before any work is done.
    pub fn validate(&self) -> anyhow::Result<()> {
        Bundle::validate_target(&self.out, self.force).map_err(or_force)
    }

    /// Writes the bundle and prints its path.
    pub fn write(&self, bundle: &Bundle) -> anyhow::Result<()> {
        bundle.write(&self.out, self.force).map_err(or_force)?;
        note(format_args!("wrote {}", self.out.display()));
        Ok(())
    }
}

/// Adds the option that replaces a bundle, which not every command has.
fn or_force(error: BundleError) -> anyhow::Error {
    match error {
        BundleError::Exists { .. } => anyhow::anyhow!("{error} (--force)"),
        error => error.into(),
    }
}

/// The values of `--backend`: the names of the backends with their descriptions.
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

/// An error and its causes in one line, and the option that helps, if there is one.
pub fn explain(error: &anyhow::Error) -> String {
    format!("{error:#}{}", error.chain().find_map(remedy).unwrap_or_default())
}

/// The option that helps against a library's error. Libraries do not know the options.
fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(ResultsError::NoSpacing { .. }) = error.downcast_ref() {
        return Some("; give --spacing");
    }
    match error.downcast_ref() {
        Some(PointsError::NoSpacing { .. }) => return Some("; give --spacing"),
        Some(PointsError::OtherFilm { .. } | PointsError::OtherPixels { .. }) => {
            return Some("; --any-film takes them in any case");
        }
        Some(PointsError::NoName { .. } | PointsError::NoSize { .. }) => return Some(" by --film"),
        _ => {}
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

/// Whether the error is that the reader of our output closed the pipe.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Refuses an output whose folder does not exist, before any work is done.
pub fn validate_folder(path: &Path) -> anyhow::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            bail!("can't write {}: there is no folder {}", path.display(), folder.display())
        }
        _ => Ok(()),
    }
}

/// Writes JSON to a file, completely or not at all; or to standard output if the path is `-`.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    write_bytes(path, text.as_bytes())
}

/// Writes to a file, completely or not at all; or to standard output if the path is `-`.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if path != Path::new("-") {
        return write_file(path, bytes);
    }
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("standard output")
}

/// Writes a picture as PNG, completely or not at all.
pub fn write_png(path: &Path, picture: &RgbImage) -> anyhow::Result<()> {
    write_file(path, &overlay::png(picture).with_context(|| format!("drawing {}", path.display()))?)
}

/// Writes a file, completely or not at all.
pub fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_whole(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// Formats rows of cells as a table: columns in `left` are aligned left, the others right.
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
