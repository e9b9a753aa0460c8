//! Reads bytes as a file of points. The points of one film are written in the same form and read again: they are still the same.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onemark_evaluation::points;
use onemark_film::Spacing;
use onemark_models::landmarks::LandmarkSet;

static SET: LazyLock<LandmarkSet> = LazyLock::new(|| LandmarkSet::named("isbi19").expect("a built-in set"));
static SPACING: LazyLock<Spacing> = LazyLock::new(|| Spacing::new(0.1, 0.125, "a test").expect("a spacing"));

/// What a few roundings change, in shares of the position.
const ROUNDING: f64 = 1e-9;

fuzz_target!(|bytes: &[u8]| {
    let name = Path::new("points");
    let Ok(file) = points::parse(name, bytes) else { return };
    let Ok(films) = file.films(&SET, Some(&SPACING)) else { return };
    let [film] = films.as_slice() else { return };
    let Ok(written) = points::write(file.form(), &films, &SET, Some(&SPACING)) else { return };
    let read = points::parse(name, &written).expect("what was written can be read");
    assert_eq!(read.form(), file.form());
    let films = read.films(&SET, Some(&SPACING)).expect("its landmarks are known");
    // A table without rows names no film.
    let again = films.first().map_or(&[][..], |film| &film.points);
    for (index, point) in film.points.iter().enumerate() {
        match (point, again.get(index).copied().flatten()) {
            (Some(one), Some(other)) => {
                let near = |one: f64, other: f64| (one - other).abs() <= ROUNDING * one.abs().max(1.0);
                assert!(near(one.x, other.x) && near(one.y, other.y), "{one:?} {other:?}");
            }
            (one, other) => assert!(one.is_none() && other.is_none(), "{one:?} {other:?}"),
        }
    }
});
