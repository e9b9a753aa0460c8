//! What commands that work on many films say about all of them: where millimetres come from, and warnings, each once.

use std::collections::BTreeMap;

use onemark_film::Film;

use crate::console;

/// The spacings and the warnings of films, with the names of the films of each.
#[derive(Default)]
pub struct Said {
    spacings: BTreeMap<String, usize>,
    /// In the order in which they came.
    warnings: Vec<(String, Vec<String>)>,
}

impl Said {
    /// Adds a film whose spacing has been decided.
    pub fn add(&mut self, name: &str, film: &Film) {
        if let Some(spacing) = film.spacing() {
            *self.spacings.entry(spacing.to_string()).or_default() += 1;
        }
        for warning in film.warnings() {
            self.add_warning(name, warning.to_string());
        }
    }

    /// Adds a warning about a film.
    pub fn add_warning(&mut self, name: &str, warning: String) {
        match self.warnings.iter_mut().find(|(other, _)| *other == warning) {
            Some((_, names)) => names.push(name.to_owned()),
            None => self.warnings.push((warning, vec![name.to_owned()])),
        }
    }

    /// Prints each warning with the films that it is about.
    pub fn warn(&self) {
        for (warning, names) in &self.warnings {
            console::note(format_args!("warning: {}: {warning}", console::few(names)));
        }
    }

    /// A line per spacing by which results are in mm.
    pub fn spacings(&self) -> String {
        spacings(&self.spacings)
    }
}

/// A line per spacing, with the number of films that have it.
pub fn spacings(spacings: &BTreeMap<String, usize>) -> String {
    let films = |count: usize| if count == 1 { "1 film".to_owned() } else { format!("{count} films") };
    spacings.iter().map(|(spacing, count)| format!("{}: {spacing}\n", films(*count))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use onemark_film::{Size, Spacing};

    use super::*;

    #[test]
    fn the_same_is_said_once() {
        let film = Film::from_grey(Size { width: 2, height: 2 }, vec![0; 4]).unwrap();
        let film = film.with_spacing(Spacing::new(0.1, 0.1, "--spacing").unwrap());
        let mut said = Said::default();
        for number in 1..=10 {
            said.add(&number.to_string(), &film);
        }
        assert_eq!(said.spacings(), "10 films: 0.1 x 0.1 mm per px by --spacing\n");
        let [(warning, names)] = said.warnings.as_slice() else { unreachable!("{:?}", said.warnings) };
        assert!(warning.contains("would make the film 0.2 x 0.2 mm"), "{warning}");
        assert_eq!(names.len(), 10);
    }
}
