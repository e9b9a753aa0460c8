//! Tables: a row per landmark (image, landmark, x, y; also what `onemark detect --csv` writes), or a row per film with two columns
//! per landmark (image, then `sella_x`, `sella_y` or `1_x`, `1_y`).

use std::collections::HashMap;

use onemark_film::visible::{cell as safe_cell, from_cell};
use onemark_models::landmarks::LandmarkSet;

use super::marks::{Label, Mark, Marks, annotated, has_position, number, unknown_status};
use super::{FilmIdentity, FilmPoints, Form};
use crate::table::{Faults, NotANumber, Numbers, Problem, Row, Table, plain, shown};

/// The spellings of columns, as [`crate::table::plain`] makes them, the surest first.
const IMAGE: [&str; 7] = ["image", "film", "file", "filename", "file_name", "image_name", "image_file"];
const LANDMARK: [&str; 4] = ["landmark", "label", "landmark_name", "name"];
const NUMBER: [&str; 5] = ["number", "landmark_number", "landmark_no", "no", "nr"];
/// What is called px counts, because x and y beside it are in mm.
const IN_PX: [[&str; 2]; 2] = [["x_px", "y_px"], ["px_x", "px_y"]];
const POSITION: [&str; 2] = ["x", "y"];

/// Columns that the tables of `onemark detect` have together. A table with all of them has its statuses.
const OWN: [&str; 6] = ["number", "name", "title", "status", "x_px", "y_px"];

const WANTED: &str = "landmark, x and y (and image, if there are several films), or image and two columns for each \
                      landmark (sella_x, sella_y, or 1_x, 1_y)";

/// Where the values of a row are.
enum Columns {
    /// A row per landmark: the columns of its name and its number, and of its position.
    Landmarks { name: Option<usize>, number: Option<usize>, at: [usize; 2] },
    /// A row per film: each landmark's label and the columns of its position.
    Films(Vec<(Label, [usize; 2])>),
}

impl Columns {
    /// The meaning of columns with these plain names; `None` if they have none.
    fn of(columns: &[String]) -> Option<Self> {
        let column = |names: &[&str]| names.iter().find_map(|name| columns.iter().position(|column| column == name));
        let (name, number) = (column(&LANDMARK), column(&NUMBER));
        let position = |[x, y]: &[&str; 2]| Some([column(&[x])?, column(&[y])?]);
        let at = IN_PX.iter().chain([&POSITION]).find_map(position);
        if let Some(at) = at.filter(|_| name.is_some() || number.is_some()) {
            return Some(Self::Landmarks { name, number, at });
        }
        let place =
            |label: &str, ending: &str| columns.iter().position(|column| column.strip_suffix(ending) == Some(label));
        let pairs = columns.iter().enumerate().filter_map(|(x, column)| {
            let (label, in_px) = match column.strip_suffix("_x_px") {
                Some(label) => (label, true),
                None => (column.strip_suffix("_x")?, false),
            };
            if !in_px && place(label, "_x_px").is_some() {
                return None;
            }
            let [first, second] = if in_px { ["_y_px", "_y"] } else { ["_y", "_y_px"] };
            Some((Label::of(label), [x, place(label, first).or_else(|| place(label, second))?]))
        });
        let pairs: Vec<_> = pairs.filter(|(label, _)| label.name.as_deref() != Some("")).collect();
        (!pairs.is_empty()).then_some(Self::Films(pairs))
    }
}

/// The marks of a table.
pub(super) fn read(text: &str) -> Result<Marks, Problem> {
    let mut table = Table::read(text, WANTED, |columns| Columns::of(columns).is_some())?;
    // It was found to be something.
    let Some(columns) = Columns::of(&table.columns) else { return Err(Problem::new(WANTED)) };
    let image = table.column(&IMAGE);
    let is_own = OWN.iter().all(|name| table.column(&[name]).is_some());
    let [status, failure] = ["status", "error"].map(|name| table.column(&[name]));
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut reader = Reader { marks: Marks::new(Form::Csv), numbers: Numbers::default(), faults: Faults::default() };
    reader.marks.problems.append(&mut table.problems);
    reader.marks.problems.extend(match &columns {
        Columns::Films(_) => lonely(&table),
        Columns::Landmarks { .. } => half_in_px(&table),
    });
    for Row { line, cells } in &table.rows {
        let cell = |column: Option<usize>| column.and_then(|column| cells.get(column)).map_or("", String::as_str);
        if !cell(failure).is_empty() {
            continue;
        }
        let name = cell(image);
        let film = *known.entry(name).or_insert_with(|| reader.marks.add_film(FilmIdentity::named(&from_cell(name))));
        match &columns {
            Columns::Landmarks { name, number: digits, at } => {
                let mut label = Label::of(&from_cell(cell(*name)));
                label.name = label.name.filter(|name| !name.is_empty());
                label.number = number(cell(*digits)).or(label.number);
                if label == Label::default() {
                    reader.faults.add("name", None, Problem::at(*line, "no landmark is named"));
                } else {
                    let status = cell(status);
                    let is_there = match has_position(status) {
                        Some(is_there) => is_there,
                        None if is_own && !status.is_empty() => {
                            reader.faults.add("status", None, Problem::at(*line, unknown_status(status)));
                            continue;
                        }
                        // A column of this name may be another program's, or a person's.
                        None => has_position(&plain(status).replace('_', "-")) != Some(false),
                    };
                    reader.add(film, *line, label, at.map(|column| if is_there { cell(Some(column)) } else { "" }));
                }
            }
            Columns::Films(landmarks) => {
                for (label, at) in landmarks {
                    reader.add(film, *line, label.clone(), at.map(|column| cell(Some(column))));
                }
            }
        }
    }
    Ok(reader.done())
}

struct Reader {
    marks: Marks,
    numbers: Numbers,
    faults: Faults,
}

impl Reader {
    /// Adds the landmark at a position in these cells, or says what is wrong with them.
    fn add(&mut self, film: usize, line: u64, label: Label, [x, y]: [&str; 2]) {
        let shown_pair = || format!("({}, {})", shown(x), shown(y));
        let pair = self.numbers.read(line, x).and_then(|x| Ok((x, self.numbers.read(line, y)?)));
        let at = match pair {
            Ok((Some(x), Some(y))) => annotated(x, y),
            Ok((None, None)) => None,
            Ok(_) => {
                let text = format!("{} has one of x and y; write both, or leave both empty", shown_pair());
                return self.faults.add("one of two", None, Problem::at(line, text));
            }
            Err(NotANumber::Text) => {
                let text = format!("{} is not a position in px", shown_pair());
                return self.faults.add("number", None, Problem::at(line, text));
            }
            Err(mark @ NotANumber::OtherMark { .. }) => {
                let text = format!("{} has {mark}", shown_pair());
                return self.faults.add("mark", None, Problem::at(line, text));
            }
        };
        self.marks.marks.push(Mark { film, line: Some(line), label, at });
    }

    fn done(mut self) -> Marks {
        self.marks.problems.extend(self.faults.into_problems().map(|(_, problem)| problem));
        self.marks
    }
}

/// A problem about a column in px without the other one, in a table with a row per landmark: x and y beside it may be in mm.
fn half_in_px(table: &Table) -> Option<Problem> {
    let has = |name: &str| table.column(&[name]).is_some();
    let mut pairs = IN_PX.into_iter().flat_map(|[x, y]| [(x, y), (y, x)]);
    let (column, other) = pairs.find(|(column, other)| has(column) && !has(other))?;
    Some(Problem::at(table.header, without_other(column, other, "")))
}

fn without_other(column: &str, other: &str, others: &str) -> String {
    let (column, other) = (shown(column), shown(other));
    format!("column \"{column}\" has no column \"{other}\" beside it; add it, or rename \"{column}\"{others}")
}

/// One problem about all columns for an x or a y of a table with a row per film that lack their other half.
fn lonely(table: &Table) -> Option<Problem> {
    let has = |label: &str, endings: [&str; 2]| {
        endings.iter().any(|ending| table.columns.iter().any(|column| column.strip_suffix(ending) == Some(label)))
    };
    let half = |column: &String, endings: [&str; 2], others: [&str; 2]| {
        let (label, ending) = endings.iter().find_map(|ending| Some((column.strip_suffix(ending)?, ending)))?;
        let is_alone = !label.is_empty() && !has(label, others);
        is_alone.then(|| (column.clone(), format!("{label}{}", if ending.starts_with("_x") { "_y" } else { "_x" })))
    };
    let (x, y) = (["_x", "_x_px"], ["_y", "_y_px"]);
    let mut lonely = table.columns.iter().filter_map(|column| half(column, x, y).or_else(|| half(column, y, x)));
    let (column, other) = lonely.next()?;
    let others = match lonely.count() {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    Some(Problem::at(table.header, without_other(&column, &other, &others)))
}

/// A table `image,landmark,x,y` with landmarks by name, without those that are not annotated.
pub(super) fn write(films: &[FilmPoints], set: &LandmarkSet) -> String {
    let mut table = csv::Writer::from_writer(Vec::new());
    // Into memory, and with four cells in each row, so nothing can fail.
    let _ = table.write_record(["image", "landmark", "x", "y"]);
    for film in films {
        let image = safe_cell(film.film.name.as_deref().unwrap_or_default());
        for (landmark, point) in super::annotated(film, set) {
            let _ = table.write_record([image.as_ref(), &landmark.name, &point.x.to_string(), &point.y.to_string()]);
        }
    }
    String::from_utf8(table.into_inner().unwrap_or_default()).unwrap_or_default()
}
