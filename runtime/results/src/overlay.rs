//! Pictures of films with landmarks: one with names and confidences; one that compares found (red) with annotated landmarks
//! (green), as in the paper's Fig. 3; and small ones with flagged landmarks in red.

use image::RgbImage;
use onemark_film::Film;
use onemark_film::geometry::Point;
use onemark_film::visible::cut;

use crate::cautions::percent;
use crate::picture::{self, Colour, LETTER, resized, stroke};
use crate::{FilmResults, ResultsError};
use onemark_runtime::{Detection, Status};

/// Width of a comparison in px: large enough to judge by eye, small enough to look through many.
const WIDTH: u32 = 768;
/// Smallest and largest width of a picture with names, in px. Between them it is the film's.
const NAMED_WIDTHS: [u32; 2] = [768, 1536];

const FOUND: Colour = [255.0, 40.0, 40.0];
const TRUE: Colour = [40.0, 230.0, 60.0];
const NOT_FOUND: Colour = [255.0, 200.0, 0.0];
const BY_HAND: Colour = [60.0, 190.0, 255.0];
const PLANE: Colour = [120.0, 220.0, 140.0];
const INK: Colour = [255.0, 255.0, 255.0];

/// Letters of the longest title that is written in full.
const LONGEST_TITLE: usize = 40;

/// Radius of a mark, in px of a picture [`WIDTH`] px wide.
const RADIUS: f64 = 3.5;
const SMALL_RADIUS: f64 = 1.5;
/// Half the width of a line from which something is measured, likewise.
const LINE: f64 = 0.5;

/// Draws the film with its landmarks as a PNG file: a red dot if found, a blue dot if placed by a person; beside each, its
/// number, name and confidence; green lines from which something is measured. Landmarks that were not found have no place on the film; their names are listed in yellow.
///
/// ```
/// # use onemark_film::Film;
/// # use onemark_results::{FilmResults, json::{Document, FilmReport}, overlay};
/// # let document = Document::read(&std::fs::read_to_string("tests/films.json")?)?;
/// # let [FilmReport::Done { file, detections, .. }, ..] = document.films.as_slice() else { return Err("no film".into()) };
/// # let film = Film::open("tests/film.png")?;
/// let results = FilmResults { detections, film: &film, name: file, time: chrono::Local::now() };
/// let png = overlay::write(&results)?;
/// assert!(png.starts_with(b"\x89PNG"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ResultsError::Write`] if the picture can't be encoded.
pub fn write(results: &FilmResults<'_>) -> Result<Vec<u8>, ResultsError> {
    png(&named(results)).map_err(|error| results.error("overlay", error))
}

/// Encodes a picture as a PNG file.
///
/// # Errors
/// The encoder fails.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>, image::ImageError> {
    crate::png::encode(picture.clone())
}

/// The picture that [`write()`] encodes.
pub fn named(results: &FilmResults<'_>) -> RgbImage {
    let (mut picture, scale) = resized(results.film, results.film.width().clamp(NAMED_WIDTHS[0], NAMED_WIDTHS[1]));
    let unit = f64::from(picture.width()) / f64::from(WIDTH);
    let radius = RADIUS * unit;
    let (lost, found): (Vec<&Detection>, Vec<_>) =
        results.detections.landmarks().iter().partition(|landmark| landmark.unless_guess().is_none());
    let found: Vec<_> = found.into_iter().map(|one| (one, place(one.position(), scale))).collect();
    for [a, b] in results.planes() {
        stroke(&mut picture, place(a, scale), place(b, scale), LINE * unit, PLANE);
    }
    for (landmark, mark) in &found {
        let colour = if landmark.status() == Status::EditedByHand { BY_HAND } else { FOUND };
        stroke(&mut picture, *mark, *mark, radius, colour);
    }
    let letter = unit.round() as u32;
    // The outline of the letters needs room too.
    let height = letter * (LETTER + 2);
    let size = |text: &str| [f64::from(letter * LETTER) * text.chars().count() as f64, f64::from(height)];
    // Labels avoid the marks and each other as far as there is room.
    let mut taken: Vec<Area> = found.iter().map(|(_, mark)| Area::around(*mark, radius)).collect();
    let columns = picture.width() / (letter * LETTER) - 1;
    for (row, line) in (0..).zip(not_found(&lost, columns as usize)) {
        let [width, height] = size(&line);
        let top = f64::from(row) * height;
        taken.push(Area { left: 0.0, top, right: width, bottom: top + height });
        picture::write(&mut picture, &line, (letter.into(), top as i64 + i64::from(letter)), letter, NOT_FOUND);
    }
    let film = Area { left: 0.0, top: 0.0, right: picture.width().into(), bottom: picture.height().into() };
    for (landmark, mark) in &found {
        let text = label(landmark);
        let area = Area::beside(*mark, 2.0 * radius, size(&text), &taken, &film);
        picture::write(&mut picture, &text, (area.left as i64, area.top as i64 + i64::from(letter)), letter, INK);
        taken.push(area);
    }
    picture
}

/// The names of landmarks that were not found, in lines of so many letters.
fn not_found(lost: &[&Detection], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (index, landmark) in lost.iter().enumerate() {
        let comma = if index + 1 < lost.len() { "," } else { "" };
        let name = format!("{} {}{comma}", landmark.number(), cut(landmark.title(), LONGEST_TITLE));
        let start = if index == 0 { "Not found: " } else { " " };
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + name.chars().count() <= columns => {
                *line += &format!("{start}{name}")
            }
            _ => lines.push(format!("{}{name}", start.trim_start())),
        }
    }
    lines
}

/// The text beside a mark.
fn label(landmark: &Detection) -> String {
    let name = format!("{} {}", landmark.number(), cut(landmark.title(), LONGEST_TITLE));
    match (landmark.status(), landmark.confidence()) {
        (Status::Found, Some(confidence)) => format!("{name} {}", percent(confidence)),
        _ => name,
    }
}

/// A rectangle of a picture, in px.
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn around(point: Point, reach: f64) -> Self {
        let Point { x, y } = point;
        Self { left: x - reach, top: y - reach, right: x + reach, bottom: y + reach }
    }

    /// The place beside a mark that covers the least taken area. Covering is better than leaving the film.
    fn beside(mark: Point, away: f64, [width, height]: [f64; 2], taken: &[Self], film: &Self) -> Self {
        let [right, left, middle] = [mark.x + away, mark.x - away - width, mark.x - width / 2.0];
        let [level, above, below] = [mark.y - height / 2.0, mark.y - away - height, mark.y + away];
        let places = [
            (right, level),
            (left, level),
            (right, above),
            (right, below),
            (left, above),
            (left, below),
            (middle, above),
            (middle, below),
        ];
        let areas = places.map(|(left, top)| Self { left, top, right: left + width, bottom: top + height });
        let cost = |area: &Self| {
            let outside = width * height - area.shared(film);
            let covered: f64 = taken.iter().map(|other| area.shared(other)).sum();
            10.0 * outside + covered
        };
        areas.into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or_else(|| Self::around(mark, away))
    }

    /// The area in both, in square px.
    fn shared(&self, other: &Self) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }
}

/// Draws true positions, and beside each the found one, if the landmark was found. All are in film px; a line joins each pair.
#[doc(hidden)]
pub fn compare(film: &Film, pairs: &[(Point, Option<Point>)]) -> RgbImage {
    let (mut picture, scale) = resized(film, WIDTH);
    let truth: Vec<Point> = pairs.iter().map(|(truth, _)| *truth).collect();
    let found: Vec<Point> = pairs.iter().filter_map(|(_, found)| *found).collect();
    for (truth, found) in pairs.iter().filter_map(|(truth, found)| Some((truth, (*found)?))) {
        stroke(&mut picture, place(*truth, scale), place(found, scale), 0.5, FOUND);
    }
    dots(&mut picture, scale, RADIUS, [(&truth, TRUE), (&found, FOUND)]);
    picture
}

/// Draws a film `width` px wide with `flagged` points in red over `others` in green, both in film px.
#[doc(hidden)]
pub fn small(film: &Film, width: u32, flagged: &[Point], others: &[Point]) -> RgbImage {
    let (mut picture, scale) = resized(film, width);
    dots(&mut picture, scale, SMALL_RADIUS, [(others, TRUE), (flagged, FOUND)]);
    picture
}

fn dots(picture: &mut RgbImage, scale: f64, radius: f64, marks: [(&[Point], Colour); 2]) {
    for (points, colour) in marks {
        for mark in points.iter().map(|point| place(*point, scale)) {
            stroke(picture, mark, mark, radius, colour);
        }
    }
}

fn place(point: Point, scale: f64) -> Point {
    Point::new(point.x * scale, point.y * scale)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::picture::OUTLINE;
    use onemark_film::Size;

    #[test]
    fn marks_are_where_the_landmarks_are_on_dark_and_light_film() {
        for grey in [0, 255] {
            let film = Film::from_grey(Size { width: 1536, height: 1000 }, vec![grey; 1536 * 1000]).unwrap();
            let lost = Point::new(600.0, 900.0);
            let pairs = [(Point::new(1000.0, 200.0), Some(Point::new(400.0, 600.0))), (lost, None)];
            let picture = compare(&film, &pairs);
            assert_eq!(picture.dimensions(), (768, 500));
            assert_eq!(picture.get_pixel(200, 300).0, FOUND.map(|channel| channel as u8));
            assert_eq!(picture.get_pixel(500, 100).0, TRUE.map(|channel| channel as u8));
            assert_eq!(picture.get_pixel(203, 302).0, OUTLINE.map(|channel| channel as u8));
            assert_eq!(picture.get_pixel(700, 450).0, [grey; 3]);
            // What was not found has its true place only.
            assert_eq!(picture.get_pixel(300, 450).0, TRUE.map(|channel| channel as u8));
            let red = picture.pixels().filter(|pixel| pixel.0 == FOUND.map(|channel| channel as u8));
            let alone = compare(&film, &pairs[..1]);
            assert_eq!(
                red.count(),
                alone.pixels().filter(|pixel| pixel.0 == FOUND.map(|channel| channel as u8)).count()
            );
        }
    }

    #[test]
    fn marks_beyond_the_film_are_cut_off() {
        let film = Film::from_grey(Size { width: 4, height: 4 }, vec![0; 16]).unwrap();
        let far = [Point::new(-1e9, 1e9), Point::new(f64::NAN, 2.0), Point::new(4.0, 4.0)];
        compare(&film, &[(far[2], Some(far[0])), (far[1], None), (far[2], Some(far[1]))]);
    }

    #[test]
    fn words_keep_off_the_marks_and_stay_on_the_film() {
        let film = Area { left: 0.0, top: 0.0, right: 100.0, bottom: 50.0 };
        let other = Area::around(Point::new(40.0, 25.0), 3.0);
        let free = Area::beside(Point::new(20.0, 25.0), 5.0, [30.0, 8.0], &[], &film);
        assert_eq!((free.left, free.top), (25.0, 21.0));
        let above = Area::beside(Point::new(20.0, 25.0), 5.0, [30.0, 8.0], &[other], &film);
        assert_eq!((above.left, above.top), (25.0, 12.0));
        let at_the_edge = Area::beside(Point::new(95.0, 25.0), 5.0, [30.0, 8.0], &[], &film);
        assert_eq!(at_the_edge.right, 90.0);
    }
}
