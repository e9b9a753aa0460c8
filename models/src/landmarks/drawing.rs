//! The lines that show a measurement on the film: the lines of its analysis, measured lengths, and arcs of angles.

use serde::{Deserialize, Serialize};

use super::analysis::Operands;
use super::measure::Places;
use super::vector::Vector;
use super::{Analysis, Formula};
use onemark_film::geometry::Point;

/// How far a line is drawn beyond its landmarks, as a share of its length.
const BEYOND: f64 = 0.1;
/// How far a line is drawn at most to meet another, in its own lengths. Lines that meet farther away are almost parallel.
const FARTHEST: f64 = 3.0;
/// The radius of an arc, as a share of the shorter of its two lines.
const ARC: f64 = 0.25;
/// The largest angle between two neighbouring points of an arc.
const ARC_STEP_DEG: f64 = 5.0;
/// Coordinates are rounded to a fraction of a px that no screen shows, so that they are short in JSON.
const PER_PX: f64 = 100.0;

/// A line on the film that shows what is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stroke {
    /// What the line is.
    pub kind: StrokeKind,
    /// Its points in film px, joined by straight lines: two, or more for an arc. They may lie beside the film.
    pub points: Vec<Point>,
}

/// What a line on the film shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StrokeKind {
    /// A line from which something is measured, drawn a little beyond its landmarks.
    Line,
    /// A measured length, from end to end.
    Length,
    /// The arc of a measured angle. It is missing where the two lines meet too far away.
    Arc,
}

impl Analysis {
    /// The lines that show each measurement, from places in units of which a px has `sides`. Those of a measurement without a value
    /// have no meaning.
    pub(super) fn drawings(&self, places: &Places<'_>, operands: &[Operands], sides: [f64; 2]) -> Vec<Vec<Stroke>> {
        let mut all: Vec<Vec<Stroke>> = Vec::with_capacity(self.measurements.len());
        for (definition, operands) in self.measurements.iter().zip(operands) {
            // A measurement that combines others shows all of them, each line once.
            let of_others = operands.iter().flatten().flat_map(|index| all[*index].iter().cloned());
            let own = self.strokes(&definition.formula, places);
            let own = own.into_iter().map(|(kind, points)| on_film(kind, &points, sides));
            let mut strokes: Vec<Stroke> = Vec::new();
            for stroke in of_others.chain(own) {
                if !strokes.contains(&stroke) {
                    strokes.push(stroke);
                }
            }
            all.push(strokes);
        }
        all
    }

    /// The lines of a formula itself, without those of the measurements that it combines.
    fn strokes(&self, formula: &Formula, places: &Places<'_>) -> Vec<(StrokeKind, Vec<Vector>)> {
        let point = |name: &String| places.get(name.as_str()).map_or(Vector::NONE, |[x, y]| Vector(*x, *y));
        let line = |name: &String| self.lines.get(name).map_or(Line::NONE, |[a, b]| Line::new(point(a), point(b)));
        let length = |a: Vector, b: Vector| (StrokeKind::Length, vec![a, b]);
        match formula {
            Formula::Angle([one, at, other]) => {
                let at = point(at);
                angle(Line::new(at, point(one)), Line::new(at, point(other)))
            }
            Formula::Between([one, other]) | Formula::Turn { from: one, to: other, .. } => {
                angle(line(one), line(other))
            }
            Formula::Distance([from, to]) | Formula::SignedDistance { from, to, .. } => {
                vec![length(point(from), point(to))]
            }
            Formula::Offset { of, from, .. } => {
                let (of, mut line) = (point(of), line(from));
                let foot = line.foot(of);
                line.reach(foot);
                vec![line.stroke(), length(foot, of)]
            }
            Formula::Along { from, to, line: name } => {
                // From the first landmark perpendicular to the line, then along it to the second.
                let (from, to, line) = (point(from), point(to), line(name));
                let corner = line.parallel_through(to).foot(from);
                let upright = Line::new(from, corner);
                // The two may lie on one level.
                let upright = (upright.way().length() > 0.0).then(|| upright.stroke());
                [line.stroke()].into_iter().chain(upright).chain([length(corner, to)]).collect()
            }
            Formula::Ratio(_) | Formula::Percent(_) | Formula::Sum(_) | Formula::Difference(_) => Vec::new(),
        }
    }
}

fn on_film(kind: StrokeKind, points: &[Vector], [x, y]: [f64; 2]) -> Stroke {
    let rounded = |px: f64| (px * PER_PX).round() / PER_PX;
    Stroke { kind, points: points.iter().map(|at| Point::new(rounded(at.0 / x), rounded(at.1 / y))).collect() }
}

/// Two lines, drawn to where they meet, and the arc of the angle between their directions.
fn angle(mut one: Line, mut other: Line) -> Vec<(StrokeKind, Vec<Vector>)> {
    let mut strokes = Vec::new();
    if let Some(vertex) = one.meets(&other) {
        let places = [one.place_of(vertex), other.place_of(vertex)];
        // The same angle is between the opposite directions. Where both lines lie on that side, the arc does too.
        let side = if places.iter().all(|place| *place > 0.5) { -1.0 } else { 1.0 };
        let shorter = one.way().length().min(other.way().length());
        // Beyond the ends of both lines, the arc is where the lines begin: the vertex may lie beside the film.
        let gaps = [&one, &other].map(|line| line.nearest_landmark(vertex).minus(vertex).length());
        let is_apart = places.iter().all(|place| *place < 0.0) || places.iter().all(|place| *place > 1.0);
        let radius = if is_apart { gaps[0].min(gaps[1]).max(ARC * shorter) } else { ARC * shorter };
        let from = one.way().unit().times(side * radius);
        let to = other.way().times(side);
        let (degrees, sense) = (from.angle(to), from.cross(to).signum());
        let steps = (degrees / ARC_STEP_DEG).ceil().max(1.0);
        let at = |step: f64| vertex.plus(from.rotated(sense * (degrees * step / steps).to_radians()));
        let arc: Vec<Vector> = (0..=steps as usize).map(|step| at(step as f64)).collect();
        for (line, end) in [(&mut one, at(0.0)), (&mut other, at(steps))] {
            line.reach(vertex);
            line.reach(end);
        }
        strokes.push((StrokeKind::Arc, arc));
    }
    [one.stroke(), other.stroke()].into_iter().chain(strokes).collect()
}

/// A line through two landmarks, and how much of it is drawn.
struct Line {
    from: Vector,
    to: Vector,
    /// Where it begins and ends: 0 is the first landmark, 1 the second.
    ends: [f64; 2],
}

impl Line {
    const NONE: Self = Self { from: Vector::NONE, to: Vector::NONE, ends: [0.0, 1.0] };

    fn new(from: Vector, to: Vector) -> Self {
        Self { from, to, ends: [-BEYOND, 1.0 + BEYOND] }
    }

    fn way(&self) -> Vector {
        self.to.minus(self.from).or_none()
    }

    fn at(&self, place: f64) -> Vector {
        self.from.plus(self.way().times(place))
    }

    /// The place of a point of this line: 0 at the first landmark, 1 at the second.
    fn place_of(&self, point: Vector) -> f64 {
        point.minus(self.from).dot(self.way()) / self.way().dot(self.way())
    }

    /// The foot of a perpendicular.
    fn foot(&self, point: Vector) -> Vector {
        self.at(self.place_of(point))
    }

    fn parallel_through(&self, point: Vector) -> Self {
        Self::new(point, point.plus(self.way()))
    }

    /// Draws the line as far as a point.
    fn reach(&mut self, point: Vector) {
        let place = self.place_of(point);
        self.ends = [self.ends[0].min(place), self.ends[1].max(place)];
    }

    fn nearest_landmark(&self, point: Vector) -> Vector {
        if self.place_of(point) < 0.5 { self.from } else { self.to }
    }

    /// Where it meets another line, if that is not too far from both.
    fn meets(&self, other: &Self) -> Option<Vector> {
        let place = other.from.minus(self.from).cross(other.way()) / self.way().cross(other.way());
        let vertex = self.at(place);
        let near = -FARTHEST..=1.0 + FARTHEST;
        (near.contains(&place) && near.contains(&other.place_of(vertex))).then_some(vertex)
    }

    fn stroke(&self) -> (StrokeKind, Vec<Vector>) {
        (StrokeKind::Line, self.ends.map(|place| self.at(place)).into())
    }
}
