//! Points in the files of other programs: each form as its program writes it, round trips, what is refused, and whose film it is.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use onemark_evaluation::points::{self, FilmIdentity, FilmPoints, Form, PointsError};
use onemark_film::geometry::{Point, Size};
use onemark_film::{Film, Spacing};
use onemark_models::landmarks::LandmarkSet;

/// How far a position may move on its way through another form, px.
const SAME_PX: f64 = 0.01;

fn set() -> LandmarkSet {
    LandmarkSet::named("isbi19").unwrap()
}

fn spacing() -> Spacing {
    Spacing::new(0.1, 0.125, "a test").unwrap()
}

fn read(text: impl AsRef<[u8]>) -> Result<Vec<FilmPoints>, PointsError> {
    points::parse(Path::new("file"), text.as_ref())?.films(&set(), Some(&spacing()))
}

fn refused(text: impl AsRef<[u8]>) -> String {
    read(text).unwrap_err().to_string()
}

fn identity(name: &str) -> FilmIdentity {
    let (name, size) = (Some(name.to_owned()), Some(Size { width: 1935, height: 2400 }));
    FilmIdentity { name, size, sha256: Some("a1".repeat(32)) }
}

/// A film with 18 of 19 landmarks at positions that are no round numbers.
fn film(name: &str) -> FilmPoints {
    let point =
        |n: u32| Point::new(835.0 + 31.7 * f64::from(n) + 1.0 / 3.0, 996.0 - 12.9 * f64::from(n) + 0.123_456_789);
    let points = (0..19).map(|n| Some(point(n)).filter(|_| n != 6)).collect();
    FilmPoints { points, ..FilmPoints::none(identity(name), 19) }
}

#[track_caller]
fn assert_same(found: &FilmPoints, expected: &FilmPoints) {
    for (index, (found, expected)) in found.points.iter().zip(&expected.points).enumerate() {
        let near = match (found, expected) {
            (Some(found), Some(expected)) => found.distance_px(*expected) < SAME_PX,
            (None, None) => true,
            _ => false,
        };
        assert!(near, "landmark {}: {found:?} for {expected:?}", index + 1);
    }
}

#[test]
fn every_form_gives_back_what_it_was_given() {
    let films = ["151.png", "a \"b\" & <c>.png", "=1+1.png", "-2;@3.png", "'4.png", "'=5.png"].map(film);
    for (name, form) in Form::NAMES {
        let films = &films[..if form.is_of_one_film() { 1 } else { films.len() }];
        let written = points::write(form, films, &set(), Some(&spacing())).unwrap();
        let file = points::parse(Path::new(name), &written).unwrap();
        assert_eq!(file.form(), form);
        let found = file.films(&set(), Some(&spacing())).unwrap();
        assert_eq!(found.len(), films.len(), "{name}");
        for (found, expected) in found.iter().zip(films) {
            assert_same(found, expected);
            let known = &found.film;
            if !form.is_in_mm() {
                assert_eq!(known.name, expected.film.name, "{name}");
            }
            assert_eq!(known.size.is_some(), !form.is_in_mm() && form != Form::Csv, "{name}");
            let with_digest = matches!(form, Form::Json | Form::Labelme | Form::Coco);
            assert_eq!(known.sha256.is_some(), with_digest, "{name}");
            points::for_film(vec![found.clone()], &expected.film, false).unwrap();
        }
        assert_eq!((form.to_string().as_str(), name.parse::<Form>().unwrap()), (name, form));
    }
    assert!("yolo".parse::<Form>().unwrap_err().to_string().contains("choose csv, json, labelme"));
}

#[test]
fn whatever_a_film_is_called_its_points_can_be_read() {
    for name in ["\u{ffff}1.png", "2\u{fffe}.png", "\u{1}3.png", "4\u{202e}.png"] {
        for (_, form) in Form::NAMES {
            let written = points::write(form, &[film(name)], &set(), Some(&spacing())).unwrap();
            assert_same(&read(written).unwrap()[0], &film(name));
        }
    }
}

#[test]
fn the_first_pixels_centre_is_where_each_program_has_it() {
    let mut one = film("1.png");
    one.points.iter_mut().for_each(|point| *point = Some(Point::new(0.5, 0.5)));
    let text =
        |form| String::from_utf8(points::write(form, &[one.clone()], &set(), Some(&spacing())).unwrap()).unwrap();
    let flat = |text: String| text.split_whitespace().collect::<String>();
    assert!(flat(text(Form::Labelme)).contains(r#""points":[[0.5,0.5]]"#));
    assert!(flat(text(Form::Coco)).contains(r#""keypoints":[0.5,0.5,2,0.5,0.5,2,"#));
    assert!(text(Form::Cvat).contains(r#"points="0.5,0.5""#));
    assert!(flat(text(Form::Slicer)).contains(r#""position":[0.0,0.0,0.0]"#));
    assert!(text(Form::SlicerTable).contains("\n1,0,0,0,0,0,0,1,1,1,0,sella,,\n"));
}

#[test]
fn what_a_form_needs_is_said() {
    let films = [film("1.png"), film("2.png")];
    let failed = |form, films: &[FilmPoints]| points::write(form, films, &set(), None).unwrap_err().to_string();
    assert!(failed(Form::Labelme, &films).contains("labelme's JSON is for one film per file, and there are 2 films"));
    assert!(failed(Form::Slicer, &films[..1]).contains("3D Slicer's markups is in mm, and no pixel spacing"));
    let mut bare = [film("1.png")];
    bare[0].film.size = None;
    assert!(failed(Form::Coco, &bare).contains("COCO keypoints states the film's size, which is not known for 1.png"));
    bare[0].film.name = None;
    assert!(failed(Form::Cvat, &bare).contains("CVAT's XML states the film's name, which is not known"));
    bare[0].points.pop();
    assert!(failed(Form::Csv, &bare).contains("18 points, but set \"isbi19\" has 19"));
    let slicer = points::write(Form::Slicer, &films[..1], &set(), Some(&spacing())).unwrap();
    let without = points::parse(Path::new("a"), &slicer).unwrap().films(&set(), None).unwrap_err();
    assert!(matches!(without, PointsError::NoSpacing { form: Form::Slicer }), "{without}");
}

#[test]
fn labelme() {
    let shape = |label: &str, points: &str, kind: &str| {
        format!(
            r#"{{"label": "{label}", "points": {points}, "group_id": null, "shape_type": "{kind}", "flags": {{}}}}"#
        )
    };
    let file = |shapes: &[String]| {
        let shapes = shapes.join(",");
        format!(
            r#"{{"version": "5.4.1", "flags": {{}}, "shapes": [{shapes}], "imagePath": "..\\films\\152.png",
               "imageData": "iVBORw0KGgo=", "imageHeight": 2400, "imageWidth": 1935}}"#
        )
    };
    let found =
        &read(file(&[shape("Sella ", "[[833.25, 1002.5]]", "point"), shape("2", "[[0, 0]]", "point")])).unwrap()[0];
    assert_eq!((found.points[0], found.points[1]), (Some(Point::new(833.25, 1002.5)), None));
    let size = Some(Size { width: 1935, height: 2400 });
    assert_eq!((found.film.name.as_deref(), found.film.size), (Some("152.png"), size));

    let polygon = refused(file(&[shape("sella", "[[1, 2], [3, 4], [5, 6]]", "polygon")]));
    assert!(polygon.contains("shape \"sella\" is a polygon of 3 points"), "{polygon}");
    let unknown = refused(file(&[shape("selle", "[[1, 2]]", "point")]));
    assert!(unknown.contains("\"selle\" is none of the 19 landmarks") && unknown.contains("`sella`"), "{unknown}");
    let twice = refused(file(&[shape("sella", "[[1, 2]]", "point"), shape("1", "[[1, 2]]", "point")]));
    assert!(twice.contains("landmark 1 (sella) is there twice on 152.png"), "{twice}");
    assert!(refused(r#"{"shapes": [{"label": 5}]}"#).contains("it is not labelme's JSON"));
}

#[test]
fn coco() {
    let file = |keypoints: &str, names: &str| {
        format!(
            r#"{{"images": [{{"id": 7, "file_name": "films/152.png", "width": 1935, "height": 2400}},
                            {{"id": "x", "file_name": "153.png"}}],
                "annotations": [{{"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 5]}},
                                {{"id": 2, "image_id": 7, "category_id": 1, "keypoints": [{keypoints}]}}],
                "categories": [{{"id": 1, "name": "head", "keypoints": [{names}]}}]}}"#
        )
    };
    let three = r#""sella", "nasion", "orbitale""#;
    // Visible, hidden but annotated, and not annotated, with both conventions for its position.
    let films = read(file("833.5,1002,2, 5,6,1, 0,0,0", three)).unwrap();
    let expected = [Some(Point::new(833.5, 1002.0)), Some(Point::new(5.0, 6.0)), None];
    assert_eq!((films[0].film.name.as_deref(), &films[0].points[..3]), (Some("152.png"), &expected[..]));
    // An image without annotation has no points.
    assert_eq!((films[1].film.name.as_deref(), films[1].points.iter().flatten().count()), (Some("153.png"), 0));
    assert_eq!(read(file("-1,-1,0, 0,0,2, 7,8,0", three)).unwrap()[0].points[..3], [None, None, None]);
    for (text, expected) in [
        (file("1,2,2, 3,4,2", three), "has 6 numbers, and its category names 3 keypoints"),
        (file("1,2,2, 3,4", r#""sella", "nasion""#), "has 5 numbers"),
        (file("1,2,2", r#""tip""#), "\"tip\" is none of the 19 landmarks"),
        (
            file("1,2,2", r#""sella""#).replace(r#""image_id": 7"#, r#""image_id": 8"#),
            "for image 8, which is not in images",
        ),
        (file("1,2,2", r#""sella""#).replace(r#""x""#, "7"), "two images have the id 7"),
        (file("1,2,2", r#""sella""#).replace(r#""keypoints": [1"#, r#""keypoints": ["1""#), "it is not COCO keypoints"),
    ] {
        assert!(refused(&text).contains(expected), "{}\nfor {text}", refused(&text));
    }
}

#[test]
fn cvat() {
    let file = |shapes: &str| {
        format!(
            r#"<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><name>heads</name></task></meta>
<image id="0" name="films/152.png" width="1935" height="2400">{shapes}</image>
<image id="1" name="153.png" width="1935" height="2400"></image></annotations>"#
        )
    };
    let points = r#"<points label="sella" source="manual" occluded="0" points="833.50,1002.25" z_order="0"></points>
        <box label="head" xtl="0" ytl="0" xbr="9" ybr="9"/>
        <skeleton label="head" z_order="0"><points label="2" outside="0" occluded="1" points="5.00,6.00"/>
        <points label="3" outside="1" occluded="0" points="7.00,8.00"/></skeleton><tag label="left"/>"#;
    let films = read(file(points)).unwrap();
    let expected = [Some(Point::new(833.5, 1002.25)), Some(Point::new(5.0, 6.0)), None];
    assert_eq!(
        (films[0].film.name.as_deref(), &films[0].points[..3], films.len()),
        (Some("152.png"), &expected[..], 2)
    );
    let several = refused(file(r#"<points label="sella" points="1,2;3,4"/>"#));
    assert!(several.contains("\"sella\" has the points \"1,2;3,4\"; a landmark is one point"), "{several}");
    for text in ["<annotations>", r#"<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>"#] {
        assert!(refused(text).contains("it is not XML that can be read"), "{}", refused(text));
    }
    let deep = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
    assert!(refused(deep).contains("XML"));
}

#[test]
fn slicer() {
    let file = |system: &str, units: &str, points: &str| {
        format!(
            r#"{{"@schema": "s", "markups": [{{"type": "Fiducial", "coordinateSystem": "{system}",
               "coordinateUnits": {units}, "controlPoints": [{points}]}}]}}"#
        )
    };
    let at = |x: f64, y: f64, z: f64, status: &str| {
        format!(r#"{{"id": "vtk1", "label": "sella", "position": [{x}, {y}, {z}], "positionStatus": "{status}"}}"#)
    };
    let sella = |text: String| read(text).unwrap()[0].points[0];
    // 0.1 x 0.125 mm per px; half a px, because Slicer's origin is the centre of the first one.
    let expected = Some(Point::new(790.5, 801.5));
    assert_eq!(sella(file("LPS", r#""mm""#, &at(79.0, 100.125, 0.0, "defined"))), expected);
    assert_eq!(sella(file("RAS", r#""mm""#, &at(-79.0, -100.125, 0.0, "defined"))), expected);
    assert_eq!(sella(file("LPS", r#"["um", "UCUM", "micrometer"]"#, &at(79e3, 100_125.0, 0.0, "defined"))), expected);
    assert_eq!(sella(file("LPS", r#""mm""#, &at(79.0, 100.125, 0.0, "undefined"))), None);
    let titled = file("LPS", r#""mm""#, &at(0.0, 0.0, 0.0, "defined")).replace("\"sella\"", "\"Subspinale (A point)\"");
    assert_eq!(read(titled).unwrap()[0].points[4], Some(Point::new(0.5, 0.5)));
    for (text, expected) in [
        (file("IJK", r#""mm""#, ""), "its coordinate system is \"IJK\""),
        (file("LPS", r#""inch""#, ""), "its unit is \"inch\""),
        (file("LPS", r#""mm""#, &at(1.0, 1.0, -40.0, "defined")), "point \"sella\" is -40.0 mm away from the film"),
        (file("LPS", r#""mm""#, &at(1.0, 1.0, 0.0, "defined")).replace("sella", "F-1"), "\"F-1\" is none of the 19"),
    ] {
        assert!(refused(&text).contains(expected), "{}", refused(&text));
    }

    let table = "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n\
                 # columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n\
                 vtkMRMLMarkupsFiducialNode_0,79,100.125,0,0,0,0,1,1,1,0,sella,,vtkMRMLScalarVolumeNode1,2,0\n";
    assert_eq!(sella(table.to_owned()), expected);
    let ras = table.replace("LPS", "0").replace("79,100", "-79,-100");
    assert_eq!(sella(ras), expected);
    let down = refused(table.replace("100.125", "down"));
    assert!(down.contains("line 4: x, y and z are not three numbers"), "{down}");
}

#[test]
fn json_and_csv_of_detect() {
    let landmark = |name: &str, status: &str| {
        format!(
            r#"{{"number": 1, "name": "{name}", "status": "{status}", "position": {{"x": 833.5, "y": 1002}}, "mm": null}}"#
        )
    };
    let file = |landmark: &str| {
        format!(
            r#"{{"schema": "onemark-detections/1", "films": [{{"file": "films/152.png", "film": {{"width": 1935, "height": 2400}},
               "film_sha256": "ab", "landmarks": [{landmark}]}}, {{"file": "gone.png", "error": "cannot read film gone.png"}}]}}"#
        )
    };
    let found = &read(file(&landmark("sella", "edited-by-hand"))).unwrap()[0];
    assert_eq!((found.film.sha256.as_deref(), found.points[0]), (Some("ab"), Some(Point::new(833.5, 1002.0))));
    assert_eq!(read(file(&landmark("sella", "not-found"))).unwrap()[0].points[0], None);
    let two = refused(file(&landmark("nasion", "found")));
    assert!(two.contains("number 1 and name \"nasion\" are two landmarks"), "{two}");

    // A status that nobody writes is a mistake: the point may be a guess.
    for status in ["Found", "not found", "found\\u001b[2J"] {
        let unknown = refused(file(&landmark("sella", status)));
        assert!(
            unknown.contains("write found, edited-by-hand or not-found") && !unknown.contains('\u{1b}'),
            "{unknown}"
        );
    }
    let without = file(&landmark("sella", "found")).replace(r#""status": "found", "#, "");
    assert_eq!(read(without).unwrap()[0].points[0], Some(Point::new(833.5, 1002.0)));
    let zero = file(&landmark("sella", "found")).replace("833.5", "0").replace("1002", "0.0");
    assert_eq!(read(zero).unwrap()[0].points[0], None);

    let table = "file,number,name,title,status,x_px,y_px,x_mm,y_mm,score,confidence,radius_mm,surprise,error\n\
                 152.png,1,sella,Sella,found,833.500,1002.000,,,0.5,,,,\n152.png,2,nasion,Nasion,not-found,,,,,0.1,,,,\n\
                 gone.png,,,,,,,,,,,,,cannot read film gone.png\n";
    let films = read(table).unwrap();
    assert_eq!((films.len(), &films[0].points[..2]), (1, &[Some(Point::new(833.5, 1002.0)), None][..]));

    // The same rule for the table: nobody knows whether such a position is a guess.
    for status in ["Found", "not found", "found\u{1b}[2J"] {
        let unknown = refused(table.replace("found,833.500", &format!("{status},833.500")));
        assert!(unknown.contains("line 2: a landmark has the status") && !unknown.contains('\u{1b}'), "{unknown}");
    }
    // In a table of another program a status may mean anything, but "not found" means one thing.
    let at =
        |status: &str| read(format!("landmark,x,y,status\nsella,1.5,2,{status}\n")).map(|films| films[0].points[0]);
    for status in ["not found", "Not-Found", "NOT_FOUND"] {
        assert_eq!(at(status).unwrap(), None, "{status}");
    }
    for status in ["reviewed", "", "found"] {
        assert_eq!(at(status).unwrap(), Some(Point::new(1.5, 2.0)), "{status}");
    }
}

#[test]
fn no_table_of_ours_holds_a_formula() {
    let films = [film("=cmd|'/C calc'!A0.png"), film("a;+1.png"), film("\u{1b}[2J.png")];
    let table = String::from_utf8(points::write(Form::Csv, &films, &set(), None).unwrap()).unwrap();
    for start in ["'=cmd", "a;'+1.png", "\\u{1b}[2J.png"] {
        assert!(table.lines().any(|line| line.starts_with(start)), "{start}: {table}");
    }
}

#[test]
fn positions_in_px_count_where_those_in_mm_stand_beside_them() {
    let expected = [Some(Point::new(720.0, 877.0)), Some(Point::new(1203.0, 769.0))];
    for text in [
        "landmark,x,y,x_px,y_px\nsella,72,87.7,720,877\nnasion,120.3,76.9,1203,769\n",
        "x_px,y_px,x,y,number\n720,877,72,87.7,1\n1203,769,120.3,76.9,2\n",
        "landmark;x;px x;y;px y\nsella;72;720;87;877\nnasion;120;1203;76;769\n",
        "image,sella_x,sella_y,sella_x_px,sella_y_px,2_x_px,2_y_px,2_x,2_y\n1.png,72,87,720,877,1203,769,120,76\n",
        "image,sella_x_px,sella_y,nasion_x,nasion_y_px\n1.png,720,877,1203,769\n",
    ] {
        assert_eq!(read(text).unwrap()[0].points[..2], expected, "{text}");
    }
    for (text, expected) in [
        ("landmark,x,y,x_px\nsella,72,87,720\n", "line 1: column \"x_px\" has no column \"y_px\" beside it"),
        ("landmark,x,y,px_y\nsella,72,87,877\n", "line 1: column \"px_y\" has no column \"px_x\" beside it"),
        ("landmark,x_px,y\nsella,720,87\n", "the first line must name landmark, x and y"),
    ] {
        assert!(refused(text).contains(expected), "{}", refused(text));
    }
}

#[test]
fn points_that_are_no_positions_in_px_are_refused() {
    let table = |rows: &str| format!("image,landmark,x,y\n{rows}");
    for (text, expected) in [
        (
            table("1.png,1,0.41,0.42\n1.png,2,1,0.3\n"),
            "the positions on 1.png are all from 0 to 1, as shares of its width",
        ),
        (table("1.png,1,500,600\n1.png,2,50,60\n2.png,1,0.5,0.25\n"), "the positions on 2.png are all from 0 to 1"),
        (
            table("1.png,1,5,6\n1.png,2,5,6\n1.png,3,5,6\n"),
            "all 3 landmarks on 1.png are at one place (5, 6); give each",
        ),
        ("landmark,x,y\n1,0.41,0.42\n".to_owned(), "the positions on the film are all from 0 to 1"),
        (
            r#"{"shapes": [{"label": "sella", "points": [[0.4, 0.5]], "shape_type": "point"}], "imagePath": "1.png"}"#
                .into(),
            "the positions on 1.png are all from 0 to 1",
        ),
    ] {
        assert!(refused(&text).contains(expected), "{}", refused(&text));
    }
    // One landmark at the edge, one alone, and those that are not annotated.
    for rows in [
        "1.png,1,0.5,0.5\n1.png,2,5,6\n",
        "1.png,1,5,6\n",
        "1.png,1,0,0\n1.png,2,-1,-1\n",
        "1.png,1,5,6\n1.png,2,5,7\n",
    ] {
        read(table(rows)).unwrap();
    }
}

#[test]
fn shapes_and_visibilities_of_another_meaning_are_named() {
    for (kind, points, count) in [
        ("circle", "[[5, 6]]", "1 point;"),
        ("circle", "[[5, 6], [7, 8]]", "2 points;"),
        ("line", "[[5, 6]]", "1 point;"),
    ] {
        let said =
            refused(format!(r#"{{"shapes": [{{"label": "sella", "points": {points}, "shape_type": "{kind}"}}]}}"#));
        assert!(
            said.contains(&format!("shape \"sella\" is a {kind} of {count} landmarks are shapes of type point")),
            "{said}"
        );
    }
    for visibility in ["3", "-1", "0.5", "1e300"] {
        let said = refused(format!(
            r#"{{"images": [{{"id": 7, "file_name": "1.png"}}], "annotations": [{{"image_id": 7, "category_id": 1,
               "keypoints": [5, 6, {visibility}]}}], "categories": [{{"id": 1, "keypoints": ["sella"]}}]}}"#
        ));
        assert!(
            said.contains("\"sella\" of image 7 has the visibility ") && said.contains("write 0 (not annotated)"),
            "{said}"
        );
        assert!(said.len() < 200, "{said}");
    }
    let video = r#"<annotations><track id="0" label="sella"><points frame="0" points="5,6" outside="0"/></track></annotations>"#;
    let said = refused(video);
    assert!(said.contains("it has the tracks of a video") && said.contains("\"CVAT for images 1.1\""), "{said}");
}

#[test]
fn names_in_another_encoding_are_named() {
    for text in [
        &b"image,landmark,x,y\nM\xFCller.png,1,5,6\n"[..],
        b"<annotations><image name=\"M\xFCller.png\"/></annotations>",
    ] {
        let said = refused(text);
        assert!(said.contains("in Latin-1 or Windows-1252: save it as UTF-8"), "{said}");
    }
}

#[test]
fn half_a_landmark_in_a_wide_table_is_said() {
    for (text, expected) in [
        (
            "image,sella_x,sella_y,nasion_x\na.png,1,2,3\n",
            "line 1: column \"nasion_x\" has no column \"nasion_y\" beside it",
        ),
        ("image,sella_x_px,sella_y_px,2_y\na.png,1,2,3\n", "line 1: column \"2_y\" has no column \"2_x\" beside it"),
        (
            "sep=;\nimage;1_x;1_y;2_x;3_y_px\na;1;2;3;4\n",
            "line 2: column \"2_x\" has no column \"2_y\" beside it; add it, or rename \"2_x\" (and 1 more)",
        ),
    ] {
        assert!(refused(text).contains(expected), "{}", refused(text));
    }
    // Other columns are ignored, also those of mm.
    let films = read("image,sella_x_px,sella_y_px,sella_x_mm,sella_y_mm,reader\na.png,1,2,3,4,5\n").unwrap();
    assert_eq!(films[0].points[0], Some(Point::new(1.0, 2.0)));
    assert!(read("image,landmark,x,y,offset_x\na.png,1,2,3,4\n").is_ok());
}

#[test]
fn names_of_other_people_are_shown_in_messages() {
    let name = "a\u{1b}[2J\nerror: b.png";
    let json = serde_json::json!({"films": [{"file": name, "film": {"width": 9, "height": 9},
        "landmarks": [{"name": "sella", "position": {"x": 1, "y": 2}}, {"number": 1, "position": {"x": 1, "y": 2}}]}]});
    let shapes = serde_json::json!({"shapes": [{"label": name}], "imagePath": name});
    let coco = serde_json::json!({"images": [{"id": name, "file_name": "a"}, {"id": name, "file_name": "b"}], "annotations": []});
    let xml = format!("<annotations><image></{name}></annotations>");
    let mut messages =
        vec![refused(json.to_string()), refused(shapes.to_string()), refused(coco.to_string()), refused(xml)];
    messages.push(refused(serde_json::json!({"films": name}).to_string()));
    let here = |name: &str, side| FilmIdentity {
        name: Some(name.to_owned()),
        size: Some(Size { width: side, height: side }),
        sha256: None,
    };
    let points = vec![FilmPoints::none(here(name, 9), 0)];
    for film in [here("other.png", 9), here(name, 8)] {
        messages.push(points::for_film(points.clone(), &film, false).unwrap_err().to_string());
    }
    let mut bare = [film(name)];
    bare[0].film.size = None;
    messages.push(points::write(Form::Coco, &bare, &set(), None).unwrap_err().to_string());
    for message in messages {
        assert!(!message.contains(['\u{1b}', '\n']), "{message:?}");
    }
}

#[test]
fn points_belong_to_their_film() {
    let points = |name: Option<&str>, size: Option<(u32, u32)>, sha256: Option<&str>| {
        let film = FilmIdentity {
            name: name.map(str::to_owned),
            size: size.map(|(width, height)| Size { width, height }),
            sha256: sha256.map(str::to_owned),
        };
        FilmPoints::none(film, 19)
    };
    let film = Film::from_grey(Size { width: 3, height: 1 }, b"abc".to_vec()).unwrap();
    let film = FilmIdentity::of(&film, Path::new("films/Ceph 1.DCM"));
    let digest = film.sha256.clone().unwrap();
    let result = |all: &[FilmPoints], any_film| points::for_film(all.to_vec(), &film, any_film);
    // Without a name, or with the film's, in any capitals and format.
    for name in [None, Some("ceph 1.png"), Some("Ceph 1")] {
        assert!(result(&[points(name, Some((3, 1)), None)], false).is_ok(), "{name:?}");
    }
    // The pixels are surer than the name.
    assert!(result(&[points(Some("renamed.png"), None, Some(&digest))], false).is_ok());
    let several = [points(Some("other.png"), None, None), points(Some("ceph 1.jpg"), Some((3, 1)), None)];
    assert_eq!(result(&several, false).unwrap().film.name.as_deref(), Some("ceph 1.jpg"));

    let other = [points(Some("152.png"), Some((3, 1)), None)];
    let refused = result(&other, false).unwrap_err();
    assert!(
        matches!(refused, PointsError::OtherFilm { .. })
            && refused.to_string().contains("are for 152.png, not for Ceph 1.DCM")
    );
    assert!(result(&other, true).is_ok());
    let pixels = [points(Some("ceph 1.png"), Some((3, 1)), Some("00"))];
    let refused = result(&pixels, false).unwrap_err();
    assert!(matches!(refused, PointsError::OtherPixels { .. }), "{refused}");
    assert!(result(&pixels, true).is_ok());
    // Another size is refused in any case.
    for any_film in [false, true] {
        let refused = result(&[points(Some("ceph 1.png"), Some((6, 2)), None)], any_film).unwrap_err().to_string();
        assert!(refused.contains("for a film of 6x2 px (ceph 1.png), but Ceph 1.DCM has 3x1 px"), "{refused}");
    }
    // Nobody chooses among several other films.
    let refused = result(&[other[0].clone(), points(Some("153.png"), None, None)], true).unwrap_err().to_string();
    assert!(refused.contains("are for 152.png, 153.png, not for Ceph 1.DCM"), "{refused}");
    assert!(matches!(result(&[], false), Err(PointsError::NoFilm)));
}

#[test]
fn a_set_of_its_own_and_numbers() {
    let parse = |text: &str| points::parse(Path::new("p.csv"), text.as_bytes()).unwrap();
    assert_eq!(parse("landmark,x,y\nSELLA,1,2\n").built_in_set().unwrap().id, "isbi19");
    let numbers = parse("landmark,x,y\n1,1,2\n").built_in_set().unwrap_err().to_string();
    assert!(
        numbers.contains("p.csv: its landmarks are numbers, which belong to any set; name the landmark set"),
        "{numbers}"
    );
    let yaml = "id: finger\nname: Finger\nsource: an example\nlandmarks:\n  - { number: 1, name: tip, title: Tip, definition: A. }\n";
    let finger = LandmarkSet::from_yaml(yaml).unwrap();
    assert!(parse("landmark,x,y\ntip,1,2\n").built_in_set().is_err());
    assert_eq!(parse("landmark,x,y\ntip,1,2\n").films(&finger, None).unwrap()[0].points, [Some(Point::new(1.0, 2.0))]);
}

#[test]
fn other_files_are_named() {
    for (bytes, expected) in [
        (&b"\xFF\xFEl\0"[..], "UTF-16"),
        (b"PK\x03\x04rest", "workbook"),
        (b"[1, 2]", "it is JSON, but holds no points in a form that is known"),
        (b"{\"shapes\": ", "it is not JSON that can be read"),
        (b"", "it is empty"),
        (b"\x89PNG\r\n", "not UTF-8"),
        (b"hello", "the first line must name landmark, x and y"),
    ] {
        assert!(refused(bytes).contains(expected), "{}", refused(bytes));
    }
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len((64 << 20) + 1).unwrap();
    let said = points::read(large.path()).unwrap_err().to_string();
    assert!(said.contains("has more than 67108864 bytes, which no file of points has"), "{said}");
    let wide = format!("landmark,x,y{}", ",".repeat(24 << 20));
    assert!(refused(wide).contains("has more than 25165824 bytes"));
    let missing = points::read(Path::new("nowhere.csv")).unwrap_err();
    assert!(missing.to_string().contains("cannot read nowhere.csv"), "{missing}");
}

/// labelme.json was written by labelme 6.3.1, cvat.xml by datumaro 1.13.12, for the same three landmarks of a film that nobody was on.
#[test]
fn files_that_other_programs_wrote() {
    let expected = [(0, 833.25, 1002.5), (1, 1403.75, 873.0), (7, 1310.125, 2101.375)];
    for (form, text) in
        [(Form::Labelme, include_str!("written_by/labelme.json")), (Form::Cvat, include_str!("written_by/cvat.xml"))]
    {
        let [film] = &read(text).unwrap()[..] else { unreachable!() };
        assert_eq!(film.film.size, Some(Size { width: 1935, height: 2400 }), "{form}");
        assert!(film.film.name.as_ref().is_some_and(|name| name.starts_with("152.")), "{form}");
        assert_eq!(film.points.iter().flatten().count(), expected.len(), "{form}");
        for (index, x, y) in expected {
            assert!(film.points[index].unwrap().distance_px(Point::new(x, y)) < SAME_PX, "{form}, {index}");
        }
    }
}

#[test]
fn another_version_of_our_json_is_refused() {
    let read = |schema: &str| {
        let landmark = r#"{"name": "sella", "position": {"x": 3, "y": 4}}"#;
        let text = format!(r#"{{{schema}"films": [{{"file": "1.png", "landmarks": [{landmark}]}}]}}"#);
        points::parse(Path::new("points.json"), text.as_bytes()).map(drop).map_err(|error| error.to_string())
    };
    for known in ["", r#""schema": "onemark-detections/1", "#, r#""schema": "onemark-points/1", "#] {
        read(known).unwrap();
    }
    let error = read(r#""schema": "onemark-detections/2", "#).unwrap_err();
    assert!(error.contains("its schema is \"onemark-detections/2\", and onemark-detections/1"), "{error}");
}

#[test]
fn what_can_not_be_seen_is_kept_in_our_json() {
    let mut annotated = film("1.png");
    annotated.not_visible.insert(6);
    let json = points::write(Form::Json, &[annotated.clone()], &set(), None).unwrap();
    assert!(points::parse("p.json".as_ref(), &json).unwrap().is_annotation());
    assert_eq!(read(&json).unwrap()[0], annotated);
    // A detector that does not find a landmark says nothing about what a person sees.
    let found = String::from_utf8(json).unwrap().replace("onemark-points/1", "onemark-detections/1");
    let found = &read(found).unwrap()[0];
    assert!(found.points[6].is_none() && found.not_visible.is_empty());
}
