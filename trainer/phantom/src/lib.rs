//! Phantom films: drawn films with exact landmarks, so that the demonstration and the tests need no patient.
//!
//! A film shows an [`Anatomy`]: a module of that name holds its parts and its landmarks. `variation` deforms and poses it at random,
//! `render` draws it as attenuation of the beam, and `film` exposes and grains it. Landmarks are knots of the drawn outlines and
//! move as they do, so they are exact. `folder` writes many films.
//! This crate does not read datasets and does not train: it needs no libtorch.

mod film;
mod folder;
mod hand;
mod head;
mod render;
mod variation;

use image::GrayImage;
pub use onemark_film::geometry::Point;

pub use folder::{PhantomError, write_films};
use hand::Hand;
use head::Head;
use render::Field;
use variation::Dice;

/// Width and height of a film in px, as in ISBI 2015; a px is 0.1 mm wide.
pub const FILM: (u32, u32) = (1935, 2400);

/// What films show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Anatomy {
    /// A lateral head with the 19 landmarks of ISBI 2015, which are a built-in set, `isbi19`.
    Head,
    /// A hand with nine landmarks of a set that is not built in.
    Hand,
}

/// A drawn film and its truth.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Phantom {
    /// The film, [`FILM`] px.
    pub film: GrayImage,
    /// The landmarks in the order of their set, film px.
    pub points: Vec<Point>,
}

/// One patient in one pose.
trait Body {
    /// The landmarks with their names, in the order of their set, film px.
    fn landmarks(&self) -> Vec<(&'static str, Point)>;

    /// Adds all parts to a field.
    fn cast(&self, field: &mut Field, dice: &mut Dice);
}

impl Anatomy {
    /// Every anatomy.
    pub const ALL: [Self; 2] = [Self::Head, Self::Hand];

    /// The name by which a person chooses it: "head", "hand".
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Hand => "hand",
        }
    }

    /// The text of its landmark set's YAML file, if the set is not built in.
    pub fn set(self) -> Option<&'static str> {
        match self {
            Self::Head => None,
            Self::Hand => Some(hand::SET),
        }
    }

    fn body(self, dice: &mut Dice) -> Box<dyn Body> {
        match self {
            Self::Head => Box::new(Head::new(dice)),
            Self::Hand => Box::new(Hand::new(dice)),
        }
    }
}

/// Film `index` of the series `seed`; the same numbers always give the same film.
pub fn draw(anatomy: Anatomy, seed: u64, index: usize) -> Phantom {
    let (film, landmarks) = draw_named(anatomy, seed, index);
    Phantom { film, points: landmarks.into_iter().map(|(_, point)| point).collect() }
}

/// The same with the names of the landmarks.
fn draw_named(anatomy: Anatomy, seed: u64, index: usize) -> (GrayImage, Vec<(&'static str, Point)>) {
    let mut dice = Dice::new(seed, index);
    let body = anatomy.body(&mut dice);
    let mut field = render::field();
    body.cast(&mut field, &mut dice);
    (film::make(field, &mut dice), body.landmarks())
}

#[cfg(test)]
mod tests {
    use image::imageops;

    use super::*;

    /// No landmark may come nearer to the border than this, in px.
    const MARGIN: f64 = 64.0;
    /// Side of the square around a landmark that must show something, in px.
    const AROUND: u32 = 160;
    /// Standard deviation of the grey values there that grain alone does not reach.
    const VISIBLE: f64 = 8.0;

    #[test]
    fn a_film_depends_on_anatomy_seed_and_index_only() {
        for anatomy in Anatomy::ALL {
            let (film, again) = (draw(anatomy, 7, 3), draw(anatomy, 7, 3));
            assert!(film.film == again.film && film.points == again.points);
            for other in [draw(anatomy, 7, 4), draw(anatomy, 8, 3)] {
                assert!(film.film != other.film && film.points != other.points);
            }
            assert_eq!(film.film.dimensions(), FILM);
        }
    }

    #[test]
    fn landmarks_stay_inside_the_film() {
        for (anatomy, index) in Anatomy::ALL.into_iter().flat_map(|anatomy| (0..500).map(move |index| (anatomy, index)))
        {
            for (name, point) in anatomy.body(&mut Dice::new(1, index)).landmarks() {
                let inside = |value: f64, size: u32| value > MARGIN && value < f64::from(size) - MARGIN;
                assert!(inside(point.x, FILM.0) && inside(point.y, FILM.1), "film {index}: {name} at {point:?}");
            }
        }
    }

    #[test]
    fn every_landmark_lies_on_something_visible() {
        for (film, landmarks) in Anatomy::ALL.map(|anatomy| draw_named(anatomy, 1, 0)) {
            for (name, point) in landmarks {
                let (x, y) = (point.x as u32 - AROUND / 2, point.y as u32 - AROUND / 2);
                let patch = imageops::crop_imm(&film, x, y, AROUND, AROUND).to_image();
                let mean = |of: &dyn Fn(f64) -> f64| {
                    patch.iter().map(|&grey| of(f64::from(grey))).sum::<f64>() / patch.len() as f64
                };
                let middle = mean(&|grey| grey);
                let deviation = mean(&|grey| (grey - middle).powi(2)).sqrt();
                assert!(deviation > VISIBLE, "nothing to see at {name}: standard deviation {deviation}");
            }
        }
    }
}
