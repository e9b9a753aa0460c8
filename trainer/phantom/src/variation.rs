//! How films of one anatomy differ: the random numbers of a film, the deformation of the anatomy and the pose.
//!
//! Only this module moves anything, and it moves points, so landmarks stay on outlines.

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::FILM;

/// A position before any deformation, x and y in px.
pub type At = [f64; 2];

/// Number of small bumps at random places that make outlines uneven.
const WRINKLES: usize = 80;

/// A place that varies from film to film. Points near it move with it, less with growing distance.
pub struct Region {
    centre: At,
    /// Distance in px at which points move 61 % as far.
    radius: f64,
    /// Standard deviation of the shift, x and y in px.
    shift: At,
    /// Standard deviation of the relative growth, of each axis and of the shear between them.
    growth: f64,
}

impl Region {
    fn vary(&self, dice: &mut Dice) -> Bump {
        let growth = [self.growth; 2];
        Bump {
            centre: self.centre,
            radius: self.radius,
            shift: dice.shift(self.shift),
            growth: [dice.shift(growth), dice.shift(growth)],
        }
    }
}

pub const fn region(centre: At, radius: f64, shift: At, growth: f64) -> Region {
    Region { centre, radius, shift, growth }
}

/// The only source of random numbers in a film.
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The random numbers of film `index` of the series `seed`.
    pub fn new(seed: u64, index: usize) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        dice.set_stream(index as u64);
        Self(dice)
    }

    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// Uniform between `-most` and `most`.
    pub fn within(&mut self, most: f64) -> f64 {
        most * (2.0 * self.uniform() - 1.0)
    }

    /// Mean 0, standard deviation 1, at most 3.5 in size: the sum of four bytes, so that no film is impossible.
    pub fn normal(&mut self) -> f64 {
        let sum: u32 = self.0.next_u32().to_le_bytes().into_iter().map(u32::from).sum();
        (f64::from(sum) - 510.0) / 147.8
    }

    /// Two such numbers, times `scale`.
    pub fn shift(&mut self, scale: At) -> At {
        [scale[0] * self.normal(), scale[1] * self.normal()]
    }
}

/// A rotation about a point, a scale and a shift.
pub struct Motion {
    pivot: At,
    /// Cosine and sine, times the scale.
    turn: At,
    shift: At,
}

impl Motion {
    /// A rotation by `angle` (radians, clockwise on the film) about `pivot`, with a scale, then a shift.
    pub fn new(pivot: At, angle: f64, scale: f64, shift: At) -> Self {
        Self { pivot, turn: [scale * angle.cos(), scale * angle.sin()], shift }
    }

    /// Where a position comes to lie.
    pub fn apply(&self, [x, y]: At) -> At {
        let ([cos, sin], x, y) = (self.turn, x - self.pivot[0], y - self.pivot[1]);
        [self.pivot[0] + self.shift[0] + cos * x - sin * y, self.pivot[1] + self.shift[1] + sin * x + cos * y]
    }
}

/// A place where a film differs from the anatomy's table.
struct Bump {
    centre: At,
    radius: f64,
    shift: At,
    /// Growth around the centre, rows x and y of a 2 x 2 matrix.
    growth: [At; 2],
}

/// How a film differs from the anatomy's table before it is posed.
pub struct Deformation(Vec<Bump>);

impl Deformation {
    /// Varies these regions, and outlines everywhere.
    pub fn new(regions: &[Region], dice: &mut Dice) -> Self {
        let mut bumps: Vec<Bump> = regions.iter().map(|region| region.vary(dice)).collect();
        bumps.extend((0..WRINKLES).map(|_| Bump {
            centre: [dice.uniform() * f64::from(FILM.0), dice.uniform() * f64::from(FILM.1)],
            radius: 50.0 + 60.0 * dice.uniform(),
            shift: dice.shift([4.0; 2]),
            growth: [[0.0; 2]; 2],
        }));
        Self(bumps)
    }

    /// Where a position comes to lie.
    pub fn apply(&self, at: At) -> At {
        let mut moved = at;
        for bump in &self.0 {
            let (x, y) = (at[0] - bump.centre[0], at[1] - bump.centre[1]);
            let weight = (-(x * x + y * y) / (2.0 * bump.radius * bump.radius)).exp();
            for ((moved, shift), growth) in moved.iter_mut().zip(bump.shift).zip(bump.growth) {
                *moved += weight * (shift + growth[0] * x + growth[1] * y);
            }
        }
        moved
    }
}

/// How a patient lies on the film: turned by at most 6 degrees about `pivot`, 6 % larger or smaller, 60 px aside.
pub fn pose(pivot: At, dice: &mut Dice) -> Motion {
    let (angle, scale) = (dice.within(6_f64.to_radians()), 1.0 + dice.within(0.06));
    Motion::new(pivot, angle, scale, [dice.within(60.0), dice.within(60.0)])
}
