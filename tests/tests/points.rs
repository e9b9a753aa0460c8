//! Points of other programs, as a user gives them to `onemark adapt`, `points convert`, `data check`, `evaluate` and `calibrate`.
//! What each form means is tested in onemark-evaluation.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::imageops::rotate270;
use image::{ExtendedColorType, GrayImage, ImageEncoder as _, Luma};
use onemark_models::bundle::{Bundle, WEIGHTS};
use onemark_tests::{Outcome, Program, small_films, tiny_bundle};
use serde_json::Value;

/// Landmarks of the film, by number, name and position in px.
const TRUTH: [(usize, &str, f64, f64); 3] =
    [(1, "sella", 31.5, 20.0), (2, "nasion", 8.0, 40.25), (8, "menton", 50.0, 60.5)];
/// mm per px.
const SPACING: f64 = 0.6;

/// A folder with a bundle and a film that is called film.png.
fn lab() -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    tiny_bundle().write(&here.path().join("tiny.onemark"), false).unwrap();
    GrayImage::from_fn(64, 70, |x, y| Luma([(x * 3 + y * y / 20) as u8])).save(here.path().join("film.png")).unwrap();
    here
}

fn run(here: &Path, line: &str) -> Outcome {
    Outcome::from(Program::Runtime.command(here, line).output().unwrap())
}

fn fail(here: &Path, line: &str) -> String {
    let outcome = run(here, line);
    assert!(!outcome.success, "{line}: {}", outcome.stdout);
    outcome.stderr
}

fn table() -> String {
    let rows = TRUTH.map(|(_, name, x, y)| format!("{name},{x},{y}\n"));
    format!("landmark,x,y\n{}", rows.concat())
}

/// What `adapt` learns from a file of points, and what it says.
fn learn(here: &Path, points: &str, more: &str) -> (Vec<u8>, String) {
    let line = format!("adapt tiny.onemark --film film.png --points {points} --backend tract --out new --force{more}");
    let told = Program::Runtime.succeed(here, &line).stderr;
    let new = Bundle::open(here.join("new")).unwrap();
    assert_eq!(new.manifest().adapted.as_ref().unwrap().films[0].landmarks, TRUTH.map(|(number, ..)| number));
    (new.bytes(WEIGHTS).unwrap().to_vec(), told)
}

#[test]
fn every_program_teaches_the_same() {
    let here = lab();
    let here = here.path();
    fs::write(here.join("table.csv"), table()).unwrap();
    let (taught, told) = learn(here, "table.csv", "");
    assert!(told.contains("not annotated, of 1 film: orbitale on 1, porion on 1"), "{told}");

    let shapes = TRUTH.map(|(_, name, x, y)| {
        format!(
            r#"{{"label": "{name}", "points": [[{x}, {y}]], "group_id": null, "shape_type": "point", "flags": {{}}}}"#
        )
    });
    let labelme = format!(
        r#"{{"version": "5.4.1", "flags": {{}}, "shapes": [{}], "imagePath": "film.png", "imageData": null,
           "imageHeight": 70, "imageWidth": 64}}"#,
        shapes.join(",")
    );
    let controls = TRUTH.map(|(number, name, x, y)| {
        let [x, y] = [x, y].map(|px| SPACING * (px - 0.5));
        format!(r#"{{"id": "{number}", "label": "{name}", "position": [{x}, {y}, 0.0], "positionStatus": "defined"}}"#)
    });
    let slicer = format!(
        r#"{{"@schema": "s", "markups": [{{"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm",
           "controlPoints": [{}]}}]}}"#,
        controls.join(",")
    );
    let rows = TRUTH.map(|(number, name, x, y)| format!("film.png,{number},{name},T,found,{x:.3},{y:.3},,,0.5,,,,\n"));
    let header = "file,number,name,title,status,x_px,y_px,x_mm,y_mm,score,confidence,radius_mm,surprise,error\n";
    let detected = format!("{header}{}film.png,5,subspinale,T,not-found,,,,,0.1,,,,\n", rows.concat());
    for (name, text, more) in [
        ("labelme.json", labelme, ""),
        ("slicer.mrk.json", slicer, " --spacing 0.6"),
        ("table-of-detect.csv", detected, ""),
        ("semicolons.csv", table().replace(',', ";").replace('.', ","), ""),
    ] {
        fs::write(here.join(name), text).unwrap();
        assert!(learn(here, name, more).0 == taught, "{name} teaches something else");
    }
    for form in ["labelme", "coco", "cvat", "json", "slicer", "fcsv"] {
        let line = format!("points convert table.csv --to {form} --out {form}.out --film film.png --spacing 0.6");
        let told = Program::Runtime.succeed(here, &line).stderr;
        assert!(told.contains("not annotated, of 1 film: orbitale on 1"), "{told}");
        let back = format!("points convert {form}.out --to csv --out back.csv --spacing 0.6");
        Program::Runtime.succeed(here, &back);
        let back = fs::read_to_string(here.join("back.csv")).unwrap();
        for (line, (_, name, x, y)) in back.lines().skip(1).zip(TRUTH) {
            let cells: Vec<&str> = line.split(',').collect();
            let [px, py] = [2, 3].map(|cell: usize| cells[cell].parse::<f64>().unwrap());
            assert!(cells[1] == name && (px - x).abs() < 0.01 && (py - y).abs() < 0.01, "{form}: {line}");
        }
        assert_eq!(back.lines().count(), 1 + TRUTH.len(), "{form}");
    }
}

#[test]
fn points_on_another_film_are_refused() {
    let here = lab();
    let here = here.path();
    let adapt =
        |points: &str| format!("adapt tiny.onemark --film film.png --points {points} --backend tract --out new");
    fs::write(here.join("p.csv"), table()).unwrap();
    Program::Runtime.succeed(here, "points convert p.csv --to json --out film.json --film film.png");
    let json = fs::read_to_string(here.join("film.json")).unwrap();
    fs::write(
        here.join("152.json"),
        json.replace("film.png", "152.png").replace("film_sha256\": \"", "film_sha256\": \"0"),
    )
    .unwrap();
    let said = fail(here, &adapt("152.json"));
    assert!(said.contains("152.json: the points are for 152.png, not for film.png"), "{said}");
    assert!(said.contains("--any-film takes them in any case") && !here.join("new").exists(), "{said}");
    Program::Runtime.succeed(here, &format!("{} --any-film --force", adapt("152.json")));
    // The same film by another name: its pixels are known.
    fs::write(here.join("renamed.json"), json.replace("film.png", "152.png")).unwrap();
    Program::Runtime.succeed(here, &format!("{} --force", adapt("renamed.json")));
    fs::write(here.join("other.json"), json.replace("film_sha256\": \"", "film_sha256\": \"0")).unwrap();
    let said = fail(here, &format!("{} --force", adapt("other.json")));
    assert!(said.contains("with other pixels than film.png has"), "{said}");
    fs::write(here.join("size.json"), json.replace("\"height\": 70", "\"height\": 140")).unwrap();
    for any_film in ["", " --any-film"] {
        let said = fail(here, &format!("{} --force{any_film}", adapt("size.json")));
        assert!(said.contains("for a film of 64x140 px (film.png), but film.png has 64x70 px"), "{said}");
    }
    // What `detect` writes says itself which film it is about.
    let detected =
        Program::Runtime.succeed(here, "detect film.png --bundle tiny.onemark --backend tract --json -").stdout;
    let found: Value = serde_json::from_str(&detected).unwrap();
    assert!(found["films"][0]["film_sha256"].as_str().is_some_and(|digest| json.contains(digest)), "{detected}");
    fs::write(here.join("twice.csv"), "landmark,x,y\n1,132,181\nsella,132,181\n").unwrap();
    let said = fail(here, &format!("{} --force", adapt("twice.csv")));
    assert!(said.contains("twice.csv, line 3: landmark 1 (sella) is there twice"), "{said}");
    let slicer = fail(here, "points convert p.csv --to slicer --out a.mrk.json --film film.png");
    assert!(slicer.contains("in mm, and no pixel spacing is stated; state it; give --spacing"), "{slicer}");
}

#[test]
fn conversions_of_many_films_and_their_refusals() {
    let here = lab();
    let here = here.path();
    let rows = |film: &str| TRUTH.map(|(number, _, x, y)| format!("{film},{number},{x},{y}\n")).concat();
    fs::write(here.join("two.csv"), format!("image,landmark,x,y\n{}{}", rows("a.png"), rows("b.png"))).unwrap();
    let said = fail(here, "points convert two.csv --to json --out two.json");
    assert!(said.contains("its landmarks are numbers") && said.contains("--landmarks"), "{said}");
    Program::Runtime.succeed(here, "points convert two.csv --to json --out two.json --landmarks isbi19");
    let said = fail(here, "points convert two.csv --to labelme --out folder --bundle tiny.onemark");
    assert!(said.contains("make the folder folder"), "{said}");
    fs::write(here.join("set.yaml"), "not read").unwrap();
    fs::create_dir(here.join("folder")).unwrap();
    Program::Runtime.succeed(here, "points convert two.csv --to labelme --out folder --bundle tiny.onemark");
    Program::Runtime.succeed(here, "points convert folder/a.json folder/b.json --to csv --out back.csv");
    assert_eq!(fs::read_to_string(here.join("back.csv")).unwrap().lines().count(), 1 + 2 * TRUTH.len());
    for (line, expected) in [
        (
            "points convert two.csv --to coco --out c.json --landmarks isbi19",
            "states the film's size, which is not known for a.png",
        ),
        ("points convert two.csv --to csv --out two.csv --landmarks isbi19", "two.csv would be replaced"),
        // What says which landmarks there are is an input too.
        ("points convert two.csv --to csv --out set.yaml --landmarks ./set.yaml", "set.yaml would be replaced"),
        ("points convert two.csv --to csv --out set.yaml --bundle set.yaml", "set.yaml would be replaced"),
        ("points convert two.csv --to csv --out c.csv --landmarks isbi20", "did you mean \"isbi19\"?"),
        (
            "points convert two.csv --to json --out c.json --landmarks isbi19 --film film.png",
            "a.png, b.png, not for film.png",
        ),
        ("points convert two.csv --to yolo --out c.txt", "labelme"),
    ] {
        let said = fail(here, line);
        assert!(said.contains(expected), "{line}: {said}");
        assert!(!here.join("c.json").exists() && !here.join("c.csv").exists());
    }
}

#[test]
fn several_films_have_their_own_points() {
    let here = lab();
    let here = here.path();
    GrayImage::from_fn(64, 70, |x, y| Luma([(x * x / 20 + y * 3) as u8])).save(here.join("other.png")).unwrap();
    fs::write(here.join("p.csv"), table()).unwrap();
    fs::write(here.join("q.csv"), table().replace("31.5", "33.5")).unwrap();
    // In order, where the files name no films.
    let line = "points convert p.csv q.csv --film other.png --film film.png --to json --out both.json";
    Program::Runtime.succeed(here, line);
    let both: Value = serde_json::from_slice(&fs::read(here.join("both.json")).unwrap()).unwrap();
    let x = |film: usize| (&both["films"][film]["file"], both["films"][film]["landmarks"][0]["position"]["x"].as_f64());
    assert_eq!([x(0), x(1)], [(&"other.png".into(), Some(31.5)), (&"film.png".into(), Some(33.5))]);
    // One file with the points of both, and one of each.
    Program::Runtime.succeed(here, "points convert both.json --film film.png --film other.png --to csv --out b.csv");
    let rows = fs::read_to_string(here.join("b.csv")).unwrap();
    assert!(
        rows.starts_with("image,landmark,x,y\nfilm.png,sella,33.5,20\n") && rows.contains("other.png,sella,31.5,20\n")
    );
    for folder in ["folder", "empty"] {
        fs::create_dir(here.join(folder)).unwrap();
    }
    Program::Runtime.succeed(here, "points convert both.json --to labelme --out folder");
    fs::rename(here.join("folder/film.json"), here.join("film.json")).unwrap();
    let pairs = "--film film.png --film other.png";
    for (line, expected) in [
        (
            format!("p.csv --to json --out o.json {pairs}"),
            "p.csv: its points name no film, and 2 films were given; give a file",
        ),
        (
            "p.csv q.csv --to json --out o.json".into(),
            "p.csv: its points name no film, and there are several films; give --film",
        ),
        (
            format!("p.csv q.csv b.csv --to json --out o.json {pairs}"),
            "2 films and 3 files of points: give one --film for each",
        ),
        (
            format!("both.json --any-film --to json --out o.json {pairs}"),
            "--any-film takes one --film for each file of points",
        ),
        (
            "both.json b.csv --to json --out o.json".into(),
            "a film is there twice: film.png in both.json, and film.png in b.csv",
        ),
        (
            "p.csv q.csv --film film.png --film film.png --to json --out o.json".into(),
            "film.png in p.csv, and film.png in q.csv",
        ),
        // Before anything is read.
        ("none.csv --to csv --out folder".into(), "can't write folder: it is a folder; give the name of a file"),
        ("none.csv --to csv --out nowhere/o.csv".into(), "there is no folder nowhere"),
        (
            "none.csv none.json --to labelme --out o.json".into(),
            "labelme takes a file for each of 2 films: make the folder o.json",
        ),
        // The first could be written, the second is an input.
        ("film.json folder/other.json --to labelme --out folder".into(), "folder/other.json would be replaced"),
    ] {
        let said = fail(here, &format!("points convert {line}"));
        assert!(said.contains(expected), "{line}: {said}");
        assert!(!here.join("o.json").exists() && !here.join("folder/film.json").exists(), "{line}");
    }
    // A film that shows nothing, and points that are not on it.
    GrayImage::from_pixel(40, 40, Luma([0])).save(here.join("black.png")).unwrap();
    let said = Program::Runtime.succeed(here, "points convert p.csv --film black.png --to json --out o.json").stderr;
    assert!(said.contains("warning: black.png: all of it is one grey (0)"), "{said}");
    assert!(said.contains("warning: black.png: not on its 40x40 px: nasion, menton; check them"), "{said}");
    // What is printed is shown, not obeyed.
    fs::write(here.join("named.csv"), "image,landmark,x,y\n\u{9b}2J\u{202e}.png,sella,1,2\n").unwrap();
    for form in ["csv", "json"] {
        let printed = Program::Runtime.succeed(here, &format!("points convert named.csv --to {form} --out -")).stdout;
        assert!(!printed.contains(['\u{9b}', '\u{202e}']) && printed.contains("9b"), "{printed}");
    }
}

#[test]
fn evaluation_counts_what_is_annotated() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    tiny_bundle().write(&here.join("tiny.onemark"), false).unwrap();
    let films = small_films(&here.join("isbi"));
    fs::create_dir_all(here.join("films/images")).unwrap();
    for id in ["001", "002"] {
        fs::copy(films.film(id), here.join(format!("films/images/{id}.png"))).unwrap();
    }
    let table = "image;landmark;x;y\n1;sella;20,5;30\n1;nasion;0;0\n2;sella;22,5;31\n2;nasion;40;41\n";
    fs::write(here.join("films/landmarks.csv"), table).unwrap();
    let line = "evaluate tiny.onemark --data films --spacing 0.2 --backend tract --report r.json --overlays out";
    let outcome = Program::Runtime.succeed(here, line);
    assert!(outcome.stderr.contains("not annotated, of 2 films: nasion on 1, orbitale on 2"), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("annotated\n") && outcome.stdout.contains("MRE"), "{}", outcome.stdout);
    let report: Value = serde_json::from_slice(&fs::read(here.join("r.json")).unwrap()).unwrap();
    let film = &report["films"][0];
    assert_eq!((film["truth"][0]["x"].as_f64(), &film["film_errors_mm"][1]), (Some(20.5), &Value::Null));
    assert_eq!(report["protocols"][0]["overall"]["points"], 3);
    assert!(here.join("out/001.png").is_file());

    let outcome = run(here, "data check films");
    assert!(outcome.stdout.contains("missing landmark") && outcome.stdout.contains("errors: 0"), "{}", outcome.stdout);
    let said = run(here, "data check films --landmarks hand37").stdout;
    assert!(said.contains("\"nasion\" is none of the 37 landmarks of set \"hand37\""), "{said}");
    let said = fail(here, "cycle tiny.onemark --data films --template 003");
    assert!(said.contains("there is no film \"003\""), "{said}");
}

/// Programs for annotation show films as their orientation tag says, so points are on the upright film.
#[test]
fn points_on_a_film_that_its_tag_turns_are_where_they_were_set() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    tiny_bundle().write(&here.join("tiny.onemark"), false).unwrap();
    let upright = GrayImage::from_fn(97, 120, |x, y| Luma([(x * 2 + y * y / 80) as u8]));
    // Exif of one entry, the orientation 6: turned to the right by 90 degrees, the stored picture is upright.
    let exif = [&b"II*\0\x08\0\0\0\x01\0"[..], &[0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0], &[0; 4]].concat();
    let mut reports = Vec::new();
    for (name, picture, exif) in [("upright", upright.clone(), None), ("turned", rotate270(&upright), Some(exif))] {
        let images = here.join(name).join("images");
        fs::create_dir_all(&images).unwrap();
        let mut png = PngEncoder::new(fs::File::create(images.join("film.png")).unwrap());
        exif.map_or(Ok(()), |exif| png.set_exif_metadata(exif)).unwrap();
        png.write_image(&picture, picture.width(), picture.height(), ExtendedColorType::L8).unwrap();
        fs::write(here.join(name).join("landmarks.csv"), "image,landmark,x,y\nfilm.png,sella,20,110\n").unwrap();
        let line = format!("evaluate tiny.onemark --data {name} --spacing 0.3 --backend tract --report {name}.json");
        let told = Program::Runtime.succeed(here, &line).stderr;
        assert_eq!(told.contains("its orientation tag (6) turns it"), name == "turned", "{told}");
        let report: Value = serde_json::from_slice(&fs::read(here.join(format!("{name}.json"))).unwrap()).unwrap();
        reports.push(report["films"][0]["film_errors_mm"].clone());
    }
    assert!(reports[0][0].is_f64() && reports[0] == reports[1], "{reports:?}");
}
