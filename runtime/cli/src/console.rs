//! Shared by the commands: options, printing without panics, writing files completely or not at all, text tables.

use std::error::Error;
use std::fmt::{Arguments, Display};
use std::fs;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use image::RgbImage;
use onemark_evaluation::dataset::DatasetError;
use onemark_evaluation::points::PointsError;
use onemark_film::visible::{cut, visible, visible_lines};
use onemark_film::{FilmError, Spacing};
use onemark_models::bundle::{Bundle, BundleError};
use onemark_models::files::{is_inside, validate_place, write_whole};
use onemark_models::lock::Lock;
use onemark_models::text;
use onemark_results::{ResultsError, json, overlay};
use onemark_runtime::adapt::AdaptError;
use onemark_runtime::{BackendKind, Decoding, Detector, Options, RuntimeError};
use onemark_signing::{Signature, Signer, SigningError};
use onemark_viewer::ViewerError;

use crate::trust::TrustOptions;

/// Options of all commands that run a bundle.
#[derive(Args)]
pub struct RunOptions {
    /// The backend that runs the networks
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = backend_names())]
    backend: BackendKind,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// For comparisons with the paper: report the centre of the best cell of the network's grid, without refinement
    #[arg(long, hide_short_help = true)]
    argmax: bool,
    /// Find each landmark by itself: do not use what the bundle knows about how landmarks usually lie to each other
    #[arg(long, conflicts_with = "argmax", hide_short_help = true)]
    no_shape_prior: bool,
    /// Search the whole film for every landmark to the last detail: slower, with the same result
    #[arg(long, hide_short_help = true)]
    no_pruning: bool,
    #[command(flatten)]
    trust: TrustOptions,
}

impl RunOptions {
    /// Opens a bundle, if the keys that are trusted have signed it.
    pub fn bundle(&self, path: &Path) -> anyhow::Result<Bundle> {
        self.trust.open(path)
    }

    /// The same; who signed it, if keys are trusted.
    pub fn signed_bundle(&self, path: &Path) -> anyhow::Result<(Bundle, Option<Signer>)> {
        self.trust.open_noted(path)
    }

    /// Refuses a place where results would spoil the bundle, or replace its signature or a key.
    pub fn refuse_replaced(&self, place: &Path, bundle: &Path) -> anyhow::Result<()> {
        refuse_inside(place, bundle)?;
        self.trust.files(bundle).try_for_each(|file| refuse_input(place, &file))
    }

    /// Opens the bundle's graphs, for some landmarks or all, and prints which backend runs them.
    pub fn open(&self, bundle: &Bundle, landmarks: Option<Vec<usize>>) -> anyhow::Result<Detector> {
        let manifest = bundle.manifest();
        let is_asked_for = |number| landmarks.as_ref().is_none_or(|numbers| numbers.contains(&number));
        let is_partial = !(1..=manifest.landmark_set.len()).all(is_asked_for);
        let options = self.for_library();
        let options = match landmarks {
            Some(numbers) => options.with_landmarks(numbers),
            None => options,
        };
        let detector = Detector::new(bundle, options)?;
        note(format_args!("{}: {}", detector.bundle().name, detector.backend().about()));
        if is_partial && manifest.familiarity.is_some() {
            note(format_args!(
                "films of another kind are not refused: that is judged by all landmarks, and only some are asked for"
            ));
        }
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

    /// Whether heads are run only where it is needed.
    pub fn pruning(&self) -> bool {
        !self.no_pruning
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
    /// Where to write the new bundle: a folder, which this makes
    #[arg(long, value_name = "NEW")]
    out: PathBuf,
    /// Replace a bundle that already exists there
    #[arg(long)]
    force: bool,
}

impl Target {
    /// The same target as another command's option names it.
    pub fn new(out: PathBuf, force: bool) -> Self {
        Self { out, force }
    }

    /// Refuses an unusable target before any work is done. Until the lock is dropped, other commands that would write there wait:
    /// so a bundle that is read and replaced loses nothing that another command has just added to it.
    pub fn validate(&self) -> anyhow::Result<Lock> {
        Bundle::validate_target(&self.out, self.force).map_err(or_force)?;
        let path = self.out.display();
        let locking = || format!("locking {path}");
        if let Some(lock) = Lock::try_new(&self.out).with_context(locking)? {
            return Ok(lock);
        }
        note(format_args!("waiting for another command that writes {path}"));
        Lock::wait(&self.out).with_context(locking)
    }

    /// Writes the bundle and prints its path. If the bundle that it was made from has a signature beside it, says that this one has none.
    pub fn write(&self, bundle: &Bundle) -> anyhow::Result<()> {
        let was_signed = [bundle.origin(), &self.out].iter().any(|place| Signature::place_for(place).exists());
        bundle.write(&self.out, self.force).map_err(or_force)?;
        note(format_args!("wrote {}", self.out.display()));
        if was_signed {
            note(format_args!("nobody has signed the new bundle; the old signature is not for it (`onemark sign`)"));
        }
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

/// Longest text of a table's cell, in characters, and of one in the last column: both more than any of ours has.
const WIDEST: usize = 100;
const WIDEST_LAST: usize = 2000;

/// Writes to standard output, hidden characters written out. If its reader has gone away (`onemark … | head`), nothing more is
/// printed, and the command goes on to write its files.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    match to_stdout(visible_lines(&text.to_string()).as_bytes()) {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        printed => printed,
    }
}

/// Prints a note to standard error, in one line with hidden characters written out, and ignores write errors.
pub fn note(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{}", visible(text.to_string().trim_end()));
}

/// Most names in a list.
const MOST_NAMES: usize = 8;

/// The first few of some names, and the number of the others.
pub fn few(names: &[String]) -> String {
    text::few(names, MOST_NAMES)
}

/// Standard output of a command that also writes files: if its reader goes away, the files are written all the same.
pub struct Screen {
    has_files: bool,
    fault: Option<anyhow::Error>,
}

impl Screen {
    /// `has_files`: whether the command writes anything else.
    pub fn new(has_files: bool) -> Self {
        Self { has_files, fault: None }
    }

    /// Prints text, hidden characters written out.
    ///
    /// # Errors
    /// It can't be written, and nothing else is: then there is no use in going on.
    pub fn print(&mut self, text: impl Display) -> anyhow::Result<()> {
        if self.fault.is_some() {
            return Ok(());
        }
        match to_stdout(visible_lines(&text.to_string()).as_bytes()) {
            Err(error) if self.has_files => self.fault = Some(error),
            written => return written,
        }
        Ok(())
    }

    /// # Errors
    /// Something could not be written, for another reason than that nobody read it.
    pub fn finish(self) -> anyhow::Result<()> {
        self.fault.filter(|error| !is_broken_pipe(error)).map_or(Ok(()), Err)
    }
}

/// An error and its causes in one line, hidden characters written out, and the option that helps, if there is one.
pub fn explain(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    format!("{}{}", visible(text.trim_end()), error.chain().find_map(remedy).unwrap_or_default())
}

/// The option that helps against a library's error. Libraries do not know the options.
fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(ResultsError::NoSpacing { .. }) = error.downcast_ref() {
        return Some("; give --spacing");
    }
    if let Some(DatasetError::NoSpacing { .. }) = error.downcast_ref() {
        return Some(", or give --spacing");
    }
    if let Some(SigningError::NotSigned { .. }) = error.downcast_ref() {
        return Some(", or say where it is by --signature");
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
        (Some(ViewerError::Points { .. }), _) => return Some("; choose another by --out"),
        (Some(ViewerError::Kept { .. }), _) => return Some("; choose another by --corrections"),
        (Some(ViewerError::Runtime(error)), _) | (_, Some(AdaptError::Runtime(error))) => Some(error),
        _ => None,
    };
    match error.downcast_ref().or(wrapped)? {
        RuntimeError::Library { .. } => Some(
            "; Onemark's archive has it beside its programs; or `pip install onnxruntime`, and let ORT_DYLIB_PATH name the library in its \
             folder onnxruntime/capi",
        ),
        // If the first small run fails, it lacks a driver, for example.
        RuntimeError::Cuda { source, .. } if !source.is::<RuntimeError>() => {
            Some("; the ONNX Runtime of `pip install onnxruntime-gpu` has it: let ORT_DYLIB_PATH name its library")
        }
        _ => None,
    }
}

/// Whether the error is that the reader of our output closed the pipe.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Refuses outputs of these options that can't be written or that share a place, before any work is done.
pub fn validate_outputs(outputs: &[(&str, Option<&PathBuf>)]) -> anyhow::Result<()> {
    let given = || outputs.iter().filter_map(|(option, path)| Some((*option, (*path)?)));
    for (index, (option, path)) in given().enumerate() {
        validate_output(path)?;
        if let Some((other, _)) = given().take(index).find(|(_, before)| *before == path) {
            anyhow::bail!("{other} and {option} would both be written to {}", path.display());
        }
    }
    Ok(())
}

/// Refuses a place where no file can be written, before any work is done. `-` is standard output.
pub fn validate_output(path: &Path) -> anyhow::Result<()> {
    if is_stdout(path) {
        return Ok(());
    }
    let why = match (validate_place(path), path.parent()) {
        (Ok(()), _) => return Ok(()),
        (Err(_), _) if path.is_dir() => "it is a folder; give the name of a file".to_owned(),
        (Err(_), Some(folder)) if !folder.as_os_str().is_empty() && !folder.exists() => {
            format!("there is no folder {}", folder.display())
        }
        (Err(error), _) => error.to_string(),
    };
    anyhow::bail!("can't write {}: {why}", path.display())
}

/// Makes a folder, if it is not there, and refuses one into which no file can be written.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
    validate_place(&folder.join("file")).with_context(|| format!("writing into {}", folder.display()))
}

/// Refuses a place that is the bundle or lies in it: results would replace a part of it, or be one file too many in it.
pub fn refuse_inside(place: &Path, bundle: &Path) -> anyhow::Result<()> {
    if !is_stdout(place) && is_inside(place, bundle) {
        anyhow::bail!(
            "{} is in the bundle {}, which results would spoil; choose another place",
            place.display(),
            bundle.display()
        );
    }
    Ok(())
}

/// Refuses a place that is this file, which a command reads, or lies in this folder.
pub fn refuse_input(place: &Path, input: &Path) -> anyhow::Result<()> {
    if !is_stdout(place) && is_inside(place, input) {
        let [place, input] = [place, input].map(Path::display);
        anyhow::bail!("{place} is or lies in {input}, which this command reads; choose another place");
    }
    Ok(())
}

/// Refuses a place in the parts of a dataset that are read.
pub fn refuse_in_dataset(place: &Path, root: &Path) -> anyhow::Result<()> {
    const FOLDERS: [&str; 6] = ["images", "landmarks", "RawImage", "AnnotationsByMD", "400_senior", "400_junior"];
    const FILES: [&str; 6] =
        ["landmarks.csv", "landmarks.tsv", "landmarks.txt", "landmarks.json", "landmarks.xml", "spacing.csv"];
    FOLDERS.iter().chain(&FILES).try_for_each(|part| refuse_input(place, &root.join(part)))
}

/// Whether a path stands for standard output.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes JSON to a file, completely or not at all; or prints it if the path is `-`.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> anyhow::Result<()> {
    write_text(path, &json::to_text(value, true)?)
}

/// Writes text to a file, completely or not at all; or prints it if the path is `-`.
pub fn write_text(path: &Path, text: &str) -> anyhow::Result<()> {
    if is_stdout(path) { print(text) } else { write_file(path, text.as_bytes()) }
}

fn to_stdout(bytes: &[u8]) -> anyhow::Result<()> {
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

/// Formats rows of cells as a table: columns in `left` are aligned left, the others right. Long cells are cut.
pub fn table(rows: &[Vec<String>], left: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let most = |column: usize| if column + 1 < columns { WIDEST } else { WIDEST_LAST };
    let shown = |(column, cell): (usize, &String)| cut(cell, most(column)).into_owned();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().enumerate().map(shown).collect()).collect();
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_command_reads_is_not_replaced() {
        #[derive(clap::Parser)]
        struct Given {
            #[command(flatten)]
            options: RunOptions,
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["data/images", "data/400_junior", "b.onemark", "keys"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in
            ["b.onemark.sig", "other.sig", "lab.pem", "data/landmarks.csv", "data/spacing.csv", "data/images/1.png"]
        {
            fs::write(at(name), "").unwrap();
        }
        let refused = |arguments: &[&Path], place: &str| {
            let words: Vec<_> =
                [Path::new("test")].iter().chain(arguments).map(|word| word.as_os_str().to_owned()).collect();
            let given = <Given as clap::Parser>::try_parse_from(words).ok().unwrap();
            given.options.refuse_replaced(&at(place), &at("b.onemark")).err().map(|error| error.to_string())
        };
        let (trust, signature) = (Path::new("--trust"), Path::new("--signature"));
        let (key, keys, other) = (at("lab.pem"), at("keys"), at("other.sig"));
        for (arguments, place) in [
            (&[][..], "b.onemark/new.json"),
            (&[], "b.onemark.sig"),
            (&[trust, &key], "keys/../lab.pem"),
            (&[trust, &key, trust, &keys], "keys/new.json"),
            (&[trust, &key, signature, &other], "other.sig"),
        ] {
            assert!(refused(arguments, place).is_some_and(|said| said.contains("choose another place")), "{place}");
        }
        for place in ["new.json", "b.onemark.json", "other.sig", "lab.pem"] {
            assert_eq!(refused(&[], place), None, "{place}");
        }
        let in_dataset = |place: &str| refuse_in_dataset(&at(place), &at("data")).is_err();
        for place in
            ["data/images", "data/images/new.png", "data/landmarks.csv", "data/spacing.csv", "data/400_junior/1.txt"]
        {
            assert!(in_dataset(place), "{place}");
        }
        for place in ["data/report.json", "report.json", "data/overlays", "data/landmarks.json"] {
            assert!(!in_dataset(place), "{place}");
        }
        assert!(refuse_input(Path::new("-"), folder.path()).is_ok());
    }

    #[test]
    fn a_folder_for_results_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        make_folder(&folder.path().join("new/deep")).unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = make_folder(&folder.path().join("file/new")).unwrap_err();
        assert!(error.to_string().contains("making the folder"), "{error}");
        // Nobody can write here, whoever runs the test.
        #[cfg(target_os = "linux")]
        assert!(make_folder(Path::new("/proc/self")).unwrap_err().to_string().contains("writing into /proc/self"));
    }

    #[test]
    fn a_cell_of_any_length_and_content_is_a_cell() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows =
            [row(["1", &"x".repeat(70_000), "end"]), row(["2", "a\u{1b}[2J\nFor diagnosis.", &"y".repeat(70_000)])];
        for left in [&[][..], &[0, 1, 2]] {
            let text = table(&rows, left);
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2, "{text}");
            assert!(lines[0].contains("x…") && lines[1].contains(r"a\u{1b}[2J\nFor diagnosis."), "{text}");
            assert!(lines.iter().all(|line| line.chars().count() < 2200), "{text}");
        }
    }
}
