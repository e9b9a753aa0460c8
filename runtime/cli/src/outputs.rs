//! Where `onemark detect` writes results: the options, and the files that follow from them. `onemark_results` makes the files'
//! content.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use onemark_results::json::{Document, FilmReport};
use onemark_results::{FORMATS, FilmResults, Format, csv};

use crate::console;
use crate::inputs::has_film_extension;

/// The output options; any number can be given together. The names of the last four are those of [`FORMATS`].
#[derive(Args)]
pub struct Outputs {
    /// Write all results to a JSON file; with `-`, to standard output instead of the tables
    #[arg(long, value_name = "OUT")]
    json: Option<PathBuf>,
    /// Write a table with one row per film and landmark to a CSV file; with `-`, to standard output
    #[arg(long, value_name = "OUT")]
    csv: Option<PathBuf>,
    /// Draw the landmarks and their names on the films: into a folder, or to a .png file for one film
    #[arg(long, value_name = "DIR|OUT.png")]
    overlay: Option<PathBuf>,
    /// Write points for 3D Slicer, in mm: into a folder, or to a .mrk.json file for one film
    #[arg(long, value_name = "DIR|OUT.mrk.json")]
    mrk_json: Option<PathBuf>,
    /// Write DICOM structured reports about DICOM films: into a folder, or to a .dcm file for one film
    #[arg(long, value_name = "DIR|OUT.dcm")]
    dicom_sr: Option<PathBuf>,
    /// Write an HTML page for reading and printing: into a folder, or to a .html file for one film
    #[arg(long, value_name = "DIR|OUT.html")]
    report: Option<PathBuf>,
}

/// The output files for all films, chosen before any film is read.
pub struct OutputFiles<'a> {
    json: Option<&'a Path>,
    csv: Option<&'a Path>,
    /// For each format, the files of all films in their order.
    per_film: Vec<(&'static Format, Vec<PathBuf>)>,
}

impl Outputs {
    /// Chooses the files of each film's results. No two results share a file, and none replaces a film.
    pub fn plan(&self, films: &[PathBuf]) -> anyhow::Result<OutputFiles<'_>> {
        let (json, csv) = (self.json.as_deref(), self.csv.as_deref());
        if let (Some(json), Some(csv)) = (json, csv)
            && json == csv
        {
            bail!("--json and --csv would both be written to {}", json.display());
        }
        let mut single: Vec<&Path> = json.into_iter().chain(csv).filter(|path| !is_stdout(path)).collect();
        let (mut folders, mut per_film) = (Vec::new(), Vec::new());
        let targets = [&self.overlay, &self.mrk_json, &self.dicom_sr, &self.report];
        for (format, target) in FORMATS.iter().zip(targets) {
            let Some(target) = target else { continue };
            if is_file(format, target) {
                let [_] = films else { bail!("{} is one file, but there are {} films", target.display(), films.len()) };
                single.push(target);
                per_film.push((format, vec![target.clone()]));
            } else {
                folders.push(target);
                per_film.push((format, files(format, target, films)?));
            }
        }
        for output in single.iter().copied().chain(per_film.iter().flat_map(|(_, files)| files).map(PathBuf::as_path)) {
            if let Some(film) = films.iter().find(|film| is_same_file(film, output)) {
                bail!("{} is a film: results would replace it; choose another place", film.display());
            }
        }
        single.into_iter().try_for_each(console::validate_folder)?;
        for folder in folders {
            fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        }
        Ok(OutputFiles { json, csv, per_film })
    }
}

impl OutputFiles<'_> {
    /// Whether results go to standard output, so that nothing else may be printed there.
    pub fn takes_stdout(&self) -> bool {
        self.json.iter().chain(&self.csv).any(|path| is_stdout(path))
    }

    /// Writes the files of the film with this index. The content of all is made before the first is written.
    pub fn write(&self, index: usize, results: &FilmResults<'_>) -> anyhow::Result<()> {
        let mut made = Vec::new();
        for (format, files) in &self.per_film {
            let file = files.get(index).context("the film has no output files")?;
            made.push((file, (format.write)(results)?));
        }
        made.into_iter().try_for_each(|(file, bytes)| console::write_file(file, &bytes))
    }

    /// What a person should know before opening a film's files in other programs.
    pub fn notes<'a>(&'a self, results: &'a FilmResults<'_>) -> impl Iterator<Item = String> + 'a {
        self.per_film.iter().filter_map(|(format, _)| (format.note)(results))
    }

    /// Writes the files that hold all films.
    pub fn finish(&self, reports: Vec<FilmReport>) -> anyhow::Result<()> {
        if let Some(path) = self.csv {
            console::write_bytes(path, &csv::write(&reports)?)?;
        }
        self.json.map_or(Ok(()), |path| console::write_json(path, &Document::new(reports)))
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

fn is_same_file(film: &Path, output: &Path) -> bool {
    // A file that does not exist yet is not a film.
    film == output || matches!((film.canonicalize(), output.canonicalize()), (Ok(film), Ok(output)) if film == output)
}

/// Whether a target is one file of this format; else it is a folder.
fn is_file(format: &Format, target: &Path) -> bool {
    let extension = Path::new(format.extension).extension().unwrap_or(OsStr::new(format.extension));
    target.extension() == Some(extension) && !target.is_dir()
}

/// Each film's file of this format in a folder, with the film's name.
fn files(format: &Format, folder: &Path, films: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::with_capacity(films.len());
    for film in films {
        // A number at the end of a name, as in DICOM's names, is not an ending.
        let name = if has_film_extension(film) { film.file_stem() } else { film.file_name() };
        let name = name.with_context(|| format!("{} is not a file", film.display()))?;
        let file = folder.join(name).with_added_extension(format.extension);
        if let Some((_, other)) = files.iter().zip(films).find(|(taken, other)| **taken == file && *other != film) {
            let name = format.name;
            bail!("--{name} of {} and {} would both be {}", other.display(), film.display(), file.display());
        }
        files.push(file);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn outputs(set: impl FnOnce(&mut Outputs)) -> Outputs {
        let mut outputs =
            Outputs { json: None, csv: None, overlay: None, mrk_json: None, dicom_sr: None, report: None };
        set(&mut outputs);
        outputs
    }

    #[test]
    fn the_options_are_the_formats() {
        use clap::Args as _;
        let command = Outputs::augment_args(clap::Command::new("test"));
        let names: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        assert!(FORMATS.iter().map(|format| format.name).eq(names[2..].iter().copied()), "{names:?}");
    }

    #[test]
    fn every_film_has_its_own_files() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let films: Vec<PathBuf> = ["a/1.png", "b/2.tif"].map(PathBuf::from).into();
        let plan = |films: &[PathBuf], target: &Path| {
            let outputs = outputs(|one| (one.mrk_json, one.dicom_sr) = (Some(target.into()), Some(target.into())));
            outputs.plan(films).map(|plan| plan.per_film.into_iter().flat_map(|(_, files)| files).collect::<Vec<_>>())
        };
        let names = ["1.mrk.json", "2.mrk.json", "1.sr.dcm", "2.sr.dcm"];
        assert_eq!(plan(&films, &out).unwrap(), names.map(|name| out.join(name)));
        // A film given twice loses nothing; two films with one name would.
        assert!(plan(&["a/1.png".into(), "a/1.png".into()], &out).is_ok());
        let error = plan(&["a/1.png".into(), "b/1.tif".into()], &out).unwrap_err().to_string();
        assert!(error.contains("a/1.png and b/1.tif would both be"), "{error}");
    }

    #[test]
    fn a_film_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let film = folder.path().join("1.png");
        fs::write(&film, "a film").unwrap();
        for outputs in
            [outputs(|one| one.overlay = Some(folder.path().into())), outputs(|one| one.csv = Some(film.clone()))]
        {
            let error = outputs.plan(std::slice::from_ref(&film)).err().unwrap().to_string();
            assert!(error.contains("is a film"), "{error}");
        }
    }

    #[test]
    fn one_file_is_for_one_film_and_one_table() {
        let films: Vec<PathBuf> = ["1.png", "2.png"].map(PathBuf::from).into();
        let error = outputs(|one| one.report = Some("all.html".into())).plan(&films).err().unwrap().to_string();
        assert!(error.contains("one file, but there are 2 films"), "{error}");
        let both = outputs(|one| (one.json, one.csv) = (Some("-".into()), Some("-".into())));
        assert!(both.plan(&films).is_err());
    }
}
