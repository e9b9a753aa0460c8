//! Pictures to look at: found landmarks in red and true ones in green on the film, as in the paper's Fig. 3; and small ones
//! with flagged landmarks in red and all others in green.

use std::io::Cursor;
use std::path::Path;

use anyhow::Context as _;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use onemark_models::film::Film;
use onemark_models::geometry::Point;

use crate::console;

/// Width of an overlay in px: large enough to judge by eye, small enough to leaf through.
const WIDTH: u32 = 768;

const FOUND: [f64; 3] = [255.0, 40.0, 40.0];
const TRUE: [f64; 3] = [40.0, 230.0, 60.0];
/// Between marks and film, so that they stand out from bone and from air alike.
const OUTLINE: [f64; 3] = [0.0, 0.0, 0.0];

/// Radius of a mark and width of its outline, in px of the overlay.
const RADIUS: f64 = 3.5;
const SMALL_RADIUS: f64 = 1.5;
const OUTLINE_WIDTH: f64 = 1.5;

/// Draws `found`, and `truth` where it is known, both in film px in the same order; a line joins those that belong
/// together.
pub fn draw(film: &Film, found: &[Point], truth: &[Point]) -> RgbImage {
    let (mut picture, scale) = resized(film, WIDTH);
    let place = |point: &Point| Point::new(point.x * scale, point.y * scale);
    for (found, truth) in found.iter().zip(truth) {
        stroke(&mut picture, place(truth), place(found), 0.5, FOUND);
    }
    for (marks, colour) in [(truth, TRUE), (found, FOUND)] {
        for mark in marks.iter().map(place) {
            stroke(&mut picture, mark, mark, RADIUS, colour);
        }
    }
    picture
}

/// Draws a film `width` px wide with `flagged` points in red over `others` in green, both in film px.
pub fn small(film: &Film, width: u32, flagged: &[Point], others: &[Point]) -> RgbImage {
    let (mut picture, scale) = resized(film, width);
    for (marks, colour) in [(others, TRUE), (flagged, FOUND)] {
        for mark in marks.iter().map(|point| Point::new(point.x * scale, point.y * scale)) {
            stroke(&mut picture, mark, mark, SMALL_RADIUS, colour);
        }
    }
    picture
}

/// The film `width` px wide, and how many of its px there are to one of the film.
fn resized(film: &Film, width: u32) -> (RgbImage, f64) {
    let scale = f64::from(width) / f64::from(film.width());
    let height = (f64::from(film.height()) * scale).round().clamp(1.0, f64::from(16 * width)) as u32;
    let small = imageops::resize(film.grey(), width, height, FilterType::Triangle);
    (DynamicImage::ImageLuma8(small).into_rgb8(), scale)
}

/// Writes a picture as PNG, whole or not at all.
pub fn write(path: &Path, picture: &RgbImage) -> anyhow::Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).with_context(|| format!("drawing {}", path.display()))?;
    console::write_file(path, bytes.get_ref())
}

/// Paints all that is nearer than `radius` to the segment from `a` to `b`, and an outline around it, with soft edges.
fn stroke(picture: &mut RgbImage, a: Point, b: Point, radius: f64, colour: [f64; 3]) {
    let reach = radius + OUTLINE_WIDTH + 1.0;
    // `as` saturates, so marks beyond the film end at its border.
    let span = |a: f64, b: f64, size: u32| {
        let (low, high) = (a.min(b) - reach, a.max(b) + reach);
        (low.max(0.0) as u32).min(size)..(high.max(0.0) as u32).saturating_add(1).min(size)
    };
    let (columns, rows) = (span(a.x, b.x, picture.width()), span(a.y, b.y, picture.height()));
    for y in rows {
        for x in columns.clone() {
            let distance = to_segment(Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5), a, b);
            // Half a pixel of transition on either side of an edge.
            let inside = |radius: f64| (radius - distance + 0.5).clamp(0.0, 1.0);
            let pixel = picture.get_pixel_mut(x, y);
            blend(pixel, OUTLINE, inside(radius + OUTLINE_WIDTH));
            blend(pixel, colour, inside(radius));
        }
    }
}

fn blend(Rgb(pixel): &mut Rgb<u8>, colour: [f64; 3], share: f64) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use image::{GrayImage, Luma};

    #[test]
    fn marks_are_where_the_landmarks_are_on_dark_and_light_film() {
        for grey in [0, 255] {
            let film = Film::from_grey(GrayImage::from_pixel(1536, 1000, Luma([grey]))).unwrap();
            let picture = draw(&film, &[Point::new(400.0, 600.0)], &[Point::new(1000.0, 200.0)]);
            assert_eq!(picture.dimensions(), (768, 500));
            assert_eq!(picture.get_pixel(200, 300).0, FOUND.map(|channel| channel as u8));
            assert_eq!(picture.get_pixel(500, 100).0, TRUE.map(|channel| channel as u8));
            assert_eq!(picture.get_pixel(203, 302).0, OUTLINE.map(|channel| channel as u8));
            assert_eq!(picture.get_pixel(700, 450).0, [grey; 3]);
        }
    }

    #[test]
    fn marks_beyond_the_film_are_cut_off() {
        let film = Film::from_grey(GrayImage::new(4, 4)).unwrap();
        draw(&film, &[Point::new(-1e9, 1e9), Point::new(f64::NAN, 2.0)], &[Point::new(4.0, 4.0)]);
    }
}
