//! One landmark on one film.

use onemark_film::Spacing;
use onemark_film::geometry::{Cell, Point};
use serde::{Deserialize, Serialize};

use super::place::{DetectionContext, Place};

/// Whether a landmark was found, and by whom.
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Detection {
    /// Position in the landmark set, from 1.
    pub(super) number: usize,
    /// Short name: "posterior-nasal-spine".
    name: String,
    /// Name for people: "Posterior nasal spine".
    title: String,
    /// Whether it was found at all.
    pub(super) status: Status,
    /// The best cell of the network's grid: row, then column.
    #[cfg_attr(feature = "schema", schemars(with = "(usize, usize)"))]
    cell: Cell,
    /// Where it is, in film px from the film's top-left corner.
    pub(super) position: Point,
    /// The same in mm, where the spacing is known.
    pub(super) mm: Option<Millimetres>,
    /// The score there, in [0, 1]: the product of the levels' cosines. It ranks films; it is not a probability.
    pub(super) score: f32,
    /// How probable it is that the landmark is less than 4 mm away, in [0, 1], where the bundle is calibrated.
    pub(super) confidence: Option<f64>,
    /// On 90 % of films the landmark is at most so far away, in mm, where the bundle is calibrated and the spacing known.
    pub(super) radius_mm: Option<f64>,
    /// How many standard deviations the cell lies from where the other landmarks expect it, where the bundle carries a prior
    /// over shapes. Beyond 3 or so, a person should look. Where the bundle looks twice, it is that of the first look.
    #[serde(rename = "surprise")]
    mahalanobis: Option<f64>,
    /// How many windows of the film its fine part was run on, where it was not run on the whole of it.
    windows: Option<usize>,
    /// The look or looks that found it, where the bundle looks twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    look: Option<FoundBy>,
}

/// The look at a film that found a landmark, where the bundle looks twice: at the whole film, then at the film as the landmarks of the
/// first look have turned, scaled and shifted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FoundBy {
    /// The first look alone: the second one found it elsewhere or not on the film, so one of them errs; or it does not count.
    First,
    /// The second look alone.
    Second,
    /// Both: the position is a mean of theirs.
    Both,
}

/// A place on a film in mm from its top-left corner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Millimetres {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

impl Detection {
    pub(super) fn new(context: &DetectionContext<'_>, spacing: Option<&Spacing>, place: &Place<'_>) -> Self {
        let Place { landmark, cell, position, score, mahalanobis, windows, look } = *place;
        let index = landmark.number.index();
        let calibration = context.calibration;
        let is_found = calibration.is_none_or(|calibration| calibration.is_found(index, score));
        let radius_mm = calibration.map(|calibration| calibration.landmarks[index].radius_mm);
        Self {
            number: landmark.number.number(),
            name: landmark.name.clone(),
            title: landmark.title.clone(),
            status: if is_found { Status::Found } else { Status::NotFound },
            cell,
            position,
            mm: spacing.map(|spacing| millimetres(position, spacing)),
            score,
            confidence: calibration.map(|calibration| calibration.confidence(index, score)),
            radius_mm: radius_mm.filter(|_| spacing.is_some()),
            mahalanobis,
            windows,
            look,
        }
    }

    /// Position in the landmark set, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Short name: "posterior-nasal-spine".
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name for people: "Posterior nasal spine".
    pub fn title(&self) -> &str {
        &self.title
    }

    /// How far the position can be trusted.
    pub fn status(&self) -> Status {
        self.status
    }

    /// This landmark, unless its position is a guess: then it was not found, and nothing may be built on where it is. Whoever shows
    /// positions asks for them through this.
    ///
    /// ```
    /// # let stored = r#"{"number": 1, "name": "sella", "title": "Sella", "status": "not-found", "cell": [160, 165],
    /// #     "position": {"x": 833.5, "y": 1002.25}, "mm": null, "score": 0.11}"#;
    /// # let sella: onemark_runtime::Detection = serde_json::from_str(stored)?;
    /// assert_eq!(sella.unless_guess().map(|sella| sella.position()), None); // it was not found
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn unless_guess(&self) -> Option<&Self> {
        (self.status != Status::NotFound).then_some(self)
    }

    /// The best cell of the network's grid.
    pub fn cell(&self) -> Cell {
        self.cell
    }

    /// The position in film px from the film's top-left corner. A guess if the landmark was not found
    /// ([`unless_guess`](Detection::unless_guess)).
    pub fn position(&self) -> Point {
        self.position
    }

    /// The position in mm, where the spacing is known.
    pub fn mm(&self) -> Option<Millimetres> {
        self.mm
    }

    /// The score at the position the network found, in [0, 1]: the product of the levels' cosines. It ranks films; it is not a
    /// probability.
    pub fn score(&self) -> f32 {
        self.score
    }

    /// The probability that the landmark is less than 4 mm away, in [0, 1], where the bundle is calibrated.
    pub fn confidence(&self) -> Option<f64> {
        self.confidence
    }

    /// The radius in mm that holds the landmark on 90 % of films, where the bundle is calibrated and the spacing known.
    pub fn radius_mm(&self) -> Option<f64> {
        self.radius_mm
    }

    /// The distance in standard deviations between the cell and where the other landmarks expect it, where the bundle carries
    /// a prior over shapes. Beyond 3 or so, a person should look. Where the bundle looks twice, it is that of the first look.
    pub fn mahalanobis(&self) -> Option<f64> {
        self.mahalanobis
    }

    /// The look or looks that found it, where the bundle looks twice.
    pub fn look(&self) -> Option<FoundBy> {
        self.look
    }

    /// The number of windows in which its fine levels were run, where they were not run on the whole film.
    pub fn windows(&self) -> Option<usize> {
        self.windows
    }
}

/// A place on a film in mm.
pub(super) fn millimetres(position: Point, spacing: &Spacing) -> Millimetres {
    Millimetres { x: position.x * spacing.x(), y: position.y * spacing.y() }
}
