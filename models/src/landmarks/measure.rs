//! Computes an analysis on one film: the values, and the errors that follow from the landmarks' errors.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::analysis::Operands;
use super::drawing::Stroke;
use super::vector::Vector;
use super::{Analysis, Class, Definition, Formula, LandmarkSet, Norm, Unit};
use onemark_film::Spacing;
use onemark_film::geometry::Point;

/// The distance by which landmarks are moved for numerical derivatives, in mm: much larger than rounding errors, much smaller than
/// anatomical distances.
const STEP_MM: f64 = 1e-3;

/// The half width of the interval that holds 90 % of a normal error, in standard deviations.
const WITHIN_90: f64 = 1.645;

/// One measurement on one film.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Measurement {
    /// Short name: "ANB".
    pub name: String,
    /// Name for people.
    pub title: String,
    /// The source of its definition and classes: a key of [`Analysis::sources`].
    pub source: String,
    /// The unit of the value.
    pub unit: Unit,
    /// The value, if it could be computed.
    pub value: Option<f64>,
    /// The standard deviation of the value's error, in the same unit, if the errors of all its landmarks are known. It is a first-order
    /// estimate for errors that are independent and equal in all directions.
    pub sd: Option<f64>,
    /// The class that the value belongs to.
    pub class: Option<Class>,
    /// Whether the value may belong to another class: the interval that holds 90 % of its error reaches beyond its class. False
    /// also where the error is unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub class_is_uncertain: bool,
    /// The usual values, if a source gives them.
    pub norm: Option<Norm>,
    /// Why there is no value. A value is never computed from guessed positions.
    pub refused: Option<String>,
    /// What the value assumes.
    pub note: Option<String>,
    /// The lines that show on the film what is measured, also where only the spacing is missing. Absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drawing: Vec<Stroke>,
}

impl Measurement {
    /// Explains the value in words: its class with the source, the usual values and the assumptions; or why there is no value.
    pub fn judgement(&self) -> String {
        let class = self.class_text();
        let norm = self.norm.as_ref().map(|norm| format!("norm {norm}"));
        let all = [self.refused.clone(), class, norm, self.note.clone()];
        all.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    /// The class with its limits and their source, and whether it is uncertain: "class I (0 to 4), Steiner 1953, uncertain: a
    /// limit is within the error".
    pub fn class_text(&self) -> Option<String> {
        let uncertain = if self.class_is_uncertain { ", uncertain: a limit is within the error" } else { "" };
        // The source is named because other sources define other limits.
        self.class.as_ref().map(|class| format!("{class}, {}{uncertain}", self.source))
    }

    /// The value with its error: "3.4° ± 0.9", "71.2 ± 1.1 mm"; or why there is no value.
    pub fn text(&self) -> String {
        let number = |value: f64| {
            let text = format!("{value:.*}", self.unit.digits());
            // A value that is rounded to zero has no minus sign.
            match text.strip_prefix('-') {
                Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_owned(),
                _ => text,
            }
        };
        let unit = self.unit;
        match (self.value.map(number), self.sd.map(number)) {
            (None, _) => format!("no value: {}", self.refused.as_deref().unwrap_or("refused")),
            (Some(value), None) => format!("{value}{unit}"),
            (Some(value), Some(sd)) if unit == Unit::Degrees => format!("{value}{unit} ± {sd}"),
            (Some(value), Some(sd)) => format!("{value} ± {sd}{unit}"),
        }
    }
}

/// What is known of the size of a film's pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PixelScale<'a> {
    /// The size of a pixel in mm.
    Spacing(&'a Spacing),
    /// How many times as high as wide a pixel is. Its size is unknown.
    Aspect(f64),
    /// Nothing: pixels are assumed to be square.
    Unknown,
}

impl<'a> From<Option<&'a Spacing>> for PixelScale<'a> {
    fn from(spacing: Option<&'a Spacing>) -> Self {
        spacing.map_or(Self::Unknown, Self::Spacing)
    }
}

impl PixelScale<'_> {
    /// The sides of a pixel, x and y: in mm, or in the unknown width of a pixel.
    fn sides(&self) -> [f64; 2] {
        match self {
            Self::Spacing(spacing) => [spacing.x(), spacing.y()],
            Self::Aspect(aspect) => [1.0, *aspect],
            Self::Unknown => [1.0, 1.0],
        }
    }

    /// What values assume.
    fn note(&self) -> Option<String> {
        match self {
            Self::Spacing(_) => None,
            Self::Aspect(aspect) => {
                Some(format!("pixels are {aspect} times as high as wide, as the film states; no spacing is stated"))
            }
            Self::Unknown => Some("square pixels are assumed, because no spacing is stated".into()),
        }
    }
}

/// Positions of landmarks in mm, or in px that are assumed to be square; x to the right, y down.
pub(super) type Places<'a> = BTreeMap<&'a str, [f64; 2]>;

impl LandmarkSet {
    /// All measurements of the set on one film, in their order.
    ///
    /// `points` are the landmarks in film px, in the set's order; `None` for a landmark that was not found. Without a spacing,
    /// distances have no value, and angles and ratios assume square pixels. `sd_mm` are the standard deviations of the landmarks'
    /// errors along each axis, in mm; `None` if one is unknown.
    ///
    /// ```
    /// use onemark_film::{Spacing, geometry::Point};
    /// use onemark_models::landmarks::LandmarkSet;
    ///
    /// let set = LandmarkSet::from_yaml(
    ///     "id: finger
    /// name: Finger
    /// source: an example
    /// landmarks:
    ///   - { number: 1, name: tip, title: Tip, definition: The most distal point. }
    ///   - { number: 2, name: base, title: Base, definition: The most proximal point. }
    /// analysis:
    ///   sources: { here: This example }
    ///   lines: {}
    ///   measurements:
    ///     - { name: length, title: Length, source: here, formula: { distance: [tip, base] } }
    /// ",
    /// )?;
    /// let points = [Some(Point::new(0.0, 0.0)), Some(Point::new(300.0, 400.0))];
    /// let spacing = Spacing::new(0.1, 0.1, "scanner manual")?;
    /// assert_eq!(set.measure(&points, Some(&spacing), &[])[0].text(), "50.0 mm");
    /// assert_eq!(set.measure(&points, None, &[])[0].text(), "no value: no spacing is stated");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn measure(
        &self,
        points: &[Option<Point>],
        spacing: Option<&Spacing>,
        sd_mm: &[Option<f64>],
    ) -> Vec<Measurement> {
        self.measure_at(points, spacing.into(), sd_mm)
    }

    /// As [`measure`](Self::measure), also for a film of which only the shape of its pixels is known: then angles and ratios have
    /// values by this shape, and distances have none.
    ///
    /// ```
    /// use onemark_film::geometry::Point;
    /// use onemark_models::landmarks::{LandmarkSet, PixelScale};
    ///
    /// let set = LandmarkSet::named("isbi19")?;
    /// let points: Vec<_> = (0..19).map(|n| Some(Point::new(f64::from(7 * n % 19), f64::from(n)))).collect();
    /// let [square, high] = [1.0, 2.0].map(|aspect| set.measure_at(&points, PixelScale::Aspect(aspect), &[]));
    /// assert_ne!(square[0].value, high[0].value);
    /// assert!(high[0].note.as_ref().is_some_and(|note| note.contains("2 times as high as wide")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn measure_at(
        &self,
        points: &[Option<Point>],
        scale: PixelScale<'_>,
        sd_mm: &[Option<f64>],
    ) -> Vec<Measurement> {
        let analysis = &self.analysis;
        let [x, y] = scale.sides();
        let is_in_mm = matches!(scale, PixelScale::Spacing(_));
        let found = self.landmarks.iter().zip(points);
        let found = found.filter_map(|(landmark, point)| Some((landmark.name.as_str(), (*point)?)));
        let places: Places<'_> = found.map(|(name, point)| (name, [point.x * x, point.y * y])).collect();
        let names = self.landmarks.iter().map(|landmark| landmark.name.as_str());
        let errors = names.zip(sd_mm).filter_map(|(name, sd)| Some((name, (*sd)?)));
        // Errors in mm can't be used with positions in px.
        let errors: BTreeMap<&str, f64> = if is_in_mm { errors.collect() } else { BTreeMap::new() };

        let refusal = |needs: &BTreeSet<&str>, kind: Unit, value: f64| {
            let missing = self.landmarks.iter().filter(|one| needs.contains(one.name.as_str()));
            let missing = missing.filter(|one| !places.contains_key(one.name.as_str()));
            let missing: Vec<&str> = missing.map(|landmark| landmark.title.as_str()).collect();
            if !missing.is_empty() {
                Some(format!("no position for {}", missing.join(", ")))
            } else if kind == Unit::Millimetres && !is_in_mm {
                Some("no spacing is stated".to_owned())
            } else if !value.is_finite() {
                Some("its landmarks lie on one another".to_owned())
            } else {
                None
            }
        };
        let operands = analysis.operands();
        let values = analysis.values(&places, &operands);
        let results = values.into_iter().zip(analysis.variances(&places, &errors, &operands));
        let definitions = analysis.measurements.iter().zip(analysis.units_with(&operands));
        let definitions = definitions.zip(analysis.needs(&operands));
        let results = results.zip(analysis.drawings(&places, &operands, [x, y]));
        let all = definitions.zip(results).map(|(((definition, kind), needs), ((value, variance), drawing))| {
            let refused = refusal(&needs, kind, value);
            // Without a spacing, a length has no value, but a geometry.
            let is_drawn = value.is_finite();
            let value = Some(value).filter(|_| refused.is_none());
            let sd = value.filter(|_| needs.iter().all(|name| errors.contains_key(name))).map(|_| variance.sqrt());
            let sd = sd.filter(|sd| sd.is_finite());
            let class = value.and_then(|value| definition.classes.iter().find(|class| class.contains(value)));
            let is_uncertain = |class: &Class, value: f64, sd: f64| {
                [value - WITHIN_90 * sd, value + WITHIN_90 * sd].iter().any(|end| !class.contains(*end))
            };
            Measurement {
                name: definition.name.clone(),
                title: definition.title.clone(),
                source: definition.source.clone(),
                unit: kind,
                value,
                sd,
                class: class.cloned(),
                class_is_uncertain: class
                    .zip(value.zip(sd))
                    .is_some_and(|(class, (value, sd))| is_uncertain(class, value, sd)),
                norm: definition.norm.clone(),
                refused,
                note: value.and_then(|_| scale.note()),
                drawing: if is_drawn { drawing } else { Vec::new() },
            }
        });
        all.collect()
    }
}

impl Analysis {
    /// The landmarks that each measurement depends on.
    fn needs(&self, operands: &[Operands]) -> Vec<BTreeSet<&str>> {
        let mut all: Vec<BTreeSet<&str>> = Vec::with_capacity(self.measurements.len());
        for (definition, operands) in self.measurements.iter().zip(operands) {
            let parts = definition.formula.parts();
            let lines = parts.lines.iter().filter_map(|line| self.lines.get(*line)).flatten().map(String::as_str);
            let operands = operands.iter().flatten().flat_map(|index| all[*index].iter().copied());
            all.push(parts.landmarks.iter().copied().chain(lines).chain(operands).collect());
        }
        all
    }

    /// The values of all measurements; NaN for one without a value.
    fn values(&self, places: &Places<'_>, operands: &[Operands]) -> Vec<f64> {
        let mut values: Vec<f64> = Vec::with_capacity(self.measurements.len());
        for (definition, operands) in self.measurements.iter().zip(operands) {
            let operands: Vec<f64> =
                operands.iter().map(|index| index.map_or(f64::NAN, |index| values[index])).collect();
            values.push(self.value(definition, places, &operands));
        }
        values
    }

    /// The variances of all measurements that follow from errors of landmarks, by central differences.
    fn variances(&self, places: &Places<'_>, errors: &BTreeMap<&str, f64>, operands: &[Operands]) -> Vec<f64> {
        let mut variances = vec![0.0; self.measurements.len()];
        let mut moved = places.clone();
        for (name, place) in places {
            let Some(sd) = errors.get(name) else { continue };
            for axis in 0..2 {
                let mut at = |step: f64| {
                    let mut place = *place;
                    place[axis] += step;
                    moved.insert(name, place);
                    self.values(&moved, operands)
                };
                let (ahead, behind) = (at(STEP_MM), at(-STEP_MM));
                for (variance, (ahead, behind)) in variances.iter_mut().zip(ahead.iter().zip(behind)) {
                    *variance += (sd * (ahead - behind) / (2.0 * STEP_MM)).powi(2);
                }
            }
            moved.insert(name, *place);
        }
        variances
    }

    /// The value of a measurement, from landmarks and from the values of the measurements that it combines.
    fn value(&self, definition: &Definition, places: &Places<'_>, operands: &[f64]) -> f64 {
        let point = |name: &String| places.get(name.as_str()).map_or(Vector::NONE, |[x, y]| Vector(*x, *y));
        let way = |from: &String, to: &String| point(to).minus(point(from));
        // A line through two equal points has no direction.
        let line = |name: &String| self.lines.get(name).map_or(Vector::NONE, |[from, to]| way(from, to).or_none());
        let start = |name: &String| self.lines.get(name).map_or(Vector::NONE, |[from, _]| point(from));
        let operand = |index: usize| operands.get(index).copied().unwrap_or(f64::NAN);
        match &definition.formula {
            Formula::Angle([one, at, other]) => way(at, one).or_none().angle(way(at, other).or_none()),
            Formula::Between([one, other]) => line(one).angle(line(other)),
            Formula::Turn { from, to, towards } => {
                let (normal, to) = (line(from).normal(line(towards)), line(to));
                normal.dot(to).atan2(line(from).unit().dot(to)).to_degrees()
            }
            Formula::Distance([from, to]) => way(from, to).length(),
            Formula::SignedDistance { from, to, towards } => {
                let way = way(from, to);
                way.length().copysign(way.dot(line(towards)))
            }
            Formula::Offset { of, from, towards } => line(from).normal(line(towards)).dot(point(of).minus(start(from))),
            Formula::Along { from, to, line: name } => line(name).unit().dot(way(from, to)),
            Formula::Ratio(_) => operand(0) / operand(1),
            Formula::Percent(_) => 100.0 * operand(0) / operand(1),
            Formula::Sum(_) => operands.iter().sum(),
            Formula::Difference(_) => operand(0) - operand(1),
        }
    }
}
