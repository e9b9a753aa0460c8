//! The viewer as its page uses it: starts `onemark view`, sends requests over HTTP, corrects landmarks, reads saved files back.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;

use image::{GrayImage, Luma};
use onemark_film::Spacing;
use onemark_models::bundle::Bundle;
use onemark_results::json::{Document, FilmReport};
use onemark_runtime::{BackendKind, Options, Status};
use onemark_tests::{Outcome, Program, tiny_bundle};
use onemark_viewer::{Answers as _, Desk, FilmSource};
use serde_json::Value;

/// A viewer that ends with the test.
struct Viewer {
    process: Child,
    host: String,
    secret: String,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Viewer {
    fn start(here: &Path, line: &str) -> Self {
        let mut process = Program::Runtime.command(here, line).spawn().unwrap();
        let mut link = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut link).unwrap();
        let (host, secret) = link.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
        Self { host: host.into(), secret: secret.trim_matches('/').into(), process }
    }

    /// Status, head and body of a response.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}",
            self.host
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head, answer[end + 4..].to_vec())
    }

    fn answer(&self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        let (status, _, body) = self.ask(method, &format!("/{}/{path}", self.secret), body);
        (status, body)
    }

    fn json(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, body) = self.answer(method, path, body);
        assert_eq!(status, 200, "{method} {path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }
}

/// A folder with two films and a bundle.
fn desk_folder() -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    tiny_bundle().write(&here.path().join("tiny.onemark"), false).unwrap();
    for (name, step) in [("a.png", 3), ("b.png", 5)] {
        let film = GrayImage::from_fn(90, 110, |x, y| Luma([(x * step + y * y / 16) as u8]));
        film.save(here.path().join(name)).unwrap();
    }
    here
}

#[test]
fn a_point_is_moved_saved_and_adapted_to() {
    let here = desk_folder();
    let here = here.path();
    let line = "view . --bundle tiny.onemark --backend tract --spacing 0.5 --learn-to adapted.onemark";
    let viewer = Viewer::start(here, line);
    let page = String::from_utf8(viewer.answer("GET", "", "").1).unwrap();
    assert!(
        page.contains("<title>Onemark</title>")
            && page.contains("default-src 'self'")
            && !page.contains("http://")
            && !page.contains("https://")
    );
    let about = viewer.json("GET", "desk", "");
    assert_eq!(about["films"].as_array().unwrap().len(), 2);
    assert_eq!(image::load_from_memory(&viewer.answer("GET", "films/0/image", "").1).unwrap().width(), 90);

    // The page gets the same results as `detect`.
    let found = viewer.json("GET", "films/0", "");
    let detected =
        Program::Runtime.succeed(here, "detect a.png --bundle tiny.onemark --backend tract --spacing 0.5 --json -");
    let detected: Value = serde_json::from_str(&detected.stdout).unwrap();
    assert_eq!(found["landmarks"][0]["position"], detected["films"][0]["landmarks"][0]["position"]);
    assert_eq!(found["measurements"], detected["films"][0]["measurements"]);

    let moved = viewer.json("PUT", "films/0/landmarks/2", r#"{"x": 12.25, "y": 30.5}"#);
    let landmark = &moved["landmarks"][1];
    assert_eq!(landmark["status"], "edited-by-hand");
    assert_eq!((&landmark["position"]["x"], &landmark["mm"]["y"]), (&12.25.into(), &15.25.into()));
    assert_ne!(moved["measurements"], found["measurements"]);
    assert_eq!(viewer.json("GET", "films/1", "")["landmarks"][1]["status"], "found");

    let saved = viewer.json("GET", "films/0/results/json", "");
    assert_eq!(saved["films"][0]["landmarks"][1]["position"]["x"], 12.25);
    let markups = viewer.json("GET", "films/0/results/mrk-json", "");
    assert!(markups.to_string().contains("edited by hand"), "{markups}");
    let table = String::from_utf8(viewer.answer("GET", "films/0/results/csv", "").1).unwrap();
    assert!(table.contains("edited-by-hand"), "{table}");

    assert!(viewer.json("POST", "films/0/learn", "")["told"].as_str().unwrap().contains("1 more"));
    let adapted = Bundle::open(here.join("adapted.onemark")).unwrap();
    assert_eq!(adapted.manifest().adapted.as_ref().unwrap().films[0].landmarks.len(), 19);
    assert_ne!(viewer.json("GET", "desk", "")["bundle"]["sha256"], about["bundle"]["sha256"]);
    // A correction stays until it is undone.
    assert_eq!(viewer.json("GET", "films/0", "")["landmarks"][1]["status"], "edited-by-hand");
    assert_eq!(viewer.json("DELETE", "films/0/landmarks/2", "")["landmarks"][1]["status"], "found");
}

#[test]
fn a_trial_measures_and_changes_nothing() {
    let here = desk_folder();
    let viewer = Viewer::start(here.path(), "view a.png --bundle tiny.onemark --backend tract --spacing 0.5");
    let found = viewer.json("GET", "films/0", "");
    let tried = viewer.json("POST", "films/0/landmarks/2/trial", r#"{"x": 12.25, "y": 30.5}"#);
    assert_eq!(viewer.json("GET", "films/0", "")["landmarks"], found["landmarks"]);
    assert!(!here.path().join("onemark-corrections.json").exists());
    let moved = viewer.json("PUT", "films/0/landmarks/2", r#"{"x": 12.25, "y": 30.5}"#);
    assert_eq!((&tried["measurements"], &tried["measured"]), (&moved["measurements"], &moved["measured"]));
    // The lines on the film come with the measurements: here from sella to where nasion is now.
    let skull_base = moved["measurements"].as_array().unwrap().iter().find(|one| one["name"] == "S-N").unwrap();
    let line = &skull_base["drawing"][0];
    assert_eq!((&line["kind"], &line["points"][1]), (&"length".into(), &serde_json::json!({"x": 12.25, "y": 30.5})));
}

#[test]
fn a_ruler_states_the_spacing_of_one_film() {
    let here = desk_folder();
    let line = "view . --bundle tiny.onemark --backend tract --spacing 0.5";
    let viewer = Viewer::start(here.path(), line);
    viewer.json("PUT", "films/0/landmarks/2", r#"{"x": 12, "y": 30}"#);
    let ruled =
        viewer.json("PUT", "films/0/ruler", r#"{"from": {"x": 10, "y": 20}, "to": {"x": 40, "y": 60}, "mm": 15}"#);
    let spacing = serde_json::json!({"mm_per_px": [0.3, 0.3], "source": "a person (ruler)"});
    assert_eq!((&ruled["spacing"], &ruled["ruled"]), (&spacing, &true.into()));
    let said = "0.3 x 0.3 mm per px by a person (ruler) was used, but 0.5 x 0.5 mm per px by --spacing is stated too";
    assert!(ruled["cautions"].to_string().contains(said), "{}", ruled["cautions"]);
    let corrected = &ruled["landmarks"][1];
    assert_eq!((&corrected["status"], &corrected["mm"]["y"]), (&"edited-by-hand".into(), &9.0.into()));
    assert_eq!(viewer.json("GET", "films/1", "")["spacing"]["source"], "--spacing");
    // Restoring a point, and saved files, have the new mm too.
    let restored = viewer.json("DELETE", "films/0/landmarks/2", "");
    let landmark = &restored["landmarks"][1];
    let px = landmark["position"]["x"].as_f64().unwrap();
    assert!((landmark["mm"]["x"].as_f64().unwrap() - 0.3 * px).abs() < 1e-9, "{landmark}");
    assert_eq!(viewer.json("GET", "films/0/results/json", "")["films"][0]["spacing"], spacing);
    // It outlives the viewer, without points that nobody looked at.
    drop(viewer);
    let kept = std::fs::read_to_string(here.path().join("onemark-corrections.json")).unwrap();
    let document = Document::read(&kept).unwrap();
    let [FilmReport::Done { detections, .. }] = document.films.as_slice() else { panic!("{document:?}") };
    assert!(detections.landmarks().is_empty() && detections.measurements().is_empty());
    let viewer = Viewer::start(here.path(), line);
    assert_eq!(viewer.json("GET", "films/0", "")["spacing"], spacing);
    assert_eq!(viewer.json("DELETE", "films/0/ruler", "")["spacing"]["source"], "--spacing");
    for (body, says) in [
        (r#"{"from": {"x": 10, "y": 20}, "to": {"x": 12, "y": 20}, "mm": 15}"#, "draw a line of at least 10 px"),
        (r#"{"from": {"x": 10, "y": 20}, "to": {"x": 40, "y": 20}, "mm": 0}"#, "state its length in mm"),
        ("{}", "a ruler is"),
    ] {
        let (status, told) = viewer.answer("PUT", "films/0/ruler", body);
        assert!(status == 400 && String::from_utf8_lossy(&told).contains(says), "{status}");
    }
    assert_eq!(viewer.json("GET", "films/0", "")["ruled"], false);
}

#[test]
fn nothing_is_told_to_who_has_no_link() {
    let here = desk_folder();
    let viewer = Viewer::start(here.path(), "view a.png --bundle tiny.onemark --backend tract");
    assert!(viewer.host.starts_with("127.0.0.1:"), "{}", viewer.host);
    for path in ["/", "/desk", "/films/0", "/0123456789abcdef0123456789abcdef/films/0"] {
        let (status, _, body) = viewer.ask("GET", path, "");
        assert_eq!((status, body), (404, b"open the link that was printed when the viewer started".to_vec()), "{path}");
    }
    let (_, head, _) = viewer.ask("GET", &format!("/{}/", viewer.secret), "");
    assert!(head.contains("default-src 'self'") && head.contains("no-store"), "{head}");
    for (method, path, body, status, says) in [
        ("GET", "films/7", "", 400, "there is no film 7"),
        ("GET", "films/x", "", 400, "invalid digit"),
        ("GET", "films/0/results/pdf", "", 400, "no format pdf"),
        ("GET", "films/0/results/dicom-sr", "", 400, "give the film as DICOM"),
        ("GET", "elsewhere", "", 404, "nothing here"),
        ("PUT", "films/0/landmarks/2", "{", 400, "a position is"),
        ("PUT", "films/0/landmarks/2", r#"{"x": -1, "y": 3}"#, 400, "outside of the film"),
        ("POST", "films/0/landmarks/2/trial", r#"{"x": -1, "y": 3}"#, 400, "outside of the film"),
        ("PUT", "films/0/landmarks/99", r#"{"x": 1, "y": 3}"#, 400, "no landmark 99"),
        ("POST", "films/0/learn", "", 400, "may not adapt"),
    ] {
        let (found, body) = viewer.answer(method, path, body);
        let body = String::from_utf8(body).unwrap();
        assert!(found == status && body.contains(says), "{method} {path}: {found} {body}");
    }
}

/// Requests of a program on this machine that does not know the secret.
#[test]
fn no_stranger_stops_the_viewer() {
    let here = desk_folder();
    let viewer = Viewer::start(here.path(), "view a.png --bundle tiny.onemark --backend tract");
    viewer.json("PUT", "films/0/landmarks/2", r#"{"x": 12, "y": 30}"#);
    let send = |text: &str| {
        let mut stream = TcpStream::connect(&viewer.host).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(send("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000000000000\r\n\r\n"));
        silent.push(send("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-"));
        silent.push(send("\0\x1bno HTTP at all\r\n\r\n"));
    }
    for (first, more) in [("GET / HTTP/1.1\r\n", "a: b\r\n".repeat(20_000)), ("GET /", "a".repeat(100_000))] {
        let mut stream = send(first);
        let sent = (0..400).take_while(|_| stream.write_all(more.as_bytes()).is_ok()).count();
        assert!(sent < 200, "{sent} times {} bytes of a head were taken", more.len());
    }
    // A page elsewhere can have a name that leads to this machine.
    let mut elsewhere = send(&format!("GET /{}/desk HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", viewer.secret));
    let mut answer = String::new();
    elsewhere.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");

    let (status, body) = viewer.answer("PUT", "films/0/landmarks/1", &" ".repeat(2000));
    assert!(status == 400 && String::from_utf8_lossy(&body).contains("can't be read"), "{status}");
    assert_eq!(viewer.json("GET", "films/0", "")["landmarks"][1]["status"], "edited-by-hand");
}

#[test]
fn two_windows_lose_nothing() {
    let here = desk_folder();
    let line = "view . --bundle tiny.onemark --backend tract --spacing 0.5 --learn-to adapted.onemark";
    let viewer = Viewer::start(here.path(), line);
    let viewer = &viewer;
    for x in 0..20 {
        let correct = &|landmark: usize| {
            viewer.json("PUT", &format!("films/0/landmarks/{landmark}"), &format!(r#"{{"x": {x}, "y": 30}}"#))
        };
        std::thread::scope(|scope| (1..5).for_each(|landmark| drop(scope.spawn(move || correct(landmark)))));
        let landmarks = viewer.json("GET", "films/0", "")["landmarks"].clone();
        (0..4).for_each(|index| assert_eq!(landmarks[index]["position"]["x"], f64::from(x), "{landmarks}"));
    }
    std::thread::scope(|scope| {
        (0..2).for_each(|film| drop(scope.spawn(move || viewer.json("POST", &format!("films/{film}/learn"), ""))))
    });
    let adapted = Bundle::open(here.path().join("adapted.onemark")).unwrap();
    assert_eq!(adapted.manifest().adapted.as_ref().unwrap().films.len(), 2);
}

#[test]
fn a_window_that_shows_an_old_place_moves_nothing() {
    let here = desk_folder();
    let viewer = &Viewer::start(here.path(), "view . --bundle tiny.onemark --backend tract --spacing 0.5");
    let place = || viewer.json("GET", "films/0", "")["landmarks"][0]["position"].clone();
    for pair in 0..40 {
        // Two windows that show the same place; one of them is first.
        let was = place();
        let moved = |x: i32| {
            let body = format!(r#"{{"x": {x}, "y": {pair}, "was": {was}}}"#);
            (x, viewer.answer("PUT", "films/0/landmarks/1", &body))
        };
        let both =
            std::thread::scope(|scope| [1, 2].map(|x| scope.spawn(move || moved(x))).map(|one| one.join().unwrap()));
        let (first, second): (Vec<_>, Vec<_>) = both.iter().partition(|(_, (status, _))| *status == 200);
        let ([(x, _)], [(_, (status, told))]) = (first.as_slice(), second.as_slice()) else { panic!("{both:?}") };
        assert!(*status == 409 && String::from_utf8_lossy(told).contains("another window has moved"), "{status}");
        assert_eq!(place(), serde_json::json!({"x": f64::from(*x), "y": f64::from(pair)}));
    }
    let stale = viewer.answer("DELETE", "films/0/landmarks/1", r#"{"was": {"x": 0, "y": 0}}"#);
    assert_eq!(stale.0, 409);
    let now = format!(r#"{{"was": {}}}"#, place());
    assert_eq!(viewer.json("DELETE", "films/0/landmarks/1", &now)["landmarks"][0]["status"], "found");
}

#[test]
fn a_killed_viewer_loses_no_correction() {
    let here = desk_folder();
    let line = "view . --bundle tiny.onemark --backend tract --spacing 0.5";
    let kept = here.path().join("onemark-corrections.json");
    for x in 1..4 {
        // Dropping a viewer kills it.
        let viewer = Viewer::start(here.path(), line);
        let landmarks = viewer.json("GET", "films/1", "")["landmarks"].clone();
        for before in 1..x {
            assert_eq!(landmarks[before]["position"], serde_json::json!({"x": before as f64, "y": 9.5}));
            assert_eq!(landmarks[before]["status"], "edited-by-hand");
        }
        viewer.json("PUT", &format!("films/1/landmarks/{}", x + 1), &format!(r#"{{"x": {x}, "y": 9.5}}"#));
        let explicit = format!("{line} --corrections onemark-corrections.json");
        let other = Outcome::from(Program::Runtime.command(here.path(), &explicit).output().unwrap());
        assert!(!other.success && other.stderr.contains("another viewer"), "{}", other.stderr);
    }
    let document = Document::read(&std::fs::read_to_string(&kept).unwrap()).unwrap();
    let [FilmReport::Done { detections, .. }] = document.films.as_slice() else { panic!("{document:?}") };
    assert_eq!(detections.landmarks().iter().filter(|one| one.status() == Status::EditedByHand).count(), 3);
    // Another film of this name has none of them.
    std::fs::copy(here.path().join("a.png"), here.path().join("b.png")).unwrap();
    let viewer = Viewer::start(here.path(), line);
    assert_eq!(viewer.json("GET", "films/1", "")["landmarks"][1]["status"], "found");
    drop(viewer);
    // Whatever else a person has there stays: results of `detect`, corrections of other landmarks, something else.
    let ours = std::fs::read_to_string(&kept).unwrap();
    let results = "detect b.png --bundle tiny.onemark --backend tract --json found.json";
    Program::Runtime.succeed(here.path(), results);
    let found = std::fs::read_to_string(here.path().join("found.json")).unwrap();
    let other_landmarks = ours.replace(r#""name": "nasion""#, r#""name": "knee""#);
    assert_ne!(other_landmarks, ours);
    for (text, says) in [
        (found, "it is not a file of corrections: a film in it has none"),
        (other_landmarks, "corrections of landmarks that this bundle does not have"),
        ("{\"what\": \"a person wrote\"}".to_owned(), "corrections can't be kept in"),
    ] {
        std::fs::write(&kept, &text).unwrap();
        let explicit = format!("{line} --corrections onemark-corrections.json");
        let refused = Outcome::from(Program::Runtime.command(here.path(), &explicit).output().unwrap());
        assert!(!refused.success && refused.stderr.contains(says), "{}", refused.stderr);
        // By default, the viewer begins without keeping them.
        drop(Viewer::start(here.path(), line));
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), text);
    }
}

#[test]
fn a_bundle_that_another_program_wrote_is_not_replaced() {
    let here = desk_folder();
    let line = "view . --bundle tiny.onemark --backend tract --spacing 0.5 --learn-to adapted.onemark";
    let [one, other] = [1, 2].map(|file| Viewer::start(here.path(), &format!("{line} --corrections {file}.json")));
    one.json("POST", "films/0/learn", "");
    let digest = || Bundle::open(here.path().join("adapted.onemark")).unwrap().digest();
    let written = digest();
    let (status, said) = other.answer("POST", "films/1/learn", "");
    let said = String::from_utf8(said).unwrap();
    assert!(status == 409 && said.contains("was changed by another program"), "{status} {said}");
    assert_eq!(digest(), written);
    // The one that wrote it goes on, unless somebody else is writing.
    let lock = onemark_models::lock::Lock::wait(&here.path().join("adapted.onemark")).unwrap();
    assert_eq!(one.answer("POST", "films/1/learn", "").0, 409);
    drop(lock);
    one.json("POST", "films/1/learn", "");
    assert_ne!(digest(), written);
}

#[test]
fn what_can_not_be_shown_is_said_at_once() {
    let here = desk_folder();
    for (line, says) in [
        ("view nowhere/* --bundle tiny.onemark", "no film matches"),
        ("view a.png --bundle none.onemark", "none.onemark"),
        ("view a.png --bundle tiny.onemark --learn-to tiny.onemark", "already exists"),
    ] {
        let outcome = Outcome::from(Program::Runtime.command(here.path(), line).output().unwrap());
        assert!(!outcome.success && outcome.stderr.contains(says), "{line}: {}", outcome.stderr);
    }
}

/// As in a browser, without files and without a server.
#[test]
fn films_in_memory_are_answered_for_too() {
    let mut desk = Desk::new(tiny_bundle(), Options::default().with_backend(BackendKind::Tract), None).unwrap();
    let here = desk_folder();
    for (file, name) in [("a.png", "a.png"), ("b.png", "b.PNG"), ("b.png", "1.2.840.10")] {
        let bytes = std::fs::read(here.path().join(file)).unwrap();
        desk.put(FilmSource::Bytes { name: name.into(), bytes }, Spacing::parse("0.5", "a test").ok());
    }
    let json = |method, path, body: &str| -> Value {
        let answer = desk.answer(method, path, body.as_bytes());
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.bytes));
        serde_json::from_slice(&answer.bytes).unwrap()
    };
    assert_eq!(json("GET", "desk", "")["films"], serde_json::json!(["a.png", "b.PNG", "1.2.840.10"]));
    let moved = json("PUT", "films/1/landmarks/2", r#"{"x": 12.25, "y": 30.5}"#);
    assert_eq!(
        (&moved["landmarks"][1]["status"], &moved["landmarks"][1]["mm"]["y"]),
        (&"edited-by-hand".into(), &15.25.into())
    );
    for (film, name) in [(1, "b.html"), (2, "1.2.840.10.html")] {
        let saved = desk.answer("GET", &format!("films/{film}/results/report"), b"");
        assert_eq!(saved.name.as_deref(), Some(name));
    }
    assert_eq!(desk.answer("GET", "films/3", b"").status, 400);
}
