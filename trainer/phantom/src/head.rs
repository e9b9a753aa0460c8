//! How heads differ: the random numbers of a film, the deformation of the anatomy and the pose.
//!
//! Only this module moves anything, and it moves points, so landmarks stay on outlines.

use crate::Point;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::FILM;
use crate::anatomy::{At, Group};

/// Number of small bumps at random places that make outlines uneven.
const WRINKLES: usize = 80;

/// A place that varies from head to head. Points near it move with it, less with growing distance.
struct Region {
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

const fn region(centre: At, radius: f64, shift: At, growth: f64) -> Region {
    Region { centre, radius, shift, growth }
}

/// The low-dimensional variation of the head, coarse to fine.
#[rustfmt::skip]
const REGIONS: &[Region] = &[
    region([968.0, 1300.0], 1500.0, [0.0, 0.0], 0.022), // the head as a whole
    region([560.0, 650.0], 420.0, [0.0, 0.0], 0.035),   // vault
    region([1150.0, 1850.0], 350.0, [20.0, 16.0], 0.025), // jaws, long or short, forward or back
    region([1250.0, 1480.0], 240.0, [9.0, 9.0], 0.02),  // upper jaw
    region([1385.0, 985.0], 170.0, [10.0, 11.0], 0.02), // root of the nose
    region([1245.0, 1190.0], 140.0, [9.0, 10.0], 0.03), // orbit
    region([815.0, 1050.0], 130.0, [8.0, 8.0], 0.04),   // sella
    region([640.0, 1300.0], 150.0, [10.0, 12.0], 0.02), // ear
    region([975.0, 1435.0], 120.0, [7.0, 6.0], 0.02),   // posterior nasal spine
    region([780.0, 1730.0], 150.0, [12.0, 14.0], 0.05), // gonion
    region([1340.0, 1990.0], 120.0, [8.0, 7.0], 0.06),  // chin
    region([1425.0, 1690.0], 130.0, [9.0, 7.0], 0.03),  // incisors
    region([1580.0, 1340.0], 160.0, [14.0, 10.0], 0.05), // nose
    region([1540.0, 1700.0], 110.0, [10.0, 7.0], 0.05), // lips
    region([1470.0, 1980.0], 90.0, [9.0, 8.0], 0.04),   // soft chin
    region([640.0, 1950.0], 420.0, [18.0, 12.0], 0.02), // neck
];

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
    pub fn new(pivot: At, angle: f64, scale: f64, shift: At) -> Self {
        Self { pivot, turn: [scale * angle.cos(), scale * angle.sin()], shift }
    }

    pub fn apply(&self, [x, y]: At) -> At {
        let ([cos, sin], x, y) = (self.turn, x - self.pivot[0], y - self.pivot[1]);
        [self.pivot[0] + self.shift[0] + cos * x - sin * y, self.pivot[1] + self.shift[1] + sin * x + cos * y]
    }
}

/// A place where a head differs from the anatomy's table.
struct Bump {
    centre: At,
    radius: f64,
    shift: At,
    /// Growth around the centre, rows x and y of a 2 x 2 matrix.
    growth: [At; 2],
}

/// One head in one pose: the map from the anatomy's table to the film.
pub struct Head {
    far_side: Motion,
    jaw: Motion,
    neck: Motion,
    skin: Motion,
    ear_rod: Motion,
    stand: Motion,
    deformation: Vec<Bump>,
    pose: Motion,
}

impl Head {
    /// A new head in a new pose.
    pub fn new(dice: &mut Dice) -> Self {
        let mut deformation: Vec<Bump> = REGIONS.iter().map(|region| region.vary(dice)).collect();
        deformation.extend((0..WRINKLES).map(|_| Bump {
            centre: [dice.uniform() * f64::from(FILM.0), dice.uniform() * f64::from(FILM.1)],
            radius: 50.0 + 60.0 * dice.uniform(),
            shift: dice.shift([4.0; 2]),
            growth: [[0.0; 2]; 2],
        }));
        let mut within = |most: f64| most * (2.0 * dice.uniform() - 1.0);
        let (angle, scale) = (within(6_f64.to_radians()), 1.0 + within(0.06));
        let pose = Motion::new([968.0, 1250.0], angle, scale, [within(60.0), within(60.0)]);
        let mut sway = |pivot, angle: f64, shift| Motion::new(pivot, angle * dice.normal(), 1.0, dice.shift(shift));
        Self {
            far_side: sway([968.0, 1300.0], 0.008, [14.0, 10.0]),
            jaw: sway([740.0, 1290.0], 0.012, [3.0, 3.0]),
            neck: sway([680.0, 1500.0], 0.06, [12.0, 8.0]),
            skin: sway([968.0, 1300.0], 0.006, [5.0, 5.0]),
            ear_rod: sway([628.0, 1322.0], 0.0, [8.0, 8.0]),
            stand: sway([0.0, 0.0], 0.0, [14.0, 40.0]),
            deformation,
            pose,
        }
    }

    /// The position on the film of a position in the anatomy's table.
    pub fn place(&self, group: Group, at: At) -> Point {
        let posed = |at| self.pose.apply(self.deform(at));
        let [x, y] = match group {
            Group::Skull => posed(at),
            Group::FarSide => posed(self.far_side.apply(at)),
            Group::Jaw => posed(self.jaw.apply(at)),
            Group::Neck => posed(self.neck.apply(at)),
            Group::Skin => posed(self.skin.apply(at)),
            Group::EarRod => posed(self.ear_rod.apply(at)),
            Group::Stand => self.stand.apply(at),
            Group::Film => at,
        };
        Point { x, y }
    }

    fn deform(&self, at: At) -> At {
        let mut moved = at;
        for bump in &self.deformation {
            let (x, y) = (at[0] - bump.centre[0], at[1] - bump.centre[1]);
            let weight = (-(x * x + y * y) / (2.0 * bump.radius * bump.radius)).exp();
            for ((moved, shift), growth) in moved.iter_mut().zip(bump.shift).zip(bump.growth) {
                *moved += weight * (shift + growth[0] * x + growth[1] * y);
            }
        }
        moved
    }
}
