//! Reads a plain folder: films, in `images/` or in the folder itself, and points in `landmarks.csv` or in another
//! [file of points](crate::points): a table, COCO keypoints, CVAT's XML or Onemark's JSON for all films; or a file for each film, in
//! `landmarks/` or beside the film. Images without points are films without annotation. This module reads `spacing.csv` of both layouts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{Case, Complain, DatasetError, SPACING_SOURCE, Split, StatedSpacing, films_in};
use crate::points::film::{file_name, without_extension};
use crate::points::marks::{Mark, Names, doubt};
use crate::points::{self, FilmIdentity, Form};
use crate::table::{self, Faults, NotANumber, Numbers, Problem, Row, Table, decode, said, shown};
use onemark_film::Spacing;
use onemark_film::geometry::Point;
use onemark_film::visible::from_cell;
use onemark_models::files::read_file_at_most;
use onemark_models::landmarks::{LandmarkSet, MOST_LANDMARKS};
use onemark_models::text::few;

/// The most films that a message names beside the first.
const MOST_NAMED: usize = 5;
/// The endings of files of points.
const ENDINGS: [&str; 5] = ["csv", "tsv", "txt", "json", "xml"];

/// A plain folder: where its films and its files of points are.
pub(super) struct Plain {
    root: PathBuf,
    /// `images/`, or the folder itself.
    images: PathBuf,
    /// The films as (id, file).
    films: Vec<(String, PathBuf)>,
    annotations: Vec<PathBuf>,
    /// Files in places where points are looked for if there are none of those.
    others: Vec<PathBuf>,
    /// Whether each film has a file of points of its own.
    per_film: bool,
}

impl Plain {
    /// Looks for films and files of points. `None` if there is neither `images/` nor a film.
    pub(super) fn find(root: &Path) -> Result<Option<Self>, DatasetError> {
        let images = Some(root.join("images")).filter(|images| images.is_dir());
        let is_apart = images.is_some();
        let images = images.unwrap_or_else(|| root.to_owned());
        let films = films_in(&images)?;
        if films.is_empty() && !is_apart {
            return Ok(None);
        }
        let of_all: Vec<PathBuf> = ENDINGS.map(|ending| root.join("landmarks").with_extension(ending)).into();
        let of_all: Vec<PathBuf> = of_all.into_iter().filter(|path| path.is_file()).collect();
        let per_film = of_all.is_empty();
        let ids: HashSet<&str> = films.iter().map(|(id, _)| id.as_str()).collect();
        let is_films =
            |path: &PathBuf| path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|id| ids.contains(id));
        let mut beside = points_in(&images);
        // In images/, any JSON is a file of points; others are if they are called like a film.
        beside.retain(|path| is_films(path) || (is_apart && path.extension().is_some_and(|ending| ending == "json")));
        let mut places =
            [of_all, points_in(&root.join("landmarks")), beside].into_iter().filter(|files| !files.is_empty());
        let annotations = places.next().unwrap_or_default();
        let others = places.flatten().collect();
        Ok(Some(Self { root: root.to_owned(), images, films, annotations, others, per_film }))
    }

    /// All files that hold points or would be read.
    pub(super) fn points_files(self) -> Vec<PathBuf> {
        self.annotations.into_iter().chain(self.others.into_iter().filter(|path| holds_points(path))).collect()
    }

    pub(super) fn open(
        self,
        split: Split,
        set: Option<&LandmarkSet>,
        complain: &mut Complain<'_>,
    ) -> Result<Vec<Case>, DatasetError> {
        let Self { root, images, films, annotations, others, per_film } = self;
        if matches!(split, Split::Test1 | Split::Test2) {
            return Err(DatasetError::NoSplits { root, split });
        }
        let mut cases: Vec<Case> = films.into_iter().map(|(id, film)| Case { id, film, ..Case::default() }).collect();
        if annotations.is_empty() && !cases.is_empty() {
            complain(None, DatasetError::NoPoints { root, images, films: cases.len() })?;
        }
        if !per_film && annotations.len() > 1 {
            complain(None, DatasetError::Several { paths: annotations.clone() })?;
        }
        if let Some(other) = others.iter().find(|path| holds_points(path)) {
            let paths = annotations.iter().take(1).chain([other]).cloned().collect();
            complain(None, DatasetError::Several { paths })?;
        }
        let mut found = Vec::new();
        for path in annotations.iter().take(if per_film { usize::MAX } else { 1 }) {
            read_points(path, per_film, &mut cases, &mut found, complain)?;
        }
        add_points(&found, set, &mut cases, complain)?;
        Ok(cases)
    }
}

/// The files of points in a folder, by their endings, sorted.
fn points_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_shown = |path: &PathBuf| path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
    let is_of_points = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
    };
    let mut files: Vec<PathBuf> =
        entries.filter(|path| is_shown(path) && is_of_points(path) && path.is_file()).collect();
    files.sort();
    files
}

/// Whether a file holds points. Beside films there may be other files.
fn holds_points(path: &Path) -> bool {
    let survey = |bytes: Vec<u8>| Some(points::survey(path, &bytes).ok()?.into_marks());
    points::load(path).ok().and_then(survey).is_some_and(|file| !file.marks.is_empty())
}

/// A landmark of a film of the dataset, as a file states it.
struct Found<'a> {
    path: &'a Path,
    /// An index into the cases.
    case: usize,
    /// The film's name as the file spells it.
    film: String,
    mark: Mark,
}

/// Reads a file of points into `found`, and complains about what can't be read.
fn read_points<'a>(
    path: &'a Path,
    per_film: bool,
    cases: &mut [Case],
    found: &mut Vec<Found<'a>>,
    complain: &mut Complain<'_>,
) -> Result<(), DatasetError> {
    let bytes = match points::load(path) {
        Ok(bytes) if bytes.trim_ascii().is_empty() => {
            return complain(None, DatasetError::EmptyAnnotation { path: path.to_owned() });
        }
        Ok(bytes) => bytes,
        Err(error) => return complain(None, error.into()),
    };
    let file = match points::survey(path, &bytes) {
        Ok(file) => file.into_marks(),
        Err(error) => return complain(None, error.into()),
    };
    if file.form.is_in_mm() {
        return complain(None, DatasetError::InMm { path: path.to_owned() });
    }
    if file.marks.is_empty() && file.problems.is_empty() {
        return complain(None, DatasetError::EmptyAnnotation { path: path.to_owned() });
    }
    for problem in file.problems {
        complain(None, points::error(path, problem).into())?;
    }
    let names = FilmNames::of(cases);
    let film_of = |film: &FilmIdentity| match &film.name {
        Some(name) => name.clone(),
        None if per_film => path.file_stem().map_or(String::new(), |name| name.to_string_lossy().into_owned()),
        None => String::new(),
    };
    let films: Vec<(String, Option<usize>)> =
        file.films.iter().map(film_of).map(|name| (name.clone(), names.find(&name))).collect();
    let mut missing = Missing::default();
    for mark in file.marks {
        let (name, case) = &films[mark.film];
        let Some(case) = *case else {
            missing.add(mark.film, name, mark.line);
            continue;
        };
        let size = file.films[mark.film].size;
        cases[case].points_size = size.or(cases[case].points_size);
        found.push(Found { path, case, film: name.clone(), mark });
    }
    let problem = missing.into_problem(file.form);
    problem.map_or(Ok(()), |problem| complain(None, points::error(path, problem).into()))
}

/// Films of a file that the dataset does not have.
#[derive(Default)]
struct Missing {
    films: HashSet<usize>,
    names: Vec<String>,
    line: Option<u64>,
}

impl Missing {
    /// Adds a landmark of the film with this index.
    fn add(&mut self, film: usize, name: &str, line: Option<u64>) {
        if self.films.insert(film) {
            self.line = self.line.or(line);
            self.names.push(name.to_owned());
        }
    }

    /// One problem about all of them.
    fn into_problem(self, form: Form) -> Option<Problem> {
        let Self { names, line, .. } = self;
        let first = names.first()?;
        let text = match first.as_str() {
            "" if form == Form::Csv => "there is no image's name; add a column image".to_owned(),
            "" => "a film has no name; give it the name of its image".to_owned(),
            first => format!("there is no image \"{}\" in images/", said(first)),
        };
        let others: Vec<String> = names.iter().skip(1).map(|name| format!("\"{}\"", said(name))).collect();
        let others = match others.as_slice() {
            [] => String::new(),
            others => format!(", and none for {}", few(others, MOST_NAMED)),
        };
        Some(Problem { line, text: text + &others })
    }
}

/// Looks the landmarks up and adds their positions to `cases`.
fn add_points(
    found: &[Found<'_>],
    set: Option<&LandmarkSet>,
    cases: &mut [Case],
    complain: &mut Complain<'_>,
) -> Result<(), DatasetError> {
    let Some(first) = found.first() else { return Ok(()) };
    let labels = found.iter().map(|found| &found.mark.label);
    let names = match set {
        // Numbers alone do not say which set they belong to: their count must fit.
        Some(set) if labels.clone().any(|label| label.name.is_some()) => Names::of(set),
        _ => match Names::built_in(labels, landmarks_of_most(found)) {
            Ok(names) => names,
            Err(problem) => return complain(None, points::error(first.path, problem).into()),
        },
    };
    let mut slots: BTreeMap<usize, Vec<Option<Option<Point>>>> = BTreeMap::new();
    // Of each file: what is twice, once for each film, and what is wrong with labels, once for all lines with the same fault.
    let mut faults: BTreeMap<&Path, [Faults; 2]> = BTreeMap::new();
    for Found { path, case, film, mark } in found {
        let slots = slots.entry(*case).or_insert_with(|| vec![None; names.count()]);
        let problem = |text: String| Problem { line: mark.line, text };
        match names.index(&mark.label) {
            Ok(index) if slots[index].is_some() => {
                let (landmark, film) = (names.describe(index), said(film));
                let text = format!("landmark {landmark} of {film} is given twice; keep one of the two");
                let [twice, _] = faults.entry(path).or_default();
                twice.add(case.to_string(), Some(*case), problem(text));
            }
            Ok(index) => slots[index] = Some(mark.at),
            Err(text) => {
                let [_, wrong] = faults.entry(path).or_default();
                wrong.add(text.clone(), Some(*case), problem(text));
            }
        }
    }
    for (path, faults) in faults {
        for (case, problem) in faults.into_iter().flat_map(Faults::into_problems) {
            let id = case.map(|case| cases[case].id.clone());
            complain(id.as_deref(), points::error(path, problem).into())?;
        }
    }
    for (case, slots) in slots {
        let positions: Vec<Option<Point>> = slots.into_iter().map(Option::flatten).collect();
        let own = found.iter().find(|found| found.case == case);
        if let Some((Found { path, .. }, text)) =
            own.and_then(|own| Some((own, doubt(Form::Csv, &own.film, &positions)?)))
        {
            complain(Some(&cases[case].id), points::error(path, Problem::new(text)).into())?;
            continue;
        }
        cases[case].points = positions.iter().any(Option::is_some).then_some(positions);
    }
    Ok(())
}

/// How many landmarks films have where they are given by numbers: as many as most films have, or up to the largest number that more
/// than half of the films have. If several counts are equally frequent, the first film's, otherwise the largest.
fn landmarks_of_most(found: &[Found<'_>]) -> usize {
    let mut numbers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for Found { case, mark, .. } in found {
        numbers.entry(*case).or_default().extend(mark.label.number);
    }
    let films_with = |count: &usize| numbers.values().filter(|other| other.len() == *count).count();
    let first = found.first().and_then(|found| numbers.get(&found.case)).map_or(0, BTreeSet::len);
    let counts: BTreeSet<usize> = numbers.values().map(BTreeSet::len).collect();
    let most = counts.into_iter().max_by_key(|count| (films_with(count), *count == first)).unwrap_or_default();
    let mut films_of: BTreeMap<usize, usize> = BTreeMap::new();
    numbers.values().flatten().for_each(|number| *films_of.entry(*number).or_default() += 1);
    let common = films_of.into_iter().filter(|(_, films)| 2 * films > numbers.len()).map(|(number, _)| number).max();
    most.max(common.unwrap_or_default()).min(MOST_LANDMARKS)
}

/// Adds the spacings of `spacing.csv` to `cases`. A film without a row has no spacing. Rows about films of other splits are ignored.
pub(super) fn read_spacing(path: &Path, cases: &mut [Case], complain: &mut Complain<'_>) -> Result<(), DatasetError> {
    let films = FilmNames::of(cases);
    for case in cases.iter_mut() {
        case.spacing = None;
    }
    let bytes = match read_file_at_most(path, table::LARGEST) {
        Ok(bytes) => bytes,
        Err(source) => return complain(None, DatasetError::Read { path: path.to_owned(), source }),
    };
    let text = match decode(&bytes) {
        Ok(text) => text,
        Err(what) => return complain(None, DatasetError::NotText { path: path.to_owned(), what }),
    };
    let wanted = ["image", "mm_per_px_x", "mm_per_px_y"];
    let fits = |columns: &[String]| wanted.iter().all(|name| columns.iter().any(|column| column == name));
    let table = match Table::read(text, "image, mm_per_px_x and mm_per_px_y", fits) {
        Ok(table) => table,
        Err(problem) => return complain(None, points::error(path, problem).into()),
    };
    let columns: Vec<usize> = wanted.iter().filter_map(|name| table.column(&[name])).collect();
    for problem in &table.problems {
        complain(None, points::error(path, problem.clone()).into())?;
    }
    let (mut numbers, mut faults) = (Numbers::default(), Faults::default());
    for Row { line, cells } in &table.rows {
        let [image, x, y] =
            [0, 1, 2].map(|index: usize| columns.get(index).map_or("", |column| cells[*column].as_str()));
        let image = from_cell(image);
        let case = films.find(&image);
        // Each film has its own faults, so that it is known which films lack a spacing.
        let kind = |fault: &str| format!("{fault} {case:?}");
        let said_size = format!("{} x {} mm", shown(x), shown(y));
        let spacing = match numbers.read(*line, x).and_then(|x| Ok((x, numbers.read(*line, y)?))) {
            Ok((Some(x), Some(y))) => Spacing::new(x, y, SPACING_SOURCE).ok(),
            Ok(_) | Err(NotANumber::Text) => None,
            Err(mark @ NotANumber::OtherMark { .. }) => {
                faults.add(kind("mark"), case, Problem::at(*line, format!("{said_size} has {mark}")));
                continue;
            }
        };
        let Some(spacing) = spacing else {
            // 0,1 in a table with commas between its columns.
            let commas = "; where commas are decimal marks, separate the columns by semicolons";
            let hint = if x == "0" && !y.contains(['.', ',']) { commas } else { "" };
            let text = format!("{said_size} is not the size of a pixel; it must be above 0, as 0.1{hint}");
            faults.add(kind("size"), case, Problem::at(*line, text));
            continue;
        };
        let stated = StatedSpacing { spacing, only_for: None };
        if case.is_some_and(|case| cases[case].spacing.replace(stated).is_some()) {
            let text = format!("the spacing of {} is given twice; keep one of the two", said(&image));
            faults.add(kind("twice"), case, Problem::at(*line, text));
        }
    }
    for (case, problem) in faults.into_problems() {
        let id = case.map(|case| cases[case].id.clone());
        complain(id.as_deref(), points::error(path, problem).into())?;
    }
    Ok(())
}

/// The films of a dataset by the names that tables use: the file's name or the id, and, where that means one film only, in other
/// capitals, with another ending, or without the leading zeros that spreadsheets drop.
struct FilmNames {
    exact: HashMap<String, usize>,
    /// `None` for names that two films have.
    loose: HashMap<String, Option<usize>>,
}

impl FilmNames {
    fn of(cases: &[Case]) -> Self {
        let (mut exact, mut loose) = (HashMap::new(), HashMap::new());
        for (index, case) in cases.iter().enumerate() {
            exact.insert(case.id.clone(), index);
            let name = case.film.file_name().and_then(|name| name.to_str());
            exact.insert(name.unwrap_or(&case.id).to_owned(), index);
            let same = |known: &mut Option<usize>| *known = known.filter(|other| cases[*other].id == case.id);
            loose.entry(Self::loose(&case.id)).and_modify(same).or_insert(Some(index));
        }
        Self { exact, loose }
    }

    fn find(&self, name: &str) -> Option<usize> {
        let name = file_name(name);
        self.exact.get(name).copied().or_else(|| self.loose.get(&Self::loose(name)).copied().flatten())
    }

    fn loose(name: &str) -> String {
        let name = without_extension(name).to_lowercase();
        let digits = name.trim_start_matches('0');
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.to_owned() } else { name }
    }
}
