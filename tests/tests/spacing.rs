//! One rule for spacing: every command uses the same mm for the same statements, and says the same. docs/SPACING.md has the results
//! (`ONEMARK_UPDATE=1` writes them again).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use image::{GrayImage, Luma};
use onemark_film::{Film, Spacing};
use onemark_tests::{Outcome, Program, backends, data_set, documented, tiny_bundle};
use serde_json::Value;
use tempfile::TempDir;

const DOCUMENT: &str = "SPACING.md";

/// What the file, the table of the dataset and a person state, in mm per px.
const FILE: &str = "0.6";
const TABLE: &str = "0.3";
const PERSON: &str = "0.2";
/// Films as small as they may be with the least of these.
const SIZE: (u32, u32) = (128, 160);
/// The size of published films, for which the layout states a spacing.
const PUBLISHED: (u32, u32) = (1935, 2400);
/// Enough films for `calibrate`.
const FILMS: usize = 20;
const LANDMARKS: u32 = 19;

/// The mm used, or none; and what is said of it.
#[derive(Debug, PartialEq)]
struct Answer {
    mm: Option<String>,
    said: Vec<String>,
}

/// A dataset of films.
#[derive(Clone, Copy, PartialEq)]
enum Data {
    /// `images/`, with a `spacing.csv` or without.
    Plain { table: bool },
    /// ISBI 2015's, with films of this size.
    Layout((u32, u32)),
}

/// What is stated: by the file, by the dataset, by a person.
#[derive(Clone, Copy)]
struct Stated {
    file: bool,
    data: Data,
    person: bool,
}

type Run = fn(&Path, Stated) -> Answer;

/// The commands; whether a command knows the dataset's statement, and a person's.
const COMMANDS: &[(&str, bool, bool, Run)] = &[
    ("detect", false, true, detect),
    ("view", false, true, view),
    ("adapt", false, true, adapt),
    ("evaluate", true, true, |here, stated| on_data(here, stated, "evaluate b.onemark --data data --films 1-2")),
    ("calibrate", true, true, |here, stated| {
        on_data(here, stated, "calibrate b.onemark --data data --force --out sure.onemark")
    }),
    ("cycle", true, true, |here, stated| {
        on_data(here, stated, "cycle b.onemark --data data --template 01 --films 2 --split all")
    }),
    ("data check", true, false, data_check),
    ("Rust", false, true, library),
];

#[test]
fn every_command_uses_the_same_mm_and_says_the_same() {
    let mut table = String::from("| file | dataset | person |");
    COMMANDS.iter().for_each(|(name, ..)| write!(table, " {name} |").unwrap());
    table += " what is said |\n|---|---|---|";
    table += &"---|".repeat(COMMANDS.len() + 1);
    table.push('\n');
    for (file, in_table) in [(false, false), (false, true), (true, false), (true, true)] {
        let here = folder(Data::Plain { table: in_table }, file, FILMS);
        for person in [false, true] {
            let stated = Stated { file, data: Data::Plain { table: in_table }, person };
            row(&mut table, here.path(), stated, COMMANDS);
        }
    }
    documented(DOCUMENT, "statements", &table);
}

#[test]
fn a_layout_states_what_it_knows() {
    let commands: Vec<_> = COMMANDS.iter().filter(|(name, ..)| ["evaluate", "data check"].contains(name)).collect();
    let commands: Vec<_> = commands.into_iter().copied().collect();
    let mut table =
        String::from("| file | films | person | evaluate | data check | what is said |\n|---|---|---|---|---|---|\n");
    for (size, file) in [(PUBLISHED, false), (PUBLISHED, true), (SIZE, false), (SIZE, true)] {
        let here = folder(Data::Layout(size), file, 3);
        for person in [false, true] {
            row(&mut table, here.path(), Stated { file, data: Data::Layout(size), person }, &commands);
        }
    }
    documented(DOCUMENT, "layouts", &table);
}

/// Adds a row to a table. All commands that know the same statements must have the same result.
fn row(table: &mut String, here: &Path, stated: Stated, commands: &[(&str, bool, bool, Run)]) {
    let Stated { file, data, person } = stated;
    let of_data = match data {
        Data::Plain { table } => (if table { TABLE } else { "" }).to_owned(),
        Data::Layout((width, height)) => format!("{width}x{height} px"),
    };
    let states_data = data != (Data::Plain { table: false });
    write!(table, "| {} | {of_data} | {} |", if file { FILE } else { "" }, if person { PERSON } else { "" }).unwrap();
    let mut results: Vec<(&str, Answer)> = Vec::new();
    for (name, knows_data, knows_person, run) in commands {
        if (states_data && !knows_data) || (person && !knows_person) {
            *table += " – |";
            continue;
        }
        let result = run(here, stated);
        let mm = result.mm.as_deref().unwrap_or(if *knows_data && *name != "data check" { "refused" } else { "none" });
        write!(table, " {mm} |").unwrap();
        results.push((name, result));
    }
    let (_, expected) = &results[0];
    for (name, result) in &results {
        assert_eq!(result.mm, expected.mm, "{name}, {of_data:?}, file: {file}, person: {person}");
        if result.mm.is_some() {
            assert_eq!(result.said, expected.said, "{name}, {of_data:?}, file: {file}, person: {person}");
        }
    }
    // Where there are no mm, commands say different things: some can do without.
    let mut said: Vec<&str> = Vec::new();
    for text in results.iter().flat_map(|(_, result)| &result.said) {
        if !said.contains(&text.as_str()) {
            said.push(text);
        }
    }
    writeln!(table, " {} |", said.join("<br>")).unwrap();
}

/// A folder with a bundle, points, and a dataset in `data` whose first films have the ids 01, 02 and 03.
fn folder(data: Data, dicom: bool, films: usize) -> TempDir {
    let here = tempfile::tempdir().unwrap();
    tiny_bundle().write(&here.path().join("b.onemark"), false).unwrap();
    let root = here.path().join("data");
    let (images, size) = match data {
        Data::Plain { .. } => ("images", SIZE),
        Data::Layout(size) => ("RawImage/TrainingData", size),
    };
    fs::create_dir_all(root.join(images)).unwrap();
    let mut points = "image,landmark,x,y\n".to_owned();
    let mut spacings = "image,mm_per_px_x,mm_per_px_y\n".to_owned();
    for number in 1..=films as u32 {
        let id = format!("{number:02}");
        let picture = GrayImage::from_fn(size.0, size.1, |x, y| Luma([(x * (number + 1) + y * y * number / 16) as u8]));
        let file = root.join(images).join(&id);
        if dicom {
            fs::write(file.with_extension("dcm"), film(&picture)).unwrap();
        } else {
            picture.save(file.with_extension("png")).unwrap();
        }
        let place = |landmark: u32| (10 + 5 * landmark + number % 3, 12 + 7 * landmark - number % 5);
        for (landmark, (x, y)) in (1..=LANDMARKS).map(|landmark| (landmark, place(landmark))) {
            writeln!(points, "{id},{landmark},{x},{y}").unwrap();
        }
        writeln!(spacings, "{id},{TABLE},{TABLE}").unwrap();
        if let Data::Layout(_) = data {
            let lines: String = (1..=LANDMARKS).map(place).map(|(x, y)| format!("{x},{y}\n")).collect();
            for reader in ["400_senior", "400_junior"] {
                fs::create_dir_all(root.join(reader)).unwrap();
                fs::write(root.join(reader).join(&id).with_extension("txt"), &lines).unwrap();
            }
        }
    }
    if let Data::Plain { table } = data {
        fs::write(root.join("landmarks.csv"), points).unwrap();
        if table {
            fs::write(root.join("spacing.csv"), spacings).unwrap();
        }
    }
    let table: String =
        (1..=LANDMARKS).map(|landmark| format!("{landmark},{},{}\n", 6 * landmark, 8 * landmark)).collect();
    fs::write(here.path().join("points.csv"), format!("landmark,x,y\n{table}")).unwrap();
    here
}

/// A DICOM film that states its spacing.
fn film(picture: &GrayImage) -> Vec<u8> {
    let [one, eight, rows, columns] =
        [1, 8, picture.height(), picture.width()].map(|number| (number as u16).to_le_bytes());
    let spacing = format!("{FILE}\\{FILE} ");
    let attributes: BTreeMap<u32, &[u8]> = [
        (0x0008_0005, &b"ISO_IR 192"[..]),
        (0x0028_0002, &one),
        (0x0028_0004, b"MONOCHROME2 "),
        (0x0028_0010, &rows),
        (0x0028_0011, &columns),
        (0x0028_0030, spacing.as_bytes()),
        (0x0028_0100, &eight),
        (0x7FE0_0010, picture.as_raw()),
    ]
    .into();
    data_set(&attributes)
}

fn film_file(stated: Stated, number: u32) -> String {
    format!("data/images/{number:02}.{}", if stated.file { "dcm" } else { "png" })
}

/// The options of a run: the backend, and a person's statement.
fn options(stated: Stated) -> String {
    let person = if stated.person { format!(" --spacing {PERSON}") } else { String::new() };
    format!(" --backend {}{person}", backends()[0])
}

/// The mm that a spacing in JSON states.
fn mm(spacing: &Value) -> Option<String> {
    spacing["mm_per_px"][0].as_f64().map(|mm| mm.to_string())
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn detect(here: &Path, stated: Stated) -> Answer {
    let line = format!("detect {} --bundle b.onemark --json -{}", film_file(stated, 1), options(stated));
    let outcome = Program::Runtime.succeed(here, &line);
    let json: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let said = texts(&json["films"][0]["warnings"]);
    assert!(said.iter().all(|said| outcome.stderr.contains(said)), "{said:?} are not in {}", outcome.stderr);
    Answer { mm: mm(&json["films"][0]["spacing"]), said }
}

fn view(here: &Path, stated: Stated) -> Answer {
    let line = format!("view {} --bundle b.onemark{}", film_file(stated, 1), options(stated));
    let mut process = Program::Runtime.command(here, &line).spawn().unwrap();
    let mut link = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut link).unwrap();
    let (host, secret) = link.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let secret = secret.trim_matches('/');
    write!(stream, "GET /{secret}/films/0 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    let json: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    Answer { mm: mm(&json["spacing"]), said: texts(&json["warnings"]) }
}

fn adapt(here: &Path, stated: Stated) -> Answer {
    let films = [1, 2].map(|number| format!(" --film {} --points points.csv", film_file(stated, number))).concat();
    printed(here, &format!("adapt b.onemark --force --out adapted.onemark{films}{}", options(stated)))
}

fn on_data(here: &Path, stated: Stated, line: &str) -> Answer {
    printed(here, &format!("{line}{}", options(stated)))
}

/// The result of a command that prints a line per spacing, and warnings or an error.
fn printed(here: &Path, line: &str) -> Answer {
    let outcome = Outcome::from(Program::Runtime.command(here, line).output().unwrap());
    let used = outcome.stdout.lines().find_map(|line| line.split_once(": ")?.1.split_once(" mm per px by "));
    let mm = used.map(|(used, _)| used.split_once(" x ").unwrap().0.to_owned());
    let of = |kind: &str| -> Vec<String> {
        let lines = outcome.stderr.lines().filter_map(|line| line.strip_prefix(kind));
        lines.map(|line| line.rsplit_once(": ").map_or(line, |(_, said)| said).to_owned()).collect()
    };
    let errors = outcome.stderr.lines().filter_map(|line| line.strip_prefix("error: "));
    let errors: Vec<String> = errors.map(|error| error.replace("\\", "/")).collect();
    assert_eq!(errors.is_empty(), outcome.success, "{line}: {}{}", outcome.stdout, outcome.stderr);
    Answer { mm, said: [of("warning: "), errors].concat() }
}

fn data_check(here: &Path, _: Stated) -> Answer {
    let outcome = Outcome::from(Program::Runtime.command(here, "data check data --json -").output().unwrap());
    let json: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let used = json["spacings"].as_object().unwrap().keys().next();
    let kinds = ["no-spacing", "odd-spacing"].map(Value::from);
    let findings = json["findings"].as_array().unwrap().iter().filter(|finding| kinds.contains(&finding["kind"]));
    let said = findings.map(|finding| finding["message"].as_str().unwrap().to_owned()).collect();
    Answer { mm: used.map(|used| used.split_once(" x ").unwrap().0.to_owned()), said }
}

fn library(here: &Path, stated: Stated) -> Answer {
    let film = Film::open(here.join(film_file(stated, 1))).unwrap();
    let person = stated.person.then(|| Spacing::parse(PERSON, "--spacing").unwrap());
    let film = film.with_stated(None, person.as_ref());
    let said = film.warnings().iter().map(ToString::to_string).collect();
    Answer { mm: film.spacing().map(|spacing| spacing.x().to_string()), said }
}
