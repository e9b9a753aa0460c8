//! Answers drawn requests of the viewer's page in process, with two films that can be read and one that can't. Every status is the one
//! that the request deserves, a refused correction changes nothing, and corrections outlive the viewer.
//!
//! The backend gives constant numbers: what a network finds does not matter here, so neither tract nor ONNX Runtime is compiled.
#![no_main]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use image::{GrayImage, ImageFormat};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use ndarray::Array4;
use onemark_evaluation::points;
use onemark_film::geometry::{Point, Size};
use onemark_film::{Film, Spacing};
use onemark_models::bundle::Bundle;
use onemark_results::json::Document;
use onemark_runtime::backend::{Backend, CheckedGraph, Outputs, Session, Tensor};
use onemark_runtime::{Options, RuntimeError};
use onemark_viewer::{Answer, Answers, Desk, FilmSource};
use serde_json::{Value, json};

use onemark_fuzz::scratch;

#[allow(dead_code, reason = "the tests of the detector use the rest")]
#[path = "../../../runtime/tests/spot/mod.rs"]
mod spot;

/// The films that can be read: size in px. The next one on the desk is damaged.
const FILMS: [Size; 2] = [Size { width: 12, height: 9 }, Size { width: 7, height: 20 }];
const DAMAGED: usize = FILMS.len();
/// Landmarks of the bundle.
const LANDMARKS: usize = 2;
/// The most requests of one viewer.
const MOST_REQUESTS: usize = 32;
/// In the name of every film: no report may have it as an element of its page.
const MARK: &str = "<q7>";
/// What the desk offers, and one format that it does not have.
const FORMATS: [&str; 7] = ["json", "csv", "overlay", "mrk-json", "dicom-sr", "report", "pdf"];

static BUNDLE: LazyLock<Bundle> = LazyLock::new(spot::adaptable);
static PNGS: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let [one, other] = FILMS.map(|Size { width, height }| {
        let mut png = Cursor::new(Vec::new());
        let grey = GrayImage::from_fn(width, height, |x, y| [(x * 17 + y * 5) as u8].into());
        grey.write_to(&mut png, ImageFormat::Png).expect("a film");
        png.into_inner()
    });
    let damaged = one[..one.len() / 2].to_vec();
    [one, other, damaged]
});
/// Where corrections and adapted bundles go.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch);

/// Every output of every graph has the same numbers in every run.
struct Constant;

struct Constants(Vec<(String, [usize; 4])>);

impl Backend for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn about(&self) -> String {
        "numbers that never change".into()
    }

    fn open(&self, graph: &CheckedGraph, _threads: usize) -> std::result::Result<Box<dyn Session>, RuntimeError> {
        let outputs = graph.outputs().map(|(name, shape)| (name.to_owned(), shape.try_into().expect("four axes")));
        Ok(Box::new(Constants(outputs.collect())))
    }

    fn keep(&self, numbers: Array4<f32>) -> std::result::Result<Box<dyn Tensor>, RuntimeError> {
        Ok(Box::new(numbers))
    }
}

impl Session for Constants {
    fn run(&self, _inputs: &[(&str, &dyn Tensor)]) -> std::result::Result<Outputs, RuntimeError> {
        let made = self.0.iter().map(|(name, shape)| {
            let numbers = Array4::from_shape_fn(*shape, |(_, channel, row, column)| {
                0.25 * ((channel + 3 * row + 5 * column) % 4) as f32
            });
            (name.clone(), Box::new(numbers) as Box<dyn Tensor>)
        });
        Ok(made.collect())
    }
}

/// What the backend's numbers make of each film: they are the same with every bundle.
static FOUND: LazyLock<[Vec<Value>; 2]> = LazyLock::new(|| {
    let (desk, _) = open("", None, None);
    [0, 1].map(|film| Viewer { desk: &desk, learns: false, now: Default::default(), ruled: [false; 2] }.landmarks(film))
});

/// A viewer with the films, and the number of films that have corrections in the file `kept`.
fn open(name: &str, kept: Option<&Path>, adapt_to: Option<&Path>) -> (Desk, usize) {
    let (options, adapt_to) = (Options::default().with_threads(1), adapt_to.map(Path::to_owned));
    let mut desk = Desk::with_backend(BUNDLE.clone(), Arc::new(Constant), options, adapt_to).expect("a desk");
    let films = kept.map_or(0, |kept| desk.keep_in(kept).expect("a place for corrections"));
    let spacing = || Spacing::new(0.1, 0.125, "a test").ok();
    for (film, (png, spacing)) in PNGS.iter().zip([None, spacing(), None]).enumerate() {
        desk.put(FilmSource::Bytes { name: format!("{name}{film}{MARK}.png"), bytes: png.clone() }, spacing);
    }
    (desk, films)
}

/// The viewer, and the landmarks that its page must show.
struct Viewer<'a> {
    desk: &'a Desk,
    learns: bool,
    now: [Vec<Value>; 2],
    /// Which films have a ruler.
    ruled: [bool; 2],
}

fuzz_target!(|bytes: &[u8]| {
    // An input that ends early has fewer requests.
    let _ = session(&mut Unstructured::new(bytes));
});

fn session(drawn: &mut Unstructured<'_>) -> Result<()> {
    let (keeps, learns) = (drawn.arbitrary()?, drawn.arbitrary()?);
    let name: String = drawn.arbitrary()?;
    let (kept, adapted) = (FOLDER.join("kept.json"), FOLDER.join("adapted"));
    let _ = (fs::remove_file(&kept), fs::remove_dir_all(&adapted));
    let kept = Some(kept.as_path()).filter(|_| keeps);
    let (desk, _) = open(&name, kept, Some(adapted.as_path()).filter(|_| learns));
    let mut viewer = Viewer { desk: &desk, learns, now: FOUND.clone(), ruled: [false; 2] };
    let (mut requests, mut done) = (0, Ok(()));
    while done.is_ok() && !drawn.is_empty() && requests < MOST_REQUESTS {
        done = viewer.step(drawn);
        requests += 1;
    }
    let Viewer { now, ruled, .. } = viewer;
    if keeps {
        drop(desk);
        let (desk, films) = open(&name, kept, None);
        let is_kept = |film: &usize| ruled[*film] || now[*film].iter().any(is_by_hand);
        assert_eq!(films, [0, 1].iter().filter(|film| is_kept(film)).count());
        let again = Viewer { desk: &desk, learns: false, now: FOUND.clone(), ruled };
        assert_eq!(now, [0, 1].map(|film| again.landmarks(film)));
        assert_eq!(ruled, [0, 1].map(|film| again.is_ruled(film)));
    }
    done
}

impl Viewer<'_> {
    /// Makes one request, and checks its answer and what it has changed.
    fn step(&mut self, drawn: &mut Unstructured<'_>) -> Result<()> {
        let film: usize = drawn.int_in_range(0..=FILMS.len() + 1)?;
        let path = |rest: &str| format!("films/{film}{rest}");
        match drawn.int_in_range(0..=11)? {
            0 => assert_eq!(self.answer("GET", "desk", b"").status, 200),
            1 => assert_eq!(self.answer("GET", &path(""), b"").status, if film < DAMAGED { 200 } else { 400 }),
            2 => self.image(film),
            3 => self.results(film, drawn.choose(&FORMATS)?),
            4..=6 => self.correct(film, drawn)?,
            7 => self.learn(&path("/learn"), film),
            9 => self.rule(film, drawn)?,
            10 => self.measure(film, drawn)?,
            8 => {
                let (path, body): (String, &[u8]) = (path(drawn.arbitrary()?), drawn.arbitrary()?);
                self.any(drawn.choose(&["GET", "PUT", "DELETE", "POST"])?, &path, body);
            }
            _ => self.any(drawn.arbitrary()?, drawn.arbitrary()?, drawn.arbitrary()?),
        }
        // Some requests come before a film was opened.
        for film in 0..DAMAGED {
            if drawn.ratio(1, 2)? {
                assert_eq!(self.now[film], self.landmarks(film));
            }
        }
        Ok(())
    }

    /// An answer, after checks that hold for all.
    fn answer(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let answer = self.desk.answer(method, path, body);
        assert!(
            [200, 400, 404, 409].contains(&answer.status),
            "{}: {method} {path}: {}",
            answer.status,
            words(&answer)
        );
        assert!(!answer.bytes.is_empty());
        // It stands in a header, between quotation marks.
        let fits = |letter: char| letter.is_ascii_graphic() && !"\"\\;".contains(letter);
        assert!(answer.name.iter().all(|name| name.chars().all(fits)), "{:?}", answer.name);
        if answer.status != 200 {
            assert!(answer.kind.starts_with("text/plain") && str::from_utf8(&answer.bytes).is_ok());
        }
        answer
    }

    /// A film's landmarks as the page gets them.
    fn landmarks(&self, film: usize) -> Vec<Value> {
        let answer = self.answer("GET", &format!("films/{film}"), b"");
        assert_eq!(answer.status, 200, "{}", words(&answer));
        landmarks(&answer)
    }

    fn image(&self, film: usize) {
        let answer = self.answer("GET", &format!("films/{film}/image"), b"");
        match PNGS.get(film).filter(|_| film < DAMAGED) {
            None => assert_eq!(answer.status, 400),
            Some(png) => {
                let [shown, film] = [&answer.bytes, png].map(|png| Film::from_bytes(png, "film.png").expect("a film"));
                assert_eq!((shown.size(), shown.grey()), (film.size(), film.grey()));
            }
        }
    }

    fn results(&mut self, film: usize, format: &str) {
        let answer = self.answer("GET", &format!("films/{film}/results/{format}"), b"");
        let can_be = match format {
            // It needs a spacing.
            "mrk-json" => film == 1 || film == 0 && self.ruled[0],
            "dicom-sr" | "pdf" => false,
            _ => film < DAMAGED,
        };
        assert_eq!(answer.status, if can_be { 200 } else { 400 }, "{film} {format}: {}", words(&answer));
        if !can_be {
            return;
        }
        let text = str::from_utf8(&answer.bytes);
        match format {
            "json" => {
                let document = Document::read(text.expect("a text")).expect("a document");
                assert_eq!(document.films.len(), 1);
            }
            "report" => assert!(!text.expect("a text").contains(MARK)),
            _ => {}
        }
        if ["json", "csv", "mrk-json"].contains(&format) {
            points::parse("saved".as_ref(), &answer.bytes).expect("points");
        }
    }

    /// Moves or restores a landmark, as far as that is possible.
    fn correct(&mut self, film: usize, drawn: &mut Unstructured<'_>) -> Result<()> {
        let number: usize = drawn.int_in_range(0..=LANDMARKS + 1)?;
        let size = FILMS.get(film).copied();
        let index = number.checked_sub(1).filter(|index| *index < LANDMARKS && size.is_some());
        let now = index.map(|index| at(&self.now[film][index]));
        let was = match drawn.int_in_range(0..=3)? {
            0 => None,
            1 => Some(point(drawn, size)?),
            _ => now,
        };
        let moved = if drawn.arbitrary()? { Some(point(drawn, size)?) } else { None };
        let body = |point: Point| json!({"x": point.x, "y": point.y});
        let (method, body) = match (moved, was) {
            (Some(Point { x, y }), was) => ("PUT", json!({"x": x, "y": y, "was": was.map(body)}).to_string()),
            (None, None) if drawn.arbitrary()? => ("DELETE", String::new()),
            (None, was) => ("DELETE", json!({"was": was.map(body)}).to_string()),
        };
        let is_number = |point: Point| point.x.is_finite() && point.y.is_finite();
        let may_be = moved.is_none_or(|point| size.is_some_and(|size| point.is_inside(size)));
        let expected = match now {
            Some(_) if !may_be || !was.is_none_or(is_number) => 400,
            // Nearer than this, it is the same place in other digits.
            Some(now) if was.is_some_and(|was| now.distance_px(was) > 1e-6) => 409,
            Some(_) => 200,
            None => 400,
        };
        let path = format!("films/{film}/landmarks/{number}");
        let answer = self.answer(method, &path, body.as_bytes());
        assert_eq!(answer.status, expected, "{method} {path} {body}: {}", words(&answer));
        match index.filter(|_| expected == 200) {
            Some(index) => {
                let after = landmarks(&answer);
                match moved {
                    Some(point) => assert!(is_by_hand(&after[index]) && at(&after[index]) == point, "{}", after[index]),
                    None => assert_eq!(FOUND[film][index], after[index]),
                }
                self.now[film][index] = after[index].clone();
                assert_eq!(self.now[film], after);
            }
            None if film < DAMAGED => assert_eq!(self.now[film], self.landmarks(film), "{method} {path} {body}"),
            None => {}
        }
        Ok(())
    }

    /// States a film's spacing by a ruler on it, or takes the ruler away.
    fn rule(&mut self, film: usize, drawn: &mut Unstructured<'_>) -> Result<()> {
        let path = format!("films/{film}/ruler");
        let (ruler, body) = if drawn.arbitrary()? {
            let size = FILMS.get(film).copied();
            let (from, to, mm) = (point(drawn, size)?, point(drawn, size)?, f64::from(drawn.arbitrary::<u16>()?) / 100.0);
            (Spacing::from_ruler(from, to, mm).is_ok(), json!({"from": from, "to": to, "mm": mm}).to_string())
        } else {
            (false, String::new())
        };
        let method = if body.is_empty() { "DELETE" } else { "PUT" };
        let can_be = film < DAMAGED && (ruler || body.is_empty());
        let answer = self.answer(method, &path, body.as_bytes());
        assert_eq!(answer.status, if can_be { 200 } else { 400 }, "{method} {path} {body}: {}", words(&answer));
        if can_be {
            self.ruled[film] = ruler;
        }
        if film < DAMAGED {
            assert_eq!(self.ruled[film], self.is_ruled(film));
            assert_eq!(self.now[film], self.landmarks(film));
        }
        Ok(())
    }

    /// Asks for the measurements with a landmark at another place, which changes nothing.
    fn measure(&mut self, film: usize, drawn: &mut Unstructured<'_>) -> Result<()> {
        let (number, size) = (drawn.int_in_range(0..=LANDMARKS + 1)?, FILMS.get(film).copied());
        let at = point(drawn, size)?;
        let (path, body) = (format!("films/{film}/landmarks/{number}/trial"), json!(at).to_string());
        let answer = self.answer("POST", &path, body.as_bytes());
        let can_be = (1..=LANDMARKS).contains(&number) && size.is_some_and(|size| at.is_inside(size));
        assert_eq!(answer.status, if can_be { 200 } else { 400 }, "{path} {body}: {}", words(&answer));
        if film < DAMAGED {
            assert_eq!(self.now[film], self.landmarks(film));
        }
        Ok(())
    }

    /// Whether a film's spacing is that of a ruler.
    fn is_ruled(&self, film: usize) -> bool {
        let shown: Value =
            serde_json::from_slice(&self.answer("GET", &format!("films/{film}"), b"").bytes).expect("JSON");
        shown["ruled"] == true
    }

    /// Adapts the bundle, or is refused. A person's corrections stay.
    fn learn(&mut self, path: &str, film: usize) {
        let answer = self.answer("POST", path, b"");
        match answer.status {
            200 => assert!(self.learns && film < DAMAGED && Bundle::open(FOLDER.join("adapted")).is_ok()),
            status => assert_eq!(status, 400, "{}", words(&answer)),
        }
        for film in 0..DAMAGED {
            assert_eq!(self.now[film], self.landmarks(film));
        }
    }

    /// A request of which nothing is known. Only a correction that succeeds may change something.
    fn any(&mut self, method: &str, path: &str, body: &[u8]) {
        let answer = self.answer(method, path, body);
        if answer.status == 200 && ["PUT", "DELETE"].contains(&method) {
            self.now = [0, 1].map(|film| self.landmarks(film));
            self.ruled = [0, 1].map(|film| self.is_ruled(film));
        }
    }
}

/// A position, more often than not on the film.
fn point(drawn: &mut Unstructured<'_>, size: Option<Size>) -> Result<Point> {
    let Some(Size { width, height }) = size else { return Ok(Point::new(1.0, 1.0)) };
    if drawn.ratio(1, 4)? {
        return Ok(Point::new(drawn.arbitrary()?, drawn.arbitrary()?));
    }
    let mut side =
        |side: u32| -> Result<f64> { Ok(f64::from(side) * f64::from(drawn.arbitrary::<u32>()?) / f64::from(u32::MAX)) };
    Ok(Point::new(side(width)?, side(height)?))
}

fn landmarks(answer: &Answer) -> Vec<Value> {
    let shown: Value = serde_json::from_slice(&answer.bytes).expect("JSON");
    let mut landmarks = shown["landmarks"].as_array().expect("landmarks").clone();
    assert_eq!(landmarks.len(), LANDMARKS);
    // They depend on the spacing, which a ruler changes.
    landmarks.iter_mut().filter_map(Value::as_object_mut).for_each(|landmark| drop(landmark.remove("mm")));
    landmarks
}

fn at(landmark: &Value) -> Point {
    let [x, y] = ["x", "y"].map(|axis| landmark["position"][axis].as_f64().expect("a number"));
    Point::new(x, y)
}

fn is_by_hand(landmark: &Value) -> bool {
    landmark["status"] == "edited-by-hand"
}

fn words(answer: &Answer) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&answer.bytes)
}
