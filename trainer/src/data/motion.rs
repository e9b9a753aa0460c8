//! Joints of the template's anatomy that move on its copies: the lower jaw against the upper one (METHOD.md sec. 8a).
//!
//! Points are (row, column) in pixels, the centre of the first one being (0, 0).

use onemark_models::landmarks::{Joint, LandmarkSet};
use rand::Rng;

use crate::data::augment::symmetric;

type Pixel = (f64, f64);

/// One joint of a film, moved: its landmarks turn about the hinge and shift, all others stay. In between, a point follows the
/// nearer ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Motion {
    hinge: Pixel,
    /// Sine and cosine of the turn.
    turn: (f64, f64),
    /// mm.
    shift: Pixel,
    /// The landmarks that move, where they are afterwards; and those that stay.
    moved: Vec<Pixel>,
    fixed: Vec<Pixel>,
    /// mm per pixel, or 1 if that is not known.
    mm: Pixel,
}

impl Motion {
    /// Draws a motion for each joint of the set: turns and shifts are uniform within the joint's. `points` are the film's
    /// landmarks, `mm` its mm per pixel, rows then columns. Without it, nothing shifts. A joint without a hinge, or of which no
    /// landmark moves, is left out.
    pub fn random(set: &LandmarkSet, points: &[Option<Pixel>], mm: Option<Pixel>, rng: &mut impl Rng) -> Vec<Self> {
        let mut points = points.to_vec();
        let mut motions = Vec::new();
        for joint in &set.joints {
            let angle = symmetric(joint.degrees, rng).to_radians();
            let [right, down] = joint.shift_mm.map(|most| symmetric(most, rng));
            let shift = if mm.is_some() { (down, right) } else { (0.0, 0.0) };
            motions.extend(Self::new(joint, set, &mut points, (angle, shift), mm.unwrap_or((1.0, 1.0))));
        }
        motions
    }

    /// A motion of the joint; moves its `points`.
    fn new(
        joint: &Joint,
        set: &LandmarkSet,
        points: &mut [Option<Pixel>],
        (angle, shift): (f64, Pixel),
        mm: Pixel,
    ) -> Option<Self> {
        let hinge = points[joint.hinge(&set.landmarks)?.index()]?;
        let mut motion = Self { hinge, turn: angle.sin_cos(), shift, moved: Vec::new(), fixed: Vec::new(), mm };
        for (landmark, point) in set.landmarks.iter().zip(points) {
            let Some(point) = point else { continue };
            if joint.moves(landmark) {
                *point = motion.moved(*point);
                motion.moved.push(*point);
            } else {
                motion.fixed.push(*point);
            }
        }
        (!motion.moved.is_empty()).then_some(motion)
    }

    /// Where a point goes that moves with the joint.
    fn moved(&self, point: Pixel) -> Pixel {
        let (sin, cos) = self.turn;
        let (down, right) = self.way(point);
        self.to_pixels((cos * down - sin * right + self.shift.0, sin * down + cos * right + self.shift.1))
    }

    /// Where a point comes from that moved with the joint.
    fn unmoved(&self, point: Pixel) -> Pixel {
        let (sin, cos) = self.turn;
        let (down, right) = self.way(point);
        let (down, right) = (down - self.shift.0, right - self.shift.1);
        self.to_pixels((cos * down + sin * right, cos * right - sin * down))
    }

    /// The way from the hinge, mm.
    fn way(&self, point: Pixel) -> Pixel {
        ((point.0 - self.hinge.0) * self.mm.0, (point.1 - self.hinge.1) * self.mm.1)
    }

    fn to_pixels(&self, (down, right): Pixel) -> Pixel {
        (self.hinge.0 + down / self.mm.0, self.hinge.1 + right / self.mm.1)
    }

    /// The film's point that shows at a point after the motion.
    pub fn source(&self, point: Pixel) -> Pixel {
        // How far a point follows: 1 at landmarks that move, 0 at those that stay.
        let near = |points: &[Pixel]| -> f64 {
            let weight = |other: &Pixel| {
                let squared = (point.0 - other.0).powi(2) + (point.1 - other.1).powi(2) + NO_POLE_PX2;
                1.0 / (squared * squared)
            };
            points.iter().map(weight).sum()
        };
        let (moved, fixed) = (near(&self.moved), near(&self.fixed));
        let (share, from) = (moved / (moved + fixed), self.unmoved(point));
        (point.0 + share * (from.0 - point.0), point.1 + share * (from.1 - point.1))
    }

    /// Where a film's point shows after the motion. If it shows twice, once moved and once not, it is where it follows more; not a
    /// number where the film is folded, so that no single point shows it.
    pub fn target(&self, point: Pixel) -> Pixel {
        let starts = [point, self.moved(point)];
        let [stays, moves] = starts.map(|start| length(minus(point, self.source(start))));
        let [first, second] = if stays < moves { starts } else { [starts[1], starts[0]] };
        self.search(point, first).or_else(|| self.search(point, second)).unwrap_or((f64::NAN, f64::NAN))
    }

    fn search(&self, point: Pixel, start: Pixel) -> Option<Pixel> {
        let mut at = start;
        for _ in 0..ROUNDS {
            let left = minus(point, self.source(at));
            if length(left) < EXACT_PX {
                return Some(at);
            }
            at = (at.0 + DAMPING * left.0, at.1 + DAMPING * left.1);
        }
        None
    }
}

/// Their difference, per axis.
pub(super) fn minus(a: Pixel, b: Pixel) -> Pixel {
    (a.0 - b.0, a.1 - b.1)
}

fn length(a: Pixel) -> f64 {
    a.0.hypot(a.1)
}

/// Added to squared distances, so that a landmark has no distance of 0 from itself.
const NO_POLE_PX2: f64 = 1e-3;
/// Steps of the search for a point, the part of what is left that each takes, and what may be left.
const ROUNDS: usize = 60;
const DAMPING: f64 = 0.7;
const EXACT_PX: f64 = 1e-3;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const SET: &str = "{id: jaws, name: Jaws, source: a test, landmarks: [
        {number: 1, name: joint, title: Joint, definition: d}, {number: 2, name: upper, title: Upper tooth, definition: d},
        {number: 3, name: lower, title: Lower tooth, definition: d}, {number: 4, name: chin, title: Chin, definition: d}],
        joints: [{hinge: joint, moves: [lower, chin], degrees: 3, shift_mm: [4, 2]}]}";

    #[test]
    fn the_jaw_moves_and_the_skull_stays() {
        let set = LandmarkSet::from_yaml(SET).unwrap();
        let film = [(500.0, 300.0), (800.0, 700.0), (830.0, 690.0), (1100.0, 650.0)];
        let points = film.map(Some);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut farthest, mut shown): (f64, usize) = (0.0, 0);
        for _ in 0..50 {
            let motions = Motion::random(&set, &points, Some((0.1, 0.1)), &mut rng);
            assert_eq!(motions.len(), 1);
            let motion = &motions[0];
            // The hinge and the upper tooth are where they were, the jaw is as long as before.
            for fixed in &film[..2] {
                let at = motion.target(*fixed);
                assert!((at.0 - fixed.0).hypot(at.1 - fixed.1) < 0.01, "{at:?}");
            }
            let [tooth, chin] = [motion.target(film[2]), motion.target(film[3])];
            assert!(((tooth.0 - chin.0).hypot(tooth.1 - chin.1) - 270.0_f64.hypot(40.0)).abs() < 0.01);
            farthest = farthest.max((tooth.0 - film[2].0).hypot(tooth.1 - film[2].1));
            // Any other point is found where it shows, or nowhere.
            for point in [(600.0, 400.0), (815.0, 695.0), (900.0, 660.0), (100.0, 900.0), (1000.0, 500.0)] {
                let at = motion.target(point);
                let source = motion.source(at);
                assert!(at.0.is_nan() || (source.0 - point.0).hypot(source.1 - point.1) < 0.01, "{point:?}: {at:?}");
                shown += usize::from(at.0.is_finite());
            }
        }
        assert!((30.0..70.0).contains(&farthest), "{farthest} px of 4 mm and 3 degrees");
        assert!(shown > 200, "{shown} of 250 points are shown");
    }

    #[test]
    fn without_a_spacing_nothing_shifts() {
        let mut set = LandmarkSet::from_yaml(SET).unwrap();
        set.joints[0].degrees = 0.0;
        let points = [(5.0, 3.0), (8.0, 7.0), (8.3, 6.9), (11.0, 6.5)].map(Some);
        let motion = &Motion::random(&set, &points, None, &mut ChaCha8Rng::seed_from_u64(1))[0];
        assert_eq!(motion.target((8.3, 6.9)), (8.3, 6.9));
    }

    #[test]
    fn a_joint_needs_its_hinge_and_a_landmark_that_moves() {
        let set = LandmarkSet::from_yaml(SET).unwrap();
        let on = |marked: [bool; 4]| {
            let points: Vec<Option<Pixel>> =
                marked.iter().zip([1.0, 2.0, 3.0, 4.0]).map(|(is, at)| is.then_some((at, at))).collect();
            Motion::random(&set, &points, None, &mut ChaCha8Rng::seed_from_u64(1)).len()
        };
        assert_eq!(
            (on([true, true, true, false]), on([false, true, true, true]), on([true, true, false, false])),
            (1, 0, 0)
        );
    }
}
