//! The rules of an analysis: every name is known, units agree, classes don't overlap, and there are not too many of anything.

use std::collections::BTreeMap;

use super::set::Broken;
use super::{Analysis, Class, Definition, Formula, Landmark, Norm, Unit};
use crate::invalid::Invalid;
use crate::spelling::did_you_mean;
use crate::text::{validate_line, validate_text};

/// The largest number of measurements, of lines and of sources in an analysis.
pub const MOST_MEASUREMENTS: usize = 500;
/// The largest number of terms in a sum, and of classes of a measurement.
pub const MOST_TERMS: usize = 50;

impl Analysis {
    /// Checks all rules.
    pub(super) fn check(&self, landmarks: &[Landmark]) -> Result<(), Broken> {
        let at = |path: String| move |rule: Invalid| Broken { path: format!("analysis.{path}"), rule };
        let counts =
            [("sources", self.sources.len()), ("lines", self.lines.len()), ("measurements", self.measurements.len())];
        if let Some((key, count)) = counts.into_iter().find(|(_, count)| *count > MOST_MEASUREMENTS) {
            let why = format!("there are {count}; an analysis has at most {MOST_MEASUREMENTS}");
            return Err(Invalid::new(format!("analysis.{key}"), why).into());
        }
        for (name, reference) in &self.sources {
            let key = format!("source `{name}`");
            let texts = validate_line(&key, name).and_then(|()| validate_text(&key, reference));
            texts.map_err(at(format!("sources.{name}")))?;
        }
        for (name, points) in &self.lines {
            let key = format!("line `{name}`");
            let line = validate_line(&key, name)
                .and_then(|()| self.line(points, landmarks).map_err(|why| Invalid::new(key, why)));
            line.map_err(at(format!("lines.{name}")))?;
        }
        let units = self.units();
        let mut above = BTreeMap::new();
        for (index, definition) in self.measurements.iter().enumerate() {
            let key = format!("measurement `{}`", definition.name);
            let formula = || self.definition(definition, landmarks, &above).map_err(|why| Invalid::new(&key, why));
            let checked = texts(definition).map_err(|wrong| wrong.within(&key)).and_then(|()| formula());
            checked.map_err(at(format!("measurements[{index}]")))?;
            above.insert(definition.name.as_str(), units[index]);
        }
        Ok(())
    }

    fn line(&self, [from, to]: &[String; 2], landmarks: &[Landmark]) -> Result<(), String> {
        for name in [from, to] {
            known("landmark", name, landmarks.iter().map(|landmark| landmark.name.as_str()))?;
        }
        if from == to { Err(format!("it starts and ends at `{from}`; give two landmarks")) } else { Ok(()) }
    }

    /// `above` are the measurements that are defined above this one, with their units.
    fn definition(
        &self,
        definition: &Definition,
        landmarks: &[Landmark],
        above: &BTreeMap<&str, Unit>,
    ) -> Result<(), String> {
        let Definition { name, formula, source, classes, norm, .. } = definition;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_graphic()) {
            return Err("its name must consist of letters, digits and signs, without blanks".into());
        }
        if above.contains_key(name.as_str()) {
            return Err("its name is taken; choose another".into());
        }
        let parts = formula.parts();
        if parts.measurements.len() > MOST_TERMS || classes.len() > MOST_TERMS {
            return Err(format!("it has more than {MOST_TERMS} terms or classes"));
        }
        for name in &parts.landmarks {
            known("landmark", name, landmarks.iter().map(|landmark| landmark.name.as_str()))?;
        }
        for name in &parts.lines {
            known("line", name, self.lines.keys().map(String::as_str))?;
        }
        if let Some(name) = parts.measurements.iter().find(|name| !above.contains_key(**name)) {
            known("measurement", name, self.measurements.iter().map(|other| other.name.as_str()))?;
            return Err(format!("it uses `{name}`, which must be defined above it"));
        }
        if matches!(formula, Formula::Sum(of) if of.len() < 2) {
            return Err("a sum needs at least two measurements".into());
        }
        let mut units = parts.measurements.iter().filter_map(|name| Some((name, above.get(name)?)));
        if let Some((first, unit)) = units.next()
            && let Some((other, _)) = units.find(|(_, other)| *other != unit)
        {
            return Err(format!("`{first}` and `{other}` have different units, so they can't be combined"));
        }
        for source in norm.iter().map(|norm| &norm.source).chain([source]) {
            known("source", source, self.sources.keys().map(String::as_str))?;
        }
        let makes_sense = |norm: &Norm| norm.mean.is_finite() && norm.sd.is_none_or(|sd| sd > 0.0 && sd.is_finite());
        if !norm.iter().all(makes_sense) {
            return Err("its norm needs a finite mean, and a finite standard deviation above 0 or none".into());
        }
        disjoint(classes)
    }
}

/// Checks the texts of a measurement that people see.
fn texts(definition: &Definition) -> Result<(), Invalid> {
    let Definition { name, title, classes, note, .. } = definition;
    validate_line("name", name)?;
    validate_line("title", title)?;
    classes.iter().try_for_each(|class| validate_line("classes", &class.name))?;
    note.iter().try_for_each(|note| validate_text("note", note))
}

/// Refuses a name that is not among the known ones.
fn known<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Result<(), String> {
    if known.clone().any(|one| one == name) {
        return Ok(());
    }
    Err(format!("no {what} is called `{name}`{}", did_you_mean(name, known)))
}

/// Refuses classes that are not intervals, or that overlap.
fn disjoint(classes: &[Class]) -> Result<(), String> {
    for (index, class) in classes.iter().enumerate() {
        let Class { name, from, above, to, below } = class;
        if (from.is_some() && above.is_some()) || (to.is_some() && below.is_some()) {
            return Err(format!("class \"{name}\" has two ends on one side: give `from` or `above`, `to` or `below`"));
        }
        let (low, high) = (from.or(*above), to.or(*below));
        if ![low, high].into_iter().flatten().all(f64::is_finite) {
            return Err(format!("class \"{name}\" has an end that is not a finite number"));
        }
        if low.is_none() && high.is_none() {
            return Err(format!("class \"{name}\" has no end: give `from` or `above`, `to` or `below`"));
        }
        let holds_both_ends = from.is_some() && to.is_some();
        if !(low.is_none() || high.is_none() || low < high || (low == high && holds_both_ends)) {
            return Err(format!("class \"{name}\" is empty: its upper end must lie above its lower end"));
        }
        let overlaps = |other: &&Class| !(before(class, other) || before(other, class));
        if let Some(other) = classes.iter().take(index).find(overlaps) {
            return Err(format!("classes \"{}\" and \"{name}\" overlap", other.name));
        }
    }
    Ok(())
}

/// Whether all values of one class are less than all values of the other.
fn before(one: &Class, other: &Class) -> bool {
    match (one.to.or(one.below), other.from.or(other.above)) {
        (Some(end), Some(start)) => end < start || (end == start && !(one.to.is_some() && other.from.is_some())),
        _ => false,
    }
}
