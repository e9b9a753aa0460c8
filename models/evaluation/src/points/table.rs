//! Tables: a row per landmark (image, landmark, x, y; also what `onemark detect --csv` writes), or a row per film with two columns
//! per landmark (image, then `sella_x`, `sella_y` or `1_x`, `1_y`).

use std::collections::HashMap;

use onemark_models::landmarks::LandmarkSet;

use super::marks::{Label, Mark, Marks, annotated, number};
use super::{FilmIdentity, FilmPoints, Form};
use crate::table::{NotANumber, Numbers, Problem, Row, Table, also, index_of, shown};

/// The spellings of columns, as [`crate::table::plain`] makes them, the surest first.
const IMAGE: [&str; 7] = ["image", "film", "file", "filename", "file_name", "image_name", "image_file"];
const LANDMARK: [&str; 4] = ["landmark", "label", "landmark_name", "name"];
const NUMBER: [&str; 5] = ["number", "landmark_number", "landmark_no", "no", "nr"];
const X: [&str; 3] = ["x", "x_px", "px_x"];
const Y: [&str; 3] = ["y", "y_px", "px_y"];

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
        if let (Some(x), Some(y), true) = (column(&X), column(&Y), name.is_some() || number.is_some()) {
            return Some(Self::Landmarks { name, number, at: [x, y] });
        }
        let pairs = columns.iter().enumerate().filter_map(|(x, column)| {
            let label = column.strip_suffix("_x").or_else(|| column.strip_suffix("_x_px"))?;
            let is_y = |column: &String| column.strip_prefix(label).is_some_and(|rest| rest == "_y" || rest == "_y_px");
            Some((Label::of(label), [x, columns.iter().position(is_y)?]))
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
    let [status, failure] = ["status", "error"].map(|name| table.column(&[name]));
    let mut known = HashMap::new();
    let mut reader = Reader { marks: Marks::new(Form::Csv), numbers: Numbers::default(), bad: Vec::new() };
    reader.marks.problems.append(&mut table.problems);
    for Row { line, cells } in &table.rows {
        let cell = |column: Option<usize>| column.and_then(|column| cells.get(column)).map_or("", String::as_str);
        if !cell(failure).is_empty() {
            continue;
        }
        let film = index_of(&mut known, cell(image));
        if film == reader.marks.films.len() {
            reader.marks.add_film(FilmIdentity::named(cell(image)));
        }
        match &columns {
            Columns::Landmarks { name, number: digits, at } => {
                let mut label = Label::of(cell(*name));
                label.name = label.name.filter(|name| !name.is_empty());
                label.number = number(cell(*digits)).or(label.number);
                if label == Label::default() {
                    reader.bad.push((*line, "no landmark is named".to_owned()));
                } else {
                    let found = cell(status) != "not-found";
                    reader.add(film, *line, label, at.map(|column| if found { cell(Some(column)) } else { "" }));
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
    /// What is wrong with lines, for one message on all of them.
    bad: Vec<(u64, String)>,
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
                return self.bad.push((line, text));
            }
            Err(NotANumber::Text) => {
                return self.bad.push((line, format!("{} is not a position in px", shown_pair())));
            }
            Err(NotANumber::OtherMark { line: other }) => {
                let text = format!(
                    "{} has another decimal mark than line {other}; write all numbers with points, or all with commas, \
                     and none with marks for thousands",
                    shown_pair()
                );
                return self.bad.push((line, text));
            }
        };
        self.marks.marks.push(Mark { film, line: Some(line), label, at });
    }

    fn done(mut self) -> Marks {
        if let Some((line, text)) = self.bad.first() {
            let mut lines: Vec<u64> = self.bad.iter().map(|(line, _)| *line).collect();
            lines.dedup();
            self.marks.problems.push(Problem::at(*line, text.clone() + &also(lines)));
        }
        self.marks
    }
}

/// A table `image,landmark,x,y` with landmarks by name, without those that are not annotated.
pub(super) fn write(films: &[FilmPoints], set: &LandmarkSet) -> String {
    let mut table = csv::Writer::from_writer(Vec::new());
    // Into memory, and with four cells in each row, so nothing can fail.
    let _ = table.write_record(["image", "landmark", "x", "y"]);
    for film in films {
        let image = film.film.name.as_deref().unwrap_or_default();
        for (landmark, point) in super::annotated(film, set) {
            let _ = table.write_record([image, &landmark.name, &point.x.to_string(), &point.y.to_string()]);
        }
    }
    String::from_utf8(table.into_inner().unwrap_or_default()).unwrap_or_default()
}
