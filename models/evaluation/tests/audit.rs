//! The audit of datasets: each finding on synthetic films with one error, and no finding on a dataset without errors.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{GrayImage, Luma};
use onemark_evaluation::audit::{Audit, FAR, Finding, Kind, SAME_FILM, Severity};
use onemark_evaluation::dataset::Dataset;
use onemark_film::geometry::Point;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

/// Width and height, px; a px is 0.5 mm wide.
const FILM: (u32, u32) = (320, 400);
/// The mean positions of the landmarks, px.
const ANATOMY: [Point; 10] = [
    Point::new(80.0, 60.0),
    Point::new(240.0, 90.0),
    Point::new(160.0, 190.0),
    Point::new(70.0, 300.0),
    Point::new(250.0, 310.0),
    Point::new(150.0, 350.0),
    Point::new(100.0, 130.0),
    Point::new(210.0, 150.0),
    Point::new(110.0, 230.0),
    Point::new(230.0, 240.0),
];
/// Enough films for a prior over these landmarks, although some are wrong.
const FILMS: usize = 60;
/// The least number of films for a prior.
const NEEDED: usize = 50;

/// A film that differs from all others: random smooth spots.
fn film(rng: &mut ChaCha8Rng) -> GrayImage {
    let blots = GrayImage::from_fn(16, 20, |_, _| Luma([rng.random_range(20..220)]));
    imageops::resize(&blots, FILM.0, FILM.1, FilterType::CatmullRom)
}

/// A patient's landmarks: the anatomy moved and scaled, with small annotation errors.
fn points(rng: &mut ChaCha8Rng) -> Vec<Point> {
    let (right, down, scale) =
        (rng.random_range(-15.0..15.0), rng.random_range(-15.0..15.0), rng.random_range(0.95..1.05));
    let mut error = || rng.random_range(-1.0..1.0);
    ANATOMY.map(|p| Point::new(scale * p.x + right + error(), scale * p.y + down + error())).to_vec()
}

/// A plain folder, which is written to disk for the audit.
struct Plain {
    films: Vec<(String, GrayImage)>,
    points: Vec<Vec<Point>>,
    spacings: Vec<String>,
}

impl Plain {
    fn clean() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let films = (0..FILMS).map(|index| (format!("{index:02}"), film(&mut rng))).collect();
        let points = (0..FILMS).map(|_| points(&mut rng)).collect();
        Self { films, points, spacings: vec!["0.5,0.5".to_owned(); FILMS] }
    }

    fn write(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("images")).unwrap();
        let mut landmarks = "image,landmark,x,y\n".to_owned();
        let mut spacings = "image,mm_per_px_x,mm_per_px_y\n".to_owned();
        for (id, film) in &self.films {
            film.save(root.join("images").join(id).with_extension("png")).unwrap();
        }
        for ((id, _), points) in self.films.iter().zip(&self.points) {
            for (number, point) in (1..).zip(points) {
                landmarks += &format!("{id},{number},{},{}\n", point.x, point.y);
            }
        }
        for ((id, _), spacing) in self.films.iter().zip(&self.spacings).filter(|(_, spacing)| !spacing.is_empty()) {
            spacings += &format!("{id},{spacing}\n");
        }
        fs::write(root.join("landmarks.csv"), landmarks).unwrap();
        fs::write(root.join("spacing.csv"), spacings).unwrap();
        folder
    }

    fn audit(&self) -> Audit {
        report(self.write().path())
    }
}

fn report(root: &Path) -> Audit {
    let (data, complaints) = Dataset::survey(root).unwrap();
    Audit::of(&data, &complaints, 2, &|| ())
}

/// A finding as (kind, films, landmarks).
fn what(finding: &Finding) -> (Kind, Vec<&str>, &[usize]) {
    (finding.kind, finding.films.iter().map(String::as_str).collect(), &finding.landmarks)
}

/// The only finding, after a check of its severity.
#[track_caller]
fn only(report: &Audit, severity: Severity) -> &Finding {
    let [finding] = &report.findings[..] else { unreachable!("{:#?}", report.findings) };
    assert_eq!((finding.severity, finding.kind.severity()), (severity, severity));
    finding
}

#[test]
fn nothing_is_wrong_with_a_clean_set() {
    let report = Plain::clean().audit();
    assert_eq!(report.findings, []);
    assert_eq!((report.films, report.annotated, report.readers.len(), report.left_out.len()), (FILMS, FILMS, 0, 0));
}

#[test]
fn repeated_films_are_found_under_other_contrast_and_crop() {
    let mut set = Plain::clean();
    let darker = |film: &GrayImage| {
        let mut film = film.clone();
        film.pixels_mut().for_each(|p| p.0[0] = (255.0 * (f64::from(p.0[0]) / 255.0).powf(1.5)) as u8);
        film
    };
    set.films[7].1 = darker(&set.films[2].1);
    let cropped = imageops::crop_imm(&set.films[3].1, 4, 6, FILM.0 - 5, FILM.1 - 9).to_image();
    set.films[9].1 = darker(&cropped);
    set.films[11].1 = set.films[4].1.clone();
    let root = set.write();
    fs::copy(root.path().join("images/05.png"), root.path().join("images/13.png")).unwrap();
    // The same pixels in a file of another format.
    fs::remove_file(root.path().join("images/11.png")).unwrap();
    set.films[11].1.save(root.path().join("images/11.bmp")).unwrap();

    let report = report(root.path());
    let found: Vec<(Vec<&str>, &str)> =
        report.findings.iter().map(|finding| (what(finding).1, finding.message.as_str())).collect();
    assert!(report.findings.iter().all(|f| (f.kind, f.severity) == (Kind::RepeatedFilm, Severity::Warning)));
    assert_eq!(
        found.iter().map(|(films, _)| films.join("-")).collect::<Vec<_>>(),
        ["02-07", "03-09", "04-11", "05-13"]
    );
    assert!(found[0].1.contains("with other pixels (correlation ") && found[1].1.contains("with other pixels"));
    assert_eq!((found[2].1, found[3].1), ("the same pixels in different files", "the same file, byte for byte"));
    assert!((0.5..1.0).contains(&SAME_FILM));
}

#[test]
fn exchanged_landmarks_and_axes_are_found() {
    let transposed = |point: Point| Point::new(point.y, point.x);
    let mut set = Plain::clean();
    set.points[3].swap(1, 4);
    // Two pairs on one film.
    set.points[8].swap(0, 3);
    set.points[8].swap(1, 2);
    set.points[10][0] = transposed(set.points[10][0]);
    set.points[12] = set.points[12].iter().copied().map(transposed).collect();
    let report = set.audit();
    let found: Vec<_> = report.findings.iter().map(what).filter(|(kind, ..)| *kind != Kind::OutsideFilm).collect();
    let mut found: Vec<(Kind, String, &[usize])> =
        found.into_iter().map(|(kind, films, landmarks)| (kind, films.join(" "), landmarks)).collect();
    found.sort();
    let expected: [(Kind, &str, &[usize]); 5] = [
        (Kind::SwappedLandmarks, "03", &[2, 5]),
        (Kind::SwappedLandmarks, "08", &[1, 4]),
        (Kind::SwappedLandmarks, "08", &[2, 3]),
        (Kind::SwappedAxes, "10", &[1]),
        (Kind::SwappedAxes, "12", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ];
    assert_eq!(found, expected.map(|(kind, film, landmarks)| (kind, film.to_owned(), landmarks)));
    assert!(report.count(Severity::Error) >= 5);
}

#[test]
fn a_landmark_far_off_is_a_warning() {
    let mut set = Plain::clean();
    set.points[5][2] = Point::new(100.0, 250.0);
    let report = set.audit();
    let finding = only(&report, Severity::Warning);
    assert_eq!(what(finding), (Kind::FarLandmark, vec!["05"], &[3][..]));
    let deviations: f64 = finding.message.split([' ']).find_map(|word| word.parse().ok()).unwrap();
    assert!(deviations > FAR && finding.message.contains("standard deviations"), "{}", finding.message);
}

#[test]
fn too_few_films_for_a_prior_are_said_to_be() {
    let mut set = Plain::clean();
    set.films.truncate(NEEDED - 1);
    set.points.truncate(NEEDED - 1);
    set.points[0].swap(0, 1);
    let report = set.audit();
    assert_eq!(report.findings, []);
    assert!(report.left_out[0].contains("takes 50 annotated films") && report.left_out[0].contains("there are 49"));
}

#[test]
fn landmarks_outside_and_unreadable_films_are_named() {
    let mut set = Plain::clean();
    let down = 402.0 - set.points[1][5].y;
    set.points[1].iter_mut().for_each(|point| point.y += down);
    let root = set.write();
    fs::write(root.path().join("images/02.png"), "no film").unwrap();
    let report = report(root.path());
    let found: Vec<_> = report.findings.iter().filter(|f| f.severity == Severity::Error).collect();
    assert_eq!(what(found[0]), (Kind::UnreadableFilm, vec!["02"], &[][..]));
    assert!(found[0].message.contains("02.png is not a film Onemark can read"));
    assert_eq!(what(found[1]), (Kind::OutsideFilm, vec!["01"], &[6][..]));
    assert!(found[1].message.contains("of 320x400 px: 6 at x ") && found[1].message.contains(", y 40"));
    assert_eq!(found.len(), 2);
}

#[test]
fn annotations_that_are_missing_or_incomplete_are_all_named() {
    let mut set = Plain::clean();
    set.points[0].pop();
    set.points[1].push(Point::new(1.0, 1.0));
    set.points[2].clear();
    set.points[3].clear();
    let root = set.write();
    let table = fs::read_to_string(root.path().join("landmarks.csv")).unwrap();
    let more = "gone.png,1,5,5\ngone.png,2,5,5\n04,1,5\n05,1,5,five\n06,1,5,5\n";
    fs::write(root.path().join("landmarks.csv"), table + more).unwrap();
    let report = report(root.path());
    let messages: Vec<&str> = report.findings.iter().map(|finding| finding.message.as_str()).collect();
    for (message, expected) in messages.iter().zip([
        "there are 3 fields where 4 are named",
        "line 585: (5, five) is not a position in px",
        "there is no image \"gone.png\"",
        "landmark 1 of 06 is given twice",
        "landmark 11 is outside 1 to 10, the landmarks of most films",
        "no annotation, while others (58) have one",
        "not annotated on 1 of 58 annotated films",
    ]) {
        assert!(message.contains(expected), "{message}\ninstead of {expected}");
    }
    let films: Vec<String> = report.findings.iter().map(|finding| finding.films.join(" ")).collect();
    assert_eq!(films, ["", "", "", "06", "01", "02 03", "00"]);
    assert_eq!((report.count(Severity::Error), report.count(Severity::Warning)), (5, 2));
    assert_eq!((report.films, report.annotated), (FILMS, FILMS - 2));
    assert_eq!(report.findings[6].landmarks, [10]);
    assert!(report.left_out[0].contains("of films on which landmarks are missing: 1"), "{:?}", report.left_out);
}

#[test]
fn spacings_that_are_missing_or_make_no_sense_are_named() {
    let mut set = Plain::clean();
    for (index, spacing) in ["0,0.5", "-0.5,0.5", "", "50,50", "0.05,0.05"].into_iter().enumerate() {
        set.spacings[index] = spacing.to_owned();
    }
    let report = set.audit();
    let found: Vec<_> = report.findings.iter().map(what).collect();
    assert_eq!(
        found,
        [
            (Kind::Refused, vec!["00"], &[][..]),
            (Kind::Refused, vec!["01"], &[][..]),
            (Kind::NoSpacing, vec!["02"], &[][..]),
            (Kind::OddSpacing, vec!["03"], &[][..]),
            (Kind::OddSpacing, vec!["04"], &[][..]),
        ]
    );
    assert!(report.findings[0].message.contains("spacing.csv, line 2: 0 x 0.5 mm"));
    assert!(report.findings[4].message.contains("would make the film 16.0 x 20.0 mm"));
}

#[test]
fn the_same_about_many_films_is_said_once() {
    let mut set = Plain::clean();
    set.spacings = vec!["1,1".to_owned(); FILMS];
    set.spacings[3] = "0.1,0.5".to_owned();
    let report = set.audit();
    let [unit, oblong] = &report.findings[..] else { unreachable!("{:#?}", report.findings) };
    assert_eq!((unit.kind, unit.films.len(), oblong.kind), (Kind::OddSpacing, FILMS - 1, Kind::OddSpacing));
    assert!(unit.message.contains("what many programs write"), "{}", unit.message);
    assert!(oblong.films == ["03"] && oblong.message.contains("far from square"), "{}", oblong.message);
    let spacings: Vec<_> = report.spacings.iter().map(|(words, films)| (words.as_str(), *films)).collect();
    let others = ("1 x 1 mm per px by the dataset", FILMS - 1);
    assert_eq!(spacings, [("0.1 x 0.5 mm per px by the dataset", 1), others]);
}

/// ISBI's layout with films of another size, and no table of spacings: nobody knows their scale.
#[test]
fn a_layout_states_no_spacing_for_films_of_another_size() {
    let root = isbi();
    fs::remove_file(root.path().join("spacing.csv")).unwrap();
    let report = report(root.path());
    let finding = only(&report, Severity::Warning);
    assert_eq!(what(finding), (Kind::NoSpacing, vec!["001", "002", "003", "151"], &[][..]));
    let says = "films of this layout have 1935x2400 px, and this one has 320x400 px; add the film to spacing.csv";
    assert!(finding.message.contains(says), "{}", finding.message);
    assert_eq!((report.readers.len(), report.spacings.len()), (0, 0));
}

/// ISBI's layout with four films, 200 x 250 mm; the readers agree but for film 003.
fn isbi() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let write = |path: &str, text: String| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let mut spacings = "image,mm_per_px_x,mm_per_px_y\n".to_owned();
    for (id, split) in [("001", "TrainingData"), ("002", "TrainingData"), ("003", "TrainingData"), ("151", "Test1Data")]
    {
        let path = folder.path().join("RawImage").join(split);
        fs::create_dir_all(&path).unwrap();
        film(&mut rng).save(path.join(id).with_extension("png")).unwrap();
        let lines = |off: u32| -> String {
            (0..19).map(|n| format!("{},{}\n", 40 + 10 * n + if n == 4 { off } else { 0 }, 60 + 15 * n)).collect()
        };
        write(&format!("AnnotationsByMD/400_senior/{id}.txt"), lines(0));
        write(&format!("AnnotationsByMD/400_junior/{id}.txt"), lines(if id == "003" { 20 } else { 1 }));
        spacings += &format!("{id},0.5,0.5\n");
    }
    write("spacing.csv", spacings);
    folder
}

#[test]
fn readers_who_disagree_wildly_are_named() {
    let report = report(isbi().path());
    let finding = only(&report, Severity::Warning);
    assert_eq!(what(finding), (Kind::ReadersDisagree, vec!["003"], &[5][..]));
    assert!(finding.message.contains("5 by 10.0 mm"), "{}", finding.message);
    let fifth = &report.readers[4];
    assert_eq!((report.readers.len(), fifth.landmark, fifth.median_mm, fifth.limit_mm), (19, 5, 0.5, 2.5));
    assert_eq!(fifth.mean_mm, (3.0 * 0.5 + 10.0) / 4.0);
    assert_eq!((fifth.beyond[0].film.as_str(), fifth.beyond[0].mm, fifth.beyond.len()), ("003", 10.0, 1));
    assert_eq!((report.readers[0].limit_mm, report.readers[0].beyond.len()), (2.0, 0));
}

#[test]
fn one_bad_file_does_not_hide_the_next() {
    let root = isbi();
    let annotations = root.path().join("AnnotationsByMD");
    fs::write(annotations.join("400_senior/001.txt"), "").unwrap();
    fs::remove_file(annotations.join("400_junior/002.txt")).unwrap();
    for reader in ["400_senior", "400_junior"] {
        fs::remove_file(annotations.join(reader).join("151.txt")).unwrap();
    }
    let training = root.path().join("RawImage/TrainingData");
    fs::copy(training.join("003.png"), training.join("003.bmp")).unwrap();
    let report = report(root.path());
    let errors: Vec<_> = report.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let mut about: Vec<(&str, &str)> = errors.iter().map(|f| (f.films[0].as_str(), f.message.as_str())).collect();
    about.sort();
    for ((film, message), (expected_film, expected)) in about.iter().zip([
        ("001", "is empty"),
        ("002", "has no counterpart"),
        ("003", "two films are called \"003\""),
        ("151", "has no annotation"),
    ]) {
        assert!(*film == expected_film && message.contains(expected), "{film}: {message}");
    }
    assert!(about.len() == 4 && errors.iter().all(|finding| finding.kind == Kind::Refused));
    assert_eq!((report.films, report.annotated), (4, 1));
}

#[test]
fn what_holds_no_films_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Dataset::survey(folder.path()).unwrap_err().to_string().contains("is not a dataset that Onemark knows"));
}
