//! Batches of films survive: a kill, Ctrl-C, a reader that goes away, a full disk, an output that can't be made for one film, a
//! film that brings a defect to light. Commands that write the same bundle at the same time undo nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs, thread};

use image::{GrayImage, Luma};
use onemark_models::bundle::Bundle;
use onemark_tests::{Outcome, Program, data_set, small_films, tiny_bundle};
use serde_json::Value;

/// Films of a batch, many enough to be stopped among them.
const FILMS: usize = 16;
const BATCH: &str = "detect films --bundle tiny.onemark --backend tract --landmarks 1,2,19 --spacing 0.5 --json all.json \
                     --csv all.csv --overlay out";

/// A folder with a bundle and `count` films.
fn lab(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    tiny_bundle().write(&folder.path().join("tiny.onemark"), false).unwrap();
    fs::create_dir(folder.path().join("films")).unwrap();
    (0..count).for_each(|number| film(&folder.path().join(format!("films/{number:02}.png")), number as u32));
    folder
}

fn film(path: &Path, number: u32) {
    GrayImage::from_fn(97, 120, |x, y| Luma([(x * (number + 2) + y * y / 16) as u8])).save(path).unwrap();
}

fn run(here: &Path, line: &str) -> (Outcome, Option<i32>) {
    let output = Program::Runtime.command(here, line).output().unwrap();
    let code = output.status.code();
    (output.into(), code)
}

/// The JSON without the times that films took.
fn json(here: &Path, name: &str) -> Value {
    let mut json: Value = serde_json::from_slice(&fs::read(here.join(name)).unwrap()).unwrap();
    for film in json["films"].as_array_mut().unwrap() {
        if let Some(seconds) = film.get_mut("seconds") {
            *seconds = 0.into();
        }
    }
    json
}

fn films(json: &Value) -> usize {
    json["films"].as_array().unwrap().len()
}

/// Everything that a batch writes. A kill may leave a temporary file, which is hidden.
fn results(here: &Path) -> (Value, Vec<u8>, BTreeMap<String, Vec<u8>>) {
    let pictures = fs::read_dir(here.join("out")).unwrap().map(|entry| entry.unwrap());
    let pictures = pictures.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()));
    let pictures = pictures.filter(|(name, _)| !name.starts_with('.'));
    (json(here, "all.json"), fs::read(here.join("all.csv")).unwrap(), pictures.collect())
}

/// How often a test kills or competes. `ONEMARK_ROUNDS=1000` makes it more.
fn rounds(usual: usize) -> usize {
    env::var("ONEMARK_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

/// Draws numbers below a number, so that moments differ from round to round. `ONEMARK_SEED` makes them others.
fn draws() -> impl FnMut(usize) -> usize {
    let mut state: u64 = env::var("ONEMARK_SEED").map_or(7, |seed| seed.parse().unwrap());
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

fn start(here: &Path, line: &str) -> Child {
    Program::Runtime.command(here, line).stderr(Stdio::null()).spawn().unwrap()
}

/// Reads what a run prints until it has told of so many films, or ends; how many it has told of.
fn read(run: &mut Child, films: usize) -> usize {
    let mut told = 0;
    let mut lines = BufReader::with_capacity(64, run.stdout.as_mut().unwrap());
    let mut line = String::new();
    while told < films && lines.read_line(&mut line).unwrap() > 0 {
        told += usize::from(line.starts_with("films/"));
        line.clear();
    }
    told
}

/// The lines of the journal after its first, and the rows of the CSV after its first, by film.
fn noted(here: &Path) -> (usize, usize) {
    let lines = |name: &str| fs::read_to_string(here.join(name)).unwrap_or_default();
    let rows = lines("all.csv");
    let rows = rows.lines().filter(|row| row.contains(".png,19,")).count();
    (lines("all.jsonl").matches('\n').count().saturating_sub(1), rows)
}

#[test]
fn a_killed_batch_loses_the_film_at_hand_only_and_is_resumed_to_the_same_bytes() {
    // More kills take more films.
    let kills = rounds(3);
    let count = FILMS.max(3 * kills);

    let whole = lab(count);
    Program::Runtime.succeed(whole.path(), BATCH);
    assert!(!whole.path().join("all.jsonl").exists(), "a run that came to its end needs no journal");
    let expected = results(whole.path());
    assert_eq!(films(&expected.0), count);

    let mut draw = draws();
    let here = lab(count);
    let here = here.path();
    let mut done = 0;
    for kill in 0..kills {
        let line = format!("{BATCH} --resume");
        let mut run = start(here, &line);
        let told = read(&mut run, 1 + draw(count / kills));
        run.kill().unwrap();
        run.wait().unwrap();
        let (journal, rows) = noted(here);
        println!("kill {kill}: {told} films more, {journal} in the journal");
        if !here.join("all.jsonl").exists() {
            // It came to its end before it was killed.
            assert_eq!(results(here), expected);
            return;
        }
        assert!(journal >= done + told, "{journal} films are noted, but {} were told of", done + told);
        assert!(rows + 1 >= done && rows <= journal, "{rows} films in the CSV, {journal} in the journal");
        assert!(!here.join("all.json").exists(), "the JSON is written at the end");
        done = journal;
    }
    assert!(done > 0);
    let last = Program::Runtime.succeed(here, &format!("{BATCH} --resume"));
    assert!(last.stderr.contains(&format!("{done} films are done already")), "{}", last.stderr);
    let again = last.stdout.lines().filter(|line| line.starts_with("films/")).count();
    assert_eq!(again, count - done, "films that are done are not looked at again");
    assert_eq!(results(here), expected);
    assert!(!here.join("all.jsonl").exists());
}

#[test]
fn ctrl_c_keeps_what_was_found() {
    let here = lab(FILMS);
    let here = here.path();
    let mut run = start(here, BATCH);
    assert_eq!(read(&mut run, 3), 3);
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    run.stdout.as_mut().unwrap().read_to_end(&mut Vec::new()).unwrap();
    let status = run.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(130), None));
    let kept = films(&json(here, "all.json"));
    assert!((3..FILMS).contains(&kept), "{kept}");
    assert_eq!(noted(here), (kept, kept));

    let other = lab(FILMS);
    Program::Runtime.succeed(other.path(), BATCH);
    Program::Runtime.succeed(here, &format!("{BATCH} --resume"));
    assert_eq!(results(here), results(other.path()));
}

#[test]
fn a_run_is_resumed_only_as_it_was_begun() {
    let here = lab(FILMS);
    let here = here.path();
    let mut killed = start(here, BATCH);
    assert_eq!(read(&mut killed, 2), 2);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let other = BATCH.replace("0.5", "0.4");
    let (outcome, code) = run(here, &format!("{other} --resume"));
    assert!(
        code == Some(1) && outcome.stderr.contains("spacing 0.5 x 0.5 mm, and this run has 0.4 x 0.4 mm"),
        "{outcome:?}"
    );
    // A film that was replaced, or whose picture is gone, is looked at again.
    film(&here.join("films/00.png"), 99);
    fs::remove_file(here.join("out/01.png")).unwrap();
    let last = Program::Runtime.succeed(here, &format!("{BATCH} --resume"));
    for name in ["films/00.png: ", "films/01.png: "] {
        assert!(last.stdout.contains(name), "{name}");
    }
    let whole = results(here);
    Program::Runtime.succeed(here, BATCH);
    assert_eq!(results(here), whole);
    let (outcome, code) = run(here, "detect films --bundle tiny.onemark --json - --resume");
    assert!(code == Some(1) && outcome.stderr.contains("--json or --csv to a file"), "{outcome:?}");
}

#[test]
fn the_readers_of_standard_output_may_go_away() {
    let here = lab(FILMS);
    let here = here.path();
    let mut run = start(here, BATCH);
    assert_eq!(read(&mut run, 1), 1);
    drop(run.stdout.take());
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(films(&json(here, "all.json")), FILMS);

    small_films(&here.join("annotated"));
    let line =
        "evaluate tiny.onemark --data annotated --split test1 --spacing 0.1 --backend tract --report report.json";
    let mut run = start(here, line);
    drop(run.stdout.take());
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert_eq!(films(&serde_json::from_slice(&fs::read(here.join("report.json")).unwrap()).unwrap()), 1);
}

#[test]
fn an_output_that_cant_be_made_for_a_film_is_missing_alone() {
    let here = lab(1);
    let here = here.path();
    fs::write(here.join("films/film.dcm"), dicom()).unwrap();
    let line =
        "detect films --bundle tiny.onemark --backend tract --json all.json --csv all.csv --overlay out --report out";
    let (outcome, code) = run(here, &format!("{line} --mrk-json out --dicom-sr out"));
    assert_eq!(code, Some(1), "{outcome:?}");
    let json = json(here, "all.json");
    for (film, missing) in json["films"].as_array().unwrap().iter().zip([2, 0]) {
        assert_eq!(film["landmarks"].as_array().unwrap().len(), 19, "{film}");
        assert_eq!(film.get("not_written").map_or(0, |files| files.as_array().unwrap().len()), missing, "{film}");
    }
    assert_eq!(noted(here).1, 1);
    let there = |name: &str| here.join("out").join(name).is_file();
    for name in ["00.png", "00.html", "film.png", "film.html", "film.mrk.json", "film.sr.dcm"] {
        assert!(there(name), "{name}");
    }
    assert!(!there("00.mrk.json") && !there("00.sr.dcm"));
    for said in ["films/00.png: mrk-json is in mm", "give --spacing", "is not DICOM", "1 of 2 films lack an output"] {
        assert!(outcome.stderr.contains(said), "{said}: {}", outcome.stderr);
    }
}

/// A film of 16x16 px that states its spacing.
fn dicom() -> Vec<u8> {
    let [one, eight, side] = [1_u16, 8, 16].map(u16::to_le_bytes);
    let pixels: Vec<u8> = (0..=255).collect();
    let attributes: BTreeMap<u32, &[u8]> = [
        (0x0008_0016, &b"1.2.840.10008.5.1.4.1.1.1.1\0"[..]),
        (0x0008_0018, b"1.2.826.0.1.3680043.8.498.3\0"),
        (0x0020_000D, b"1.2.826.0.1.3680043.8.498.1\0"),
        (0x0020_000E, b"1.2.826.0.1.3680043.8.498.2\0"),
        (0x0028_0002, &one),
        (0x0028_0004, b"MONOCHROME2 "),
        (0x0028_0010, &side),
        (0x0028_0011, &side),
        (0x0028_0030, b"4.0\\4.0 "),
        (0x0028_0100, &eight),
        (0x0028_0101, &eight),
        (0x0028_0102, &[7, 0]),
        (0x0028_0103, &[0, 0]),
        (0x7FE0_0010, &pixels),
    ]
    .into();
    data_set(&attributes)
}

#[test]
fn a_film_that_fails_takes_no_other_with_it() {
    let here = lab(2);
    let here = here.path();
    // An item delimiter where no sequence is: readers of DICOM have panicked on it.
    let stray = [0x08, 0x00, 0x05, 0x00, b'C', b'S', 2, 0, b'a', b' ', 0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0];
    fs::write(here.join("films/00a.dcm"), stray).unwrap();
    fs::write(here.join("films/00b.png"), "no film").unwrap();
    let (outcome, code) = run(here, BATCH);
    assert_eq!(code, Some(1), "{outcome:?}");
    let json = json(here, "all.json");
    let errors: Vec<bool> = json["films"].as_array().unwrap().iter().map(|film| film["error"].is_string()).collect();
    assert_eq!(errors, [false, true, true, false]);
    assert!(
        !outcome.stderr.contains("panicked") && outcome.stderr.contains("2 of 4 films failed"),
        "{}",
        outcome.stderr
    );
}

/// A limit on the size of files acts like a full disk and needs no privileges.
#[test]
fn a_disk_that_fills_up_loses_nothing_of_what_was_written() {
    let here = lab(FILMS);
    let here = here.path();
    let line = BATCH.replace(" --overlay out", "");
    let command = Program::Runtime.command(here, &line);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 160; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    let outcome = Outcome::from(limited.current_dir(here).output().unwrap());
    assert!(!outcome.success, "{outcome:?}");
    for said in ["all.jsonl", "--resume"] {
        assert!(outcome.stderr.contains(said), "{said}: {}", outcome.stderr);
    }
    let (journal, rows) = noted(here);
    assert!(journal > 0 && rows >= journal, "{journal} {rows}");
    // There is room again.
    let last = Program::Runtime.succeed(here, &format!("{line} --resume"));
    assert!(last.stderr.contains(&format!("{journal} films are done already")), "{}", last.stderr);
    assert_eq!((films(&json(here, "all.json")), noted(here)), (FILMS, (0, FILMS)));
}

#[test]
fn what_is_written_again_stays_as_private_as_it_was() {
    let here = lab(1);
    let here = here.path();
    for name in ["all.json", "all.csv"] {
        fs::write(here.join(name), "").unwrap();
        fs::set_permissions(here.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    Program::Runtime.succeed(here, BATCH);
    for name in ["all.json", "all.csv"] {
        assert_eq!(fs::metadata(here.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn one_tree_of_films_is_one_tree_of_results() {
    let here = lab(0);
    let here = here.path();
    for folder in ["films/a", "films/b"] {
        fs::create_dir(here.join(folder)).unwrap();
        film(&here.join(folder).join("ceph.png"), 1);
    }
    // Links that lead nowhere, beside the films.
    std::os::unix::fs::symlink(".", here.join("films/loop")).unwrap();
    std::os::unix::fs::symlink("/nowhere", here.join("films/notes")).unwrap();
    for films in ["films", "films/a films/b", "films/a/ceph.png films/b/ceph.png"] {
        Program::Runtime.succeed(here, &BATCH.replacen("films", films, 1));
        for name in ["a/ceph.png", "b/ceph.png"] {
            assert!(here.join("out").join(name).is_file(), "{films}: {name}");
        }
        assert_eq!(self::films(&json(here, "all.json")), 2);
        fs::remove_dir_all(here.join("out")).unwrap();
    }
}

#[test]
fn places_are_tried_before_the_first_film() {
    let here = lab(2);
    let here = here.path();
    fs::create_dir(here.join("all.csv")).unwrap();
    let (outcome, code) = run(here, BATCH);
    assert!(code == Some(1) && outcome.stdout.is_empty(), "{outcome:?}");
    assert!(outcome.stderr.contains("can't write all.csv: it is a folder"), "{}", outcome.stderr);
}

/// Both read the bundle, both replace it: what the first has taught must not be lost.
#[test]
fn two_commands_that_teach_one_bundle_lose_nothing() {
    let here = lab(2);
    let here = here.path();
    fs::write(here.join("points.csv"), "landmark,x,y\nsella,20,21\n").unwrap();
    let line = |film: &str| {
        format!(
            "adapt tiny.onemark --film films/{film} --points points.csv --source {film} --backend tract --out tiny.onemark --force"
        )
    };
    for _ in 0..rounds(2) {
        let both = ["00.png", "01.png"].map(|film| start(here, &line(film)));
        let both = both.map(|run| run.wait_with_output().unwrap().status.success());
        assert_eq!(both, [true; 2], "one waits for the other");
        let bundle = Bundle::open(here.join("tiny.onemark")).unwrap();
        let learnt = &bundle.manifest().adapted.as_ref().unwrap().films;
        let mut sources: Vec<_> = learnt.iter().map(|film| film.source.as_deref().unwrap()).collect();
        sources.sort_unstable();
        assert_eq!(sources, ["00.png", "01.png"]);
        Program::Runtime.succeed(here, "adapt tiny.onemark --undo --out tiny.onemark --force");
    }
    let hidden = fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(hidden.filter(|name| name.starts_with('.')).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_bundle_that_is_replaced_is_the_old_one_or_the_new_one_whenever_a_kill_comes() {
    let here = lab(1);
    let here = here.path();
    fs::write(here.join("points.csv"), "landmark,x,y\nsella,20,21\n").unwrap();
    let line =
        "adapt tiny.onemark --film films/00.png --points points.csv --backend tract --out clinic.onemark --force";
    let digest = || Bundle::open(here.join("clinic.onemark")).unwrap().digest();
    tiny_bundle().write(&here.join("clinic.onemark"), false).unwrap();
    let old = digest();
    let begun = Instant::now();
    Program::Runtime.succeed(here, line);
    let (takes, new) = (begun.elapsed(), digest());
    let mut draw = draws();
    let (mut kept, mut replaced) = (0, 0);
    for round in 0..rounds(10) {
        tiny_bundle().write(&here.join("clinic.onemark"), true).unwrap();
        let mut run = start(here, line);
        // Most rounds end while the bundle is written, near the end.
        let moment = takes.mul_f64(0.5 + draw(700) as f64 / 1000.0);
        thread::sleep(moment.max(Duration::from_millis(1)));
        run.kill().unwrap();
        run.wait().unwrap();
        let found = digest();
        assert!(found == old || found == new, "round {round}, killed after {moment:?}");
        *(if found == old { &mut kept } else { &mut replaced }) += 1;
    }
    println!("killed {} times: {kept} times the old bundle, {replaced} times the new one", kept + replaced);
    // What the kills left is removed by the next run, once it is old enough that nobody can be about to use it.
    for entry in fs::read_dir(here).unwrap().map(Result::unwrap) {
        if entry.file_name().as_encoded_bytes().starts_with(b".onemark-") {
            fs::File::open(entry.path()).unwrap().set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
        }
    }
    Program::Runtime.succeed(here, line);
    let names = fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with('.')).collect::<Vec<_>>(), [""; 0]);
}
