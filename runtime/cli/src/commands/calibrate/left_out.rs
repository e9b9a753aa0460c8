//! Films that a bundle knows from its training. On them its points are better than on others, so a calibration that counted them
//! would promise too much.

use std::collections::HashSet;

use onemark_evaluation::calibrate::FEWEST_FILMS;
use onemark_evaluation::dataset::Dataset;
use onemark_film::Film;
use onemark_models::bundle::Bundle;
use onemark_models::files::sha256;

use crate::console;

/// Removes the templates, by their ids, and films of ISBI 2015's training folder if enough others are left. Says which, also of those
/// that stay.
pub fn by_name(data: &mut Dataset, templates: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    for template in templates {
        if let Some(index) = data.cases.iter().position(|case| case.id == *template) {
            data.cases.remove(index);
            notes.push(format!("left out: film {template}, which is called like a template of the bundle"));
        }
    }
    let training = data.cases.iter().filter(|case| case.is_of_training_folder()).map(|case| case.id.clone());
    let training: Vec<String> = training.collect();
    if training.is_empty() {
        return notes;
    }
    let words = films(&training);
    if data.cases.len() - training.len() >= FEWEST_FILMS {
        data.cases.retain(|case| !case.is_of_training_folder());
        notes.push(format!("left out: {words} of TrainingData, on which the bundle may have been trained"));
    } else {
        notes.push(format!(
            "warning: the bundle may have been trained on {words} of TrainingData, and then new films have larger errors than \
             this calibration says; give {FEWEST_FILMS} other films, and these are left out"
        ));
    }
    notes
}

/// The films that a bundle was adapted to, by the digests of their pixels.
pub struct Adapted {
    digests: HashSet<String>,
    /// The indices of the films that were seen, and their ids.
    pub seen: Vec<usize>,
}

impl Adapted {
    pub fn of(bundle: &Bundle) -> Self {
        let films = bundle.manifest().adapted.iter().flat_map(|adapted| &adapted.films);
        Self { digests: films.map(|film| film.sha256.clone()).collect(), seen: Vec::new() }
    }

    /// Notes the film with this index if it is one of them.
    pub fn look(&mut self, index: usize, film: &Film) {
        if !self.digests.is_empty() && self.digests.contains(&sha256(film.grey())) {
            self.seen.push(index);
        }
    }

    /// The entries of the films that were not seen.
    pub fn without<T>(&self, of_films: Vec<T>) -> Vec<T> {
        let kept = of_films.into_iter().enumerate().filter(|(index, _)| !self.seen.contains(index));
        kept.map(|(_, entry)| entry).collect()
    }
}

/// The first few of some films, and the number of the others.
pub fn films(ids: &[String]) -> String {
    format!("{} {}", if ids.len() == 1 { "film" } else { "films" }, console::few(ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use onemark_evaluation::dataset::{Case, Split};

    /// Training films from 001 and test films from 151, so many of each.
    fn data(training: usize, test: usize) -> Dataset {
        let case = |folder: &str, id: usize| Case {
            id: format!("{id:03}"),
            film: format!("films/RawImage/{folder}/{id:03}.png").into(),
            ..Case::default()
        };
        let training = (1..=training).map(|id| case("TrainingData", id));
        let cases = training.chain((151..151 + test).map(|id| case("Test1Data", id))).collect();
        Dataset { root: "films".into(), split: Split::All, cases }
    }

    #[test]
    fn films_of_the_training_are_left_out_and_named() {
        let mut films = data(3, FEWEST_FILMS);
        let notes = by_name(&mut films, &["001".to_owned()]);
        assert!(notes[0].contains("film 001, which is called like a template"), "{notes:?}");
        assert!(notes[1].contains("left out: films 002, 003 of TrainingData") && notes.len() == 2, "{notes:?}");
        assert_eq!((films.cases.len(), films.cases[0].id.as_str()), (FEWEST_FILMS, "151"));
        // Too few others: the training films stay, and that is said.
        let mut films = data(16, 8);
        let notes = by_name(&mut films, &["001".to_owned()]);
        assert!(notes[1].starts_with("warning: the bundle may have been trained on films 002, 003,"), "{notes:?}");
        assert!(notes[1].contains("and 7 more of TrainingData"), "{notes:?}");
        assert_eq!(films.cases.len(), 23);
        let mut films = data(0, 8);
        assert!(by_name(&mut films, &["125".to_owned()]).is_empty() && films.cases.len() == 8);
    }

    #[test]
    fn films_that_a_bundle_was_adapted_to_are_known_by_their_pixels() {
        let film = |grey: u8| Film::from_grey(onemark_film::Size { width: 1, height: 1 }, vec![grey]);
        let mut adapted = Adapted { digests: [sha256(&[7])].into(), seen: Vec::new() };
        for (index, grey) in [5, 7, 9].into_iter().enumerate() {
            film(grey).iter().for_each(|film| adapted.look(index, film));
        }
        assert_eq!(adapted.without(vec!["a", "b", "c"]), ["a", "c"]);
    }
}
