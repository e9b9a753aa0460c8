//! Tables in text files as spreadsheets and other programs write them: columns separated by commas, semicolons or tabs, decimal
//! points or commas, column names in any spelling, a byte order mark, Excel's first line `sep=;`.
//!
//! What a table means is decided elsewhere: by the dataset, and by [`crate::points`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use onemark_film::visible::cut;
use onemark_models::text::few;

/// The largest size of a table, in bytes.
pub(crate) const LARGEST: u64 = 24 << 20;
/// What may stand between two columns; the first one by which the header has the wanted columns is used.
const DELIMITERS: [u8; 3] = [b'\t', b';', b','];
/// What programs write where there is no value.
const NOTHING: [&str; 7] = ["", "-", "nan", "na", "n/a", "null", "none"];
/// The most columns of a table, two for each landmark and more; those beyond it are not read.
const MOST_COLUMNS: usize = 4096;
/// The most columns that a message names.
const MOST_NAMED: usize = 12;
/// The most characters of a cell that a message shows, and of a name or of the words of another library.
const MOST_SHOWN: usize = 60;
const MOST_SAID: usize = 200;
/// The most lines that one message names.
const MOST_LINES: usize = 5;

/// Something wrong in a file: what it is and how to correct it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    /// The line, from 1, if it concerns one.
    pub line: Option<u64>,
    /// The words.
    pub text: String,
}

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { line: None, text: text.into() }
    }

    pub(crate) fn at(line: u64, text: impl Into<String>) -> Self {
        Self { line: Some(line), text: text.into() }
    }
}

const NOT_UTF8: &str =
    "it is not UTF-8 text; its letters may be in Latin-1 or Windows-1252: save it as UTF-8 (in Excel: \"CSV UTF-8\")";

/// The text of a file, without its byte order mark, or in words why it is none.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, &'static str> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err("it is UTF-16 text; save it as UTF-8 (in Excel: \"CSV UTF-8\")");
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Err("it is a workbook or an archive, not a text file; save the sheet as \"CSV UTF-8\"");
    }
    let text = str::from_utf8(bytes).map_err(|_| NOT_UTF8)?;
    if text.contains('\0') {
        return Err("it holds zero bytes, as UTF-16 text does; save it as UTF-8 (in Excel: \"CSV UTF-8\")");
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A table with a header.
#[derive(Debug)]
pub(crate) struct Table {
    /// The columns' names as [`plain`] spells them.
    pub columns: Vec<String>,
    /// The rows with as many cells as there are columns.
    pub rows: Vec<Row>,
    /// What is wrong with other rows.
    pub problems: Vec<Problem>,
    /// The line of the columns' names.
    pub header: u64,
}

/// A row of a table: its line from 1, and its cells without white space around them.
#[derive(Debug)]
pub(crate) struct Row {
    pub line: u64,
    pub cells: Vec<String>,
}

impl Table {
    /// Reads a table whose header satisfies `fits`, which is given the columns' plain names. `wanted` says in words which columns
    /// that takes.
    ///
    /// # Errors
    /// One for the whole header. A row with too many or too few cells is left out and is in `problems`.
    pub(crate) fn read(text: &str, wanted: &str, fits: impl Fn(&[String]) -> bool) -> Result<Self, Problem> {
        let (stated, text, skipped) = separator(text);
        let tried: Vec<u8> = stated.map_or(DELIMITERS.to_vec(), |delimiter| vec![delimiter]);
        let header = |delimiter: &u8| records(text, *delimiter).next().unwrap_or_default().cells;
        let plain_header = |delimiter: &u8| header(delimiter).iter().map(|name| plain(name)).collect::<Vec<_>>();
        let Some(delimiter) = tried.iter().find(|delimiter| fits(&plain_header(delimiter))) else {
            let widest = tried.iter().map(header).max_by_key(Vec::len).unwrap_or_default();
            let named = widest
                .iter()
                .take(MOST_NAMED)
                .map(|name| format!("\"{}\"", shown(name)))
                .collect::<Vec<_>>()
                .join(", ");
            let what = format!("the first line must name {wanted}, with commas, semicolons or tabs between them");
            let named = if named.is_empty() { "it is empty".to_owned() } else { format!("it names {named}") };
            return Err(Problem::at(skipped + 1, format!("{what}; {named}")));
        };
        let columns = plain_header(delimiter);
        if let Some(twice) = (1..columns.len()).find(|&index| columns[..index].contains(&columns[index])) {
            let name = shown(&columns[twice]);
            return Err(Problem::at(skipped + 1, format!("two columns are called \"{name}\"; rename one of them")));
        }
        let mut table = Self { columns, rows: Vec::new(), problems: Vec::new(), header: skipped + 1 };
        let mut uneven = Vec::new();
        for mut row in records(text, *delimiter).skip(1) {
            row.line += skipped;
            // Spreadsheets write rows of nothing but separators below a table.
            if row.cells.iter().all(String::is_empty) {
                continue;
            }
            // They also write separators behind the last column.
            while row.cells.len() > table.columns.len() && row.cells.last().is_some_and(String::is_empty) {
                row.cells.pop();
            }
            if row.cells.len() == table.columns.len() {
                table.rows.push(row);
            } else {
                uneven.push((row.line, row.cells.len()));
            }
        }
        table.problems.extend(uneven_rows(&uneven, table.columns.len(), *delimiter, table.header));
        Ok(table)
    }

    /// The index of the first column with one of these plain names.
    pub(crate) fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.columns.iter().position(|column| column == name))
    }
}

/// One message for all rows with another number of cells than the header.
fn uneven_rows(rows: &[(u64, usize)], expected: usize, delimiter: u8, header: u64) -> Option<Problem> {
    let (first, found) = *rows.first()?;
    let hint = match delimiter {
        b',' if found > expected => "; where commas are decimal marks, separate the columns by semicolons",
        _ => "",
    };
    let text = format!("there are {found} fields where {expected} are named in line {header}{hint}");
    Some(Problem::at(first, text + &also(rows.iter().map(|(line, _)| *line))))
}

/// The further lines that a message about the first of `lines` concerns, in brackets; nothing if there is only one line.
pub(crate) fn also(lines: impl IntoIterator<Item = u64>) -> String {
    let others: Vec<String> = lines.into_iter().skip(1).map(|line| line.to_string()).collect();
    match others.len() {
        0 => String::new(),
        1 => format!(" (also line {})", others.concat()),
        _ => format!(" (also lines {})", few(&others, MOST_LINES)),
    }
}

/// Excel's first line `sep=;`, if the text begins with it: the separator, the text behind it, and the number of lines left out.
fn separator(text: &str) -> (Option<u8>, &str, u64) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim_end_matches('\r');
    match line.trim_matches('"').to_ascii_lowercase().strip_prefix("sep=").map(str::as_bytes) {
        Some([delimiter]) if DELIMITERS.contains(delimiter) => (Some(*delimiter), rest, 1),
        _ => (None, text, 0),
    }
}

fn records(text: &str, delimiter: u8) -> impl Iterator<Item = Row> {
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let (mut line, mut counted) = (1, 0);
    // In memory and of any length, UTF-8 text is always a table.
    reader.into_records().filter_map(Result::ok).map(move |record| {
        // The reader's own line is that of empty lines before the record.
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let rest = text.get(start..).unwrap_or_default();
        let start = start + (rest.len() - rest.trim_start_matches(['\r', '\n']).len());
        line += ends_of_lines(text.get(counted..start).unwrap_or_default());
        counted = start;
        Row { line, cells: record.iter().take(MOST_COLUMNS).map(|cell| cell.trim().to_owned()).collect() }
    })
}

/// The number of ends of lines: `\n`, `\r\n` or `\r`.
fn ends_of_lines(text: &str) -> u64 {
    let (both, returns) = (text.matches("\r\n").count(), text.matches('\r').count());
    (text.matches('\n').count() + returns - both) as u64
}

impl Default for Row {
    fn default() -> Self {
        Self { line: 1, cells: Vec::new() }
    }
}

/// A name without the differences that people make: small letters and digits, `_` for each run of anything else between them.
pub(crate) fn plain(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

/// A cell for a message: short, with hidden characters written out.
pub(crate) fn shown(cell: &str) -> Cow<'_, str> {
    cut(cell, MOST_SHOWN)
}

/// A film's name, or an error of another library that may repeat a text of the file, for a message.
pub(crate) fn said(text: &str) -> Cow<'_, str> {
    cut(text, MOST_SAID)
}

/// Faults of many lines of a file: each kind of them is said once.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// In the order of their first lines.
    faults: Vec<Fault>,
    /// The places of kinds in `faults`.
    places: HashMap<String, usize>,
}

#[derive(Debug)]
struct Fault {
    /// The index of the film, if all are about one.
    film: Option<usize>,
    first: Problem,
    /// The lines of all, each once.
    lines: Vec<u64>,
    /// The number of faults of this kind.
    count: usize,
}

impl Faults {
    /// Adds a fault, which is about the film with this index or about none. The words of the first one of a kind are said.
    pub(crate) fn add(&mut self, kind: impl Into<String>, film: Option<usize>, problem: Problem) {
        let place = *self.places.entry(kind.into()).or_insert(self.faults.len());
        match self.faults.get_mut(place) {
            None => {
                let lines = problem.line.into_iter().collect();
                self.faults.push(Fault { film, first: problem, lines, count: 1 });
            }
            Some(fault) => {
                fault.film = fault.film.filter(|one| film == Some(*one));
                fault.lines.extend(problem.line.filter(|line| fault.lines.last() != Some(line)));
                fault.count += 1;
            }
        }
    }

    /// One problem for each kind, with the index of the film that it is about, if it is about one.
    pub(crate) fn into_problems(self) -> impl Iterator<Item = (Option<usize>, Problem)> {
        self.faults.into_iter().map(|Fault { film, first: Problem { line, text }, lines, count }| {
            let others = match line {
                None if count > 1 => format!(" (and {} more)", count - 1),
                _ => also(lines),
            };
            (film, Problem { line, text: text + &others })
        })
    }
}

/// Reads the numbers of one table. A number has a decimal point or a decimal comma, the same in the whole table: `1,234` beside
/// `0.5` would be a thousand or more.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// The decimal mark of the first number that has one, and its line.
    mark: Option<(char, u64)>,
}

impl Numbers {
    /// The number in a cell; `None` if the cell says that there is no value.
    pub(crate) fn read(&mut self, line: u64, cell: &str) -> Result<Option<f64>, NotANumber> {
        if is_nothing(cell) {
            return Ok(None);
        }
        let mark = match (cell.matches('.').count(), cell.matches(',').count()) {
            (0, 0) => None,
            (_, 0) => Some('.'),
            (0, 1) => Some(','),
            _ => return Err(NotANumber::Text),
        };
        let number: f64 = cell.replace(',', ".").parse().map_err(|_| NotANumber::Text)?;
        if !number.is_finite() {
            return Err(NotANumber::Text);
        }
        match (mark, self.mark) {
            (Some(mark), None) => self.mark = Some((mark, line)),
            (Some(mark), Some((other, line))) if mark != other => return Err(NotANumber::OtherMark { line }),
            _ => {}
        }
        Ok(Some(number))
    }
}

/// Why a cell holds no number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NotANumber {
    Text,
    /// Its decimal mark is another than that of this line.
    OtherMark {
        line: u64,
    },
}

/// What a cell has instead of a number, to follow "has".
impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("something that is not a number"),
            Self::OtherMark { line } => write!(
                f,
                "another decimal mark than line {line}; write all numbers with points, or all with commas, and none with marks \
                 for thousands"
            ),
        }
    }
}

/// Whether a cell says that there is no value.
pub(crate) fn is_nothing(cell: &str) -> bool {
    NOTHING.contains(&cell.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Table, Problem> {
        Table::read(text, "a and b", |columns| ["a", "b"].iter().all(|name| columns.iter().any(|c| c == name)))
    }

    #[test]
    fn separators_and_spellings() {
        for text in [
            "a,b\n1,2\n",
            "A;B\r\n1;2\r\n",
            "a\tb\n1\t2",
            "sep=;\na;b\n1;2\n",
            "\"sep=,\"\na,b\n1,2\n",
            " A (px) ,b\r1,2\r".replace(" (px)", "").as_str(),
            "\"a\";\"b\"\n\"1\";\" 2 \"\n;;\n\n",
            "a;b\n1;2;;\n",
        ] {
            let table = read(text).unwrap();
            assert_eq!(table.columns, ["a", "b"], "{text:?}");
            assert_eq!(table.rows.len(), 1, "{text:?}");
            assert_eq!((table.rows[0].cells.join(" "), table.problems.len()), ("1 2".to_owned(), 0), "{text:?}");
        }
        // The line is that of the file.
        for text in ["sep=;\na;b\n\n1;2\n", "a;b\r\n\r\n\r\n1;2\r\n", "a;\"b\"\r\r\r1;2\r", "a;b;\"c\nd\ne\"\n1;2;3\n"]
        {
            assert_eq!(read(text).unwrap().rows[0].line, 4, "{text:?}");
        }
    }

    #[test]
    fn one_word_about_the_header_and_one_about_uneven_rows() {
        let Problem { line, text } = read("x;y;z\n1;2;3\n").unwrap_err();
        assert_eq!(line, Some(1));
        assert!(text.contains("must name a and b") && text.contains("\"x\", \"y\", \"z\""), "{text}");
        assert!(read("a,b,A\n1,2,3\n").unwrap_err().text.contains("two columns are called \"a\""));
        assert!(read("").unwrap_err().text.ends_with("; it is empty"));
        let table = read("a,b\n1,5,2,5\n3,4\n1,5,3,5\n").unwrap();
        let [Problem { line: Some(2), text }] = &table.problems[..] else { unreachable!("{:?}", table.problems) };
        assert!(text.contains("4 fields where 2") && text.contains("semicolons (also line 4)"), "{text}");
        assert_eq!(also([1, 2, 3, 4, 5, 6, 7, 8]), " (also lines 2, 3, 4, 5, 6 and 2 more)");
    }

    #[test]
    fn a_kind_of_fault_is_said_once() {
        let mut faults = Faults::default();
        for line in 2..=9 {
            faults.add("number", Some(1), Problem::at(line, format!("{line} is no number")));
            faults.add("number", Some(1), Problem::at(line, "again"));
        }
        faults.add("name", Some(1), Problem::at(3, "no name"));
        faults.add("name", Some(2), Problem::at(4, "no name"));
        faults.add("shape", None, Problem::new("no point"));
        faults.add("shape", None, Problem::new("no point"));
        let said: Vec<_> = faults.into_problems().map(|(film, problem)| (film, problem.line, problem.text)).collect();
        let expected = [
            (Some(1), Some(2), "2 is no number (also lines 3, 4, 5, 6, 7 and 2 more)".to_owned()),
            (None, Some(3), "no name (also line 4)".to_owned()),
            (None, None, "no point (and 1 more)".to_owned()),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn text_that_is_none_is_named() {
        assert_eq!(decode("\u{feff}a".as_bytes()), Ok("a"));
        for (bytes, expected) in [
            (&b"\xFF\xFEa\0"[..], "UTF-16"),
            (b"a\0,\0", "UTF-16"),
            (b"PK\x03\x04", "workbook"),
            (b"M\xE9nton", "not UTF-8"),
        ] {
            assert!(decode(bytes).unwrap_err().contains(expected), "{bytes:?}");
        }
    }

    #[test]
    fn numbers_have_one_decimal_mark() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.read(2, "72,2"), Ok(Some(72.2)));
        assert_eq!(numbers.read(3, "72"), Ok(Some(72.0)));
        assert_eq!(numbers.read(4, "NaN"), Ok(None));
        assert_eq!(numbers.read(5, "72.2"), Err(NotANumber::OtherMark { line: 2 }));
        for text in ["1.234,5", "1,234,567", "seven", "inf", "1e999", "1 000", "0x10"] {
            assert_eq!(Numbers::default().read(1, text), Err(NotANumber::Text), "{text}");
        }
        assert_eq!(plain(" Posterior-Nasal  Spine (px)"), "posterior_nasal_spine_px");
    }
}
