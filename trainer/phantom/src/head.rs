//! A lateral head, the face to the right, with the 19 landmarks of ISBI 2015.

mod parts;

use crate::render::{self, Field, Material, Shape};
use crate::variation::{At, Deformation, Dice, Motion, Region, pose, region};
use crate::{Body, Point};
use parts::{Group, LANDMARKS};

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

/// One head in one pose: the map from the anatomy's table to the film.
pub struct Head {
    far_side: Motion,
    jaw: Motion,
    neck: Motion,
    skin: Motion,
    ear_rod: Motion,
    stand: Motion,
    deformation: Deformation,
    pose: Motion,
}

impl Head {
    /// A new head in a new pose.
    pub fn new(dice: &mut Dice) -> Self {
        let deformation = Deformation::new(REGIONS, dice);
        let pose = pose([968.0, 1250.0], dice);
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
    fn place(&self, group: Group, at: At) -> Point {
        let posed = |at| self.pose.apply(self.deformation.apply(at));
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

    fn add(&self, field: &mut Field, group: Group, shape: Shape, material: &Material, strength: f64, knots: &[At]) {
        let knots: Vec<Point> = knots.iter().map(|&at| self.place(group, at)).collect();
        render::add(field, &knots, shape, material, strength);
    }

    /// Front teeth lie in the middle plane; other teeth show on both sides, never exactly above each other.
    fn add_teeth(&self, field: &mut Field, dice: &mut Dice) {
        for &(group, tip, apex, half, outline) in parts::TEETH {
            let sway = dice.shift([10.0, 10.0]);
            let axis = [apex[0] + sway[0] - tip[0], apex[1] + sway[1] - tip[1]];
            let half = half * (1.0 + 0.06 * dice.normal()) / axis[0].hypot(axis[1]);
            let far = dice.shift([12.0, 6.0]);
            let sides: &[(At, f64)] =
                if outline == parts::CUTTER { &[([0.0; 2], 1.0)] } else { &[([0.0; 2], 0.7), (far, 0.5)] };
            for &(shift, strength) in sides {
                let origin = [tip[0] + shift[0], tip[1] + shift[1]];
                // The outline, shortened towards the tip and narrowed.
                let part = |length: f64, width: f64| -> Vec<At> {
                    let knots = outline.iter().map(|[along, across]| (length * along, width * half * across));
                    knots
                        .map(|(u, v)| [origin[0] + u * axis[0] - v * axis[1], origin[1] + u * axis[1] + v * axis[0]])
                        .collect()
                };
                self.add(field, group, Shape::Body, &parts::TOOTH, strength, &part(1.0, 1.0));
                self.add(field, group, Shape::Body, &parts::ENAMEL, strength, &part(0.38, 0.92));
                if sides.len() > 1 && dice.uniform() < 0.12 {
                    self.add(field, group, Shape::Body, &parts::FILLING, 1.0, &part(0.2, 0.6));
                }
            }
        }
    }

    fn add_vertebrae(&self, field: &mut Field, dice: &mut Dice) {
        for (level, centre) in parts::VERTEBRAE.into_iter().enumerate() {
            let size = 1.0 + 0.03 * level as f64;
            for outline in [parts::CENTRUM, parts::PROCESS] {
                let motion = Motion::new([0.0; 2], 0.04 * dice.normal(), size, centre);
                let knots: Vec<At> = outline.iter().map(|&at| motion.apply(at)).collect();
                self.add(field, Group::Neck, Shape::Body, &parts::VERTEBRA, 1.0, &knots);
            }
        }
    }

    fn add_cells(&self, field: &mut Field, dice: &mut Dice) {
        for (middle, spread, count, [least, most]) in parts::CELLS {
            for _ in 0..count {
                let shift = dice.shift(spread);
                let radius = least + (most - least) * dice.uniform();
                let knots = parts::CELL_OUTLINE.map(|at| {
                    let radius = radius * (1.0 + 0.25 * dice.normal());
                    [middle[0] + shift[0] + radius * at[0], middle[1] + shift[1] + radius * at[1]]
                });
                let strength = 0.2 + 0.6 * dice.uniform();
                self.add(field, Group::Skull, Shape::Body, &parts::CELL, strength, &knots);
            }
        }
    }
}

impl Body for Head {
    fn landmarks(&self) -> Vec<(&'static str, Point)> {
        LANDMARKS.iter().map(|&(name, group, at)| (name, self.place(group, at))).collect()
    }

    fn cast(&self, field: &mut Field, dice: &mut Dice) {
        for part in parts::PARTS {
            let strength = 1.0 + 0.12 * dice.normal();
            self.add(field, part.group, part.shape, part.material, strength, part.knots);
        }
        self.add_teeth(field, dice);
        self.add_vertebrae(field, dice);
        self.add_cells(field, dice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A knot and the landmark on it are the same numbers.
    const SAME_PLACE: f64 = 1e-9;

    #[test]
    fn every_landmark_but_the_sella_is_a_knot_of_a_drawn_part() {
        let near = |a: At, b: At| (a[0] - b[0]).hypot(a[1] - b[1]) < SAME_PLACE;
        for (name, group, at) in LANDMARKS.into_iter().skip(1) {
            let part = parts::PARTS.iter().any(|part| part.group == group && part.knots.iter().any(|&k| near(k, at)));
            let tooth = parts::TEETH.iter().any(|&(owner, tip, ..)| owner == group && near(tip, at));
            assert!(part || tooth, "{name} lies on nothing");
        }
    }
}
