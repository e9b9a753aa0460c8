//! Drawing on a film: marks and text that are visible on bone and on air.

use std::ops::Range;

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts as _};
use image::imageops::{self, FilterType};
use image::{DynamicImage, Rgb, RgbImage};
use onemark_film::Film;
use onemark_film::geometry::Point;

use crate::png;

pub type Colour = [f64; 3];

/// Between marks and film.
pub const OUTLINE: Colour = [0.0, 0.0, 0.0];
/// Width of a mark's outline in px.
const OUTLINE_WIDTH: f64 = 1.5;

/// Side of a letter in px, at scale 1.
pub const LETTER: u32 = 8;

/// The film resized to `width` px, and the number of its px per px of the film.
pub fn resized(film: &Film, width: u32) -> (RgbImage, f64) {
    let scale = f64::from(width) / f64::from(film.width());
    let height = (f64::from(film.height()) * scale).round().clamp(1.0, f64::from(16 * width)) as u32;
    let small = imageops::resize(&png::grey(film), width, height, FilterType::Triangle);
    (DynamicImage::ImageLuma8(small).into_rgb8(), scale)
}

/// Paints everything nearer than `radius` to the segment from `a` to `b`.
pub fn stroke(picture: &mut RgbImage, a: Point, b: Point, radius: f64, colour: Colour) {
    paint(picture, [a, b], radius, |point| to_segment(point, a, b) - radius, colour);
}

/// Writes a line of text with an outline, in letters `scale` times the size of the font's.
pub fn write(picture: &mut RgbImage, text: &str, at: (i64, i64), scale: u32, colour: Colour) {
    for (grown, colour) in [(scale, OUTLINE), (0, colour)] {
        letters(picture, text, at, scale, grown, Rgb(colour.map(|channel| channel as u8)));
    }
}

/// Writes a line of text in letters `scale` times the size of the font's. Letters that the font lacks become question marks.
/// Each dot is `grown` px larger on all sides.
pub fn letters(picture: &mut RgbImage, text: &str, (left, top): (i64, i64), scale: u32, grown: u32, colour: Rgb<u8>) {
    let (size, grown) = (i64::from(scale), i64::from(grown));
    for (place, letter) in (0..).zip(text.chars()) {
        let rows = BASIC_FONTS.get(letter).or_else(|| LATIN_FONTS.get(letter)).or_else(|| BASIC_FONTS.get('?'));
        for (y, bits) in (0..).zip(rows.unwrap_or_default()) {
            for x in (0..i64::from(LETTER)).filter(|x| bits >> x & 1 == 1) {
                let dot = (left + size * (place * i64::from(LETTER) + x), top + size * y);
                fill(picture, dot.0 - grown..dot.0 + size + grown, dot.1 - grown..dot.1 + size + grown, colour);
            }
        }
    }
}

/// Fills the part of a rectangle that is inside the picture.
fn fill(picture: &mut RgbImage, columns: Range<i64>, rows: Range<i64>, colour: Rgb<u8>) {
    let inside = |range: Range<i64>, size: u32| {
        range.start.clamp(0, i64::from(size)) as u32..range.end.clamp(0, i64::from(size)) as u32
    };
    for y in inside(rows, picture.height()) {
        for x in inside(columns.clone(), picture.width()) {
            picture.put_pixel(x, y, colour);
        }
    }
}

/// Paints where the distance to an outline's edge is negative, and a border around it, with soft edges. The figure lies within
/// `reach` of the two points.
fn paint(picture: &mut RgbImage, [a, b]: [Point; 2], reach: f64, distance: impl Fn(Point) -> f64, colour: Colour) {
    let reach = reach + OUTLINE_WIDTH + 1.0;
    // `as` saturates, so marks beyond the film end at its border.
    let span = |a: f64, b: f64, size: u32| {
        let (low, high) = (a.min(b) - reach, a.max(b) + reach);
        (low.max(0.0) as u32).min(size)..(high.max(0.0) as u32).saturating_add(1).min(size)
    };
    let (columns, rows) = (span(a.x, b.x, picture.width()), span(a.y, b.y, picture.height()));
    for y in rows {
        for x in columns.clone() {
            let distance = distance(Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5));
            // Half a pixel of transition on either side of an edge.
            let inside = |edge: f64| (edge - distance + 0.5).clamp(0.0, 1.0);
            let pixel = picture.get_pixel_mut(x, y);
            blend(pixel, OUTLINE, inside(OUTLINE_WIDTH));
            blend(pixel, colour, inside(0.0));
        }
    }
}

fn blend(Rgb(pixel): &mut Rgb<u8>, colour: Colour, share: f64) {
    for (channel, colour) in pixel.iter_mut().zip(colour) {
        *channel = (f64::from(*channel) * (1.0 - share) + colour * share).round() as u8;
    }
}

fn to_segment(point: Point, a: Point, b: Point) -> f64 {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((point.x - a.x) * dx + (point.y - a.y) * dy) / length } else { 0.0 };
    let along = along.clamp(0.0, 1.0);
    (point.x - a.x - along * dx).hypot(point.y - a.y - along * dy)
}
