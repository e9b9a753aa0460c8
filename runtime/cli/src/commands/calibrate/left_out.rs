//! Films that a bundle knows from its training. On them its points are better than on others, so a calibration that counted them
//! would promise too much.

use std::collections::HashSet;

use onemark_evaluation::calibrate::FEWEST_FILMS;
use onemark_evaluation::dataset::Dataset;
use onemark_film::Film;
use onemark_models::bundle::Bundle;
use onemark_models::files::sha256;
use onemark_models::recipe::Recipe;

use crate::console;

/// The most ids in a note.
const MOST_IDS: usize = 8;

/// Removes the template, by its id, and films of ISBI 2015's training folder if enough others are left. Says which, also of those
/// that stay.
pub fn by_name(data: &mut Dataset, bundle: &Bundle) {
    let manifest = bundle.manifest();
    let recipe = Recipe::parse("the bundle's recipe", &manifest.recipe);
    if let Ok(template) = recipe.map(|recipe| recipe.template.clone())
        && let Some(index) = data.cases.iter().position(|case| case.id == template)
    {
        data.cases.remove(index);
        console::note(format_args!("left out: film {template}, which is called like the template of the bundle"));
    }
    let is_training = |case: &onemark_evaluation::dataset::Case| case.is_of_training_folder();
    let training: Vec<String> =
        data.cases.iter().filter(|case| is_training(case)).map(|case| case.id.clone()).collect();
    if training.is_empty() {
        return;
    }
    let words = few(&training);
    if data.cases.len() - training.len() >= FEWEST_FILMS {
        data.cases.retain(|case| !is_training(case));
        console::note(format_args!("left out: {words} of TrainingData, on which the bundle may have been trained"));
    } else {
        console::note(format_args!(
            "warning: the bundle may have been trained on {words} of TrainingData, and then new films have larger errors than \
             this calibration says; give {FEWEST_FILMS} other films, and these are left out"
        ));
    }
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
pub fn few(ids: &[String]) -> String {
    match ids.get(..MOST_IDS) {
        Some(first) if ids.len() > MOST_IDS => format!("films {} and {} more", first.join(", "), ids.len() - MOST_IDS),
        _ if ids.len() == 1 => format!("film {}", ids.concat()),
        _ => format!("films {}", ids.join(", ")),
    }
}
