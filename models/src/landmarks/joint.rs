//! Joints: the landmarks of a set that move together against the others, as those of the lower jaw do.

use serde::{Deserialize, Serialize};

use super::{Landmark, LandmarkId};
use crate::invalid::Invalid;
use crate::spelling::did_you_mean;

/// The largest number of joints in a set.
pub const MOST_JOINTS: usize = 20;
/// The largest turn, in degrees: no joint of a film's anatomy may fold it over.
const MOST_DEGREES: f64 = 45.0;
/// The largest shift, in mm.
const MOST_SHIFT_MM: f64 = 100.0;

/// Landmarks that turn about a hinge and shift together. Training shows copies of the template on which they have moved; without
/// that, a network learns that a template's bite is everybody's (METHOD.md sec. 8a).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joint {
    /// The landmark about which they turn. It stays where it is.
    pub hinge: String,
    /// The landmarks that move.
    pub moves: Vec<String>,
    /// The largest turn to either side, degrees.
    #[serde(default)]
    pub degrees: f64,
    /// The largest shift to either side along x and along y, mm.
    #[serde(default)]
    pub shift_mm: [f64; 2],
}

impl Joint {
    /// Whether a landmark moves.
    pub fn moves(&self, landmark: &Landmark) -> bool {
        self.moves.contains(&landmark.name)
    }

    /// The hinge among the landmarks of its set.
    pub fn hinge(&self, landmarks: &[Landmark]) -> Option<LandmarkId> {
        landmarks.iter().find(|landmark| landmark.name == self.hinge).map(|landmark| landmark.number)
    }

    /// Checks all rules.
    pub(super) fn validate(&self, landmarks: &[Landmark]) -> Result<(), Invalid> {
        let names = || landmarks.iter().map(|landmark| landmark.name.as_str());
        for (key, name) in self.moves.iter().map(|name| ("moves", name)).chain([("hinge", &self.hinge)]) {
            if !names().any(|known| known == name) {
                let why = format!("no landmark is called `{name}`{}", did_you_mean(name, names()));
                return Err(Invalid::new(key, why));
            }
        }
        let within = |value: f64, most: f64| (0.0..=most).contains(&value);
        let rules = [
            (self.moves.is_empty(), "moves", "no landmark moves; name at least one".to_owned()),
            (self.moves.contains(&self.hinge), "moves", "the hinge is among them; it stays where it is".to_owned()),
            (
                !within(self.degrees, MOST_DEGREES),
                "degrees",
                format!("{} is impossible: must lie in 0 to {MOST_DEGREES}", self.degrees),
            ),
            (
                !self.shift_mm.iter().all(|shift| within(*shift, MOST_SHIFT_MM)),
                "shift_mm",
                format!("{:?} is impossible: both must lie in 0 to {MOST_SHIFT_MM}", self.shift_mm),
            ),
            (
                self.degrees == 0.0 && self.shift_mm == [0.0; 2],
                "degrees",
                "nothing moves; give `degrees` or `shift_mm`".to_owned(),
            ),
        ];
        match rules.into_iter().find(|(broken, ..)| *broken) {
            Some((_, key, why)) => Err(Invalid::new(key, why)),
            None => Ok(()),
        }
    }
}
