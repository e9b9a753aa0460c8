//! Definitions of measurements: lines through landmarks, formulas for angles and distances, classes and norms.
//!
//! An analysis is data, under `analysis` in `landmarks/*.yaml` (docs/ANALYSIS.md). `rules.rs` checks it; `measure.rs` computes
//! the values on a film and their errors.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::yaml::{singleton_map, without_repeats};

/// The measurements of a landmark set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analysis {
    /// The sources of definitions, classes and norms: the short name that these cite, and the full reference.
    #[serde(deserialize_with = "without_repeats")]
    pub sources: BTreeMap<String, String>,
    /// Lines by name. A line has a direction: from the first landmark towards the second.
    #[serde(default, deserialize_with = "without_repeats")]
    pub lines: BTreeMap<String, [String; 2]>,
    /// The measurements, in the order in which they are shown.
    pub measurements: Vec<Definition>,
}

/// One measurement, as a set defines it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Short name without spaces: "ANB".
    pub name: String,
    /// Name for people.
    pub title: String,
    /// How it is computed. The unit follows from the formula.
    #[serde(with = "singleton_map")]
    pub formula: Formula,
    /// The short name of the source of its definition and classes.
    pub source: String,
    /// Names for ranges of values. A value between two classes has no class.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "strict::classes")]
    pub classes: Vec<Class>,
    /// The usual values, if a source gives them.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strict::norm")]
    pub norm: Option<Norm>,
    /// Other notes for readers: conventions, and differences from common practice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a measurement is computed: from landmarks, lines, and measurements that are defined above it, all by name.
///
/// Signs are anatomical: the positive side of a line is the side to which another line (`towards`) runs. So signs do not depend on
/// whether the patient faces left or right, or on how the film is rotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Formula {
    /// Angle in [0, 180]° at the second of three landmarks.
    Angle([String; 3]),
    /// Angle in [0, 180]° between the directions of two lines.
    Between([String; 2]),
    /// Angle in (-180, 180]° from one line to another; positive if the second is rotated to the side of `towards`.
    Turn {
        /// The line from which the angle is measured.
        from: String,
        /// The rotated line.
        to: String,
        /// The line that runs to the positive side of `from`.
        towards: String,
    },
    /// Distance in mm between two landmarks.
    Distance([String; 2]),
    /// Distance in mm between two landmarks; negative if the second lies behind the first in the direction of a line.
    SignedDistance {
        /// The landmark at which it starts.
        from: String,
        /// The landmark at which it ends.
        to: String,
        /// The line that runs in the positive direction.
        towards: String,
    },
    /// Distance in mm of a landmark from a line, perpendicular to it; positive on the side of `towards`.
    Offset {
        /// The landmark.
        of: String,
        /// The line.
        from: String,
        /// The line that runs to the positive side of `from`.
        towards: String,
    },
    /// Distance in mm between two landmarks, projected onto a line; positive in the line's direction.
    Along {
        /// The landmark at which it starts.
        from: String,
        /// The landmark at which it ends.
        to: String,
        /// The line.
        line: String,
    },
    /// The first measurement divided by the second.
    Ratio([String; 2]),
    /// The first measurement divided by the second, times 100.
    Percent([String; 2]),
    /// The sum of measurements.
    Sum(Vec<String>),
    /// The first measurement minus the second.
    Difference([String; 2]),
}

/// The names in a formula.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) landmarks: Vec<&'a str>,
    pub(super) lines: Vec<&'a str>,
    pub(super) measurements: Vec<&'a str>,
}

impl Formula {
    pub(super) fn parts(&self) -> Parts<'_> {
        match self {
            Self::Angle(of) => Parts { landmarks: of.each_ref().map(String::as_str).into(), ..Parts::default() },
            Self::Distance(of) => Parts { landmarks: of.each_ref().map(String::as_str).into(), ..Parts::default() },
            Self::Between(of) => Parts { lines: of.each_ref().map(String::as_str).into(), ..Parts::default() },
            Self::Turn { from, to, towards } => Parts { lines: vec![from, to, towards], ..Parts::default() },
            Self::SignedDistance { from, to, towards: line } | Self::Along { from, to, line } => {
                Parts { landmarks: vec![from, to], lines: vec![line], ..Parts::default() }
            }
            Self::Offset { of, from, towards } => {
                Parts { landmarks: vec![of], lines: vec![from, towards], ..Parts::default() }
            }
            Self::Ratio(of) | Self::Percent(of) | Self::Difference(of) => {
                Parts { measurements: of.each_ref().map(String::as_str).into(), ..Parts::default() }
            }
            Self::Sum(of) => Parts { measurements: of.iter().map(String::as_str).collect(), ..Parts::default() },
        }
    }
}

/// The unit of a measurement's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Unit {
    /// Degrees.
    #[serde(rename = "deg")]
    Degrees,
    /// Millimetres.
    #[serde(rename = "mm")]
    Millimetres,
    /// Percent.
    #[serde(rename = "%")]
    Percent,
    /// A ratio of two lengths or two angles, without a unit.
    #[serde(rename = "ratio")]
    Ratio,
}

impl Unit {
    /// The number of decimals to print.
    pub(super) fn digits(self) -> usize {
        if self == Self::Ratio { 2 } else { 1 }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Degrees => "°",
            Self::Millimetres => " mm",
            Self::Percent => " %",
            Self::Ratio => "",
        })
    }
}

/// A named interval of values. The limits `from` and `to` belong to it; `below` and `above` do not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Class {
    /// Its name for people: "open bite tendency".
    pub name: String,
    /// The smallest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// All values are greater than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// The largest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// All values are less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
}

impl Class {
    /// Whether a value belongs to the class.
    pub fn contains(&self, value: f64) -> bool {
        self.from.is_none_or(|from| value >= from)
            && self.above.is_none_or(|above| value > above)
            && self.to.is_none_or(|to| value <= to)
            && self.below.is_none_or(|below| value < below)
    }
}

/// Name and limits: "class I (3.2 to 5.7)".
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, from, above, to, below } = self;
        let low = from.map(|from| format!("{from}")).or(above.map(|above| format!("above {above}")));
        let high = to.map(|to| format!("to {to}")).or(below.map(|below| format!("below {below}")));
        match (low, high) {
            (Some(low), Some(_)) if from == to => write!(f, "{name} ({low})"),
            (Some(low), Some(high)) => write!(f, "{name} ({low} {high})"),
            (low, high) => write!(f, "{name} ({})", low.or(high).unwrap_or_default()),
        }
    }
}

/// The usual values in the people that a source examined. They are not a criterion of health, and other populations usually differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Norm {
    /// The mean, in the measurement's unit.
    pub mean: f64,
    /// The standard deviation, if the source gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sd: Option<f64>,
    /// The short name of the source.
    pub source: String,
}

/// Mean, standard deviation and source: "87.8 ± 3.6 (Downs 1948)".
impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, sd, source } = self;
        match sd {
            Some(sd) => write!(f, "{mean} ± {sd} ({source})"),
            None => write!(f, "{mean} ({source})"),
        }
    }
}

/// Classes and norms as sets give them: there, unknown fields are refused. Results hold the same types, and readers of results
/// ignore fields that later versions add.
mod strict {
    use serde::{Deserialize, Deserializer};

    #[derive(Deserialize)]
    #[serde(remote = "super::Class", rename = "Class", deny_unknown_fields)]
    struct Class {
        name: String,
        from: Option<f64>,
        above: Option<f64>,
        to: Option<f64>,
        below: Option<f64>,
    }

    #[derive(Deserialize)]
    #[serde(remote = "super::Norm", rename = "Norm", deny_unknown_fields)]
    struct Norm {
        mean: f64,
        sd: Option<f64>,
        source: String,
    }

    #[derive(Deserialize)]
    struct StrictClass(#[serde(with = "Class")] super::Class);

    #[derive(Deserialize)]
    struct StrictNorm(#[serde(with = "Norm")] super::Norm);

    pub(super) fn classes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<super::Class>, D::Error> {
        let classes = Vec::<StrictClass>::deserialize(deserializer)?;
        Ok(classes.into_iter().map(|StrictClass(class)| class).collect())
    }

    pub(super) fn norm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<super::Norm>, D::Error> {
        Ok(Option::<StrictNorm>::deserialize(deserializer)?.map(|StrictNorm(norm)| norm))
    }
}

/// The indices of the measurements that a formula combines, in its order; `None` for a name that is not defined above it.
pub(super) type Operands = Vec<Option<usize>>;

impl Analysis {
    /// Whether nothing is measured.
    pub fn is_empty(&self) -> bool {
        self.measurements.is_empty()
    }

    /// The units of all measurements, in their order.
    pub fn units(&self) -> Vec<Unit> {
        self.units_with(&self.operands())
    }

    pub(super) fn units_with(&self, operands: &[Operands]) -> Vec<Unit> {
        let mut units: Vec<Unit> = Vec::with_capacity(self.measurements.len());
        for (definition, operands) in self.measurements.iter().zip(operands) {
            units.push(match &definition.formula {
                Formula::Angle(_) | Formula::Between(_) | Formula::Turn { .. } => Unit::Degrees,
                Formula::Distance(_)
                | Formula::SignedDistance { .. }
                | Formula::Offset { .. }
                | Formula::Along { .. } => Unit::Millimetres,
                Formula::Ratio(_) => Unit::Ratio,
                Formula::Percent(_) => Unit::Percent,
                Formula::Sum(_) | Formula::Difference(_) => {
                    let first = operands.first().copied().flatten();
                    first.map_or(Unit::Ratio, |index| units[index])
                }
            });
        }
        units
    }

    /// The operands of each measurement. Formulas may use only measurements above them, so there are no cycles.
    pub(super) fn operands(&self) -> Vec<Operands> {
        let mut above = BTreeMap::new();
        let all = self.measurements.iter().enumerate();
        all.map(|(index, definition)| {
            let names = definition.formula.parts().measurements;
            let operands = names.into_iter().map(|name| above.get(name).copied()).collect();
            above.entry(definition.name.as_str()).or_insert(index);
            operands
        })
        .collect()
    }
}
