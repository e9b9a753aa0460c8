//! How a film lies under a frame: the similarity by which a second look turns, scales and shifts it (docs/METHOD.md sec. 8c).

use crate::film::validate_size;
use crate::geometry::{Point, Size};
use crate::{Film, FilmError, Spacing};

/// A point nearer than this to its place in the frame counts no more than one at this distance; a share of the frame's side.
const NEAR: f64 = 0.015;
/// If half of the points stay farther than this from their places, they are not those of such a film; a share of the frame's side.
const ASTRAY: f64 = 0.1;
/// Rounds of weighted least squares.
const ROUNDS: usize = 30;
/// The side of a frame around landmarks, as a multiple of the longer side of the rectangle that holds them.
const MARGIN: f64 = 1.28;
/// The most places of the film, along an axis, over which a pixel of [`Film::aligned`] is a mean.
const MOST_PLACES: u32 = 16;

/// A similarity from a film to a square frame with the corners (0, 0) and (1, 1): on the film in mm, it turns, scales both axes alike
/// and shifts. It never mirrors.
///
/// ```
/// use onemark_film::geometry::{Point, Size};
/// use onemark_film::{Alignment, Film};
///
/// let template = Film::from_grey(Size { width: 400, height: 300 }, vec![0; 120_000])?;
/// let marks = [Point::new(100.0, 100.0), Point::new(200.0, 100.0), Point::new(150.0, 180.0)];
/// let frame = Alignment::frame(&template, &marks);
///
/// // Another film shows the same, 20 px to the right and 30 px down.
/// let film = Film::from_grey(Size { width: 500, height: 400 }, vec![0; 200_000])?;
/// let shifted = marks.map(|mark| Point::new(mark.x + 20.0, mark.y + 30.0));
/// let alignment = Alignment::fit(&film, &shifted, &frame).ok_or("points that lie apart align")?;
/// assert!(alignment.to_frame(shifted[0]).distance_px(frame[0]) < 1e-9);
/// assert!(alignment.to_film(frame[2]).distance_px(shifted[2]) < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    /// How many times as high as wide a pixel of the film is.
    aspect: f64,
    /// The film's point z = x + i aspect y goes to the frame's point turn z + shift; both as (real, imaginary).
    turn: (f64, f64),
    shift: (f64, f64),
}

impl Alignment {
    /// The frame around these landmarks of a film: where each of them lies in it. Its sides are parallel to the film's.
    pub fn frame(film: &Film, points: &[Point]) -> Vec<Point> {
        let aspect = aspect(film);
        let middle_and_extent = |of: fn(&Point) -> f64| {
            let (low, high) = points
                .iter()
                .map(of)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
            ((low + high) / 2.0, high - low)
        };
        let ((x, width), (y, height)) = (middle_and_extent(|point| point.x), middle_and_extent(|point| point.y));
        let side = MARGIN * width.max(height * aspect);
        points.iter().map(|point| Point::new(0.5 + (point.x - x) / side, 0.5 + (point.y - y) * aspect / side)).collect()
    }

    /// The similarity that takes a film's landmarks, in px, to their places in the frame. A landmark counts the less, the farther it
    /// stays from its place, so a few wrong ones do no harm. `None` if the points do not lie like the frame: half of them stay far from
    /// their places (a tenth of the frame's side), or all are the same.
    pub fn fit(film: &Film, points: &[Point], frame: &[Point]) -> Option<Self> {
        let aspect = aspect(film);
        let mut distances = vec![NEAR; points.len().min(frame.len())];
        let mut fitted = None;
        for _ in 0..ROUNDS {
            let weights: Vec<f64> = distances.iter().map(|distance| 1.0 / distance.max(NEAR)).collect();
            let alignment = Self::weighted(aspect, points, frame, &weights)?;
            let pairs = points.iter().zip(frame);
            distances = pairs.map(|(point, place)| alignment.to_frame(*point).distance_px(*place)).collect();
            fitted = Some(alignment);
        }
        let near = distances.iter().filter(|distance| **distance <= ASTRAY).count();
        fitted.filter(|_| 2 * near > distances.len())
    }

    /// The similarity with the least weighted sum of squared distances.
    fn weighted(aspect: f64, points: &[Point], frame: &[Point], weights: &[f64]) -> Option<Self> {
        let pairs = || weights.iter().zip(points).zip(frame).map(|((w, z), f)| (*w, (z.x, z.y * aspect), (f.x, f.y)));
        let total: f64 = weights.iter().sum();
        let (mut from, mut to) = ((0.0, 0.0), (0.0, 0.0));
        for (w, z, f) in pairs() {
            from = (from.0 + w * z.0 / total, from.1 + w * z.1 / total);
            to = (to.0 + w * f.0 / total, to.1 + w * f.1 / total);
        }
        let (mut dot, mut cross, mut square) = (0.0, 0.0, 0.0);
        for (w, z, f) in pairs() {
            let (z, f) = ((z.0 - from.0, z.1 - from.1), (f.0 - to.0, f.1 - to.1));
            dot += w * (z.0 * f.0 + z.1 * f.1);
            cross += w * (z.0 * f.1 - z.1 * f.0);
            square += w * (z.0 * z.0 + z.1 * z.1);
        }
        let turn = (dot / square, cross / square);
        let turned = times(turn, from);
        let found = Self { aspect, turn, shift: (to.0 - turned.0, to.1 - turned.1) };
        let is_usable = found.px_per_side().is_finite() && found.shift.0.is_finite() && found.shift.1.is_finite();
        is_usable.then_some(found)
    }

    /// Where a point of the film, in px, lies in the frame.
    pub fn to_frame(&self, point: Point) -> Point {
        let turned = times(self.turn, (point.x, point.y * self.aspect));
        Point::new(turned.0 + self.shift.0, turned.1 + self.shift.1)
    }

    /// Where a point of the film, in px, lies on the film of `side` px that [`Film::aligned`] makes, in px of that; `None` beyond it.
    pub fn to_aligned(&self, point: Point, side: u32) -> Option<Point> {
        let place = self.to_frame(point);
        let point = Point::new(place.x * f64::from(side), place.y * f64::from(side));
        Some(point).filter(|point| point.is_inside(Size { width: side, height: side }))
    }

    /// Where a point of the frame lies on the film, in px.
    pub fn to_film(&self, point: Point) -> Point {
        let square = self.turn.0 * self.turn.0 + self.turn.1 * self.turn.1;
        let back = (self.turn.0 / square, -self.turn.1 / square);
        let z = times(back, (point.x - self.shift.0, point.y - self.shift.1));
        Point::new(z.0, z.1 / self.aspect)
    }

    /// The side in px of the film that [`Film::aligned`] makes for a network whose grid has so many cells a side. It is twice as fine as
    /// the grid, so training can turn it without a loss.
    pub fn side(cells: usize) -> u32 {
        u32::try_from(2 * cells).unwrap_or(u32::MAX)
    }

    /// The side of the frame in px of the film along x.
    fn px_per_side(&self) -> f64 {
        1.0 / self.turn.0.hypot(self.turn.1)
    }
}

impl Film {
    /// What the frame shows of the film: a square film of `side` px. If the film's spacing is known, so is this one's. Beyond the
    /// film's edge it is black.
    ///
    /// # Errors
    /// As [`Film::from_grey`], for a film of this side.
    pub fn aligned(&self, alignment: &Alignment, side: u32) -> Result<Self, FilmError> {
        let size = Size { width: side, height: side };
        validate_size(size, None)?;
        // A pixel is the mean of its places, which lie at most about a film pixel apart.
        let px = alignment.px_per_side() / f64::from(side);
        let places = (px.ceil() as u32).clamp(1, MOST_PLACES);
        let step = 1.0 / f64::from(side * places);
        let (origin, right, down) = (
            alignment.to_film(Point::new(step / 2.0, step / 2.0)),
            alignment.to_film(Point::new(1.5 * step, step / 2.0)),
            alignment.to_film(Point::new(step / 2.0, 1.5 * step)),
        );
        let place = |row: f64, column: f64| {
            let along = |origin: f64, right: f64, down: f64| origin + column * (right - origin) + row * (down - origin);
            (along(origin.x, right.x, down.x), along(origin.y, right.y, down.y))
        };
        let grey = |row: u32, column: u32| {
            let each = |first: u32| (0..places).map(move |place| f64::from(first * places + place));
            let sum: f64 = each(row)
                .flat_map(|row| each(column).map(move |column| place(row, column)))
                .map(|at| self.grey_at(at))
                .sum();
            (sum / f64::from(places * places) + 0.5) as u8
        };
        let pixels = (0..side).flat_map(|row| (0..side).map(move |column| grey(row, column))).collect();
        let spacing = self.spacing().and_then(|spacing| {
            let mm = spacing.x() * px;
            Spacing::new(mm, mm, spacing.source().to_owned()).ok()
        });
        Ok(Self::from_grey(size, pixels)?.with_stated(None, spacing.as_ref()))
    }

    /// The grey value at a point, in px, by bilinear interpolation; 0 beyond the edge.
    fn grey_at(&self, (x, y): (f64, f64)) -> f64 {
        let (left, top) = ((x - 0.5).floor(), (y - 0.5).floor());
        let (right, down) = (x - 0.5 - left, y - 0.5 - top);
        let value = |row: f64, column: f64| {
            let inside =
                row >= 0.0 && column >= 0.0 && row < f64::from(self.height()) && column < f64::from(self.width());
            if inside { f64::from(self.grey()[row as usize * self.width() as usize + column as usize]) } else { 0.0 }
        };
        let across = |row: f64| value(row, left) * (1.0 - right) + value(row, left + 1.0) * right;
        across(top) * (1.0 - down) + across(top + 1.0) * down
    }
}

/// How many times as high as wide a pixel is; 1 where nobody states it.
fn aspect(film: &Film) -> f64 {
    film.spacing().map(|spacing| spacing.y() / spacing.x()).or(film.pixel_aspect()).unwrap_or(1.0)
}

/// The product of two complex numbers.
fn times(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A dark film with a bright disc of 6 px radius at each point.
    fn film(width: u32, height: u32, points: &[Point]) -> Film {
        let grey = |index: u32| {
            let at = Point::new(f64::from(index % width) + 0.5, f64::from(index / width) + 0.5);
            if points.iter().any(|point| point.distance_px(at) < 6.0) { 200 } else { 20 }
        };
        Film::from_grey(Size { width, height }, (0..width * height).map(grey).collect()).unwrap()
    }

    fn marks() -> Vec<Point> {
        [(60.0, 40.0), (140.0, 50.0), (90.0, 120.0), (150.0, 130.0), (70.0, 90.0)]
            .map(|(x, y)| Point::new(x, y))
            .to_vec()
    }

    /// The marks turned by 20 degrees, twice as large, shifted.
    fn turned() -> Vec<Point> {
        let (sin, cos) = 20_f64.to_radians().sin_cos();
        marks()
            .iter()
            .map(|at| Point::new(2.0 * (cos * at.x - sin * at.y) + 120.0, 2.0 * (sin * at.x + cos * at.y) + 15.0))
            .collect()
    }

    #[test]
    fn one_wrong_landmark_hardly_moves_the_frame() {
        let template = film(200, 160, &[]);
        let (frame, mut points) = (Alignment::frame(&template, &marks()), turned());
        let exact = Alignment::fit(&template, &points, &frame).unwrap();
        for (point, place) in points.iter().zip(&frame) {
            assert!(exact.to_frame(*point).distance_px(*place) < 1e-9);
            assert!(exact.to_film(*place).distance_px(*point) < 1e-9);
        }
        points[1] = Point::new(20.0, 300.0);
        let robust = Alignment::fit(&template, &points, &frame).unwrap();
        let moved = turned().iter().map(|at| robust.to_frame(*at).distance_px(exact.to_frame(*at))).fold(0.0, f64::max);
        assert!(moved < 0.03, "{moved} of the frame's side");
    }

    #[test]
    fn aligned_films_show_the_same_at_the_same_places() {
        let template = film(200, 160, &marks());
        let frame = Alignment::frame(&template, &marks());
        let other = film(420, 420, &turned());
        let side = 128;
        for (shown, points) in [(&template, marks()), (&other, turned())] {
            let aligned = shown.aligned(&Alignment::fit(shown, &points, &frame).unwrap(), side).unwrap();
            for place in &frame {
                let (row, column) = ((place.y * f64::from(side)) as u32, (place.x * f64::from(side)) as u32);
                assert!(aligned.grey()[(row * side + column) as usize] > 150, "{place:?}");
            }
            assert_eq!(aligned.spacing(), None);
        }
    }

    #[test]
    fn pixels_that_are_not_square_align_in_mm() {
        // Half as many rows, each twice as high.
        let oblong = film(200, 80, &[]).with_spacing(Spacing::new(0.1, 0.2, "a test").unwrap());
        let square = film(200, 160, &[]).with_spacing(Spacing::new(0.1, 0.1, "a test").unwrap());
        let flat: Vec<Point> = marks().iter().map(|at| Point::new(at.x, at.y / 2.0)).collect();
        let frame = Alignment::frame(&square, &marks());
        assert_eq!(Alignment::frame(&oblong, &flat), frame);
        let alignment = Alignment::fit(&oblong, &flat, &frame).unwrap();
        let aligned = oblong.aligned(&alignment, 100).unwrap();
        // 100 px are the frame's side: 1.28 times the 90 px from the first mark's column to the fourth's.
        let mm = aligned.spacing().unwrap();
        assert!((mm.x() - 0.1 * 1.28 * 90.0 / 100.0).abs() < 1e-9 && mm.x() == mm.y(), "{mm:?}");
    }

    #[test]
    fn points_in_one_place_do_not_align() {
        let film = film(200, 160, &[]);
        let frame = Alignment::frame(&film, &marks());
        assert_eq!(Alignment::fit(&film, &[Point::new(3.0, 4.0); 5], &frame), None);
        assert_eq!(Alignment::fit(&film, &[], &[]), None);
        let strange = Alignment::fit(&film, &[Point::new(f64::NAN, 4.0); 5], &frame);
        assert_eq!(strange, None);
    }

    #[test]
    fn points_that_lie_like_no_film_do_not_align() {
        let film = film(1935, 2400, &[]);
        // Places and points without any order, by a fixed rule.
        let scattered = |count: u32, step: u32, width: f64, height: f64| -> Vec<Point> {
            let at = |index: u32| f64::from(index * step % 997) / 997.0;
            (1..=count).map(|index| Point::new(width * at(index), height * at(index * index))).collect()
        };
        for count in [19, 37] {
            let (frame, points) = (scattered(count, 211, 1.0, 1.0), scattered(count, 613, 1935.0, 2400.0));
            assert_eq!(Alignment::fit(&film, &points, &frame), None, "{count}");
            let one = vec![Point::new(435.878_906_25, 253.125); count as usize];
            assert_eq!(Alignment::fit(&film, &one, &frame), None, "{count}");
        }
    }
}
