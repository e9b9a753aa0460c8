//! Choosing films of a dataset by their ids (`151-190,200`, or the name of a list), and reading films ahead of their turn.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::{Context as _, bail};
use onemark_evaluation::dataset::{Dataset, REPEATED_TEST1_FILMS};
use onemark_film::Film;
use onemark_models::landmarks::LandmarkSet;
use onemark_runtime::{Detections, Job};

use crate::contained::contained;
use crate::{console, points};

/// The name of ISBI 2015's list of films whose patient appears on another film too (METHOD.md sec. 7).
const REPEATED: &str = "repeated";

/// Number of films read ahead. Each takes much memory.
const AHEAD: usize = 1;

/// Reads films, in order, while `work` uses earlier ones. Each has a file, and a name for messages. A reader that panics is an error
/// of its film.
pub fn read_ahead<T>(
    films: &[(PathBuf, String)],
    work: impl FnOnce(&mut dyn Iterator<Item = anyhow::Result<Film>>) -> T,
) -> T {
    thread::scope(|scope| {
        let (sender, read) = sync_channel(AHEAD);
        scope.spawn(move || {
            // Ends when all are read, or when `work` has returned.
            films.iter().try_for_each(|(file, name)| sender.send(open(file, name)).map_err(drop))
        });
        work(&mut read.into_iter())
    })
}

fn open(file: &Path, name: &str) -> anyhow::Result<Film> {
    Ok(contained(|| Film::open_as(file, name)).with_context(|| name.to_owned())??)
}

/// Finds the landmarks of the film that is called `name`. A panic is an error of this film.
pub fn detect(job: Job<'_>, name: &str) -> anyhow::Result<Detections> {
    let found = contained(|| job.run()).map_err(anyhow::Error::from).and_then(|found| Ok(found?));
    found.with_context(|| name.to_owned())
}

/// Keeps the annotated films among the selected ones, at most `limit`.
pub fn keep_annotated(data: &mut Dataset, ids: Option<&str>, limit: Option<usize>) -> anyhow::Result<()> {
    keep(data, ids)?;
    let named = data.cases.len();
    data.cases.retain(|case| case.points.is_some());
    if data.cases.len() < named {
        console::note(format_args!("{} films are not annotated, so they are not evaluated", named - data.cases.len()));
    }
    data.cases.truncate(limit.unwrap_or(usize::MAX));
    if data.cases.is_empty() {
        bail!("no annotated film is left to evaluate in {}", data.root.display());
    }
    Ok(())
}

/// Prints which landmarks are not annotated on all of the films.
pub fn note_missing(data: &Dataset, set: &LandmarkSet) {
    if let Some(missing) = points::missing(set, data.cases.iter().filter_map(|case| case.points.as_deref())) {
        console::note(format_args!("{missing}; the others are used"));
    }
}

/// Keeps the selected films, or all films if there is no selection.
pub fn keep(data: &mut Dataset, ids: Option<&str>) -> anyhow::Result<()> {
    if let Some(text) = ids {
        let ids = resolve(data, text)?;
        data.cases.retain(|case| ids.contains(&case.id));
    }
    Ok(())
}

/// The ids to leave out that are in the data, at least one.
pub fn left_out(data: &Dataset, text: &str) -> anyhow::Result<Vec<String>> {
    let ids: Vec<String> = if text == REPEATED {
        REPEATED_TEST1_FILMS.iter().filter_map(|id| data.case(id).ok()).map(|case| case.id.clone()).collect()
    } else {
        resolve(data, text)?
    };
    if ids.is_empty() {
        bail!("none of the films of --without {text} is among those evaluated");
    }
    Ok(ids)
}

/// The ids of a list of ids and ranges. Every single id must exist; a range must contain at least one film.
fn resolve(data: &Dataset, text: &str) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for part in text.split(',').map(str::trim) {
        let range = part.split_once('-').and_then(|(from, to)| Some(from.parse::<u64>().ok()?..=to.parse().ok()?));
        match range {
            Some(range) => {
                let inside = |id: &&String| id.parse().is_ok_and(|number| range.contains(&number));
                let before = ids.len();
                ids.extend(data.cases.iter().map(|case| &case.id).filter(inside).cloned());
                if ids.len() == before {
                    bail!("no film of the dataset is in {part}");
                }
            }
            None => ids.push(data.case(part).with_context(|| format!("in the list {text}"))?.id.clone()),
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use super::*;
    use onemark_evaluation::dataset::{Case, Split};

    fn data(ids: &[&str]) -> Dataset {
        let case = |id: &&str| Case { id: (*id).to_owned(), points: Some(Vec::new()), ..Case::default() };
        Dataset { root: PathBuf::new(), split: Split::Test1, cases: ids.iter().map(case).collect() }
    }

    #[test]
    fn ids_and_ranges() {
        let ids = |text: &str| resolve(&data(&["009", "151", "152", "a-b", "200"]), text);
        assert_eq!(ids("150-160, 200").unwrap(), ["151", "152", "200"]);
        assert_eq!(ids("9").unwrap(), ["009"]);
        // An id with a hyphen is not a range.
        assert_eq!(ids("a-b").unwrap(), ["a-b"]);
        for wrong in ["300-310", "153", "", "160-150"] {
            assert!(ids(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_repeated_films_are_those_that_are_there() {
        assert_eq!(left_out(&data(&["172", "173", "275"]), REPEATED).unwrap(), ["275", "173"]);
        assert!(left_out(&data(&["172"]), REPEATED).is_err());
    }

    #[test]
    fn nothing_to_evaluate_is_an_error() {
        let mut data = data(&["1", "2", "3"]);
        keep_annotated(&mut data, Some("2-3"), Some(1)).unwrap();
        assert_eq!(data.cases.len(), 1);
        data.cases[0].points = None;
        assert!(keep_annotated(&mut data, None, None).is_err());
    }
}
