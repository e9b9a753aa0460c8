//! What is said of points that can't be used. Every row of the tables in docs/FORMATS.md is the answer of a command to files that are
//! made here (`ONEMARK_UPDATE=1` writes the tables again).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};
use onemark_tests::{Outcome, Program, documented};

/// The document with the tables.
const DOCUMENT: &str = "FORMATS.md";

/// A set of two landmarks.
const SET: &str = "id: two
name: Two
source: a test
landmarks:
  - { number: 1, name: sella, title: Sella, definition: One. }
  - { number: 2, name: nasion, title: Nasion, definition: Two. }
";

/// Stands for a file that is not there.
const NONE: &str = "no file";

/// A situation, a file's name and bytes, and more words of the command line.
type Case<'a> = (&'a str, &'a str, Vec<u8>, &'a str);

/// A folder with the films 1.png and 2.png of 40x30 px.
fn films(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for n in [1, 2] {
        let picture = GrayImage::from_fn(40, 30, |x, y| Luma([(n * (4 * x + 3 * y)) as u8]));
        picture.save(folder.join(format!("{n}.png"))).unwrap();
    }
}

/// What a command says when it fails, or warns of: its lines, without "error: ".
fn said(here: &Path, line: &str) -> String {
    let Outcome { stderr, .. } = Outcome::from(Program::Runtime.command(here, line).output().unwrap());
    let lines = stderr.lines().map(|line| line.trim_start_matches("error: ").trim_start_matches("warning: "));
    lines.collect::<Vec<_>>().join("<br>")
}

/// The table of what `line` says of each case; `{}` in it is the case's file.
fn table(cases: &[Case<'_>], line: &str) -> String {
    let mut table = String::from("| situation | what is said |\n|---|---|\n");
    for (situation, file, bytes, more) in cases {
        let here = tempfile::tempdir().unwrap();
        films(&here.path().join("images"));
        fs::write(here.path().join(file), bytes).unwrap();
        let said = said(here.path(), &format!("{}{more}", line.replace("{}", file)));
        assert!(!said.is_empty(), "nothing is said of {situation}");
        table += &format!("| {situation} | {} |\n", said.replace('|', "\\|"));
    }
    table
}

#[test]
fn points_that_can_not_be_used() {
    let utf16 = "landmark".encode_utf16().flat_map(u16::to_le_bytes);
    let shape = |kind: &str, points: &str| {
        format!(r#"{{"shapes": [{{"label": "sella", "shape_type": "{kind}", "points": {points}}}]}}"#)
    };
    let coco = |other: &str, of: u8, keypoints: &str| {
        format!(
            r#"{{"images": [{{"id": 7, "file_name": "1.png"}}{other}],
                "categories": [{{"id": 1, "keypoints": ["sella", "nasion"]}}],
                "annotations": [{{"image_id": {of}, "category_id": 1, "keypoints": [{keypoints}]}}]}}"#
        )
    };
    let cvat = |points: &str| {
        format!(r#"<annotations><image name="1.png" width="40" height="30">{points}</image></annotations>"#)
    };
    let slicer = |system: &str, unit: &str, z: i32| {
        format!(
            r#"{{"markups": [{{"type": "Fiducial", "coordinateSystem": "{system}", "coordinateUnits": "{unit}",
                "controlPoints": [{{"label": "sella", "position": [5, 6, {z}]}}]}}]}}"#
        )
    };
    let status = r#"{"films": [{"file": "1.png", "landmarks": [{"name": "sella", "status": "lost"}]}]}"#;
    let cases = &[
        ("UTF-16", "p.csv", [0xFF, 0xFE].into_iter().chain(utf16).collect(), ""),
        ("a workbook", "p.csv", b"PK\x03\x04workbook".into(), ""),
        ("text in another encoding", "p.csv", b"landmark,x,y\nsella\xE9,1,2\n".into(), ""),
        ("an empty file", "p.csv", vec![], ""),
        ("JSON that is damaged", "p.json", b"{\"shapes\": [".into(), ""),
        ("JSON of another program", "p.json", b"{\"rows\": 3}".into(), ""),
        ("JSON of another version", "p.json", br#"{"schema": "onemark-detections/2", "films": []}"#.into(), ""),
        ("XML that is damaged", "p.xml", b"<annotations><image>".into(), ""),
        ("XML of another program", "p.xml", b"<svg/>".into(), ""),
        ("a header without the columns", "p.csv", b"landmark,x\nsella,1\n".into(), ""),
        ("two columns of one name", "p.csv", b"landmark,x,x,y\nsella,1,1,2\n".into(), ""),
        (
            "x without y, in the header of a table with a row for each film",
            "p.csv",
            b"image,sella_x,sella_y,nasion_x\n1.png,5,6,7\n".into(),
            "",
        ),
        ("the same, in px beside mm", "p.csv", b"landmark,x,y,x_px\nsella,1,2,3\n".into(), ""),
        ("a row with more or fewer cells than the header", "p.csv", b"landmark,x,y\nsella,5,5,6,5\n".into(), ""),
        ("x and y that are not numbers", "p.csv", b"landmark,x,y\nsella,five,6\n".into(), ""),
        ("x without y", "p.csv", b"landmark,x,y\nsella,5,\n".into(), ""),
        ("decimal points and decimal commas", "p.csv", b"landmark;x;y\nnasion;5.5;6.5\nsella;5,5;6,5\n".into(), ""),
        ("shares of the film's size", "p.csv", b"landmark,x,y\nsella,0.5,0.6\nnasion,0.25,0.75\n".into(), ""),
        ("all landmarks at one place", "p.csv", b"landmark,x,y\nsella,5,6\nnasion,5,6\n".into(), ""),
        ("a row without a landmark", "p.csv", b"landmark,x,y\n,5,6\n".into(), ""),
        ("an unknown landmark", "p.csv", b"landmark,x,y\nsela,5,6\n".into(), ""),
        ("a number that no landmark has", "p.csv", b"landmark,x,y\n20,5,6\n".into(), ""),
        ("a number and a name of two landmarks", "p.csv", b"number,name,x,y\n1,nasion,5,6\n".into(), ""),
        ("a landmark twice on a film", "p.csv", b"landmark,x,y\n1,5,6\nsella,7,8\n".into(), ""),
        ("labelme: a shape that is not a point", "p.json", shape("polygon", "[[1, 2], [3, 4], [5, 6]]").into(), ""),
        ("labelme: the same", "p.json", shape("circle", "[[1, 2]]").into(), ""),
        ("CVAT: two points under one label", "p.xml", cvat(r#"<points label="sella" points="1,2;3,4"/>"#).into(), ""),
        ("CVAT: tracks of a video", "p.xml", br#"<annotations><track label="sella"/></annotations>"#.into(), ""),
        (
            "COCO: one id for two images",
            "p.json",
            coco(r#", {"id": 7, "file_name": "2.png"}"#, 7, "5, 6, 2, 7, 8, 2").into(),
            "",
        ),
        ("COCO: an annotation without its image", "p.json", coco("", 8, "5, 6, 2, 7, 8, 2").into(), ""),
        ("COCO: other keypoints than its category has", "p.json", coco("", 7, "5, 6, 2, 7, 8").into(), ""),
        ("COCO: an unknown visibility", "p.json", coco("", 7, "5, 6, 2, 7, 8, 3").into(), ""),
        ("an unknown status", "p.json", status.into(), ""),
        ("3D Slicer: another system", "p.mrk.json", slicer("IJK", "mm", 0).into(), " --spacing 1.2"),
        ("3D Slicer: another unit", "p.mrk.json", slicer("LPS", "inch", 0).into(), " --spacing 1.2"),
        ("3D Slicer: a point that is not on the film", "p.mrk.json", slicer("LPS", "mm", -40).into(), " --spacing 1.2"),
        ("points in mm without a spacing", "p.mrk.json", slicer("LPS", "mm", 0).into(), ""),
        ("points of another film", "p.csv", b"image,landmark,x,y\n152.png,sella,5,6\n".into(), ""),
        (
            "points of a film of another size",
            "p.json",
            br#"{"shapes": [], "imagePath": "1.png", "imageWidth": 80, "imageHeight": 60}"#.into(),
            "",
        ),
        ("no points", "p.csv", b"landmark,x,y\n".into(), ""),
    ];
    let line = "points convert {} --landmarks isbi19 --film images/1.png --to json --out out.json";
    documented(DOCUMENT, "points", &table(cases, line));
}

#[test]
fn conversions_that_are_refused() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    films(&here.join("images"));
    let rows = |film: &str| format!("{film},sella,5,6\n{film},nasion,7,8\n");
    for (file, text) in [
        ("1.csv", format!("image,landmark,x,y\n{}", rows("1.png"))),
        ("again.csv", format!("image,landmark,x,y\n{}", rows("1.png"))),
        ("two.csv", format!("image,landmark,x,y\n{}{}", rows("1.png"), rows("2.png"))),
        ("nameless.csv", "landmark,x,y\nsella,5,6\n".to_owned()),
        ("numbers.csv", "landmark,x,y\n1,5,6\n".to_owned()),
        ("others.csv", "landmark,x,y\ntip,5,6\n".to_owned()),
        ("empty.csv", "landmark,x,y\nsella,,\n".to_owned()),
        ("outside.csv", "landmark,x,y\nsella,50,6\nnasion,1,30.5\n".to_owned()),
    ] {
        fs::write(here.join(file), text).unwrap();
    }
    fs::write(here.join("two.yaml"), SET).unwrap();
    let mut table = String::from("| `points convert` | what is said |\n|---|---|\n");
    let both = "--film images/1.png --film images/2.png";
    for (situation, line) in [
        ("numbers alone, and no set", "numbers.csv --to json --out out.json"),
        ("names of no built-in set, and no set", "others.csv --to json --out out.json"),
        ("a file that is not there", "3.csv --to json --out out.json"),
        ("several films, and points that name none", "nameless.csv nameless.csv --to json --out out.json"),
        ("a film twice, by its name or its pixels", "1.csv again.csv --to json --out out.json"),
        (
            "several files, and another number of films",
            &format!("nameless.csv nameless.csv nameless.csv --to json --out out.json {both}"),
        ),
        ("`--any-film` and several films for a file", &format!("two.csv --any-film --to json --out out.json {both}")),
        ("no landmark is annotated", "empty.csv --to json --out out.json --film images/1.png"),
        ("an output that was an input", "1.csv --to csv --out 1.csv"),
        ("a form of one film for each file, and several films", "two.csv --to labelme --out out.json"),
        ("a form that states the film's size, which nobody knows", "1.csv --to coco --out out.json"),
        (
            "points that are not on their film; they are written",
            "outside.csv --to json --out out.json --film images/1.png --landmarks two.yaml",
        ),
        (
            "landmarks that are not annotated; the others are written",
            "nameless.csv --to json --out 1.json --landmarks two.yaml",
        ),
    ] {
        let said = said(here, &format!("points convert {line}"));
        assert!(!said.is_empty(), "nothing is said of {situation}");
        table += &format!("| {situation} | {said} |\n");
    }
    documented(DOCUMENT, "conversions", &table);
}

#[test]
fn datasets_that_are_wrong() {
    let here = tempfile::tempdir().unwrap();
    let rows = |film: &str| (1..20).map(|n| format!("{film},{n},{n},{n}\n")).collect::<String>();
    let table = format!("image,landmark,x,y\n{}{}", rows("1.png"), rows("2.png"));
    let sizes = |rows: &str| format!("image,mm_per_px_x,mm_per_px_y\n{rows}");
    let beside = r#"{"shapes": [{"label": "sella", "shape_type": "point", "points": [[1, 2]]}], "imagePath": "2.png"}"#;
    let mut document = String::from("| in a dataset | what `data check` says |\n|---|---|\n");
    for (number, (situation, file, text)) in [
        ("points for films that it does not have", "landmarks.csv", table.replace("1.png", "8.jpg")),
        ("points that name no film", "landmarks.csv", "landmark,x,y\n1,5,6\n".to_owned()),
        ("several files of points for all films", "landmarks.tsv", table.clone()),
        ("points beside a film too", "images/2.json", beside.to_owned()),
        ("points outside of their film", "landmarks.csv", table.replace(",19,19,", ",19,119,")),
        ("no points", "landmarks.csv", NONE.to_owned()),
        ("a landmark twice", "landmarks.csv", format!("{table}1.png,3,5,6\n")),
        ("an empty file", "landmarks.csv", String::new()),
        ("landmarks that are not annotated", "landmarks.csv", table.replace("1.png,19,19,19\n", "1.png,19,,\n")),
        ("no spacing", "spacing.csv", String::new()),
        ("`spacing.csv`: no size of a pixel", "spacing.csv", sizes("1.png,0,0.9\n2.png,0.9,0.9\n")),
        ("`spacing.csv`: decimal commas", "spacing.csv", sizes("1.png,0,9,0,9\n")),
        ("`spacing.csv`: a film twice", "spacing.csv", sizes("1.png,0.9,0.9\n2.png,0.9,0.9\n1.png,0.9,0.9\n")),
        ("`spacing.csv`: 1 x 1 mm", "spacing.csv", sizes("1.png,1,1\n2.png,1,1\n")),
        ("`spacing.csv`: micrometres", "spacing.csv", sizes("1.png,900,900\n2.png,900,900\n")),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = here.path().join(number.to_string());
        films(&folder.join("images"));
        // A sound dataset, but for one file.
        let sound = [("landmarks.csv", table.clone()), ("spacing.csv", sizes("1.png,0.9,0.9\n2.png,0.9,0.9\n"))];
        for (name, text) in sound.into_iter().chain([(file, text)]) {
            fs::write(folder.join(name), &text).unwrap();
            if text == NONE {
                fs::remove_file(folder.join(name)).unwrap();
            }
        }
        let Outcome { stdout, .. } = Outcome::from(Program::Runtime.command(&folder, "data check .").output().unwrap());
        let found: Vec<String> = stdout
            .lines()
            .filter(|line| line.starts_with("error  ") || line.starts_with("warning  "))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert!(!found.is_empty(), "nothing is found: {situation}\n{stdout}");
        document += &format!("| {situation} | {} |\n", found.join("<br>"));
    }
    documented(DOCUMENT, "datasets", &document);
}
