//! A plain folder: images/, landmarks.csv and spacing.csv.

use super::*;

#[test]
fn plain_folder() {
    let root = plain();
    let dataset = Dataset::open(root.path(), Split::All).unwrap();
    assert_eq!(ids(&dataset), ["9", "10", "a.b"]);
    let [nine, ten, without] = &dataset.cases[..] else { unreachable!() };
    assert_eq!(nine.complete().unwrap(), [Point::new(1.0, 2.0), Point::new(3.5, 4.0)]);
    assert_eq!((nine.spacing_for(PUBLISHED), ten.spacing_for(PUBLISHED)), (Some(&spacing(0.1, 0.2)), None));
    assert_eq!(ten.complete().unwrap(), [Point::new(5.0, 6.0), Point::new(7.0, 8.0)]);
    assert_eq!(without.points, None);
    assert_eq!(Dataset::open(root.path(), Split::Train).unwrap().cases, dataset.cases);
    assert!(matches!(Dataset::open(root.path(), Split::Test1), Err(DatasetError::NoSplits { .. })));
    let set = LandmarkSet::named("hand37").unwrap();
    let error = dataset.validate_set(&set).unwrap_err().to_string();
    assert!(error.contains("annotated with 2 landmarks, but set \"hand37\" has 37"), "{error}");
}

/// One annotated film among others is enough, in `images/` or in the folder itself.
#[test]
fn a_file_beside_the_one_annotated_film_is_enough() {
    let labelme = r#"{"imagePath": "7.png", "shapes": [{"label": "1", "shape_type": "point", "points": [[1, 2]]}]}"#;
    for (film, file, text) in [
        ("images/7.png", "images/7.csv", "landmark,x,y\n1,1,2\n"),
        ("images/7.png", "images/7.json", labelme),
        ("7.png", "7.json", labelme),
        ("7.png", "7.csv", "landmark,x,y\n1,1,2\n"),
        ("7.png", "landmarks.csv", "image,landmark,x,y\n7,1,1,2\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for film in [film.to_owned(), film.replace('7', "8")] {
            write(folder.path(), &film, "");
        }
        write(folder.path(), file, text);
        // Not called like a film.
        write(
            folder.path(),
            &file.replace("7.", "notes.").replace("landmarks.csv", "notes.txt").replace("json", "txt"),
            "notes",
        );
        let dataset =
            Dataset::open(folder.path(), Split::Train).unwrap_or_else(|error| unreachable!("{file}: {error}"));
        let template = dataset.templates(&[], &["125".to_owned()]).unwrap()[0];
        assert_eq!((ids(&dataset), template.id.as_str()), (vec!["7", "8"], "7"), "{file}");
        assert_eq!(template.complete().unwrap(), [Point::new(1.0, 2.0)]);
    }
}

#[test]
fn templates_are_those_that_are_named_or_the_usual_one_or_all_that_are_annotated() {
    let root = plain();
    let dataset = || Dataset::open(root.path(), Split::Train).unwrap();
    let ids = |named: &[&str], usual: &str| {
        let named: Vec<String> = named.iter().map(|id| (*id).to_owned()).collect();
        let found = dataset();
        let found = found.templates(&named, &[usual.to_owned()]).map_err(|error| error.to_string())?;
        Ok::<_, String>(found.iter().map(|case| case.id.clone()).collect::<Vec<_>>())
    };
    assert_eq!(ids(&["9"], "10").unwrap(), ["9"]);
    assert_eq!(ids(&["10", "9"], "9").unwrap(), ["10", "9"]);
    assert_eq!(ids(&[], "10").unwrap(), ["10"]);
    for usual in ["125", "a.b"] {
        assert_eq!(ids(&[], usual).unwrap(), ["9", "10"]);
    }
    assert!(ids(&["9", "125"], "9").unwrap_err().contains("there is no film \"125\""));
    assert!(ids(&["a.b"], "9").unwrap_err().contains("a.b.png is not annotated"));
    write(root.path(), "landmarks.csv", "image,landmark,x,y\n9,1,1,2\n10,1,,\n9,2,3,4\n");
    assert_eq!((ids(&[], "125").unwrap(), ids(&[], "10").unwrap()), (vec!["9".to_owned()], vec!["9".to_owned()]));
    fs::remove_file(root.path().join("landmarks.csv")).unwrap();
    let none = Dataset::open(root.path(), Split::Train).unwrap_err().to_string();
    assert!(
        none.contains("no annotation of any of the 3 films in") && none.contains("landmarks.csv (image,landmark,x,y)"),
        "{none}"
    );
    let (all, complaints) = Dataset::survey(root.path()).unwrap();
    assert_eq!((all.cases.len(), complaints.len()), (3, 1));
    assert!(
        all.templates(&[], &["9".to_owned()]).unwrap_err().to_string().contains("is annotated; annotate at least one")
    );
}

#[test]
fn plain_tables_that_are_wrong_are_named() {
    let good = "image,landmark,x,y\n9.jpg,1,1,2\n9.jpg,2,3,4\n";
    for (file, text, expected) in [
        ("landmarks.csv", String::new(), "landmarks.csv is empty"),
        ("landmarks.csv", "image,landmark,x,y\n".to_owned(), "landmarks.csv is empty"),
        (
            "landmarks.csv",
            "image,landmark,x\n9.jpg,1,1\n".to_owned(),
            "line 1: the first line must name landmark, x and y",
        ),
        ("landmarks.csv", format!("{good}10.jpg,1,5,six\n"), "landmarks.csv, line 4"),
        ("landmarks.csv", format!("{good}10.jpg,1,5,inf\n"), "line 4: (5, inf) is not a position"),
        ("landmarks.csv", format!("{good}10.jpg,1,5\n"), "line 4: there are 3 fields where 4"),
        ("landmarks.csv", format!("{good}10.jpg,3,5,6\n"), "line 4: landmark 3 is outside 1 to 2"),
        ("landmarks.csv", format!("{good}10.jpg,0,5,6\n"), "line 4: landmark 0 is outside 1 to 2"),
        ("landmarks.csv", format!("{good}9.jpg,2,5,6\n"), "line 4: landmark 2 of 9.jpg is given twice"),
        ("landmarks.csv", format!("{good}9,2,5,6\n"), "line 4: landmark 2 of 9 is given twice"),
        ("landmarks.csv", format!("{good}11.jpg,1,5,6\n"), "line 4: there is no image \"11.jpg\""),
        (
            "landmarks.csv",
            format!("{good}11.jpg,1,5,6\n12.jpg,1,5,6\n11.jpg,2,5,6\n"),
            "line 4: there is no image \"11.jpg\" in images/, and none for \"12.jpg\"",
        ),
        (
            "landmarks.csv",
            "image,sella_x,sella_y,2_x\n9,1,2,3\n".to_owned(),
            "line 1: column \"2_x\" has no column \"2_y\"",
        ),
        ("landmarks.csv", format!("{good}10.jpg,1,5,\n"), "line 4: (5, ) has one of x and y"),
        ("landmarks.csv", format!("{good}10.jpg,1,5.5,\"6,5\"\n"), "line 4: (5.5, 6,5) has another decimal mark"),
        ("landmarks.csv", format!("{good}10.jpg,,5,6\n"), "line 4: no landmark is named"),
        ("landmarks.csv", format!("{good}10.jpg,tip,5,6\n"), "has all of its landmarks, for example \"tip\""),
        (
            "landmarks.csv",
            format!("{good}10.jpg,1,0.2,0.3\n10.jpg,2,0.4,1\n"),
            "landmarks.csv: the positions on 10.jpg are all from 0 to 1",
        ),
        (
            "landmarks.csv",
            format!("{good}10.jpg,1,5,6\n10.jpg,2,5,6\n"),
            "all 2 landmarks on 10.jpg are at one place (5, 6)",
        ),
        ("landmarks.csv", "landmark,x,y\n1,5,6\n".to_owned(), "line 2: there is no image's name; add a column image"),
        ("landmarks.csv", "image\tlandmark\tx\ty\n9\t1\t1,234.5\t6\n".to_owned(), "(1,234.5, 6) is not a position"),
        (
            "spacing.csv",
            "image;x\n9;0,1\n".to_owned(),
            "line 1: the first line must name image, mm_per_px_x and mm_per_px_y",
        ),
        ("spacing.csv", "image,mm_per_px_x,mm_per_px_y\n9,0,0.1\n".to_owned(), "spacing.csv, line 2: 0 x 0.1 mm"),
        ("spacing.csv", "image,mm_per_px_x,mm_per_px_y\n9,1,1\n9,1,1\n".to_owned(), "spacing.csv, line 3"),
        (
            "spacing.csv",
            "image,mm_per_px_x,mm_per_px_y\n9,0,1\n9,0,1\n".to_owned(),
            "line 2: 0 x 1 mm is not the size of a pixel; it must be above 0, as 0.1; where commas are decimal marks, separate \
             the columns by semicolons (also line 3)",
        ),
        (
            "spacing.csv",
            "image,mm_per_px_x,mm_per_px_y\n9,0,1,0,1\n".to_owned(),
            "line 2: there are 5 fields where 3 are named in line 1; where commas are decimal marks, separate the columns by semi",
        ),
        (
            "spacing.csv",
            "image;mm_per_px_x;mm_per_px_y\n9;0,1;0.1\n".to_owned(),
            "line 2: 0,1 x 0.1 mm has another decimal mark than line 2; write all numbers with points, or all with commas",
        ),
    ] {
        let root = plain();
        write(root.path(), file, &text);
        let found = message(&root);
        assert!(found.contains(expected), "{found}\nfor {text}");
    }
}

/// Landmarks 1 to 19 of film 9, and their table as this program's documentation has it.
fn sound_table() -> (Vec<Point>, String) {
    let points: Vec<Point> = (1..20).map(|n| Point::new(72.2 + f64::from(n), 87.7 + 2.0 * f64::from(n))).collect();
    let rows =
        (1..).zip(&points).map(|(number, point): (usize, _)| format!("9.jpg,{number},{},{}\n", point.x, point.y));
    (points.clone(), format!("image,landmark,x,y\n{}", rows.collect::<String>()))
}

#[test]
fn tables_as_spreadsheets_write_them() {
    let (points, table) = sound_table();
    let names = LandmarkSet::named("isbi19").unwrap().landmarks;
    let by_name = |spell: fn(&str) -> String| {
        names.iter().fold(table.clone(), |table, landmark| {
            table.replace(&format!(",{},", landmark.number), &format!(",{},", spell(&landmark.name)))
        })
    };
    let decimal_commas = table.replace(',', ";").replace('.', ",").replace("9,jpg", "9.jpg");
    let mut wide = ["image".to_owned(), "9.jpg".to_owned()];
    for (landmark, Point { x, y }) in names.iter().zip(&points) {
        wide[0] += &format!(",{0}_x,{0}_y", landmark.name);
        wide[1] += &format!(",{x},{y}");
    }
    let quoted = table.replace("9.jpg", "\"9.jpg\"").replace('\n', "\r\n");
    for (what, text) in [
        ("as it is", table.clone()),
        ("a byte order mark", format!("\u{feff}{table}")),
        ("tabs", table.replace(',', "\t")),
        ("semicolons", table.replace(',', ";")),
        ("decimal commas", decimal_commas.clone()),
        ("Excel's first line", format!("sep=;\r\n{decimal_commas}")),
        ("capitals and spaces", table.replace("image,landmark,x,y", "Image , LANDMARK,X (px), Y (px)")),
        ("names", by_name(str::to_owned)),
        ("names in another spelling", by_name(|name| name.to_uppercase().replace('-', " "))),
        ("other columns", table.replace('\n', ",second\n").replacen("second", "reader", 1)),
        ("paths of another system", table.replace("9.jpg", "C:\\films\\9.jpg")),
        ("another ending and leading zeros", table.replace("9.jpg", "009.PNG")),
        ("quotes", quoted),
        ("empty rows", table.clone() + ",,,\n,,,\n\n"),
        ("a row per film", wide.join("\n")),
        ("a row per film, by number", {
            names.iter().rev().fold(wide.join("\n"), |text, landmark| {
                text.replace(&format!(",{}_", landmark.name), &format!(",{}_", landmark.number))
            })
        }),
        ("numbers of a column with gaps", {
            (1..20).fold(table.clone(), |table, n| table.replace(&format!(",{n},"), &format!(",{n}.0,")))
        }),
    ] {
        let root = plain();
        write(root.path(), "landmarks.csv", &text);
        let (survey, complaints) = Dataset::survey(root.path()).unwrap();
        assert!(complaints.is_empty(), "{what}: {complaints:?}\n{text}");
        let found = survey.case("9").unwrap().complete().unwrap();
        assert_eq!(found, points, "{what}\n{text}");
        assert_eq!(Dataset::open(root.path(), Split::All).unwrap().cases, survey.cases, "{what}");
    }
}

#[test]
fn a_fault_of_a_whole_table_is_said_once() {
    let (_, table) = sound_table();
    for (text, expected) in [
        (table.replace(',', "|"), "line 1: the first line must name"),
        (table.replace("landmark", "structure"), "line 1: the first line must name landmark, x and y"),
        (
            table.replace(".2,", ",2,"),
            "line 2: there are 5 fields where 4 are named in line 1; where commas are decimal",
        ),
        (table.replace(".jpg,", ".jpg,L"), "no built-in landmark set (isbi19, hand37) has all of its landmarks"),
        (table.replace(".2,", "px,"), "line 2: (73px, 89.7) is not a position in px (also lines 3, 4"),
        (table.replace("9.jpg", "8.jpg"), "line 2: there is no image \"8.jpg\" in images/"),
    ] {
        let root = plain();
        write(root.path(), "landmarks.csv", &text);
        let (_, complaints) = Dataset::survey(root.path()).unwrap();
        let [complaint] = &complaints[..] else { unreachable!("{complaints:?}\nfor {text}") };
        assert!(complaint.error.to_string().contains(expected), "{}\nfor {text}", complaint.error);
    }
}

#[test]
fn each_kind_of_fault_is_said_once() {
    let root = plain();
    let rows = "9.jpg,1,1,2\n9.jpg,2,three,4\n9.jpg,2,3,\n10,1,five,6\n10,2,7,\n9.jpg,1,1,2\n9.jpg,1,1,2\n8.jpg,1,1,1\n7.jpg,1,1,1\n";
    write(root.path(), "landmarks.csv", format!("image,landmark,x,y\n{rows}"));
    write(
        root.path(),
        "spacing.csv",
        "image,mm_per_px_x,mm_per_px_y\n9,0,0.1\n10,0.1,0.1\n9,-1,x\n10,0.1,0.1\n10,0.1,0.1\n",
    );
    let (_, complaints) = Dataset::survey(root.path()).unwrap();
    let said: Vec<String> = complaints.iter().map(|complaint| complaint.error.to_string()).collect();
    for (found, expected) in said.iter().zip([
        "line 3: (three, 4) is not a position in px (also line 5)",
        "line 4: (3, ) has one of x and y; write both, or leave both empty (also line 6)",
        "line 9: there is no image \"8.jpg\" in images/, and none for \"7.jpg\"",
        "line 7: landmark 1 of 9.jpg is given twice; keep one of the two (also line 8)",
        "line 2: 0 x 0.1 mm is not the size of a pixel; it must be above 0, as 0.1 (also line 4)",
        "line 5: the spacing of 10 is given twice; keep one of the two (also line 6)",
    ]) {
        assert!(found.ends_with(expected), "{found}\ninstead of {expected}");
    }
    assert_eq!(said.len(), 6, "{said:?}");
    let films: Vec<Option<&str>> = complaints.iter().map(|complaint| complaint.film.as_deref()).collect();
    assert_eq!(films, [None, None, None, Some("9"), Some("9"), Some("10")]);
}

#[test]
fn landmarks_may_be_missing_on_films() {
    let root = plain();
    let table = "image,landmark,x,y\n9,1,1,2\n9,2,3,4\n10,1,,\n10,2,7,8\na.b,1,0,0\na.b,2,-1,-1\n";
    write(root.path(), "landmarks.csv", table);
    let data = Dataset::open(root.path(), Split::All).unwrap();
    assert_eq!(data.cases[1].points, Some(vec![None, Some(Point::new(7.0, 8.0))]));
    // 0, 0 and -1, -1 are no positions. A film without any landmark is not annotated.
    assert_eq!(data.cases[2].points, None);
    let refused = data.cases[1].complete().unwrap_err().to_string();
    assert!(refused.contains("10.jpg is not annotated completely: landmarks 1 are missing"), "{refused}");
    assert!(data.cases[2].complete().unwrap_err().to_string().contains("a.b.png is not annotated"));
    // By name, a set may be given with few of its landmarks; by number, the counts must agree.
    let set = LandmarkSet::named("isbi19").unwrap();
    let refused = Dataset::open_for(root.path(), Split::All, &set).unwrap_err().to_string();
    assert!(refused.contains("annotated with 2 landmarks, but set \"isbi19\" has 19"), "{refused}");
    write(root.path(), "landmarks.csv", "image,landmark,x,y\n9,nasion,3,4\n10,sella,7,8\n");
    let data = Dataset::open_for(root.path(), Split::All, &set).unwrap();
    assert_eq!(data.cases[0].points.as_ref().unwrap()[..3], [None, Some(Point::new(3.0, 4.0)), None]);
    assert_eq!(data.cases[0].points.as_ref().unwrap().len(), 19);
    // Names of another set are named once.
    let hand = LandmarkSet::named("hand37").unwrap();
    let refused = Dataset::open_for(root.path(), Split::All, &hand).unwrap_err().to_string();
    assert!(refused.contains("\"nasion\" is none of the 37 landmarks of set \"hand37\""), "{refused}");
}

#[test]
fn points_of_other_programs_beside_the_films() {
    let root = plain();
    fs::remove_file(root.path().join("landmarks.csv")).unwrap();
    let labelme = |film: &str, x: f64| {
        format!(
            r#"{{"shapes": [{{"label": "Nasion", "points": [[{x}, 4]], "shape_type": "point"}}], "imagePath": "{film}",
               "imageWidth": 30, "imageHeight": 40}}"#
        )
    };
    write(root.path(), "images/9.json", labelme("9.jpg", 3.5));
    write(root.path(), "images/10.json", labelme("10.jpg", 5.5));
    let data = Dataset::open(root.path(), Split::All).unwrap();
    assert_eq!(data.cases[0].points.as_ref().unwrap()[1], Some(Point::new(3.5, 4.0)));
    assert_eq!((data.cases[1].points.as_ref().unwrap()[1], data.cases.len()), (Some(Point::new(5.5, 4.0)), 3));
    let other = data.cases[0].validate_inside(Size { width: 60, height: 80 }).unwrap_err().to_string();
    assert!(other.contains("9.jpg has 60x80 px, but its points were placed on a film of 30x40 px"), "{other}");

    // A file for each film, which does not name it.
    for film in ["9", "10"] {
        fs::remove_file(root.path().join(format!("images/{film}.json"))).unwrap();
    }
    write(root.path(), "landmarks/9.csv", "landmark,x,y\nsella,1,2\n");
    let data = Dataset::open(root.path(), Split::All).unwrap();
    assert_eq!(data.cases[0].points.as_ref().unwrap()[..2], [Some(Point::new(1.0, 2.0)), None]);
    // A name has dots, and other programs leave hidden files.
    write(root.path(), "landmarks/a.b.csv", "landmark,x,y\nsella,5,6\n");
    write(root.path(), "landmarks/1.2.840.10.json", labelme("9.jpg", 7.5));
    for hidden in ["landmarks/._9.csv", "landmarks/.a.b.csv", "images/._9.json"] {
        write(root.path(), hidden, "\0\u{5}\u{16}\u{7}");
    }
    let data = Dataset::open(root.path(), Split::All).unwrap();
    assert_eq!(data.case("a.b").unwrap().points.as_ref().unwrap()[0], Some(Point::new(5.0, 6.0)));
    // The size that one of two files states is kept.
    let case = data.case("9").unwrap();
    assert_eq!(case.points.as_ref().unwrap()[..2], [Some(Point::new(1.0, 2.0)), Some(Point::new(7.5, 4.0))]);
    assert_eq!(case.points_size, Some(Size { width: 30, height: 40 }));
    write(root.path(), "landmarks/c.d.csv", "landmark,x,y\nsella,5,6\n");
    assert!(message(&root).contains("c.d.csv, line 2: there is no image \"c.d\" in images/"), "{}", message(&root));
    // A file for all films.
    fs::remove_dir_all(root.path().join("landmarks")).unwrap();
    write(
        root.path(),
        "landmarks.json",
        r#"{"films": [{"file": "10.jpg", "landmarks": [{"number": 1, "position": {"x": 1, "y": 2}}]}]}"#,
    );
    assert_eq!(Dataset::open(root.path(), Split::All).unwrap().cases[0].points, None);
    write(root.path(), "landmarks.csv", "image,landmark,x,y\n9,1,1,2\n");
    assert!(message(&root).contains("are several files of points for the same films"), "{}", message(&root));
}

/// Points are looked for in three places. Those in a second place are not passed over in silence, but films may have other files
/// beside them.
#[test]
fn points_in_two_places_are_refused() {
    let root = plain();
    write(root.path(), "images/9.json", r#"{"exposure": 12}"#);
    Dataset::open(root.path(), Split::All).unwrap();
    let beside =
        r#"{"shapes": [{"label": "sella", "shape_type": "point", "points": [[1, 2]]}], "imagePath": "10.jpg"}"#;
    write(root.path(), "images/10.json", beside);
    let said = message(&root);
    assert!(said.contains("landmarks.csv and") && said.contains("10.json are several files of points"), "{said}");
}
