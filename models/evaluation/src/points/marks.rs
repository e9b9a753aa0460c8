//! What a file of points states, before its landmarks and films are known: one entry per position, as it is written.

use std::borrow::Cow;
use std::collections::HashMap;

use onemark_film::geometry::Point;
use onemark_film::visible::short;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::spelling::did_you_mean;

use super::{FilmIdentity, Form};
use crate::table::{Problem, plain, shown};

/// The content of a file of points.
#[derive(Debug)]
pub(crate) struct Marks {
    pub form: Form,
    /// Whether a person made all of it: a landmark without a point is one that can't be seen.
    pub is_annotation: bool,
    /// The films that it names, each once, in its order; one without a name if it names none.
    pub films: Vec<FilmIdentity>,
    pub marks: Vec<Mark>,
    /// What can't be read, beside `marks`.
    pub problems: Vec<Problem>,
}

/// One landmark on one film.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// An index into [`Marks::films`].
    pub film: usize,
    /// The line, if the file has lines.
    pub line: Option<u64>,
    pub label: Label,
    /// In film px, or in mm if the form [is in mm](Form::is_in_mm); `None` if the file says that it is not annotated.
    pub at: Option<Point>,
}

/// How a file says which landmark it means. At least one of the two is stated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Label {
    pub number: Option<usize>,
    pub name: Option<String>,
}

impl Label {
    /// What stands where a landmark is named: its number, or its name.
    pub(crate) fn of(text: &str) -> Self {
        match number(text) {
            Some(number) => Self { number: Some(number), name: None },
            None => Self { number: None, name: Some(text.to_owned()) },
        }
    }

    /// The label as the file spells it.
    pub(crate) fn text(&self) -> String {
        match (&self.name, self.number) {
            (Some(name), _) => shown(name).into_owned(),
            (None, number) => number.unwrap_or_default().to_string(),
        }
    }
}

/// A whole number, also as `01` or `1.0`: a column with gaps becomes one of fractions in some programs.
pub(crate) fn number(text: &str) -> Option<usize> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_whole = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    (is_whole && fraction.bytes().all(|byte| byte == b'0')).then(|| whole.parse().ok()).flatten()
}

/// A point, unless it is one of those that stand for "not annotated": 0, 0 and -1, -1, in COCO's and other programs' files.
pub(crate) fn annotated(x: f64, y: f64) -> Option<Point> {
    let stands_for_none = (x == 0.0 && y == 0.0) || (x == -1.0 && y == -1.0);
    (!stands_for_none).then_some(Point::new(x, y))
}

/// In words, why the points of a film, which is called so, can't be positions in px. `form`: that of their file. Commands that use points refuse them.
pub(crate) fn doubt(form: Form, film: &str, points: &[Option<Point>]) -> Option<String> {
    let film = shown(film);
    let annotated = || points.iter().flatten();
    let first = annotated().next()?;
    let is_share = |number: f64| (0.0..=1.0).contains(&number);
    // A point in mm may lie on the first pixel.
    if !form.is_in_mm() && annotated().all(|point| is_share(point.x) && is_share(point.y)) {
        return Some(format!(
            "the positions on {film} are all from 0 to 1, as shares of its width and height are; write positions in px"
        ));
    }
    let count = annotated().count();
    let is_one_place = count > 1 && annotated().all(|point| point == first);
    is_one_place.then(|| {
        let (x, y) = (short(first.x), short(first.y));
        format!("all {count} landmarks on {film} are at one place ({x}, {y}); give each its own position")
    })
}

/// Whether a landmark of this status, as `onemark detect` writes it, has a position: one that was not found has a guess. `None` if
/// there is no such status.
pub(crate) fn has_position(status: &str) -> Option<bool> {
    match status {
        "found" | "edited-by-hand" => Some(true),
        "not-found" => Some(false),
        _ => None,
    }
}

/// What is wrong with an unknown status.
pub(crate) fn unknown_status(status: &str) -> String {
    format!("a landmark has the status \"{}\"; write found, edited-by-hand or not-found", shown(status))
}

/// The landmarks that labels are looked up in.
#[derive(Clone, Debug)]
pub(crate) struct Names<'a> {
    /// `None` if the file has numbers only and nobody says which set they belong to.
    set: Option<Cow<'a, LandmarkSet>>,
    /// Numbers go from 1 to this.
    count: usize,
    /// The indices of the landmarks of `set`.
    indices: Indices,
}

/// The indices of a set's landmarks by their names and titles, as [`plain`] spells them. A file names them many times.
#[derive(Clone, Debug, Default)]
struct Indices(HashMap<String, usize>);

impl Indices {
    fn of(set: &LandmarkSet) -> Self {
        let mut indices = HashMap::new();
        for (index, landmark) in set.landmarks.iter().enumerate() {
            for name in [&landmark.name, &landmark.title] {
                indices.entry(plain(name)).or_insert(index);
            }
        }
        Self(indices)
    }

    /// The index of the landmark with this name or title, in any spelling.
    fn find(&self, name: &str) -> Option<usize> {
        self.0.get(&plain(name)).copied()
    }
}

impl<'a> Names<'a> {
    /// The landmarks of a set.
    pub(crate) fn of(set: &'a LandmarkSet) -> Self {
        Self { count: set.len(), indices: Indices::of(set), set: Some(Cow::Borrowed(set)) }
    }

    /// The landmarks of the built-in set that has all names in `labels`; if there are no names, `count` landmarks.
    pub(crate) fn built_in<'l>(labels: impl Iterator<Item = &'l Label> + Clone, count: usize) -> Result<Self, Problem> {
        let names = || labels.clone().filter_map(|label| label.name.as_deref());
        if names().next().is_none() {
            return Ok(Self { set: None, count, indices: Indices::default() });
        }
        let set = |id: &str| LandmarkSet::named(id).ok().map(|set| (Indices::of(&set), set));
        let mut sets: Vec<(Indices, LandmarkSet)> = LandmarkSet::ids().filter_map(set).collect();
        let unknown =
            |(indices, _): &(Indices, LandmarkSet)| names().filter(|name| indices.find(name).is_none()).count();
        let unknown: Vec<usize> = sets.iter().map(unknown).collect();
        match unknown.iter().position(|unknown| *unknown == 0) {
            Some(known) => {
                let (indices, set) = sets.swap_remove(known);
                Ok(Self { count: set.len(), set: Some(Cow::Owned(set)), indices })
            }
            None => {
                let nearest = sets.iter().zip(&unknown).min_by_key(|(_, unknown)| **unknown).map(|(set, _)| set);
                let missing =
                    |(indices, _): &&(Indices, LandmarkSet)| names().find(|name| indices.find(name).is_none());
                let name = nearest.as_ref().and_then(missing);
                let hint = nearest.zip(name).map_or(String::new(), |((_, set), name)| near(set, name));
                let ids = LandmarkSet::ids().collect::<Vec<_>>().join(", ");
                let name = shown(name.unwrap_or_default());
                Err(Problem::new(format!(
                    "no built-in landmark set ({ids}) has all of its landmarks, for example \"{name}\"{hint}; write \
                     numbers from 1, or names of one set"
                )))
            }
        }
    }

    /// The set, if one is known.
    pub(crate) fn into_set(self) -> Option<LandmarkSet> {
        self.set.map(Cow::into_owned)
    }

    /// The number of landmarks.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The index of a label's landmark, from 0, or in words why there is none.
    pub(crate) fn index(&self, label: &Label) -> Result<usize, String> {
        let by_number = label.number.map(|number| self.number(number)).transpose()?;
        let by_name = match (&label.name, &self.set) {
            (Some(name), Some(set)) => Some(self.indices.find(name).ok_or_else(|| {
                format!(
                    "\"{}\" is none of the {} landmarks of set \"{}\"{}; write a name or a number from 1 to {}, or give the set that fits",
                    shown(name),
                    set.len(),
                    set.id,
                    near(set, name),
                    set.len(),
                )
            })?),
            _ => None,
        };
        match (by_number, by_name) {
            (Some(number), Some(name)) if number != name => Err(format!(
                "number {} and name \"{}\" are two landmarks; correct one of them",
                number + 1,
                label.text()
            )),
            (Some(index), _) | (None, Some(index)) => Ok(index),
            (None, None) => Err(format!("\"{}\" is not the number of a landmark", label.text())),
        }
    }

    fn number(&self, number: usize) -> Result<usize, String> {
        let of = match &self.set {
            Some(set) => format!("the landmarks of set \"{}\"", set.id),
            None => "the landmarks of most films".to_owned(),
        };
        match number.checked_sub(1).filter(|index| *index < self.count) {
            Some(index) => Ok(index),
            None => Err(format!("landmark {number} is outside 1 to {}, {of}", self.count)),
        }
    }

    /// The landmark at an index for messages: `1 (sella)`.
    pub(crate) fn describe(&self, index: usize) -> String {
        let name = self.set.as_ref().and_then(|set| set.landmarks.get(index)).map(|landmark| &landmark.name);
        name.map_or((index + 1).to_string(), |name| format!("{} ({name})", index + 1))
    }
}

fn near(set: &LandmarkSet, name: &str) -> String {
    did_you_mean(name, set.landmarks.iter().map(|landmark| landmark.name.as_str()))
}

impl Marks {
    /// No films and no marks yet.
    pub(crate) fn new(form: Form) -> Self {
        Self { form, is_annotation: false, films: Vec::new(), marks: Vec::new(), problems: Vec::new() }
    }

    /// Adds a film.
    pub(crate) fn add_film(&mut self, film: FilmIdentity) -> usize {
        self.films.push(film);
        self.films.len() - 1
    }

    /// Adds a landmark of a film.
    pub(crate) fn add(&mut self, film: usize, label: Label, at: Option<Point>) {
        self.marks.push(Mark { film, line: None, label, at });
    }
}
