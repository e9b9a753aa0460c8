//! The rule for a film's spacing: who may state it, whose statement is used, and what is said about it.

use super::{Spacing, SpacingWarning};
use crate::Size;

/// The possible sides of films in mm, from the smallest dental film to the longest whole-body film. If a spacing leads to other sides,
/// it is probably wrong by a factor of ten, or given in another unit.
const FILM_MM: [f64; 2] = [20.0, 2000.0];

/// The largest ratio of a pixel's sides that is not cautioned.
const OBLONG: f64 = 2.0;

/// What a film's file states about the size of its pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FileStatement {
    /// The spacing that is used if nobody else states one.
    pub(crate) spacing: Option<Spacing>,
    /// The spacing of the detector or of the scanned film, where everything is larger than in the patient.
    pub(crate) device: Option<Spacing>,
    /// How many times as high as wide a pixel is.
    pub(crate) aspect: Option<f64>,
    /// Resolution tags by which pixels are not square: pixels per unit of length, along x and y.
    pub(crate) resolution: Option<[f64; 2]>,
    /// Warnings that apply only if the spacing is the file's, or if nobody states one.
    pub(crate) warnings: Vec<SpacingWarning>,
}

/// All statements about a film's spacing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Statements {
    pub(crate) file: FileStatement,
    /// The statement of a dataset: of its table of spacings, or of its layout.
    pub(crate) dataset: Option<Spacing>,
    /// The statement of a person or of the calling program.
    pub(crate) person: Option<Spacing>,
}

impl Statements {
    /// The spacing that is used. A person's statement replaces that of a dataset, and a dataset's that of the file.
    pub(crate) fn used(&self) -> Option<&Spacing> {
        self.person.as_ref().or(self.dataset.as_ref()).or(self.file.spacing.as_ref())
    }

    /// What a person should know about the spacing of a film of this size.
    pub(crate) fn warnings(&self, size: Size) -> Vec<SpacingWarning> {
        let Self { file, dataset, person } = self;
        let used = self.used();
        let mut warnings = if dataset.is_none() && person.is_none() { file.warnings.clone() } else { Vec::new() };
        if let Some(used) = used {
            // The one that is used agrees with itself.
            let others = [dataset, &file.spacing].into_iter().flatten().filter(|other| !used.agrees_with(other));
            warnings.extend(others.map(|other| SpacingWarning::Differ { used: used.clone(), other: other.clone() }));
            warnings.extend(doubts(used, size, file));
        }
        let aspect = used.map_or(1.0, |used| used.y() / used.x());
        let contradicts = |[x, y]: &[f64; 2]| !is_nearly_square(aspect * y / x);
        let resolution = file.resolution.filter(contradicts);
        warnings.extend(resolution.map(|px_per_unit| SpacingWarning::NotSquare { px_per_unit }));
        warnings
    }
}

/// Warnings about a spacing that can't be right, or that contradicts the film's file.
fn doubts(used: &Spacing, size: Size, file: &FileStatement) -> Vec<SpacingWarning> {
    let (x, y) = (used.x(), used.y());
    let mut warnings = Vec::new();
    let [least, most] = FILM_MM;
    let sides = [x * f64::from(size.width), y * f64::from(size.height)];
    if sides.iter().any(|mm| is_less(*mm, least) || is_less(most, *mm)) {
        warnings.push(SpacingWarning::ImpossibleFilm { spacing: used.clone(), sides_mm: sides, possible_mm: FILM_MM });
    }
    if is_same(x, 1.0) && is_same(y, 1.0) {
        warnings.push(SpacingWarning::Unit { spacing: used.clone() });
    }
    if is_less(OBLONG, x.max(y) / x.min(y)) {
        warnings.push(SpacingWarning::Oblong { spacing: used.clone() });
    }
    if let Some(device) = file.device.as_ref().filter(|device| is_less(device.x(), x) || is_less(device.y(), y)) {
        warnings.push(SpacingWarning::LargerThanAtDevice { spacing: used.clone(), device: device.clone() });
    }
    if let Some(aspect) = file.aspect.filter(|aspect| !is_same(*aspect, y / x)) {
        warnings.push(SpacingWarning::ContradictedAspect { spacing: used.clone(), aspect });
    }
    warnings
}

/// Resolution tags are whole numbers, or rounded: up to this share they don't say that pixels are not square.
const NEARLY_SQUARE: f64 = 1e-2;

/// Whether this ratio of two sides is 1 but for the rounding of resolution tags.
pub(crate) fn is_nearly_square(ratio: f64) -> bool {
    (1.0 - NEARLY_SQUARE..=1.0 / (1.0 - NEARLY_SQUARE)).contains(&ratio)
}

/// Two numbers that differ by less than this share of the larger one are the same: programs round differently when they write.
const ROUNDING: f64 = 1e-3;

/// Whether two positive numbers are the same but for rounding.
pub(crate) fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() <= ROUNDING * one.max(other)
}

/// Whether one positive number is less than another by more than rounding.
fn is_less(one: f64, other: f64) -> bool {
    one < other && !is_same(one, other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SIZE: Size = Size { width: 322, height: 400 };

    fn spacing(x: f64, y: f64, source: &'static str) -> Spacing {
        Spacing::new(x, y, source).unwrap()
    }

    fn square(mm: f64, source: &'static str) -> Option<Spacing> {
        Some(spacing(mm, mm, source))
    }

    #[test]
    fn a_person_replaces_a_dataset_and_a_dataset_the_file() {
        let file = || FileStatement {
            spacing: square(0.6, "the file"),
            warnings: vec![SpacingWarning::AtDetector],
            ..FileStatement::default()
        };
        // What the file, a dataset and a person state; what is used; how many warnings name another statement.
        for (of_file, dataset, person, used, differ) in [
            (None, None, None, None, 0),
            (Some(0.6), None, None, Some("the file"), 0),
            (Some(0.6), Some(0.3), None, Some("a dataset"), 1),
            (Some(0.6), Some(0.6), None, Some("a dataset"), 0),
            (Some(0.6), None, Some(0.1), Some("a person"), 1),
            (Some(0.6), Some(0.3), Some(0.1), Some("a person"), 2),
            (Some(0.6), Some(0.3), Some(0.3), Some("a person"), 1),
            (None, Some(0.3), Some(0.3), Some("a person"), 0),
        ] {
            let statements = Statements {
                file: of_file.map_or_else(FileStatement::default, |_| file()),
                dataset: dataset.and_then(|mm| square(mm, "a dataset")),
                person: person.and_then(|mm| square(mm, "a person")),
            };
            let warnings = statements.warnings(SIZE);
            assert_eq!(statements.used().map(Spacing::source), used, "{statements:?}");
            let named = warnings.iter().filter(|one| matches!(one, SpacingWarning::Differ { .. })).count();
            assert_eq!(named, differ, "{warnings:?}");
            let of_file = warnings.contains(&SpacingWarning::AtDetector);
            assert_eq!(of_file, used == Some("the file"), "{warnings:?}");
        }
    }

    #[test]
    fn both_values_and_both_sources_are_named() {
        let file = FileStatement { spacing: square(0.6, "PixelSpacing"), ..FileStatement::default() };
        let statements = Statements { file, dataset: None, person: Some(spacing(0.1, 0.2, "--spacing")) };
        let said = statements.warnings(SIZE)[0].to_string();
        for part in ["0.1 x 0.2 mm per px by --spacing", "0.6 x 0.6 mm per px by PixelSpacing"] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn rounding_is_not_a_difference() {
        for (other, same) in [(0.6000002, true), (0.5996, true), (0.6004, true), (0.602, false), (0.5217, false)] {
            assert_eq!(spacing(0.6, 0.6, "a").agrees_with(&spacing(0.6, other, "b")), same, "{other}");
            assert_eq!(spacing(other, 0.6, "a").agrees_with(&spacing(0.6, 0.6, "b")), same, "{other}");
        }
    }

    #[test]
    fn what_can_not_be_is_doubted_whoever_states_it() {
        let device = square(0.6, "ImagerPixelSpacing");
        let file = FileStatement { device, aspect: Some(1.0), ..FileStatement::default() };
        for (x, y, expected) in [
            (0.5217, 0.5217, &[][..]),
            (0.6000002, 0.6000002, &[]),
            (0.06, 0.05, &["would make the film 19.3 x 20.0 mm", "as high as wide"]),
            (0.0006, 0.0006, &["would make the film 0.2 x 0.2 mm; radiographs have sides of 20 to 2000 mm"]),
            (1.0, 1.0, &["1 x 1 mm per px", "larger than 0.6 x 0.6 mm per px by ImagerPixelSpacing"]),
            (600.0, 600.0, &["would make the film 193200.0 x 240000.0 mm", "larger than"]),
            (0.1, 0.5, &["far from square", "as high as wide"]),
        ] {
            let stated = spacing(x, y, "somebody");
            let [by_file, by_dataset, by_person] = [0, 1, 2].map(|who| {
                let mut statements = Statements { file: file.clone(), ..Statements::default() };
                match who {
                    0 => statements.file.spacing = Some(stated.clone()),
                    1 => statements.dataset = Some(stated.clone()),
                    _ => statements.person = Some(stated.clone()),
                }
                (statements.used().cloned(), statements.warnings(SIZE))
            });
            assert_eq!((&by_file, &by_dataset), (&by_person, &by_person));
            let (used, warnings) = by_file;
            assert_eq!(used, Some(stated));
            assert_eq!(warnings.len(), expected.len(), "{x} x {y}: {warnings:?}");
            for (warning, says) in warnings.iter().zip(expected) {
                assert!(warning.to_string().contains(says), "{warning}");
            }
        }
    }
    #[test]
    fn resolution_tags_are_named_unless_the_spacing_has_their_shape() {
        let file = FileStatement { resolution: Some([300.0, 150.0]), ..FileStatement::default() };
        for (stated, named) in
            [(None, true), (Some((0.1, 0.1)), true), (Some((0.1, 0.2)), false), (Some((0.1, 0.201)), false)]
        {
            let person = stated.map(|(x, y)| spacing(x, y, "a person"));
            let warnings = Statements { file: file.clone(), dataset: None, person }.warnings(SIZE);
            let said = SpacingWarning::NotSquare { px_per_unit: [300.0, 150.0] };
            assert_eq!(warnings.contains(&said), named, "{stated:?}: {warnings:?}");
        }
    }
}
