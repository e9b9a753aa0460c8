//! A left hand on its palm, the thumb to the right. Its landmark set is no built-in one: it is the file `hand.yaml` beside this crate's
//! manifest, as a lab would write it.
//!
//! Positions are px of 0.1 mm on a film of 1935 x 2400 px, before any deformation. Fingers are chains of joints; bones, flesh and
//! landmarks follow from them.

use crate::render::{self, Field, Material, Shape, material};
use crate::variation::{At, Deformation, Dice, Motion, Region, pose, region};
use crate::{Body, Point};

/// The landmark set as YAML.
pub const SET: &str = include_str!("../hand.yaml");

/// A finger or the thumb.
struct Finger {
    /// The joints from the base of the metacarpal to the tip.
    joints: &'static [At],
    /// Half of the width of the flesh and of the first phalanx, px.
    half: [f64; 2],
    /// The joint about which it turns: the index in `joints`.
    hinge: usize,
}

/// From the thumb to the little finger.
#[rustfmt::skip]
const FINGERS: [Finger; 5] = [
    Finger { joints: &[[1115.0, 1770.0], [1345.0, 1500.0], [1480.0, 1265.0], [1575.0, 1085.0]], half: [105.0, 47.0], hinge: 0 },
    Finger { joints: &[[1070.0, 1690.0], [1185.0, 1260.0], [1250.0, 880.0], [1285.0, 650.0], [1305.0, 480.0]], half: [92.0, 43.0], hinge: 1 },
    Finger { joints: &[[985.0, 1680.0], [1010.0, 1215.0], [1025.0, 790.0], [1032.0, 525.0], [1035.0, 340.0]], half: [95.0, 45.0], hinge: 1 },
    Finger { joints: &[[900.0, 1700.0], [842.0, 1260.0], [790.0, 870.0], [762.0, 620.0], [745.0, 440.0]], half: [88.0, 41.0], hinge: 1 },
    Finger { joints: &[[825.0, 1730.0], [690.0, 1345.0], [590.0, 1050.0], [540.0, 875.0], [508.0, 720.0]], half: [76.0, 35.0], hinge: 1 },
];

/// What a landmark is the tip of.
enum Tip {
    /// The bone that ends at this joint of this finger.
    Bone(usize, usize),
    /// The bone of the forearm at this index.
    Forearm(usize),
}

/// The landmarks in the order of their set.
const LANDMARKS: [(&str, Tip); 9] = [
    ("thumb-tip", Tip::Bone(0, 3)),
    ("index-tip", Tip::Bone(1, 4)),
    ("middle-tip", Tip::Bone(2, 4)),
    ("little-tip", Tip::Bone(4, 4)),
    ("thumb-knuckle", Tip::Bone(0, 1)),
    ("index-knuckle", Tip::Bone(1, 1)),
    ("little-knuckle", Tip::Bone(4, 1)),
    ("radial-styloid", Tip::Forearm(0)),
    ("ulnar-styloid", Tip::Forearm(1)),
];

/// Radius and ulna; the first knot is the tip of the styloid process, twice because it is a corner.
#[rustfmt::skip]
const FOREARM: [&[At]; 2] = [
    &[[1165.0, 1925.0], [1165.0, 1925.0], [1185.0, 2010.0], [1160.0, 2110.0], [1105.0, 2260.0], [1090.0, 2900.0],
      [985.0, 2900.0], [980.0, 2250.0], [930.0, 2110.0], [925.0, 2000.0], [1010.0, 1965.0], [1090.0, 1965.0]],
    &[[800.0, 1945.0], [800.0, 1945.0], [835.0, 1990.0], [890.0, 2010.0], [895.0, 2075.0], [865.0, 2200.0], [870.0, 2900.0],
      [785.0, 2900.0], [800.0, 2200.0], [785.0, 2080.0], [780.0, 2000.0]],
];

/// The carpal bones: centre, and half of width and height in px.
#[rustfmt::skip]
const CARPALS: [(At, At); 7] = [
    ([1090.0, 1860.0], [68.0, 55.0]), ([980.0, 1895.0], [62.0, 55.0]), ([875.0, 1870.0], [55.0, 50.0]),
    ([1130.0, 1775.0], [42.0, 48.0]), ([1065.0, 1755.0], [38.0, 44.0]), ([985.0, 1770.0], [52.0, 78.0]),
    ([890.0, 1775.0], [54.0, 66.0]),
];

/// The flesh of palm and forearm.
#[rustfmt::skip]
const PALM: &[At] = &[
    [1185.0, 2900.0], [1190.0, 2300.0], [1225.0, 2050.0], [1290.0, 1800.0], [1340.0, 1600.0], [1325.0, 1430.0],
    [1270.0, 1260.0], [1185.0, 1170.0], [1010.0, 1130.0], [840.0, 1170.0], [690.0, 1260.0], [625.0, 1360.0],
    [645.0, 1540.0], [700.0, 1750.0], [745.0, 1950.0], [735.0, 2300.0], [700.0, 2900.0],
];

/// Half of the outline of a bone between two joints: along it, and across in half widths. The first knot is at its base.
const LONG: &[At] =
    &[[0.0, 0.0], [0.01, 0.7], [0.05, 1.0], [0.16, 0.9], [0.5, 0.56], [0.82, 0.76], [0.93, 0.9], [0.985, 0.6]];
/// The same of the last bone of a finger.
const LAST: &[At] =
    &[[0.0, 0.0], [0.01, 0.7], [0.05, 1.0], [0.2, 0.8], [0.55, 0.38], [0.8, 0.4], [0.9, 0.55], [0.97, 0.4]];

const FLESH: Material = material(100.0, &[(0.0, 2.9)]);
const PALM_FLESH: Material = material(130.0, &[(0.0, 2.7)]);
const BONE: Material = material(48.0, &[(0.0, 11.0), (13.0, -5.0)]);
const CARPAL: Material = material(60.0, &[(0.0, 7.5), (8.0, -2.5)]);

/// Where hands differ, coarse to fine.
#[rustfmt::skip]
const REGIONS: &[Region] = &[
    region([968.0, 1400.0], 1500.0, [0.0, 0.0], 0.025), // the hand as a whole, slim or broad
    region([968.0, 1400.0], 350.0, [10.0, 18.0], 0.03), // palm
    region([1000.0, 1950.0], 250.0, [12.0, 10.0], 0.03), // wrist
    region([1165.0, 1930.0], 110.0, [8.0, 9.0], 0.04),  // end of the radius
    region([800.0, 1950.0], 110.0, [8.0, 10.0], 0.04),  // end of the ulna
];

/// One hand in one pose.
pub struct Hand {
    fingers: [Motion; 5],
    deformation: Deformation,
    pose: Motion,
}

impl Hand {
    /// A new hand in a new pose.
    pub fn new(dice: &mut Dice) -> Self {
        let deformation = Deformation::new(REGIONS, dice);
        let pose = pose([968.0, 1400.0], dice);
        // Fingers are spread, and longer or shorter.
        let fingers = FINGERS.map(|finger| {
            let (angle, length) = (dice.within(4_f64.to_radians()), 1.0 + dice.within(0.04));
            Motion::new(finger.joints[finger.hinge], angle, length, [0.0; 2])
        });
        Self { fingers, deformation, pose }
    }

    fn place(&self, at: At) -> Point {
        let [x, y] = self.pose.apply(self.deformation.apply(at));
        Point { x, y }
    }

    /// Where a position that moves with the bone that ends at this joint of a finger comes to lie.
    fn place_on(&self, finger: usize, joint: usize, at: At) -> Point {
        self.place(if joint > FINGERS[finger].hinge { self.fingers[finger].apply(at) } else { at })
    }

    /// The joints of a finger on the film.
    fn joints(&self, finger: usize) -> Vec<Point> {
        let joints = FINGERS[finger].joints.iter().enumerate();
        joints.map(|(joint, &at)| self.place_on(finger, joint, at)).collect()
    }

    /// Flesh is where any part of it is, and nowhere twice.
    fn flesh(&self) -> Field {
        let mut flesh = render::field();
        let palm: Vec<Point> = PALM.iter().map(|&at| self.place(at)).collect();
        render::add(&mut flesh, &palm, Shape::Body, &PALM_FLESH, 1.0);
        for (finger, Finger { half: [half, _], .. }) in FINGERS.iter().enumerate() {
            let mut one = render::field();
            render::add(&mut one, &self.joints(finger), Shape::Band(*half), &FLESH, 1.0);
            flesh.iter_mut().zip(one.iter()).for_each(|(all, one)| *all = all.max(*one));
        }
        flesh
    }

    /// The outline of the bone that ends at this joint of a finger: from its base around its tip and back.
    fn bone(&self, finger: usize, joint: usize) -> Vec<Point> {
        /// From a joint to the base of the bone behind it, px.
        const GAP: f64 = 20.0;
        let Finger { joints, half: [_, half], .. } = &FINGERS[finger];
        let (from, to) = (joints[joint - 1], joints[joint]);
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let length = dx.hypot(dy);
        // Metacarpals are thicker than the phalanges, which taper.
        let half = half * (1.1 - 0.12 * (joint - 1) as f64);
        let side = if joint + 1 == joints.len() { LAST } else { LONG };
        let one = side.iter().map(|&[along, across]| [along, across]);
        let other = side.iter().skip(1).rev().map(|&[along, across]| [along, -across]);
        one.chain([[1.0, 0.0]])
            .chain(other)
            .map(|[along, across]| {
                let along = (GAP + (length - GAP) * along) / length;
                let across = half * across / length;
                self.place_on(finger, joint, [from[0] + along * dx - across * dy, from[1] + along * dy + across * dx])
            })
            .collect()
    }
}

impl Body for Hand {
    fn landmarks(&self) -> Vec<(&'static str, Point)> {
        let place = |tip: &Tip| match *tip {
            Tip::Bone(finger, joint) => self.place_on(finger, joint, FINGERS[finger].joints[joint]),
            Tip::Forearm(bone) => self.place(FOREARM[bone][0]),
        };
        LANDMARKS.iter().map(|(name, tip)| (*name, place(tip))).collect()
    }

    fn cast(&self, field: &mut Field, dice: &mut Dice) {
        *field = self.flesh();
        let mut add = |knots: &[Point], material: &Material| {
            render::add(field, knots, Shape::Body, material, 1.0 + 0.12 * dice.normal());
        };
        for (finger, Finger { joints, .. }) in FINGERS.iter().enumerate() {
            (1..joints.len()).for_each(|joint| add(&self.bone(finger, joint), &BONE));
        }
        for bone in FOREARM {
            add(&bone.iter().map(|&at| self.place(at)).collect::<Vec<_>>(), &BONE);
        }
        for ([x, y], [width, height]) in CARPALS {
            let round = (0..8).map(|eighth| (f64::from(eighth) * std::f64::consts::FRAC_PI_4).sin_cos());
            let knots = round.map(|(sin, cos)| self.place([x + width * cos, y + height * sin]));
            add(&knots.collect::<Vec<_>>(), &CARPAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A knot and the landmark on it are the same numbers, but for rounding.
    const SAME_PLACE: f64 = 1e-6;

    #[test]
    fn every_landmark_is_a_knot_of_a_drawn_bone() {
        let hand = Hand::new(&mut Dice::new(1, 0));
        for ((_, tip), (name, point)) in LANDMARKS.iter().zip(hand.landmarks()) {
            let bone = match *tip {
                Tip::Bone(finger, joint) => hand.bone(finger, joint),
                Tip::Forearm(bone) => FOREARM[bone].iter().map(|&at| hand.place(at)).collect(),
            };
            let near = |knot: &Point| (knot.x - point.x).hypot(knot.y - point.y) < SAME_PLACE;
            assert!(bone.iter().any(near), "{name} lies on nothing");
        }
    }

    #[test]
    fn the_set_names_the_same_landmarks() {
        let entries: Vec<&str> = SET.lines().filter(|line| line.contains("number:")).collect();
        assert_eq!(entries.len(), LANDMARKS.len());
        for (entry, (number, (name, _))) in entries.iter().zip((1..).zip(&LANDMARKS)) {
            assert!(entry.contains(&format!("number: {number}, name: {name}, ")), "{name}: {entry}");
        }
    }
}
