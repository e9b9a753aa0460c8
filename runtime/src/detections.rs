//! The result of a detection. `onemark-results` writes it in other formats.

mod detection;
mod place;

use std::borrow::Cow;

use onemark_film::geometry::Point;
use onemark_film::{Film, Spacing};
use onemark_models::files::sha256;
use onemark_models::landmarks::{LandmarkSet, Measurement, PixelScale};
use serde::{Deserialize, Serialize};

use self::detection::millimetres;
pub use self::detection::{Detection, FoundBy, Millimetres, Status};
pub(crate) use self::place::{DetectionContext, Place};
use crate::RuntimeError;

/// The radius that holds 90 % of errors, in standard deviations along an axis, where errors are normal and the same in all
/// directions: the root of 2 ln 10.
const RADIUS_90: f64 = 2.145_966_026_289_347;

/// The landmarks found on one film, with the bundle and the backend that found them.
///
/// A detector makes it, or it is read back from its own JSON, which [`Serialize`] writes. Positions change by
/// [`correct`](Detections::correct) and [`restore`](Detections::restore) only, which keep mm and measurements true to them.
///
/// ```
/// use onemark_runtime::{Detections, Status};
///
/// let stored = r#"{
///     "bundle": {"name": "head19", "sha256": "5f1c"}, "backend": "tract", "film": {"width": 1935, "height": 2400},
///     "spacing": {"mm_per_px": [0.1, 0.1], "source": "PixelSpacing"},
///     "landmarks": [{"number": 1, "name": "sella", "title": "Sella", "status": "found", "cell": [160, 165],
///                    "position": {"x": 833.5, "y": 1002.25}, "mm": {"x": 83.35, "y": 100.225}, "score": 0.81}],
///     "measurements": [], "a field of a later version": true
/// }"#;
/// let found: Detections = serde_json::from_str(stored)?;
/// let sella = found.landmark(1).ok_or("sella was not searched for")?;
/// assert_eq!((sella.status(), sella.position().x), (Status::Found, 833.5));
/// assert_eq!(sella.confidence(), None); // the bundle is not calibrated
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Two fields have other names in JSON, which are published: `surprise` and `unusual`.
// A field that a later version adds gets `#[serde(default)]`: documents without it stay readable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Detections {
    /// The bundle that was run.
    bundle: BundleId,
    /// The backend that ran it.
    backend: Cow<'static, str>,
    /// The film's size.
    film: FilmSize,
    /// SHA-256 of its grey values, row by row: identifies the film to those who have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    film_sha256: Option<String>,
    /// How large a pixel is, where somebody stated it.
    spacing: Option<Spacing>,
    /// How many times as high as wide a pixel is, where the film states only that. Otherwise it follows from the spacing; without
    /// one, pixels are assumed to be square.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pixel_aspect: Option<f64>,
    /// On what confidences and radii rest, in words; without it the bundle is not calibrated and there are none.
    calibration: Option<String>,
    /// Whether the film is out of distribution for the calibration or the training films; then a person must review every point.
    #[serde(rename = "unusual")]
    out_of_distribution: Option<bool>,
    /// By how much the film's evidence is lower than that of the training films, in the median over all landmarks. It is there
    /// if the bundle knows its training films, all landmarks were searched for, and the film shows something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    training_distance: Option<f64>,
    /// Why no landmark counts as found, where the film as a whole is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    /// The landmarks, in the order of their numbers.
    landmarks: Vec<Detection>,
    /// What the landmarks' set measures between them.
    measurements: Vec<Measurement>,
}

/// Identifies a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BundleId {
    /// Its name.
    pub name: String,
    /// SHA-256 of its manifest, which holds those of all its files.
    pub sha256: String,
}

/// The size of a film in px.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FilmSize {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

impl Detections {
    /// The result for a film: positions in px, in mm if the film's spacing is known, confidences if the bundle is calibrated, and
    /// the measurements between the landmarks. `best` are the landmarks' best scores, before a prior has moved points.
    pub(crate) fn new(context: &DetectionContext<'_>, film: &Film, places: &[Place<'_>], best: &[f32]) -> Self {
        let calibration = context.calibration;
        let mut landmarks: Vec<_> = places.iter().map(|place| Detection::new(context, film.spacing(), place)).collect();
        let scores = || landmarks.iter().map(|landmark| (landmark.number - 1, landmark.score));
        let unusual = calibration.map(|calibration| calibration.is_out_of_distribution(scores()));
        let nothing = film.warnings().iter().find(|warning| warning.shows_nothing());
        let familiarity = context.familiarity.filter(|_| nothing.is_none());
        let training_distance = familiarity.map(|familiarity| familiarity.distance(best));
        let unfamiliar = familiarity.zip(training_distance).filter(|(known, distance)| !known.is_near(*distance));
        let refusal = match (nothing, unfamiliar) {
            (Some(nothing), _) => Some(nothing.to_string()),
            (None, Some((known, _))) => Some(unlike(known.films)),
            (None, None) => None,
        };
        let out_of_distribution = unusual.or(context.familiarity.map(|_| false));
        let out_of_distribution = if refusal.is_some() { Some(true) } else { out_of_distribution };
        if refusal.is_some() {
            landmarks.iter_mut().for_each(|landmark| landmark.status = Status::NotFound);
        }
        let mut detections = Self {
            bundle: context.bundle.clone(),
            backend: context.backend.into(),
            film: FilmSize { width: film.width(), height: film.height() },
            film_sha256: Some(sha256(film.grey())),
            spacing: film.spacing().cloned(),
            pixel_aspect: film.pixel_aspect(),
            calibration: calibration.map(|calibration| calibration.films.clone()),
            out_of_distribution,
            training_distance,
            refusal,
            landmarks,
            measurements: Vec::new(),
        };
        detections.measure(context.set);
        detections
    }

    /// The bundle that was run.
    pub fn bundle(&self) -> &BundleId {
        &self.bundle
    }

    /// The name of the backend that ran it.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The film's size in px.
    pub fn film(&self) -> FilmSize {
        self.film
    }

    /// SHA-256 of the film's grey values, row by row, as 64 lower-case hexadecimal digits: it identifies the film to those who have it.
    /// None in documents of versions that did not write it.
    pub fn film_sha256(&self) -> Option<&str> {
        self.film_sha256.as_deref()
    }

    /// The same without [`Detections::film_sha256`], for those who must not learn which film it is.
    #[must_use]
    pub fn without_film_sha256(self) -> Self {
        Self { film_sha256: None, ..self }
    }

    /// The same without landmarks and measurements: what is known of the film alone.
    #[must_use]
    pub fn without_landmarks(self) -> Self {
        Self { landmarks: Vec::new(), measurements: Vec::new(), ..self }
    }

    /// The film's spacing, if it is known. Without it there are no mm.
    pub fn spacing(&self) -> Option<&Spacing> {
        self.spacing.as_ref()
    }

    /// How many times as high as wide a pixel is, if the film states only that and no spacing.
    pub fn pixel_aspect(&self) -> Option<f64> {
        self.pixel_aspect
    }

    /// The films that the bundle is calibrated on, in words. None if it is not calibrated.
    pub fn calibration(&self) -> Option<&str> {
        self.calibration.as_deref()
    }

    /// Whether the film is out of distribution for the calibration or the training films; then a person must review every
    /// point. None where the bundle knows neither.
    pub fn out_of_distribution(&self) -> Option<bool> {
        self.out_of_distribution
    }

    /// By how much the film's evidence is lower than that of the training films, in the median over all landmarks: the larger, the
    /// less the film is like them ([`Familiarity`](onemark_models::familiarity::Familiarity)).
    /// None where the bundle does not know its training films, where only some
    /// landmarks were searched for, and on a film that shows nothing.
    pub fn training_distance(&self) -> Option<f64> {
        self.training_distance
    }

    /// Why no landmark counts as found: the film as a whole is refused, because it shows nothing or is of another kind than the
    /// films of the training. None for other films.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// The landmarks that were searched for, in the order of their numbers.
    pub fn landmarks(&self) -> &[Detection] {
        &self.landmarks
    }

    /// The landmark with this number, from 1. None if it was not searched for.
    pub fn landmark(&self, number: usize) -> Option<&Detection> {
        self.landmarks.iter().find(|landmark| landmark.number == number)
    }

    /// The measurements between the landmarks that their set defines.
    pub fn measurements(&self) -> &[Measurement] {
        &self.measurements
    }

    /// Puts a landmark where a person says it is, in film px, and measures again. Its error is unknown, so it has neither
    /// confidence nor radius.
    ///
    /// ```
    /// # use onemark_runtime::Detections;
    /// use onemark_film::geometry::Point;
    /// use onemark_models::landmarks::LandmarkSet;
    /// use onemark_runtime::Status;
    ///
    /// # let mut corrected: Detections = serde_json::from_str(r#"{"bundle": {"name": "head19", "sha256": "5f1c"},
    /// #     "backend": "tract", "film": {"width": 1935, "height": 2400},
    /// #     "spacing": {"mm_per_px": [0.1, 0.1], "source": "PixelSpacing"},
    /// #     "landmarks": [{"number": 1, "name": "sella", "title": "Sella", "status": "found", "cell": [160, 165],
    /// #         "position": {"x": 833.5, "y": 1002.25}, "mm": {"x": 83.35, "y": 100.225}, "score": 0.81}],
    /// #     "measurements": []}"#)?;
    /// let set = LandmarkSet::named("isbi19")?; // a detector's is `detector.landmark_set()`
    /// let found = corrected.clone();
    /// corrected.correct(1, Point::new(840.0, 1000.0), &set)?;
    /// let sella = corrected.landmark(1).ok_or("sella was not searched for")?;
    /// assert_eq!((sella.status(), sella.mm().map(|mm| mm.x)), (Status::EditedByHand, Some(84.0)));
    ///
    /// corrected.restore(1, &found, &set)?;
    /// assert_eq!(corrected.landmarks(), found.landmarks());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RuntimeError::NoLandmark`] if it was not searched for.
    pub fn correct(&mut self, number: usize, position: Point, set: &LandmarkSet) -> Result<(), RuntimeError> {
        let mm = self.spacing.as_ref().map(|spacing| millimetres(position, spacing));
        let landmark = self.landmark_mut(number, set)?;
        landmark.status = Status::EditedByHand;
        (landmark.position, landmark.mm) = (position, mm);
        (landmark.confidence, landmark.radius_mm) = (None, None);
        self.measure(set);
        Ok(())
    }

    /// Puts a landmark back to what the network `found` on the same film, and measures again.
    ///
    /// # Errors
    /// [`RuntimeError::NoLandmark`] if it was not searched for.
    pub fn restore(&mut self, number: usize, found: &Self, set: &LandmarkSet) -> Result<(), RuntimeError> {
        let before = found.landmark(number).ok_or(RuntimeError::NoLandmark { landmark: number, last: set.len() })?;
        self.landmark_mut(number, set)?.clone_from(before);
        self.measure(set);
        Ok(())
    }

    fn landmark_mut(&mut self, number: usize, set: &LandmarkSet) -> Result<&mut Detection, RuntimeError> {
        let landmark = self.landmarks.iter_mut().find(|landmark| landmark.number == number);
        landmark.ok_or(RuntimeError::NoLandmark { landmark: number, last: set.len() })
    }

    /// Takes the measurements of `set` again. A landmark's radius gives the errors of its measurements; measurements of a
    /// landmark that was not found are refused.
    pub fn measure(&mut self, set: &LandmarkSet) {
        let found = |number: usize| self.landmark(number).and_then(Detection::unless_guess);
        let found: Vec<Option<&Detection>> =
            set.landmarks.iter().map(|landmark| found(landmark.number.number())).collect();
        let points: Vec<Option<Point>> = found.iter().map(|one| one.map(|one| one.position)).collect();
        let errors: Vec<Option<f64>> = found.iter().map(|one| Some(one.as_ref()?.radius_mm? / RADIUS_90)).collect();
        let scale = match (&self.spacing, self.pixel_aspect) {
            (Some(spacing), _) => PixelScale::Spacing(spacing),
            (None, Some(aspect)) => PixelScale::Aspect(aspect),
            (None, None) => PixelScale::Unknown,
        };
        self.measurements = set.measure_at(&points, scale, &errors);
    }
}

/// Why no landmark counts as found on a film that is not of the kind of the training films.
fn unlike(films: usize) -> String {
    format!("it is unlike the {films} films that the network was trained on; check what it shows and which side is up")
}
