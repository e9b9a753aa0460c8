//! The second look: at the film as the landmarks of the first look have aligned it (docs/METHOD.md sec. 8c).

use std::sync::Arc;

use onemark_film::geometry::{GridMap, GridPoint, Point, Size};
use onemark_film::{Alignment, Film};
use onemark_models::bundle::{self, Bundle};

use crate::backend::Backend;
use crate::detections::{FoundBy, Place};
use crate::job::{Cancel, Progress};
use crate::look::Look;
use crate::{Options, RuntimeError};

/// Looks that find a landmark farther apart than this do not mean the same place, so their mean would be neither; a share of the
/// frame's side, about 7 mm on a film of a head.
const APART: f64 = 0.05;

/// A network for aligned films.
pub(crate) struct SecondLook {
    look: Look,
    /// The place of every landmark of the bundle in the frame.
    frame: Vec<Point>,
    /// How much this look counts in the position of each.
    shares: Vec<f64>,
}

impl SecondLook {
    /// The graphs of `bundle`, for the landmarks at the indices `wanted`.
    pub(crate) fn new(
        how: &bundle::SecondLook,
        bundle: &Bundle,
        backend: Arc<dyn Backend>,
        wanted: &[usize],
        options: &Options,
    ) -> Result<Self, RuntimeError> {
        let look = Look::new(bundle, backend, wanted, options).map_err(RuntimeError::in_second_look)?;
        Ok(Self { look, frame: how.places(), shares: how.shares.clone() })
    }

    /// Its network.
    pub(crate) fn look(&self) -> &Look {
        &self.look
    }

    /// How many steps [`SecondLook::refine`] reports.
    pub(crate) fn steps(&self) -> usize {
        self.look.steps()
    }

    /// How a film lies under the frame if the first look found all landmarks at `points`; `None` if that can't be said.
    pub(crate) fn alignment(&self, film: &Film, points: &[Point]) -> Option<Alignment> {
        Alignment::fit(film, points, &self.frame)
    }

    /// The film as this look sees it.
    pub(crate) fn aligned(&self, film: &Film, alignment: &Alignment) -> Result<Film, RuntimeError> {
        Ok(film.aligned(alignment, Alignment::side(self.look.grid().height))?)
    }

    /// The position in px of the film at a place on this look's grid.
    pub(crate) fn to_film(&self, alignment: &Alignment, at: GridPoint) -> Point {
        let grid = self.look.grid();
        alignment.to_film(Point::new(at.column / grid.width as f64, at.row / grid.height as f64))
    }

    /// From the first look's position of the landmark at `index` and this one's: the position, and who found it.
    pub(crate) fn together(
        &self,
        index: usize,
        [first, second]: [Point; 2],
        alignment: &Alignment,
        film: Size,
    ) -> (Point, FoundBy) {
        let share = self.shares[index];
        let apart = alignment.to_frame(first).distance_px(alignment.to_frame(second));
        if share == 0.0 || apart > APART || !second.is_inside(film) {
            return (first, FoundBy::First);
        }
        let mean = |first: f64, second: f64| first + share * (second - first);
        let position = Point::new(mean(first.x, second.x), mean(first.y, second.y));
        (position, if share == 1.0 { FoundBy::Second } else { FoundBy::Both })
    }

    /// Looks again at a film on which the first look found all landmarks at these places, in the bundle's order; `map` is that of its
    /// grid.
    pub(crate) fn refine(
        &self,
        film: &Film,
        places: &mut [Place<'_>],
        map: &GridMap,
        (cancel, progress): (&Cancel, &Progress<'_>),
    ) -> Result<(), RuntimeError> {
        places.iter_mut().for_each(|place| place.look = Some(FoundBy::First));
        let points: Vec<Point> = places.iter().map(|place| place.position).collect();
        let Some(alignment) = self.alignment(film, &points) else {
            (0..self.steps()).for_each(|_| progress.step());
            return Ok(());
        };
        let seen = self.look.see(&self.aligned(film, &alignment)?, cancel, progress);
        let seen = seen.map_err(RuntimeError::in_second_look)?;
        for (landmark, seen) in self.look.landmarks().zip(seen) {
            let index = landmark.number.index();
            let place = &mut places[index];
            let second = self.to_film(&alignment, seen.peak.at);
            let (position, look) = self.together(index, [place.position, second], &alignment, film.size());
            if look != FoundBy::First {
                let share = self.shares[index] as f32;
                place.score += share * (seen.peak.score.clamp(0.0, 1.0) - place.score);
                (place.position, place.cell) = (position, map.to_cell(position));
            }
            place.look = Some(look);
            place.windows = place.windows.zip(seen.windows).map(|(first, second)| first + second);
        }
        Ok(())
    }
}
