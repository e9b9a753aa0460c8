//! The films of a run as its network sees them: whole, or under the frame of a second look (METHOD.md sec. 8c).

use onemark_evaluation::dataset::Case;
use onemark_film::geometry::Point;
use onemark_film::{Alignment, Film, Size};
use onemark_models::checkpoint::FirstLook;
use onemark_models::recipe::Recipe;

use crate::TrainError;

/// The films of a run.
#[derive(Clone, Copy)]
pub struct Views<'a> {
    cases: &'a [Case],
    /// If this is a second look.
    first_look: Option<&'a FirstLook>,
}

impl<'a> Views<'a> {
    /// The films; for a second look, with what the first one found on them, in the same order.
    pub fn new(cases: &'a [Case], first_look: Option<&'a FirstLook>) -> Self {
        Self { cases, first_look }
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.cases.iter().map(|case| case.id.as_str())
    }

    /// What the first look found, if this is a second one.
    pub fn first_look(&self) -> Option<&'a FirstLook> {
        self.first_look
    }

    /// The size of a film's file.
    ///
    /// # Errors
    /// It can't be read or aligned.
    pub fn size(&self, index: usize) -> Result<Size, TrainError> {
        let film = self.whole(index)?;
        self.alignment(&film, index)?;
        Ok(film.size())
    }

    /// A film, with its spacing.
    ///
    /// # Errors
    /// It can't be read, or the first look's points on it do not lie like the template's.
    pub fn film(&self, recipe: &Recipe, index: usize) -> Result<Film, TrainError> {
        let film = self.whole(index)?;
        match self.alignment(&film, index)? {
            Some(alignment) => Ok(film.aligned(&alignment, side(recipe))?),
            None => Ok(film),
        }
    }

    /// An annotated film, with its points; all landmarks must be there if `complete` is true.
    ///
    /// # Errors
    /// As [`film`](Self::film); it is not annotated, or a point lies beyond the film. A point beyond the frame is left out.
    pub fn annotated(
        &self,
        recipe: &Recipe,
        index: usize,
        complete: bool,
    ) -> Result<(Film, Vec<Option<Point>>), TrainError> {
        let case = &self.cases[index];
        let points = match &case.points {
            Some(points) if !complete => points.clone(),
            _ => case.complete()?.into_iter().map(Some).collect(),
        };
        let film = self.whole(index)?;
        case.validate_inside(film.size())?;
        let Some(alignment) = self.alignment(&film, index)? else { return Ok((film, points)) };
        let side = side(recipe);
        let points = points.into_iter().map(|point| alignment.to_aligned(point?, side)).collect();
        Ok((film.aligned(&alignment, side)?, points))
    }

    fn whole(&self, index: usize) -> Result<Film, TrainError> {
        let case = &self.cases[index];
        Ok(case.with_spacing(Film::open(&case.film)?, None))
    }

    fn alignment(&self, film: &Film, index: usize) -> Result<Option<Alignment>, TrainError> {
        let Some(look) = self.first_look else { return Ok(None) };
        let alignment = Alignment::fit(film, &look.on_film(index, film.size()), &look.frame());
        alignment.map(Some).ok_or_else(|| TrainError::NotAligned { id: self.cases[index].id.clone() })
    }
}

/// The side of an aligned film in px.
fn side(recipe: &Recipe) -> u32 {
    Alignment::side(recipe.network.size)
}
