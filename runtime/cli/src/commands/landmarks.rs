//! `onemark landmarks`: lists, shows, checks and begins landmark sets. The sets are in [`onemark_models::landmarks`].

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use onemark_evaluation::points;
use onemark_models::landmarks::{LONGEST_NAME, LandmarkSet, MOST_LANDMARKS};

use super::tables;
use crate::console;

/// Lists, shows, checks and begins landmark sets
#[derive(Subcommand)]
pub enum Landmarks {
    /// Lists the built-in sets
    List,
    /// Shows the landmarks and the measurements of a set
    Show {
        /// The id of a built-in set, or a YAML file
        #[arg(value_name = "SET")]
        set: String,
    },
    /// Checks the file of a set: its form, its landmarks and its measurements
    Check {
        /// The YAML file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    New(New),
}

/// Begins a set: writes a YAML file, with comments that say what to fill in
#[derive(Args)]
pub struct New {
    /// The name of the set; the file is NAME.yaml
    #[arg(value_name = "NAME")]
    name: PathBuf,
    /// How many landmarks
    #[arg(long, value_name = "N", required_unless_present = "from", value_parser = clap::value_parser!(u16).range(1..=MOST_LANDMARKS as i64))]
    count: Option<u16>,
    /// Take the names from this table, or another file of points, in the order in which they first appear
    #[arg(long, value_name = "TABLE", conflicts_with = "count")]
    from: Option<PathBuf>,
    /// Replace a file that already exists
    #[arg(long)]
    force: bool,
}

impl Landmarks {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List => list()?,
            Self::Show { set } => console::print(text(&LandmarkSet::load(&set, Path::new(""))?))?,
            Self::Check { file } => {
                let LandmarkSet { id, landmarks, analysis, joints, .. } = LandmarkSet::read(&file)?;
                let (count, measurements, joints) = (landmarks.len(), analysis.measurements.len(), joints.len());
                console::print(format_args!(
                    "{id}: {count} landmarks, {measurements} measurements, {joints} joints; no errors\n"
                ))?;
            }
            Self::New(command) => command.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list() -> anyhow::Result<()> {
    let mut rows = vec![["set", "landmarks", "measurements", ""].map(str::to_owned).to_vec()];
    for id in LandmarkSet::ids() {
        let set = LandmarkSet::named(id)?;
        let counts = [set.len(), set.analysis.measurements.len()].map(|count| count.to_string());
        rows.push([id.to_owned()].into_iter().chain(counts).chain([set.name]).collect());
    }
    console::print(console::table(&rows, &[0, 3]))
}

fn text(set: &LandmarkSet) -> String {
    let mut rows = vec![["#", "landmark", "title", "definition"].map(str::to_owned).to_vec()];
    rows.extend(set.landmarks.iter().map(|one| {
        let definition = one.definition.split_whitespace().collect::<Vec<_>>().join(" ");
        vec![one.number.to_string(), one.name.clone(), one.title.clone(), definition]
    }));
    let LandmarkSet { id, name, .. } = set;
    let landmarks = console::table(&rows, &[1, 2, 3]);
    format!("{id}: {name}\n\n{landmarks}{}{}", joints(set), tables::defined(&set.analysis))
}

fn joints(set: &LandmarkSet) -> String {
    if set.joints.is_empty() {
        return String::new();
    }
    let mut rows = vec![["joint at", "turns", "shifts, x and y", "moves"].map(str::to_owned).to_vec()];
    rows.extend(set.joints.iter().map(|joint| {
        let [x, y] = joint.shift_mm;
        let [turns, shifts] = [format!("±{}°", joint.degrees), format!("±{x} and ±{y} mm")];
        vec![joint.hinge.clone(), turns, shifts, joint.moves.join(", ")]
    }));
    format!("\n{}", console::table(&rows, &[0, 3]))
}

impl New {
    fn run(&self) -> anyhow::Result<()> {
        let is_yaml = self.name.extension().is_some_and(|ending| ending == "yaml");
        let path = if is_yaml { self.name.clone() } else { PathBuf::from(format!("{}.yaml", self.name.display())) };
        let id = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        console::validate_output(&path)?;
        if path.exists() && !self.force {
            bail!("{} already exists; choose another name, or replace it (--force)", path.display());
        }
        if LandmarkSet::ids().any(|built_in| built_in == id) {
            bail!("the built-in set is called \"{id}\"; choose another name");
        }
        let titles = match &self.from {
            Some(table) => points::read(table)?.landmarks(),
            None => (1..=self.count.unwrap_or_default()).map(|number| format!("Point {number}")).collect(),
        };
        let text = skeleton(&id, &titles);
        let set = LandmarkSet::from_yaml(&text).context("no set can be made of these names")?;
        console::write_text(&path, &text)?;
        console::note(format_args!(
            "wrote {0} with {1} landmarks; fill in titles and definitions, then: onemark landmarks check {0}",
            path.display(),
            set.len(),
        ));
        Ok(())
    }
}

/// The text of a set with these landmarks, in which definitions are missing.
fn skeleton(id: &str, titles: &[String]) -> String {
    let mut text = format!(
        "# The landmarks of one kind of film. Numbers and their order are those of annotations, which may also use names or titles.
# Names are lower-case letters, digits and hyphens; they do not change once a network is trained.
id: {}
name: {}  # for people: what is on the film
source: Ours.  # where the order and the definitions come from
landmarks:
",
        quoted(id),
        quoted(&format!("{id}, {} landmarks", titles.len())),
    );
    let mut taken = HashSet::new();
    let names: Vec<String> = (1..).zip(titles).map(|(number, title)| free_name(title, number, &mut taken)).collect();
    for (index, (name, title)) in names.iter().zip(titles).enumerate() {
        let (number, title) = (index + 1, quoted(title));
        // Into text, so nothing can fail.
        let _ = writeln!(
            text,
            "  - {{ number: {number}, name: {}, title: {title}, definition: \"Say in a sentence where the point lies.\" }}",
            quoted(name)
        );
    }
    let [first, last] = [names.first(), names.last()].map(|name| name.map_or("", String::as_str));
    text + &format!(
        "# Landmarks that move together against the others, if there are any, as a jaw does: turned by up to `degrees` about the hinge, shifted by up to `shift_mm`.
# joints:
#   - {{ hinge: {first}, moves: [{last}], degrees: 3, shift_mm: [2, 2] }}
# Measurements between the landmarks, if there are any; docs/ANALYSIS.md says what there is.
# analysis:
#   sources: {{ ours: Our own. }}
#   measurements:
#     - {{ name: length, title: Length, formula: {{ distance: [{first}, {last}] }}, source: ours }}
"
    )
}

/// A landmark's name made of its title: `Point 1` becomes `point-1`. A title without letters, or whose name is taken, becomes its
/// number.
fn free_name(title: &str, number: usize, taken: &mut HashSet<String>) -> String {
    let words = title.to_lowercase();
    let words = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut name = words.collect::<Vec<_>>().join("-");
    name.truncate(LONGEST_NAME);
    if !name.contains(|c: char| c.is_ascii_alphabetic()) || !taken.insert(name.clone()) {
        name = format!("point-{number}");
        taken.insert(name.clone());
    }
    name
}

/// A text of other people as YAML, always quoted.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_skeleton_of_any_titles_is_a_set() {
        let titles =
            ["C7 upper", "7", "Türkensattel", "上", "a: \"b\" # c", "{x}", "C7-upper", "null"].map(str::to_owned);
        let set = LandmarkSet::from_yaml(&skeleton("spine", &titles)).unwrap();
        let names: Vec<&str> = set.landmarks.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["c7-upper", "point-2", "t-rkensattel", "point-4", "a-b-c", "x", "point-7", "null"]);
        assert!(set.landmarks.iter().map(|one| &one.title).eq(&titles));
        // What is commented out is right too.
        let all = ["analysis", "joints", "  "]
            .iter()
            .fold(skeleton("spine", &titles), |text, key| text.replace(&format!("\n# {key}"), &format!("\n{key}")));
        let set = LandmarkSet::from_yaml(&all).unwrap();
        assert_eq!((set.analysis.measurements.len(), set.joints.len()), (1, 1));
    }

    #[test]
    fn a_built_in_set_is_shown_with_its_measurements() {
        let shown = text(&LandmarkSet::named("isbi19").unwrap());
        for line in ["isbi19: Lateral cephalogram", "19  articulare", "Centre of the pituitary fossa", "±3°", "SNA"] {
            assert!(shown.contains(line), "{shown}");
        }
    }
}
