//! Landmark sets: the landmarks of one kind of film, their order, names and definitions.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use onemark_film::visible::cut;
use serde::{Deserialize, Serialize};

use super::joint::MOST_JOINTS;
use super::{Analysis, Joint, LandmarkId};
use crate::invalid::Invalid;
use crate::spelling::nearest;
use crate::text::{validate_line, validate_text};
use crate::yaml::{self, YamlError};

/// The built-in sets: id and YAML text.
const BUILT_IN: [(&str, &str); 2] =
    [("isbi19", include_str!("../../landmarks/isbi19.yaml")), ("hand37", include_str!("../../landmarks/hand37.yaml"))];

/// The largest number of landmarks in a set.
pub const MOST_LANDMARKS: usize = 200;
/// The largest number of characters in a landmark's name, because the name of its graph's file contains it.
pub const LONGEST_NAME: usize = 100;

/// The landmarks of one kind of film, in the order of its annotations. Its rules are checked whenever it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct LandmarkSet {
    /// Short name, as in recipes and bundles: "isbi19".
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The source of order and definitions.
    pub source: String,
    /// The landmarks; number `n` is at index `n - 1`.
    pub landmarks: Vec<Landmark>,
    /// The measurements between them. The key is left out if it is empty, so that older bundles can be written without changes.
    #[serde(default, skip_serializing_if = "Analysis::is_empty")]
    pub analysis: Analysis,
    /// The landmarks that move together against the others. Only training uses them; a bundle's set has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joints: Vec<Joint>,
}

/// A set as it is written in a file, before its rules are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    id: String,
    name: String,
    source: String,
    landmarks: Vec<Landmark>,
    #[serde(default)]
    analysis: Analysis,
    #[serde(default)]
    joints: Vec<Joint>,
}

impl Unchecked {
    fn into_set(self) -> LandmarkSet {
        let Self { id, name, source, landmarks, analysis, joints } = self;
        LandmarkSet { id, name, source, landmarks, analysis, joints }
    }
}

impl TryFrom<Unchecked> for LandmarkSet {
    type Error = Invalid;

    fn try_from(unchecked: Unchecked) -> Result<Self, Invalid> {
        let set = unchecked.into_set();
        match set.validate() {
            Ok(()) => Ok(set),
            Err(Invalid { key, why }) => {
                let id = cut(&set.id, LONGEST_NAME);
                Err(Invalid::new(format!("landmark set \"{id}\": {key}"), why))
            }
        }
    }
}

/// A rule that a set breaks, and where.
pub(super) struct Broken {
    /// The path to the value in the set's text: `landmarks[2]`.
    pub(super) path: String,
    /// The rule, with a key for people.
    pub(super) rule: Invalid,
}

impl From<Invalid> for Broken {
    /// The rule's key is the path.
    fn from(rule: Invalid) -> Self {
        Self { path: rule.key.clone(), rule }
    }
}

/// One named point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landmark {
    /// Position in the set's order, from 1.
    pub number: LandmarkId,
    /// Lower-case letters, digits and hyphens, for file names and parameters: "posterior-nasal-spine".
    pub name: String,
    /// Name for people: "Posterior nasal spine".
    pub title: String,
    /// Where a person should place the point, in one line.
    pub definition: String,
}

/// Why a landmark set can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields without docs have self-explanatory names")]
pub enum LandmarkError {
    /// No built-in set has this id, and no file has this name.
    #[error("no landmark set is called \"{id}\"{}; built in are {known}; give the path of a file for another", hint(.nearest))]
    Unknown { id: String, nearest: Option<String>, known: String },
    /// The file of a landmark set does not exist or can't be read.
    #[error("the landmark set {path} can't be read; check the path")]
    Read { path: PathBuf, source: std::io::Error },
    /// The text is not a landmark set, or the set breaks a rule.
    #[error(transparent)]
    Yaml(#[from] YamlError),
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or(String::new(), |nearest| format!("; did you mean \"{nearest}\"?"))
}

impl LandmarkSet {
    /// The ids of the built-in sets.
    pub fn ids() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(id, _)| *id)
    }

    /// The built-in set with this id.
    ///
    /// ```
    /// use onemark_models::landmarks::LandmarkSet;
    ///
    /// let set = LandmarkSet::named("isbi19")?;
    /// assert_eq!((set.len(), set.landmarks[0].name.as_str()), (19, "sella"));
    /// let error = LandmarkSet::named("isbi91").unwrap_err();
    /// assert!(error.to_string().contains("did you mean \"isbi19\"?"));
    /// # Ok::<(), onemark_models::landmarks::LandmarkError>(())
    /// ```
    ///
    /// # Errors
    /// [`LandmarkError::Unknown`] with the nearest id.
    pub fn named(id: &str) -> Result<Self, LandmarkError> {
        // Names in a table are looked up in every set, and reading one takes longer than most tables.
        static READ: [OnceLock<LandmarkSet>; BUILT_IN.len()] = [const { OnceLock::new() }; BUILT_IN.len()];
        if let Some(((_, yaml), read)) = BUILT_IN.iter().zip(&READ).find(|((known, _), _)| *known == id) {
            return match read.get() {
                Some(set) => Ok(set.clone()),
                None => Self::from_yaml(yaml).map(|set| read.get_or_init(|| set).clone()),
            };
        }
        Err(LandmarkError::Unknown {
            id: id.to_owned(),
            nearest: nearest(id, Self::ids()),
            known: Self::ids().collect::<Vec<_>>().join(", "),
        })
    }

    /// Reads a set from YAML text in the form of `landmarks/isbi19.yaml`.
    ///
    /// ```
    /// use onemark_models::landmarks::LandmarkSet;
    ///
    /// let set = LandmarkSet::from_yaml(
    ///     "id: finger
    /// name: Finger
    /// source: an example
    /// landmarks:
    ///   - { number: 1, name: tip, title: Tip, definition: The most distal point. }
    ///   - { number: 2, name: base, title: Base, definition: The most proximal point. }
    /// ",
    /// )?;
    /// assert_eq!(set.landmarks[1].title, "Base");
    /// # Ok::<(), onemark_models::landmarks::LandmarkError>(())
    /// ```
    ///
    /// # Errors
    /// The text is not a landmark set, or it breaks a rule of [`LandmarkSet::validate`].
    pub fn from_yaml(text: &str) -> Result<Self, LandmarkError> {
        Self::parse("landmark set", text)
    }

    /// The built-in set with this id, otherwise the set in the file at this path, relative to `folder`. A name with a dot or a
    /// slash is a path.
    ///
    /// ```
    /// use onemark_models::landmarks::LandmarkSet;
    ///
    /// assert_eq!(LandmarkSet::load("hand37", "recipes".as_ref())?.len(), 37);
    /// let error = LandmarkSet::load("spine.yaml", "recipes".as_ref()).unwrap_err();
    /// assert_eq!(error.to_string(), "the landmark set recipes/spine.yaml can't be read; check the path");
    /// # Ok::<(), onemark_models::landmarks::LandmarkError>(())
    /// ```
    ///
    /// # Errors
    /// [`LandmarkError::Unknown`], and those of [`LandmarkSet::read`].
    pub fn load(name: &str, folder: &Path) -> Result<Self, LandmarkError> {
        let path = folder.join(name);
        let is_path = name.contains(['.', '/', std::path::MAIN_SEPARATOR]) || path.is_file();
        if Self::ids().any(|id| id == name) || !is_path {
            return Self::named(name);
        }
        Self::read(&path)
    }

    /// Reads the set in a YAML file.
    ///
    /// # Errors
    /// The file can't be read, or [`LandmarkSet::from_yaml`] refuses its text; the error has the path and the line.
    pub fn read(path: &Path) -> Result<Self, LandmarkError> {
        let text = yaml::load(path).map_err(|source| LandmarkError::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads a set's text. Errors name `origin`, and the line of the value that breaks a rule.
    fn parse(origin: &str, text: &str) -> Result<Self, LandmarkError> {
        let set = yaml::read::<Unchecked>(origin, text)?.into_set();
        set.check().map_err(|Broken { path, rule }| YamlError {
            origin: origin.to_owned(),
            line: yaml::line_of(text, &path),
            message: rule.to_string(),
            suggestion: None,
        })?;
        Ok(set)
    }

    /// Checks that there are 1 to [`MOST_LANDMARKS`] landmarks, that numbers are 1, 2, 3, ... in this order, that names are unique
    /// and suitable for file names, that texts are short and without hidden characters, and that the analysis and the joints satisfy
    /// their rules.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.check().map_err(|broken| broken.rule)
    }

    fn check(&self) -> Result<(), Broken> {
        if self.landmarks.is_empty() {
            return Err(Invalid::new("landmarks", "there is no landmark; list at least one").into());
        }
        if self.len() > MOST_LANDMARKS {
            let why = format!("there are {}; a set has at most {MOST_LANDMARKS}", self.len());
            return Err(Invalid::new("landmarks", why).into());
        }
        validate_line("id", &self.id)?;
        validate_line("name", &self.name)?;
        validate_text("source", &self.source)?;
        for index in 0..self.len() {
            self.check_landmark(index).map_err(|rule| Broken { path: format!("landmarks[{index}]"), rule })?;
        }
        self.analysis.check(&self.landmarks)?;
        if self.joints.len() > MOST_JOINTS {
            let why = format!("there are {}; a set has at most {MOST_JOINTS}", self.joints.len());
            return Err(Invalid::new("joints", why).into());
        }
        for (index, joint) in self.joints.iter().enumerate() {
            let within = |rule: Invalid| rule.within(&format!("joint {}", index + 1));
            let checked = joint.validate(&self.landmarks).map_err(within);
            checked.map_err(|rule| Broken { path: format!("joints[{index}]"), rule })?;
        }
        Ok(())
    }

    fn check_landmark(&self, index: usize) -> Result<(), Invalid> {
        let Landmark { number, name, title, definition } = &self.landmarks[index];
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let expected = index + 1;
        let invalid = |why: String| Err(Invalid::new(format!("entry {expected}"), why));
        if number.number() != expected {
            return invalid(format!("its number is {number}, it must be {expected}"));
        }
        if name.is_empty() || !name.chars().all(fits) {
            return invalid(format!("name \"{name}\" must be lower-case letters, digits and hyphens"));
        }
        if name.len() > LONGEST_NAME {
            return invalid(format!("its name has {} characters; at most {LONGEST_NAME} are read", name.len()));
        }
        if self.landmarks.iter().take(index).any(|other| other.name == *name) {
            return invalid(format!("name \"{name}\" is taken; choose another"));
        }
        let texts = validate_line("title", title).and_then(|()| validate_text("definition", definition));
        texts.map_err(|wrong| wrong.within(&format!("entry {expected}")))
    }

    /// The same set. If it has no measurements, it gets the analysis of the built-in set with the same id and landmarks. Bundles from
    /// before the introduction of analyses need this.
    #[must_use]
    pub fn or_built_in_analysis(mut self) -> Self {
        if self.analysis.is_empty()
            && let Ok(built_in) = Self::named(&self.id)
            && self.landmarks.iter().map(|one| &one.name).eq(built_in.landmarks.iter().map(|one| &one.name))
        {
            self.analysis = built_in.analysis;
        }
        self
    }

    /// The same set as a bundle holds it: without what only training uses.
    #[must_use]
    pub fn for_bundle(mut self) -> Self {
        self.joints.clear();
        self
    }

    /// The number of landmarks.
    pub fn len(&self) -> usize {
        self.landmarks.len()
    }

    /// Always false: a set has at least one landmark.
    pub fn is_empty(&self) -> bool {
        self.landmarks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn built_in_sets_are_valid_and_complete() {
        for (id, len) in [("isbi19", 19), ("hand37", 37)] {
            let set = LandmarkSet::named(id).unwrap();
            assert_eq!((set.id.as_str(), set.len()), (id, len));
            assert!(set.landmarks.iter().all(|l| l.definition.ends_with('.')));
        }
        assert_eq!(LandmarkSet::named("isbi19").unwrap().landmarks[18].name, "articulare");
    }

    #[test]
    fn a_typo_gets_the_nearest_id() {
        let message = LandmarkSet::named("isbi-19").unwrap_err().to_string();
        assert!(message.contains("did you mean \"isbi19\""), "{message}");
    }

    #[test]
    fn a_file_is_read_and_what_is_wrong_in_it_has_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let text = "id: finger\nname: Finger\nsource: an example\nlandmarks:\n  - { number: 1, name: tip, title: Tip, definition: d }\n\
                    \x20 - { number: 2, name: base, title: Base, definition: d }\n";
        let load = |text: &str| {
            std::fs::write(folder.path().join("finger.yaml"), text).unwrap();
            LandmarkSet::load("finger.yaml", folder.path()).map_err(|error| error.to_string())
        };
        assert_eq!(load(text).unwrap(), LandmarkSet::from_yaml(text).unwrap());
        let line = |text: &str| "  sources: { s: a book }\n  measurements:\n".to_owned() + text;
        let analysis = |lines: &str| format!("{text}analysis:\n{}", line(lines));
        for (text, line, why) in [
            ("id: a: b", 1, "it is not YAML"),
            ("a text", 1, "expected struct"),
            (&text.replace("number: 2", "number: 3"), 6, "entry 2: its number is 3, it must be 2"),
            (&text.replace("base", "tip"), 6, "entry 2: name \"tip\" is taken"),
            (&text.replace("title: Base", "titel: Base"), 6, "did you mean `title`?"),
            (&text.replace("name: Finger", "name: =1+1"), 2, "name: must not begin with ="),
            (&format!("{text}landmark: 1\n"), 7, "did you mean `landmarks`?"),
            (
                &analysis("    - { name: l, title: L, formula: { distance: [tip, bass] }, source: s }\n"),
                10,
                "measurement `l`: no landmark is called `bass`; did you mean `base`?",
            ),
            (
                &format!("{text}analysis: {{ sources: {{}}, lines: {{ l: [tip, tip] }}, measurements: [] }}"),
                7,
                "line `l`",
            ),
            (
                &format!("{text}joints:\n  - {{ hinge: base, moves: [tipp], degrees: 2 }}\n"),
                8,
                "joint 1.moves: no landmark is called `tipp`; did you mean `tip`?",
            ),
            (
                &format!("{text}joints:\n  - {{ hinge: base, moves: [tip], degrees: -2 }}\n"),
                8,
                "joint 1.degrees: -2 is impossible",
            ),
            (
                &format!("{text}joints:\n  - {{ hinge: base, moves: [tip, base], degrees: 2 }}\n"),
                8,
                "the hinge is among",
            ),
            (&format!("{text}joints:\n  - {{ hinge: base, moves: [tip] }}\n"), 8, "joint 1.degrees: nothing moves"),
            (
                &format!("{text}joints:\n  - {{ hinge: base, moves: [tip], shift_mm: [3, .nan] }}\n"),
                8,
                "joint 1.shift_mm: [3.0, NaN] is impossible",
            ),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(&format!("finger.yaml:{line}: ")) && error.contains(why), "{error}");
        }
        let gone = LandmarkSet::load("nowhere.yaml", folder.path()).unwrap_err().to_string();
        assert!(gone.contains("nowhere.yaml can't be read"), "{gone}");
        let unknown = LandmarkSet::load("isbi91", folder.path()).unwrap_err().to_string();
        assert!(unknown.contains("did you mean \"isbi19\"") && unknown.contains("path of a file"), "{unknown}");
    }

    /// A set of one landmark after a change.
    fn changed(change: impl FnOnce(&mut LandmarkSet)) -> Result<(), Invalid> {
        let mut set = LandmarkSet::named("isbi19").unwrap();
        change(&mut set);
        set.validate()
    }

    #[test]
    fn names_and_titles_are_short_lines() {
        type Harm<'a> = &'a dyn Fn(&mut LandmarkSet);
        let harms: [(Harm<'_>, &str); 8] = [
            (&|set| set.landmarks[18].title = "x".repeat(70_000), "entry 19.title: has 70000 characters"),
            (&|set| set.landmarks[0].title = "\u{1b}]0;title\u{7}".into(), "entry 1.title: holds the hidden character"),
            (&|set| set.landmarks[0].title = "=1+1".into(), "entry 1.title: must not begin with"),
            (&|set| set.landmarks[0].definition = "\u{9b}31m".into(), "entry 1.definition: holds"),
            (&|set| set.landmarks[0].name = "x".repeat(LONGEST_NAME + 1), "entry 1: its name has 101 characters"),
            (&|set| set.name = "a\nb".into(), "name: holds"),
            (&|set| set.source = "\u{1b}[2J".into(), "source: holds"),
            (&|set| set.landmarks = vec![set.landmarks[0].clone(); MOST_LANDMARKS + 1], "landmarks: there are 201"),
        ];
        for (harm, why) in harms {
            let error = changed(harm).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn contradictions_are_named() {
        let yaml = |second: &str| {
            format!(
                "{{id: a, name: A, source: s, landmarks: [{{number: 1, name: tip, title: T, definition: d}}, {second}]}}"
            )
        };
        for (second, expected) in [
            ("{number: 3, name: base, title: T, definition: d}", "number is 3, it must be 2"),
            ("{number: 2, name: tip, title: T, definition: d}", "\"tip\" is taken"),
            ("{number: 2, name: ../x, title: T, definition: d}", "lower-case letters"),
            ("{number: 2, name: b, title: T, definition: d, color: red}", "unknown field `color`"),
        ] {
            let message = LandmarkSet::from_yaml(&yaml(second)).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
