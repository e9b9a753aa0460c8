//! What a detector hands over: where it found the landmarks of a film, and with what.

use onemark_film::geometry::{Cell, GridMap, Point};
use onemark_models::confidence::Calibration;
use onemark_models::familiarity::Familiarity;
use onemark_models::landmarks::{Landmark, LandmarkSet};

use super::{BundleId, FoundBy};
use crate::look::Seen;

/// What found the landmarks: all that does not change from film to film.
#[derive(Clone, Copy)]
pub(crate) struct DetectionContext<'a> {
    pub bundle: &'a BundleId,
    pub backend: &'static str,
    pub set: &'a LandmarkSet,
    pub calibration: Option<&'a Calibration>,
    pub familiarity: Option<&'a Familiarity>,
}

/// Where a landmark was found on a film.
pub(crate) struct Place<'a> {
    pub landmark: &'a Landmark,
    /// The best cell of the first look's grid.
    pub cell: Cell,
    /// In film px.
    pub position: Point,
    /// The score there, in [0, 1].
    pub score: f32,
    pub mahalanobis: Option<f64>,
    pub windows: Option<usize>,
    /// If the bundle looks twice.
    pub look: Option<FoundBy>,
}

impl<'a> Place<'a> {
    /// Where one look sees it; `map` is that of its grid.
    pub(crate) fn new(landmark: &'a Landmark, seen: &Seen, map: &GridMap) -> Self {
        Self {
            landmark,
            cell: seen.peak.cell,
            position: map.to_film_at(seen.peak.at),
            score: seen.peak.score.clamp(0.0, 1.0),
            mahalanobis: seen.peak.mahalanobis,
            windows: seen.windows,
            look: None,
        }
    }
}
