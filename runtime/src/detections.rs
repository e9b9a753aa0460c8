//! What a detector says about a film. How that is written for others is in `onemark-results`.

use onemark_film::Spacing;
use onemark_film::geometry::{Cell, Point};
use onemark_models::confidence::Calibration;
use onemark_models::landmarks::LandmarkSet;
use onemark_models::landmarks::Measurement;
use serde::{Deserialize, Serialize};

use crate::RuntimeError;

/// The radius that holds 90 % of errors, in standard deviations along an axis, where errors are normal and the same in all
/// directions: the root of 2 ln 10.
const RADIUS_90: f64 = 2.145_966_026_289_347;

/// The landmarks found on one film, and by what.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Detections {
    /// The bundle that was run.
    pub bundle: BundleId,
    /// The backend that ran it.
    pub backend: &'static str,
    /// The film's size.
    pub film: FilmSize,
    /// How large a pixel is, where somebody stated it.
    pub spacing: Option<Spacing>,
    /// On what confidences and radii rest, in words; without it the bundle is not calibrated and there are none.
    pub calibration: Option<String>,
    /// Whether the film looks unlike those that the bundle was calibrated on: then believe none of its points unseen.
    pub unusual: Option<bool>,
    /// The landmarks, in the order of their numbers.
    pub landmarks: Vec<Detection>,
    /// What the landmarks' set measures between them.
    pub measurements: Vec<Measurement>,
}

/// How much a landmark's position is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Found by the network.
    #[default]
    Found,
    /// The evidence is too weak: the position is a guess that nothing may be built on.
    NotFound,
    /// Put there by a person.
    EditedByHand,
}

/// One landmark on one film.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Detection {
    /// Position in the landmark set, from 1.
    pub number: usize,
    /// Short name: "posterior-nasal-spine".
    pub name: String,
    /// Name for people: "Posterior nasal spine".
    pub title: String,
    /// Whether it was found at all.
    pub status: Status,
    /// The best cell of the network's grid: row, then column.
    #[cfg_attr(feature = "schema", schemars(with = "(usize, usize)"))]
    pub cell: Cell,
    /// Where it is, in film px from the film's top-left corner.
    pub position: Point,
    /// The same in mm, where the spacing is known.
    pub mm: Option<Millimetres>,
    /// The score there, in [0, 1]: the product of the levels' cosines. It ranks films; it is no probability.
    pub score: f32,
    /// How probable it is that the landmark is less than 4 mm away, in [0, 1], where the bundle is calibrated.
    pub confidence: Option<f64>,
    /// On 90 % of films the landmark is at most so far away, in mm, where the bundle is calibrated and the spacing known.
    pub radius_mm: Option<f64>,
    /// How many standard deviations the cell lies from where the other landmarks expect it, where the bundle carries a prior
    /// over shapes. Beyond 3 or so, somebody should look.
    pub surprise: Option<f64>,
    /// How many windows of the film its fine part was run on, where it was not run on the whole of it.
    pub windows: Option<usize>,
}

/// A place on a film in mm from its top-left corner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Millimetres {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

/// Which bundle it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BundleId {
    /// What the bundle calls itself.
    pub name: String,
    /// SHA-256 of its manifest, which holds those of all its files.
    pub sha256: String,
}

/// The size of a film in px.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FilmSize {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

impl Detections {
    /// The same with positions in mm too.
    pub(crate) fn with_spacing(mut self, spacing: Spacing) -> Self {
        for landmark in &mut self.landmarks {
            landmark.mm = Some(millimetres(landmark.position, &spacing));
        }
        self.spacing = Some(spacing);
        self
    }

    /// The same with what a calibration says of each point and of the film.
    pub(crate) fn judged_by(mut self, calibration: &Calibration) -> Self {
        for landmark in &mut self.landmarks {
            let index = landmark.number - 1;
            landmark.confidence = Some(calibration.confidence(index, landmark.score));
            landmark.radius_mm = landmark.mm.map(|_| calibration.landmarks[index].radius_mm);
            if !calibration.is_found(index, landmark.score) {
                landmark.status = Status::NotFound;
            }
        }
        let scores = self.landmarks.iter().map(|landmark| (landmark.number - 1, landmark.score));
        self.unusual = Some(calibration.is_out_of_distribution(scores));
        self.calibration = Some(calibration.films.clone());
        self
    }

    /// Puts a landmark where a person says it is, in film px, and measures anew. Nobody knows how far off a person's point is, so
    /// it has neither confidence nor radius.
    ///
    /// # Errors
    /// [`RuntimeError::NoLandmark`] where it was not looked for.
    pub fn correct(&mut self, number: usize, position: Point, set: &LandmarkSet) -> Result<(), RuntimeError> {
        let last = set.len();
        let landmark = self.landmarks.iter_mut().find(|landmark| landmark.number == number);
        let landmark = landmark.ok_or(RuntimeError::NoLandmark { landmark: number, last })?;
        landmark.status = Status::EditedByHand;
        landmark.position = position;
        landmark.mm = self.spacing.as_ref().map(|spacing| millimetres(position, spacing));
        (landmark.confidence, landmark.radius_mm) = (None, None);
        self.measure(set);
        Ok(())
    }

    /// Measures anew what `set` measures between the landmarks: after a landmark was moved, or its status changed. A landmark's
    /// radius becomes the errors of the measurements that are made of it; one that was not found refuses them.
    pub fn measure(&mut self, set: &LandmarkSet) {
        let found =
            |number: usize| self.landmarks.iter().find(|one| one.number == number && one.status != Status::NotFound);
        let found: Vec<Option<&Detection>> = set.landmarks.iter().map(|landmark| found(landmark.number)).collect();
        let points: Vec<Option<Point>> = found.iter().map(|one| one.map(|one| one.position)).collect();
        let errors: Vec<Option<f64>> = found.iter().map(|one| Some(one.as_ref()?.radius_mm? / RADIUS_90)).collect();
        self.measurements = set.measure(&points, self.spacing.as_ref(), &errors);
    }
}

fn millimetres(position: Point, spacing: &Spacing) -> Millimetres {
    Millimetres { x: position.x * spacing.x(), y: position.y * spacing.y() }
}
