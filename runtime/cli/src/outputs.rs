//! Where `onemark detect` writes results: the options, and the files that follow from them. `onemark_results` makes the files'
//! content. What holds one film is written here, what holds all of them in `tables`.

mod journal;
mod places;
mod tables;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context as _, bail};
use clap::Args;
use onemark_results::{FORMATS, FilmResults, Format};

pub use self::journal::Settings;
pub use self::places::{PlacedFilm, anonymous, placed};
pub use self::tables::Tables;
use crate::console::{self, is_stdout};
use crate::contained::contained;

/// The output options; any number can be given together. The names of those between are those of [`FORMATS`].
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
    /// Write a record of the run to a JSON file: versions, options, and digests of films and results; `onemark replay` repeats
    /// the run from it
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

/// The output files for all films, chosen before any film is read.
pub struct OutputFiles<'a> {
    json: Option<&'a Path>,
    csv: Option<&'a Path>,
    audit: Option<&'a Path>,
    /// For each format, the files of all films in their order.
    per_film: Vec<(&'static Format, Vec<PathBuf>)>,
}

impl Outputs {
    /// Chooses the files of each film's results, and checks that they can be written. No two results share a file, and none
    /// replaces a film or lies in the bundle.
    pub fn plan(&self, films: &[PlacedFilm], bundle: &Path) -> anyhow::Result<OutputFiles<'_>> {
        let (json, csv) = (self.json.as_deref(), self.csv.as_deref());
        if json.is_some() && json == csv {
            bail!("--json and --csv would both be written to {}", json.unwrap_or(Path::new("-")).display());
        }
        let audit = self.audit.as_deref();
        if audit.is_some_and(is_stdout) {
            bail!("--audit needs a file: its record is no result");
        }
        if let (Some(_), Some(film)) = (audit, films.iter().find(|film| film.file.to_str().is_none())) {
            bail!("{}: --audit can't name this file, because its name is not UTF-8; rename it", film.file.display());
        }
        let mut single: Vec<&Path> = json.into_iter().chain(csv).chain(audit).collect();
        let (mut folders, mut per_film) = (Vec::new(), Vec::new());
        let targets = [&self.overlay, &self.mrk_json, &self.dicom_sr, &self.report];
        for (format, target) in FORMATS.iter().zip(targets) {
            let Some(target) = target else { continue };
            if is_file(format, target) {
                let [_] = films else { bail!("{} is one file, but there are {} films", target.display(), films.len()) };
                single.push(target);
                per_film.push((format, vec![target.clone()]));
            } else {
                folders.push(target.as_path());
                let file = |film: &PlacedFilm| target.join(&film.place).with_added_extension(format.extension);
                per_film.push((format, films.iter().map(file).collect()));
            }
        }
        let plan = OutputFiles { json, csv, audit, per_film };
        plan.validate(films)?;
        single.iter().chain(&folders).try_for_each(|place| console::refuse_inside(place, bundle))?;
        single.into_iter().try_for_each(console::validate_output)?;
        folders.into_iter().try_for_each(console::make_folder)?;
        Ok(plan)
    }

    /// The places that were given: files or folders.
    pub fn places(&self) -> impl Iterator<Item = &Path> {
        let Self { json, csv, overlay, mrk_json, dicom_sr, report, audit } = self;
        [json, csv, overlay, mrk_json, dicom_sr, report, audit].into_iter().flatten().map(PathBuf::as_path)
    }
}

impl OutputFiles<'_> {
    /// Whether results go to standard output, so that nothing else may be printed there.
    pub fn takes_stdout(&self) -> bool {
        self.json.iter().chain(&self.csv).any(|path| is_stdout(path))
    }

    /// Whether anything but standard output is written.
    pub fn has_files(&self) -> bool {
        !self.per_film.is_empty()
            || self.audit.is_some()
            || self.json.iter().chain(&self.csv).any(|path| !is_stdout(path))
    }

    /// What a person should know before opening a film's files in other programs.
    pub fn notes<'a>(&'a self, results: &'a FilmResults<'_>) -> impl Iterator<Item = String> + 'a {
        self.per_film.iter().filter_map(|(format, _)| (format.note)(results))
    }

    /// Where each output goes, as a person knows it, for the settings of a run.
    pub fn targets(&self) -> impl Iterator<Item = &'static str> {
        self.per_film.iter().map(|(format, _)| format.name)
    }

    /// Where the record of the run goes.
    pub fn audit(&self) -> Option<&Path> {
        self.audit
    }

    /// The table beside which the journal lies: the first that is a file.
    fn journalled(&self) -> Option<&Path> {
        let is_plain = |path: &&Path| !is_stdout(path) && fs::metadata(path).map_or(true, |there| there.is_file());
        self.json.into_iter().chain(self.csv).find(is_plain)
    }

    /// Refuses two results that share a file, and results that would replace a film.
    fn validate(&self, films: &[PlacedFilm]) -> anyhow::Result<()> {
        let files: HashSet<PathBuf> = films.iter().map(|film| film.file.clone()).collect();
        let real: HashSet<PathBuf> = films.iter().filter_map(|film| film.file.canonicalize().ok()).collect();
        let journal = self.journalled().map(journal::path);
        let of_journal = if self.journalled() == self.json { "the journal of --json" } else { "the journal of --csv" };
        let tables =
            [("--json", self.json), ("--csv", self.csv), ("--audit", self.audit), (of_journal, journal.as_deref())];
        let tables = tables
            .into_iter()
            .filter_map(|(name, path)| Some((name.to_owned(), path.filter(|path| !is_stdout(path))?, None)));
        let own = self.per_film.iter().flat_map(|(format, files)| {
            files.iter().zip(films).map(|(file, film)| (format!("--{}", format.name), file.as_path(), Some(&film.file)))
        });
        let mut taken: HashMap<PathBuf, (String, Option<&PathBuf>)> = HashMap::new();
        for (name, output, film) in tables.chain(own) {
            // A file that does not exist yet is not a film.
            if files.contains(output) || output.canonicalize().is_ok_and(|output| real.contains(&output)) {
                bail!("{} is a film: results would replace it; choose another place", output.display());
            }
            match taken.insert(place_on_disk(output), (name.clone(), film)) {
                Some((_, Some(other))) if Some(other) != film && film.is_some() => {
                    let film = film.unwrap_or(other).display();
                    bail!("{name} of {} and {film} would both be {}", other.display(), output.display());
                }
                Some((other, before)) if before.is_none() || other != name => {
                    bail!("{other} and {name} would both be written to {}", output.display());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the files of the film with this index. A file that can't be made does not keep the others from being written; the
    /// errors say which, and why.
    pub fn write(&self, index: usize, results: &FilmResults<'_>) -> Vec<anyhow::Error> {
        let write = |(format, files): &(&Format, Vec<PathBuf>)| {
            let file = files.get(index).context("the film has no output files")?;
            let bytes = contained(|| (format.write)(results)).with_context(|| results.name.to_owned())??;
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
            }
            console::write_file(file, &bytes)
        };
        self.per_film.iter().filter_map(|one| write(one).err()).collect()
    }

    /// Whether all files of the film with this index are there.
    fn are_there(&self, index: usize) -> bool {
        self.per_film.iter().all(|(_, files)| files.get(index).is_some_and(|file| file.is_file()))
    }
}

/// A path in one spelling, by which it is compared with others.
fn place_on_disk(path: &Path) -> PathBuf {
    let folder = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(folder).or_else(|| absolute(path).ok()).unwrap_or_else(|| path.to_owned())
}

/// Whether a target is one file of this format; else it is a folder.
fn is_file(format: &Format, target: &Path) -> bool {
    let extension = Path::new(format.extension).extension().unwrap_or(OsStr::new(format.extension));
    target.extension() == Some(extension) && !target.is_dir()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::inputs::FoundFilm;

    fn outputs(set: impl FnOnce(&mut Outputs)) -> Outputs {
        let mut outputs =
            Outputs { json: None, csv: None, overlay: None, mrk_json: None, dicom_sr: None, report: None, audit: None };
        set(&mut outputs);
        outputs
    }

    fn no_bundle() -> &'static Path {
        Path::new("no.onemark")
    }

    #[test]
    fn the_options_are_the_formats() {
        use clap::Args as _;
        let command = Outputs::augment_args(clap::Command::new("test"));
        let names: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        assert!(FORMATS.iter().map(|format| format.name).eq(names[2..6].iter().copied()), "{names:?}");
    }

    fn films(files: &[&str]) -> Vec<PlacedFilm> {
        let found = |file: &&str| FoundFilm { path: file.into(), searched: None };
        placed(files.iter().map(found).collect())
    }

    #[test]
    fn every_film_has_its_own_files() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let plan = |files: &[&str], target: &Path| {
            let outputs = outputs(|one| (one.mrk_json, one.dicom_sr) = (Some(target.into()), Some(target.into())));
            let plan = outputs.plan(&films(files), no_bundle());
            plan.map(|plan| plan.per_film.into_iter().flat_map(|(_, files)| files).collect::<Vec<_>>())
        };
        let names = ["1.mrk.json", "2.mrk.json", "1.sr.dcm", "2.sr.dcm"];
        assert_eq!(plan(&["a/1.png", "b/2.tif"], &out).unwrap(), names.map(|name| out.join(name)));
        // A film given twice loses nothing, and films of one name have their folders.
        assert!(plan(&["a/1.png", "a/1.png"], &out).is_ok());
        let names = ["a/1.mrk.json", "b/1.mrk.json", "a/1.sr.dcm", "b/1.sr.dcm"];
        assert_eq!(plan(&["a/1.png", "b/1.tif"], &out).unwrap(), names.map(|name| out.join(name)));
    }

    #[test]
    fn a_film_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let film = folder.path().join("1.png");
        fs::write(&film, "a film").unwrap();
        let film_itself = films(&[film.to_str().unwrap()]);
        let journal = films(&[folder.path().join("all.jsonl").to_str().unwrap()]);
        for (outputs, films) in [
            (outputs(|one| one.overlay = Some(folder.path().into())), &film_itself),
            (outputs(|one| one.csv = Some(film.clone())), &film_itself),
            (outputs(|one| one.audit = Some(film.clone())), &film_itself),
            (outputs(|one| one.json = Some(folder.path().join("all.json"))), &journal),
        ] {
            let error = outputs.plan(films, no_bundle()).err().unwrap().to_string();
            assert!(error.contains("is a film"), "{error}");
        }
    }

    #[test]
    fn nothing_is_written_into_the_bundle() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("b.onemark");
        fs::create_dir(&bundle).unwrap();
        let one = &films(&["1.png"]);
        for outputs in [
            outputs(|set| set.json = Some(bundle.join("manifest.yaml"))),
            outputs(|set| set.csv = Some(bundle.join("../b.onemark/new.csv"))),
            outputs(|set| set.audit = Some(bundle.join("weights.bin"))),
            outputs(|set| set.overlay = Some(bundle.clone())),
            outputs(|set| set.report = Some(bundle.join("pages"))),
        ] {
            let error = outputs.plan(one, &bundle).err().unwrap().to_string();
            assert!(error.contains("is in the bundle"), "{error}");
        }
        assert_eq!(fs::read_dir(&bundle).unwrap().count(), 0);
        let beside = outputs(|set| set.json = Some(folder.path().join("b.onemark.json")));
        assert!(beside.plan(one, &bundle).is_ok());
    }

    #[test]
    fn one_file_is_for_one_film_and_one_table() {
        let films = films(&["1.png", "2.png"]);
        let error =
            outputs(|one| one.report = Some("all.html".into())).plan(&films, no_bundle()).err().unwrap().to_string();
        assert!(error.contains("one file, but there are 2 films"), "{error}");
        let both = outputs(|one| (one.json, one.csv) = (Some("-".into()), Some("-".into())));
        assert!(both.plan(&films, no_bundle()).is_err());
    }

    #[test]
    fn no_two_outputs_share_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        fs::create_dir(here.join("sub")).unwrap();
        let one = &films(&["1.png"]);
        for (outputs, expected) in [
            (
                outputs(|set| (set.json, set.csv) = (Some(here.join("all")), Some(here.join("sub/../all")))),
                "--json and --csv",
            ),
            (
                outputs(|set| (set.json, set.mrk_json) = (Some(here.join("1.mrk.json")), Some(here.into()))),
                "--json and --mrk-json",
            ),
            (
                outputs(|set| {
                    (set.json, set.audit) = (Some(here.join("all.json")), Some(here.join("sub/../all.json")))
                }),
                "--json and --audit",
            ),
            (
                outputs(|set| (set.json, set.audit) = (Some(here.join("a.json")), Some(here.join("a.jsonl")))),
                "--audit and the journal of --json",
            ),
            // The journal of a run needs a place too.
            (
                outputs(|set| (set.json, set.csv) = (Some(here.join("a.json")), Some(here.join("a.jsonl")))),
                "--csv and the journal of --json",
            ),
        ] {
            let error = outputs.plan(one, no_bundle()).err().unwrap().to_string();
            assert!(error.contains(expected) && error.contains("would both be written to"), "{error}");
        }
        assert!(
            outputs(|set| (set.json, set.csv) = (Some("/dev/null".into()), Some("-".into())))
                .plan(one, no_bundle())
                .is_ok()
        );
    }

    #[test]
    fn places_are_tried_before_work_begins() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        fs::create_dir(here.join("found.csv")).unwrap();
        fs::write(here.join("file"), "").unwrap();
        let films = &films(&["1.png"]);
        for (outputs, expected) in [
            (outputs(|set| set.csv = Some(here.join("found.csv"))), "it is a folder; give the name of a file"),
            (outputs(|set| set.json = Some(here.join("nowhere/all.json"))), "there is no folder"),
            (outputs(|set| set.json = Some(here.join("file/all.json"))), "file/all.json"),
            (outputs(|set| set.overlay = Some(here.join("file"))), "making the folder"),
        ] {
            let error = format!("{:#}", outputs.plan(films, no_bundle()).err().unwrap());
            assert!(error.contains(expected), "{error}");
        }
        let left: Vec<_> = fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
