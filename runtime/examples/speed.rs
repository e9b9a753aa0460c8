//! Seconds from films' pixels to landmarks, for `cargo xtask bench detect`:
//!
//!     speed BUNDLE BACKEND THREADS LANDMARKS FILM…
//!
//! LANDMARKS is the number of the bundle's landmarks to find. Prints JSON in the form of tests/peers/detect.py: the seconds to open
//! the bundle and for each film, the process's peak memory, the cells found; and per film the seconds to read its file and the
//! number of windows run. The first film is run once before timing starts.

use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use onemark_film::Film;
use onemark_runtime::{Decoding, Detection, Detector, Options};
use serde_json::json;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, backend, threads, landmarks, films @ ..] = arguments.as_slice() else {
        bail!("usage: speed BUNDLE BACKEND THREADS LANDMARKS FILM…")
    };
    let mut reading = Vec::new();
    let read = |film: &String| {
        let started = Instant::now();
        let film = Film::open(film)?;
        reading.push(started.elapsed().as_secs_f64());
        Ok(film)
    };
    let films = films.iter().map(read).collect::<Result<Vec<Film>>>()?;
    let options = Options::default()
        .with_backend(backend.parse()?)
        .with_threads(threads.parse::<NonZeroUsize>()?.get())
        .with_decoding(Decoding::Argmax)
        .with_landmarks(1..=landmarks.parse()?);
    let started = Instant::now();
    let detector = Detector::open(bundle, options)?;
    let opening = started.elapsed().as_secs_f64();
    detector.detect(films.first().context("no film")?)?;
    let (mut seconds, mut cells, mut windows) = (Vec::new(), Vec::new(), Vec::new());
    for film in &films {
        let started = Instant::now();
        let found = detector.detect(film)?;
        seconds.push(started.elapsed().as_secs_f64());
        cells.push(found.landmarks().iter().map(Detection::cell).collect::<Vec<_>>());
        windows.push(found.landmarks().iter().map(Detection::windows).collect::<Vec<_>>());
    }
    let report = json!({
        "opening": opening,
        "reading": reading,
        "seconds": seconds,
        "peak_mb": peak_mb()?,
        "cells": cells,
        "windows": windows,
    });
    println!("{report}");
    Ok(())
}

/// Peak memory of this process, in MB.
fn peak_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("the peak memory is read from Linux's /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
