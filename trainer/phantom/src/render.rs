//! Draws the attenuation of an X-ray beam per pixel, from outlines.
//!
//! Every part is a rounded body of nested layers, so a beam that passes at depth `t` below the outline of a body
//! of radius `R` travels `2 sqrt(t (2R - t))` inside it. This formula alone gives the dark rim of soft tissue, the bright edge
//! of cortical bone and the two lines of the vault.

use crate::{FILM, Point};
use image::{GrayImage, ImageBuffer, Luma};

/// Films are drawn with pixels this many film px wide and then enlarged, because real film is not sharper.
pub const STEP: u32 = 3;

/// A picture of real numbers.
pub type Field = ImageBuffer<Luma<f32>, Vec<f32>>;

/// A field for one film, without attenuation.
pub fn field() -> Field {
    Field::new(FILM.0 / STEP, FILM.1 / STEP)
}

/// The material of a part.
#[derive(Debug)]
pub struct Material {
    /// Depth in px from which on a beam's path no longer grows.
    pub radius: f64,
    /// Pairs of a depth (px) and the attenuation that is added from there on, in thousandths per px of path. Negative: a
    /// cavity.
    pub layers: &'static [(f64, f64)],
}

/// A material of this radius and these layers.
pub const fn material(radius: f64, layers: &'static [(f64, f64)]) -> Material {
    Material { radius, layers }
}

impl Material {
    /// The attenuation of a beam that passes `depth` px below the outline.
    fn attenuation(&self, depth: f64) -> f64 {
        let layer = |&(start, density): &(f64, f64)| {
            let (t, radius) = (depth - start, self.radius - start);
            let way = 2.0 * (t.min(radius) * (2.0 * radius - t.min(radius))).max(0.0).sqrt();
            if t > 0.0 { density * way } else { 0.0 }
        };
        self.layers.iter().map(layer).sum::<f64>() / 1000.0
    }
}

/// The meaning of a part's outline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// The border of a body.
    Body,
    /// The middle of a band with this half-width in px.
    Band(f64),
}

/// Adds a part to `field`: its outline is a curve through knots on the film. `strength` scales the material.
pub fn add(field: &mut Field, knots: &[Point], shape: Shape, material: &Material, strength: f64) {
    let (step, outline) = (f64::from(STEP), curve(knots, shape == Shape::Body));
    let (reach, spread) = match shape {
        Shape::Body => (material.radius, 0.0),
        Shape::Band(half) => (half, half),
    };
    let Some(window) = Window::around(&outline, spread, step, field.dimensions()) else {
        return;
    };
    let distances = window.distances(&outline, reach, step);
    for (row, distances) in distances.chunks(window.width).enumerate() {
        let y = window.top + row;
        let borders = match shape {
            Shape::Body => crossings(&outline, (y as f64 + 0.5) * step),
            Shape::Band(_) => Vec::new(),
        };
        let mut passed = 0;
        for (column, &distance) in distances.iter().enumerate() {
            let x = window.left + column;
            while borders.get(passed).is_some_and(|&border| border < (x as f64 + 0.5) * step) {
                passed += 1;
            }
            let depth = match shape {
                Shape::Body if passed % 2 == 0 => continue,
                Shape::Body => f64::from(distance),
                Shape::Band(half) => half - f64::from(distance),
            };
            if depth > 0.0 {
                field.get_pixel_mut(x as u32, y as u32).0[0] += (strength * material.attenuation(depth)) as f32;
            }
        }
    }
}

/// The pixels of a field that a part can touch.
struct Window {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Window {
    /// The pixels within `spread` film px of the box around `points`; `None` where that lies outside the field.
    fn around(points: &[Point], spread: f64, step: f64, (width, height): (u32, u32)) -> Option<Self> {
        let range = |of: fn(&Point) -> f64, size: u32| {
            let low = points.iter().map(of).fold(f64::INFINITY, f64::min) - spread;
            let high = points.iter().map(of).fold(f64::NEG_INFINITY, f64::max) + spread;
            let first = (low / step).floor().clamp(0.0, f64::from(size)) as usize;
            let last = (high / step).ceil().clamp(0.0, f64::from(size)) as usize;
            (first < last).then_some((first, last - first))
        };
        let (left, width) = range(|p| p.x, width)?;
        let (top, height) = range(|p| p.y, height)?;
        Some(Self { left, top, width, height })
    }

    /// For each pixel of the window, row by row, the distance in film px from its centre to the outline, at most `reach`.
    fn distances(&self, outline: &[Point], reach: f64, step: f64) -> Vec<f32> {
        let mut squares = vec![(reach * reach) as f32; self.width * self.height];
        for (a, b) in outline.iter().zip(outline.iter().skip(1)) {
            let Some(near) = Window::around(&[*a, *b], reach, step, self.end()) else {
                continue;
            };
            let (dx, dy) = ((b.x - a.x) as f32, (b.y - a.y) as f32);
            let scale = 1.0 / (dx * dx + dy * dy).max(f32::EPSILON);
            for y in near.top.max(self.top)..near.top + near.height {
                let v = ((y as f64 + 0.5) * step - a.y) as f32;
                let row = (y - self.top) * self.width;
                let columns = near.left.max(self.left) - self.left..(near.left + near.width).max(self.left) - self.left;
                for (i, square) in squares[row..row + self.width][columns.clone()].iter_mut().enumerate() {
                    let u = ((self.left + columns.start + i) as f64 * step + 0.5 * step - a.x) as f32;
                    let along = ((u * dx + v * dy) * scale).clamp(0.0, 1.0);
                    let (u, v) = (u - along * dx, v - along * dy);
                    *square = square.min(u * u + v * v);
                }
            }
        }
        squares.iter_mut().for_each(|square| *square = square.sqrt());
        squares
    }

    /// One past the last column and row.
    fn end(&self) -> (u32, u32) {
        ((self.left + self.width) as u32, (self.top + self.height) as u32)
    }
}

/// Where a closed outline crosses the horizontal line at `y`, from left to right.
fn crossings(outline: &[Point], y: f64) -> Vec<f64> {
    let edges = outline.iter().zip(outline.iter().cycle().skip(1));
    let mut crossings: Vec<f64> = edges
        .filter(|(a, b)| (a.y <= y) != (b.y <= y))
        .map(|(a, b)| a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x))
        .collect();
    crossings.sort_by(f64::total_cmp);
    crossings
}

/// A Catmull-Rom curve through the knots; a knot given twice is a corner. A closed curve returns to its first knot.
fn curve(knots: &[Point], closed: bool) -> Vec<Point> {
    const PIECES: usize = 8;
    let n = knots.len();
    if n == 0 {
        return Vec::new();
    }
    let knot = |i: usize| {
        // `i` counts from one knot before the first.
        if closed { knots[(i + n - 1) % n] } else { knots[i.saturating_sub(1).min(n - 1)] }
    };
    let mut points = Vec::with_capacity(n * PIECES + 1);
    for i in 0..if closed { n } else { n.saturating_sub(1) } {
        let (p0, p1, p2, p3) = (knot(i), knot(i + 1), knot(i + 2), knot(i + 3));
        if p1 == p2 {
            continue;
        }
        for piece in 0..PIECES {
            let t = piece as f64 / PIECES as f64;
            let blend = |a: f64, b: f64, c: f64, d: f64| {
                b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
            };
            points.push(Point { x: blend(p0.x, p1.x, p2.x, p3.x), y: blend(p0.y, p1.y, p2.y, p3.y) });
        }
    }
    points.extend(if closed { points.first().copied() } else { knots.last().copied() });
    points
}

/// The exposed film: lighter with more attenuation, along an S-shaped curve.
pub fn expose(field: &Field, speed: f32, contrast: f32) -> GrayImage {
    let mut film = GrayImage::new(field.width(), field.height());
    for (grey, attenuation) in film.iter_mut().zip(field.iter()) {
        *grey = (255.0 / (1.0 + (contrast * (speed - attenuation)).exp())).round() as u8;
    }
    film
}
