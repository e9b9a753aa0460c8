//! The layout of ISBI 2015.

use super::*;

#[test]
fn isbi_splits_by_folder_and_number() {
    let root = isbi();
    for (split, expected) in [
        (Split::Train, vec!["001", "002"]),
        (Split::Test1, vec!["151"]),
        (Split::Test2, vec!["301", "302"]),
        (Split::All, vec!["001", "002", "151", "301", "302"]),
    ] {
        assert_eq!(ids(&Dataset::open(root.path(), split).unwrap()), expected, "{split}");
    }
}

#[test]
fn isbi_truth_is_the_truncated_mean_of_two_readers() {
    let dataset = Dataset::open(isbi().path(), Split::All).unwrap();
    assert_eq!(dataset.case("001").unwrap().points, None);
    let case = dataset.case("002").unwrap();
    // 0.5 * (100 + 103) = 101.5
    assert_eq!(case.points.as_ref().unwrap()[0], Some(Point::new(101.0, 200.0)));
    assert_eq!(case.readers.as_ref().unwrap()[1][18], Some(Point::new(121.0, 236.0)));
    assert_eq!(case.spacing_for(PUBLISHED), Some(&spacing(0.1, 0.1)));
}

/// A film that was made smaller is not in the published scale any more.
#[test]
fn isbi_states_the_spacing_of_films_of_the_published_size_only() {
    let root = isbi();
    let smaller = Size { width: 322, height: 400 };
    let film = |size: Size| Film::from_grey(size, vec![0; size.pixels() as usize]).unwrap();
    let dataset = Dataset::open(root.path(), Split::Test1).unwrap();
    let case = dataset.case("151").unwrap();
    assert_eq!(case.spacing_for(smaller), None);
    for size in [smaller, Size { width: 2400, height: 1935 }, Size { width: 1935, height: 2399 }] {
        let film = case.with_spacing(film(size), None);
        let error = case.required_spacing(&film).unwrap_err().to_string();
        let says = format!("films of this layout have 1935x2400 px, and this one has {size} px; add it to spacing.csv");
        assert!(error.contains("151.BMP has no pixel spacing") && error.contains(&says), "{error}");
    }
    let published = case.with_spacing(film(PUBLISHED), None);
    assert_eq!(case.required_spacing(&published).unwrap(), &spacing(0.1, 0.1));
    let person = Spacing::new(0.6, 0.6, "a person").unwrap();
    assert_eq!(case.with_spacing(film(smaller), Some(&person)).spacing(), Some(&person));

    write(root.path(), "spacing.csv", "image,mm_per_px_x,mm_per_px_y\n151,0.6,0.6\n");
    let dataset = Dataset::open(root.path(), Split::All).unwrap();
    let case = dataset.case("151").unwrap();
    assert_eq!(case.with_spacing(film(smaller), None).spacing(), Some(&spacing(0.6, 0.6)));
    // A film without a row has none, and nothing is said of other sizes.
    let case = dataset.case("002").unwrap();
    let error = case.required_spacing(&film(smaller)).unwrap_err().to_string();
    assert!(error.contains("002.jpg has no pixel spacing; add it to spacing.csv"), "{error}");
}

#[test]
fn isbi_reads_27_lines_loose_spelling_and_repacked_folders() {
    let root = isbi();
    let loose: String = points(0).lines().map(|line| format!("{line} \t\r\n")).collect();
    write(root.path(), "AnnotationsByMD/400_senior/002.txt", loose + &"2\n".repeat(8) + "\n");
    let published = Dataset::open(root.path(), Split::Train).unwrap();
    for reader in ["400_senior", "400_junior"] {
        fs::rename(root.path().join("AnnotationsByMD").join(reader), root.path().join(reader)).unwrap();
    }
    fs::remove_dir(root.path().join("AnnotationsByMD")).unwrap();
    let repacked = Dataset::open(root.path(), Split::Train).unwrap();
    assert_eq!(published.cases, repacked.cases);
    assert_eq!(published.cases[1].points.as_ref().unwrap().len(), 19);
}

#[test]
fn isbi_annotations_that_are_wrong_are_named() {
    let senior = "AnnotationsByMD/400_senior/002.txt";
    for (text, expected) in [
        ("".to_owned(), "002.txt is empty"),
        (" \n\n".to_owned(), "002.txt is empty"),
        (points(0) + "1,2\n", "002.txt has 20 lines, expected 19 landmarks"),
        (points(0).replace("103,206", "103;206"), "002.txt, line 4: \"103;206\" is not a position"),
        (points(0).replace("103,206", "103,nan"), "002.txt, line 4"),
        (points(0).replace("103,206", "103"), "002.txt, line 4"),
        // With decimal commas: not 103, 5.
        (points(0).replace("103,206", "103,5 206,0"), "002.txt, line 4: \"103,5 206,0\" is not a position"),
    ] {
        let root = isbi();
        write(root.path(), senior, text);
        assert!(message(&root).contains(expected), "{}", message(&root));
    }
    let root = isbi();
    write(root.path(), senior, [0xFF, 0xFE]);
    assert!(message(&root).contains("cannot read") && message(&root).contains(senior), "{}", message(&root));
    assert!(message(&root).contains("UTF-16"), "{}", message(&root));
    // A byte order mark is no part of the first number.
    write(root.path(), senior, format!("\u{feff}{}", points(0)));
    assert_eq!(Dataset::open(root.path(), Split::All).unwrap().cases[1].points.as_ref().unwrap().len(), 19);
}

#[test]
fn isbi_readers_and_films_must_match() {
    let root = isbi();
    fs::remove_file(root.path().join("AnnotationsByMD/400_junior/002.txt")).unwrap();
    assert!(matches!(
        Dataset::open(root.path(), Split::Train),
        Err(DatasetError::OneReader { missing, .. }) if missing.ends_with("400_junior/002.txt")
    ));
    // If a whole reader is missing, that is said once, with the layout that takes one reader.
    let root = isbi();
    fs::remove_dir_all(root.path().join("AnnotationsByMD/400_junior")).unwrap();
    let (survey, complaints) = Dataset::survey(root.path()).unwrap();
    let [complaint] = &complaints[..] else { unreachable!("{complaints:?}") };
    let said = complaint.error.to_string();
    assert!(said.contains("400_junior") && said.contains("images/ and landmarks.csv"), "{said}");
    assert!(survey.cases.iter().all(|case| case.points.is_none()));
    // A training film may lack annotations, a test film may not.
    let root = isbi();
    fs::remove_dir_all(root.path().join("AnnotationsByMD")).unwrap();
    assert_eq!(Dataset::open(root.path(), Split::Train).unwrap().cases.len(), 2);
    assert!(matches!(Dataset::open(root.path(), Split::Test1), Err(DatasetError::NoAnnotation { .. })));
    let root = isbi();
    write(root.path(), "RawImage/TrainingData/002.png", "");
    assert!(message(&root).contains("two films are called \"002\""), "{}", message(&root));
}
