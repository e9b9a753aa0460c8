//! Reads bytes as DICOM, after a preamble that the fuzzer would otherwise have to guess. Reading again gives the same film.
#![no_main]

use std::path::Path;

use libfuzzer_sys::{Corpus, fuzz_target};
use onemark_film::Film;
use onemark_fuzz::Watch;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let watch = Watch::start();
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    file.extend(bytes);
    let read = || Film::from_bytes(&file, Path::new("film.dcm"));
    let Ok(film) = read() else { return watch.verdict() };
    assert!(film.width() > 0 && film.height() > 0);
    let again = read().expect("what was read can be read");
    assert_eq!((film.size(), film.grey()), (again.size(), again.grey()));
    assert_eq!((film.spacing(), film.warnings()), (again.spacing(), again.warnings()));
    watch.verdict()
});
